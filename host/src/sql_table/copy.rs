//! Rows as `COPY … FROM STDIN` reads them: a line a row, columns parted by tabs.

use std::fmt::Write as _;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate};

use super::columns::{Column, Item, Kind};

/// The rows of one resource among a batch's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows<'a> {
    pub(super) id: &'a str,
    pub(super) rows: Range<usize>,
}

/// The text of some rows: first the resource's id, then the columns.
pub(super) fn text(columns: &[Column], batch: &RecordBatch, resources: &[Rows<'_>]) -> String {
    let mut text = String::new();
    for resource in resources {
        for row in resource.rows.clone() {
            push_escaped(&mut text, resource.id);
            for (column, values) in columns.iter().zip(batch.columns()) {
                text.push('\t');
                push_value(&mut text, column.kind, values, row);
            }
            text.push('\n');
        }
    }
    text
}

fn push_value(text: &mut String, kind: Kind, values: &ArrayRef, row: usize) {
    if values.is_null(row) {
        text.push_str("\\N");
        return;
    }
    match kind {
        Kind::Text | Kind::Numeric => push_escaped(text, values.as_string::<i32>().value(row)),
        Kind::Boolean => text.push(if values.as_boolean().value(row) { 't' } else { 'f' }),
        Kind::Int4 => push(
            text,
            format_args!("{}", values.as_primitive::<Int32Type>().value(row)),
        ),
        Kind::Int8 => push(
            text,
            format_args!("{}", values.as_primitive::<Int64Type>().value(row)),
        ),
        Kind::Date => push_date(text, values.as_primitive::<Date32Type>().value(row)),
        Kind::Timestamp => push_timestamp(text, values.as_primitive::<TimestampMicrosecondType>().value(row)),
        Kind::Bytes => push_bytes(text, values.as_binary::<i32>().value(row)),
        Kind::Json(item) => push_escaped(text, &json(item, &values.as_list::<i32>().value(row))),
    }
}

/// A date that no calendar has becomes a text that the database refuses.
fn push_date(text: &mut String, days: i32) {
    match NaiveDate::from_epoch_days(days) {
        Some(date) => push(text, format_args!("{}", date.format("%Y-%m-%d"))),
        None => push(text, format_args!("{days} days")),
    }
}

fn push_timestamp(text: &mut String, micros: i64) {
    match DateTime::from_timestamp_micros(micros) {
        Some(moment) => push(
            text,
            format_args!("{}", moment.format("%Y-%m-%d %H:%M:%S%.6f+00")),
        ),
        None => push(text, format_args!("{micros} microseconds")),
    }
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    text.push_str("\\\\x");
    for byte in bytes {
        push(text, format_args!("{byte:02x}"));
    }
}

/// A list as a JSON array.
fn json(item: Item, values: &ArrayRef) -> String {
    let mut text = String::from("[");
    for row in 0..values.len() {
        if row > 0 {
            text.push(',');
        }
        if values.is_null(row) {
            text.push_str("null");
            continue;
        }
        match item {
            Item::Boolean => push(&mut text, format_args!("{}", values.as_boolean().value(row))),
            Item::Integer => push(
                &mut text,
                format_args!("{}", values.as_primitive::<Int64Type>().value(row)),
            ),
            Item::Number => push_number(&mut text, values.as_string::<i32>().value(row)),
            Item::Text => push_string(&mut text, values.as_string::<i32>().value(row)),
        }
    }
    text.push(']');
    text
}

/// Digits as the resource has them; a text that JSON would not take for a number is a string.
fn push_number(text: &mut String, number: &str) {
    let is_number = number.parse::<serde_json::Number>().is_ok();
    match is_number {
        true => text.push_str(number),
        false => push_string(text, number),
    }
}

fn push_string(text: &mut String, value: &str) {
    // A string always has a JSON form.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// What `COPY` would take for the end of a value, of a row or of an escape is escaped.
fn push_escaped(text: &mut String, value: &str) {
    let mut rest = value;
    while let Some(place) = rest.find(['\\', '\t', '\n', '\r']) {
        let (plain, special) = rest.split_at(place);
        text.push_str(plain);
        text.push_str(match special.as_bytes().first() {
            Some(b'\\') => "\\\\",
            Some(b'\t') => "\\t",
            Some(b'\n') => "\\n",
            _ => "\\r",
        });
        rest = &special[1..];
    }
    text.push_str(rest);
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    text.write_fmt(arguments).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, BooleanArray, Date32Array, Int32Array, ListBuilder, StringArray, StringBuilder,
        TimestampMicrosecondArray,
    };

    use super::*;

    /// The text of one column's values, each a row of the resource `p`.
    fn check(kind: Kind, values: ArrayRef, expected: &str) {
        let rows = 0..values.len();
        let column = Column {
            name: "c".to_owned(),
            kind,
        };
        let batch = RecordBatch::try_from_iter([("c", values)]).unwrap();
        assert_eq!(text(&[column], &batch, &[Rows { id: "p", rows }]), expected);
    }

    fn list(values: &[Option<&str>]) -> ArrayRef {
        let mut list = ListBuilder::new(StringBuilder::new());
        values
            .iter()
            .for_each(|value| list.values().append_option(*value));
        list.append(true);
        Arc::new(list.finish())
    }

    #[test]
    fn what_would_end_a_value_is_escaped_and_null_is_no_text() {
        let values = StringArray::from(vec![Some("a\tb\nc\rd\\N"), None, Some(""), Some("\\.")]);
        check(
            Kind::Text,
            Arc::new(values),
            "p\ta\\tb\\nc\\rd\\\\N\np\t\\N\np\t\np\t\\\\.\n",
        );
    }

    #[test]
    fn each_kind_is_written_as_the_database_reads_it() {
        check(
            Kind::Boolean,
            Arc::new(BooleanArray::from(vec![true, false])),
            "p\tt\np\tf\n",
        );
        check(Kind::Int4, Arc::new(Int32Array::from(vec![-7])), "p\t-7\n");
        check(
            Kind::Numeric,
            Arc::new(StringArray::from(vec!["1.50"])),
            "p\t1.50\n",
        );
        check(
            Kind::Date,
            Arc::new(Date32Array::from(vec![-1, 2_932_896, -719_162])),
            "p\t1969-12-31\np\t9999-12-31\np\t0001-01-01\n",
        );
        let moments = TimestampMicrosecondArray::from(vec![-1, 253_402_300_799_999_999]);
        check(
            Kind::Timestamp,
            Arc::new(moments),
            "p\t1969-12-31 23:59:59.999999+00\np\t9999-12-31 23:59:59.999999+00\n",
        );
        check(
            Kind::Bytes,
            Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]])),
            "p\t\\\\x00ff\n",
        );
    }

    #[test]
    fn a_list_is_a_json_array_whose_numbers_keep_their_digits() {
        check(
            Kind::Json(Item::Text),
            list(&[Some("a\"\\"), None]),
            "p\t[\"a\\\\\"\\\\\\\\\",null]\n",
        );
        check(
            Kind::Json(Item::Number),
            list(&[Some("1.50"), Some("1e3"), Some("x")]),
            "p\t[1.50,1e3,\"x\"]\n",
        );
    }

    #[test]
    fn only_the_rows_asked_for_are_written() {
        let batch = RecordBatch::try_from_iter([(
            "c",
            Arc::new(StringArray::from(vec!["a", "b", "c", "d"])) as ArrayRef,
        )])
        .unwrap();
        let column = Column {
            name: "c".to_owned(),
            kind: Kind::Text,
        };
        let resources = [
            Rows { id: "y", rows: 2..4 },
            Rows { id: "x", rows: 0..1 },
            Rows { id: "z", rows: 1..1 },
        ];
        assert_eq!(text(&[column], &batch, &resources), "y\tc\ny\td\nx\ta\n");
    }
}
