//! Which server a store's transaction numbers belong to, and what is done when it is another one.
//!
//! Offsets are made of the server's transaction numbers. In a store that was restored from a dump or a backup, or that
//! went on on a standby, numbers are given again that were given before. The store keeps which server, database and
//! table it was in, and of the server its timeline, in a row that names the transaction which wrote it: a row that was
//! loaded again was written by another. Where any of that has changed, the numbers are set above all that can have been
//! given, and every destination begins a new generation: nothing that is written from now on can be taken for something
//! that was lost. A server that is set back as a whole, with its disk, looks as it did before; an operator who does that
//! deletes the row.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::super::edit::Records;
use super::edit::{self, Rows};
use super::host::{self, HostNumber};
use super::lock::Locks;
use super::partition::{self, Width};
use super::url::STATEMENT_TIMEOUT;
use crate::change::Offset;

/// The base of a store that begins anew is at least so far above all that is in it: more than the transactions that can
/// have been lost.
const BASE_STRIDE: i64 = 1_000_000_000_000;

/// Its sequences go on at least so far above. What the lost store numbered was seen by clients and targets; no such
/// number may come to mean something else.
const SEQUENCE_STRIDE: i64 = 1_000_000_000;

/// Both go on further up by chance, by so many strides at most: the lives of a backup that is restored twice are apart.
const BASE_STRIDES: i64 = 10;
const SEQUENCE_STRIDES: i64 = 1_000;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// The store is where it was.
    Same,
    /// The store is where it was, but its sequence was set back: it gives numbers that are taken.
    SetBack,
    /// The store is new.
    New,
    /// The store was restored or failed over, and has begun anew.
    Another,
}

/// Takes the store for a host with the next number, and settles its identity. Answers both.
pub(super) async fn take(
    width: Width,
    connection: &mut PgConnection,
) -> Result<(i64, Identity), sqlx::Error> {
    begin(connection).await?;
    let identity = settle_within(0, width, connection).await?;
    let host: i64 = sqlx::query_scalar("UPDATE lakefeed.store SET host = host + 1 RETURNING host")
        .fetch_one(&mut *connection)
        .await?;
    sqlx::raw_sql("COMMIT").execute(connection).await?;
    Ok((host, identity))
}

/// Looks whether the store is still where it was, and begins anew where it is not. `newest` is the newest transaction
/// that this host knows of: a server that has not come so far was set back.
pub(super) async fn settle(
    newest: u64,
    width: Width,
    ours: &HostNumber,
    connection: &mut PgConnection,
) -> Result<Identity, sqlx::Error> {
    if look(newest, connection).await? == Identity::Same {
        return Ok(Identity::Same);
    }
    begin(connection).await?;
    let before = host::number(connection).await?;
    let settled = settle_within(newest, width, connection).await?;
    // Who lost the store to another host stays without it.
    let is_ours = before.is_some_and(|before| before == *ours);
    let raised = host::number(connection).await?.filter(|_| is_ours);
    if let Some(raised) = raised {
        ours.propose(raised);
    }
    sqlx::raw_sql("COMMIT").execute(connection).await?;
    if let Some(raised) = raised {
        ours.keep(raised);
    }
    Ok(settled)
}

async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(Locks::All.begin()))
        .execute(connection)
        .await?;
    Ok(())
}

/// What a store's row must say for it to be where it was.
macro_rules! identity {
    () => {
        "concat_ws('/', (SELECT c.system_identifier FROM pg_control_system() c), \
         (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), \
         'lakefeed.store'::regclass::oid, left(pg_walfile_name(pg_current_wal_lsn()), 8))"
    };
}

async fn look(newest: u64, connection: &mut PgConnection) -> Result<Identity, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT i.identity, ",
        identity!(),
        ", s.base + pg_snapshot_xmax(pg_current_snapshot())::text::bigint, \
         current_setting('synchronous_commit'), current_setting('search_path'), current_setting('statement_timeout'), \
         s.host, i.xmin::text::bigint = i.written_by % (1::bigint << 32), \
         (SELECT last_value FROM lakefeed.sequence) < (SELECT max(sequence) FROM lakefeed.log) \
         FROM lakefeed.store s LEFT JOIN lakefeed.identity i ON true"
    ))
    .fetch_one(connection)
    .await?;
    check_settings([row.try_get(3)?, row.try_get(4)?, row.try_get(5)?])?;
    let (kept, now): (Option<String>, String) = (row.try_get(0)?, row.try_get(1)?);
    let next = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0);
    let (host, is_as_written): (i64, Option<bool>) = (row.try_get(6)?, row.try_get(7)?);
    Ok(match kept {
        None if host == 0 => Identity::New,
        Some(kept) if kept == now && is_as_written == Some(true) && next > newest => {
            match row.try_get::<Option<bool>, _>(8)? {
                Some(true) => Identity::SetBack,
                _ => Identity::Same,
            }
        }
        _ => Identity::Another,
    })
}

/// A connection that is not set up as we ask for: a pooler dropped it, or gave us another client's. The message does not
/// say what is there.
#[derive(Debug, thiserror::Error)]
#[error("the session's settings are not those that were asked for")]
pub(super) struct SettingsDropped;

/// Refuses a session in which a commit may be answered before it is on disk, or a statement may wait for ever.
fn check_settings(found: [&str; 3]) -> Result<(), sqlx::Error> {
    match found == ["on", "pg_catalog", STATEMENT_TIMEOUT] {
        true => Ok(()),
        false => Err(sqlx::Error::Configuration(Box::new(SettingsDropped))),
    }
}

async fn settle_within(
    newest: u64,
    width: Width,
    connection: &mut PgConnection,
) -> Result<Identity, sqlx::Error> {
    let found = look(newest, connection).await?;
    match found {
        Identity::Same => return Ok(found),
        Identity::SetBack => {
            raise_sequence(connection).await?;
            return Ok(Identity::Same);
        }
        Identity::Another => begin_anew(width, connection).await?,
        Identity::New => {}
    }
    keep(connection).await?;
    Ok(found)
}

/// Lets the sequence go on above all that is there. Nobody else takes numbers meanwhile.
async fn raise_sequence(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT setval('lakefeed.sequence', (SELECT max(sequence) FROM lakefeed.log))")
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes where the store is now. An update makes a new row, whose writer is this transaction.
async fn keep(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(concat!(
        "INSERT INTO lakefeed.identity (single, identity, written_by) SELECT true, ",
        identity!(),
        ", pg_current_xact_id()::text::bigint \
         ON CONFLICT (single) DO UPDATE SET identity = excluded.identity, written_by = excluded.written_by"
    ))
    .execute(connection)
    .await?;
    Ok(())
}

async fn begin_anew(width: Width, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // The time makes the host's number one that no host of the lost store has, however far this one was set back.
    sqlx::query(
        "UPDATE lakefeed.store s SET \
         host = greatest(s.host + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), base = $1 * (2 + greatest( \
           s.base + pg_snapshot_xmax(pg_current_snapshot())::text::bigint, \
           (SELECT max(transaction) FROM lakefeed.log), \
           (SELECT max(acked_transaction) FROM lakefeed.destination)) / $1) + floor(random() * $1 * $2)::bigint",
    )
    .bind(BASE_STRIDE)
    .bind(BASE_STRIDES)
    .execute(&mut *connection)
    .await?;
    // No row that is there has a number of the new base.
    sqlx::query(
        "UPDATE lakefeed.partition p SET last_transaction = s.base - 1 FROM lakefeed.store s \
         WHERE p.last_transaction IS NULL",
    )
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query(
        "SELECT setval('lakefeed.sequence', $1 * (2 + greatest( \
           (SELECT last_value FROM lakefeed.sequence), (SELECT max(sequence) FROM lakefeed.log)) / $1) \
           + floor(random() * $1 * $2)::bigint)",
    )
    .bind(SEQUENCE_STRIDE)
    .bind(SEQUENCE_STRIDES)
    .fetch_one(&mut *connection)
    .await?;
    let sequence = super::row::natural(&row, 0)?;
    partition::make(sequence, width, connection).await?;
    restart_destinations(connection).await
}

async fn restart_destinations(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for (_, mut record) in edit::all(connection).await? {
        record.restore();
        let mut rows = Rows {
            connection: &mut *connection,
            head: Offset::START,
        };
        let fence = rows.next_fence().await?;
        rows.save(&(fence, record)).await?;
    }
    Ok(())
}
