//! Statements: states and waiting, the shapes of results, parameters, what is refused before it runs.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::time::{Duration, Instant};

use databricks_emulator::{Fault, Setting};
use serde_json::{Value, json};
use support::{PATIENTS, Site, rows_of};

const STATEMENTS: &str = "/api/2.0/sql/statements";

fn submission(site: &Site, statement: &str, more: Value) -> Value {
    let mut body = json!({"warehouse_id": site.emulator.options().warehouse_id, "statement": statement});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn one_is_answered_as_recorded() {
    let site = Site::new().await;
    let mut answer = site.sql("SELECT 1").await;
    let id = answer["statement_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("01f"), "{id}");
    answer.as_object_mut().unwrap().remove("statement_id");
    let expected = json!({
        "status": {"state": "SUCCEEDED"},
        "manifest": {
            "format": "JSON_ARRAY",
            "schema": {"column_count": 1, "columns": [
                {"name": "1", "type_text": "INT", "type_name": "INT", "position": 0},
            ]},
            "total_chunk_count": 1,
            "chunks": [{"chunk_index": 0, "row_offset": 0, "row_count": 1}],
            "total_row_count": 1,
            "truncated": false,
        },
        "result": {"chunk_index": 0, "row_offset": 0, "row_count": 1, "data_array": [["1"]]},
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_cold_warehouse_leaves_the_statement_pending() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::ColdStart, Setting::milliseconds(700));
    let body = submission(&site, "SELECT 1", json!({"wait_timeout": "0s"}));
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    assert_eq!(told["status"]["state"], "PENDING");
    let path = format!("{STATEMENTS}/{}", told["statement_id"].as_str().unwrap());
    let warehouse = format!("/api/2.0/sql/warehouses/{}", site.emulator.options().warehouse_id);
    assert_eq!(
        site.client("GET", &warehouse, None).await.ok()["state"],
        "STARTING"
    );
    let start = Instant::now();
    loop {
        let told = site.client("GET", &path, None).await.ok();
        if told["status"]["state"] == "SUCCEEDED" {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        site.client("GET", &warehouse, None).await.ok()["state"],
        "RUNNING"
    );
    site.client("POST", &format!("{warehouse}/stop"), Some(json!({})))
        .await
        .ok();
    assert_eq!(
        site.client("GET", &warehouse, None).await.ok()["state"],
        "STOPPED"
    );
}

#[tokio::test]
async fn a_statement_can_be_cancelled_and_any_id_too() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::ColdStart, Setting::milliseconds(60_000));
    let body = submission(&site, "SELECT 1", json!({"wait_timeout": "0s"}));
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    let path = format!("{STATEMENTS}/{}", told["statement_id"].as_str().unwrap());
    assert_eq!(
        site.client("POST", &format!("{path}/cancel"), None).await.ok(),
        json!({})
    );
    assert_eq!(
        site.client("GET", &path, None).await.ok()["status"],
        json!({"state": "CANCELED"})
    );
    let unknown = format!("{STATEMENTS}/01f00000-0000-1000-8000-000000000000");
    assert_eq!(
        site.client("POST", &format!("{unknown}/cancel"), None)
            .await
            .status,
        200
    );
    assert_eq!(
        site.client("GET", &unknown, None).await.json()["error_code"],
        "NOT_FOUND"
    );
    let body = submission(
        &site,
        "SELECT 1",
        json!({"wait_timeout": "5s", "on_wait_timeout": "CANCEL"}),
    );
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    assert_eq!(told["status"], json!({"state": "CANCELED"}));
}

#[tokio::test]
async fn a_statement_that_takes_long_is_running_until_it_ends_or_is_cancelled() {
    let site = Site::new().await;
    let slow = |milliseconds| Setting {
        times: Some(1),
        ..Setting::milliseconds(milliseconds)
    };
    let insert = format!("INSERT INTO {PATIENTS} (id) VALUES ('late')");
    for (milliseconds, cancels) in [(600, false), (60_000, true)] {
        site.emulator
            .faults()
            .set(Fault::SlowStatement, slow(milliseconds));
        let body = submission(&site, &insert, json!({"wait_timeout": "0s"}));
        let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
        let path = format!("{STATEMENTS}/{}", told["statement_id"].as_str().unwrap());
        let mut states = Vec::new();
        let start = Instant::now();
        while states
            .last()
            .is_none_or(|state| state == "PENDING" || state == "RUNNING")
        {
            assert!(start.elapsed() < Duration::from_secs(20), "{states:?}");
            let told = site.client("GET", &path, None).await.ok();
            states.push(told["status"]["state"].as_str().unwrap().to_owned());
            if cancels && states.last().is_some_and(|state| state == "RUNNING") {
                site.client("POST", &format!("{path}/cancel"), None).await.ok();
            }
        }
        assert!(states.iter().any(|state| state == "RUNNING"), "{states:?}");
        let expected = if cancels { "CANCELED" } else { "SUCCEEDED" };
        assert_eq!(states.last().map(String::as_str), Some(expected));
    }
    assert_eq!(
        site.count(PATIENTS).await,
        1,
        "what was cancelled in time did nothing"
    );
}

#[tokio::test]
async fn the_answer_waits_as_long_as_it_may_and_the_statement_goes_on() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::SlowStatement, Setting::milliseconds(6_000));
    let body = submission(&site, "SELECT 1", json!({"wait_timeout": "5s"}));
    let start = Instant::now();
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert_eq!(told["status"], json!({"state": "RUNNING"}));
    assert!(told.get("manifest").is_none() && told.get("result").is_none());
}

#[tokio::test]
async fn no_rows_and_no_columns_have_the_recorded_shapes() {
    let site = Site::new().await;
    let told = site.sql(&format!("SELECT id FROM {PATIENTS}")).await;
    let manifest = json!({
        "format": "JSON_ARRAY",
        "schema": {"column_count": 1, "columns": [
            {"name": "id", "type_text": "STRING", "type_name": "STRING", "position": 0},
        ]},
        "total_chunk_count": 0,
        "total_row_count": 0,
        "truncated": false,
    });
    assert_eq!((&told["manifest"], &told["result"]), (&manifest, &json!({})));
    let told = site
        .sql(&format!("ALTER TABLE {PATIENTS} ADD COLUMNS (city STRING)"))
        .await;
    assert_eq!(told["manifest"]["schema"], json!({"column_count": 0}));
    assert_eq!(told["result"], json!({}));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_refused_in_the_recorded_words() {
    let site = Site::new().await;
    for (more, status, code, message) in [
        (
            json!({"wait_timeout": "3s"}),
            400,
            "INVALID_PARAMETER_VALUE",
            "The wait_timeout field must be 0 seconds (disables wait), or between 5 seconds and 50 seconds.",
        ),
        (
            json!({"wait_timeout": "soon"}),
            400,
            "INVALID_PARAMETER_VALUE",
            "Error while parsing type: duration.",
        ),
        (
            json!({"warehouse_id": "nosuch"}),
            400,
            "INVALID_PARAMETER_VALUE",
            "nosuch is not a valid endpoint id.",
        ),
        (
            json!({"warehouse_id": null}),
            400,
            "BAD_REQUEST",
            "warehouse_id is missing",
        ),
        (
            json!({"statement": null}),
            400,
            "BAD_REQUEST",
            "statement is missing",
        ),
        (
            json!({"format": "ARROW_STREAM"}),
            400,
            "INVALID_PARAMETER_VALUE",
            "Incompatible parameters: The format field must be JSON_ARRAY when the disposition field is INLINE.",
        ),
    ] {
        let answer = site
            .client("POST", STATEMENTS, Some(submission(&site, "SELECT 1", more)))
            .await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error_code"], code);
        assert_eq!(answer.message(), message);
    }
    let token = site.plain_token().await;
    let broken = site
        .try_send("POST", STATEMENTS, Some(&token), Some("{".to_owned()))
        .await
        .unwrap();
    assert_eq!(broken.json()["error_code"], "MALFORMED_REQUEST");
    let unknown = site.client("GET", "/api/2.0/sql/nosuch", None).await;
    assert_eq!((unknown.status, unknown.text.as_str()), (404, ""));
    let method = site.client("PUT", STATEMENTS, None).await;
    assert_eq!(method.message(), "No API found for 'PUT /sql/statements'");
    let invalid = site.send("GET", STATEMENTS, "nonsense", None).await;
    assert_eq!(invalid.status, 404);
    let invalid = site.send("POST", STATEMENTS, "nonsense", Some(json!({}))).await;
    assert_eq!(invalid.json()["error_code"], 403);
    assert!(invalid.headers.contains_key("x-databricks-reason-phrase"));
}

#[tokio::test]
async fn a_request_without_a_body_or_with_too_many_parameters_is_refused() {
    let site = Site::new().await;
    let empty = site.client("POST", STATEMENTS, None).await;
    assert_eq!(
        (empty.status, &empty.json()["error_code"]),
        (400, &json!("BAD_REQUEST"))
    );
    let parameters = |count: usize, length: usize| {
        let value = "x".repeat(length);
        let all = (0..count).map(|at| json!({"name": format!("p{at}"), "value": value}));
        json!({"parameters": all.collect::<Vec<_>>(), "wait_timeout": "50s"})
    };
    for (count, length, status) in [(255, 10, 200), (256, 10, 400), (2, 600_000, 400)] {
        let body = submission(&site, "SELECT :p0", parameters(count, length));
        let answer = site.client("POST", STATEMENTS, Some(body)).await;
        assert_eq!(answer.status, status, "{count} of {length}");
    }
}

#[tokio::test]
async fn who_may_not_use_the_warehouse_is_refused() {
    let site = Site::bare().await;
    let refused = site
        .client("POST", STATEMENTS, Some(submission(&site, "SELECT 1", json!({}))))
        .await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error_code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn many_rows_come_in_chunks() {
    let site = Site::new().await;
    let rows: Vec<String> = (0..6000).map(|id| format!("('{id}')")).collect();
    let inserted = site
        .sql(&format!("INSERT INTO {PATIENTS} (id) VALUES {}", rows.join(",")))
        .await;
    assert_eq!(rows_of(&inserted), json!([["6000", "6000"]]));
    let names: Vec<&str> = ["num_affected_rows", "num_inserted_rows"].to_vec();
    for (at, name) in names.iter().enumerate() {
        assert_eq!(inserted["manifest"]["schema"]["columns"][at]["name"], *name);
        assert_eq!(inserted["manifest"]["schema"]["columns"][at]["type_name"], "LONG");
    }
    let told = site.sql(&format!("SELECT id FROM {PATIENTS}")).await;
    assert_eq!(told["manifest"]["total_chunk_count"], 2);
    let link = told["result"]["next_chunk_internal_link"].as_str().unwrap();
    let next = site.client("GET", link, None).await.ok();
    assert_eq!(next["row_count"], 1000);
    let beyond = link.replace("chunks/1", "chunks/2");
    assert_eq!(
        site.client("GET", &beyond, None).await.message(),
        "The chunk_index 2 is out of bounds."
    );
}

#[tokio::test]
async fn parameters_are_bound_as_values() {
    let site = Site::new().await;
    let body = submission(
        &site,
        "INSERT INTO IDENTIFIER(:t) (id, birth_date, is_deleted) VALUES (:id, :day, :n)",
        json!({"wait_timeout": "50s", "parameters": [
            {"name": "t", "value": PATIENTS},
            {"name": "id", "value": "it's \\ '); --"},
            {"name": "day", "value": "1990-01-15", "type": "DATE"},
            {"name": "n", "value": "0", "type": "INT"},
        ]}),
    );
    rows_of(&site.client("POST", STATEMENTS, Some(body)).await.ok());
    let rows = site
        .rows(&format!("SELECT id, birth_date, is_deleted FROM {PATIENTS}"))
        .await;
    assert_eq!(rows, json!([["it's \\ '); --", "1990-01-15", "0"]]));
}

#[tokio::test]
async fn a_limit_of_rows_truncates() {
    let site = Site::new().await;
    let body = submission(
        &site,
        "SELECT 1 UNION ALL SELECT 2",
        json!({"row_limit": 1, "wait_timeout": "50s"}),
    );
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    assert_eq!(told["manifest"]["truncated"], true);
    assert_eq!(told["manifest"]["total_row_count"], 1);
}

#[tokio::test]
async fn a_statement_over_sixteen_mebibytes_is_refused() {
    let site = Site::new().await;
    let statement = format!("SELECT '{}'", "x".repeat(16 * 1024 * 1024));
    let refused = site
        .client("POST", STATEMENTS, Some(submission(&site, &statement, json!({}))))
        .await;
    assert_eq!(refused.status, 400);
}
