//! How much is measured: enough to see a change in some minutes, or what the published numbers have.

use std::time::Duration;

/// The sizes of all rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// How long writes are counted.
    pub(crate) puts_for: Duration,
    /// Patients that are imported.
    pub(crate) imported: u64,
    /// Observations that wait to be drained in large batches.
    pub(crate) backlog: u64,
    /// Observations that wait to be drained in batches of fifty.
    pub(crate) small_backlog: u64,
    /// Resources of the short history, each in five versions; the long one has ten times as many.
    pub(crate) history: u64,
    /// How long live traffic lasts for the destinations' row.
    pub(crate) traffic_for: Duration,
    /// How long latency is watched.
    pub(crate) latency_for: Duration,
    /// How long the snapshot is held.
    pub(crate) held_for: Duration,
}

impl Scale {
    /// The full sizes when `LAKEFEED_BENCH_FULL` is set, else small ones.
    pub(crate) fn from_environment() -> Self {
        match std::env::var_os("LAKEFEED_BENCH_FULL") {
            Some(_) => Self::FULL,
            None => Self::SMALL,
        }
    }

    const FULL: Self = Self {
        puts_for: Duration::from_secs(20),
        imported: 200_000,
        backlog: 1_000_000,
        small_backlog: 50_000,
        history: 100_000,
        traffic_for: Duration::from_secs(30),
        latency_for: Duration::from_secs(120),
        held_for: Duration::from_secs(180),
    };

    const SMALL: Self = Self {
        puts_for: Duration::from_secs(8),
        imported: 50_000,
        backlog: 300_000,
        small_backlog: 15_000,
        history: 10_000,
        traffic_for: Duration::from_secs(15),
        latency_for: Duration::from_secs(30),
        held_for: Duration::from_secs(60),
    };
}
