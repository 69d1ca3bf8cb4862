//! Which partition gives way next, and who keeps one from it.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row};

use super::super::horizon::{everything, horizon};
use super::super::partition;
use super::super::row::{get, integer, natural, offset};
use crate::change::{Offset, Retention, Timestamp};

/// A partition that was replaced is looked at again when the log has grown by so many partitions.
const AGAIN: i64 = 4;
/// About so many of its versions are looked at then. It is replaced again when most of them are needed no more.
const SAMPLE: u64 = 2_000;
/// So many of a partition's last versions tell its age.
const LAST: i64 = 100;

/// A partition that nobody writes to any more.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) number: u64,
    /// How often it was replaced.
    pub(super) round: u64,
    pub(super) first: i64,
    pub(super) behind: i64,
    pub(super) first_transaction: i64,
    pub(super) last_transaction: i64,
    retained: u64,
}

impl Partition {
    /// The name of one of its tables.
    pub(super) fn table(&self, of: &str) -> String {
        partition::table(of, self.number, self.round)
    }

    /// The name of the table that replaces it.
    pub(super) fn replacement(&self, of: &str) -> String {
        partition::table(of, self.number, self.round + 1)
    }
}

/// What is to be done.
pub(super) enum Choice {
    /// This partition gives way; all destinations have what is up to the offset.
    Replace(Partition, Offset),
    /// One was looked at and stays as it is; there may be others.
    LookAgain,
    /// Nothing may give way.
    Nothing,
    /// A partition would give way if this destination had it.
    HeldBack(String),
}

/// The destination that has least.
pub(super) async fn slowest(connection: &mut PgConnection) -> Result<Option<(String, Offset)>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id, acked_transaction, acked_sequence FROM lakefeed.destination \
         ORDER BY acked_transaction, acked_sequence LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((get(&row, 0)?, offset(&row, 1)?))).transpose()
}

/// Chooses the next partition.
pub(super) async fn choose(
    retention: Retention,
    now: Timestamp,
    connection: &mut PgConnection,
) -> Result<Choice, sqlx::Error> {
    if retention == Retention::All {
        return Ok(Choice::Nothing);
    }
    let slowest = slowest(connection).await?;
    let before = match retention {
        // Without a destination nothing was delivered.
        Retention::Delivered if slowest.is_none() => return Ok(Choice::Nothing),
        Retention::All | Retention::Delivered => i64::MAX,
        Retention::Age(age) => now.0 - i64::try_from(age.as_micros()).unwrap_or(i64::MAX),
    };
    let (holder, floor) = slowest.map_or((None, everything()), |(id, offset)| (Some(id), offset));
    let Some(next) = oldest(connection).await? else {
        return look_again(floor, connection).await;
    };
    if !is_older(&next, before, connection).await? {
        return look_again(floor, connection).await;
    }
    if next.last_transaction < integer(floor.transaction) {
        return Ok(Choice::Replace(next, floor));
    }
    match (look_again(floor, connection).await?, holder) {
        (Choice::Nothing, Some(holder)) => Ok(Choice::HeldBack(holder)),
        (other, _) => Ok(other),
    }
}

/// The columns that [`partition`] reads.
macro_rules! columns {
    () => {
        "SELECT p.number, p.round, p.first_sequence, p.behind_sequence, p.first_transaction, p.last_transaction, \
         coalesce(p.retained, 0) FROM lakefeed.partition p, lakefeed.store s "
    };
}

fn read(row: &PgRow) -> Result<Partition, sqlx::Error> {
    Ok(Partition {
        number: natural(row, 0)?,
        round: natural(row, 1)?,
        first: get(row, 2)?,
        behind: get(row, 3)?,
        first_transaction: get(row, 4)?,
        last_transaction: get(row, 5)?,
        retained: natural(row, 6)?,
    })
}

/// The oldest partition that was never replaced, if all that was written there has ended.
async fn oldest(connection: &mut PgConnection) -> Result<Option<Partition>, sqlx::Error> {
    let row = sqlx::query(concat!(
        columns!(),
        "WHERE p.round = 0 AND p.last_transaction < ",
        horizon!(),
        " ORDER BY p.number LIMIT 1"
    ))
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Whether all in a partition is older than a time. The last versions tell it: sequences are taken about as time goes.
async fn is_older(
    partition: &Partition,
    than: i64,
    connection: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "SELECT coalesce(max(last_updated) < $1, true) FROM ( \
           SELECT last_updated FROM lakefeed.{} ORDER BY sequence DESC LIMIT $2) last",
        partition.table("log")
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(than)
        .bind(LAST)
        .fetch_one(connection)
        .await
}

/// Looks at the partition that was not looked at for longest, when the log has grown enough.
async fn look_again(floor: Offset, connection: &mut PgConnection) -> Result<Choice, sqlx::Error> {
    let row = sqlx::query(concat!(
        columns!(),
        "WHERE p.round > 0 AND p.last_transaction < least($1, ",
        horizon!(),
        ") AND p.looked_at + $2 * s.width <= (SELECT last_value FROM lakefeed.sequence) ORDER BY p.looked_at LIMIT 1"
    ))
    .bind(integer(floor.transaction))
    .bind(AGAIN)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        return Ok(Choice::Nothing);
    };
    let partition = read(&row)?;
    if is_mostly_superseded(&partition, connection).await? {
        return Ok(Choice::Replace(partition, floor));
    }
    sqlx::query(
        "UPDATE lakefeed.partition SET looked_at = (SELECT last_value FROM lakefeed.sequence) WHERE number = $1",
    )
    .bind(integer(partition.number))
    .execute(connection)
    .await?;
    Ok(Choice::LookAgain)
}

async fn is_mostly_superseded(
    partition: &Partition,
    connection: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let percent = (100 * SAMPLE / partition.retained.max(1)).clamp(1, 100);
    let statement = format!(
        "SELECT count(*), count(*) FILTER (WHERE r.sequence IS NULL) FROM ( \
           SELECT resource_type, id, sequence FROM lakefeed.{} TABLESAMPLE SYSTEM ({percent}) LIMIT {limit}) l \
         LEFT JOIN lakefeed.resource r ON r.resource_type = l.resource_type AND r.id = l.id AND r.sequence = l.sequence",
        partition.table("log"),
        limit = 10 * SAMPLE,
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await?;
    let (seen, superseded): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(superseded * 2 > seen)
}
