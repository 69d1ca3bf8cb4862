//! Rows as values, both ways.

use std::sync::Arc;

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite};

use crate::change::{
    Change, Matched, Offset, ResourceKey, Sequence, Source, Timestamp, Version, VersionStatus,
};

/// The columns of `log` that [`change`] reads, in its order; the table bears the name `l`.
macro_rules! log_columns {
    () => {
        "l.sequence, l.resource_type, l.id, l.status, l.last_updated, l.created_at, l.previous, \
         l.resource, l.topics, l.topics_known, l.source_version, l.source_last_updated"
    };
}
pub(super) use log_columns;

/// How many columns [`log_columns`] names: the place of the first one behind them.
pub(super) const LOG_COLUMNS: usize = 12;

/// The offset of a sequence: one writer makes the sequence enough.
pub(super) fn offset(sequence: u64) -> Offset {
    Offset {
        transaction: 0,
        sequence,
    }
}

/// A number as SQLite holds it. Sequences and counts stay far below the bound.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that is never negative in a sound store.
pub(super) fn natural(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get_unchecked(column)?;
    u64::try_from(number).map_err(decode)
}

/// A number that may be absent.
pub(super) fn maybe_natural(row: &SqliteRow, column: usize) -> Result<Option<u64>, sqlx::Error> {
    let number: Option<i64> = row.try_get_unchecked(column)?;
    number
        .map(|number| u64::try_from(number).map_err(decode))
        .transpose()
}

/// A row of [`log_columns`] as a change.
pub(super) fn change(row: &SqliteRow) -> Result<Change, sqlx::Error> {
    let sequence = natural(row, 0)?;
    let topics: Option<&str> = row.try_get_unchecked(8)?;
    Ok(Change {
        offset: offset(sequence),
        previous: maybe_natural(row, 6)?.map(Sequence),
        matched: Matched {
            topics_known: natural(row, 9)?,
            topics: topics.map_or_else(|| Ok(Vec::new()), json)?,
        },
        version: version_of(row, sequence)?,
    })
}

/// A row of [`log_columns`] as a version.
pub(super) fn version(row: &SqliteRow) -> Result<Version, sqlx::Error> {
    version_of(row, natural(row, 0)?)
}

/// A text of JSON as the value that it was written from.
pub(super) fn json<'t, T: serde::Deserialize<'t>>(text: &'t str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(decode)
}

/// A value as a text of JSON.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// A key from two columns.
pub(super) fn key(row: &SqliteRow, resource_type: usize, id: usize) -> Result<ResourceKey, sqlx::Error> {
    let resource_type: &str = row.try_get_unchecked(resource_type)?;
    let id: &str = row.try_get_unchecked(id)?;
    ResourceKey::new(resource_type, id).map_err(decode)
}

/// A failure to read what a row holds.
pub(super) fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// A version's status as the log holds it.
pub(super) fn status_number(status: VersionStatus) -> i64 {
    match status {
        VersionStatus::Created => 0,
        VersionStatus::Updated => 1,
        VersionStatus::Deleted => 2,
        VersionStatus::Recreated => 3,
    }
}

fn version_of(row: &SqliteRow, sequence: u64) -> Result<Version, sqlx::Error> {
    let resource: Option<&[u8]> = row.try_get_unchecked(7)?;
    Ok(Version {
        key: key(row, 1, 2)?,
        sequence: Sequence(sequence),
        status: status(get(row, 3)?)?,
        last_updated: Timestamp(get(row, 4)?),
        created_at: Timestamp(get(row, 5)?),
        resource: Bytes::copy_from_slice(resource.unwrap_or_default()),
        source: source(get(row, 10)?, get(row, 11)?),
    })
}

fn source(version: Option<String>, last_updated: Option<i64>) -> Option<Source> {
    (version.is_some() || last_updated.is_some()).then(|| Source {
        version,
        last_updated: last_updated.map(Timestamp),
    })
}

fn status(number: i64) -> Result<VersionStatus, sqlx::Error> {
    match number {
        0 => Ok(VersionStatus::Created),
        1 => Ok(VersionStatus::Updated),
        2 => Ok(VersionStatus::Deleted),
        3 => Ok(VersionStatus::Recreated),
        _ => Err(sqlx::Error::Decode("a version's status is unknown".into())),
    }
}

fn get<'r, T: Decode<'r, Sqlite>>(row: &'r SqliteRow, column: usize) -> Result<T, sqlx::Error> {
    row.try_get_unchecked(column)
}

/// A statement over several rows at once, in a few sizes, so that each is prepared once.
///
/// One call of a statement costs far more than a row within it; a commit of many rows is bound by how few
/// calls it makes.
#[derive(Debug)]
pub(super) struct ManyRows {
    statements: [(usize, Arc<str>); 4],
}

impl ManyRows {
    /// A statement with one group of places for each row between `before` and `after`.
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        let group = format!("({})", vec!["?"; columns].join(","));
        let statements = [64, 16, 4, 1].map(|rows| {
            let groups = vec![group.as_str(); rows].join(",");
            (rows, Arc::from(format!("{before}{groups}{after}")))
        });
        Self { statements }
    }

    /// Cuts rows into parts, each with the statement that takes exactly so many.
    pub(super) fn cut<'a, T>(&'a self, mut rows: &'a [T]) -> Vec<(Arc<str>, &'a [T])> {
        let mut parts = Vec::new();
        for (size, statement) in &self.statements {
            while rows.len() >= *size {
                let (part, rest) = rows.split_at(*size);
                parts.push((statement.clone(), part));
                rows = rest;
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_the_largest_statements_that_they_fill() {
        let statements = ManyRows::new("VALUES ", 2, ";");
        let rows: Vec<u32> = (0..86).collect();
        let parts = statements.cut(&rows);
        let sizes: Vec<usize> = parts.iter().map(|(_, part)| part.len()).collect();
        assert_eq!(sizes, [64, 16, 4, 1, 1]);
        assert_eq!(&*parts[4].0, "VALUES (?,?);");
        assert_eq!(parts[4].1, [85]);
    }
}
