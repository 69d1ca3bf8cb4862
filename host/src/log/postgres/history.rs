//! The histories of resources and of types.

use sqlx::postgres::{PgConnection, PgRow};

use super::super::during::{self, Mark, Marks, Walked};
use super::super::{HistoryPage, TypeHistory, Which};
use super::partition::{self, Width};
use super::read::{newest, one_row, one_version, versions};
use super::row::{get, integer, limit, log_columns, maybe_natural, natural, previous, version};
use crate::change::{ResourceKey, Sequence, Version};

/// A resource's versions, newest first: the chain of `previous` from the newest one on, or from `before` when that is
/// one of its versions, so that a late page is as quick as the first.
pub(super) async fn history(
    wanted: &ResourceKey,
    page: HistoryPage,
    width: Width,
    connection: &mut PgConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let from = match page.which {
        Which::Numbered(number) => return numbered(wanted, number, page, connection).await,
        Which::Current(during) => Some(during.from),
        Which::All => None,
    };
    let mut next = history_start(wanted, page, width, connection).await?;
    let mut found = Vec::new();
    while let Some(sequence) = next {
        let rows = chain(sequence, page.count - found.len(), width, connection).await?;
        next = None;
        for row in &rows {
            let version = version(row)?;
            if page.since.is_some_and(|since| version.last_updated < since) {
                return Ok(found);
            }
            // What came before this one was no longer current.
            let is_last = from.is_some_and(|from| version.last_updated <= from);
            if page.has(&version) {
                found.push(version);
            }
            if is_last {
                return Ok(found);
            }
            next = previous(row)?.map(|sequence| sequence.0);
        }
        if found.len() >= page.count {
            break;
        }
    }
    Ok(found)
}

/// The version of a number, where it is on the page.
async fn numbered(
    wanted: &ResourceKey,
    number: Sequence,
    page: HistoryPage,
    connection: &mut PgConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let version = one_version(wanted, number, connection).await?;
    Ok(version.into_iter().filter(|version| page.has(version)).collect())
}

/// The first version of a page of a history, or a newer one.
async fn history_start(
    wanted: &ResourceKey,
    page: HistoryPage,
    width: Width,
    connection: &mut PgConnection,
) -> Result<Option<u64>, sqlx::Error> {
    let before = match page.before {
        Some(before) => one_row(wanted, before, connection).await?,
        None => None,
    };
    let start = match &before {
        Some(row) => previous(row)?.map(|sequence| sequence.0),
        None => newest(wanted, connection).await?,
    };
    let (Which::Current(during), Some(start)) = (page.which, start) else {
        return Ok(start);
    };
    if let Some(row) = &before
        && version(row)?.last_updated <= during.from
    {
        return Ok(None);
    }
    // What was made when the period was over was not current in it.
    Ok(walk(start, during.before.0 - 1, width, connection)
        .await?
        .sequence)
}

/// Walks back to the first version that was made at a time or before it, partition by partition.
async fn walk(
    newest: u64,
    at: i64,
    width: Width,
    connection: &mut PgConnection,
) -> Result<Walked, sqlx::Error> {
    let (mut walked, mut next) = (Walked::default(), Some(newest));
    while let Some(sequence) = next {
        let (first, behind) = width.around(sequence);
        let row = sqlx::query(
            "WITH RECURSIVE chain (sequence, previous, last_updated) AS ( \
               SELECT c.sequence, c.previous, c.last_updated FROM lakefeed.log c WHERE c.sequence = $1 \
               UNION ALL \
               SELECT p.sequence, p.previous, p.last_updated \
                 FROM chain c JOIN lakefeed.log p ON p.sequence = c.previous \
                 WHERE c.last_updated > $4 AND p.sequence >= $2 AND p.sequence < $3) \
             SELECT sequence, previous, last_updated <= $4, count(*) OVER () FROM chain ORDER BY sequence LIMIT 1",
        )
        .bind(integer(sequence))
        .bind(first)
        .bind(behind)
        .bind(at)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(last) = row else { break };
        walked.looked_at += usize::try_from(natural(&last, 3)?).unwrap_or(usize::MAX);
        if get(&last, 2)? {
            walked.sequence = Some(natural(&last, 0)?);
            break;
        }
        next = maybe_natural(&last, 1)?;
    }
    Ok(walked)
}

/// A chain of versions within one partition, newest first.
async fn chain(
    newest: u64,
    count: usize,
    width: Width,
    connection: &mut PgConnection,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let (first, behind) = width.around(newest);
    sqlx::query(concat!(
        "WITH RECURSIVE chain (sequence, previous, depth) AS ( \
           SELECT c.sequence, c.previous, 1 FROM lakefeed.log c WHERE c.sequence = $1 \
           UNION ALL \
           SELECT p.sequence, p.previous, c.depth + 1 FROM chain c JOIN lakefeed.log p ON p.sequence = c.previous \
             WHERE p.sequence >= $2 AND p.sequence < $3 AND c.depth < $4) \
         SELECT ",
        log_columns!(),
        " FROM chain c JOIN lakefeed.log l ON l.sequence = c.sequence \
         WHERE l.sequence >= $2 AND l.sequence < $3 ORDER BY l.sequence DESC"
    ))
    .bind(integer(newest))
    .bind(first)
    .bind(behind)
    .bind(limit(count.max(1)))
    .fetch_all(connection)
    .await
}

/// The versions of all resources of a type, newest first.
pub(super) async fn type_history(
    resource_type: &str,
    page: HistoryPage,
    width: Width,
    connection: &mut PgConnection,
) -> Result<TypeHistory, sqlx::Error> {
    let (sequences, stopped_at) = match page.which {
        Which::All => return all_of_type(resource_type, page, width, connection).await,
        Which::Numbered(number) => (vec![integer(number.0)], None),
        Which::Current(during) => {
            let mut marks = TypeMarks {
                resource_type,
                width,
                connection,
            };
            let found = during::find(page, during, &mut marks).await?;
            (found.sequences, found.stopped_at)
        }
    };
    let mut versions = versions(&sequences, connection).await?;
    versions.retain(|version| version.key.resource_type() == resource_type && page.has(version));
    Ok(TypeHistory { versions, stopped_at })
}

/// Partition by partition: first the sequences, by an index that also holds their times, so that what is older than a
/// page asks for is not read.
async fn all_of_type(
    resource_type: &str,
    page: HistoryPage,
    width: Width,
    connection: &mut PgConnection,
) -> Result<TypeHistory, sqlx::Error> {
    let before = page.before.map_or(i64::MAX, |before| integer(before.0));
    let since = page.since.map_or(i64::MIN, |since| since.0);
    let mut history = TypeHistory::default();
    // A resource's newest version is its latest, so where none of these is new enough, nothing is.
    if page.since.is_some() && !was_updated(resource_type, since, connection).await? {
        return Ok(history);
    }
    for partition in partition::downwards(before, connection).await? {
        if history.versions.len() >= page.count {
            break;
        }
        let (first, behind) = width.around(partition);
        let sequences: Vec<i64> = sqlx::query_scalar(OF_TYPE)
            .bind(resource_type)
            .bind(first)
            .bind(behind.min(before))
            .bind(since)
            .bind(limit(page.count - history.versions.len()))
            .fetch_all(&mut *connection)
            .await?;
        history.versions.extend(versions(&sequences, connection).await?);
    }
    Ok(history)
}

/// The newest sequences of a type's versions in one partition.
pub(super) const OF_TYPE: &str = "SELECT l.sequence FROM lakefeed.log l \
     WHERE l.resource_type = $1 AND l.sequence >= $2 AND l.sequence < $3 AND l.last_updated >= $4 \
     ORDER BY l.sequence DESC LIMIT $5";

/// Whether a resource of a type has a version that is not older than a moment.
async fn was_updated(
    resource_type: &str,
    since: i64,
    connection: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM lakefeed.resource WHERE resource_type = $1 AND last_updated >= $2)",
    )
    .bind(resource_type)
    .bind(since)
    .fetch_one(connection)
    .await
}

/// How many versions were made of a resource, those that gave way included.
pub(super) async fn history_len(
    wanted: &ResourceKey,
    connection: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("SELECT versions FROM lakefeed.resource WHERE resource_type = $1 AND id = $2")
        .bind(wanted.resource_type())
        .bind(wanted.id())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map_or(Ok(0), |row| natural(row, 0))
}

/// The rows of one type.
struct TypeMarks<'a> {
    resource_type: &'a str,
    width: Width,
    connection: &'a mut PgConnection,
}

impl Marks for TypeMarks<'_> {
    async fn below(&mut self, below: u64, count: usize) -> Result<Vec<Mark>, sqlx::Error> {
        let below = integer(below);
        let mut found = Vec::new();
        for partition in partition::downwards(below, self.connection).await? {
            let (first, behind) = self.width.around(partition);
            let rows = sqlx::query(
                "SELECT l.id, l.sequence, l.last_updated FROM lakefeed.log l \
                 WHERE l.resource_type = $1 AND l.sequence >= $2 AND l.sequence < $3 \
                 ORDER BY l.sequence DESC LIMIT $4",
            )
            .bind(self.resource_type)
            .bind(first)
            .bind(behind.min(below))
            .bind(limit(count - found.len()))
            .fetch_all(&mut *self.connection)
            .await?;
            for row in &rows {
                found.push(mark(row)?);
            }
            if found.len() >= count {
                break;
            }
        }
        Ok(found)
    }

    async fn newest(&mut self, ids: Vec<String>) -> Result<Vec<Mark>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT id, sequence, last_updated FROM lakefeed.resource WHERE resource_type = $1 AND id = ANY($2)",
        )
        .bind(self.resource_type)
        .bind(ids)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(mark).collect()
    }

    async fn walk(&mut self, from: u64, at: i64) -> Result<Walked, sqlx::Error> {
        walk(from, at, self.width, self.connection).await
    }
}

fn mark(row: &PgRow) -> Result<Mark, sqlx::Error> {
    Ok(Mark {
        id: get(row, 0)?,
        sequence: natural(row, 1)?,
        last_updated: get(row, 2)?,
    })
}
