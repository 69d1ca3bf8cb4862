//! The suite that every lakefeed plugin runs.
//!
//! Hand [`run_writer_suite`] a way to make your writer, and it is driven through what the contract promises, with a
//! [`FakeHost`] behind it. A failed promise panics with its name, so the suite belongs into a test:
//!
//! ```no_run
//! # use lakefeed_plugin_api::{Host, Writer};
//! # use lakefeed_plugin_testkit::run_writer_suite;
//! # async fn test<W: Writer>(make: fn(Host) -> W) {
//! run_writer_suite(|host| make(host)).await;
//! # }
//! ```
//!
//! Each promise gets a writer of its own, so the factory must give each a fresh target.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a suite tells of a broken promise by panicking"
)]

mod host;
mod rows;
mod writer;

pub use host::FakeHost;
pub use rows::{meta, sample};
pub use writer::run_writer_suite;
