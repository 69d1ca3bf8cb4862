//! A literal into the column that it is for, by Spark's ANSI store assignment: what cannot be stored safely is refused, and
//! what does not fit is an error of the whole statement.

use chrono::NaiveDate;

use super::error::SqlError;
use super::literal::Value;
use super::text::{java_double, spark_timestamp};
use crate::rows::{Cells, parse_decimal};
use crate::types::SqlType;

/// Whether a value of one type may be stored in a column of another, by the rules of ANSI store assignment.
pub(super) fn may_store(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    let is_number = |sql_type: &T| {
        matches!(
            sql_type,
            T::TinyInt | T::SmallInt | T::Int | T::BigInt | T::Float | T::Double | T::Decimal(..)
        )
    };
    let is_moment = |sql_type: &T| matches!(sql_type, T::Date | T::Timestamp | T::TimestampNtz);
    match (from, to) {
        _ if from == to => true,
        (T::Array(from), T::Array(to)) => may_store(from, to),
        (T::Map(key, value), T::Map(to_key, to_value)) => {
            may_store(key, to_key) && may_store(value, to_value)
        }
        (T::Struct(from), T::Struct(to)) => {
            let mut members = from.iter().zip(to);
            from.len() == to.len() && members.all(|(from, to)| may_store(&from.sql_type, &to.sql_type))
        }
        (T::Array(_) | T::Map(..) | T::Struct(_), _) => false,
        (_, T::String) => true,
        _ => (is_number(from) && is_number(to)) || (is_moment(from) && is_moment(to)),
    }
}

/// The refusal of a value whose type may not be stored in a column's.
pub(super) fn unsafe_cast(from: &str, to: &SqlType, column: &str) -> SqlError {
    SqlError::new(
        "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
        "KD000",
        format!(
            "Cannot write incompatible data for the table: Cannot safely cast `{column}` \"{from}\" to \"{}\".",
            to.sql()
        ),
    )
}

fn overflow(from: &str, to: &SqlType, column: &str) -> SqlError {
    SqlError::new(
        "CAST_OVERFLOW_IN_TABLE_INSERT",
        "22003",
        format!(
            "Fail to assign a value of \"{from}\" type to the \"{}\" type column or variable `{column}` due to an overflow.",
            to.sql()
        ),
    )
}

/// Stores a value in a column, by the rules of ANSI store assignment.
pub(super) fn store(
    cells: &mut Cells,
    sql_type: &SqlType,
    value: Value,
    column: &str,
) -> Result<(), SqlError> {
    match (cells, value) {
        (cells, Value::Null) => cells.null(),
        (Cells::String(cells), value) => match as_text(value) {
            Some(text) => cells.append_value(text),
            None => return Err(unsafe_cast("ARRAY", sql_type, column)),
        },
        (Cells::Boolean(cells), Value::Boolean(value)) => cells.append_value(value),
        (Cells::Binary(cells), Value::Bytes(bytes)) => cells.append_value(bytes),
        (Cells::Date(cells), Value::Date(days)) => cells.append_value(days),
        (Cells::Date(cells), Value::Timestamp(micros)) => {
            let days = i32::try_from(micros.div_euclid(86_400_000_000));
            cells.append_value(days.map_err(|_| overflow("TIMESTAMP", sql_type, column))?);
        }
        (Cells::Timestamp(cells), Value::Timestamp(micros)) => cells.append_value(micros),
        (Cells::Timestamp(cells), Value::Date(days)) => {
            cells.append_value(i64::from(days) * 86_400_000_000);
        }
        (Cells::Double(cells), Value::Double(value)) => cells.append_value(value),
        (Cells::Double(cells), Value::Decimal(text)) => cells.append_value(text.parse().unwrap_or(f64::NAN)),
        (Cells::Double(cells), Value::Integer(value)) => cells.append_value(value as f64),
        (Cells::Float(cells), Value::Double(value)) => cells.append_value(value as f32),
        (Cells::Float(cells), Value::Decimal(text)) => cells.append_value(text.parse().unwrap_or(f32::NAN)),
        (Cells::Float(cells), Value::Integer(value)) => cells.append_value(value as f32),
        (Cells::Decimal(cells, precision, scale), value) => {
            let text = number_text(&value).ok_or_else(|| unsafe_cast(kind(&value), sql_type, column))?;
            let text = rounded(&text, *scale);
            match parse_decimal(&text, *precision, *scale) {
                Some(value) => cells.append_value(value),
                None => return Err(overflow("DECIMAL", sql_type, column)),
            }
        }
        (Cells::Array(array), Value::Array(items)) => {
            let SqlType::Array(item_type) = sql_type else {
                return Err(unsafe_cast("ARRAY", sql_type, column));
            };
            for item in items {
                store(&mut array.items, item_type, item, column)?;
            }
            array.end();
        }
        (Cells::Map(map), Value::Pairs(pairs)) => {
            let SqlType::Map(key_type, value_type) = sql_type else {
                return Err(unsafe_cast("MAP", sql_type, column));
            };
            for (index, part) in pairs.into_iter().enumerate() {
                if index % 2 == 0 {
                    store(&mut map.keys, key_type, part, column)?;
                } else {
                    store(&mut map.values, value_type, part, column)?;
                }
            }
            map.end();
        }
        (integers, value) => return store_integer(integers, sql_type, &value, column),
    }
    Ok(())
}

fn store_integer(cells: &mut Cells, sql_type: &SqlType, value: &Value, column: &str) -> Result<(), SqlError> {
    let is_integer_column = matches!(
        sql_type,
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt
    );
    let whole = match value {
        Value::Integer(whole) => Some(*whole),
        Value::Decimal(text) => text.split('.').next().and_then(|whole| whole.parse().ok()),
        Value::Double(value) if value.abs() < 9.2e18 => Some(value.trunc() as i64),
        Value::Double(_) => None,
        _ => return Err(unsafe_cast(kind(value), sql_type, column)),
    };
    if !is_integer_column {
        return Err(unsafe_cast(kind(value), sql_type, column));
    }
    match whole {
        Some(whole) if cells.integer(whole) => Ok(()),
        _ => Err(overflow(kind(value), sql_type, column)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "VOID",
        Value::Boolean(_) => "BOOLEAN",
        Value::Integer(whole) if i32::try_from(*whole).is_ok() => "INT",
        Value::Integer(_) => "BIGINT",
        Value::Decimal(_) => "DECIMAL",
        Value::Double(_) => "DOUBLE",
        Value::Text(_) => "STRING",
        Value::Bytes(_) => "BINARY",
        Value::Date(_) => "DATE",
        Value::Timestamp(_) => "TIMESTAMP",
        Value::Array(_) => "ARRAY",
        Value::Pairs(_) => "MAP",
    }
}

fn as_text(value: Value) -> Option<String> {
    Some(match value {
        Value::Text(text) => text,
        Value::Integer(whole) => whole.to_string(),
        Value::Decimal(text) => text,
        Value::Double(value) => java_double(value),
        Value::Boolean(value) => value.to_string(),
        Value::Date(days) => NaiveDate::from_num_days_from_ce_opt(days.checked_add(719_163)?)?.to_string(),
        Value::Timestamp(micros) => spark_timestamp(micros),
        Value::Bytes(bytes) => String::from_utf8(bytes).ok()?,
        _ => return None,
    })
}

fn number_text(value: &Value) -> Option<String> {
    match value {
        Value::Integer(whole) => Some(whole.to_string()),
        Value::Decimal(text) => Some(text.clone()),
        Value::Double(value) if value.is_finite() => Some(format!("{value}")),
        _ => None,
    }
}

/// A number with no more digits after the point than the scale, rounded half up as Spark does.
fn rounded(text: &str, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or_default();
    let Some((whole, fraction)) = text.split_once('.') else {
        return text.to_owned();
    };
    if fraction.len() <= scale {
        return text.to_owned();
    }
    let up = fraction.as_bytes()[scale] >= b'5';
    let kept = format!("{whole}{}", &fraction[..scale]);
    let magnitude: Option<i128> = kept.trim_start_matches('-').parse().ok();
    let Some(magnitude) = magnitude else {
        return text.to_owned();
    };
    let digits = format!("{:0>width$}", magnitude + i128::from(up), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if text.starts_with('-') { "-" } else { "" };
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::parse_type;

    #[test]
    fn a_type_is_stored_where_ansi_lets_it() {
        for (from, to, expected) in [
            ("int", "bigint", true),
            ("bigint", "int", true),
            ("double", "decimal(10,2)", true),
            ("date", "timestamp", true),
            ("timestamp", "string", true),
            ("string", "date", false),
            ("string", "int", false),
            ("int", "date", false),
            ("boolean", "int", false),
            ("array<int>", "array<bigint>", true),
            ("array<string>", "array<int>", false),
            ("array<int>", "string", false),
            ("struct<a:int>", "struct<b:string>", true),
            ("struct<a:int>", "struct<a:int,b:int>", false),
        ] {
            let (from_type, to_type) = (parse_type(from).unwrap(), parse_type(to).unwrap());
            assert_eq!(may_store(&from_type, &to_type), expected, "{from} into {to}");
        }
    }
}
