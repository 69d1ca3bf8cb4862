//! Several writers at once lose nothing and write nothing twice.

use std::sync::Arc;

use crate::harness::*;
use futures::future::join_all;
use lakefeed_plugin_api::Writer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn of_several_that_make_the_table_at_once_all_open_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let opened = join_all((0..8).map(|_| {
        let delta = delta(&table);
        tokio::spawn(async move { open(&delta).await })
    }));
    assert!(opened.await.into_iter().all(|opened| opened.unwrap().is_ok()));
    assert_eq!(versions(&table), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_destinations_in_one_table_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let writers = (0..4).map(|writer| {
        let delta = delta(&table);
        tokio::spawn(async move {
            open(&delta).await.unwrap();
            for step in 0..15 {
                write(&delta, &format!("d{writer}"), writer * 15 + step)
                    .await
                    .unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(numbers(&table), (0..600).collect::<Vec<_>>());
    assert_eq!(versions(&table), 61);
    assert!(orphans(&table).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_that_writes_the_same_batches_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let writers = (0..3).map(|_| {
        let delta = delta(&table);
        tokio::spawn(async move {
            open(&delta).await.unwrap();
            for number in 1..11 {
                // Who falls behind hears that others are ahead, and halts; who leads goes on.
                if let Err(error) = write(&delta, "d", number).await {
                    assert_eq!(error.code, "DELTA-018");
                    return;
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(numbers(&table), (10..110).collect::<Vec<_>>());
    assert_eq!(versions(&table), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_write_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = Arc::new(delta(&table));
    open(&delta).await.unwrap();
    for number in 1..30 {
        let task = tokio::spawn({
            let delta = Arc::clone(&delta);
            async move { write(&delta, "d", number).await.map(drop) }
        });
        tokio::time::sleep(std::time::Duration::from_micros(number as u64 * 300)).await;
        task.abort();
        drop(task.await);
        write(&delta, "d", number).await.unwrap();
    }
    assert_eq!(numbers(&table), (10..300).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_and_an_added_column_by_others_are_taken_in() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    open(&delta).await.unwrap();
    write(&delta, "d", 1).await.unwrap();

    // A compaction: the file under another name, without a change of data.
    let (path, mut add) = files(&table).pop_first().unwrap();
    std::fs::copy(table.join(&path), table.join("compacted.parquet")).unwrap();
    add["path"] = "compacted.parquet".into();
    add["dataChange"] = false.into();
    let remove = json!({"path": path, "deletionTimestamp": 1, "dataChange": false});
    foreign_commit(&table, &[json!({"remove": remove}), json!({"add": add})]);
    write(&delta, "d", 2).await.unwrap();

    let mut changed = metadata(&table);
    let mut schema: serde_json::Value =
        serde_json::from_str(changed["schemaString"].as_str().unwrap()).unwrap();
    let column = json!({"name": "note", "type": "decimal(9,2)", "nullable": true, "metadata": {}});
    schema["fields"].as_array_mut().unwrap().insert(0, column);
    changed["schemaString"] = schema.to_string().into();
    foreign_commit(&table, &[json!({"metaData": changed})]);
    write(&delta, "d", 3).await.unwrap();

    assert_eq!(numbers(&table), (10..40).collect::<Vec<_>>());
    delta.close(lakefeed_plugin_api::Deadline::none()).await.unwrap();
}
