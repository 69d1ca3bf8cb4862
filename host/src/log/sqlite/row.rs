//! Rows as values, both ways.

use bytes::Bytes;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Decode, Encode, Row, Sqlite, Type};

use crate::change::{Offset, ResourceKey, Sequence, Source, Timestamp, Version, VersionStatus};

/// The columns of `log` that [`version`] reads, in its order; the table bears the name `l`.
macro_rules! log_columns {
    () => {
        "l.sequence, l.resource_type, l.id, l.status, l.last_updated, l.created_at, l.resource, l.source_version, \
         l.source_last_updated"
    };
}
pub(super) use log_columns;

/// How many columns [`log_columns`] names: the place of the first one behind them.
pub(super) const LOG_COLUMNS: usize = 9;

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

/// A row of [`log_columns`] as a version.
pub(super) fn version(row: &SqliteRow) -> Result<Version, sqlx::Error> {
    let resource: Option<&[u8]> = row.try_get_unchecked(6)?;
    Ok(Version {
        key: key(row, 1, 2)?,
        sequence: Sequence(natural(row, 0)?),
        status: status(get(row, 3)?)?,
        last_updated: Timestamp(get(row, 4)?),
        created_at: Timestamp(get(row, 5)?),
        resource: Bytes::copy_from_slice(resource.unwrap_or_default()),
        source: source(get(row, 7)?, get(row, 8)?),
    })
}

pub(super) fn source(version: Option<String>, last_updated: Option<i64>) -> Option<Source> {
    (version.is_some() || last_updated.is_some()).then(|| Source {
        version,
        last_updated: last_updated.map(Timestamp),
    })
}

pub(super) fn status(number: i64) -> Result<VersionStatus, sqlx::Error> {
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

/// The most rows that a statement of many takes.
pub(super) const MANY: usize = 64;
/// How many rows statements are prepared for.
const SIZES: [usize; 4] = [1, 4, 16, MANY];

/// A statement over several rows at once, in a few sizes, so that what is run is one of few texts and was prepared before.
/// Places that are left over are NULL, which the statement must pass over.
///
/// One call of a statement costs far more than a row within it; a commit of many rows is bound by how few
/// calls it makes.
#[derive(Debug)]
pub(super) struct ManyRows {
    columns: usize,
    /// By size, the smallest first.
    statements: [(usize, String); SIZES.len()],
}

impl ManyRows {
    /// A statement with one group of places for each row between `before` and `after`.
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        let group = format!("({})", vec!["?"; columns].join(","));
        let statements = SIZES.map(|rows| {
            let groups = vec![group.as_str(); rows].join(",");
            (rows, format!("{before}{groups}{after}"))
        });
        Self { columns, statements }
    }
}

/// Several statements that are run in one call, with what they are given.
#[derive(Default)]
pub(super) struct Script {
    text: String,
    given: SqliteArguments,
}

/// The values of one row, in the order of its places.
pub(super) struct Places<'s>(&'s mut SqliteArguments);

impl Places<'_> {
    pub(super) fn add<'t>(
        &mut self,
        value: impl Encode<'t, Sqlite> + Type<Sqlite>,
    ) -> Result<&mut Self, sqlx::Error> {
        self.0.add(value).map_err(sqlx::Error::Encode)?;
        Ok(self)
    }
}

impl Script {
    /// Adds a statement that is given nothing.
    pub(super) fn add(&mut self, statement: &str) {
        if !self.text.is_empty() && !statement.is_empty() {
            self.text.push_str("; ");
        }
        self.text.push_str(statement);
    }

    /// Adds a statement over rows, at most [`MANY`]; nothing for none.
    pub(super) fn add_rows<R>(
        &mut self,
        many: &ManyRows,
        rows: &[R],
        fill: impl Fn(&mut Places<'_>, &R) -> Result<(), sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        let fitting = many.statements.iter().find(|(size, _)| rows.len() <= *size);
        let (false, Some((size, statement))) = (rows.is_empty(), fitting) else {
            return Ok(());
        };
        self.add(statement);
        let mut places = Places(&mut self.given);
        for row in rows {
            fill(&mut places, row)?;
        }
        for _ in 0..(size - rows.len()) * many.columns {
            places.add(None::<i64>)?;
        }
        Ok(())
    }

    /// Runs the statements; the first that fails is the last that is run.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.text.is_empty() {
            return Ok(());
        }
        let script = sqlx::query_with(AssertSqlSafe(self.text), self.given);
        script.execute(connection).await.map(drop)
    }

    /// Runs the statements, and answers all rows that they give.
    pub(super) async fn fetch(
        self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        if self.text.is_empty() {
            return Ok(Vec::new());
        }
        let script = sqlx::query_with(AssertSqlSafe(self.text), self.given);
        script.fetch_all(connection).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_given_to_the_smallest_statement_that_takes_them() {
        let many = ManyRows::new("VALUES ", 2, " ;");
        let mut script = Script::default();
        script.add("BEGIN");
        let fill = |places: &mut Places<'_>, row: &i64| places.add(*row)?.add(-row).map(drop);
        script.add_rows(&many, &[], fill).unwrap();
        script.add_rows(&many, &[1, 2, 3], fill).unwrap();
        assert_eq!(script.text, "BEGIN; VALUES (?,?),(?,?),(?,?),(?,?) ;");
        assert_eq!(script.given.len(), 8);
        let all: Vec<i64> = (0..64).collect();
        script.add_rows(&many, &all, fill).unwrap();
        assert_eq!(script.given.len(), 8 + 2 * MANY);
    }
}
