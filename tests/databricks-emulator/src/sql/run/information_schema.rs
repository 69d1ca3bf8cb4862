//! `information_schema`: what the caller may see of a catalog, as tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::error::ArrowError;

use crate::catalog::{Caller, Catalog, Kind, Securable, TableEntry, TableType};
use crate::types::{Column, SqlType};

/// Its name.
pub(super) const SCHEMA: &str = "information_schema";

/// The rows of one of its tables; none if there is no such table.
pub(super) fn table(
    state: &Catalog,
    caller: &Caller,
    catalog: &str,
    name: &str,
) -> Option<Result<RecordBatch, ArrowError>> {
    match name {
        "columns" => Some(columns(state, caller, catalog)),
        "tables" => Some(tables(state, caller, catalog)),
        "schemata" => Some(schemata(state, caller, catalog)),
        _ => None,
    }
}

fn seen_tables<'a>(state: &'a Catalog, caller: &'a Caller, catalog: &'a str) -> Vec<&'a TableEntry> {
    state
        .tables
        .values()
        .filter(|entry| entry.catalog == catalog && state.may_see(caller, &entry.securable()))
        .collect()
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn numbers(values: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.collect::<Int32Array>())
}

fn moments(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(values).with_timezone("UTC"))
}

/// Precision and scale of a number; none of anything else.
fn precision(sql_type: &SqlType) -> (Option<i32>, Option<i32>) {
    match sql_type {
        SqlType::TinyInt => (Some(3), Some(0)),
        SqlType::SmallInt => (Some(5), Some(0)),
        SqlType::Int => (Some(10), Some(0)),
        SqlType::BigInt => (Some(19), Some(0)),
        SqlType::Float => (Some(24), None),
        SqlType::Double => (Some(53), None),
        SqlType::Decimal(precision, scale) => (Some(i32::from(*precision)), Some(i32::from(*scale))),
        _ => (None, None),
    }
}

fn columns(state: &Catalog, caller: &Caller, catalog: &str) -> Result<RecordBatch, ArrowError> {
    let tables = seen_tables(state, caller, catalog);
    let all: Vec<(&TableEntry, i32, &Column)> = tables
        .iter()
        .flat_map(|table| {
            (0_i32..)
                .zip(&table.columns)
                .map(|(at, column)| (*table, at, column))
        })
        .collect();
    let names: Vec<String> = all
        .iter()
        .map(|(_, _, column)| column.name.to_lowercase())
        .collect();
    let full: Vec<String> = all.iter().map(|(_, _, column)| column.sql_type.text()).collect();
    let short: Vec<&str> = all
        .iter()
        .map(|(_, _, column)| column.sql_type.type_name())
        .collect();
    let nullable = |column: &Column| if column.nullable { "YES" } else { "NO" };
    RecordBatch::try_from_iter_with_nullable([
        (
            "table_catalog",
            texts(all.iter().map(|(table, ..)| Some(table.catalog.as_str()))),
            false,
        ),
        (
            "table_schema",
            texts(all.iter().map(|(table, ..)| Some(table.schema.as_str()))),
            false,
        ),
        (
            "table_name",
            texts(all.iter().map(|(table, ..)| Some(table.name.as_str()))),
            false,
        ),
        (
            "column_name",
            texts(names.iter().map(|name| Some(name.as_str()))),
            false,
        ),
        (
            "ordinal_position",
            numbers(all.iter().map(|(_, at, _)| Some(*at))),
            false,
        ),
        ("column_default", texts(all.iter().map(|_| None)), true),
        (
            "is_nullable",
            texts(all.iter().map(|(.., column)| Some(nullable(column)))),
            false,
        ),
        (
            "full_data_type",
            texts(full.iter().map(|name| Some(name.as_str()))),
            false,
        ),
        ("data_type", texts(short.iter().map(|name| Some(*name))), false),
        (
            "numeric_precision",
            numbers(all.iter().map(|(.., column)| precision(&column.sql_type).0)),
            true,
        ),
        (
            "numeric_scale",
            numbers(all.iter().map(|(.., column)| precision(&column.sql_type).1)),
            true,
        ),
        (
            "comment",
            texts(all.iter().map(|(.., column)| column.comment.as_deref())),
            true,
        ),
    ])
}

fn tables(state: &Catalog, caller: &Caller, catalog: &str) -> Result<RecordBatch, ArrowError> {
    let all = seen_tables(state, caller, catalog);
    let kind = |entry: &TableEntry| match entry.table_type {
        TableType::Managed => "MANAGED",
        TableType::External => "EXTERNAL",
    };
    RecordBatch::try_from_iter_with_nullable([
        (
            "table_catalog",
            texts(all.iter().map(|table| Some(table.catalog.as_str()))),
            false,
        ),
        (
            "table_schema",
            texts(all.iter().map(|table| Some(table.schema.as_str()))),
            false,
        ),
        (
            "table_name",
            texts(all.iter().map(|table| Some(table.name.as_str()))),
            false,
        ),
        (
            "table_type",
            texts(all.iter().map(|table| Some(kind(table)))),
            false,
        ),
        (
            "table_owner",
            texts(all.iter().map(|table| Some(table.owner.as_str()))),
            false,
        ),
        (
            "comment",
            texts(all.iter().map(|table| table.comment.as_deref())),
            true,
        ),
        (
            "created",
            moments(all.iter().map(|table| table.created_at)),
            false,
        ),
        (
            "last_altered",
            moments(all.iter().map(|table| table.updated_at)),
            false,
        ),
        (
            "data_source_format",
            texts(all.iter().map(|_| Some("DELTA"))),
            false,
        ),
        (
            "storage_path",
            texts(all.iter().map(|table| Some(table.storage_location.as_str()))),
            false,
        ),
    ])
}

fn schemata(state: &Catalog, caller: &Caller, catalog: &str) -> Result<RecordBatch, ArrowError> {
    let all: Vec<_> = state
        .schemas
        .iter()
        .filter(|(_, entry)| entry.catalog == catalog)
        .filter(|(name, _)| state.may_see(caller, &Securable::new(Kind::Schema, name)))
        .map(|(_, entry)| entry)
        .collect();
    RecordBatch::try_from_iter_with_nullable([
        (
            "catalog_name",
            texts(all.iter().map(|schema| Some(schema.catalog.as_str()))),
            false,
        ),
        (
            "schema_name",
            texts(all.iter().map(|schema| Some(schema.name.as_str()))),
            false,
        ),
        (
            "schema_owner",
            texts(all.iter().map(|schema| Some(schema.owner.as_str()))),
            false,
        ),
        (
            "comment",
            texts(all.iter().map(|schema| schema.comment.as_deref())),
            true,
        ),
        (
            "created",
            moments(all.iter().map(|schema| schema.created_at)),
            false,
        ),
    ])
}
