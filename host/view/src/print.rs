//! Rows as text: JSON, NDJSON and CSV.
//!
//! Every column appears in every row, in the order of the schema. Empty is `null` (CSV: nothing between the commas), an
//! empty collection is `[]`. A decimal that is held as text prints as a JSON number with the digits of its source.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
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
    let columns = members(batch)?;
    for row in 0..batch.num_rows() {
        object(&columns, row, out)?;
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
    let columns = members(batch)?;
    for row in 0..batch.num_rows() {
        out.write_all(if *first { b"\n" } else { b",\n" })?;
        *first = false;
        object(&columns, row, out)?;
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
    let columns = members(batch)?;
    for row in 0..batch.num_rows() {
        for (number, (_, column)) in columns.iter().enumerate() {
            if number > 0 {
                out.write_all(b",")?;
            }
            csv_value(column, row, out)?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn csv_value(column: &Cells<'_>, row: usize, out: &mut impl Write) -> io::Result<()> {
    if column.is_null(row) {
        return Ok(());
    }
    if let Values::Text(texts) = column.values {
        return out.write_all(csv_text(texts.value(row)).as_bytes());
    }
    let mut json = Vec::new();
    column.write(row, &mut json)?;
    let text = String::from_utf8_lossy(&json);
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(&text);
    out.write_all(csv_text(bare).as_bytes())
}

fn csv_text(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The columns of a batch, each with what stands before its value in an object.
fn members(batch: &RecordBatch) -> io::Result<Vec<(Vec<u8>, Cells<'_>)>> {
    let schema = batch.schema();
    let fields = schema.fields().iter().enumerate();
    let member = |(number, field): (usize, &Arc<Field>)| {
        let mut before = if number == 0 { Vec::new() } else { vec![b','] };
        string(field.name(), &mut before)?;
        before.push(b':');
        let is_decimal = field
            .metadata()
            .get(FHIR_TYPE)
            .is_some_and(|name| name == "decimal");
        Ok((before, Cells::of(batch.column(number), is_decimal)))
    };
    fields.map(member).collect()
}

fn object(columns: &[(Vec<u8>, Cells<'_>)], row: usize, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"{")?;
    for (before, column) in columns {
        out.write_all(before)?;
        column.write(row, out)?;
    }
    out.write_all(b"}")
}

/// A column, and its values as what they are.
struct Cells<'b> {
    array: &'b ArrayRef,
    values: Values<'b>,
}

enum Values<'b> {
    Text(&'b StringArray),
    /// A decimal's digits.
    Digits(&'b StringArray),
    Boolean(&'b BooleanArray),
    Int32(&'b PrimitiveArray<Int32Type>),
    Int64(&'b PrimitiveArray<Int64Type>),
    Float64(&'b PrimitiveArray<Float64Type>),
    Date32(&'b PrimitiveArray<Date32Type>),
    Timestamp(&'b PrimitiveArray<TimestampMicrosecondType>),
    Binary(&'b BinaryArray),
    List(&'b ListArray, Box<Cells<'b>>),
    /// Of a type that no view gives.
    Other,
}

impl<'b> Cells<'b> {
    fn of(array: &'b ArrayRef, is_decimal: bool) -> Self {
        let values = match array.data_type() {
            DataType::Utf8 if is_decimal => Values::Digits(array.as_string()),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::Boolean => Values::Boolean(array.as_boolean()),
            DataType::Int32 => Values::Int32(array.as_primitive()),
            DataType::Int64 => Values::Int64(array.as_primitive()),
            DataType::Float64 => Values::Float64(array.as_primitive()),
            DataType::Date32 => Values::Date32(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Values::Timestamp(array.as_primitive()),
            DataType::Binary => Values::Binary(array.as_binary()),
            DataType::List(_) => {
                let list = array.as_list();
                Values::List(list, Box::new(Self::of(list.values(), is_decimal)))
            }
            _ => Values::Other,
        };
        Self { array, values }
    }

    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// Writes a value as JSON.
    fn write(&self, row: usize, out: &mut impl Write) -> io::Result<()> {
        if self.is_null(row) {
            return out.write_all(b"null");
        }
        match &self.values {
            Values::Text(texts) => string(texts.value(row), out),
            Values::Digits(digits) => out.write_all(digits.value(row).as_bytes()),
            Values::Boolean(flags) => write!(out, "{}", flags.value(row)),
            Values::Int32(numbers) => write!(out, "{}", numbers.value(row)),
            Values::Int64(numbers) => write!(out, "{}", numbers.value(row)),
            Values::Float64(numbers) => {
                serde_json::to_writer(out, &numbers.value(row)).map_err(io::Error::from)
            }
            Values::Date32(days) => write!(out, "\"{}\"", days_to_text(days.value(row))),
            Values::Timestamp(micros) => write!(out, "\"{}\"", micros_to_text(micros.value(row))),
            Values::Binary(bytes) => write!(out, "\"{}\"", crate::base64::encode(bytes.value(row))),
            Values::List(list, items) => {
                let offsets = list.value_offsets();
                out.write_all(b"[")?;
                for item in offsets[row]..offsets[row + 1] {
                    if item > offsets[row] {
                        out.write_all(b",")?;
                    }
                    items.write(item as usize, out)?;
                }
                out.write_all(b"]")
            }
            Values::Other => out.write_all(b"null"),
        }
    }
}

fn string(text: &str, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
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
