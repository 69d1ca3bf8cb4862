//! Every switch, set over HTTP.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, PATIENTS, Site, class_of, rows_of};

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

/// A request to a surface, with tokens that stay valid.
async fn ask(site: &Site, surface: &str, tokens: &[String; 2]) -> Answer {
    let insert = format!("/zerobus/v1/tables/{PATIENTS}/insert");
    let table = format!("/api/2.1/unity-catalog/tables/{PATIENTS}");
    let [plain, zerobus] = tokens;
    match surface {
        "zerobus" => site.send("POST", &insert, zerobus, Some(json!([]))).await,
        "sql" => site.send("POST", STATEMENTS, plain, Some(select(site))).await,
        "catalog" => site.send("GET", &table, plain, None).await,
        _ => {
            site.mint(&[("grant_type", "client_credentials"), ("scope", "all-apis")])
                .await
        }
    }
}

async fn tokens(site: &Site) -> [String; 2] {
    [site.plain_token().await, site.zerobus_token(PATIENTS).await]
}

#[tokio::test]
async fn each_refusal_reaches_the_surface_that_it_is_set_for_and_no_other() {
    let site = Site::new().await;
    let tokens = tokens(&site).await;
    let surfaces = ["zerobus", "sql", "catalog", "token"];
    for (name, status) in [
        ("unauthorized", 401),
        ("forbidden", 403),
        ("throttled", 429),
        ("server-error", 503),
        ("html", 502),
    ] {
        for surface in surfaces {
            set(&site, name, json!({"surface": surface, "times": 1})).await;
            for other in surfaces.into_iter().filter(|other| *other != surface) {
                assert_eq!(ask(&site, other, &tokens).await.status, 200, "{name} {other}");
            }
            let refused = ask(&site, surface, &tokens).await;
            assert_eq!(refused.status, status, "{name} {surface}");
            for header in ["x-request-id", "x-databricks-org-id"] {
                assert!(refused.headers.contains_key(header), "{name} {surface}: {header}");
            }
            assert_eq!(ask(&site, surface, &tokens).await.status, 200, "{name} {surface}");
        }
    }
}

#[tokio::test]
async fn a_burst_lasts_as_long_as_it_is_set_to() {
    let site = Site::new().await;
    let tokens = tokens(&site).await;
    let burst = json!({"surface": "zerobus", "times": 3, "after": 1, "status": 500, "retryAfter": 1});
    set(&site, "server-error", burst).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(ask(&site, "zerobus", &tokens).await.status);
    }
    assert_eq!(statuses, [200, 500, 500, 500, 200]);
}

#[tokio::test]
async fn a_token_that_expires_mid_run_is_refused_until_there_is_a_new_one() {
    let site = Site::new().await;
    let old = tokens(&site).await;
    for surface in ["zerobus", "sql", "catalog"] {
        assert_eq!(ask(&site, surface, &old).await.status, 200, "{surface}");
    }
    site.admin("POST", "/emulator/tokens/expire", None).await.ok();
    for (surface, status) in [("zerobus", 401), ("sql", 403), ("catalog", 403)] {
        assert_eq!(ask(&site, surface, &old).await.status, status, "{surface}");
    }
    let new = tokens(&site).await;
    for surface in ["zerobus", "sql", "catalog"] {
        assert_eq!(ask(&site, surface, &new).await.status, 200, "{surface}");
    }
}

#[tokio::test]
async fn a_denied_grant_is_missed_by_name_wherever_it_is_needed() {
    let site = Site::new().await;
    let tokens = tokens(&site).await;
    set(
        &site,
        "denied-grant",
        json!({"privilege": "MODIFY", "object": PATIENTS}),
    )
    .await;
    let refused = ask(&site, "zerobus", &tokens).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.message().contains("missing MODIFY privilege"),
        "{refused:?}"
    );
    assert_eq!(site.mint_zerobus(PATIENTS).await.status, 401);
    let told = site
        .sql(&format!("INSERT INTO {PATIENTS} (id) VALUES ('a')"))
        .await;
    assert_eq!(class_of(&told).0, "INSUFFICIENT_PERMISSIONS");
    let message = told["status"]["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("MODIFY on Table 'aidbox_export.fhir.patients'"),
        "{message}"
    );
    rows_of(&site.sql(&format!("SELECT id FROM {PATIENTS}")).await);
    set(&site, "denied-grant", json!({"privilege": "CAN_USE"})).await;
    assert_eq!(ask(&site, "sql", &tokens).await.status, 403);
    site.admin("DELETE", "/emulator/faults/denied-grant", None)
        .await
        .ok();
    assert_eq!(ask(&site, "zerobus", &tokens).await.status, 200);
}

#[tokio::test]
async fn a_statement_whose_connection_drops_has_done_nothing_or_everything() {
    let site = Site::new().await;
    let token = site.plain_token().await;
    for (name, count) in [("drop-before", "0"), ("drop-after", "1")] {
        set(&site, name, json!({"surface": "sql", "times": 1})).await;
        let mut body = select(&site);
        body["statement"] = json!(format!("INSERT INTO {PATIENTS} (id) VALUES ('{name}')"));
        let broken = site
            .try_send("POST", STATEMENTS, Some(&token), Some(body.to_string()))
            .await;
        assert!(broken.is_err(), "{broken:?}");
        let rows = site
            .rows(&format!("SELECT count(*) FROM {PATIENTS} WHERE id = '{name}'"))
            .await;
        assert_eq!(rows, json!([[count]]), "{name}");
    }
}

#[tokio::test]
async fn rows_whose_answer_is_late_or_cut_are_there_all_the_same() {
    let site = Site::new().await;
    let token = site.zerobus_token(PATIENTS).await;
    let path = format!("{}/zerobus/v1/tables/{PATIENTS}/insert", site.emulator.url());
    for (name, setting) in [
        (
            "slow",
            json!({"surface": "zerobus", "times": 1, "milliseconds": 60_000}),
        ),
        ("truncated", json!({"surface": "zerobus", "times": 1})),
    ] {
        set(&site, name, setting).await;
        let request = site
            .http
            .post(&path)
            .bearer_auth(&token)
            .timeout(Duration::from_millis(1500))
            .body(json!([{"id": name, "is_deleted": 0}]).to_string());
        let answered = match request.send().await {
            Ok(answer) => answer.text().await,
            Err(error) => Err(error),
        };
        assert!(answered.is_err(), "{name}: {answered:?}");
    }
    site.emulator.flush().await.unwrap();
    let ids = site.rows(&format!("SELECT id FROM {PATIENTS} ORDER BY id")).await;
    assert_eq!(ids, json!([["slow"], ["truncated"]]));
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
