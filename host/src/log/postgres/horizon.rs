//! What readers can be given, and who keeps them from being given more.
//!
//! A transaction that began early may commit late, so a reader that remembers the highest place it has seen would skip
//! what commits below it. Every transaction below the horizon has ended: what it wrote is seen by all, and nothing can
//! appear there any more. The server knows the horizon for the whole cluster, so a transaction in another database holds
//! it back, too.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::HeldBack;
use super::partition;
use super::row::{get, integer, offset};
use crate::change::{Offset, Timestamp};

/// The first transaction that may still be under way, above the store's base; `store` bears the name `s`.
macro_rules! horizon {
    () => {
        "s.base + pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    };
}
pub(super) use horizon;

/// What is hidden for less time is nobody's fault.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// The first transaction that may still be under way.
pub(super) async fn read(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let row = sqlx::query(concat!("SELECT ", horizon!(), " FROM lakefeed.store s"))
        .fetch_one(connection)
        .await?;
    super::row::natural(&row, 0)
}

/// The newest offset that readers can be given.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<Offset, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        horizon!(),
        ", coalesce((SELECT max(p.first_sequence) FROM lakefeed.partition p WHERE p.last_transaction IS NOT NULL), 0) \
         FROM lakefeed.store s"
    ))
    .fetch_one(&mut *connection)
    .await?;
    let (horizon, first): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    // The newest change is in the partition that was sealed last or behind it, unless nothing was written there yet.
    for first in [first, 0] {
        let found = sqlx::query(
            "SELECT l.transaction, l.sequence FROM lakefeed.log l \
             WHERE l.transaction < $1 AND l.sequence >= $2 ORDER BY l.transaction DESC, l.sequence DESC LIMIT 1",
        )
        .bind(horizon)
        .bind(first)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(found) = &found {
            return offset(found, 0);
        }
    }
    Ok(Offset::START)
}

/// When the first change was made that is hidden: one row of an index, however many are.
pub(super) const FIRST_HIDDEN: &str = "SELECT l.last_updated FROM lakefeed.log l \
     WHERE l.transaction >= $1 AND l.sequence >= $2 ORDER BY l.transaction, l.sequence LIMIT 1";

/// Who keeps committed changes from being given out; none where nothing has been hidden for longer than the grace.
pub(super) async fn held_back(
    now: Timestamp,
    connection: &mut PgConnection,
) -> Result<Option<HeldBack>, sqlx::Error> {
    let horizon = read(connection).await?;
    let from = Offset {
        transaction: horizon,
        sequence: 0,
    };
    let (first, _) = partition::span(from, everything(), connection).await?;
    let hidden: Option<i64> = sqlx::query_scalar(FIRST_HIDDEN)
        .bind(integer(horizon))
        .bind(first)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(since) = hidden.map(Timestamp) else {
        return Ok(None);
    };
    let waited = Duration::from_micros(u64::try_from(now.0 - since.0).unwrap_or(0));
    if waited < GRACE {
        return Ok(None);
    }
    let reason = culprit(connection).await?.map_or_else(
        || "an older transaction of the cluster was under way, and has just ended".to_owned(),
        |culprit| culprit.to_string(),
    );
    Ok(Some(HeldBack { reason, since }))
}

/// Behind every change.
pub(super) fn everything() -> Offset {
    Offset {
        transaction: u64::MAX,
        sequence: u64::MAX,
    }
}

/// A transaction that holds the horizon back.
enum Culprit {
    Session {
        pid: i32,
        database: String,
        application: String,
        state: String,
        seconds: Option<i64>,
    },
    Prepared {
        gid: String,
        database: String,
        seconds: i64,
    },
}

impl std::fmt::Display for Culprit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session {
                pid,
                database,
                application,
                state,
                seconds,
            } => {
                write!(
                    formatter,
                    "a transaction of process {pid} in database `{database}` is open"
                )?;
                if let Some(seconds) = seconds {
                    write!(formatter, " for {seconds} s")?;
                }
                write!(
                    formatter,
                    " (application `{application}`, {state}); end it, or `SELECT pg_terminate_backend({pid})`"
                )
            }
            Self::Prepared {
                gid,
                database,
                seconds,
            } => write!(
                formatter,
                "the prepared transaction `{gid}` in database `{database}` is open for {seconds} s; commit it or roll it back"
            ),
        }
    }
}

/// The oldest transaction of the cluster that has a number, a session's or a prepared one.
async fn culprit(connection: &mut PgConnection) -> Result<Option<Culprit>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT * FROM ( \
           SELECT age(a.backend_xid) AS age, a.pid, coalesce(a.datname, '')::text, \
             coalesce(a.application_name, '')::text, coalesce(a.state, 'state not shown to us')::text, \
             extract(epoch FROM clock_timestamp() - a.xact_start)::bigint \
           FROM pg_stat_activity a WHERE a.backend_xid IS NOT NULL \
           UNION ALL \
           SELECT age(p.transaction), NULL, p.database::text, p.gid, '', \
             extract(epoch FROM clock_timestamp() - p.prepared)::bigint \
           FROM pg_prepared_xacts p) oldest \
         ORDER BY age DESC LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    found.as_ref().map(read_culprit).transpose()
}

fn read_culprit(row: &PgRow) -> Result<Culprit, sqlx::Error> {
    let database = row.try_get(2)?;
    Ok(match row.try_get(1)? {
        Some(pid) => Culprit::Session {
            pid,
            database,
            application: row.try_get(3)?,
            state: row.try_get(4)?,
            seconds: row.try_get(5)?,
        },
        None => Culprit::Prepared {
            gid: row.try_get(3)?,
            database,
            seconds: row.try_get(5)?,
        },
    })
}
