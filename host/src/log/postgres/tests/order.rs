//! Who holds delivery back, and how it goes on.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, Row};

use super::super::changes::LOOKED_AT;
use super::super::horizon;
use super::super::url::READER;
use super::{database, open_when_free, wait_for};
use crate::change::{Offset, ResourceKey, Timestamp};
use crate::log::suite::{all_changes, bound, put, still, version};
use crate::log::{Clock, Log, ReadBound, Write};

fn now() -> Clock {
    Arc::new(Timestamp::now)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivery_waits_for_a_transaction_left_open_in_another_database_and_names_its_process() {
    let database = database!();
    let log = open_when_free(&database.url(), now()).await;
    let first = version(&log, put("a", "before")).await;
    let other = super::PostgresUrl::parse(&database.server().url("postgres")).unwrap();
    let mut other = other.connect(&[]).await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
    let row = sqlx::query("SELECT pg_backend_pid(), pg_current_xact_id()::text")
        .fetch_one(&mut other)
        .await
        .unwrap();
    let pid: i32 = row.get(0);
    let mut head = log.head();
    let before = *head.borrow_and_update();
    assert_eq!(before.sequence, first.sequence.0);

    let hidden = version(&log, put("a", "hidden")).await;
    assert_eq!(log.current(&hidden.key).await.unwrap(), Some(hidden.clone()));
    assert_eq!(all_changes(&log, before).await, []);
    let held = wait_for("the culprit", async || log.held_back().await.unwrap()).await;
    assert!(
        held.reason
            .contains(&format!("process {pid} in database `postgres`")),
        "{held:?}"
    );
    assert!(
        held.reason.contains(&format!("pg_terminate_backend({pid})")),
        "{held:?}"
    );
    assert_eq!(held.since, hidden.last_updated);
    assert_eq!(all_changes(&log, before).await, []);
    assert_eq!(*head.borrow(), before);

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    head.changed().await.unwrap();
    let changes = all_changes(&log, before).await;
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].version, hidden);
    assert_eq!(*head.borrow(), changes[0].offset);
    assert_eq!(log.held_back().await.unwrap(), None);
    other.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_types_changes_that_commit_late_are_given_to_a_reader_who_went_on_before() {
    let database = database!();
    let log = open_when_free(&database.url(), now()).await;
    version(&log, put("a", "before")).await;
    let before = *log.head().borrow();
    let mut late = database.session().await;
    sqlx::raw_sql("BEGIN; SELECT pg_current_xact_id()")
        .execute(&mut late)
        .await
        .unwrap();
    // A transaction that began earlier and whose change has an earlier place, committed after a later one's.
    let hidden = version(&log, put("b", "first to commit")).await;
    let through = |head| ReadBound {
        through: Some(head),
        ..bound(100, usize::MAX)
    };
    let mut head = log.head();
    let read = log.type_changes("Patient", before, through(*head.borrow())).await;
    let read = read.unwrap();
    assert_eq!((read.changes, read.reached), (vec![], before));
    let read = log
        .type_changes("Patient", before, bound(100, usize::MAX))
        .await
        .unwrap();
    assert_eq!((read.changes, read.reached), (vec![], before));
    sqlx::raw_sql(
        "INSERT INTO lakefeed.log (sequence, transaction, last_updated, created_at, topics_known, status, \
           resource_type, id, resource) \
         SELECT nextval('lakefeed.sequence'), s.base + pg_current_xact_id()::text::bigint, 1, 1, 0, 0, \
           'Patient', 'late', '{}' FROM lakefeed.store s; COMMIT",
    )
    .execute(&mut late)
    .await
    .unwrap();
    head.wait_for(|head| *head > before).await.unwrap();
    wait_for("both changes", async || {
        let bound = through(*head.borrow());
        let read = log.type_changes("Patient", before, bound).await.unwrap();
        let ids: Vec<&str> = read
            .changes
            .iter()
            .map(|change| change.version.key.id())
            .collect();
        assert!(ids.is_empty() || ids[0] == "late", "{ids:?}");
        (ids == ["late", hidden.key.id()]).then_some(())
    })
    .await;
    late.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_of_a_types_changes_looks_at_so_many_of_others_and_goes_on_from_there() {
    let database = database!();
    let log = open_when_free(&database.url(), now()).await;
    let others = |number: usize| Write {
        key: ResourceKey::new("Observation", &format!("o{number}")).unwrap(),
        ..put("o", "x")
    };
    for part in 0..=LOOKED_AT / 1_000 {
        let writes = (part * 1_000..(part + 1) * 1_000).map(others);
        log.write(writes.collect()).await.unwrap();
    }
    let last = version(&log, put("a", "x")).await;
    let mut head = log.head();
    let head = *head
        .wait_for(|head| head.sequence == last.sequence.0)
        .await
        .unwrap();
    let through = ReadBound {
        through: Some(head),
        ..bound(100, usize::MAX)
    };
    let first = log.type_changes("Patient", Offset::START, through).await.unwrap();
    assert_eq!(first.changes, []);
    assert!(first.reached > Offset::START && first.reached < head);
    let second = log.type_changes("Patient", first.reached, through).await.unwrap();
    assert_eq!(second.changes[0].version, last);
    assert_eq!(second.reached, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_transaction_that_holds_delivery_back_is_named_by_its_id() {
    let database = database!();
    let log = open_when_free(&database.url(), now()).await;
    let script = "BEGIN; CREATE TABLE theirs (x integer); PREPARE TRANSACTION 'left behind'";
    let mut session = database.session().await;
    sqlx::raw_sql("SET search_path = public")
        .execute(&mut session)
        .await
        .unwrap();
    for statement in script.split("; ") {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut session)
            .await
            .unwrap();
    }
    version(&log, put("a", "x")).await;
    let held = wait_for("the culprit", async || log.held_back().await.unwrap()).await;
    assert!(
        held.reason.contains("prepared transaction `left behind`"),
        "{held:?}"
    );
    database.sql("ROLLBACK PREPARED 'left behind'");
    wait_for("the change", async || {
        let changes = all_changes(&log, Offset::START).await;
        (!changes.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_changes_back_is_asked_without_walking_what_is_hidden() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    let mut open = database.session().await;
    sqlx::raw_sql("BEGIN; SELECT pg_current_xact_id()")
        .execute(&mut open)
        .await
        .unwrap();
    let writes = (0..2_000).map(|number| put(&format!("p{number}"), "x")).collect();
    log.write(writes).await.unwrap();
    // As a reader of the store asks.
    let mut session = database.url().connect(READER).await.unwrap();
    let explain = horizon::FIRST_HIDDEN.replace("$1", "0").replace("$2", "0");
    let explain = format!("EXPLAIN (ANALYZE, FORMAT TEXT) {explain}");
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
        .fetch_all(&mut session)
        .await
        .unwrap();
    let most = plan.iter().filter_map(|line| {
        let rows = line.split("(actual").nth(1)?.split("rows=").nth(1)?;
        rows.split(['.', ' ']).next()?.parse::<u64>().ok()
    });
    assert_eq!(most.max(), Some(1), "{plan:#?}");
}
