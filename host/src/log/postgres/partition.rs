//! The partitions of `log` and `matched`: made ahead, and sealed once nobody can write there any more.
//!
//! A partition spans a fixed number of sequences, so a sequence alone says where its row is. What is asked by
//! transaction is narrowed to a few partitions by the bounds that the table `partition` keeps, however many there are.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::horizon::horizon;
use super::lock::Locks;
use super::row::{get, integer, natural};
use crate::change::Offset;

/// How many sequences a partition spans in a store that is made now, unless it is told otherwise.
pub(super) const WIDTH: u64 = 10_000_000;

/// How many partitions are there behind the one that is being written.
const AHEAD: u64 = 2;

/// How many partitions a read by transaction takes together at first.
const TOGETHER: i64 = 4;

/// How many sequences each partition spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width(u64);

impl Width {
    pub(super) fn new(width: u64) -> Self {
        Self(width.max(1))
    }

    /// The first sequence of the partition that a sequence lies in, and the first one behind it.
    pub(super) fn around(self, sequence: u64) -> (i64, i64) {
        let number = sequence / self.0;
        (integer(number * self.0), integer((number + 1) * self.0))
    }
}

/// Makes the partitions for a sequence and those ahead of it, and seals those that lie behind. Answers the first
/// sequence that has no partition.
///
/// Waits until no write is under way, for a moment: whatever took its number before that has committed it or given it up.
pub(super) async fn ensure(
    sequence: u64,
    width: Width,
    connection: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(Locks::All.begin()))
        .execute(&mut *connection)
        .await?;
    let made = make(sequence, width, connection).await;
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    sqlx::raw_sql(end).execute(connection).await?;
    made
}

/// As [`ensure`], within a transaction that holds the lock of all writers.
pub(super) async fn make(
    sequence: u64,
    width: Width,
    connection: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    let current = sequence / width.0;
    for number in current..=current + AHEAD {
        let is_there = sqlx::query("SELECT FROM lakefeed.partition WHERE number = $1")
            .bind(integer(number))
            .fetch_optional(&mut *connection)
            .await?;
        if is_there.is_none() {
            make_one(number, width, connection).await?;
        }
    }
    seal_before(current, connection).await?;
    Ok((current + AHEAD + 1) * width.0)
}

/// The name of a partition's table, without its schema. A table that replaced another bears the round, too: whoever asks
/// by an old name is told that it is gone.
pub(super) fn table(of: &str, number: u64, round: u64) -> String {
    match round {
        0 => format!("{of}_{number}"),
        _ => format!("{of}_{number}_{round}"),
    }
}

/// Seals the partitions behind the one that a sequence lies in, where some are not sealed yet.
pub(super) async fn seal(
    sequence: u64,
    width: Width,
    connection: &mut PgConnection,
) -> Result<Option<u64>, sqlx::Error> {
    let is_open: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM lakefeed.partition WHERE last_transaction IS NULL AND number < $1)",
    )
    .bind(integer(sequence / width.0))
    .fetch_one(&mut *connection)
    .await?;
    match is_open {
        true => ensure(sequence, width, connection).await.map(Some),
        false => Ok(None),
    }
}

async fn make_one(number: u64, width: Width, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let (first, behind) = width.around(number * width.0);
    // A table that is made first and attached then keeps nobody from reading or writing the others.
    let mut script = String::new();
    for table in ["log", "matched"] {
        let part = self::table(table, number, 0);
        script.push_str(&format!(
            "CREATE TABLE lakefeed.{part} (LIKE lakefeed.{table} INCLUDING ALL); \
             ALTER TABLE lakefeed.{table} ATTACH PARTITION lakefeed.{part} FOR VALUES FROM ({first}) TO ({behind}); "
        ));
    }
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut *connection)
        .await?;
    sqlx::query(concat!(
        "INSERT INTO lakefeed.partition (number, first_sequence, behind_sequence, first_transaction) \
         SELECT $1, $2, $3, ",
        horizon!(),
        " FROM lakefeed.store s"
    ))
    .bind(integer(number))
    .bind(first)
    .bind(behind)
    .execute(connection)
    .await?;
    Ok(())
}

/// Says of the partitions before one that no later transaction writes there. Nobody else writes meanwhile.
async fn seal_before(number: u64, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE lakefeed.partition p \
         SET last_transaction = s.base + pg_snapshot_xmax(pg_current_snapshot())::text::bigint \
         FROM lakefeed.store s WHERE p.last_transaction IS NULL AND p.number < $1",
    )
    .bind(integer(number))
    .execute(connection)
    .await?;
    Ok(())
}

/// The part of the log that a read by transaction looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Sequences from here on.
    pub(super) first: i64,
    /// Sequences below this.
    pub(super) behind: i64,
    /// Transactions below this: all that can be there are in the window, and are committed or given up.
    pub(super) until: i64,
    /// Whether there are partitions behind the window.
    pub(super) is_cut: bool,
}

/// The partitions in which the changes behind an offset begin, first few, then more: `round` counts from 0.
pub(super) async fn window(
    after: Offset,
    round: u32,
    connection: &mut PgConnection,
) -> Result<Option<Window>, sqlx::Error> {
    let together = TOGETHER << (2 * round).min(40);
    let rows = sqlx::query(concat!(
        "SELECT ",
        horizon!(),
        ", p.first_sequence, p.behind_sequence, p.first_transaction \
         FROM lakefeed.store s, lakefeed.partition p \
         WHERE p.last_transaction IS NULL OR p.last_transaction >= $1 ORDER BY p.number LIMIT $2"
    ))
    .bind(integer(after.transaction))
    .bind(together + 1)
    .fetch_all(connection)
    .await?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(None);
    };
    let horizon: i64 = get(first, 0)?;
    let is_cut = limit_reached(rows.len(), together);
    let (behind, until) = match is_cut {
        true => (get(last, 1)?, horizon.min(get(last, 3)?)),
        false => (get(last, 2)?, horizon),
    };
    Ok(Some(Window {
        first: get(first, 1)?,
        behind,
        until,
        is_cut,
    }))
}

fn limit_reached(rows: usize, together: i64) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows > together)
}

/// The sequences among which the rows of the transactions between two offsets lie.
pub(super) async fn span(
    from: Offset,
    through: Offset,
    connection: &mut PgConnection,
) -> Result<(i64, i64), sqlx::Error> {
    let row = sqlx::query(
        "SELECT coalesce(min(first_sequence), 0), coalesce(max(behind_sequence), 0) FROM lakefeed.partition \
         WHERE (last_transaction IS NULL OR last_transaction >= $1) AND first_transaction <= $2",
    )
    .bind(integer(from.transaction))
    .bind(integer(through.transaction))
    .fetch_one(connection)
    .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The first sequences of the partitions that hold sequences below a bound, from the last one to the first.
pub(super) async fn downwards(behind: i64, connection: &mut PgConnection) -> Result<Vec<u64>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT first_sequence FROM lakefeed.partition WHERE first_sequence < $1 ORDER BY number DESC",
    )
    .bind(behind)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| natural(row, 0)).collect()
}

/// The last sequence that was taken.
pub(super) async fn last_sequence(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("SELECT last_value FROM lakefeed.sequence")
        .fetch_one(connection)
        .await?;
    natural(&row, 0)
}
