//! The vendor's own clients, and two readers of Delta tables that share no code with the writer, judge the emulator.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step is a failed test, and what a judge said is shown"
)]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{PATIENTS, Site, checkout, python, rows_of, run};

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

/// What a reader makes of a table: its rows as texts.
async fn read(python: &Path, script: &Path, site: &Site, table: &str, sql: &str) -> Value {
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(site.emulator.table_folder(table).unwrap())
        .arg(sql);
    let ended = run(command).await;
    assert!(
        ended.status.success(),
        "{}: {}",
        script.display(),
        String::from_utf8_lossy(&ended.stderr)
    );
    let mut told: Value = serde_json::from_slice(&ended.stdout).unwrap();
    told[1].take()
}

const TABLE: &str = "aidbox_export.fhir.judged";
const COLUMNS: &str = "id INT NOT NULL, s STRING, b BOOLEAN, l BIGINT, d DOUBLE, n DECIMAL(10,2), day DATE, ts TIMESTAMP, bin \
                       BINARY, a ARRAY<INT>, m MAP<STRING, INT>";
/// More than make Delta write a checkpoint of its log.
const COMMITS: i64 = 95;

/// Rows of every type by every way into a table, and more commits than a log goes without a checkpoint.
async fn write_rows(site: &Site) {
    let by_rest = json!([
        {"id": 1, "s": "it's \\ \"x\"\n😀", "b": true, "l": 9_007_199_254_740_993_i64, "d": 0.1, "n": "19.50", "day": 7319,
         "ts": 1_775_037_600_123_456_i64, "bin": "AP8=", "a": [7, null], "m": {"k": 5}},
        {"id": 2},
    ]);
    site.insert(TABLE, by_rest).await.ok();
    site.emulator.flush().await.unwrap();
    let literals = r#"3, 'it\'s \\ "x"\n😀', TRUE, 9007199254740993, 0.1D, 19.50BD, DATE'1990-01-15', TIMESTAMP'2026-04-01T10:00:00.123456Z', X'00FF', array(7, NULL), map('k', 5)"#;
    for sql in [
        format!("INSERT INTO {TABLE} VALUES ({literals})"),
        format!("ALTER TABLE {TABLE} ADD COLUMNS (city STRING)"),
        format!("INSERT INTO {TABLE} (id, city) VALUES (4, 'Bonn')"),
        format!("INSERT INTO {TABLE} (id, s, city) SELECT id + 1, s, 'Ulm' FROM {TABLE} WHERE id = 4"),
        format!(
            "MERGE INTO {TABLE} t USING (SELECT 5 AS id UNION ALL SELECT 6) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT \
             (id, city) VALUES (s.id, 'Jena')"
        ),
    ] {
        rows_of(&site.sql(&sql).await);
    }
    for id in 0..COMMITS {
        rows_of(
            &site
                .sql(&format!("INSERT INTO {TABLE} (id) VALUES ({})", 1000 + id))
                .await,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_readers_that_share_no_code_with_the_writer_read_what_was_written() {
    let Some(python) = python("duckdb, duckdb_extensions, pytz, chdb") else {
        return;
    };
    let site = Site::with_tables(&[("judged", COLUMNS)]).await;
    write_rows(&site).await;
    let log = site.emulator.table_folder(TABLE).unwrap().join("_delta_log");
    let mut entries = std::fs::read_dir(log).unwrap();
    assert!(
        entries.any(|entry| entry
            .unwrap()
            .path()
            .to_string_lossy()
            .ends_with(".checkpoint.parquet")),
        "the log has no checkpoint"
    );
    let duckdb = checkout().join("tests/judges/read_delta.py");
    let clickhouse = Path::new(env!("CARGO_MANIFEST_DIR")).join("judges/read_clickhouse.py");
    let filled = |id: &str| {
        json!([
            id,
            "it's \\ \"x\"\n😀",
            "True",
            "9007199254740993",
            "0.1",
            "19.50",
            "1990-01-15",
            "1775037600123456",
            "00FF",
            "7",
            "5",
            null
        ])
    };
    let bare = |id: &str, city: Value| {
        json!([
            id, null, null, null, null, null, null, null, null, null, null, city
        ])
    };
    let expected = json!([
        filled("1"),
        bare("2", Value::Null),
        filled("3"),
        bare("4", json!("Bonn")),
        bare("5", json!("Ulm")),
        bare("6", json!("Jena")),
    ]);
    let ids: i64 = (0..COMMITS).map(|id| 1000 + id).sum();
    let totals = json!([[(COMMITS + 6).to_string(), (ids + 21).to_string()]]);
    for (script, micros) in [
        (&duckdb, "epoch_us(ts)"),
        (&clickhouse, "toUnixTimestamp64Micro(ts)"),
    ] {
        let rows = format!(
            "SELECT id, s, b, l, d, n, day, {micros}, hex(bin), a[1], m['k'], city FROM t WHERE id < 10 ORDER BY id"
        );
        let told = read(&python, script, &site, TABLE, &rows).await;
        assert_eq!(told, expected, "{}", script.display());
        let sums = "SELECT count(*), sum(id) FROM t";
        let told = read(&python, script, &site, TABLE, sums).await;
        assert_eq!(told, totals, "{}", script.display());
    }
}
