//! The vendor's own clients, and a reader of Delta tables that shares no code with ours, judge the emulator.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step is a failed test, and what a judge said is shown"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use support::{PATIENTS, Site, rows_of, skipped};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A Python that has those packages, or none, and the running test is named as skipped.
fn python(packages: &str) -> Option<PathBuf> {
    let named = std::env::var_os("LAKEFEED_JUDGE_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| checkout().join(".venv/bin/python"));
    let has = Command::new(&python)
        .args(["-c", &format!("import {packages}")])
        .output();
    if has.is_ok_and(|has| has.status.success()) {
        return Some(python);
    }
    skipped(&format!("no Python with {packages}; make test installs it"));
    None
}

async fn run(command: Command) -> Output {
    let mut command = command;
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_clients_set_up_and_use_a_workspace() {
    let Some(python) = python("databricks.sdk, zerobus.sdk.sync") else {
        return;
    };
    let site = Site::bare().await;
    let options = site.emulator.options().clone();
    let mut command = Command::new(python);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("judges/official_clients.py"))
        .args([&site.emulator.url(), &site.emulator.administrator_token()])
        .args([&options.client_id, &options.client_secret, &options.warehouse_id])
        .env("HOME", site.folder())
        .env("no_proxy", "127.0.0.1");
    let ended = run(command).await;
    let said = String::from_utf8_lossy(&ended.stdout);
    println!("{said}");
    assert!(
        ended.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    for (name, at_least) in [("mints", 1), (&*format!("mints:{PATIENTS}"), 1)] {
        let count = site.emulator.counters().get(name);
        assert!(count >= at_least, "{name}: {count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_reader_reads_the_tables() {
    let Some(python) = python("duckdb, duckdb_extensions, pytz") else {
        return;
    };
    let site = Site::new().await;
    let rows = json!([{"id": "p-1", "ts": 1_775_037_600_123_456_i64, "birth_date": 7319, "is_deleted": 0}]);
    site.insert(PATIENTS, rows).await.ok();
    site.emulator.flush().await.unwrap();
    rows_of(
        &site
            .sql(&format!("ALTER TABLE {PATIENTS} ADD COLUMNS (city STRING)"))
            .await,
    );
    let insert = format!("INSERT INTO {PATIENTS} (id, city, is_deleted) VALUES ('p-2', 'it\\'s', 1)");
    rows_of(&site.sql(&insert).await);
    let mut command = Command::new(python);
    command
        .arg(checkout().join("tests/judges/read_delta.py"))
        .arg(site.emulator.table_folder(PATIENTS).unwrap())
        .arg("SELECT id, ts, birth_date, city, is_deleted FROM t ORDER BY id");
    let ended = run(command).await;
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let read: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let rows = read[1].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{read}");
    assert_eq!(rows[0][0], "p-1");
    assert!(
        rows[0][1]
            .as_str()
            .unwrap()
            .starts_with("2026-04-01 10:00:00.123456"),
        "{read}"
    );
    assert_eq!((&rows[1][3], &rows[1][4]), (&json!("it's"), &json!("1")));
}
