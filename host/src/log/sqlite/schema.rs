//! The schema's versions, and how a connection to the store is set up.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::super::LogError;
use super::fault::Place;

/// What marks a file as a store of lakefeed's: `LKFD` in SQLite's application id.
const APPLICATION_ID: i32 = 0x4c4b_4644;

/// All steps from an empty file on; a step's place is the version that it leads to, from 1.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_log.sql")];

/// The newest version of the schema known here.
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// How long a connection waits for another program that holds the file, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// What every connection shares: the write-ahead log, and a sync of it with each commit.
pub(super) fn options(path: &Path, cache_kib: u32) -> SqliteConnectOptions {
    copying(path, cache_kib)
        .journal_mode(SqliteJournalMode::Wal)
        // Where the operating system's sync stops at the disk's cache (macOS), the stronger one is asked for.
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
        // What the checkpointer has not copied back after 64 MiB the next commit does; the file keeps that much.
        .pragma("wal_autocheckpoint", "16384")
        .pragma("journal_size_limit", "67108864")
}

/// A connection that leaves the file's journal as it is: to a backup, or to a store that is being copied.
pub(super) fn copying(path: &Path, cache_kib: u32) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        // Nothing of the store's is laid down in a folder for everybody's temporary files.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", format!("-{cache_kib}"))
        .disable_statement_logging()
}

/// Brings the schema up to date; refuses one that is newer, or another program's.
pub(super) async fn migrate(place: &Place, connection: &mut SqliteConnection) -> Result<(), LogError> {
    let found = version(place, connection).await?;
    for (step, script) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        apply(connection, script, step + 1)
            .await
            .map_err(|error| place.fault(&error))?;
    }
    Ok(())
}

/// The version of a store's schema, 0 for an empty file; refuses one that is newer, or another program's.
pub(super) async fn version(place: &Place, connection: &mut SqliteConnection) -> Result<u32, LogError> {
    let (application, version, tables) = identity(connection).await.map_err(|error| place.fault(&error))?;
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(place.damaged("it is another program's database"));
    }
    match version > NEWEST {
        true => Err(LogError::NewerSchema {
            store: place.name(),
            found: version,
            known: NEWEST,
        }),
        false => Ok(version),
    }
}

async fn identity(connection: &mut SqliteConnection) -> Result<(i32, u32, i64), sqlx::Error> {
    let application = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await?;
    let version = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await?;
    let tables = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(connection)
        .await?;
    Ok((application, version, tables))
}

async fn apply(connection: &mut SqliteConnection, script: &str, version: usize) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};");
    sqlx::raw_sql(AssertSqlSafe(script.to_owned() + &marks))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
