//! `$status` as a FHIR `Parameters` resource: the documented members by name, type and order, then additions.

use serde_json::{Value, json};

use super::DestinationStatus;
use crate::log::{HeldBack, LastError};

impl DestinationStatus {
    /// The answer of `GET /fhir/AidboxTopicDestination/{id}/$status`.
    pub fn parameters(&self) -> Value {
        let mut parameter = self.documented();
        parameter.extend(self.additions());
        json!({ "resourceType": "Parameters", "parameter": parameter })
    }

    fn documented(&self) -> Vec<Value> {
        let counters = &self.record.counters;
        let started = self
            .live
            .as_ref()
            .map_or(self.record.created_at, |live| live.started_at);
        let mut parameter = vec![
            string("status", "active"),
            json!({ "name": "startTimestamp", "valueDateTime": started.to_string() }),
            count("messagesDelivered", counters.delivered),
            count("messagesDeliveryAttempts", counters.attempts),
            count("messagesInProcess", self.in_process()),
            count("messagesQueued", self.queued),
        ];
        parameter.extend(self.record.last_errors.iter().map(last_error));
        // Live delivery alone has nothing to copy first.
        parameter.push(string("initialExportStatus", "skipped"));
        parameter
    }

    fn additions(&self) -> Vec<Value> {
        let counters = &self.record.counters;
        let mut parameter = vec![string("state", self.state_name())];
        parameter.extend(self.halt_reason().map(|reason| string("stateReason", &reason)));
        parameter.extend(
            self.live
                .as_ref()
                .map(|live| string("workerState", live.state.as_str())),
        );
        parameter.extend([
            count("rowsDelivered", counters.rows),
            count("messagesSkipped", counters.skipped),
            count("deadLetters", counters.dead_letters),
            count("possibleDuplicates", counters.possible_duplicates),
            count("partialDates", counters.partial_dates),
            decimal("lagSeconds", self.lag_seconds),
            decimal(
                "messagesPerSecond",
                self.live.as_ref().map_or(0.0, |live| live.changes_per_second),
            ),
            string("offset", &self.record.offset.to_string()),
            string("logEnd", &self.head.to_string()),
            count("generation", self.record.generation),
            count(
                "workerRestarts",
                self.live.as_ref().map_or(0, |live| live.restarts),
            ),
        ]);
        parameter.extend(self.held_back.as_ref().map(held_back));
        parameter
    }
}

fn string(name: &str, value: &str) -> Value {
    json!({ "name": name, "valueString": value })
}

fn count(name: &str, value: u64) -> Value {
    json!({ "name": name, "valueDecimal": value })
}

/// To the thousandth, which is more than anybody reads.
fn decimal(name: &str, value: f64) -> Value {
    json!({ "name": name, "valueDecimal": (value * 1_000.0).round() / 1_000.0 })
}

fn held_back(held: &HeldBack) -> Value {
    json!({ "name": "heldBack", "part": [
        { "name": "reason", "valueString": held.reason },
        { "name": "since", "valueDateTime": held.since.to_string() },
    ] })
}

fn last_error(error: &LastError) -> Value {
    json!({ "name": "lastErrorDetail", "part": [
        { "name": "message", "valueString": error.message },
        { "name": "timestamp", "valueDateTime": error.at.to_string() },
        { "name": "code", "valueString": error.code },
    ] })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::change::{Offset, Timestamp};
    use crate::log::{Counters, DestinationRecord, DestinationState};
    use crate::status::{LiveState, LiveStatus, prometheus};

    fn status() -> DestinationStatus {
        let offset = |sequence| Offset {
            transaction: 0,
            sequence,
        };
        DestinationStatus {
            record: DestinationRecord {
                id: "patients".into(),
                uuid: Uuid::nil(),
                generation: 1,
                start: Offset::START,
                offset: offset(7),
                next_batch: 3,
                planned: None,
                state: DestinationState::Active,
                counters: Counters {
                    delivered: 6,
                    attempts: 8,
                    rows: 6,
                    dead_letters: 1,
                    ..Counters::default()
                },
                last_errors: vec![LastError {
                    at: Timestamp(1_000_000),
                    code: "T-001".into(),
                    message: "the target is away".into(),
                }],
                created_at: Timestamp(0),
                acked_at: None,
            },
            live: Some(LiveStatus {
                state: LiveState::Running,
                started_at: Timestamp(2_000_000),
                in_process: 2,
                changes_per_second: 0.25,
                restarts: 0,
            }),
            queued: 3,
            lag_seconds: 1.5,
            head: offset(10),
            held_back: None,
        }
    }

    #[test]
    fn the_documented_members_come_first_by_name_type_and_order() {
        let answer = status().parameters();
        let documented = &answer["parameter"].as_array().unwrap()[..8];
        let expected = json!([
            { "name": "status", "valueString": "active" },
            { "name": "startTimestamp", "valueDateTime": "1970-01-01T00:00:02.000000Z" },
            { "name": "messagesDelivered", "valueDecimal": 6 },
            { "name": "messagesDeliveryAttempts", "valueDecimal": 8 },
            { "name": "messagesInProcess", "valueDecimal": 2 },
            { "name": "messagesQueued", "valueDecimal": 3 },
            { "name": "lastErrorDetail", "part": [
                { "name": "message", "valueString": "the target is away" },
                { "name": "timestamp", "valueDateTime": "1970-01-01T00:00:01.000000Z" },
                { "name": "code", "valueString": "T-001" },
            ] },
            { "name": "initialExportStatus", "valueString": "skipped" },
        ]);
        assert_eq!(json!(documented), expected);
    }

    #[test]
    fn a_halted_destination_says_why_while_its_documented_status_stays_active() {
        let mut status = status();
        let message = "the table lacks a column".to_owned();
        status.record.state = DestinationState::Halted {
            code: "DELIVERY-002".into(),
            message,
        };
        let text = status.parameters().to_string();
        assert!(text.contains(r#"{"name":"status","valueString":"active"}"#));
        assert!(text.contains(r#"{"name":"state","valueString":"halted"}"#));
        assert!(text.contains("the table lacks a column [DELIVERY-002]"));
    }

    #[test]
    fn what_holds_delivery_back_is_said_behind_the_documented_members() {
        let held_back = Some(HeldBack {
            reason: "a transaction of process 7 is open".into(),
            since: Timestamp(0),
        });
        let status = DestinationStatus {
            held_back,
            ..status()
        };
        let answer = status.parameters();
        let expected = json!({ "name": "heldBack", "part": [
            { "name": "reason", "valueString": "a transaction of process 7 is open" },
            { "name": "since", "valueDateTime": "1970-01-01T00:00:00.000000Z" },
        ] });
        assert_eq!(answer["parameter"].as_array().unwrap().last(), Some(&expected));
    }

    #[test]
    fn progress_is_the_share_of_what_is_settled() {
        assert_eq!(status().summary().progress, 0.7);
    }

    #[test]
    fn metrics_have_the_documented_names_and_one_line_a_destination() {
        let text = prometheus(&[status()]);
        assert!(text.contains("# TYPE aidbox_topic_destination_messages_delivered counter\n"));
        assert!(text.contains("\naidbox_topic_destination_messages_delivered{destination=\"patients\"} 6\n"));
        assert!(text.contains("\naidbox_topic_destination_messages_queued{destination=\"patients\"} 3\n"));
        assert!(
            text.contains("\naidbox_topic_destination_messages_in_process{destination=\"patients\"} 2\n")
        );
        assert!(text.contains("\nlakefeed_destination_lag_seconds{destination=\"patients\"} 1.5\n"));
    }
}
