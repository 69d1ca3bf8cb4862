//! The destinations' numbers in Prometheus' text format.

use std::fmt::Write;

use super::DestinationStatus;

/// One metric: its name, kind and help, and its value for a destination.
type Metric = (
    &'static str,
    &'static str,
    &'static str,
    fn(&DestinationStatus) -> f64,
);

/// The first three bear Aidbox's names; the others are additions.
const METRICS: [Metric; 11] = [
    (
        "aidbox_topic_destination_messages_delivered",
        "counter",
        "Changes delivered.",
        |status| status.record.counters.delivered as f64,
    ),
    (
        "aidbox_topic_destination_messages_queued",
        "gauge",
        "Changes that wait.",
        |status| status.queued as f64,
    ),
    (
        "aidbox_topic_destination_messages_in_process",
        "gauge",
        "Changes being written.",
        |status| status.in_process() as f64,
    ),
    (
        "lakefeed_destination_attempts_total",
        "counter",
        "Attempts to deliver a change.",
        |status| status.record.counters.attempts as f64,
    ),
    (
        "lakefeed_destination_rows_total",
        "counter",
        "Rows delivered.",
        |status| status.record.counters.rows as f64,
    ),
    (
        "lakefeed_destination_bytes_total",
        "counter",
        "Bytes of rows delivered.",
        |status| status.record.counters.bytes as f64,
    ),
    (
        "lakefeed_destination_dead_letters_total",
        "counter",
        "Changes set aside.",
        |status| status.record.counters.dead_letters as f64,
    ),
    (
        "lakefeed_destination_possible_duplicates_total",
        "counter",
        "Changes sent again after an attempt with an unknown end.",
        |status| status.record.counters.possible_duplicates as f64,
    ),
    (
        "lakefeed_destination_restarts_total",
        "counter",
        "Starts of the worker after a crash.",
        |status| status.live.as_ref().map_or(0.0, |live| live.restarts as f64),
    ),
    (
        "lakefeed_destination_lag_seconds",
        "gauge",
        "How long the oldest waiting change waits.",
        |status| status.lag_seconds,
    ),
    (
        "lakefeed_destination_halted",
        "gauge",
        "Whether an operator must act.",
        |status| f64::from(u8::from(status.state_name() == "halted")),
    ),
];

/// All metrics of all destinations. Ids are the only labels; no number tells of a patient.
pub fn prometheus(statuses: &[DestinationStatus]) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in METRICS {
        let mut lines = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for status in statuses {
            // Writing to a string does not fail.
            _ = writeln!(
                lines,
                "{name}{{destination=\"{}\"}} {}",
                status.record.id,
                value(status)
            );
        }
        text.push_str(&lines);
    }
    text
}
