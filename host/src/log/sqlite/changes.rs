//! The reads of the log by its order: the changes behind an offset, and how many of them a topic wanted.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::super::{ReadBound, TypeChanges};
use super::packed;
use super::read::limit;
use super::row::{integer, natural};
use crate::change::{Change, Offset};

/// The changes behind an offset, in order, up to a bound.
///
/// The lengths are read first, so that no more is put together than the bound allows.
pub(super) async fn changes(
    after: Offset,
    bound: ReadBound,
    connection: &mut SqliteConnection,
) -> Result<Vec<Change>, sqlx::Error> {
    let Some(through) = last_within(after, bound, connection).await? else {
        return Ok(Vec::new());
    };
    packed::between(integer(after.sequence), through, connection).await
}

/// The sequence of the last change that a bound lets through; none when there is no change.
async fn last_within(
    after: Offset,
    bound: ReadBound,
    connection: &mut SqliteConnection,
) -> Result<Option<i64>, sqlx::Error> {
    let ask = |statement: &'static str| {
        let through = bound
            .through
            .map_or(i64::MAX, |through| integer(through.sequence));
        sqlx::query(statement)
            .bind(integer(after.sequence))
            .bind(through)
            .bind(limit(bound.changes.max(1)))
            .bind(limit(bound.bytes))
    };
    let row = ask("SELECT max(sequence), coalesce(sum(size), 0) <= ?4 FROM ( \
           SELECT sequence, length(resource) AS size FROM log \
           WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3)");
    let row = row.fetch_one(&mut *connection).await?;
    if row.try_get_unchecked(1)? {
        return row.try_get_unchecked(0);
    }
    // Running totals cost several times as much as one sum, so they are made only where the bytes are the bound.
    let row = ask("SELECT max(sequence) FROM ( \
           SELECT sequence, row_number() OVER up AS place, sum(size) OVER up AS total FROM ( \
             SELECT sequence, coalesce(length(resource), 0) AS size FROM log \
             WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3) \
           WINDOW up AS (ORDER BY sequence ROWS UNBOUNDED PRECEDING)) \
         WHERE total <= ?4 OR place = 1");
    row.fetch_one(connection).await?.try_get_unchecked(0)
}

/// The changes of a type's resources behind an offset: an index holds them in order, so that no others are looked at.
pub(super) async fn type_changes(
    resource_type: &str,
    after: Offset,
    bound: ReadBound,
    connection: &mut SqliteConnection,
) -> Result<TypeChanges, sqlx::Error> {
    let (last, is_all) = last_of_type(resource_type, after, bound, connection).await?;
    let changes = packed::between_of_type(resource_type, integer(after.sequence), last, connection).await?;
    let given = changes.last().map_or(after, |change| change.offset);
    let reached = match bound.through {
        Some(through) if is_all => given.max(through),
        _ => given,
    };
    Ok(TypeChanges { changes, reached })
}

/// The sequence of a type's last change that a bound lets through, and whether none is behind it.
async fn last_of_type(
    resource_type: &str,
    after: Offset,
    bound: ReadBound,
    connection: &mut SqliteConnection,
) -> Result<(i64, bool), sqlx::Error> {
    let through = bound
        .through
        .map_or(i64::MAX, |through| integer(through.sequence));
    let most = bound.changes.max(1);
    let rows = sqlx::query(
        "SELECT sequence, coalesce(length(resource), 0) FROM log \
         WHERE resource_type = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?",
    )
    .bind(resource_type)
    .bind(integer(after.sequence))
    .bind(through)
    .bind(limit(most.saturating_add(1)))
    .fetch_all(connection)
    .await?;
    let (mut last, mut bytes) = (integer(after.sequence), 0);
    for (index, row) in rows.iter().enumerate() {
        bytes += usize::try_from(natural(row, 1)?).unwrap_or(usize::MAX);
        if index >= most || (index > 0 && bytes > bound.bytes) {
            return Ok((last, false));
        }
        last = row.try_get_unchecked(0)?;
    }
    Ok((last, true))
}

/// How many changes behind an offset a topic wanted: the difference of two ordinals.
pub(super) async fn count_changes(
    after: Offset,
    topic: &str,
    connection: &mut SqliteConnection,
) -> Result<u64, sqlx::Error> {
    let row = sqlx::query(
        "SELECT \
           coalesce((SELECT ordinal FROM matched WHERE topic = t.number ORDER BY sequence DESC LIMIT 1), 0) - \
           coalesce((SELECT ordinal FROM matched WHERE topic = t.number AND sequence <= ?2 \
             ORDER BY sequence DESC LIMIT 1), 0) \
         FROM topic t WHERE t.id = ?1",
    )
    .bind(topic)
    .bind(integer(after.sequence))
    .fetch_optional(connection)
    .await?;
    row.as_ref().map_or(Ok(0), |row| natural(row, 0))
}
