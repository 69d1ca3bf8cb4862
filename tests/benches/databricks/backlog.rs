//! Observations that waited, drained into nothing.

use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;
use lakefeed_tests::{Site, wait_for};

use crate::sink::{Counted, Sink};
use crate::subject::{Way, order, site, start};
use crate::table::{Table, rate};

const BATCH: u64 = 5_000;
const WAYS: [Way; 3] = [Way::Ndjson, Way::Zerobus, Way::SqlWarehouse];

/// What a drain took.
struct Drained {
    spent: Duration,
    /// What the host's threads worked meanwhile.
    worked: Duration,
    /// The most resident memory that the host ever had.
    peak: u64,
    /// What the other end got and did meanwhile.
    sink: Counted,
}

/// The rows of the backlog, each beside the same backlog written to a file.
pub(crate) fn measure(table: &mut Table, rows: u64) {
    let sink = Sink::start();
    let site = waiting(&sink, rows);
    let mut peer = String::new();
    for way in WAYS {
        let drained = drain(&site, &sink, way, rows);
        let found = rate(rows, drained.spent, "rows");
        let what = format!(
            "{rows} Observations drained by `{}`, `batchSize` {BATCH}",
            way.id()
        );
        match way {
            Way::Ndjson => {
                peer = format!("`ndjson`, to a file: {found}");
                table.row(&what, found, "");
            }
            Way::Zerobus => table.row(&format!("{what}, `maxInFlight` 4"), found, peer.as_str()),
            Way::SqlWarehouse => table.row(&what, found, peer.as_str()),
        }
        table.row("… processors at work", work(&drained, rows), "");
        table.row(
            "… resident memory of the host, at most",
            format!("{} MiB", drained.peak >> 20),
            "",
        );
        if way != Way::Ndjson {
            let sink = &drained.sink;
            table.row(
                "… what reached the other end",
                format!(
                    "{} requests of {} rows, {} bytes a row, {} tokens",
                    sink.requests,
                    sink.rows / sink.requests.max(1),
                    sink.bytes / sink.rows.max(1),
                    sink.tokens
                ),
                "",
            );
        }
    }
}

fn work(drained: &Drained, rows: u64) -> String {
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / rows as f64;
    format!(
        "{:.1} µs a row by the host, {:.1} by the other end; {:.2} processors busy",
        micros(drained.worked),
        micros(drained.sink.worked),
        (drained.worked + drained.sink.worked).as_secs_f64() / drained.spent.as_secs_f64()
    )
}

/// A site, its destinations paused, with Observations in its log that wait for all of them.
fn waiting(sink: &Sink, rows: u64) -> Site {
    let site = site(sink, &WAYS, BATCH, 1_000);
    let host = start(&site);
    WAYS.iter().for_each(|way| order(&host, *way, "pause"));
    assert!(host.stop().success());
    let resources = Generator::new(1).observations(rows, rows / 10 + 1);
    let path = site.write_ndjson("Observation.ndjson", resources);
    site.run(&["import", path.to_str().unwrap()]).succeeded();
    std::fs::remove_file(path).unwrap();
    site
}

/// Drains one destination; the clock stands when its last row is durable and counted.
fn drain(site: &Site, sink: &Sink, way: Way, rows: u64) -> Drained {
    let host = start(site);
    let before = sink.counted();
    let worked = host.processor_time();
    let started = Instant::now();
    order(&host, way, "resume");
    let mut delivered = 0;
    while delivered < rows {
        // Patience is for the next rows, not for all of them.
        delivered = wait_for("more to be delivered", || {
            std::thread::sleep(Duration::from_millis(80));
            let now = host.status(way.id())["messagesDelivered"].as_f64()? as u64;
            (now > delivered).then_some(now)
        });
    }
    let spent = started.elapsed();
    let drained = Drained {
        spent,
        worked: host.processor_time() - worked,
        peak: host.memory().1,
        sink: sink.counted().since(&before),
    };
    if way != Way::Ndjson {
        assert_eq!(drained.sink.rows, rows, "each row reaches the other end once");
    }
    // It is to have no part in the next drain.
    order(&host, way, "pause");
    assert!(host.stop().success());
    drained
}
