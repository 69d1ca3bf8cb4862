//! Copies of a store: out while it is in use, and back in.
//!
//! A backup is one SQLite file that holds the store as of one moment. It is made through SQLite's own locks, so a host
//! may hold the store meanwhile, in this process or another.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};

use super::super::edit::Records;
use super::super::{LogError, StoreInfo};
use super::fault::Place;
use super::file::{self, HostLock};
use super::{edit, read, schema};
use crate::change::Offset;

/// What a copy keeps of the files in memory.
const CACHE_KIB: u32 = 4 * 1024;

/// A restored store's sequences go on at the next multiple of this. What the lost store numbered after the backup was
/// seen by clients and targets; no such number may come to mean something else.
const SEQUENCE_STRIDE: i64 = 1_000_000_000;

/// Copies a store as of now to a new file, readable by its owner alone, durable when this returns.
///
/// The store may be in use. A file that exists is never overwritten; where the copy fails nothing stays behind.
pub async fn backup(store: &Path, to: &Path) -> Result<StoreInfo, LogError> {
    let place = Place::new(store);
    // SQLite would rather make a store than miss one.
    std::fs::metadata(store).map_err(|error| place.io(&error))?;
    let mut connection = connect(&place).await?;
    let copied = match check_schema(&place, &mut connection).await {
        Ok(()) => publish_copy(&mut connection, &place, to, Purpose::Backup).await,
        Err(error) => Err(error),
    };
    close(connection).await;
    copied
}

/// Makes a store of a backup, and checks the backup before.
///
/// The store must not exist yet, nor be in use. Its schema is brought up to date. Its destinations begin new
/// generations under new uuids and its sequences leave a gap: what the lost store did after the backup is unknown, so
/// nothing that the restored one does may be taken for it.
pub async fn restore(from: &Path, store: &Path) -> Result<StoreInfo, LogError> {
    let store = Place::new(&file::resolve(store)?);
    let _lock = HostLock::take(&store)?;
    refuse_leftovers(&store)?;
    let place = Place::new(from);
    std::fs::metadata(from).map_err(|error| place.io(&error))?;
    let mut connection = connect(&place).await?;
    let copied = match check_sound(&place, &mut connection).await {
        Ok(()) => publish_copy(&mut connection, &place, store.path(), Purpose::Restore).await,
        Err(error) => Err(error),
    };
    close(connection).await;
    copied
}

/// A write-ahead log of a store that is gone would be played into the restored one.
fn refuse_leftovers(store: &Place) -> Result<(), LogError> {
    for suffix in ["-wal", "-journal"] {
        let left = file::beside(store.path(), suffix);
        if left.exists() {
            return Err(LogError::Exists {
                store: left.display().to_string(),
            });
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Backup,
    Restore,
}

/// Copies what the connection sees to a new file of the given name. The copy gets its name last, so that the name never
/// leads to half a store, nor to an empty one that the next host would take for new.
async fn publish_copy(
    connection: &mut SqliteConnection,
    from: &Place,
    to: &Path,
    purpose: Purpose,
) -> Result<StoreInfo, LogError> {
    let target = Place::new(to);
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(target.io(&std::io::ErrorKind::AlreadyExists.into()));
    }
    let unnamed = Place::new(&file::beside(to, "-copy"));
    let copied = copy(connection, from, &unnamed, purpose).await;
    let published = copied.and_then(|info| match file::publish(unnamed.path(), to) {
        Ok(()) => Ok(info),
        Err(error) => Err(target.io(&error)),
    });
    if published.is_err() {
        std::fs::remove_file(unnamed.path()).ok();
    }
    published
}

async fn copy(
    connection: &mut SqliteConnection,
    from: &Place,
    to: &Place,
    purpose: Purpose,
) -> Result<StoreInfo, LogError> {
    file::claim(to.path()).map_err(|error| to.io(&error))?;
    sqlx::query("VACUUM INTO ?")
        .bind(to.path().to_string_lossy())
        .execute(connection)
        .await
        .map_err(|error| from.fault(&error))?;
    let mut copied = connect(to).await?;
    let info = finish(&mut copied, to, purpose).await;
    close(copied).await;
    info
}

/// What is done to a copy before it gets its name.
async fn finish(
    connection: &mut SqliteConnection,
    to: &Place,
    purpose: Purpose,
) -> Result<StoreInfo, LogError> {
    if purpose == Purpose::Restore {
        schema::migrate(to, connection).await?;
        begin_anew(connection).await.map_err(|error| to.fault(&error))?;
    }
    let schema = schema::version(to, connection).await?;
    describe(schema, connection)
        .await
        .map_err(|error| to.fault(&error))
}

async fn begin_anew(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for (fence, mut record) in edit::all(&mut transaction).await? {
        record.restore();
        let mut rows = edit::Rows {
            connection: &mut transaction,
            head: Offset::START,
        };
        rows.save(&(fence, record)).await?;
    }
    sqlx::query("UPDATE sqlite_sequence SET seq = (seq / ?1 + 1) * ?1 WHERE name = 'log'")
        .bind(SEQUENCE_STRIDE)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

async fn describe(schema: u32, connection: &mut SqliteConnection) -> Result<StoreInfo, sqlx::Error> {
    Ok(StoreInfo {
        schema,
        versions: read::count("log", connection).await?,
        resources: read::count("resource WHERE NOT deleted", connection).await?,
        destinations: read::count("destination", connection).await?,
    })
}

/// Refuses what is no store, or one of a newer schema.
pub(super) async fn check_schema(place: &Place, connection: &mut SqliteConnection) -> Result<(), LogError> {
    match schema::version(place, connection).await? {
        0 => Err(place.damaged("it holds nothing")),
        _ => Ok(()),
    }
}

/// Reads all of a backup and refuses a damaged one.
async fn check_sound(place: &Place, connection: &mut SqliteConnection) -> Result<(), LogError> {
    check_schema(place, connection).await?;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| place.fault(&error))?;
    match found == "ok" {
        true => Ok(()),
        false => Err(place.damaged("its file is damaged")),
    }
}

/// A connection of its own, which leaves the file's journal as it is.
pub(super) async fn connect(place: &Place) -> Result<SqliteConnection, LogError> {
    schema::copying(place.path(), CACHE_KIB)
        .connect()
        .await
        .map_err(|error| place.fault(&error))
}

async fn close(connection: SqliteConnection) {
    // Nothing is lost by a connection that does not close well: what counts was synced before.
    connection.close().await.ok();
}
