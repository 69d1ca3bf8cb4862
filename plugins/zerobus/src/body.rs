//! Arrow columns straight to the JSON array of a request.
//!
//! No tree of values in between: each cell's text is appended to one buffer. Dates are days and timestamps microseconds
//! since 1970, whole numbers are bare, bytes are base64 (W 6); an empty cell is left out, which is null (W 2.6).

use std::ops::Range;

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lakefeed_databricks_client::literal::{is_day, is_instant};

use crate::ZerobusError;

/// A batch's columns, ready to be written row by row.
pub struct Columns<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
}

struct Column<'a> {
    name: String,
    key: Key,
    nulls: Option<&'a NullBuffer>,
    cells: Cells<'a>,
}

/// `,"name":`
struct Key {
    text: Vec<u8>,
    length: usize,
}

/// A value that has no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoJson {
    /// The row.
    pub row: usize,
    /// The column.
    pub column: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// A column of the closed set.
enum Cells<'a> {
    /// Texts of which none has a byte that needs an escape: all bytes, and where each text begins and ends.
    Plain(&'a [u8], &'a [i32]),
    Text(&'a StringArray),
    Date(&'a Date32Array),
    Time(&'a TimestampMicrosecondArray),
    Int(&'a Int32Array),
    Long(&'a Int64Array),
    Double(&'a Float64Array),
    Boolean(&'a BooleanArray),
    Binary(&'a BinaryArray),
    List(&'a ListArray, Box<Cells<'a>>),
}

impl<'a> Columns<'a> {
    /// The columns of a batch, each under the name that it has there.
    pub fn of(batch: &'a RecordBatch) -> Result<Self, ZerobusError> {
        Self::spelled(batch, str::to_owned)
    }

    /// The columns of a batch, each under the name that the table spells it with.
    pub fn spelled(batch: &'a RecordBatch, spell: impl Fn(&str) -> String) -> Result<Self, ZerobusError> {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
            Ok(Column {
                name: field.name().clone(),
                key: Key::of(&spell(field.name())),
                nulls: array.nulls(),
                cells: Cells::of(array.as_ref())?,
            })
        });
        Ok(Self {
            columns: columns.collect::<Result<_, ZerobusError>>()?,
            rows: batch.num_rows(),
        })
    }

    /// About how many bytes so many of the rows take.
    pub fn room(&self, rows: usize) -> usize {
        let names: usize = self.columns.iter().map(|column| column.key.length).sum();
        let cells: usize = self.columns.iter().map(|column| column.cells.room()).sum();
        rows * (names + 3 + cells / self.rows.max(1))
    }

    /// Appends the rows as objects with commas between; what was appended before an error stays.
    pub fn push_rows(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), NoJson> {
        let start = rows.start;
        for row in rows {
            if row > start {
                out.push(b',');
            }
            let begin = out.len();
            for column in &self.columns {
                if is_null(column.nulls, row) {
                    continue;
                }
                push_part(out, &column.key.text, 0..column.key.length);
                column.cells.push(out, row).map_err(|problem| NoJson {
                    row,
                    column: column.name.clone(),
                    problem,
                })?;
            }
            // The first name has a comma before it like any other.
            match out.get_mut(begin) {
                Some(comma) => *comma = b'{',
                None => out.push(b'{'),
            }
            out.push(b'}');
        }
        Ok(())
    }
}

impl Key {
    fn of(name: &str) -> Self {
        let mut text = vec![b','];
        push_text(&mut text, name);
        text.push(b':');
        let length = text.len();
        // So that it is copied as a block.
        text.resize(length.max(32), 0);
        Self { text, length }
    }
}

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array) -> Result<Self, ZerobusError> {
        Ok(match array.data_type() {
            DataType::Utf8 => {
                let texts: &StringArray = array.as_string();
                // Asked once for all: a batch seldom has a text that needs an escape in more than a column or two.
                match is_plain(all_bytes(texts)) {
                    true => Self::Plain(texts.value_data(), texts.value_offsets()),
                    false => Self::Text(texts),
                }
            }
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Time(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Self::Long(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>()),
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Binary => Self::Binary(array.as_binary::<i32>()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::List(list, Box::new(Self::of(list.values().as_ref())?))
            }
            _ => {
                return Err(ZerobusError::Contract {
                    what: "a column has a type outside the closed set",
                });
            }
        })
    }

    /// About how many bytes all values take.
    fn room(&self) -> usize {
        match self {
            Self::Plain(_, offsets) => place(offsets.last()) - place(offsets.first()) + 2 * offsets.len(),
            Self::Text(array) => all_bytes(array).len() + 2 * array.len(),
            Self::Date(array) => 6 * array.len(),
            Self::Time(array) => 16 * array.len(),
            Self::Int(array) => 6 * array.len(),
            Self::Long(array) => 12 * array.len(),
            Self::Double(array) => 12 * array.len(),
            Self::Boolean(array) => 5 * array.len(),
            Self::Binary(array) => array.value_data().len() * 4 / 3 + 4 * array.len(),
            Self::List(array, items) => items.room() + 3 * array.len(),
        }
    }

    fn push(&self, out: &mut Vec<u8>, row: usize) -> Result<(), &'static str> {
        const YEARS: &str = "lies outside the years 1 to 9999";
        match self {
            Self::Plain(bytes, offsets) => {
                out.push(b'"');
                push_part(out, bytes, place(offsets.get(row))..place(offsets.get(row + 1)));
                out.push(b'"');
            }
            Self::Text(array) => push_text(out, array.value(row)),
            Self::Date(array) if is_day(array.value(row)) => push_integer(out, array.value(row)),
            Self::Time(array) if is_instant(array.value(row)) => push_integer(out, array.value(row)),
            Self::Date(_) | Self::Time(_) => return Err(YEARS),
            Self::Int(array) => push_integer(out, array.value(row)),
            Self::Long(array) => push_integer(out, array.value(row)),
            Self::Double(array) if array.value(row).is_finite() => push_double(out, array.value(row)),
            Self::Double(_) => return Err("is not a finite number"),
            Self::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Binary(array) => push_base64(out, array.value(row)),
            Self::List(array, items) => push_list(out, array, items, row)?,
        }
        Ok(())
    }
}

fn is_null(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_some_and(|nulls| nulls.is_null(row))
}

/// The bytes of all texts of an array, also of one that is a slice.
fn all_bytes(texts: &StringArray) -> &[u8] {
    let offsets = texts.value_offsets();
    let (start, end) = (place(offsets.first()), place(offsets.last()));
    texts.value_data().get(start..end).unwrap_or_default()
}

/// An offset as a place; those of Arrow are never negative.
fn place(offset: Option<&i32>) -> usize {
    offset.map_or(0, |offset| usize::try_from(*offset).unwrap_or(0))
}

/// Appends a part of these bytes. A copy of a fixed length takes no call, so a short part is copied with what stands
/// behind it, where there is enough, and that is cut off again.
fn push_part(out: &mut Vec<u8>, bytes: &[u8], part: Range<usize>) {
    const BLOCK: usize = 32;
    let length = part.len();
    let block = bytes
        .get(part.start..)
        .and_then(|rest| rest.first_chunk::<BLOCK>());
    match block {
        Some(block) if length <= BLOCK => {
            out.extend_from_slice(block);
            out.truncate(out.len() - BLOCK + length);
        }
        _ => out.extend_from_slice(&bytes[part]),
    }
}

fn push_list(
    out: &mut Vec<u8>,
    array: &ListArray,
    items: &Cells<'_>,
    row: usize,
) -> Result<(), &'static str> {
    let offsets = array.value_offsets();
    let [start, end] = [offsets[row], offsets[row + 1]].map(|at| usize::try_from(at).unwrap_or(0));
    let nulls = array.values().nulls();
    out.push(b'[');
    for item in start..end {
        if item > start {
            out.push(b',');
        }
        if is_null(nulls, item) {
            out.extend_from_slice(b"null");
        } else {
            items.push(out, item)?;
        }
    }
    out.push(b']');
    Ok(())
}

fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a finite number, so that it is read back equal.
fn push_double(out: &mut Vec<u8>, value: f64) {
    const FEW: f64 = 1e12;
    // Most numbers have at most three digits behind the point. Whether this one has is told by the division, which
    // rounds as the reader of the digits does.
    let thousandths = (value * 1000.0 + 0.5f64.copysign(value)).clamp(-FEW, FEW) as i64;
    if (thousandths as f64 / 1000.0).to_bits() != value.to_bits() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
        return;
    }
    if thousandths < 0 {
        out.push(b'-');
    }
    let (whole, behind) = (
        thousandths.unsigned_abs() / 1000,
        thousandths.unsigned_abs() % 1000,
    );
    push_integer(out, whole);
    let digits = [behind / 100, behind / 10 % 10, behind % 10].map(|digit| b'0' + digit as u8);
    let count = match behind {
        _ if behind % 100 == 0 => 1,
        _ if behind % 10 == 0 => 2,
        _ => 3,
    };
    out.push(b'.');
    out.extend_from_slice(&digits[..count]);
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The room is exactly what the encoding takes.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

/// What a byte is written as: 0 as it is, `u` by its number, anything else after a backslash.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 32 {
        table[control] = b'u';
        control += 1;
    }
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

fn push_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        push_escaped(out, bytes);
    }
    out.push(b'"');
}

/// Whether no byte needs an escape; eight bytes a step, since nearly every text is so.
fn is_plain(bytes: &[u8]) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = LOW << 7;
    let marks = |chunk: &[u8; 8]| {
        let word = u64::from_le_bytes(*chunk);
        // A byte below the bound borrows into its highest bit; exact for the lowest such byte, which is enough here.
        let below = |word: u64, bound: u64| word.wrapping_sub(LOW * bound) & !word;
        let is = |byte: u8| below(word ^ (LOW * u64::from(byte)), 1);
        below(word, 0x20) | is(b'"') | is(b'\\')
    };
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().all(|byte| ESCAPES[usize::from(*byte)] == 0);
    };
    // The last step looks at some bytes again rather than at the rest one by one.
    let found = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .fold(marks(last), |found, chunk| found | marks(chunk));
    found & HIGH == 0
}

fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        if escape == b'u' {
            out.extend_from_slice(b"\\u00");
            out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        } else {
            out.extend([b'\\', escape]);
        }
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
    use lakefeed_plugin_testkit::sample;
    use serde_json::Value;

    use super::*;

    fn rows(batch: &RecordBatch) -> Result<String, NoJson> {
        let mut out = Vec::new();
        let columns = Columns::of(batch).unwrap();
        columns.push_rows(&mut out, 0..batch.num_rows())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_type_has_the_form_that_the_service_takes() {
        assert_eq!(
            rows(&sample(1, 3)).unwrap(),
            r#"{"id":"row-1","day":1,"time":1000001,"small":1,"large":1099511627776,"real":0.25,"flag":false,"bytes":"AAAAAAAAAAE="},"#
                .to_owned()
                + r#"{"id":"row-2","day":2,"time":2000002,"small":2,"large":2199023255552,"real":0.5,"flag":true,"bytes":"AAAAAAAAAAI="},"#
                + r#"{"id":"row-3"}"#
        );
    }

    #[test]
    fn texts_are_read_back_equal_whatever_they_hold() {
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        let texts = [
            "",
            "Smith",
            "say \"hi\"",
            "back\\slash",
            "tab\tnew\nline\r",
            "nul\u{0}\u{1f}\u{7f}",
            "😀é漢",
            &all,
        ];
        let longer: Vec<String> = texts
            .iter()
            .flat_map(|text| (0..9).map(|n| "x".repeat(n) + text))
            .collect();
        let column: ArrayRef = Arc::new(StringArray::from(longer.clone()));
        let batch = RecordBatch::try_from_iter([("a\"b", column)]).unwrap();
        let read: Value = serde_json::from_str(&format!("[{}]", rows(&batch).unwrap())).unwrap();
        let read: Vec<&str> = read
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["a\"b"].as_str().unwrap())
            .collect();
        assert_eq!(read, longer);
    }

    #[test]
    fn numbers_are_read_back_equal() {
        let doubles = [0.0, -0.0, 1.5, 1e300, 5e-324, -123_456.789, f64::MAX, 1e21, 0.1];
        let longs = [i64::MIN, i64::MAX, 0, -1, 7, 10, 99, 100, 1_775_037_600_000_000];
        let column: ArrayRef = Arc::new(Float64Array::from(doubles.to_vec()));
        let second: ArrayRef = Arc::new(Int64Array::from(longs.to_vec()));
        let batch = RecordBatch::try_from_iter([("d", column), ("l", second)]).unwrap();
        let read: Value = serde_json::from_str(&format!("[{}]", rows(&batch).unwrap())).unwrap();
        for (index, row) in read.as_array().unwrap().iter().enumerate() {
            assert_eq!(
                row["d"].as_f64().map(f64::to_bits),
                Some(doubles[index].to_bits())
            );
            assert_eq!(row["l"].as_i64(), Some(longs[index]));
        }
    }

    #[test]
    fn a_number_has_its_shortest_digits() {
        let check = |value: f64| {
            let mut out = Vec::new();
            push_double(&mut out, value);
            let expect = ryu::Buffer::new().format_finite(value).to_owned();
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        for thousandths in -12_345_i32..12_345 {
            check(f64::from(thousandths) / 1000.0);
            check(f64::from(thousandths) * 0.001);
            check(f64::from(thousandths) / 7.0);
        }
        for value in [
            -0.0,
            999_999_999.999,
            1e9,
            1e9 + 0.5,
            1e12,
            123_456_789_012.5,
            5e-324,
            f64::MAX,
            f64::MIN,
        ] {
            check(value);
        }
    }

    #[test]
    fn a_list_keeps_its_empty_items_also_within_a_slice() {
        let mut builder = ListBuilder::new(StringBuilder::new());
        builder.append_value([Some("x")]);
        builder.append_value([Some("a"), None]);
        builder.append_value([] as [Option<&str>; 0]);
        builder.append_null();
        let column: ArrayRef = Arc::new(builder.finish());
        let batch = RecordBatch::try_from_iter([("l", column)]).unwrap().slice(1, 3);
        assert_eq!(rows(&batch).unwrap(), r#"{"l":["a",null]},{"l":[]},{}"#);
    }

    #[test]
    fn what_has_no_json_is_named_by_row_and_column() {
        let check = |column: ArrayRef, problem: &str| {
            let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
            let no_json = rows(&batch).unwrap_err();
            assert_eq!((no_json.row, no_json.column.as_str()), (1, "c"));
            assert!(no_json.problem.contains(problem));
        };
        check(Arc::new(Float64Array::from(vec![1.0, f64::NAN])), "finite");
        check(
            Arc::new(Float64Array::from(vec![1.0, f64::NEG_INFINITY])),
            "finite",
        );
        check(Arc::new(Date32Array::from(vec![0, -719_529])), "years");
        check(
            Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX])),
            "years",
        );
    }
}
