//! REST insert: durable first, visible later, all or nothing.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::time::Duration;

use databricks_emulator::{Fault, Setting, Surface};
use serde_json::json;
use support::{PATIENTS, Site, rows_of};

fn row(id: &str) -> serde_json::Value {
    json!({"id": id, "ts": 1_775_037_600_000_000_i64, "birth_date": 7319, "gender": "male", "is_deleted": 0})
}

#[tokio::test]
async fn rows_are_durable_before_they_are_visible() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::VisibilityDelay, Setting::milliseconds(1500));
    assert_eq!(site.insert(PATIENTS, json!([row("p-1")])).await.ok(), json!({}));
    assert_eq!(site.count(PATIENTS).await, 0);
    site.until_count(PATIENTS, 1).await;
    let rows = site
        .rows(&format!(
            "SELECT id, ts, CAST(birth_date AS STRING), family_name FROM {PATIENTS}"
        ))
        .await;
    assert_eq!(
        rows,
        json!([["p-1", "2026-04-01T10:00:00.000Z", "1990-01-15", null]])
    );
}

#[tokio::test]
async fn what_was_answered_survives_a_crash_once() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::VisibilityDelay, Setting::milliseconds(600_000));
    site.insert(PATIENTS, json!([row("p-1"), row("p-2")])).await.ok();
    let site = site.crashed().await;
    assert_eq!(site.count(PATIENTS).await, 2);
    let site = site.crashed().await;
    assert_eq!(site.count(PATIENTS).await, 2);
    site.insert(PATIENTS, json!([row("p-3")])).await.ok();
    let site = site.restarted().await;
    assert_eq!(site.count(PATIENTS).await, 3);
}

#[tokio::test]
async fn a_new_column_is_unknown_until_the_schema_cache_has_heard_of_it() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::SchemaCacheDelay, Setting::milliseconds(700));
    let added = site
        .sql(&format!("ALTER TABLE {PATIENTS} ADD COLUMNS (city STRING)"))
        .await;
    rows_of(&added);
    let with_city = json!([{"id": "p-1", "city": "Bonn", "is_deleted": 0}]);
    let refused = site.insert(PATIENTS, with_city.clone()).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.message().contains("unrecognized field name 'city'"),
        "{}",
        refused.text
    );
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(site.insert(PATIENTS, with_city).await.status, 200);
    site.until_count(PATIENTS, 1).await;
    assert_eq!(
        site.rows(&format!("SELECT city FROM {PATIENTS}")).await,
        json!([["Bonn"]])
    );
}

#[tokio::test]
async fn rows_that_wait_while_a_column_is_added_have_null_there() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::VisibilityDelay, Setting::milliseconds(600_000));
    site.insert(PATIENTS, json!([row("p-1")])).await.ok();
    rows_of(
        &site
            .sql(&format!("ALTER TABLE {PATIENTS} ADD COLUMN city STRING"))
            .await,
    );
    site.emulator.flush().await.unwrap();
    assert_eq!(
        site.rows(&format!("SELECT id, city FROM {PATIENTS}")).await,
        json!([["p-1", null]])
    );
}

#[tokio::test]
async fn a_request_over_ten_mebibytes_is_refused() {
    let site = Site::new().await;
    let rows: Vec<_> = (0..11)
        .map(|id| json!({"id": id.to_string(), "gender": "x".repeat(1 << 20)}))
        .collect();
    assert_eq!(site.insert(PATIENTS, json!(rows)).await.status, 400);
}

#[tokio::test]
async fn a_record_over_ten_mebibytes_is_refused_and_one_below_is_not() {
    let site = Site::new().await;
    let record = |length: usize| json!([{"id": "p-1", "gender": "x".repeat(length)}]);
    let refused = site.insert(PATIENTS, record(10 << 20)).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.message().contains("10485760"), "{}", refused.text);
    assert_eq!(site.insert(PATIENTS, record((10 << 20) - 100)).await.status, 200);
    site.until_count(PATIENTS, 1).await;
}

#[tokio::test]
async fn one_bare_object_is_refused_unless_the_switch_takes_it() {
    let site = Site::new().await;
    assert_eq!(site.insert(PATIENTS, row("p-1")).await.status, 400);
    site.emulator.faults().set(Fault::BareObject, Setting::default());
    assert_eq!(site.insert(PATIENTS, row("p-2")).await.ok(), json!({}));
    site.emulator.flush().await.unwrap();
    let ids = site.rows(&format!("SELECT id FROM {PATIENTS}")).await;
    assert_eq!(ids, json!([["p-2"]]));
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let site = Site::new().await;
    let token = site.zerobus_token(PATIENTS).await;
    let refused = site
        .http
        .post(format!(
            "{}/zerobus/v1/tables/{PATIENTS}/insert",
            site.emulator.url()
        ))
        .bearer_auth(&token)
        .header("content-encoding", "gzip")
        .body("[]")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn a_table_in_default_storage_is_refused_unless_the_switch_is_off() {
    let site = Site::new().await;
    let client = site.emulator.options().client_id.clone();
    for (path, body) in [
        ("catalogs", json!({"name": "plain"})),
        ("schemas", json!({"name": "s", "catalog_name": "plain"})),
    ] {
        site.admin("POST", &format!("/api/2.1/unity-catalog/{path}"), Some(body))
            .await
            .ok();
    }
    for sql in [
        "CREATE TABLE plain.s.t (id STRING)".to_owned(),
        format!("GRANT USE CATALOG ON CATALOG plain TO `{client}`"),
        format!("GRANT USE SCHEMA ON SCHEMA plain.s TO `{client}`"),
        format!("GRANT SELECT, MODIFY ON TABLE plain.s.t TO `{client}`"),
    ] {
        rows_of(&site.admin_sql(&sql).await);
    }
    let refused = site.insert("plain.s.t", json!([{"id": "1"}])).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.message().contains("Error Code: 4024, Error State: 0."),
        "{}",
        refused.text
    );
    site.emulator
        .faults()
        .set(Fault::DefaultStorage, Setting::disabled());
    assert_eq!(site.insert("plain.s.t", json!([{"id": "1"}])).await.status, 200);
}

#[tokio::test]
async fn tables_of_other_kinds_are_refused() {
    let site = Site::with_tables(&[
        ("umlaut", "id STRING, `größe` INT"),
        ("hyphen-ated", "id STRING"),
        ("managed", "id STRING"),
    ])
    .await;
    let managed = "ALTER TABLE aidbox_export.fhir.managed SET TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')";
    rows_of(&site.admin_sql(managed).await);
    for table in ["umlaut", "hyphen-ated", "managed"] {
        let refused = site
            .insert(&format!("aidbox_export.fhir.{table}"), json!([{"id": "1"}]))
            .await;
        assert_eq!(refused.status, 501, "{table}: {}", refused.text);
        assert_eq!(refused.json()["error_code"], "NOT_IMPLEMENTED", "{table}");
    }
}

#[tokio::test]
async fn a_dropped_table_takes_its_waiting_rows_with_it() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::VisibilityDelay, Setting::milliseconds(600_000));
    let token = site.zerobus_token(PATIENTS).await;
    site.insert_with(&token, PATIENTS, &json!([row("p-1")]).to_string())
        .await
        .ok();
    rows_of(&site.admin_sql(&format!("DROP TABLE {PATIENTS}")).await);
    assert_eq!(site.insert_with(&token, PATIENTS, "[]").await.status, 404);
    site.emulator.flush().await.unwrap();
}

#[tokio::test]
async fn the_null_sink_counts_and_writes_nothing() {
    let site = Site::new().await;
    site.emulator.faults().set(Fault::NullSink, Setting::default());
    site.insert(PATIENTS, json!([row("p-1"), row("p-2")])).await.ok();
    let counted = site
        .sql(&format!("INSERT INTO {PATIENTS} (id) VALUES ('a'), ('b(')"))
        .await;
    assert_eq!(rows_of(&counted), json!([["2", "2"]]));
    assert_eq!(site.emulator.counters().get("null-rows"), 4);
    site.emulator.faults().clear(Fault::NullSink);
    site.emulator.flush().await.unwrap();
    assert_eq!(site.count(PATIENTS).await, 0);
}

#[tokio::test]
async fn a_duplicate_delivery_writes_the_rows_twice() {
    let site = Site::new().await;
    let faults = site.emulator.faults();
    faults.set(Fault::DuplicateDelivery, Setting::once(Surface::Zerobus));
    site.insert(PATIENTS, json!([row("p-1")])).await.ok();
    site.insert(PATIENTS, json!([row("p-2")])).await.ok();
    faults.set(Fault::DuplicateDelivery, Setting::once(Surface::Sql));
    rows_of(
        &site
            .sql(&format!("INSERT INTO {PATIENTS} (id) VALUES ('p-3')"))
            .await,
    );
    site.emulator.flush().await.unwrap();
    let rows = site
        .rows(&format!(
            "SELECT id, count(*) FROM {PATIENTS} GROUP BY id ORDER BY id"
        ))
        .await;
    assert_eq!(rows, json!([["p-1", "2"], ["p-2", "1"], ["p-3", "2"]]));
}
