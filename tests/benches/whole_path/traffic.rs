//! Writes at a steady pace, as live traffic comes.

use std::time::{Duration, Instant};

use futures::future::join_all;
use lakefeed_sample_data::Generator;

use crate::connection::{Connection, block_on};

/// Connections that share the pace.
const CONNECTIONS: u64 = 16;

/// Writes Observations at so many a second for so long; answers each write's version and when it was answered.
pub(crate) fn steady(base: &str, per_second: u64, time: Duration) -> Vec<(u64, Instant)> {
    let count = per_second * time.as_secs();
    let gap = Duration::from_secs(1) / u32::try_from(per_second).unwrap();
    let started = Instant::now();
    let connection = async |first: u64| {
        let mut connection = Connection::open(base).await;
        let mut answered = Vec::new();
        let bodies: Vec<String> = Generator::new(first)
            .observations(64, 1_000)
            .map(|resource| resource.to_string())
            .collect();
        for number in (first..count).step_by(CONNECTIONS as usize) {
            let due = started + gap * u32::try_from(number).unwrap();
            tokio::time::sleep_until(due.into()).await;
            let body = &bodies[(number / CONNECTIONS) as usize % bodies.len()];
            let path = format!("Observation/live-{number}");
            let version = connection.put(&path, body.as_bytes()).await;
            answered.push((version, Instant::now()));
        }
        answered
    };
    let answered = block_on(join_all((0..CONNECTIONS).map(connection)));
    answered.into_iter().flatten().collect()
}
