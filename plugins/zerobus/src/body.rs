//! Arrow columns straight to the JSON array of a request.
//!
//! No tree of values in between: each cell's text is appended to one buffer. Dates are days and timestamps microseconds
//! since 1970, whole numbers are bare, bytes are base64 (W 6); an empty cell is left out, which is null (W 2.6).

use std::ops::Range;

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray,
};
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
}

struct Column<'a> {
    name: String,
    /// `"name":`, and the same after a comma.
    first: Vec<u8>,
    later: Vec<u8>,
    cells: Cells<'a>,
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
            let mut first = Vec::new();
            push_text(&mut first, &spell(field.name()));
            first.push(b':');
            let later = [b",", first.as_slice()].concat();
            Ok(Column {
                name: field.name().clone(),
                first,
                later,
                cells: Cells::of(array.as_ref())?,
            })
        });
        Ok(Self {
            columns: columns.collect::<Result<_, ZerobusError>>()?,
        })
    }

    /// Appends the rows as objects with commas between; what was appended before an error stays.
    pub fn push_rows(&self, out: &mut Vec<u8>, rows: Range<usize>) -> Result<(), NoJson> {
        let start = rows.start;
        for row in rows {
            if row > start {
                out.push(b',');
            }
            out.push(b'{');
            let mut is_first = true;
            for column in &self.columns {
                if column.cells.is_null(row) {
                    continue;
                }
                out.extend_from_slice(if is_first { &column.first } else { &column.later });
                is_first = false;
                column.cells.push(out, row).map_err(|problem| NoJson {
                    row,
                    column: column.name.clone(),
                    problem,
                })?;
            }
            out.push(b'}');
        }
        Ok(())
    }
}

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array) -> Result<Self, ZerobusError> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
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

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(array) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Time(array) => array.is_null(row),
            Self::Int(array) => array.is_null(row),
            Self::Long(array) => array.is_null(row),
            Self::Double(array) => array.is_null(row),
            Self::Boolean(array) => array.is_null(row),
            Self::Binary(array) => array.is_null(row),
            Self::List(array, _) => array.is_null(row),
        }
    }

    fn push(&self, out: &mut Vec<u8>, row: usize) -> Result<(), &'static str> {
        const YEARS: &str = "lies outside the years 1 to 9999";
        match self {
            Self::Text(array) => push_text(out, array.value(row)),
            Self::Date(array) if is_day(array.value(row)) => push_integer(out, array.value(row)),
            Self::Time(array) if is_instant(array.value(row)) => push_integer(out, array.value(row)),
            Self::Date(_) | Self::Time(_) => return Err(YEARS),
            Self::Int(array) => push_integer(out, array.value(row)),
            Self::Long(array) => push_integer(out, array.value(row)),
            Self::Double(array) if array.value(row).is_finite() => {
                out.extend_from_slice(ryu::Buffer::new().format_finite(array.value(row)).as_bytes());
            }
            Self::Double(_) => return Err("is not a finite number"),
            Self::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Binary(array) => push_base64(out, array.value(row)),
            Self::List(array, items) => push_list(out, array, items, row)?,
        }
        Ok(())
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
    out.push(b'[');
    for item in start..end {
        if item > start {
            out.push(b',');
        }
        if items.is_null(item) {
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
    out.push(b'"');
    let bytes = text.as_bytes();
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
    let mut chunks = bytes.chunks_exact(8);
    let mut marks = 0;
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        // A byte below the bound borrows into its highest bit; exact for the lowest such byte, which is enough here.
        let below = |word: u64, bound: u64| word.wrapping_sub(LOW * bound) & !word;
        let is = |byte: u8| below(word ^ (LOW * u64::from(byte)), 1);
        marks |= below(word, 0x20) | is(b'"') | is(b'\\');
    }
    marks & HIGH == 0
        && chunks
            .remainder()
            .iter()
            .all(|byte| ESCAPES[usize::from(*byte)] == 0)
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
