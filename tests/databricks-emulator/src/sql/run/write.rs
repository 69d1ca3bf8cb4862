//! INSERT, and rows of queries into tables.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::query::Answered;
use super::{Session, functions, query, reach_fresh};
use crate::catalog::{Privilege, TableEntry};
use crate::faults::{Fault, Surface};
use crate::sql::error::SqlError;
use crate::sql::lex::{Lexer, Token};
use crate::sql::literal::{NotRead, Target, arity, read_values};
use crate::sql::output::Output;
use crate::sql::parse::{Insert, Source};
use crate::sql::store::{may_store, unsafe_cast};
use crate::sql::text::to_type;
use crate::types::{SqlType, arrow_schema};
use crate::workspace::Workspace;

pub(super) async fn insert(
    workspace: &Arc<Workspace>,
    session: &Session,
    insert: Insert,
    sql: &str,
) -> Result<Output, SqlError> {
    let entry = reach_fresh(workspace, session, &insert.table, &[Privilege::Modify]).await?;
    let places = places(&entry, insert.columns.as_deref())?;
    let is_listed = insert.columns.is_some();
    let count = match insert.source {
        Source::Values { from, .. } if workspace.faults.is_on(Fault::NullSink) => {
            let count = count_rows(sql, from)?;
            workspace.counters.add("null-rows", count);
            workspace.counters.add("null-bytes", sql.len());
            count
        }
        Source::Values { from, word } => match literals(&entry, &places, is_listed, sql, from).await? {
            Some(batch) => commit(workspace, &entry, vec![batch]).await?,
            None => insert_query(workspace, session, &entry, &places, is_listed, &sql[word..]).await?,
        },
        Source::Query(at) => insert_query(workspace, session, &entry, &places, is_listed, &sql[at..]).await?,
    };
    workspace.counters.add("sql-rows", count);
    Ok(Output::counts(&[
        ("num_affected_rows", count),
        ("num_inserted_rows", count),
    ]))
}

/// Where the values of a row go: the columns that are listed, or all.
fn places(entry: &TableEntry, listed: Option<&[String]>) -> Result<Vec<usize>, SqlError> {
    let Some(listed) = listed else {
        return Ok((0..entry.columns.len()).collect());
    };
    let mut places = Vec::with_capacity(listed.len());
    for name in listed {
        let place = entry
            .columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name));
        let Some(place) = place else {
            let names = entry.columns.iter().map(|column| column.name.as_str());
            return Err(SqlError::unresolved(name, names));
        };
        if places.contains(&place) {
            return Err(SqlError::new(
                "COLUMN_ALREADY_EXISTS",
                "42711",
                format!(
                    "The column `{name}` already exists. Choose another name or rename the existing column."
                ),
            ));
        }
        places.push(place);
    }
    Ok(places)
}

/// The rows if all are literals; none if the query engine is needed. Megabytes are read, so other tasks must not wait.
async fn literals(
    entry: &TableEntry,
    places: &[usize],
    is_listed: bool,
    sql: &str,
    from: usize,
) -> Result<Option<RecordBatch>, SqlError> {
    let (entry, places, sql) = (entry.clone(), places.to_vec(), sql.to_owned());
    let reading = tokio::task::spawn_blocking(move || {
        let name = entry.full_name();
        let target = Target {
            table: &name,
            columns: &entry.columns,
            places,
            is_listed,
        };
        match read_values(&sql, from, &target) {
            Ok(rows) => rows
                .finish()
                .map(Some)
                .map_err(|error| SqlError::internal(&error)),
            Err(NotRead::Expression) => Ok(None),
            Err(NotRead::Wrong(error)) => Err(error),
        }
    });
    reading.await.map_err(|error| SqlError::internal(&error))?
}

async fn insert_query(
    workspace: &Workspace,
    session: &Session,
    entry: &TableEntry,
    places: &[usize],
    is_listed: bool,
    sql: &str,
) -> Result<usize, SqlError> {
    let answered = queried(workspace, session, sql).await?;
    let found = answered.columns.len();
    if found != places.len() {
        return Err(arity(&entry.full_name(), places.len(), found, is_listed));
    }
    append(workspace, entry, places, answered).await
}

/// The rows of a query, and their columns, each of which may be NULL.
pub(super) async fn queried(
    workspace: &Workspace,
    session: &Session,
    sql: &str,
) -> Result<Answered, SqlError> {
    let mut answered = query::query(workspace, session, sql).await?;
    for column in &mut answered.columns {
        column.nullable = true;
    }
    Ok(answered)
}

/// Writes the rows of a query whose columns go to those places, if their types may be stored there.
pub(super) async fn append(
    workspace: &Workspace,
    entry: &TableEntry,
    places: &[usize],
    answered: Answered,
) -> Result<usize, SqlError> {
    for (place, (column, data_type)) in places.iter().zip(answered.columns.iter().zip(&answered.types)) {
        let target = &entry.columns[*place];
        if *data_type != DataType::Null && !may_store(&column.sql_type, &target.sql_type) {
            return Err(unsafe_cast(
                &column.sql_type.sql(),
                &target.sql_type,
                &target.name,
            ));
        }
    }
    let whole = answered
        .batches
        .iter()
        .filter(|batch| batch.num_rows() > 0)
        .map(|batch| placed(entry, places, batch))
        .collect::<Result<Vec<_>, _>>()?;
    if whole.is_empty() {
        return Ok(0);
    }
    commit(workspace, entry, whole).await
}

/// A batch with all columns of the table, in the table's types.
pub(super) fn placed(
    entry: &TableEntry,
    places: &[usize],
    batch: &RecordBatch,
) -> Result<RecordBatch, SqlError> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(entry.columns.len());
    for (index, column) in entry.columns.iter().enumerate() {
        let found = places.iter().position(|place| *place == index);
        let array = match found {
            Some(at) => stored(batch.column(at), &column.sql_type).map_err(|error| {
                SqlError::new(
                    "CAST_OVERFLOW_IN_TABLE_INSERT",
                    "22003",
                    format!("Fail to assign a value to the column `{}`: {error}.", column.name),
                )
            })?,
            None => new_null_array(&column.sql_type.arrow(), batch.num_rows()),
        };
        if !column.nullable && array.null_count() > 0 {
            return Err(SqlError::not_null(&column.name));
        }
        arrays.push(array);
    }
    RecordBatch::try_new(arrow_schema(&entry.columns), arrays).map_err(|error| SqlError::internal(&error))
}

/// The same values as a column of that type holds them.
fn stored(array: &ArrayRef, sql_type: &SqlType) -> Result<ArrayRef, ArrowError> {
    match sql_type {
        SqlType::String => functions::spark_string(array),
        other => to_type(array, other),
    }
}

async fn commit(
    workspace: &Workspace,
    entry: &TableEntry,
    batches: Vec<RecordBatch>,
) -> Result<usize, SqlError> {
    let count = batches.iter().map(RecordBatch::num_rows).sum();
    let again = workspace
        .faults
        .take(Fault::DuplicateDelivery, Surface::Sql, "/api/2.0/sql/statements");
    let table = workspace.table(entry).await?;
    let mut table = table.lock().await;
    if again.is_some() {
        table.append(batches.clone(), None).await?;
    }
    table.append(batches, None).await?;
    Ok(count)
}

/// How many rows a list has, counted by its parentheses: for the null sink.
fn count_rows(sql: &str, from: usize) -> Result<usize, SqlError> {
    let mut lexer = Lexer::new(&sql[from..]);
    let (mut depth, mut count) = (0_i32, 0);
    loop {
        match lexer.next()?.0 {
            Token::End => return Ok(count),
            Token::Sign("(") => {
                count += usize::from(depth == 0);
                depth += 1;
            }
            Token::Sign(")") => depth -= 1,
            _ => {}
        }
    }
}
