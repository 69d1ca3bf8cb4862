//! How long after its answer a change is durable in the table.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lakefeed_tests::{Site, destination, views};
use serde_json::Value;

use crate::scale::Scale;
use crate::table::{Table, percentile};
use crate::traffic::steady;

/// Changes a second.
const PACE: u64 = 10;

/// A commit of the table: the versions that it holds, and when it was durable.
struct Seen {
    first: u64,
    last: u64,
    at: Instant,
}

/// The row of latency, with the files that it costs.
pub(crate) fn measure(table: &mut Table, scale: &Scale) {
    let site = Site::new("");
    site.write("observation_flat.json", views::OBSERVATION_FLAT);
    let config = destination("observations", "Observation", "observation_flat", "");
    site.configure(&config.replace("sendIntervalMs = 50", "sendIntervalMs = 100"));
    let host = site.start();
    let log = site.path("lake/observations/_delta_log");
    let is_over = AtomicBool::new(false);
    let (answered, seen) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&log, &is_over));
        let answered = steady(host.base(), PACE, scale.latency_for);
        host.wait_until_delivered("observations");
        is_over.store(true, Ordering::Relaxed);
        (answered, watching.join().unwrap())
    });
    let waits = waits(&answered, &seen);
    let hour = 3600.0 / scale.latency_for.as_secs_f64();
    let [half, most] = [0.5, 0.99].map(|part| percentile(&waits, part).as_secs_f64() * 1e3);
    table.row(
        "201 answered → row durable in Delta, `sendIntervalMs` 100",
        format!("50 % within {half:.0} ms, 99 % within {most:.0} ms"),
        format!(
            "{:.0} files an hour at {PACE} changes a second",
            seen.len() as f64 * hour
        ),
    );
}

/// How long each change waited after its answer; a change that was there before its answer came waited for nothing.
fn waits(answered: &[(u64, Instant)], seen: &[Seen]) -> Vec<Duration> {
    answered
        .iter()
        .map(|(version, at)| {
            let commit = seen
                .iter()
                .find(|commit| (commit.first..=commit.last).contains(version));
            commit
                .expect("every change is in a commit")
                .at
                .saturating_duration_since(*at)
        })
        .collect()
}

/// Watches for the next commit. Its name may be there before it is durable, so the folder is synced here as well, and
/// the time after that is taken.
fn watch(log: &PathBuf, is_over: &AtomicBool) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut version = 1_u64;
    loop {
        let path = log.join(format!("{version:020}.json"));
        let Ok(text) = std::fs::read_to_string(&path) else {
            if is_over.load(Ordering::Relaxed) {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        File::open(log).unwrap().sync_all().unwrap();
        let at = Instant::now();
        let info: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let offset = |name: &str| info["commitInfo"][name].as_u64().unwrap_or_default();
        seen.push(Seen {
            first: offset("lakefeed.firstOffset"),
            last: offset("lakefeed.lastOffset"),
            at,
        });
        version += 1;
    }
}
