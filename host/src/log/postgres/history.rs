//! The histories of resources and of types.

use sqlx::postgres::{PgConnection, PgRow};

use super::super::HistoryPage;
use super::partition::{self, Width};
use super::read::{newest, one_row, versions};
use super::row::{integer, limit, log_columns, natural, previous, version};
use crate::change::{ResourceKey, Sequence, Version};

/// A resource's versions, newest first: the chain of `previous` from the newest one on, or from `before` when that is
/// one of its versions, so that a late page is as quick as the first.
pub(super) async fn history(
    wanted: &ResourceKey,
    page: HistoryPage,
    width: Width,
    connection: &mut PgConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let mut next = history_start(wanted, page.before, connection).await?;
    let mut found = Vec::new();
    while let Some(sequence) = next {
        let rows = chain(sequence, page.count - found.len(), width, connection).await?;
        next = None;
        for row in &rows {
            let version = version(row)?;
            if page.since.is_some_and(|since| version.last_updated < since) {
                return Ok(found);
            }
            if page.before.is_none_or(|before| version.sequence < before) {
                found.push(version);
            }
            next = previous(row)?.map(|sequence| sequence.0);
        }
        if found.len() >= page.count {
            break;
        }
    }
    Ok(found)
}

/// The first version of a page of a history, or a newer one.
async fn history_start(
    wanted: &ResourceKey,
    before: Option<Sequence>,
    connection: &mut PgConnection,
) -> Result<Option<u64>, sqlx::Error> {
    if let Some(before) = before
        && let Some(row) = one_row(wanted, before, connection).await?
    {
        return Ok(previous(&row)?.map(|sequence| sequence.0));
    }
    newest(wanted, connection).await
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

/// The versions of all resources of a type, newest first: partition by partition. First their sequences, by an index
/// that also holds their times, so that what is older than a page asks for is not read.
pub(super) async fn type_history(
    resource_type: &str,
    page: HistoryPage,
    width: Width,
    connection: &mut PgConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let before = page.before.map_or(i64::MAX, |before| integer(before.0));
    let since = page.since.map_or(i64::MIN, |since| since.0);
    // A resource's newest version is its latest, so where none of these is new enough, nothing is.
    if page.since.is_some() && !was_updated(resource_type, since, connection).await? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for partition in partition::downwards(before, connection).await? {
        if found.len() >= page.count {
            break;
        }
        let (first, behind) = width.around(partition);
        let sequences: Vec<i64> = sqlx::query_scalar(OF_TYPE)
            .bind(resource_type)
            .bind(first)
            .bind(behind.min(before))
            .bind(since)
            .bind(limit(page.count - found.len()))
            .fetch_all(&mut *connection)
            .await?;
        found.extend(versions(&sequences, connection).await?);
    }
    Ok(found)
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
