//! Rows a second into a real Delta table, by REST insert and by INSERT statements.
//!
//!     cargo bench --manifest-path tests/databricks-emulator/Cargo.toml --bench rows
//!
//! `ROWS` says how many by each way, `BATCH` how many in a request.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot run says so by its panic"
)]

use std::fmt::Write;
use std::time::Instant;

use databricks_emulator::{Emulator, Options, SetUp};
use serde_json::{Value, json};

const TABLE: &str = "aidbox_export.fhir.patients";

fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[tokio::main]
async fn main() {
    let (rows, batch) = (number("ROWS", 500_000), number("BATCH", 5_000));
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path());
    options.durable = std::env::var_os("FSYNC").is_some();
    let emulator = Emulator::start(options).await.unwrap();
    emulator.set_up(&SetUp::default()).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let token = zerobus_token(&http, &emulator).await;
    let insert = format!("{}/zerobus/v1/tables/{TABLE}/insert", emulator.url());
    measure("REST insert", rows, batch, &emulator, async |first| {
        let response = http
            .post(&insert)
            .bearer_auth(&token)
            .body(json_rows(first, batch));
        assert_eq!(response.send().await.unwrap().status(), 200);
    })
    .await;
    let statements = format!("{}/api/2.0/sql/statements", emulator.url());
    let (token, warehouse) = (
        emulator.administrator_token(),
        emulator.options().warehouse_id.clone(),
    );
    measure("INSERT statements", rows, batch, &emulator, async |first| {
        let body =
            json!({"warehouse_id": warehouse, "wait_timeout": "50s", "statement": sql_rows(first, batch)});
        let response = http
            .post(&statements)
            .bearer_auth(&token)
            .body(body.to_string())
            .send()
            .await;
        let told: Value = serde_json::from_str(&response.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(told["status"]["state"], "SUCCEEDED", "{told}");
    })
    .await;
    emulator.stop().await;
}

async fn measure(what: &str, rows: usize, batch: usize, emulator: &Emulator, send: impl AsyncFn(usize)) {
    let start = Instant::now();
    for first in (0..rows).step_by(batch) {
        send(first).await;
    }
    let answered = start.elapsed().as_secs_f64();
    emulator.flush().await.unwrap();
    let whole = start.elapsed().as_secs_f64();
    let rate = |seconds: f64| rows as f64 / seconds;
    println!(
        "{what}: {:.0} rows/s answered, {:.0} rows/s in the table",
        rate(answered),
        rate(whole)
    );
}

async fn zerobus_token(http: &reqwest::Client, emulator: &Emulator) -> String {
    let options = emulator.options();
    let details = json!([
        {"type": "unity_catalog_privileges", "privileges": ["USE CATALOG"], "object_type": "CATALOG",
         "object_full_path": "aidbox_export"},
        {"type": "unity_catalog_privileges", "privileges": ["USE SCHEMA"], "object_type": "SCHEMA",
         "object_full_path": "aidbox_export.fhir"},
        {"type": "unity_catalog_privileges", "privileges": ["SELECT", "MODIFY"], "object_type": "TABLE",
         "object_full_path": TABLE},
    ]);
    let resource = format!(
        "api://databricks/workspaces/{}/zerobusDirectWriteApi",
        options.workspace_id
    );
    let form = [
        ("grant_type", "client_credentials".to_owned()),
        ("scope", "all-apis".to_owned()),
        ("resource", resource),
        ("authorization_details", details.to_string()),
    ];
    let request = http
        .post(format!("{}/oidc/v1/token", emulator.url()))
        .basic_auth(&options.client_id, Some(&options.client_secret))
        .form(&form);
    let told: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    told["access_token"].as_str().unwrap().to_owned()
}

fn json_rows(first: usize, count: usize) -> String {
    let mut body = String::from("[");
    for id in first..first + count {
        let comma = if id == first { "" } else { "," };
        write!(
            body,
            "{comma}{{\"id\":\"patient-{id}\",\"ts\":1775037600{:06},\"cts\":1775037600000000,\"gender\":\"female\",\
             \"birth_date\":{},\"family_name\":\"Smith-Jones\",\"given_name\":\"Anna Maria\",\"is_deleted\":0}}",
            id % 1_000_000,
            id % 20_000
        )
        .unwrap();
    }
    body + "]"
}

fn sql_rows(first: usize, count: usize) -> String {
    let mut sql = format!(
        "INSERT INTO {TABLE} (id, ts, cts, gender, birth_date, family_name, given_name, is_deleted) VALUES "
    );
    for id in first..first + count {
        let comma = if id == first { "" } else { "," };
        write!(
            sql,
            "{comma}('patient-{id}', TIMESTAMP'2026-04-01T10:00:00.{:06}Z', TIMESTAMP'2026-04-01T10:00:00Z', 'female', \
             DATE'1990-01-15', 'Smith-Jones', 'Anna Maria', 0)",
            id % 1_000_000
        )
        .unwrap();
    }
    sql
}
