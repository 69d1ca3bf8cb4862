//! Values as the statement API writes them: everything is a text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use serde_json::{Map, Value};

use crate::types::{Column, SqlType};

/// The rows of a batch whose columns have those types.
pub(super) fn rows(batch: &RecordBatch, types: &[SqlType]) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .zip(types)
        .map(|(array, sql_type)| to_type(array, sql_type))
        .collect::<Result<_, _>>()?;
    let row = |row: usize| {
        columns
            .iter()
            .zip(types)
            .map(|(array, sql_type)| text(array.as_ref(), row, sql_type))
            .collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The same values in the one Arrow type that a type has here. What does not fit is an error.
pub(super) fn to_type(array: &ArrayRef, sql_type: &SqlType) -> Result<ArrayRef, ArrowError> {
    let wanted = sql_type.arrow();
    if *array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, &wanted, &options)
}

/// One value; none is NULL.
fn text(array: &dyn Array, row: usize, sql_type: &SqlType) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match sql_type {
        SqlType::Boolean => array.as_boolean().value(row).to_string(),
        SqlType::TinyInt => array.as_primitive::<Int8Type>().value(row).to_string(),
        SqlType::SmallInt => array.as_primitive::<Int16Type>().value(row).to_string(),
        SqlType::Int => array.as_primitive::<Int32Type>().value(row).to_string(),
        SqlType::BigInt => array.as_primitive::<Int64Type>().value(row).to_string(),
        SqlType::Float => java_float(array.as_primitive::<Float32Type>().value(row)),
        SqlType::Double => java_double(array.as_primitive::<Float64Type>().value(row)),
        SqlType::Decimal(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        SqlType::Date => date(array.as_primitive::<Date32Type>().value(row)),
        SqlType::Timestamp => milliseconds(array.as_primitive::<TimestampMicrosecondType>().value(row)) + "Z",
        SqlType::TimestampNtz => milliseconds(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        SqlType::String => array.as_string::<i32>().value(row).to_owned(),
        SqlType::Binary => STANDARD.encode(array.as_binary::<i32>().value(row)),
        nested => nested_value(array, row, nested).to_string(),
    })
}

/// A nested value as JSON whose leaves are all texts.
fn nested_value(array: &dyn Array, row: usize, sql_type: &SqlType) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match sql_type {
        SqlType::Array(item) => {
            let items = array.as_list::<i32>().value(row);
            Value::Array(
                (0..items.len())
                    .map(|at| nested_value(items.as_ref(), at, item))
                    .collect(),
            )
        }
        SqlType::Map(key, value) => {
            let entries = array.as_map().value(row);
            let mut object = Map::new();
            for at in 0..entries.len() {
                let name = text(entries.column(0).as_ref(), at, key).unwrap_or_default();
                object.insert(name, nested_value(entries.column(1).as_ref(), at, value));
            }
            Value::Object(object)
        }
        SqlType::Struct(members) => Value::Object(struct_value(array, row, members)),
        simple => text(array, row, simple).map_or(Value::Null, Value::String),
    }
}

fn struct_value(array: &dyn Array, row: usize, members: &[Column]) -> Map<String, Value> {
    let parts = array.as_struct();
    members
        .iter()
        .enumerate()
        .map(|(at, member)| {
            let value = nested_value(parts.column(at).as_ref(), row, &member.sql_type);
            (member.name.clone(), value)
        })
        .collect()
}

fn date(days: i32) -> String {
    DateTime::from_timestamp(i64::from(days) * 86_400, 0)
        .map(|moment| moment.format("%Y-%m-%d").to_string())
        .unwrap_or_default()
}

/// Cut, not rounded.
fn milliseconds(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros.div_euclid(1000) * 1000)
        .map(|moment| moment.format("%Y-%m-%dT%H:%M:%S%.3f").to_string())
        .unwrap_or_default()
}

/// As Spark casts a timestamp to a string: up to microseconds, without trailing zeros.
pub(super) fn spark_timestamp(micros: i64) -> String {
    let text = DateTime::from_timestamp_micros(micros)
        .map(|moment| moment.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
        .unwrap_or_default();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As Java writes a double.
pub(super) fn java_double(value: f64) -> String {
    java(value, &format!("{value:e}"), &format!("{value}"))
}

/// As Java writes a float.
pub(super) fn java_float(value: f32) -> String {
    java(f64::from(value), &format!("{value:e}"), &format!("{value}"))
}

/// `scientific` and `plain` have the fewest digits that tell the value.
fn java(value: f64, scientific: &str, plain: &str) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let with_point = |digits: &str| {
        if digits.contains('.') {
            digits.to_owned()
        } else {
            format!("{digits}.0")
        }
    };
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return with_point(plain);
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    format!("{}E{exponent}", with_point(mantissa))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_written_as_java_writes_it() {
        for (value, expected) in [
            (1.5, "1.5"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (16_777_216.0, "1.6777216E7"),
            (1e10, "1.0E10"),
            (0.001, "0.001"),
            (0.00012, "1.2E-4"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(java_double(value), expected);
        }
    }

    #[test]
    fn a_timestamp_is_cut_to_milliseconds() {
        assert_eq!(milliseconds(1_704_164_645_123_999), "2024-01-02T03:04:05.123");
        assert_eq!(milliseconds(-1), "1969-12-31T23:59:59.999");
        assert_eq!(spark_timestamp(1_704_164_645_120_000), "2024-01-02 03:04:05.12");
        assert_eq!(spark_timestamp(1_704_164_645_000_000), "2024-01-02 03:04:05");
        assert_eq!(date(7319), "1990-01-15");
    }
}
