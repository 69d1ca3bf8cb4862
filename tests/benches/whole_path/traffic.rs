//! Writes at a steady pace, as live traffic comes.

use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;

use crate::connection::Connection;

/// Connections that share the pace.
const CONNECTIONS: u64 = 8;

/// Writes Observations at so many a second for so long; answers each write's version and when it was answered.
pub(crate) fn steady(base: &str, per_second: u64, time: Duration) -> Vec<(u64, Instant)> {
    let count = per_second * time.as_secs();
    let gap = Duration::from_secs(1) / u32::try_from(per_second).unwrap();
    let started = Instant::now();
    let connection = |first: u64| {
        let mut connection = Connection::open(base);
        let mut answered = Vec::new();
        let bodies: Vec<String> = Generator::new(first)
            .observations(64, 1_000)
            .map(|resource| resource.to_string())
            .collect();
        for number in (first..count).step_by(CONNECTIONS as usize) {
            let due = started + gap * u32::try_from(number).unwrap();
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let body = &bodies[(number / CONNECTIONS) as usize % bodies.len()];
            let version = connection.put(&format!("Observation/live-{number}"), body.as_bytes());
            answered.push((version, Instant::now()));
        }
        answered
    };
    std::thread::scope(|scope| {
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|first| scope.spawn(move || connection(first)))
            .collect();
        connections
            .into_iter()
            .flat_map(|connection| connection.join().unwrap())
            .collect()
    })
}
