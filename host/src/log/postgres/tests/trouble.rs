//! A server that goes away, commits whose answer is lost, and calls that cannot be written.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lakefeed_test_postgres::{Server, skipped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::{PostgresUrl, database, open_when_free, wait_for};
use crate::change::Offset;
use crate::log::suite::{all_changes, key, put, still, version};
use crate::log::{Log, LogError, WriteError};

fn is_unavailable<T>(answer: &Result<T, LogError>) -> bool {
    matches!(answer, Err(LogError::Unavailable { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_calls_fail_fast_and_go_on_by_themselves_when_it_is_back() {
    let Some(server) = Server::start(&[]) else {
        return skipped();
    };
    let url = PostgresUrl::parse(&server.url(&server.database())).unwrap();
    let log = open_when_free(&url, still()).await;
    log.create_destination("d", Offset::START).await.unwrap();
    let mut acknowledged = 0;
    for signal in ["QUIT", "INT"] {
        acknowledged += 1;
        version(&log, put(&format!("p{acknowledged}"), "x")).await;
        server.kill(signal);
        let began = Instant::now();
        for _ in 0..5 {
            let written = log.write(vec![put("lost", "x")]).await;
            assert!(
                matches!(written, Err(WriteError::Log(LogError::Unavailable { .. }))),
                "{written:?}"
            );
        }
        assert!(is_unavailable(&log.current(&key("p1")).await));
        assert!(is_unavailable(
            &log.changes(Offset::START, crate::log::suite::bound(9, 9)).await
        ));
        assert!(is_unavailable(&log.take_destination("d").await.map(drop)));
        // A call waits for a connection for its patience at most, not for the server.
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        server.resume();
        acknowledged += 1;
        let again = format!("p{acknowledged}");
        wait_for("the store", async || log.write(vec![put(&again, "x")]).await.ok()).await;
        wait_for("the readers", async || log.take_destination("d").await.ok()).await;
        let changes = wait_for("the changes", async || {
            let changes = log
                .changes(Offset::START, crate::log::suite::bound(99, usize::MAX))
                .await;
            changes.ok().filter(|changes| changes.len() >= acknowledged)
        })
        .await;
        assert_eq!(changes.len(), acknowledged);
    }
    log.close().await;
}

/// Stands between a store and its server, and cuts the connection behind a commit when it is told to: the server gets
/// the commit, its answer gets nowhere.
async fn cut_commits(folder: &Path, server: String, armed: Arc<AtomicBool>) {
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = UnixStream::connect(&server).await.unwrap();
        let armed = armed.clone();
        tokio::spawn(async move {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let back = tokio::spawn(async move {
                tokio::io::copy(&mut from_server, &mut to_client).await.ok();
            });
            let mut buffer = vec![0; 1 << 16];
            while let Ok(length) = from_client.read(&mut buffer).await {
                let is_commit = buffer[..length].windows(7).any(|window| window == b"COMMIT;");
                let is_cut = is_commit && armed.swap(false, Ordering::SeqCst);
                if is_cut {
                    back.abort();
                }
                if length == 0 || to_server.write_all(&buffer[..length]).await.is_err() || is_cut {
                    break;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_answered_by_what_became_of_it() {
    let database = database!();
    let folder = tempfile::tempdir().unwrap();
    let server = database.socket();
    let armed = Arc::new(AtomicBool::new(false));
    let proxy = tokio::spawn({
        let (folder, armed) = (folder.path().to_owned(), armed.clone());
        async move { cut_commits(&folder, server, armed).await }
    });
    wait_for("the proxy", async || {
        folder.path().join(".s.PGSQL.5432").exists().then_some(())
    })
    .await;
    let log = open_when_free(&database.url_through(folder.path()), still()).await;
    for number in 0..5 {
        armed.store(true, Ordering::SeqCst);
        let made = version(&log, put("a", &number.to_string())).await;
        assert!(!armed.load(Ordering::SeqCst));
        assert_eq!(log.current(&made.key).await.unwrap(), Some(made));
    }
    assert_eq!(log.history_len(&key("a")).await.unwrap(), 5);
    assert_eq!(all_changes(&log, Offset::START).await.len(), 5);
    log.close().await;
    proxy.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_takes_down_only_the_call_that_cannot_be_written() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    version(&log, put("a", "x")).await;
    // A trigger stands in for whatever one row may hit and the others do not.
    database.sql(
        "CREATE FUNCTION lakefeed.refuse() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN IF new.id = 'bad' THEN RAISE 'no' USING ERRCODE = '23514'; END IF; RETURN new; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON lakefeed.log FOR EACH ROW EXECUTE FUNCTION lakefeed.refuse()",
    );
    let ids = ["p1", "bad", "p2", "p3"];
    let answers = futures::future::join_all(ids.map(|id| log.write(vec![put(id, "x")]))).await;
    let written: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(written, [true, false, true, true]);
    assert!(
        matches!(&answers[1], Err(WriteError::Log(LogError::Unfit { .. }))),
        "{:?}",
        answers[1]
    );
    let changes = all_changes(&log, Offset::START).await;
    let mut seen: Vec<&str> = changes.iter().map(|change| change.version.key.id()).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["a", "p1", "p2", "p3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_many_thousand_writes_is_one_transaction() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    let writes: Vec<_> = (0..5_000)
        .map(|number| put(&format!("p{}", number % 4_000), "x"))
        .collect();
    let beside = log.write(vec![put("p1", "y")]);
    let (many, one) = futures::join!(log.write(writes), beside);
    assert_eq!(many.unwrap().len(), 5_000);
    one.unwrap();
    let changes = all_changes(&log, Offset::START).await;
    assert_eq!(changes.len(), 5_001);
    let transactions: std::collections::HashSet<u64> =
        changes.iter().map(|change| change.offset.transaction).collect();
    assert_eq!(transactions.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequence_that_was_set_back_goes_on_above_what_is_there() {
    let database = database!();
    let log = open_when_free(&database.url(), still()).await;
    let mut newest = 0;
    for id in ["a", "b", "c"] {
        newest = version(&log, put(id, "x")).await.sequence.0;
    }
    database.sql("ALTER SEQUENCE lakefeed.sequence RESTART WITH 1");
    let made = version(&log, put("d", "x")).await;
    assert!(made.sequence.0 > newest, "{made:?}");
    assert_eq!(all_changes(&log, Offset::START).await.len(), 4);
}
