//! What only the SQLite store promises, and the suite that all stores run.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;

use super::SqliteLog;
use crate::change::{Offset, Timestamp};
use crate::log::suite::{Stores, all_changes, log_suite, put, still, topics, version};
use crate::log::{Clock, Log, LogError, Write};

mod copies;
mod processes;

log_suite!(Folder::new());

/// A folder with one store.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn store(&self) -> PathBuf {
        self.file("l.db")
    }
}

#[async_trait]
impl Stores for Folder {
    async fn open(&self, clock: Clock) -> Arc<dyn Log> {
        Arc::new(open_when_free(&self.store(), clock).await)
    }
}

/// Opens a store; while one that was dropped still ends, waits for it.
pub(super) async fn open_when_free(path: &Path, clock: Clock) -> SqliteLog {
    for _ in 0..2_000 {
        match SqliteLog::open(path, clock.clone()).await {
            Err(LogError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            other => return other.unwrap(),
        }
    }
    panic!("the store is never let go of");
}

pub(super) async fn sqlite(path: &Path, script: &str) {
    use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
    let options = super::schema::copying(path, 100).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(script.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn refusal(path: &Path) -> String {
    match SqliteLog::open(path, still()).await {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn every_file_of_a_store_is_its_owners_alone() {
    let folder = Folder::new();
    let log = folder.open(still()).await;
    version(&*log, put("a", "x")).await;
    for name in ["l.db", "l.db-wal", "l.db-shm", "l.db-lock"] {
        assert_eq!(mode(&folder.file(name)), 0o600, "{name}");
    }
    log.close().await;
    std::fs::set_permissions(folder.store(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let log = folder.open(still()).await;
    assert_eq!(mode(&folder.store()), 0o600);
    log.close().await;
}

#[tokio::test]
async fn a_second_host_on_the_same_file_is_told_so_under_whichever_name() {
    let folder = Folder::new();
    let log = folder.open(still()).await;
    let link = folder.file("link.db");
    std::os::unix::fs::symlink(folder.store(), &link).unwrap();
    for path in [folder.store(), link] {
        let refused = SqliteLog::open(&path, still()).await;
        assert!(matches!(refused, Err(LogError::InUse { .. })), "{refused:?}");
    }
    log.close().await;
    SqliteLog::open(&folder.store(), still()).await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_schema_is_left_alone() {
    let folder = Folder::new();
    folder.open(still()).await.close().await;
    sqlite(&folder.store(), "PRAGMA user_version = 4711").await;
    let refused = refusal(&folder.store()).await;
    assert!(
        refused.contains("has schema version 4711, this lakefeed knows 1"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let text = folder.file("text");
    std::fs::write(
        &text,
        "no database, but a text that is long enough for a header".repeat(9),
    )
    .unwrap();
    let before = std::fs::read(&text).unwrap();
    let refused = refusal(&text).await;
    assert!(refused.contains("not an SQLite database"), "{refused}");
    assert_eq!(std::fs::read(&text).unwrap(), before);
    let foreign = folder.file("foreign.db");
    sqlite(&foreign, "CREATE TABLE theirs (x)").await;
    let refused = refusal(&foreign).await;
    assert!(refused.contains("another program's database"), "{refused}");
    let refused = refusal(folder.0.path()).await;
    assert!(refused.contains("it is not a file"), "{refused}");
}

#[tokio::test]
async fn a_damaged_file_is_called_damaged() {
    let folder = Folder::new();
    let log = folder.open(still()).await;
    for number in 0..50 {
        version(&*log, put(&format!("p{number}"), &"x".repeat(1_000))).await;
    }
    log.close().await;
    let mut bytes = std::fs::read(folder.store()).unwrap();
    let middle = bytes.len() / 4096 / 4 * 4096;
    bytes[middle..].fill(0xa5);
    std::fs::write(folder.store(), &bytes).unwrap();
    let damaged = match SqliteLog::open(&folder.store(), still()).await {
        Err(error) => error,
        Ok(log) => log
            .changes(Offset::START, crate::log::suite::bound(100, usize::MAX))
            .await
            .unwrap_err(),
    };
    assert!(matches!(damaged, LogError::Damaged { .. }), "{damaged:?}");
}

#[tokio::test]
async fn a_read_only_file_is_refused_and_says_what_to_do() {
    let folder = Folder::new();
    folder.open(still()).await.close().await;
    std::fs::set_permissions(folder.store(), std::fs::Permissions::from_mode(0o444)).unwrap();
    let refused = refusal(&folder.store()).await;
    assert!(
        refused.contains("l.db is read-only; give the host the right to write it"),
        "{refused}"
    );
    let missing = refusal(&folder.file("no/such/l.db")).await;
    assert!(missing.contains("which is no folder; make it first"), "{missing}");
}

#[tokio::test]
async fn a_restart_counts_on_from_where_a_topic_was() {
    let folder = Folder::new();
    for round in 1..4_u64 {
        let log = folder.open(still()).await;
        let write = |id: &str| Write {
            matcher: topics(&["t"]),
            ..put(id, "x")
        };
        log.write(vec![write("a"), write("b")]).await.unwrap();
        assert_eq!(log.count_changes(Offset::START, "t").await.unwrap(), 2 * round);
        log.close().await;
    }
}

#[tokio::test]
async fn a_commit_that_fails_takes_down_only_the_call_that_cannot_be_written() {
    let folder = Folder::new();
    let log = folder.open(still()).await;
    version(&*log, put("a", "x")).await;
    // A trigger stands in for whatever one row may hit and the others do not.
    sqlite(
        &folder.store(),
        "CREATE TRIGGER refuse BEFORE INSERT ON log WHEN new.id = 'bad' BEGIN SELECT raise(ABORT, 'no'); END",
    )
    .await;
    let ids = ["p1", "bad", "p2", "p3"];
    let answers = futures::future::join_all(ids.map(|id| log.write(vec![put(id, "x")]))).await;
    let written: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(written, [true, false, true, true]);
    let changes = all_changes(&*log, Offset::START).await;
    let seen: Vec<&str> = changes.iter().map(|change| change.version.key.id()).collect();
    assert_eq!(seen, ["a", "p1", "p2", "p3"]);
    assert!(
        changes
            .iter()
            .all(|change| change.version.last_updated >= Timestamp(1_000_000))
    );
}

#[tokio::test]
async fn a_destinations_read_of_a_version_waits_for_no_request() {
    let folder = Folder::new();
    let log = open_when_free(&folder.store(), still()).await;
    let made = version(&log, put("p", "x")).await;
    let mut held = Vec::new();
    for _ in 0..super::INTAKE_READERS {
        held.push(log.intake.acquire().await.unwrap());
    }
    let read = log.version_to_deliver(&made.key, made.sequence).await.unwrap();
    assert_eq!(read, Some(made));
    drop(held);
    log.close().await;
}
