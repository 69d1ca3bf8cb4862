//! One host at a time, and a store that is another server's all at once.

use super::{Database, PostgresLog, PostgresUrl, database, open_when_free, wait_for};
use crate::change::{Offset, Timestamp};
use crate::log::suite::{all_changes, content, key, page, put, still, topics, version};
use crate::log::{Ack, Log, LogError, Write, WriteError};

/// The session that holds the store.
fn holder(database: &Database) -> Option<String> {
    let held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock' \
                AND classid = 1818323813 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                AND objid = 1";
    let found = database.sql(held);
    (!found.is_empty()).then_some(found)
}

async fn refusal(database: &Database) -> String {
    match PostgresLog::open(&database.url(), still()).await {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_host_is_told_which_session_holds_the_store() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    let refused = refusal(&database).await;
    let holder = holder(&database).unwrap();
    assert!(
        refused.contains(&format!("(held by its process {holder})")),
        "{refused}"
    );
    assert!(refused.contains("LOG-001"), "{refused}");
    log.close().await;
    assert_eq!(refusal(&database).await, "opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_lost_the_store_to_another_writes_nothing_more() {
    let database = database!();
    let zombie = open_when_free(&database.url(), still()).await;
    version(&zombie, put("a", "x")).await;
    let holder = holder(&database).unwrap();
    database.sql(&format!("SELECT pg_terminate_backend({holder})"));
    let log = open_when_free(&database.url(), still()).await;
    let written = zombie.write(vec![put("a", "late")]).await;
    assert!(
        matches!(written, Err(WriteError::Log(LogError::InUse { .. }))),
        "{written:?}"
    );
    let edited = zombie.create_destination("d", Offset::START).await;
    assert!(matches!(edited, Err(LogError::InUse { .. })), "{edited:?}");
    version(&log, put("a", "y")).await;
    assert_eq!(log.history_len(&key("a")).await.unwrap(), 2);
    assert_eq!(log.destinations().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_session_was_lost_takes_the_store_again() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    let first = holder(&database).unwrap();
    database.sql(&format!("SELECT pg_terminate_backend({first})"));
    version(&log, put("a", "x")).await;
    let second = wait_for("the lock", async || holder(&database).filter(|pid| *pid != first)).await;
    assert!(refusal(&database).await.contains(&format!("process {second}")));
    version(&log, put("a", "y")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_session_did_not_answer_holds_the_store_by_another() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    let first = holder(&database).unwrap();
    let mut busy = database.session().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE lakefeed.store")
        .execute(&mut busy)
        .await
        .unwrap();
    wait_for("the keeper to give up", async || {
        let waits = database.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT host FROM%' AND wait_event_type = 'Lock'",
        );
        waits.parse().is_ok_and(|waits: u32| waits >= 2).then_some(())
    })
    .await;
    sqlx::raw_sql("ROLLBACK").execute(&mut busy).await.unwrap();
    let second = wait_for("the lock", async || holder(&database).filter(|pid| *pid != first)).await;
    assert!(refusal(&database).await.contains(&format!("process {second}")));
    version(&log, put("a", "x")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_store_another_had_meanwhile_lets_go_of_it_and_says_so() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    let held = holder(&database).unwrap();
    // What a host does that opens the store and ends again.
    database.sql(&format!(
        "UPDATE lakefeed.store SET host = host + 1; SELECT pg_terminate_backend({held})"
    ));
    assert!(matches!(log.lost().await, LogError::InUse { .. }));
    let read = log.destinations().await;
    assert!(matches!(read, Err(LogError::InUse { .. })), "{read:?}");
    let next = open_when_free(&database.url(), still()).await;
    version(&next, put("a", "x")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_store_begins_anew_goes_on_under_a_number_that_no_other_has() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    version(&log, put("a", "x")).await;
    database.sql(
        "UPDATE lakefeed.identity SET identity = 'elsewhere'; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lakefeed'",
    );
    wait_for("a write", async || log.write(vec![put("a", "y")]).await.ok()).await;
    let host: i64 = database.sql("SELECT host FROM lakefeed.store").parse().unwrap();
    assert!(host > 1_000_000_000_000, "{host}");
    log.create_destination("d", Offset::START).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_settings_a_pooler_dropped_is_refused() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    for dropped in [
        ("synchronous_commit", "off"),
        ("search_path", "public"),
        ("statement_timeout", "0"),
    ] {
        let refused = log.shared.connect(&[dropped]).await.err().unwrap();
        let refused = log.fault(refused);
        assert!(matches!(refused, LogError::Url { .. }), "{refused}");
        assert!(refused.to_string().contains("session mode"), "{refused}");
    }
    version(&log, put("a", "x")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_hold_all_characters_is_refused() {
    let database = database!();
    let server = database.server();
    let name = "lakefeed_latin";
    server.sql(
        "postgres",
        &format!("CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"),
    );
    let url = PostgresUrl::parse(&server.url(name)).unwrap();
    let refused = PostgresLog::open(&url, still()).await.unwrap_err();
    assert!(refused.to_string().contains("encoding is not UTF8"), "{refused}");
    server.sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_newer_schema_or_of_another_program_is_left_alone() {
    let database = database!();
    open_when_free(&database.url(), still()).await.close().await;
    database.sql("INSERT INTO lakefeed.migration (version) VALUES (4711)");
    let refused = refusal(&database).await;
    assert!(
        refused.contains("has schema version 4711, this lakefeed knows 1"),
        "{refused}"
    );
    database.sql(
        "DROP SCHEMA lakefeed CASCADE; CREATE SCHEMA lakefeed; CREATE TABLE lakefeed.theirs (x integer)",
    );
    let refused = refusal(&database).await;
    assert!(refused.contains("another program's"), "{refused}");
    assert_eq!(database.sql("SELECT count(*) FROM lakefeed.theirs"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_make_a_schema_is_told_so_and_uses_one_that_was_made() {
    let database = database!();
    let user = format!("u{}", std::process::id());
    database.sql(&format!("DROP ROLE IF EXISTS {user}; CREATE ROLE {user} LOGIN"));
    let url = database.url_of(&user);
    let refused = PostgresLog::open(&url, still()).await.unwrap_err();
    assert!(matches!(refused, LogError::ReadOnly { .. }), "{refused}");
    database.sql(&format!("CREATE SCHEMA lakefeed AUTHORIZATION {user}"));
    let log = open_when_free(&url, still()).await;
    version(&log, put("a", "x")).await;
    assert_eq!(all_changes(&log, Offset::START).await.len(), 1);
    log.close().await;
    drop(log);
    database.sql(&format!("DROP OWNED BY {user} CASCADE; DROP ROLE {user}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_is_restored_begins_new_generations_above_all_that_was_given() {
    let (database, restored) = (database!(), "lakefeed_restored");
    let log = open_when_free(&database.url(), still()).await;
    let write = |content: &str| Write {
        matcher: topics(&["t"]),
        ..put("a", content)
    };
    for content in ["1", "2", "3"] {
        version(&log, write(content)).await;
    }
    let old = all_changes(&log, Offset::START).await;
    let before = log.create_destination("d", Offset::START).await.unwrap();
    let (fence, _) = log.take_destination("d").await.unwrap();
    let ack = Ack {
        through: old[1].offset,
        batch_done: true,
        at: Timestamp(7),
        ..Ack::default()
    };
    log.ack("d", fence, ack).await.unwrap();
    let copy = database.copy_to(restored).await;
    // What the lost store did after the dump must not be taken for what the restored one does.
    let lost = version(&log, write("lost")).await;
    log.close().await;

    let log = open_when_free(&copy, still()).await;
    assert_eq!(all_changes(&log, Offset::START).await, old);
    let after = log.destination("d").await.unwrap().unwrap();
    assert_eq!((after.offset, after.generation), (old[1].offset, 2));
    assert_ne!(after.uuid, before.uuid);
    let refused = log.ack("d", fence, Ack::default()).await;
    assert!(matches!(refused, Err(LogError::Fenced { .. })), "{refused:?}");
    let made = version(&log, write("4")).await;
    assert!(made.sequence > lost.sequence && made.sequence.0 >= 2_000_000_000);
    let new = all_changes(&log, old[2].offset).await;
    assert_eq!(new.len(), 1);
    assert!(new[0].offset.transaction >= 2_000_000_000_000);
    assert_eq!(log.count_changes(old[0].offset, "t").await.unwrap(), 3);
    let history = log.history(&key("a"), page(None, 10)).await.unwrap();
    let contents: Vec<String> = history.iter().map(content).collect();
    assert_eq!(contents, ["4", "3", "2", "1"]);
    log.close().await;
    let log = open_when_free(&copy, still()).await;
    assert_eq!(log.destination("d").await.unwrap().unwrap().generation, 2);
    log.close().await;
    database
        .server()
        .sql("postgres", &format!("DROP DATABASE {restored}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_restored_twice_gives_no_number_twice() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    version(&log, put("a", "x")).await;
    log.close().await;
    let mut offsets = Vec::new();
    for name in ["lakefeed_twin_1", "lakefeed_twin_2"] {
        let copy = database.copy_to(name).await;
        let log = open_when_free(&copy, still()).await;
        version(&log, put("b", "x")).await;
        let changes = all_changes(&log, Offset::START).await;
        offsets.push(changes[1].offset);
        log.close().await;
        database
            .server()
            .sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    }
    assert!(offsets[0].sequence.abs_diff(offsets[1].sequence) > 1_000);
    assert!(offsets[0].transaction.abs_diff(offsets[1].transaction) > 1_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_loaded_back_into_their_tables_begin_anew() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    version(&log, put("a", "x")).await;
    log.create_destination("d", Offset::START).await.unwrap();
    log.close().await;
    let dump = database.dump_data();
    // What the store does after the dump is lost with it.
    let log = open_when_free(&database.url(), still()).await;
    let lost = version(&log, put("a", "lost")).await;
    assert_eq!(log.destination("d").await.unwrap().unwrap().generation, 1);
    log.close().await;
    database.load_data(&dump);
    let log = open_when_free(&database.url(), still()).await;
    assert_eq!(log.destination("d").await.unwrap().unwrap().generation, 2);
    let made = version(&log, put("a", "y")).await;
    assert!(made.sequence.0 > lost.sequence.0 + 1_000_000_000);
    log.close().await;
    let log = open_when_free(&database.url(), still()).await;
    assert_eq!(log.destination("d").await.unwrap().unwrap().generation, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_an_operator_set_back_begins_anew_when_told_so() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    log.create_destination("d", Offset::START).await.unwrap();
    log.close().await;
    database.sql("DELETE FROM lakefeed.identity");
    let log = open_when_free(&database.url(), still()).await;
    assert_eq!(log.destination("d").await.unwrap().unwrap().generation, 2);
}
