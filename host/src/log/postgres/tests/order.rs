//! Who holds delivery back, and how it goes on.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, Row};

use super::super::horizon;
use super::super::url::READER;
use super::{database, open_when_free, wait_for};
use crate::change::{Offset, Timestamp};
use crate::log::suite::{all_changes, put, still, version};
use crate::log::{Clock, Log};

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
