//! Starting, stopping, pausing and moving destinations, also when two do it at once or the store fails.

use super::*;
use crate::delivery::target::{CLOSE_WITHIN, Target};
use crate::delivery::timed::Timed;
use crate::log::Log;

const A_WHILE: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn of_two_starts_at_once_one_worker_is_left_and_it_can_be_stopped() {
    let bench = Bench::new();
    bench.start().await;
    tokio::time::sleep(A_WHILE).await;
    tokio::join!(bench.start(), bench.start());
    tokio::time::sleep(A_WHILE).await;
    bench.deliveries.stop(ID).await;
    let table = bench.target.table();
    assert_eq!((table.opened, table.closed), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_resume_whose_store_call_fails_can_be_tried_again() {
    let bench = Bench::new();
    bench.start().await;
    bench.deliveries.pause(ID).await.unwrap();
    let expected = put_many(&bench.log, 1);
    bench.log.fail_next("destination");
    assert!(bench.deliveries.resume(ID).await.is_err());
    bench.deliveries.resume(ID).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.rows(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_rewind_that_the_store_refuses_leaves_the_destination_delivering() {
    let bench = Bench::new();
    bench.start().await;
    bench.log.fail_next("rewind");
    assert!(bench.deliveries.rewind(ID, Offset::START).await.is_err());
    let expected = put_many(&bench.log, 1);
    bench.settle().await;
    assert_eq!(bench.rows(), expected);
    bench.deliveries.rewind(ID, Offset::START).await.unwrap();
    bench.settle().await;
    assert_eq!((bench.rows().len(), bench.log.record().generation), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_not_lost_when_the_write_under_way_halts() {
    let bench = Bench::new();
    bench.start().await;
    tokio::time::sleep(A_WHILE).await;
    bench.target.script([Fate::Fails(failure(Category::AuthDenied))]);
    // As a pause does before the worker hears of it.
    bench
        .log
        .set_destination_state(ID, DestinationState::Paused)
        .await
        .unwrap();
    put_many(&bench.log, 1);
    bench.settle().await;
    let record = bench.log.record();
    assert_eq!(record.state, DestinationState::Paused);
    assert_eq!(record.last_errors[0].code, "T-001");
}

#[tokio::test(start_paused = true)]
async fn a_close_that_ends_at_its_own_deadline_is_waited_for_and_a_longer_one_is_not() {
    let target = Scripted::default();
    let mut timed = Timed::new(Box::new(target.clone()), A_WHILE);
    target.table().close_takes = CLOSE_WITHIN;
    timed.close().await;
    assert_eq!(ends(&target), (1, 0));
    target.table().close_takes = CLOSE_WITHIN * 2;
    timed.close().await;
    assert_eq!(ends(&target), (1, 1));
}

/// How often a target was closed and how often discarded.
fn ends(target: &Scripted) -> (usize, usize) {
    let table = target.table();
    (table.closed, table.discarded)
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_catches_up_lets_others_run_every_few_changes() {
    let mut bench = Bench::new();
    bench.spec.batch.rows = 1_000;
    put_many(&bench.log, 1_000);
    let turns = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    bench.start().await;
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    while bench.offered().is_empty() {
        tokio::task::yield_now().await;
    }
    other.abort();
    let turns = turns.load(std::sync::atomic::Ordering::Relaxed);
    assert!(turns >= 1_000 / 64, "{turns} turns");
    assert_eq!(bench.offered(), [(1, 1, 1_000)]);
}
