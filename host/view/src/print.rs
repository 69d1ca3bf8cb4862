//! Rows as text: JSON, NDJSON and CSV.
//!
//! Every column appears in every row, in the order of the schema. Empty is `null` (CSV: nothing between the commas), an
//! empty collection is `[]`. A decimal that is held as text prints as a JSON number with the digits of its source.

use std::io::{self, Write};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Field, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

use crate::output::FHIR_TYPE;
use crate::temporal::{days_to_text, micros_to_text};

/// Writes a batch as NDJSON: one object and a line feed per row.
///
/// # Errors
/// The writer's own.
pub fn ndjson(batch: &RecordBatch, out: &mut impl Write) -> io::Result<()> {
    for row in 0..batch.num_rows() {
        object(batch, row, out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes the rows of a batch as members of a JSON array, without its brackets.
///
/// `first` says whether no row was written to the array yet, and is false once one was: a caller writes `[`, any number of
/// batches, `]`.
///
/// # Errors
/// The writer's own.
pub fn json_members(batch: &RecordBatch, first: &mut bool, out: &mut impl Write) -> io::Result<()> {
    for row in 0..batch.num_rows() {
        out.write_all(if *first { b"\n" } else { b",\n" })?;
        *first = false;
        object(batch, row, out)?;
    }
    Ok(())
}

/// Writes the header line of CSV.
///
/// # Errors
/// The writer's own.
pub fn csv_header(schema: &arrow::datatypes::Schema, out: &mut impl Write) -> io::Result<()> {
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| csv_text(field.name()))
        .collect();
    writeln!(out, "{}", names.join(","))
}

/// Writes a batch as CSV lines, without a header. A collection is its JSON text.
///
/// # Errors
/// The writer's own.
pub fn csv(batch: &RecordBatch, out: &mut impl Write) -> io::Result<()> {
    let schema = batch.schema();
    for row in 0..batch.num_rows() {
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            csv_value(batch.column(index), field, row, out)?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn csv_value(column: &ArrayRef, field: &Field, row: usize, out: &mut impl Write) -> io::Result<()> {
    if column.is_null(row) {
        return Ok(());
    }
    match column.data_type() {
        DataType::Utf8 => out.write_all(csv_text(column.as_string::<i32>().value(row)).as_bytes()),
        _ => {
            let mut json = Vec::new();
            value(column, is_decimal(field), row, &mut json)?;
            let text = String::from_utf8_lossy(&json);
            let bare = text
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .unwrap_or(&text);
            out.write_all(csv_text(bare).as_bytes())
        }
    }
}

fn csv_text(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn object(batch: &RecordBatch, row: usize, out: &mut impl Write) -> io::Result<()> {
    let schema = batch.schema();
    out.write_all(b"{")?;
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        string(field.name(), out)?;
        out.write_all(b":")?;
        value(batch.column(index), is_decimal(field), row, out)?;
    }
    out.write_all(b"}")
}

fn is_decimal(field: &Field) -> bool {
    field
        .metadata()
        .get(FHIR_TYPE)
        .is_some_and(|name| name == "decimal")
}

fn value(column: &ArrayRef, decimal: bool, row: usize, out: &mut impl Write) -> io::Result<()> {
    if column.is_null(row) {
        return out.write_all(b"null");
    }
    match column.data_type() {
        DataType::Utf8 => {
            let text = column.as_string::<i32>().value(row);
            if decimal {
                out.write_all(text.as_bytes())
            } else {
                string(text, out)
            }
        }
        DataType::Boolean => write!(out, "{}", column.as_boolean().value(row)),
        DataType::Int32 => write!(out, "{}", column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(out, "{}", column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row), out),
        DataType::Date32 => write!(
            out,
            "\"{}\"",
            days_to_text(column.as_primitive::<Date32Type>().value(row))
        ),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            write!(
                out,
                "\"{}\"",
                micros_to_text(column.as_primitive::<TimestampMicrosecondType>().value(row))
            )
        }
        DataType::Binary => write!(
            out,
            "\"{}\"",
            crate::base64::encode(column.as_binary::<i32>().value(row))
        ),
        DataType::List(_) => list(column, decimal, row, out),
        _ => out.write_all(b"null"),
    }
}

fn list(column: &ArrayRef, decimal: bool, row: usize, out: &mut impl Write) -> io::Result<()> {
    let items = column.as_list::<i32>().value(row);
    out.write_all(b"[")?;
    for index in 0..items.len() {
        if index > 0 {
            out.write_all(b",")?;
        }
        value(&items, decimal, index, out)?;
    }
    out.write_all(b"]")
}

fn string(text: &str, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

fn float(number: f64, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(out, &number).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::csv_text;

    #[test]
    fn csv_quotes_what_would_break_a_line() {
        assert_eq!(csv_text("plain"), "plain");
        assert_eq!(csv_text("a,b"), "\"a,b\"");
        assert_eq!(csv_text("say \"hi\""), "\"say \"\"hi\"\"\"");
    }
}
