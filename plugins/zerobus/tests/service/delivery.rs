//! What becomes of batches when the service answers this or that.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lakefeed_plugin_api::{
    BatchMeta, Category, Check, CheckLevel, PluginError, Retry, TableRef, WriteAck, Writer,
};
use lakefeed_plugin_testkit::meta;
use lakefeed_plugin_zerobus::Zerobus;
use serde_json::json;

use crate::server::{Answer, Service, TABLE};

fn batch(ids: std::ops::Range<u32>) -> (RecordBatch, BatchMeta) {
    let starts: Vec<u64> = (0..u64::from(ids.end - ids.start)).collect();
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(ids.map(|n| format!("p-{n}"))));
    (
        RecordBatch::try_from_iter([("id", column)]).unwrap(),
        meta(1, &starts),
    )
}

async fn opened(service: &Service, changes: serde_json::Value) -> Zerobus {
    let zerobus = service.zerobus(changes);
    let (batch, _) = batch(0..1);
    zerobus
        .open(&TableRef::named(TABLE), batch.schema(), 1)
        .await
        .unwrap();
    zerobus
}

async fn written(zerobus: &Zerobus, ids: std::ops::Range<u32>) -> Result<WriteAck, PluginError> {
    let (batch, meta) = batch(ids);
    zerobus.write(batch, &meta).await
}

fn unknown_field() -> Answer {
    let message = "Record decoder/encoder error: unrecognized field name 'x' at line 1 column 2 Error Code: 4044, Error State: 3.";
    Answer::error(400, "INVALID_PARAMETER_VALUE", message)
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let service = Service::start([Answer::error(401, "UNAUTHENTICATED", "expired")]).await;
    let zerobus = opened(&service, json!({})).await;
    let ack = written(&zerobus, 0..2).await.unwrap();
    assert_eq!((ack.durable_prefix, ack.rows), (2, 2));
    assert_eq!(service.seen.lock().unwrap().tokens, ["t1", "t2"]);

    let twice = [
        Answer::error(401, "UNAUTHENTICATED", ""),
        Answer::error(401, "UNAUTHENTICATED", ""),
    ];
    let service = Service::start(twice).await;
    let error = written(&opened(&service, json!({})).await, 0..2)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.retry),
        ("ZEROBUS-014", Retry::RefreshAuth)
    );
}

#[tokio::test]
async fn a_pace_that_is_asked_for_reaches_the_host() {
    let mut throttled = Answer::error(429, "RESOURCE_EXHAUSTED", "");
    throttled.headers.push(("retry-after".into(), "7".into()));
    let service = Service::start([throttled]).await;
    let error = written(&opened(&service, json!({})).await, 0..2)
        .await
        .unwrap_err();
    assert_eq!(
        (error.retry, error.retry_after),
        (Retry::After, Some(Duration::from_secs(7)))
    );
    assert!(!error.outcome_unknown);
}

#[tokio::test]
async fn an_unknown_column_starts_the_drift_loop_and_is_then_waited_for() {
    let service = Service::start([unknown_field(), unknown_field()]).await;
    let zerobus = opened(&service, json!({})).await;
    let first = written(&zerobus, 0..1).await.unwrap_err();
    assert_eq!(
        (first.category, first.retry),
        (Category::SchemaMismatch, Retry::EvolveThenRetry)
    );
    zerobus.evolve(batch(0..1).0.schema(), 2).await.unwrap();
    let second = written(&zerobus, 0..1).await.unwrap_err();
    assert_eq!(second.retry, Retry::After);
    assert_eq!(written(&zerobus, 0..1).await.unwrap().durable_prefix, 1);

    let service = Service::start([unknown_field()]).await;
    let zerobus = opened(&service, json!({"schemaCacheMs": 0})).await;
    zerobus.evolve(batch(0..1).0.schema(), 2).await.unwrap();
    let late = written(&zerobus, 0..1).await.unwrap_err();
    assert_eq!(late.retry, Retry::EvolveThenRetry);
}

#[tokio::test]
async fn only_what_is_durable_without_a_gap_is_told_and_nothing_is_sent_twice() {
    // Four requests of 256 changes: the second fails, the third and fourth may be durable by then.
    let good = Answer {
        status: 200,
        headers: Vec::new(),
        body: String::new(),
    };
    let script = [
        good.clone(),
        Answer::error(503, "TEMPORARILY_UNAVAILABLE", ""),
        good.clone(),
        good,
    ];
    let service = Service::start(script).await;
    let zerobus = opened(&service, json!({"maxInFlight": 4})).await;
    let (all, whole) = batch(0..1_024);
    let answer = zerobus.write(all.clone(), &whole).await;
    let told = answer.as_ref().map_or(0, |ack| ack.durable_prefix) as usize;
    assert!(told < 1_024 && told.is_multiple_of(256), "{answer:?}");
    assert_eq!(service.ids().len(), 768);
    let rest = BatchMeta {
        change_starts: (0..(1_024 - told) as u64).collect(),
        last_offset: whole.last_offset,
        ..meta(2, &[])
    };
    let ack = zerobus.write(all.slice(told, 1_024 - told), &rest).await.unwrap();
    assert_eq!(ack.durable_prefix as usize, 1_024 - told);
    let mut ids = service.ids();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), service.ids().len()), (1_024, 1_024));
}

#[tokio::test]
async fn what_the_service_says_of_rows_stays_out_of_messages_and_logs() {
    let service = Service::start([Answer::error(
        400,
        "INVALID_PARAMETER_VALUE",
        "bad value 'Jane Doe' Error Code: 4044",
    )])
    .await;
    let error = written(&opened(&service, json!({})).await, 0..1)
        .await
        .unwrap_err();
    assert_eq!(error.category, Category::DataRejected);
    assert!(error.detail.contains("Jane"));
    assert!(!error.to_string().contains("Jane"));
    assert!(!format!("{:?}", service.host.logs()).contains("Jane"));
}

#[tokio::test]
async fn a_table_that_is_missing_is_told_when_the_writer_opens() {
    let service = Service::start([]).await;
    let zerobus = service.zerobus(json!({"tableName": "a.b.c"}));
    let error = zerobus
        .open(&TableRef::default(), batch(0..1).0.schema(), 1)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.retry),
        ("ZEROBUS-001", Retry::EvolveThenRetry)
    );
}

#[tokio::test]
async fn a_service_that_is_not_there_has_certainly_taken_nothing() {
    let service = Service::start([]).await;
    let zerobus = opened(&service, json!({"endpoint": "http://127.0.0.1:1"})).await;
    let error = written(&zerobus, 0..1).await.unwrap_err();
    assert_eq!(
        (error.category, error.outcome_unknown),
        (Category::RemoteUnavailable, false)
    );
}

#[tokio::test]
async fn a_check_of_the_parameters_asks_nobody() {
    let service = Service::start([]).await;
    let report = service.zerobus(json!({})).check(CheckLevel::Config).await;
    assert!(report.is_good());
    assert_eq!(report.items.len(), 1);
}
