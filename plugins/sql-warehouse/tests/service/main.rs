//! The plugin against a workspace on loopback whose warehouse answers what a test tells it to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails with it"
)]

#[path = "../../../../tests/judges/spark/collect.rs"]
mod collect;
mod judged;
mod server;
mod statements;
mod suite;
