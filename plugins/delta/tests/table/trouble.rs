//! Full disks, missing rights, broken logs: what the host is told, and that delivery goes on afterwards.

use std::path::Path;
use std::process::Command;

use crate::harness::*;
use lakefeed_plugin_api::{Check, CheckLevel, CheckReport, Retry, Verdict, Writer};
use lakefeed_plugin_delta::Delta;

/// A file system of one MiB; none where mounting is not allowed.
struct TinyDisk<'a>(&'a Path);

impl<'a> TinyDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mut command = Command::new("mount");
        let done = command
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(at)
            .output();
        done.ok().filter(|done| done.status.success()).map(|_| Self(at))
    }
}

impl Drop for TinyDisk<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).output());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_delivery_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = TinyDisk::mount(folder.path()) else {
        println!("skipped: a_full_disk (no right to mount)");
        return;
    };
    let table = disk.0.join("t");
    let delta = delta(&table);
    open(&delta).await.unwrap();
    write(&delta, "d", 1).await.unwrap();
    let filler = disk.0.join("filler");
    drop(std::fs::write(&filler, vec![1; 2 << 20]));
    let error = write(&delta, "d", 2).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.retry),
        ("DELTA-020", Retry::Backoff),
        "{error:?}"
    );
    assert!(orphans(&table).is_empty(), "{:?}", orphans(&table));
    std::fs::remove_file(filler).unwrap();
    write(&delta, "d", 2).await.unwrap();
    assert_eq!(numbers(&table), (10..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_is_named_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    std::fs::create_dir_all(table.join("_delta_log")).unwrap();
    let first = table.join(format!("_delta_log/{:020}.json", 0));
    std::fs::write(&first, "no json").unwrap();
    let error = open(&delta(&table)).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.retry),
        ("DELTA-015", Retry::Never),
        "{error:?}"
    );
    assert_eq!(std::fs::read_to_string(first).unwrap(), "no json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_not_a_broken_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(&folder.path().join("t"));
    let running = store.delta();
    open(&running).await.unwrap();
    store.set_answering(false);
    for error in [
        open(&store.delta()).await.unwrap_err(),
        write(&running, "d", 1).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.code.as_str(), error.retry),
            ("DELTA-022", Retry::Backoff),
            "{error:?}"
        );
    }
    store.set_answering(true);
    write(&running, "d", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_a_later_format_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    open(&delta(&table)).await.unwrap();
    foreign_commit(
        &table,
        &[
            serde_json::json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["telepathy"], "writerFeatures": ["telepathy"]}}),
        ],
    );
    let error = open(&delta(&table)).await.unwrap_err();
    assert_eq!(error.code, "DELTA-014", "{error:?}");
    assert!(error.message.contains("telepathy"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_no_folder_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(open(&delta(&file.join("t"))).await.unwrap_err().code, "DELTA-022");
    assert_eq!(open(&delta(&file)).await.unwrap_err().code, "DELTA-022");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_tried_again() {
    for scheme in ["http", "https"] {
        let config = serde_json::json!({
            "tablePath": "s3://lake/t", "awsAccessKeyId": "key", "awsSecretAccessKey": "secret",
            "s3Endpoint": format!("{scheme}://127.0.0.1:1"),
        });
        let delta = Delta::new(&serde_json::from_value(config).unwrap()).unwrap();
        let error = open(&delta).await.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.retry),
            ("DELTA-022", Retry::Backoff),
            "{error:?}"
        );
        assert!(!delta.check(CheckLevel::Connect).await.is_good());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_before_open_is_a_breach_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let delta = delta(&folder.path().join("t"));
    assert_eq!(write(&delta, "d", 1).await.unwrap_err().code, "DELTA-031");
    open(&delta).await.unwrap();
    let mut meta = meta("d", 1, 1);
    meta.schema_id = 9;
    assert_eq!(
        delta.write(rows(0..1), &meta).await.unwrap_err().code,
        "DELTA-031"
    );
}

fn verdicts(report: &CheckReport) -> Vec<Verdict> {
    report.items.iter().map(|item| item.verdict).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    let report = delta.check(CheckLevel::WriteProbe).await;
    assert!(report.is_good() && !table.exists());
    open(&delta).await.unwrap();
    let report = delta.check(CheckLevel::WriteProbe).await;
    assert_eq!(verdicts(&report), [Verdict::Passed; 6], "{report:?}");
    assert_eq!(std::fs::read_dir(&table).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_what_is_wrong_and_warns_of_many_files() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    open(&delta).await.unwrap();
    let adds: Vec<_> = (0..10_000)
        .map(|n| {
            serde_json::json!({"add": {"path": format!("f{n}"), "partitionValues": {}, "size": 1,
                "modificationTime": 1, "dataChange": true}})
        })
        .collect();
    foreign_commit(&table, &adds);
    let report = delta.check(CheckLevel::Connect).await;
    let warning = report
        .items
        .iter()
        .find(|item| item.verdict == Verdict::Warning)
        .unwrap();
    assert_eq!(warning.code, "DELTA-040");
    foreign_commit(
        &table,
        &[
            serde_json::json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}}),
        ],
    );
    let report = delta.check(CheckLevel::Connect).await;
    let failed = report
        .items
        .iter()
        .find(|item| item.verdict == Verdict::Failed)
        .unwrap();
    assert_eq!(failed.code, "DELTA-014");
}
