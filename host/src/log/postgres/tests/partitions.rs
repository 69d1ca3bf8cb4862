//! A log of many partitions, and counts of many changes.

use sqlx::Connection;

use super::{PostgresLog, database, open_when_free};
use crate::change::{Change, Offset, Sequence, Timestamp};
use crate::log::postgres::url::{READER, WRITER};
use crate::log::postgres::{changes, history, read};
use crate::log::suite::{all_changes, bound, key, page, put, still, topics, version};
use crate::log::{During, HistoryPage, Log, ReadBound, Which, Write};

/// So narrow that each test has many.
const WIDTH: u64 = 16;

async fn by_pages(log: &PostgresLog, read: ReadBound) -> Vec<Change> {
    let mut seen: Vec<Change> = Vec::new();
    loop {
        let after = seen.last().map_or(Offset::START, |change| change.offset);
        let page = log.changes(after, read).await.unwrap();
        if page.is_empty() {
            return seen;
        }
        seen.extend(page);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_many_partitions_reads_like_one() {
    let database = database!();
    let log = PostgresLog::open_with_width(&database.url(), still(), WIDTH)
        .await
        .unwrap();
    for round in 0..40 {
        let write = |number: usize| Write {
            matcher: topics(if number.is_multiple_of(2) { &["even"] } else { &[] }),
            ..put(
                &format!("p{}", (number * 7 + round) % 5),
                &format!("{round}-{number}"),
            )
        };
        log.write((0..10).map(write).collect()).await.unwrap();
    }
    log.close().await;
    let log = open_when_free(&database.url(), still()).await;
    version(&log, put("p0", "last")).await;

    let partitions: u64 = database
        .sql("SELECT count(*) FROM lakefeed.partition")
        .parse()
        .unwrap();
    assert!(partitions > 401 / WIDTH, "{partitions}");
    let all = all_changes(&log, Offset::START).await;
    assert_eq!(all.len(), 401);
    assert!(all.is_sorted_by(|one, next| one.offset < next.offset));
    assert_eq!(by_pages(&log, bound(7, usize::MAX)).await, all);
    assert_eq!(by_pages(&log, bound(1_000, 400)).await, all);
    assert_eq!(log.head().borrow().sequence, all[400].offset.sequence);
    for (behind, change) in all.iter().enumerate().step_by(23) {
        let wanted = all[behind + 1..]
            .iter()
            .filter(|change| !change.matched.topics.is_empty());
        let counted = log.count_changes(change.offset, "even").await.unwrap();
        assert_eq!(counted, wanted.count() as u64, "behind {}", change.offset);
    }
    histories_cross_partitions(&log, &all).await;
    types_changes_cross_partitions(&log, &all).await;
}

async fn types_changes_cross_partitions(log: &PostgresLog, all: &[Change]) {
    let mut seen = Vec::new();
    let mut after = Offset::START;
    while after < all[400].offset {
        let read = ReadBound {
            through: Some(all[400].offset),
            ..bound(7, usize::MAX)
        };
        let read = log.type_changes("Patient", after, read).await.unwrap();
        after = read.reached;
        seen.extend(read.changes);
    }
    assert_eq!(seen, all);
    let read = ReadBound {
        through: Some(all[400].offset),
        ..bound(7, usize::MAX)
    };
    let none = log
        .type_changes("Observation", Offset::START, read)
        .await
        .unwrap();
    assert_eq!((none.changes, none.reached), (vec![], all[400].offset));
}

async fn histories_cross_partitions(log: &PostgresLog, all: &[Change]) {
    let newest_first: Vec<Sequence> = all.iter().rev().map(|change| change.version.sequence).collect();
    let mut sorted = newest_first.clone();
    sorted.sort_by(|one, other| other.cmp(one));
    let of_type = log
        .type_history("Patient", page(None, 1_000))
        .await
        .unwrap()
        .versions;
    let seen: Vec<Sequence> = of_type.iter().map(|version| version.sequence).collect();
    assert_eq!(seen, sorted);
    let page_behind = log
        .type_history("Patient", page(Some(sorted[99]), 50))
        .await
        .unwrap()
        .versions;
    assert_eq!(page_behind, of_type[100..150]);
    let of_p0: Vec<_> = of_type
        .iter()
        .filter(|version| version.key == key("p0"))
        .cloned()
        .collect();
    assert_eq!(log.history(&key("p0"), page(None, 1_000)).await.unwrap(), of_p0);
    let behind = log
        .history(&key("p0"), page(Some(of_p0[20].sequence), 30))
        .await
        .unwrap();
    assert_eq!(behind, of_p0[21..51]);
    let since = HistoryPage {
        since: Some(of_p0[30].last_updated),
        ..page(None, 1_000)
    };
    assert_eq!(log.history(&key("p0"), since).await.unwrap(), of_p0[..31]);
    let during = |newest: usize, oldest: usize| HistoryPage {
        which: Which::Current(During {
            from: of_p0[oldest].last_updated,
            before: Timestamp(of_p0[newest].last_updated.0 + 1),
        }),
        ..page(None, 1_000)
    };
    let current = log.history(&key("p0"), during(20, 60)).await.unwrap();
    assert_eq!(current, of_p0[20..=60]);
    let of_type = log
        .type_history("Patient", during(20, 60))
        .await
        .unwrap()
        .versions;
    let of_one: Vec<_> = of_type
        .iter()
        .filter(|version| version.key == key("p0"))
        .collect();
    assert_eq!(of_one, current.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_that_are_kept_change_no_answer() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    for round in 0..25 {
        let write = |number: usize| Write {
            matcher: topics(if number % 1_000 == 999 { &[] } else { &["t", "u"] }),
            ..put(&format!("p{round}-{number}"), "x")
        };
        log.write((0..1_000).map(write).collect()).await.unwrap();
    }
    let all = all_changes(&log, Offset::START).await;
    let places: Vec<Offset> = all.iter().step_by(1_733).map(|change| change.offset).collect();
    let mut before = Vec::new();
    for place in &places {
        before.push(log.count_changes(*place, "t").await.unwrap());
    }
    assert_eq!(before[0], 24_974);
    let mut session = database.session().await;
    changes::keep_counts(100, &mut session).await.unwrap();
    session.close().await.unwrap();
    assert_eq!(
        database.sql("SELECT count(*), max(ordinal) FROM lakefeed.matched_count"),
        "24|24000"
    );
    for (place, counted) in places.iter().zip(before) {
        assert_eq!(
            log.count_changes(*place, "t").await.unwrap(),
            counted,
            "behind {place}"
        );
    }
    assert_eq!(log.count_changes(Offset::START, "u").await.unwrap(), 24_975);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_a_history_asks_for_is_passed_over_in_the_index() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    let writes = (0..500).map(|number| put(&format!("p{number}"), "x")).collect();
    log.write(writes).await.unwrap();
    let later = HistoryPage {
        since: Some(Timestamp(i64::MAX)),
        ..page(None, 10)
    };
    assert_eq!(log.type_history("Patient", later).await.unwrap().versions, []);
    let bound = [
        ("$1", "'Patient'"),
        ("$2", "0"),
        ("$3", "1000000"),
        ("$4", "0"),
        ("$5", "10"),
    ];
    let query = bound
        .iter()
        .fold(history::OF_TYPE.to_owned(), |query, (name, value)| {
            query.replace(name, value)
        });
    let mut session = database.url().connect(READER).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("EXPLAIN {query}")))
        .fetch_all(&mut session)
        .await
        .unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Only Scan"), "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_opens_no_partition_but_those_of_the_versions_before() {
    let database = database!();
    let log = PostgresLog::open_with_width(&database.url(), still(), WIDTH)
        .await
        .unwrap();
    for round in 0..20 {
        let write = |number: usize| put(&format!("p{number}"), &round.to_string());
        log.write((0..10).map(write).collect()).await.unwrap();
    }
    let mut session = database.url().connect(WRITER).await.unwrap();
    let explain = format!("EXPLAIN {}", read::versions_of(&[3, 4, 150]));
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
        .fetch_all(&mut session)
        .await
        .unwrap();
    let opened = plan.iter().filter(|line| line.contains(" l_")).count();
    assert_eq!(opened, 2, "{}", plan.join("\n"));
}
