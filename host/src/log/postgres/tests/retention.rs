//! Partitions that give way: what is kept, what is not, and what nobody notices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::{Database, PostgresLog, database, wait_for};
use crate::change::{Change, Offset, ResourceKey, Retention, Sequence, Timestamp};
use crate::log::postgres::retention::{Retirer, Step};
use crate::log::postgres::url::UPKEEP;
use crate::log::postgres::{changes, partition};
use crate::log::suite::{Hands, all_changes, delete, key, page, put, still, topics, version};
use crate::log::{Ack, DestinationState, Log, LogError, Search, Write};

/// So narrow that each test has many.
const WIDTH: u64 = 16;

async fn open(database: &Database, width: u64) -> PostgresLog {
    open_as(database, width, Retention::All).await
}

async fn open_as(database: &Database, width: u64, retention: Retention) -> PostgresLog {
    wait_for("the store", async || {
        match PostgresLog::open_with(&database.url(), still(), width, retention).await {
            Err(LogError::InUse { .. }) => None,
            other => Some(other.unwrap()),
        }
    })
    .await
}

/// What the upkeep does, by hand.
struct ByHand {
    session: PgConnection,
    retirer: Retirer,
}

impl ByHand {
    async fn of(log: &PostgresLog, retention: Retention) -> Self {
        let shared = Arc::clone(&log.shared);
        Self {
            session: shared.url.connect(UPKEEP).await.unwrap(),
            retirer: Retirer::new(retention, shared),
        }
    }

    async fn seal(&mut self, log: &PostgresLog) {
        let last = partition::last_sequence(&mut self.session).await.unwrap();
        partition::seal(last, log.shared.width, &mut self.session)
            .await
            .unwrap();
    }

    /// Until nothing is left to be done.
    async fn finish(&mut self) {
        while self.retirer.step(&mut self.session).await.unwrap() == Step::More {}
    }
}

async fn retire(log: &PostgresLog, retention: Retention) {
    let mut by_hand = ByHand::of(log, retention).await;
    by_hand.seal(log).await;
    by_hand.finish().await;
    by_hand.session.close().await.unwrap();
}

/// Of ten resources nine are written again and again, and one of them is deleted in the end; others never change.
async fn write_rounds(log: &PostgresLog, rounds: std::ops::Range<usize>) {
    for round in rounds {
        let write = |number: usize| Write {
            matcher: topics(if number.is_multiple_of(2) { &["even"] } else { &[] }),
            ..put(&format!("p{number}"), &format!("{round}-{number}"))
        };
        let mut writes: Vec<Write> = (0..9).map(write).collect();
        if round % 7 == 0 {
            writes.push(put(&format!("once{round}"), "x"));
        }
        log.write(writes).await.unwrap();
    }
}

async fn acked(log: &PostgresLog, id: &str, through: Offset) {
    let (fence, _) = log.take_destination(id).await.unwrap();
    let ack = Ack {
        through,
        batch_done: true,
        ..Ack::default()
    };
    log.ack(id, fence, ack).await.unwrap();
}

fn head(log: &PostgresLog) -> Offset {
    *log.head().borrow()
}

/// Each resource's newest change.
fn newest(changes: &[Change]) -> BTreeMap<ResourceKey, Change> {
    let by_key = |change: &Change| (change.version.key.clone(), change.clone());
    changes.iter().map(by_key).collect()
}

/// What is there is in order and was there before, and no resource's newest version is missing.
async fn assert_kept(before: &[Change], log: &PostgresLog) -> Vec<Change> {
    let after = all_changes(log, Offset::START).await;
    assert!(after.is_sorted_by(|one, next| one.offset < next.offset));
    assert_eq!(newest(&after), newest(before));
    let known: BTreeSet<Offset> = before.iter().map(|change| change.offset).collect();
    assert!(after.iter().all(|change| known.contains(&change.offset)));
    for change in newest(before).values() {
        let current = log.current(&change.version.key).await.unwrap();
        assert_eq!(current.as_ref(), Some(&change.version));
    }
    after
}

fn tables(database: &Database) -> u64 {
    let script =
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'lakefeed'::regnamespace AND relkind = 'r'";
    database.sql(script).parse().unwrap()
}

async fn assert_counts(changes: &[Change], log: &PostgresLog) {
    let mut places = vec![Offset::START];
    places.extend(
        changes
            .iter()
            .step_by(changes.len() / 20 + 1)
            .map(|change| change.offset),
    );
    for place in places {
        let behind = changes.iter().filter(|change| change.offset > place);
        let wanted = behind.filter(|change| !change.matched.topics.is_empty()).count() as u64;
        assert_eq!(log.count_changes(place, "even").await.unwrap(), wanted, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_every_destination_has_gives_way_but_for_newest_versions() {
    let database = database!();
    let log = open(&database, WIDTH).await;
    log.create_destination("d", Offset::START).await.unwrap();
    version(&log, put("first", "x")).await;
    version(&log, delete("first")).await;
    write_rounds(&log, 0..30).await;
    let before = all_changes(&log, Offset::START).await;
    retire(&log, Retention::Delivered).await;
    assert_eq!(
        all_changes(&log, Offset::START).await,
        before,
        "nothing was delivered"
    );

    acked(&log, "d", head(&log)).await;
    let superseded = &before[0].version;
    retire(&log, Retention::All).await;
    assert_eq!(all_changes(&log, Offset::START).await, before, "all is kept");
    retire(&log, Retention::Delivered).await;
    let after = assert_kept(&before, &log).await;
    assert!(after.len() < 60, "{} of {} are left", after.len(), before.len());
    assert_counts(&after, &log).await;
    assert_eq!(
        log.version(&superseded.key, superseded.sequence).await.unwrap(),
        None
    );
    let first: Vec<Sequence> = log
        .history(&key("first"), page(None, 10))
        .await
        .unwrap()
        .iter()
        .map(|version| version.sequence)
        .collect();
    assert_eq!(first, [before[1].version.sequence], "only the delete is left");
    assert_eq!(log.history_len(&key("first")).await.unwrap(), 2);
    let of_type = log
        .type_history("Patient", page(None, 1_000))
        .await
        .unwrap()
        .versions;
    assert_eq!(of_type.len(), after.len());
    let search = Search {
        resource_type: "Patient".to_owned(),
        count: 100,
        ..Search::default()
    };
    assert_eq!(log.search(&search).await.unwrap().len(), 9 + 5);

    // It goes on: writes, reads from an old offset, and after reopening.
    let behind = after[after.len() / 2].offset;
    let written = version(&log, put("once0", "again")).await;
    log.close().await;
    let log = open(&database, WIDTH).await;
    assert_eq!(head(&log).sequence, written.sequence.0);
    let rest = all_changes(&log, behind).await;
    assert_eq!(rest.len(), after.len() - after.len() / 2);
    assert_eq!(rest.last().unwrap().version, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gives_way_that_a_paused_destination_may_still_ask_for() {
    let database = database!();
    let log = open(&database, WIDTH).await;
    log.create_destination("quick", Offset::START).await.unwrap();
    log.create_destination("slow", Offset::START).await.unwrap();
    write_rounds(&log, 0..20).await;
    let before = all_changes(&log, Offset::START).await;
    let middle = before[100].offset;
    acked(&log, "quick", head(&log)).await;
    acked(&log, "slow", middle).await;
    log.set_destination_state("slow", DestinationState::Paused)
        .await
        .unwrap();
    retire(&log, Retention::Delivered).await;
    assert_kept(&before, &log).await;
    assert!(all_changes(&log, Offset::START).await.len() < before.len());
    assert_eq!(all_changes(&log, middle).await, before[101..]);
    for change in &before[101..] {
        let Some(previous) = change.previous else { continue };
        let previous = log.version(&change.version.key, previous).await.unwrap();
        assert!(previous.is_some(), "before {}", change.offset);
    }
    acked(&log, "slow", head(&log)).await;
    let left = all_changes(&log, Offset::START).await.len();
    retire(&log, Retention::Delivered).await;
    assert!(assert_kept(&before, &log).await.len() < left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_begins_meanwhile_is_given_all_that_was_there() {
    let database = database!();
    let log = open(&database, WIDTH).await;
    log.create_destination("d", Offset::START).await.unwrap();
    write_rounds(&log, 0..10).await;
    acked(&log, "d", head(&log)).await;
    let before = all_changes(&log, Offset::START).await;
    let mut by_hand = ByHand::of(&log, Retention::Delivered).await;
    by_hand.seal(&log).await;
    while !by_hand.retirer.has_counted() {
        by_hand.retirer.step(&mut by_hand.session).await.unwrap();
    }
    log.create_destination("new", Offset::START).await.unwrap();
    by_hand.finish().await;
    assert_eq!(all_changes(&log, Offset::START).await, before);
    log.drop_destination("new").await.unwrap();
    by_hand.finish().await;
    assert_kept(&before, &log).await;
    assert!(all_changes(&log, Offset::START).await.len() < before.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_age_keeps_what_is_younger_and_needs_no_destination() {
    let database = database!();
    let hands = Hands::at(1_000_000_000);
    let log = PostgresLog::open_with(&database.url(), hands.clock(), WIDTH, Retention::All)
        .await
        .unwrap();
    let hour = Retention::Age(Duration::from_secs(3_600));
    write_rounds(&log, 0..10).await;
    let young = log.head().borrow().to_owned();
    hands.set(3_600_000_000);
    write_rounds(&log, 10..20).await;
    let before = all_changes(&log, Offset::START).await;
    retire(&log, hour).await;
    assert_eq!(all_changes(&log, Offset::START).await, before);
    hands.set(1_000_000_000 + 3_700_000_000);
    retire(&log, hour).await;
    let after = assert_kept(&before, &log).await;
    let younger = |changes: &[Change]| changes.iter().filter(|change| change.offset > young).count();
    assert_eq!(younger(&after), younger(&before));
    assert!(after.len() < before.len() - 50, "{}", after.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_ends_at_any_step_leaves_a_whole_log() {
    let database = database!();
    let mut written = 0;
    let mut random: u64 = 7;
    for steps in 0..24_u64 {
        let log = open(&database, WIDTH).await;
        if steps == 0 {
            log.create_destination("d", Offset::START).await.unwrap();
        }
        write_rounds(&log, written..written + 4).await;
        written += 4;
        acked(&log, "d", head(&log)).await;
        let before = all_changes(&log, Offset::START).await;
        let mut by_hand = ByHand::of(&log, Retention::Delivered).await;
        by_hand.seal(&log).await;
        for _ in 0..steps / 2 {
            by_hand.retirer.step(&mut by_hand.session).await.unwrap();
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let moment = Duration::from_micros((random >> 33) % 4_000);
        let step = by_hand.retirer.step(&mut by_hand.session);
        // Broken off wherever it is, as the end of the process would.
        if let Ok(done) = tokio::time::timeout(moment, step).await {
            done.unwrap();
        }
        drop(by_hand);
        drop(log);
        let log = open(&database, WIDTH).await;
        let after = assert_kept(&before, &log).await;
        assert_counts(&after, &log).await;
        log.close().await;
    }
    let log = open(&database, WIDTH).await;
    let before = all_changes(&log, Offset::START).await;
    retire(&log, Retention::Delivered).await;
    let after = assert_kept(&before, &log).await;
    assert_counts(&after, &log).await;
    let left = "SELECT count(*) - (SELECT 2 * count(*) FROM lakefeed.partition) FROM pg_class \
                WHERE relnamespace = 'lakefeed'::regnamespace AND relkind = 'r' AND relname ~ '^(log|matched)_[0-9]'";
    // The server may still be ending a session that was broken off.
    wait_for("the leftovers to be gone", async || {
        retire(&log, Retention::Delivered).await;
        (database.sql(left) == "0").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_many_rounds_the_store_stays_small_and_its_counts_exact() {
    let database = database!();
    let log = open(&database, 3_000).await;
    log.create_destination("d", Offset::START).await.unwrap();
    let mut most = 0;
    for round in 0..24 {
        for part in 0..2 {
            let write = |number: usize| Write {
                matcher: topics(&["even"]),
                ..put(&format!("p{}", number % 700), &format!("{round}-{part}"))
            };
            // Each round leaves one behind that never changes.
            let mut writes: Vec<Write> = (0..1_000).map(write).collect();
            writes.push(put(&format!("once{round}-{part}"), "x"));
            log.write(writes).await.unwrap();
        }
        let mut by_hand = ByHand::of(&log, Retention::Delivered).await;
        changes::keep_counts(100, &mut by_hand.session).await.unwrap();
        let before = all_changes(&log, Offset::START).await;
        assert_counts(&before, &log).await;
        if round % 4 != 3 {
            acked(&log, "d", head(&log)).await;
        }
        by_hand.seal(&log).await;
        by_hand.finish().await;
        let after = assert_kept(&before, &log).await;
        assert_counts(&after, &log).await;
        most = most.max(after.len());
    }
    assert!(most < 4 * 3_000 + 4_000, "{most}");
    assert!(tables(&database) < 70, "{}", tables(&database));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_readers_notice_nothing() {
    let database = database!();
    let log = Arc::new(open_as(&database, 200, Retention::Delivered).await);
    log.create_destination("d", Offset::START).await.unwrap();
    write_rounds(&log, 0..8).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for writer in 0..3_usize {
        let (log, is_over) = (Arc::clone(&log), Arc::clone(&is_over));
        tasks.push(tokio::spawn(async move {
            for round in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                version(
                    &*log,
                    put(&format!("p{}", (round + writer) % 9), &format!("{round}")),
                )
                .await;
            }
        }));
    }
    let (reader, ended) = (Arc::clone(&log), Arc::clone(&is_over));
    tasks.push(tokio::spawn(async move {
        let search = Search {
            resource_type: "Patient".to_owned(),
            count: 100,
            ..Search::default()
        };
        while !ended.load(Ordering::Relaxed) {
            assert_eq!(reader.search(&search).await.unwrap().len(), 11);
            assert!(reader.current(&key("p3")).await.unwrap().is_some());
            assert!(
                !reader
                    .history(&key("once0"), page(None, 5))
                    .await
                    .unwrap()
                    .is_empty()
            );
            reader.count_changes(Offset::START, "even").await.unwrap();
        }
    }));
    let mut delivered: Vec<Change> = Vec::new();
    let (fence, _) = log.take_destination("d").await.unwrap();
    let oldest = "SELECT min(number) FROM lakefeed.partition WHERE round = 0";
    while database.sql(oldest).parse::<u64>().unwrap() < 8 {
        let after = delivered.last().map_or(Offset::START, |change| change.offset);
        let more = all_changes(&*log, after).await;
        let ack = Ack {
            through: more.last().map_or(after, |change| change.offset),
            at: Timestamp(1),
            ..Ack::default()
        };
        log.ack("d", fence, ack).await.unwrap();
        delivered.extend(more);
        log.shared.upkeep.notify_one();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let after = delivered.last().map_or(Offset::START, |change| change.offset);
    delivered.extend(all_changes(&*log, after).await);
    assert!(delivered.is_sorted_by(|one, next| one.offset < next.offset));
    // Each version names the one before it, which was delivered before it.
    let mut last: BTreeMap<ResourceKey, Sequence> = BTreeMap::new();
    for change in &delivered {
        let before = last.insert(change.version.key.clone(), change.version.sequence);
        assert_eq!(before, change.previous, "{}", change.offset);
    }
    log.close().await;
}
