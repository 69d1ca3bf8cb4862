//! A batch is in the table once, whatever was repeated, lost or killed.

use lakefeed_plugin_api::Retry;

use crate::harness::*;

fn expected(batches: std::ops::Range<i32>) -> Vec<i32> {
    (batches.start * 10..batches.end * 10).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_batch_is_durable_without_being_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    open(&delta).await.unwrap();
    assert_eq!(write(&delta, "d", 1).await.unwrap(), "1");
    assert_eq!(write(&delta, "d", 1).await.unwrap(), "");
    assert_eq!(write(&delta, "d", 2).await.unwrap(), "2");
    assert_eq!(write(&delta, "d", 2).await.unwrap(), "");
    assert_eq!(versions(&table), 3);
    assert_eq!(numbers(&table), expected(1..3));
    assert!(orphans(&table).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_set_back_halts_instead_of_losing_its_batches() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let before = delta(&table);
    open(&before).await.unwrap();
    for number in 1..4 {
        write(&before, "d", number).await.unwrap();
    }
    // The store is a copy from after batch 1: its next batches are other changes under numbers that the table has.
    let after = delta(&table);
    open(&after).await.unwrap();
    let error = write(&after, "d", 2).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retry), ("DELTA-018", Retry::Never));
    assert!(error.message.contains("the store was set back"), "{error}");
    assert!(error.hint.contains("rewind"), "{}", error.hint);
    assert_eq!(numbers(&table), expected(1..4));
    assert!(orphans(&table).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_table_has_with_other_offsets_is_refused_before_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let first = delta(&table);
    open(&first).await.unwrap();
    write(&first, "d", 1).await.unwrap();
    write(&first, "e", 1).await.unwrap();
    let next = delta(&table);
    open(&next).await.unwrap();
    let mut other = meta("d", 1, 3);
    other.last_offset = 2;
    for delta in [&first, &next] {
        let error = send(delta, rows(0..3), &other).await.unwrap_err();
        assert_eq!(error.code, "DELTA-018");
        assert_eq!(write(delta, "d", 1).await.unwrap(), "");
    }
    assert_eq!(versions(&table), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_commit_and_ack_leaves_one_copy() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    for number in 1..4 {
        for _ in 0..2 {
            let delta = delta(&table);
            open(&delta).await.unwrap();
            write(&delta, "d", number).await.unwrap();
        }
    }
    assert_eq!(versions(&table), 4);
    assert_eq!(numbers(&table), expected(1..4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_file_and_commit_leaves_one_copy_and_a_file_that_nobody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let store = Faulty::new(&table);
    let dying = store.delta();
    open(&dying).await.unwrap();
    store.fail("1.json", Fault::Lost);
    let error = write(&dying, "d", 1).await.unwrap_err();
    assert_eq!(error.code, "DELTA-022");
    drop(dying);
    assert_eq!((versions(&table), orphans(&table).len()), (1, 1));

    let next = store.delta();
    open(&next).await.unwrap();
    write(&next, "d", 1).await.unwrap();
    assert_eq!(numbers(&table), expected(1..2));
    assert_eq!(orphans(&table).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_is_tried_again_with_the_files_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let store = Faulty::new(&table);
    let delta = store.delta();
    open(&delta).await.unwrap();
    store.fail("1.json", Fault::Lost);
    write(&delta, "d", 1).await.unwrap_err();
    write(&delta, "d", 1).await.unwrap();
    assert_eq!(numbers(&table), expected(1..2));
    assert!(orphans(&table).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_commit_leaves_one_copy() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let store = Faulty::new(&table);
    let delta = store.delta();
    open(&delta).await.unwrap();
    for (number, fault) in [
        (1, Fault::AnswerLost),
        (2, Fault::Repeated),
        (3, Fault::AnswerLost),
    ] {
        store.fail(&format!("{number}.json"), fault);
        write(&delta, "d", number).await.unwrap();
    }
    assert_eq!(versions(&table), 4);
    assert_eq!(numbers(&table), expected(1..4));
    assert!(orphans(&table).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_creation_is_no_table_that_was_not_made() {
    for fault in [Fault::AnswerLost, Fault::Repeated] {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("t");
        let store = Faulty::new(&table);
        store.fail("0.json", fault);
        let delta = store.delta();
        open(&delta).await.unwrap();
        write(&delta, "d", 1).await.unwrap();
        assert_eq!(numbers(&table), expected(1..2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_data_file_is_an_error_that_may_be_repeated_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let store = Faulty::new(&table);
    let delta = store.delta();
    open(&delta).await.unwrap();
    store.fail(".parquet", Fault::Lost);
    assert_eq!(write(&delta, "d", 1).await.unwrap_err().code, "DELTA-022");
    assert!(orphans(&table).is_empty());
    write(&delta, "d", 1).await.unwrap();
    assert_eq!(numbers(&table), expected(1..2));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_generation_and_another_destination_write_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    open(&delta).await.unwrap();
    write(&delta, "d", 1).await.unwrap();
    let batch = rows(0..3);
    let mut meta = meta("d", 1, 3);
    meta.generation = 2;
    send(&delta, batch.clone(), &meta).await.unwrap();
    meta.destination = "e".into();
    send(&delta, batch, &meta).await.unwrap();
    assert_eq!(versions(&table), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_without_rows_is_durable_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    open(&delta).await.unwrap();
    send(&delta, rows(0..0), &meta("d", 1, 0)).await.unwrap();
    assert_eq!(versions(&table), 1);
}
