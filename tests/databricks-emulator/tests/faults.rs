//! Every switch, set over HTTP.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{PATIENTS, Site, class_of, rows_of};

const STATEMENTS: &str = "/api/2.0/sql/statements";

async fn set(site: &Site, name: &str, setting: Value) {
    site.admin("PUT", &format!("/emulator/faults/{name}"), Some(setting))
        .await
        .ok();
}

fn select(site: &Site) -> Value {
    json!({"warehouse_id": site.emulator.options().warehouse_id, "statement": "SELECT 1", "wait_timeout": "50s"})
}

#[tokio::test]
async fn an_unknown_switch_or_setting_is_refused() {
    let site = Site::bare().await;
    assert_eq!(
        site.admin("PUT", "/emulator/faults/nosuch", Some(json!({})))
            .await
            .status,
        404
    );
    assert_eq!(
        site.admin("PUT", "/emulator/faults/slow", Some(json!({"seconds": "x"})))
            .await
            .status,
        400
    );
    set(&site, "slow", json!({"milliseconds": 1})).await;
    let on = site.admin("GET", "/emulator/faults", None).await.ok();
    assert_eq!(on, json!({"slow": {"milliseconds": 1}}));
    site.admin("DELETE", "/emulator/faults", None).await.ok();
    assert_eq!(site.admin("GET", "/emulator/faults", None).await.ok(), json!({}));
}

#[tokio::test]
async fn a_refusal_comes_as_often_as_the_switch_says() {
    let site = Site::new().await;
    for (name, setting, status) in [
        ("unauthorized", json!({"surface": "sql", "times": 1}), 401),
        ("forbidden", json!({"surface": "sql", "times": 1}), 403),
        (
            "throttled",
            json!({"surface": "sql", "times": 1, "retryAfter": 7}),
            429,
        ),
        ("server-error", json!({"surface": "sql", "times": 1}), 503),
        (
            "server-error",
            json!({"surface": "sql", "times": 1, "status": 500}),
            500,
        ),
        ("html", json!({"surface": "sql", "times": 1}), 502),
    ] {
        set(&site, name, setting).await;
        let refused = site.client("POST", STATEMENTS, Some(select(&site))).await;
        assert_eq!(refused.status, status, "{name}");
        if name == "throttled" {
            assert_eq!(refused.headers["retry-after"], "7");
        }
        if name == "html" {
            assert!(refused.text.starts_with("<!doctype html>"));
        }
        assert_eq!(
            site.client("POST", STATEMENTS, Some(select(&site))).await.status,
            200,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_dropped_connection_has_done_nothing_or_everything() {
    let site = Site::new().await;
    let token = site.zerobus_token(PATIENTS).await;
    let path = format!("/zerobus/v1/tables/{PATIENTS}/insert");
    for (name, count) in [("drop-before", 0), ("drop-after", 1)] {
        set(&site, name, json!({"surface": "zerobus", "times": 1})).await;
        let body = json!([{"id": name, "is_deleted": 0}]).to_string();
        let broken = site.try_send("POST", &path, Some(&token), Some(body)).await;
        assert!(broken.is_err(), "{broken:?}");
        site.emulator.flush().await.unwrap();
        let rows = site
            .rows(&format!("SELECT count(*) FROM {PATIENTS} WHERE id = '{name}'"))
            .await;
        assert_eq!(rows, json!([[count.to_string()]]), "{name}");
    }
    let dropped = site
        .emulator
        .requests()
        .all()
        .into_iter()
        .filter(|request| request.status == 0);
    assert_eq!(dropped.count(), 2);
}

#[tokio::test]
async fn a_truncated_answer_breaks_off() {
    let site = Site::new().await;
    let token = site.plain_token().await;
    set(&site, "truncated", json!({"surface": "sql", "times": 1})).await;
    let broken = site
        .try_send("POST", STATEMENTS, Some(&token), Some(select(&site).to_string()))
        .await;
    assert!(broken.is_err(), "{broken:?}");
}

#[tokio::test]
async fn a_slow_answer_comes_late() {
    let site = Site::new().await;
    set(
        &site,
        "slow",
        json!({"surface": "sql", "times": 1, "milliseconds": 400}),
    )
    .await;
    let start = Instant::now();
    site.client("POST", STATEMENTS, Some(select(&site))).await.ok();
    assert!(start.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_statement_fails_with_the_class_of_the_switch() {
    let site = Site::new().await;
    let setting = json!({"times": 1, "class": "DELTA_CONCURRENT_APPEND", "sqlState": "2D521"});
    set(&site, "statement-failed", setting).await;
    assert_eq!(
        class_of(&site.sql("SELECT 1").await),
        ("DELTA_CONCURRENT_APPEND".to_owned(), "2D521".to_owned())
    );
    rows_of(&site.sql("SELECT 1").await);
}

#[tokio::test]
async fn the_clock_the_log_and_the_counters_are_there_over_http() {
    let site = Site::new().await;
    let token = site.plain_token().await;
    rows_of(&site.sql_as(&token, "SELECT 1").await);
    let counters = site.admin("GET", "/emulator/counters", None).await.ok();
    assert_eq!(
        (&counters["mints"], &counters["statements:SELECT"]),
        (&json!(1), &json!(1))
    );
    let requests = site.admin("GET", "/emulator/requests", None).await.ok();
    assert_eq!(
        requests[1],
        json!({"method": "POST", "path": STATEMENTS, "status": 200})
    );
    assert!(!requests.to_string().contains(&token));
    site.admin("POST", "/emulator/clock/advance", Some(json!({"seconds": 3601})))
        .await
        .ok();
    assert_eq!(
        site.send("POST", STATEMENTS, &token, Some(select(&site)))
            .await
            .status,
        403
    );
    let token = site.plain_token().await;
    site.admin("POST", "/emulator/tokens/expire", None).await.ok();
    assert_eq!(
        site.send("POST", STATEMENTS, &token, Some(select(&site)))
            .await
            .status,
        403
    );
    let folder = site
        .admin("GET", &format!("/emulator/tables/{PATIENTS}"), None)
        .await
        .ok();
    assert!(
        std::path::Path::new(folder["folder"].as_str().unwrap())
            .join("_delta_log")
            .is_dir()
    );
}
