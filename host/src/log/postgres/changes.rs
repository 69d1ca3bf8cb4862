//! The reads of the log by its order: the changes behind an offset, and how many of them a topic wanted.

use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Postgres, Row};

use super::super::{ReadBound, TypeChanges};
use super::horizon::{everything, horizon};
use super::partition::{self, Window};
use super::read;
use super::row::{LOG_COLUMNS, change, get, integer, limit, log_columns, natural, offset};
use crate::change::{Change, Offset};

/// How many matched changes lie between two counted places.
const COUNTED: i64 = 2_000;

/// How many changes of whatever type a read of one type's looks at, at most.
pub(super) const LOOKED_AT: usize = 10_000;

/// What is behind an offset ($1, $2), up to another ($3, $4), within a window ($5 to $7).
///
/// The bounds stand there as rows, which are exact, and once more by their transactions alone, without which the server
/// takes far more rows to be within and walks another index.
macro_rules! is_within {
    () => {
        "(l.transaction, l.sequence) > ($1, $2) AND (l.transaction, l.sequence) <= ($3, $4) \
         AND l.transaction >= $1 AND l.transaction <= $3 AND l.transaction < $5 AND l.sequence >= $6 AND l.sequence < $7"
    };
}

type Asked<'q> = Query<'q, Postgres, PgArguments>;

/// Binds what [`is_within`] names.
fn within<'q>(query: Asked<'q>, after: Offset, bound: ReadBound, window: Window) -> Asked<'q> {
    let through = bound.through.unwrap_or(everything());
    query
        .bind(integer(after.transaction))
        .bind(integer(after.sequence))
        .bind(integer(through.transaction))
        .bind(integer(through.sequence))
        .bind(window.until)
        .bind(window.first)
        .bind(window.behind)
}

/// The changes behind an offset, in order, up to a bound: window after window.
pub(super) async fn changes(
    after: Offset,
    bound: ReadBound,
    connection: &mut PgConnection,
) -> Result<Vec<Change>, sqlx::Error> {
    let mut found: Vec<Change> = Vec::new();
    let (mut left, mut round) = (bound, 0);
    loop {
        let after = found.last().map_or(after, |change| change.offset);
        if bound.through.is_some_and(|through| after >= through) {
            break;
        }
        let Some(window) = partition::window(after, round, connection).await? else {
            break;
        };
        let part = fitting(after, left, window, found.is_empty(), connection).await?;
        round = if part.changes.is_empty() { round + 1 } else { 0 };
        left.changes = left.changes.saturating_sub(part.changes.len());
        left.bytes = left.bytes.saturating_sub(part.bytes);
        found.extend(part.changes);
        if part.is_full || left.changes == 0 || !window.is_cut {
            break;
        }
    }
    Ok(found)
}

/// What a bound lets through of a window.
struct Part {
    changes: Vec<Change>,
    /// The bytes of their resources.
    bytes: usize,
    /// Whether there are more in the window.
    is_full: bool,
}

/// What a bound lets through; at least one change if `is_first`.
///
/// The server adds the lengths up, so that no more is sent than the bound lets through, and one change more, which says
/// that there is one. A length is known without the bytes.
async fn fitting(
    after: Offset,
    bound: ReadBound,
    window: Window,
    is_first: bool,
    connection: &mut PgConnection,
) -> Result<Part, sqlx::Error> {
    let query = sqlx::query(concat!(
        "SELECT ",
        log_columns!(),
        ", l.total FROM ( \
           SELECT l.*, sum(l.size) OVER (ORDER BY l.transaction, l.sequence ROWS UNBOUNDED PRECEDING) AS total FROM ( \
             SELECT l.*, coalesce(octet_length(l.resource), 0) AS size FROM lakefeed.log l WHERE ",
        is_within!(),
        " ORDER BY l.transaction, l.sequence LIMIT $8) l) l \
         WHERE l.total - l.size <= $9 ORDER BY l.transaction, l.sequence"
    ));
    let rows = within(query, after, bound, window)
        .bind(limit(bound.changes.max(1)))
        .bind(limit(bound.bytes))
        .fetch_all(connection)
        .await?;
    let mut part = Part {
        changes: Vec::with_capacity(rows.len()),
        bytes: 0,
        is_full: false,
    };
    for row in &rows {
        let total = get::<i64>(row, LOG_COLUMNS)?;
        part.is_full = total > limit(bound.bytes);
        if part.is_full && !(is_first && part.changes.is_empty()) {
            break;
        }
        part.bytes = usize::try_from(total).unwrap_or(usize::MAX);
        part.changes.push(change(row)?);
    }
    Ok(part)
}

/// The changes of a type's resources behind an offset, in order, up to a bound.
///
/// No index has a type's changes in the log's order, which is that of transactions. So all changes are looked at, without
/// their resources, and no more than so many.
pub(super) async fn type_changes(
    resource_type: &str,
    after: Offset,
    bound: ReadBound,
    connection: &mut PgConnection,
) -> Result<TypeChanges, sqlx::Error> {
    let mut taken = Taken::new(after, bound);
    let (mut left, mut round) = (LOOKED_AT, 0);
    let is_all = loop {
        if bound.through.is_some_and(|through| taken.reached >= through) {
            break true;
        }
        let Some(window) = partition::window(taken.reached, round, connection).await? else {
            break true;
        };
        let marks = marks(resource_type, taken.reached, bound, window, left, connection).await?;
        round = if marks.is_empty() { round + 1 } else { 0 };
        left -= marks.len();
        if !marks.iter().all(|mark| taken.take(mark)) || left == 0 {
            break false;
        }
        if !window.is_cut {
            break true;
        }
    };
    let reached = match bound.through {
        Some(through) if is_all => taken.reached.max(through),
        _ => taken.reached,
    };
    let changes = read::by_number(&taken.sequences, change, connection).await?;
    Ok(TypeChanges { changes, reached })
}

/// A change without its resource.
struct Mark {
    offset: Offset,
    is_of_type: bool,
    /// The bytes of its resource.
    bytes: usize,
}

/// What is taken of the changes that are looked at.
struct Taken {
    bound: ReadBound,
    reached: Offset,
    sequences: Vec<i64>,
    bytes: usize,
}

impl Taken {
    fn new(after: Offset, bound: ReadBound) -> Self {
        Self {
            bound,
            reached: after,
            sequences: Vec::new(),
            bytes: 0,
        }
    }

    /// Looks at the next change; false where it is of the type and would be too much.
    fn take(&mut self, mark: &Mark) -> bool {
        if mark.is_of_type {
            let bytes = self.bytes.saturating_add(mark.bytes);
            let is_full = self.sequences.len() >= self.bound.changes.max(1) || bytes > self.bound.bytes;
            if is_full && !self.sequences.is_empty() {
                return false;
            }
            self.bytes = bytes;
            self.sequences.push(integer(mark.offset.sequence));
        }
        self.reached = mark.offset;
        true
    }
}

/// The changes of a window, at most `most`.
async fn marks(
    resource_type: &str,
    after: Offset,
    bound: ReadBound,
    window: Window,
    most: usize,
    connection: &mut PgConnection,
) -> Result<Vec<Mark>, sqlx::Error> {
    let query = sqlx::query(concat!(
        "SELECT l.transaction, l.sequence, l.resource_type = $9, \
           CASE WHEN l.resource_type = $9 THEN coalesce(octet_length(l.resource), 0)::bigint ELSE 0 END \
         FROM lakefeed.log l WHERE ",
        is_within!(),
        " ORDER BY l.transaction, l.sequence LIMIT $8"
    ));
    let rows = within(query, after, bound, window)
        .bind(limit(most))
        .bind(resource_type.to_owned())
        .fetch_all(connection)
        .await?;
    let mark = |row| {
        Ok(Mark {
            offset: offset(row, 0)?,
            is_of_type: get(row, 2)?,
            bytes: usize::try_from(natural(row, 3)?).unwrap_or(usize::MAX),
        })
    };
    rows.iter().map(mark).collect()
}

/// How many changes behind an offset a topic wanted: the difference of two counted places, and what lies between them
/// and the ends is counted.
pub(super) async fn count_changes(
    after: Offset,
    topic: &str,
    connection: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    let number = sqlx::query_scalar("SELECT number FROM lakefeed.topic WHERE id = $1")
        .bind(topic)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(number) = number else {
        return Ok(0);
    };
    let (early, before_early) = counted(number, after, connection).await?;
    let (late, before_late) = counted(number, everything(), connection).await?;
    if early == late {
        return count(number, after, everything(), connection).await;
    }
    let all = before_late + count(number, late, everything(), connection).await?;
    let behind_us = before_early + count(number, early, after, connection).await?;
    Ok(all.saturating_sub(behind_us))
}

/// The last counted place up to an offset, and the count.
async fn counted(
    topic: i32,
    at: Offset,
    connection: &mut PgConnection,
) -> Result<(Offset, u64), sqlx::Error> {
    let row = sqlx::query(
        "SELECT transaction, sequence, ordinal FROM lakefeed.matched_count \
         WHERE topic = $1 AND (transaction, sequence) <= ($2, $3) ORDER BY transaction DESC, sequence DESC LIMIT 1",
    )
    .bind(topic)
    .bind(integer(at.transaction))
    .bind(integer(at.sequence))
    .fetch_optional(connection)
    .await?;
    match &row {
        Some(row) => Ok((offset(row, 0)?, natural(row, 2)?)),
        None => Ok((Offset::START, 0)),
    }
}

async fn count(
    topic: i32,
    after: Offset,
    through: Offset,
    connection: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    let (first, behind) = partition::span(after, through, connection).await?;
    let row = sqlx::query(
        "SELECT count(*) FROM lakefeed.matched m WHERE m.topic = $1 \
         AND (m.transaction, m.sequence) > ($2, $3) AND (m.transaction, m.sequence) <= ($4, $5) \
         AND m.transaction >= $2 AND m.transaction <= $4 AND m.sequence >= $6 AND m.sequence < $7",
    )
    .bind(topic)
    .bind(integer(after.transaction))
    .bind(integer(after.sequence))
    .bind(integer(through.transaction))
    .bind(integer(through.sequence))
    .bind(first)
    .bind(behind)
    .fetch_one(connection)
    .await?;
    natural(&row, 0)
}

/// Keeps the counts of places that nothing can appear before any more; at most `most` of each topic.
pub(super) async fn keep_counts(most: usize, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let topics: Vec<i32> = sqlx::query_scalar("SELECT number FROM lakefeed.topic ORDER BY number")
        .fetch_all(&mut *connection)
        .await?;
    for topic in topics {
        for _ in 0..most {
            if !keep_next_count(topic, connection).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Keeps the next count of a topic; false where there is not enough to be counted.
async fn keep_next_count(topic: i32, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let (last, ordinal) = counted(topic, everything(), connection).await?;
    let (first, _) = partition::span(last, everything(), connection).await?;
    let next = sqlx::query(concat!(
        "SELECT m.transaction, m.sequence FROM lakefeed.matched m WHERE m.topic = $1 \
         AND (m.transaction, m.sequence) > ($2, $3) AND m.sequence >= $4 \
         AND m.transaction < (SELECT ",
        horizon!(),
        " FROM lakefeed.store s) ORDER BY m.transaction, m.sequence OFFSET $5 LIMIT 1"
    ))
    .bind(topic)
    .bind(integer(last.transaction))
    .bind(integer(last.sequence))
    .bind(first)
    .bind(COUNTED - 1)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(next) = next else {
        return Ok(false);
    };
    let (transaction, sequence): (i64, i64) = (get(&next, 0)?, next.try_get(1)?);
    sqlx::query(
        "INSERT INTO lakefeed.matched_count (topic, transaction, sequence, ordinal) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
    )
    .bind(topic)
    .bind(transaction)
    .bind(sequence)
    .bind(integer(ordinal) + COUNTED)
    .execute(connection)
    .await?;
    Ok(true)
}
