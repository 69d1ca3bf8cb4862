//! What lies in the folder: the log's protocol, the files' types and sizes, checkpoints, and that all of it is synced.

use std::sync::Arc;

use crate::harness::*;
use arrow::datatypes::{DataType, TimeUnit};
use lakefeed_plugin_api::Writer;
use lakefeed_plugin_delta::Delta;
use lakefeed_plugin_delta::durable_store::DurableStore;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_table_stays_at_the_simplest_protocol_with_utc_timestamps() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    open(&delta).await.unwrap();
    write(&delta, "d", 1).await.unwrap();
    let protocols: Vec<Value> = log(&table)
        .into_iter()
        .filter_map(|line| line.get("protocol").cloned())
        .collect();
    assert_eq!(protocols, [json!({"minReaderVersion": 1, "minWriterVersion": 2})]);
    let schema: Value = serde_json::from_str(metadata(&table)["schemaString"].as_str().unwrap()).unwrap();
    assert_eq!(schema["fields"][2]["type"], "timestamp");
    let (path, add) = files(&table).pop_first().unwrap();
    let batch = &read_file(&table.join(path))[0];
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(batch.schema().field(2).data_type(), &utc);
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["minValues"]["at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(stats["maxValues"]["id"], "p19");
    assert_eq!(stats["nullCount"]["n"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_carries_its_destination_generation_number_and_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    open(&delta).await.unwrap();
    write(&delta, "d", 7).await.unwrap();
    let lines = log(&table);
    let txn = lines.iter().find_map(|line| line.get("txn")).unwrap();
    assert_eq!(
        (txn["appId"].as_str(), txn["version"].as_i64()),
        (Some("lakefeed/d/1"), Some(7))
    );
    let info = lines.iter().filter_map(|line| line.get("commitInfo")).next_back();
    let offset = |name| info.unwrap()[name].as_u64();
    assert_eq!(
        (offset("lakefeed.firstOffset"), offset("lakefeed.lastOffset")),
        (Some(7), Some(7))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_are_synced_before_a_batch_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let store = DurableStore::create(&table).unwrap();
    let config = config(&table, json!({}));
    let any_store = Delta::with_store(&config, Arc::new(store.clone())).unwrap();
    let a_folder = Delta::with_folder(&config, store.clone()).unwrap();
    for (delta, numbers) in [(any_store, 1..4), (a_folder, 4..8)] {
        open(&delta).await.unwrap();
        for number in numbers {
            let before = store.syncs();
            write(&delta, "d", number).await.unwrap();
            assert_eq!(
                store.syncs() - before,
                4,
                "the data file, its folder, the commit, the log's folder"
            );
        }
    }
    assert!(
        std::fs::read_dir(table.join("_delta_log")).unwrap().all(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            !name.starts_with('.')
        }),
        "no temporary file stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_becomes_several_files_in_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = Delta::new(&config(&table, json!({"targetFileSizeMb": 1}))).unwrap();
    open(&delta).await.unwrap();
    let count = 400_000;
    let ack = delta
        .write(rows(0..count), &meta("d", 1, count as usize))
        .await
        .unwrap();
    assert_eq!(ack.rows, count as u64);
    let files = files(&table);
    assert!(files.len() > 2, "{}", files.len());
    assert!(files.values().all(|add| add["size"].as_u64().unwrap() < 2 << 20));
    assert_eq!(
        ack.bytes,
        files
            .values()
            .map(|add| add["size"].as_u64().unwrap())
            .sum::<u64>()
    );
    assert_eq!(versions(&table), 2);
    assert_eq!(numbers(&table), (0..count).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_hundred_commits_the_table_opens_from_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let first = delta(&table);
    open(&first).await.unwrap();
    for number in 1..106 {
        write(&first, "d", number).await.unwrap();
    }
    let all = numbers(&table);
    let logs = table.join("_delta_log");
    assert!(logs.join(format!("{:020}.checkpoint.parquet", 99)).exists());
    assert!(logs.join("_last_checkpoint").exists());
    // What the checkpoint covers is no longer needed, also not to know which batches are there.
    for version in 0..99 {
        std::fs::remove_file(logs.join(format!("{version:020}.json"))).unwrap();
    }
    let next = delta(&table);
    open(&next).await.unwrap();
    for number in [1, 99] {
        assert_eq!(write(&next, "d", number).await.unwrap_err().code, "DELTA-018");
    }
    assert_eq!(write(&next, "d", 105).await.unwrap(), "");
    assert_eq!(write(&next, "d", 106).await.unwrap(), "106");
    assert_eq!(all, (10..1060).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_slept_while_the_log_was_cleaned_up_writes_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let sleeper = delta(&table);
    open(&sleeper).await.unwrap();
    write(&sleeper, "d", 1).await.unwrap();
    let other = delta(&table);
    open(&other).await.unwrap();
    for number in 2..106 {
        write(&other, "e", number).await.unwrap();
    }
    for version in 0..99 {
        std::fs::remove_file(table.join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    assert_eq!(write(&sleeper, "d", 1).await.unwrap(), "");
    assert_eq!(write(&sleeper, "d", 2).await.unwrap(), "106");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_any_name_work() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a b", "100%", "%20", "ü/é#?", "a+b&c"] {
        let table = folder.path().join(name);
        let first = delta(&table);
        open(&first).await.unwrap();
        write(&first, "d", 1).await.unwrap();
        let again = delta(&table);
        open(&again).await.unwrap();
        assert_eq!(write(&again, "d", 1).await.unwrap(), "", "{name}");
        assert_eq!(numbers(&table).len(), 10, "{name}");
    }
}
