//! The harness: one call makes a folder with a configuration, another starts the real program in it.
//!
//! ```no_run
//! use lakefeed_tests::{Judge, Site};
//! use serde_json::json;
//!
//! let site = Site::patients();
//! let host = site.start();
//! host.put("Patient/p-1", &json!({ "resourceType": "Patient", "id": "p-1" })).expect(201);
//! host.wait_until_delivered("patients");
//! if let Some(judge) = Judge::find() {
//!     assert_eq!(judge.table(&site.path("lake/patients")).rows.len(), 1);
//! }
//! ```
//!
//! - [`Site`] is the folder: files, `lakefeed.toml`, and the commands of the program run in it.
//! - [`Host`] is a running `lakefeed run`; it derefs to its [`Client`] and is killed when it is dropped.
//! - [`Emulator`] is Databricks on loopback, a program of its own that `make test` builds.
//! - [`Judge`] reads tables with programs that share no code with ours, and runs views on another engine.
//! - [`skipped`] says by name that a test could not run; CI fails on it.
//! - [`fixture`] and [`views`] are the resources and views that tests, benches and examples share.
//!
//! The program and its plugins are those beside the running test, in `target/PROFILE`: `make test` builds them first.
//! Everything here fails by panicking, since a test is what calls it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a harness that cannot go on ends the test, and says why"
)]

mod client;
mod emulator;
mod host;
mod judge;
mod program;
mod site;
pub mod views;

pub use client::{Answer, Client};
pub use emulator::{Emulator, Request};
pub use host::Host;
pub use judge::{Judge, OtherEngine, Table, skipped};
pub use program::{checkout, program, program_folder, shared};
pub use site::{Ended, Site, destination};

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it: long, since a busy machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A file of `tests/fixtures`.
pub fn fixture(name: &str) -> std::path::PathBuf {
    checkout().join("tests/fixtures").join(name)
}

/// Asks again and again until there is an answer; panics with `what` when patience ends.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
