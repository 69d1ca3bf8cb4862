//! What every writer promises.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use lakefeed_plugin_api::{AckMode, Deadline, Durability, Host, TableRef, WriteAck, Writer};

use crate::{FakeHost, meta, sample};

/// Drives writers through the promises of [`Writer`]. `make` gives a new writer over a new, empty target each time.
///
/// # Panics
/// When a promise is broken, with its name.
pub async fn run_writer_suite<W: Writer>(mut make: impl FnMut(Host) -> W) {
    let mut next = || make(FakeHost::new().host());
    a_batch_is_acknowledged_whole(next()).await;
    a_batch_without_rows_is_acknowledged(next()).await;
    a_slice_of_a_larger_batch_is_written(next()).await;
    sixty_four_batches_are_taken_one_after_the_other(next()).await;
    a_batch_may_be_offered_again(next()).await;
    a_cancelled_write_leaves_the_writer_usable(next()).await;
    a_schema_may_be_taken_up_again(next()).await;
}

async fn opened<W: Writer>(writer: &W, promise: &str) -> AckMode {
    let opened = writer
        .open(&TableRef::named("testkit"), sample(0, 0).schema(), 1)
        .await;
    match opened {
        Ok(profile) => {
            assert!(profile.max_in_flight > 0, "{promise}: max_in_flight is 0");
            profile.ack_mode
        }
        Err(error) => panic!("{promise}: open failed: {error}"),
    }
}

async fn written<W: Writer>(writer: &W, batch: RecordBatch, number: u64, promise: &str) -> WriteAck {
    let starts: Vec<u64> = (0..batch.num_rows() as u64).collect();
    match writer.write(batch, &meta(number, &starts)).await {
        Ok(ack) => {
            assert_eq!(
                ack.durable_prefix,
                starts.len() as u64,
                "{promise}: not every change was told of"
            );
            assert!(ack.refused.is_empty(), "{promise}: good rows were refused");
            ack
        }
        Err(error) => panic!("{promise}: write failed: {error}"),
    }
}

async fn closed<W: Writer>(writer: &W, promise: &str) {
    let closed = writer.close(Deadline::after(Duration::from_secs(30))).await;
    assert!(closed.is_ok(), "{promise}: close failed: {closed:?}");
}

async fn a_batch_is_acknowledged_whole<W: Writer>(writer: W) {
    let promise = "a batch is acknowledged whole";
    let mode = opened(&writer, promise).await;
    let ack = written(&writer, sample(0, 100), 1, promise).await;
    if mode == AckMode::OnReturn {
        assert_eq!(
            ack.durability,
            Durability::Durable,
            "{promise}: not durable on return"
        );
    }
    closed(&writer, promise).await;
}

async fn a_batch_without_rows_is_acknowledged<W: Writer>(writer: W) {
    let promise = "a batch without rows is acknowledged";
    opened(&writer, promise).await;
    drop(written(&writer, sample(0, 0), 1, promise).await);
    closed(&writer, promise).await;
}

async fn a_slice_of_a_larger_batch_is_written<W: Writer>(writer: W) {
    let promise = "a slice of a larger batch is written";
    opened(&writer, promise).await;
    let ack = written(&writer, sample(0, 100).slice(37, 11), 1, promise).await;
    assert_eq!(ack.rows, 11, "{promise}: another number of rows was written");
    closed(&writer, promise).await;
}

async fn sixty_four_batches_are_taken_one_after_the_other<W: Writer>(writer: W) {
    let promise = "sixty-four batches are taken one after the other";
    opened(&writer, promise).await;
    for number in 0..64 {
        drop(written(&writer, sample(number * 5, 5), number as u64 + 1, promise).await);
    }
    closed(&writer, promise).await;
}

async fn a_batch_may_be_offered_again<W: Writer>(writer: W) {
    let promise = "a batch may be offered again";
    opened(&writer, promise).await;
    for _ in 0..3 {
        drop(written(&writer, sample(0, 5), 1, promise).await);
    }
    drop(written(&writer, sample(5, 5), 2, promise).await);
    closed(&writer, promise).await;
}

/// Drops a write after each number of polls that it lasts, up to a bound, and writes again after each.
async fn a_cancelled_write_leaves_the_writer_usable<W: Writer>(writer: W) {
    let promise = "a cancelled write leaves the writer usable";
    opened(&writer, promise).await;
    for polls in 1..=8_u64 {
        let starts = [0, 1, 2, 3, 4];
        let meta = meta(polls, &starts);
        poll_some(writer.write(sample(0, 5), &meta), polls).await;
        drop(written(&writer, sample(0, 5), polls, promise).await);
    }
    closed(&writer, promise).await;
}

/// Polls at most so often, with a pause between, then drops.
async fn poll_some<F: Future>(future: F, polls: u64) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn a_schema_may_be_taken_up_again<W: Writer>(writer: W) {
    let promise = "a schema may be taken up again";
    opened(&writer, promise).await;
    drop(written(&writer, sample(0, 5), 1, promise).await);
    let evolved = writer.evolve(sample(0, 0).schema(), 2).await;
    assert!(evolved.is_ok(), "{promise}: evolve failed: {evolved:?}");
    let meta = lakefeed_plugin_api::BatchMeta {
        schema_id: 2,
        ..meta(2, &[0, 1, 2, 3, 4])
    };
    let again = writer.write(sample(5, 5), &meta).await;
    assert!(again.is_ok(), "{promise}: write failed: {again:?}");
    closed(&writer, promise).await;
}
