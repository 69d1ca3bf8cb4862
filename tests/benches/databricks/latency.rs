//! How long after its answer a change is at the other end, one at a time.

use std::collections::HashMap;
use std::time::Duration;

use lakefeed_sample_data::Generator;

use crate::connection::{Connection, block_on};
use crate::sink::{Sink, now};
use crate::subject::{Way, site, start};
use crate::table::{Table, percentile};

/// How long a destination waits for company of a row.
const INTERVAL_MS: u64 = 1;
/// Between a row at the other end and the next write: the host has come to rest by then.
const GAP: Duration = Duration::from_millis(20);
/// Rows before the first that counts: connections are made and tokens are fetched.
const WARM_UP: u64 = 20;

/// The rows of latency, each beside a bare request to the same sink.
pub(crate) fn measure(table: &mut Table, rows: u64) {
    for way in [Way::Zerobus, Way::SqlWarehouse] {
        let sink = Sink::start();
        let site = site(&sink, &[way], 500, INTERVAL_MS);
        let host = start(&site);
        let answered = write(host.base(), WARM_UP + rows, Clock::WhenAnswered);
        host.wait_until_delivered(way.id());
        let added = waits(&sink, &answered[WARM_UP as usize..]);
        let counted = sink.counted();
        assert!(host.stop().success());

        let bare = Sink::start();
        let sent = write(&format!("http://{}", bare.address()), rows, Clock::WhenSent);
        let own = waits(&bare, &sent);
        table.row(
            &format!(
                "201 answered → row received, `{}`, {rows} rows one at a time, `sendIntervalMs` {INTERVAL_MS}",
                way.id()
            ),
            words(&added),
            format!("a bare request sent → received: {}", words(&own)),
        );
        if counted.requests != counted.rows {
            table.remark(format!(
                "`{}`: {} rows came in {} requests",
                way.id(),
                counted.rows,
                counted.requests
            ));
        }
    }
}

fn words(waits: &[Duration]) -> String {
    let [half, most] = [0.5, 0.99].map(|part| percentile(waits, part).as_secs_f64() * 1e3);
    format!("50 % within {half:.1} ms, 99 % within {most:.1} ms")
}

/// When a write's clock begins.
#[derive(Clone, Copy)]
enum Clock {
    WhenSent,
    WhenAnswered,
}

/// Writes one Observation after the other; answers each one's number and when its clock began.
fn write(base: &str, rows: u64, clock: Clock) -> Vec<(u64, Duration)> {
    let bodies: Vec<String> = Generator::new(1)
        .observations(64, 1_000)
        .map(|resource| resource.to_string())
        .collect();
    block_on(async {
        let mut connection = Connection::open(base).await;
        let mut begun = Vec::new();
        for number in 0..rows {
            let body = &bodies[number as usize % bodies.len()];
            let sent = now();
            connection
                .put(&format!("Observation/live-{number}"), body.as_bytes())
                .await;
            begun.push((
                number,
                match clock {
                    Clock::WhenSent => sent,
                    Clock::WhenAnswered => now(),
                },
            ));
            tokio::time::sleep(GAP).await;
        }
        begun
    })
}

/// How long each row took to the sink; one that was there before its answer came waited for nothing.
fn waits(sink: &Sink, begun: &[(u64, Duration)]) -> Vec<Duration> {
    let received: HashMap<u64, Duration> = sink.stamps().into_iter().collect();
    begun
        .iter()
        .map(|(number, begun)| {
            let at = received.get(number).expect("every row reaches the other end");
            at.saturating_sub(*begun)
        })
        .collect()
}
