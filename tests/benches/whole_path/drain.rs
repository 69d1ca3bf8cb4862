//! A backlog of Observations drained into a Delta table, and `$status` while all of it waits.

use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;
use lakefeed_tests::{Host, Site, destination, views, wait_for};
use serde_json::Value;

use crate::import::import;
use crate::postgres::Server;
use crate::scale::Scale;
use crate::table::{Table, per_second, percentile, rate};

const ID: &str = "observations";

/// How often `$status` is asked.
const ASKED: usize = 200;

/// How often it is looked how much was delivered: seldom, since the host counts for each answer what still waits.
const LOOKED: Duration = Duration::from_millis(100);

/// How long the SQL table may take.
const FILLED: Duration = Duration::from_secs(300);

/// How many versions a resource of the history's rows has.
const VERSIONS: u64 = 5;

/// What a drain took.
struct Drained {
    changes: u64,
    spent: Duration,
    /// The most resident memory that the host ever had.
    peak: u64,
    /// How long each `$status` took while all changes waited.
    asked: Vec<Duration>,
    /// How long the SQL table took beforehand, where there is one.
    filled: Option<Duration>,
}

/// The rows of a backlog in large batches and in small ones, and of `$status`, of both stores.
pub(crate) fn measure(table: &mut Table, scale: &Scale, postgres: Option<&Server>) {
    measure_store(table, scale, "SQLite", || Some(Site::new("")), |_| true);
    if let Some(server) = postgres {
        let is_filled = |rows: u64| sql_rows(server) >= rows;
        measure_store(table, scale, "PostgreSQL", || server.site(), is_filled);
    }
}

/// How many rows the view's SQL table has, which that store keeps beside what is delivered.
fn sql_rows(server: &Server) -> u64 {
    let exists = server.sql("SELECT to_regclass('sof.observation_flat') IS NOT NULL");
    match exists.as_str() {
        "t" => server
            .sql("SELECT count(*) FROM sof.observation_flat")
            .parse()
            .unwrap(),
        _ => 0,
    }
}

fn measure_store(
    table: &mut Table,
    scale: &Scale,
    store: &str,
    site: impl Fn() -> Option<Site>,
    is_filled: impl Fn(u64) -> bool,
) {
    for (batch, backlog) in [(10_000, scale.backlog), (50, scale.small_backlog)] {
        let what = format!("{backlog} Observations drained from {store} into Delta, `batchSize` {batch}");
        let Some(site) = site() else {
            table.row(&what, "this build has no such store", "");
            return;
        };
        let drained = drain(&waiting(site, batch, backlog, 1), || is_filled(backlog));
        if let Some(filled) = drained.filled.filter(|_| batch > 50) {
            table.row(
                &format!("the view's SQL table filled with {backlog} Observations from {store}"),
                rate(backlog, filled, "rows"),
                "",
            );
        }
        table.row(&what, rate(drained.changes, drained.spent, "rows"), "");
        table.row(
            "… resident memory of the host, at most",
            format!("{} MiB", drained.peak >> 20),
            "",
        );
        if batch > 50 {
            let (half, most) = (percentile(&drained.asked, 0.5), percentile(&drained.asked, 0.99));
            let found = format!(
                "{:.1} ms, 99 % within {:.1} ms",
                milliseconds(half),
                milliseconds(most)
            );
            table.row(
                &format!("`$status` with {backlog} changes waiting in {store}, counted exactly"),
                found,
                "",
            );
        }
    }
}

/// The row of a long history: the same drain from a log that is ten times as long.
pub(crate) fn measure_history(table: &mut Table, scale: &Scale) {
    let drained = |resources: u64| drain(&waiting(Site::new(""), 10_000, resources, VERSIONS), || true);
    let (short, long) = (drained(scale.history), drained(10 * scale.history));
    let ratio = per_second(long.changes, long.spent) / per_second(short.changes, short.spent);
    table.row(
        &format!(
            "drain with {} rows in the log ÷ with {}, {VERSIONS} versions a resource",
            long.changes, short.changes
        ),
        format!("{ratio:.2}"),
        format!(
            "{} against {}",
            rate(long.changes, long.spent, "rows"),
            rate(short.changes, short.spent, "rows")
        ),
    );
}

/// A site, its destination paused, with Observations in its log that all wait for it.
fn waiting(site: Site, batch: u64, resources: u64, versions: u64) -> Site {
    site.write("observation_flat.json", views::OBSERVATION_FLAT);
    let config = destination(ID, "Observation", "observation_flat", "");
    site.configure(&config.replace("batchSize = 500", &format!("batchSize = {batch}")));
    let host = site.start();
    order(&host, "pause");
    assert!(host.stop().success());
    let resources = Generator::new(1).observations(resources, resources / 10 + 1);
    let path = site.write_ndjson("Observation.ndjson", resources);
    for _ in 0..versions {
        import(&site, &path);
    }
    std::fs::remove_file(path).unwrap();
    site
}

fn order(host: &Host, operation: &str) -> Value {
    host.post(
        &format!("AidboxTopicDestination/{ID}/${operation}"),
        &serde_json::json!({}),
    )
    .expect(200)
    .json()
}

/// Drains what waits once the view's SQL table is filled, which is no part of it.
fn drain(site: &Site, is_filled: impl Fn() -> bool) -> Drained {
    let started = Instant::now();
    let host = site.start();
    let mut filled = None;
    while !is_filled() {
        assert!(
            started.elapsed() < FILLED,
            "the view's SQL table is not filled: {}",
            host.log()
        );
        std::thread::sleep(LOOKED);
        filled = Some(started.elapsed());
    }
    let count = |name: &str| host.status(ID)[name].as_f64().unwrap_or_default() as u64;
    let changes = count("messagesQueued");
    let asked = (0..ASKED).map(|_| asked(&host)).collect();
    let started = Instant::now();
    order(&host, "resume");
    let mut delivered = 0;
    while delivered < changes {
        delivered = wait_for("more to be delivered", || {
            std::thread::sleep(LOOKED);
            let now = count("messagesDelivered");
            (now > delivered || now >= changes).then_some(now)
        });
    }
    Drained {
        changes,
        spent: started.elapsed(),
        peak: host.memory().1,
        asked,
        filled,
    }
}

fn asked(host: &Host) -> Duration {
    let started = Instant::now();
    host.get(&format!("AidboxTopicDestination/{ID}/$status"))
        .expect(200);
    started.elapsed()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
