//! The plugin against a workspace on loopback whose warehouse answers what a test tells it to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails with it"
)]

mod server;
mod statements;
mod suite;
