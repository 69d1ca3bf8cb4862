//! The histories of resources and of types.

use sqlx::sqlite::SqliteConnection;

use super::super::HistoryPage;
use super::read::limit;
use super::row::{integer, log_columns, natural, version};
use crate::change::{ResourceKey, Version};

/// A resource's versions, newest first: the chain of `previous` from the newest one on, or from `before` when that is
/// one of its versions, so that a late page is as quick as the first.
pub(super) async fn history(
    wanted: &ResourceKey,
    page: HistoryPage,
    connection: &mut SqliteConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let rows = sqlx::query(concat!(
        "WITH RECURSIVE chain (sequence) AS ( \
           SELECT coalesce( \
             (SELECT sequence FROM log WHERE sequence = ?3 AND resource_type = ?1 AND id = ?2), \
             (SELECT sequence FROM resource WHERE resource_type = ?1 AND id = ?2)) \
           UNION ALL \
           SELECT p.previous FROM chain c CROSS JOIN log p ON p.sequence = c.sequence \
             WHERE p.previous IS NOT NULL) \
         SELECT ",
        log_columns!(),
        " FROM chain c CROSS JOIN log l ON l.sequence = c.sequence WHERE l.sequence < ?3 AND l.last_updated >= ?4 \
         LIMIT ?5"
    ))
    .bind(wanted.resource_type())
    .bind(wanted.id())
    .bind(before(page))
    .bind(since(page))
    .bind(limit(page.count))
    .fetch_all(connection)
    .await?;
    rows.iter().map(version).collect()
}

/// The versions of a type's resources, newest first.
pub(super) async fn type_history(
    resource_type: &str,
    page: HistoryPage,
    connection: &mut SqliteConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        log_columns!(),
        " FROM log l WHERE l.resource_type = ? AND l.sequence < ? AND l.last_updated >= ? \
         ORDER BY l.sequence DESC LIMIT ?"
    ))
    .bind(resource_type)
    .bind(before(page))
    .bind(since(page))
    .bind(limit(page.count))
    .fetch_all(connection)
    .await?;
    rows.iter().map(version).collect()
}

fn before(page: HistoryPage) -> i64 {
    page.before.map_or(i64::MAX, |before| integer(before.0))
}

fn since(page: HistoryPage) -> i64 {
    page.since.map_or(i64::MIN, |since| since.0)
}

/// How many versions a resource has.
pub(super) async fn history_len(
    wanted: &ResourceKey,
    connection: &mut SqliteConnection,
) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("SELECT versions FROM resource WHERE resource_type = ? AND id = ?")
        .bind(wanted.resource_type())
        .bind(wanted.id())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map_or(Ok(0), |row| natural(row, 0))
}
