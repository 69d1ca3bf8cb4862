//! The plugin as its host calls it, over real folders. A module a promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails with it, and says by name what it skips"
)]

mod concurrency;
mod exactly_once;
mod files;
mod harness;
mod judges;
mod killed;
mod schema;
mod suite;
mod trouble;
