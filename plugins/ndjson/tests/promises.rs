//! What the plugin promises, beyond the suite that every writer passes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails with it, and says by name what it skips"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::record_batch::RecordBatch;
use lakefeed_plugin_api::{Check, CheckLevel, Deadline, Plugin, TableRef, Writer};
use lakefeed_plugin_ndjson::{Config, Ndjson};
use lakefeed_plugin_testkit::{FakeHost, meta, run_writer_suite};

fn writer(path: &Path) -> Ndjson {
    Ndjson::create(
        Config {
            path: path.to_owned(),
        },
        FakeHost::new().host(),
    )
    .unwrap()
}

fn rows() -> RecordBatch {
    let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(2)]));
    RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("n", numbers, true)]).unwrap()
}

const ROWS: &str = "{\"id\":\"a\",\"n\":1}\n{\"id\":null,\"n\":2}\n";

#[tokio::test]
async fn it_passes_the_suite_of_writers() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = 0;
    run_writer_suite(|_| {
        files += 1;
        writer(&folder.path().join(format!("{files}.ndjson")))
    })
    .await;
}

#[tokio::test]
async fn rows_are_lines_and_a_later_instance_appends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.ndjson");
    for number in 1..=2 {
        let writer = writer(&path);
        writer
            .open(&TableRef::default(), rows().schema(), 1)
            .await
            .unwrap();
        let ack = writer.write(rows(), &meta(number, &[0, 1])).await.unwrap();
        assert_eq!((ack.durable_prefix, ack.rows), (2, 2));
    }
    assert_eq!(fs::read_to_string(path).unwrap(), ROWS.repeat(2));
}

#[tokio::test]
async fn half_a_line_that_a_crash_left_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.ndjson");
    for (left, kept) in [
        ("{\"id\":\"x\"}\n{\"id\":", "{\"id\":\"x\"}\n"),
        ("{\"id", ""),
        ("{}\n", "{}\n"),
    ] {
        fs::write(&path, left).unwrap();
        let writer = writer(&path);
        writer
            .open(&TableRef::default(), rows().schema(), 1)
            .await
            .unwrap();
        assert_eq!(
            writer.write(rows(), &meta(1, &[0])).await.unwrap().durable_prefix,
            1
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kept}{ROWS}"));
    }
}

async fn code_of_opening(path: &Path) -> String {
    let writer = writer(path);
    let opened = writer.open(&TableRef::default(), rows().schema(), 1).await;
    opened.unwrap_err().code
}

#[tokio::test]
async fn half_a_line_of_any_length_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.ndjson");
    let block = 64 * 1024;
    for length in [block - 4, block - 3, block - 2, block, 3 * block + 7] {
        fs::write(&path, format!("{{}}\n{{{}", "x".repeat(length))).unwrap();
        let writer = writer(&path);
        writer
            .open(&TableRef::default(), rows().schema(), 1)
            .await
            .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n", "{length}");
    }
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.ndjson");
    for content in ["half a line", "SQLite format 3\0\n", "[1]\n", "\n{}\n"] {
        fs::write(&path, content).unwrap();
        assert_eq!(code_of_opening(&path).await, "NDJSON-003", "{content}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_file_of_another_name_is_not_even_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.json");
    fs::write(&path, "{ \"resource\": \"Patient\" }").unwrap();
    assert_eq!(code_of_opening(&path).await, "NDJSON-005");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{ \"resource\": \"Patient\" }"
    );
    assert_eq!(code_of_opening(&folder.path().join("rows")).await, "NDJSON-005");
    assert!(!folder.path().join("rows").exists());
}

#[tokio::test]
async fn a_link_is_refused_and_what_it_names_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (
        folder.path().join("rows.ndjson"),
        folder.path().join("link.ndjson"),
    );
    fs::write(&path, "{}\n{half").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(code_of_opening(&link).await, "NDJSON-003");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n{half");
}

#[tokio::test]
async fn a_file_that_another_writer_holds_is_refused_until_it_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.ndjson");
    let (table, first) = (TableRef::default(), writer(&path));
    first.open(&table, rows().schema(), 1).await.unwrap();
    assert_eq!(code_of_opening(&path).await, "NDJSON-004");
    // Opening again is no other writer.
    first.open(&table, rows().schema(), 1).await.unwrap();
    first.close(Deadline::none()).await.unwrap();
    writer(&path).open(&table, rows().schema(), 1).await.unwrap();
}

#[tokio::test]
async fn a_missing_folder_fails_the_check_and_the_opening_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder.path().join("no/rows.ndjson"));
    assert!(writer.check(CheckLevel::Config).await.is_good());
    let report = writer.check(CheckLevel::Connect).await;
    assert_eq!(report.items[0].code, "NDJSON-002");
    let error = writer
        .open(&TableRef::default(), rows().schema(), 1)
        .await
        .unwrap_err();
    assert_eq!(error.code, "NDJSON-001");
    assert!(error.hint.contains("folder"));
}
