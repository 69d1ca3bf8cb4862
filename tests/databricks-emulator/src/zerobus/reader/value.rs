//! One value into the cells of its column.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::scan::{ReadError, Scanner};
use crate::rows::{Cells, parse_decimal};
use crate::types::SqlType;

/// Reads a value that is not null.
pub(super) fn read_value(
    scanner: &mut Scanner<'_>,
    cells: &mut Cells,
    sql_type: &SqlType,
) -> Result<(), ReadError> {
    match cells {
        Cells::String(cells) => {
            if scanner.peek() != Some(b'"') {
                return Err(scanner.wrong_type("a string"));
            }
            cells.append_value(scanner.string()?);
            Ok(())
        }
        Cells::Boolean(cells) => match scanner.peek() {
            Some(b't') => scanner.word("true").map(|()| cells.append_value(true)),
            Some(b'f') => scanner.word("false").map(|()| cells.append_value(false)),
            _ => Err(scanner.wrong_type("a boolean")),
        },
        Cells::Float(cells) => {
            let value = float(scanner, "f32")?;
            // Narrowing is what the column's type means.
            cells.append_value(value as f32);
            Ok(())
        }
        Cells::Double(cells) => {
            cells.append_value(float(scanner, "f64")?);
            Ok(())
        }
        Cells::Decimal(cells, precision, scale) => {
            if scanner.peek() != Some(b'"') {
                return Err(scanner.wrong_type("a decimal string"));
            }
            let text = scanner.string()?;
            match parse_decimal(&text, *precision, *scale) {
                Some(value) => cells.append_value(value),
                None => {
                    let message = format!("invalid value: string {text:?}, expected {}", sql_type.sql());
                    return Err(scanner.error(message));
                }
            }
            Ok(())
        }
        Cells::Binary(cells) => {
            if scanner.peek() != Some(b'"') {
                return Err(scanner.wrong_type("a base64 string"));
            }
            match STANDARD.decode(scanner.string()?.as_bytes()) {
                Ok(bytes) => cells.append_value(bytes),
                Err(_) => return Err(scanner.error("invalid base64 in string".to_owned())),
            }
            Ok(())
        }
        Cells::Array(_) | Cells::Map(_) | Cells::Struct(_) => nested(scanner, cells, sql_type),
        integers => integer(scanner, integers, sql_type),
    }
}

/// What a whole number of a type is called in a message.
fn width(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::TinyInt => "i8",
        SqlType::SmallInt => "i16",
        SqlType::Int | SqlType::Date => "i32",
        _ => "i64",
    }
}

fn integer(scanner: &mut Scanner<'_>, cells: &mut Cells, sql_type: &SqlType) -> Result<(), ReadError> {
    let width = width(sql_type);
    match scanner.peek() {
        Some(b'-' | b'0'..=b'9') => {}
        Some(b'"') => {
            // The text of a date or timestamp is what clients send most often by mistake.
            let text = scanner.string()?;
            let message = match text.parse::<i64>() {
                Ok(_) => format!("invalid type: string {text:?}, expected {width}"),
                Err(error) => error.to_string(),
            };
            return Err(scanner.error(message));
        }
        _ => return Err(scanner.wrong_type(width)),
    }
    let number = scanner.number()?;
    if !number.is_integer {
        return Err(scanner.error(format!(
            "invalid type: floating point `{}`, expected {width}",
            number.text
        )));
    }
    let is_taken = number.text.parse::<i64>().is_ok_and(|value| cells.integer(value));
    if is_taken {
        return Ok(());
    }
    Err(scanner.error(format!(
        "invalid value: integer `{}`, expected {width}",
        number.text
    )))
}

fn float(scanner: &mut Scanner<'_>, width: &str) -> Result<f64, ReadError> {
    let Some(b'-' | b'0'..=b'9') = scanner.peek() else {
        return Err(scanner.wrong_type(width));
    };
    let number = scanner.number()?;
    match number.text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(scanner.error("number out of range".to_owned())),
    }
}

/// A value that may be null, inside a nested one.
fn member(scanner: &mut Scanner<'_>, cells: &mut Cells, sql_type: &SqlType) -> Result<(), ReadError> {
    if scanner.peek() == Some(b'n') {
        scanner.word("null")?;
        cells.null();
        return Ok(());
    }
    read_value(scanner, cells, sql_type)
}

fn nested(scanner: &mut Scanner<'_>, cells: &mut Cells, sql_type: &SqlType) -> Result<(), ReadError> {
    match (cells, sql_type) {
        (Cells::Array(array), SqlType::Array(item)) => {
            list(scanner, b'[', b']', "a sequence", |scanner| {
                member(scanner, &mut array.items, item)
            })?;
            array.end();
        }
        (Cells::Map(map), SqlType::Map(key, value)) => {
            if **key != SqlType::String {
                return Err(scanner.error("a map's keys must be strings here".to_owned()));
            }
            list(scanner, b'{', b'}', "a map", |scanner| {
                read_value(scanner, &mut map.keys, key)?;
                colon(scanner)?;
                member(scanner, &mut map.values, value)
            })?;
            map.end();
        }
        (Cells::Struct(parts), SqlType::Struct(members)) => {
            let before = parts.cells.first().map_or(0, Cells::len);
            list(scanner, b'{', b'}', "a record", |scanner| {
                let name = scanner.string()?.into_owned();
                let Some(index) = members.iter().position(|member| member.name == name) else {
                    return Err(scanner.error(format!("unrecognized field name '{name}'")));
                };
                if parts.cells[index].len() > before {
                    return Err(scanner.error(format!("duplicate field '{name}'")));
                }
                colon(scanner)?;
                member(scanner, &mut parts.cells[index], &members[index].sql_type)
            })?;
            for cells in &mut parts.cells {
                if cells.len() == before {
                    cells.null();
                }
            }
            parts.end();
        }
        _ => return Err(scanner.wrong_type("another type")),
    }
    Ok(())
}

fn colon(scanner: &mut Scanner<'_>) -> Result<(), ReadError> {
    scanner.space();
    if !scanner.eat(b':') {
        return Err(scanner.expected("`:`"));
    }
    scanner.space();
    Ok(())
}

fn list(
    scanner: &mut Scanner<'_>,
    open: u8,
    close: u8,
    expected: &str,
    mut item: impl FnMut(&mut Scanner<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    if scanner.peek() != Some(open) {
        return Err(scanner.wrong_type(expected));
    }
    scanner.skip();
    scanner.space();
    if scanner.eat(close) {
        return Ok(());
    }
    loop {
        scanner.space();
        item(scanner)?;
        scanner.space();
        if scanner.eat(b',') {
            continue;
        }
        if scanner.eat(close) {
            return Ok(());
        }
        return Err(scanner.expected("`,`"));
    }
}
