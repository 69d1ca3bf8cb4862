//! The plugin against an ingest service on loopback that answers what a test tells it to.
//!
//! It is as strict as the real one where that is known (W 2): a path, a token and an array, or a refusal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails with it, and says by name what it skips"
)]

mod delivery;
mod golden;
mod server;
mod suite;
