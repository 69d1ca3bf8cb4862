//! Rows as values, both ways.

use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row};

use crate::change::{
    Change, Matched, Offset, ResourceKey, Sequence, Source, Timestamp, Version, VersionStatus,
};

/// The columns of `log` that [`change`] reads, in its order; the table bears the name `l`.
macro_rules! log_columns {
    () => {
        "l.sequence, l.transaction, l.resource_type, l.id, l.status, l.last_updated, l.created_at, l.previous, \
         l.resource, l.topics, l.topics_known, l.source_version, l.source_last_updated"
    };
}
pub(super) use log_columns;

/// How many columns [`log_columns`] names: the place of the first one behind them.
pub(super) const LOG_COLUMNS: usize = 13;

/// A number as PostgreSQL holds it. Sequences and counts stay far below the bound.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A bound of rows as PostgreSQL takes it.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A column's value.
pub(super) fn get<'r, T: Decode<'r, Postgres>>(row: &'r PgRow, column: usize) -> Result<T, sqlx::Error> {
    row.try_get_unchecked(column)
}

/// A number that is never negative in a sound store.
pub(super) fn natural(row: &PgRow, column: usize) -> Result<u64, sqlx::Error> {
    u64::try_from(get::<i64>(row, column)?).map_err(decode)
}

/// A number that may be absent.
pub(super) fn maybe_natural(row: &PgRow, column: usize) -> Result<Option<u64>, sqlx::Error> {
    let number: Option<i64> = get(row, column)?;
    number
        .map(|number| u64::try_from(number).map_err(decode))
        .transpose()
}

/// An offset of a transaction's column and the sequence's behind it.
pub(super) fn offset(row: &PgRow, transaction: usize) -> Result<Offset, sqlx::Error> {
    Ok(Offset {
        transaction: natural(row, transaction)?,
        sequence: natural(row, transaction + 1)?,
    })
}

/// A row of [`log_columns`] as a change.
pub(super) fn change(row: &PgRow) -> Result<Change, sqlx::Error> {
    let topics: Option<&str> = get(row, 9)?;
    Ok(Change {
        offset: Offset {
            transaction: natural(row, 1)?,
            sequence: natural(row, 0)?,
        },
        previous: previous(row)?,
        matched: Matched {
            topics_known: natural(row, 10)?,
            topics: topics.map_or_else(|| Ok(Vec::new()), json)?,
        },
        version: version(row)?,
    })
}

/// A row of [`log_columns`] as a version.
pub(super) fn version(row: &PgRow) -> Result<Version, sqlx::Error> {
    let resource: Option<&[u8]> = get(row, 8)?;
    Ok(Version {
        key: key(row, 2, 3)?,
        sequence: Sequence(natural(row, 0)?),
        status: status(get(row, 4)?)?,
        last_updated: Timestamp(get(row, 5)?),
        created_at: Timestamp(get(row, 6)?),
        resource: Bytes::copy_from_slice(resource.unwrap_or_default()),
        source: source(get(row, 11)?, get(row, 12)?),
    })
}

/// The version before, of a row of [`log_columns`].
pub(super) fn previous(row: &PgRow) -> Result<Option<Sequence>, sqlx::Error> {
    Ok(maybe_natural(row, 7)?.map(Sequence))
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
pub(super) fn key(row: &PgRow, resource_type: usize, id: usize) -> Result<ResourceKey, sqlx::Error> {
    let resource_type: &str = get(row, resource_type)?;
    ResourceKey::new(resource_type, get(row, id)?).map_err(decode)
}

/// A failure to read what a row holds.
pub(super) fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// A version's status as the log holds it.
pub(super) fn status_number(status: VersionStatus) -> i16 {
    match status {
        VersionStatus::Created => 0,
        VersionStatus::Updated => 1,
        VersionStatus::Deleted => 2,
        VersionStatus::Recreated => 3,
    }
}

fn source(version: Option<String>, last_updated: Option<i64>) -> Option<Source> {
    (version.is_some() || last_updated.is_some()).then(|| Source {
        version,
        last_updated: last_updated.map(Timestamp),
    })
}

fn status(number: i16) -> Result<VersionStatus, sqlx::Error> {
    match number {
        0 => Ok(VersionStatus::Created),
        1 => Ok(VersionStatus::Updated),
        2 => Ok(VersionStatus::Deleted),
        3 => Ok(VersionStatus::Recreated),
        _ => Err(sqlx::Error::Decode("a version's status is unknown".into())),
    }
}
