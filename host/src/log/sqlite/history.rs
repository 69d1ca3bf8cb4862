//! The histories of resources and of types.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::super::during::{self, Mark, Marks, Walked};
use super::super::{HistoryPage, TypeHistory, Which};
use super::read::{limit, one_version};
use super::row::{integer, log_columns, maybe_natural, natural, to_json, version};
use crate::change::{ResourceKey, Sequence, Version};

/// A resource's versions, newest first: the chain of `previous` from the newest one on, or from `before` when that is
/// one of its versions, so that a late page is as quick as the first. Where a period is asked for the chain ends with the
/// version that was current when it began.
pub(super) async fn history(
    wanted: &ResourceKey,
    page: HistoryPage,
    connection: &mut SqliteConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let (from, made_before) = match page.which {
        Which::Numbered(number) => return numbered(wanted, number, page, connection).await,
        Which::Current(during) => (during.from.0, during.before.0),
        Which::All => (i64::MIN, i64::MAX),
    };
    let rows = sqlx::query(concat!(
        "WITH RECURSIVE chain (sequence) AS ( \
           SELECT coalesce( \
             (SELECT sequence FROM log WHERE sequence = ?3 AND resource_type = ?1 AND id = ?2), \
             (SELECT sequence FROM resource WHERE resource_type = ?1 AND id = ?2)) \
           UNION ALL \
           SELECT p.previous FROM chain c CROSS JOIN log p ON p.sequence = c.sequence \
             WHERE p.previous IS NOT NULL AND p.last_updated > ?6) \
         SELECT ",
        log_columns!(),
        " FROM chain c CROSS JOIN log l ON l.sequence = c.sequence \
         WHERE l.sequence < ?3 AND l.last_updated >= ?4 AND l.last_updated < ?7 LIMIT ?5"
    ))
    .bind(wanted.resource_type())
    .bind(wanted.id())
    .bind(before(page))
    .bind(since(page))
    .bind(limit(page.count))
    .bind(from)
    .bind(made_before)
    .fetch_all(connection)
    .await?;
    rows.iter().map(version).collect()
}

/// The version of a number, where it is on the page.
async fn numbered(
    wanted: &ResourceKey,
    number: Sequence,
    page: HistoryPage,
    connection: &mut SqliteConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let version = one_version(wanted, number, connection).await?;
    Ok(version.into_iter().filter(|version| page.has(version)).collect())
}

/// The versions of a type's resources, newest first.
pub(super) async fn type_history(
    resource_type: &str,
    page: HistoryPage,
    connection: &mut SqliteConnection,
) -> Result<TypeHistory, sqlx::Error> {
    let (sequences, stopped_at) = match page.which {
        Which::All => return all_of_type(resource_type, page, connection).await,
        Which::Numbered(number) => (vec![integer(number.0)], None),
        Which::Current(during) => {
            let mut marks = TypeMarks {
                resource_type,
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

async fn all_of_type(
    resource_type: &str,
    page: HistoryPage,
    connection: &mut SqliteConnection,
) -> Result<TypeHistory, sqlx::Error> {
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
    Ok(TypeHistory {
        versions: rows.iter().map(version).collect::<Result<_, _>>()?,
        stopped_at: None,
    })
}

/// The versions of these numbers, newest first.
async fn versions(sequences: &[i64], connection: &mut SqliteConnection) -> Result<Vec<Version>, sqlx::Error> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        log_columns!(),
        " FROM log l WHERE l.sequence IN (SELECT value FROM json_each(?)) ORDER BY l.sequence DESC"
    ))
    .bind(to_json(&sequences)?)
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

/// The rows of one type.
struct TypeMarks<'a> {
    resource_type: &'a str,
    connection: &'a mut SqliteConnection,
}

impl Marks for TypeMarks<'_> {
    async fn below(&mut self, below: u64, count: usize) -> Result<Vec<Mark>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT id, sequence, last_updated FROM log WHERE resource_type = ? AND sequence < ? \
             ORDER BY sequence DESC LIMIT ?",
        )
        .bind(self.resource_type)
        .bind(integer(below))
        .bind(limit(count))
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(mark).collect()
    }

    async fn newest(&mut self, ids: Vec<String>) -> Result<Vec<Mark>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT id, sequence, last_updated FROM resource \
             WHERE resource_type = ? AND id IN (SELECT value FROM json_each(?))",
        )
        .bind(self.resource_type)
        .bind(to_json(&ids)?)
        .fetch_all(&mut *self.connection)
        .await?;
        rows.iter().map(mark).collect()
    }

    async fn walk(&mut self, from: u64, at: i64) -> Result<Walked, sqlx::Error> {
        let row = sqlx::query(
            "WITH RECURSIVE chain (sequence, previous, last_updated) AS ( \
               SELECT sequence, previous, last_updated FROM log WHERE sequence = ?1 \
               UNION ALL \
               SELECT p.sequence, p.previous, p.last_updated FROM chain c CROSS JOIN log p ON p.sequence = c.previous \
                 WHERE c.last_updated > ?2) \
             SELECT max(CASE WHEN last_updated <= ?2 THEN sequence END), count(*) FROM chain",
        )
        .bind(integer(from))
        .bind(at)
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(Walked {
            sequence: maybe_natural(&row, 0)?,
            looked_at: usize::try_from(natural(&row, 1)?).unwrap_or(usize::MAX),
        })
    }
}

fn mark(row: &SqliteRow) -> Result<Mark, sqlx::Error> {
    Ok(Mark {
        id: row.try_get_unchecked(0)?,
        sequence: natural(row, 1)?,
        last_updated: row.try_get_unchecked(2)?,
    })
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
