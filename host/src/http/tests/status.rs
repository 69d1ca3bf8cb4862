//! 1.5 `$status`: a test a row, over a destination that delivered, failed and has changes waiting.

use serde_json::{Value, json};

use super::Host;
use crate::change::Timestamp;
use crate::log::{Ack, Counters, LastError};

const PATH: &str = "/fhir/AidboxTopicDestination/d/$status";

/// A destination with one change delivered in three attempts, two waiting, and seven errors.
async fn with_destination() -> Host {
    let host = Host::start().await;
    host.stored_destination().await;
    host.put_patient("a", "Ash").await;
    let (fence, _) = host.log.take_destination("d").await.unwrap();
    let through = *host.log.head().borrow();
    let ack = Ack {
        through,
        counters: Counters {
            delivered: 1,
            attempts: 3,
            ..Counters::default()
        },
        ..Ack::default()
    };
    host.log.ack("d", fence, ack).await.unwrap();
    for number in 1..=7 {
        let error = LastError {
            at: Timestamp(number),
            code: "T-001".to_owned(),
            message: format!("failure {number}"),
        };
        let counters = Counters::default();
        host.log
            .record_failure("d", fence, error, counters)
            .await
            .unwrap();
    }
    host.put_patient("a", "Birch").await;
    host.put_patient("b", "Cedar").await;
    host
}

/// All parameters of a name.
async fn all(host: &Host, name: &str) -> Vec<Value> {
    let answer = host.get(PATH).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["resourceType"], "Parameters");
    let list = json["parameter"].as_array().unwrap().clone();
    let mut list = list.into_iter();
    list.by_ref()
        .filter(|parameter| parameter["name"] == name)
        .collect()
}

async fn check(name: &str, expect: Value) {
    let host = with_destination().await;
    let mut found = all(&host, name).await;
    for parameter in &mut found {
        parameter.as_object_mut().unwrap().remove("name");
    }
    assert_eq!(Value::Array(found), expect, "{name}");
    host.stop().await;
}

#[tokio::test]
async fn status_is_the_constant_active() {
    check("status", json!([{"valueString": "active"}])).await;
}

#[tokio::test]
async fn start_timestamp_is_a_date_time() {
    let host = with_destination().await;
    let found = all(&host, "startTimestamp").await;
    let text = found[0]["valueDateTime"].as_str().unwrap();
    assert!(Timestamp::parse(text).is_some(), "{text}");
    host.stop().await;
}

#[tokio::test]
async fn messages_delivered_is_a_decimal() {
    check("messagesDelivered", json!([{"valueDecimal": 1}])).await;
}

#[tokio::test]
async fn messages_delivery_attempts_counts_all_attempts() {
    check("messagesDeliveryAttempts", json!([{"valueDecimal": 3}])).await;
}

#[tokio::test]
async fn messages_in_process_is_a_decimal() {
    check("messagesInProcess", json!([{"valueDecimal": 0}])).await;
}

#[tokio::test]
async fn messages_queued_is_counted_from_the_store() {
    check("messagesQueued", json!([{"valueDecimal": 2}])).await;
}

#[tokio::test]
async fn messages_lost_and_the_batch_counters_are_of_other_kinds() {
    for name in [
        "messagesLost",
        "messageBatchesDelivered",
        "messageBatchesDeliveryAttempts",
    ] {
        check(name, json!([])).await;
    }
}

#[tokio::test]
async fn last_error_detail_is_the_newest_five_with_message_and_timestamp() {
    let host = with_destination().await;
    let found = all(&host, "lastErrorDetail").await;
    let told: Vec<String> = found
        .iter()
        .map(|error| {
            let part = &error["part"];
            assert_eq!(
                (&part[0]["name"], &part[1]["name"]),
                (&"message".into(), &"timestamp".into())
            );
            assert!(part[1]["valueDateTime"].is_string());
            part[0]["valueString"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        told,
        ["failure 7", "failure 6", "failure 5", "failure 4", "failure 3"]
    );
    host.stop().await;
}

#[tokio::test]
async fn initial_export_status_is_skipped_where_live_delivery_is_all() {
    check("initialExportStatus", json!([{"valueString": "skipped"}])).await;
}

#[tokio::test]
async fn initial_export_rows_sent_and_error_are_there_only_with_an_export() {
    for name in ["initialExportProgress_rowsSent", "initialExportError"] {
        check(name, json!([])).await;
    }
}

#[tokio::test]
async fn the_counters_are_the_same_for_a_destination_that_nobody_runs() {
    // No worker holds it here: another host would ask for the same row of the store.
    let host = with_destination().await;
    let again = all(&host, "messagesDelivered").await;
    assert_eq!(again, all(&host, "messagesDelivered").await);
    host.stop().await;
}

#[tokio::test]
async fn a_destination_that_is_not_there_is_404_and_a_post_405() {
    let host = Host::start().await;
    assert_eq!(host.get(PATH).await.outcome(), "404 not-found");
    assert_eq!(
        host.ask(&format!("POST {PATH}"), "").await.outcome(),
        "405 not-supported"
    );
    host.stop().await;
}
