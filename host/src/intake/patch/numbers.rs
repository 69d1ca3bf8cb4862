//! JSON values whose numbers keep their digits.
//!
//! A number goes through the tree as a string that begins with U+0000. No other string does: what holds this
//! character is refused before it gets here.

use serde_json::Value;

/// What a number's text follows in the tree.
const MARK: char = '\0';
/// A marked string's beginning, as it is written.
const WRITTEN: &[u8] = b"\"\\u0000";

/// Reads a JSON text that passed the strict check.
pub(super) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(&mark(text))
}

/// Writes a value that [`parse`] read, each number as it was.
pub(super) fn write(value: &Value) -> Vec<u8> {
    let text = value.to_string().into_bytes();
    let mut written = Vec::with_capacity(text.len());
    let mut rest = text.as_slice();
    while let Some(start) = find(rest, WRITTEN) {
        written.extend_from_slice(&rest[..start]);
        let number = &rest[start + WRITTEN.len()..];
        let end = number
            .iter()
            .position(|byte| *byte == b'"')
            .unwrap_or(number.len());
        written.extend_from_slice(&number[..end]);
        rest = number.get(end + 1..).unwrap_or_default();
    }
    written.extend_from_slice(rest);
    written
}

/// A number of these digits.
pub(super) fn of(digits: &str) -> Value {
    Value::String(format!("{MARK}{digits}"))
}

/// The digits of a number.
pub(super) fn digits(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix(MARK)
}

/// A text, which a number is not, though both are strings in the tree.
pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.starts_with(MARK))
}

/// Whether two values say the same: numbers by their value, all else to the letter.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => {
            match (one.strip_prefix(MARK), other.strip_prefix(MARK)) {
                (Some(one), Some(other)) => one == other || canonical(one) == canonical(other),
                _ => one == other,
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in_other = |(key, value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        _ => one == other,
    }
}

fn mark(text: &[u8]) -> Vec<u8> {
    let mut marked = Vec::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => rest.iter().take_while(|byte| is_of_number(**byte)).count(),
            _ => 1,
        };
        let (part, behind) = rest.split_at(length);
        match first {
            b'-' | b'0'..=b'9' => {
                marked.extend_from_slice(WRITTEN);
                marked.extend_from_slice(part);
                marked.push(b'"');
            }
            _ => marked.extend_from_slice(part),
        }
        rest = behind;
    }
    marked
}

/// The length of the string that a text begins with, its quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(&byte)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// A number's sign, its digits without zeros at either end, and the power of ten of the last one; none for one whose
/// power is beyond counting.
fn canonical(number: &str) -> Option<(bool, String, i64)> {
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let power: i64 = power.strip_prefix('+').unwrap_or(power).parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let power = power.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let significant = significant.trim_start_matches('0');
    match significant.is_empty() {
        true => Some((false, String::new(), 0)),
        false => Some((sign, significant.to_owned(), power.checked_add(zeros)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_digits_and_a_string_of_digits_stays_one() {
        for text in [
            r#"{"a":1.00,"b":[-0.0,1E+2,"1.00"],"c":"\"7\\","d":"\\u0000","e":true}"#,
            "[]",
            "12.340",
            r#""\\\"5""#,
        ] {
            let value = parse(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(write(&value)).unwrap(), text);
        }
    }

    #[test]
    fn numbers_are_the_same_by_value() {
        let check = |one: &str, other: &str, expect: bool| {
            let parsed = |text: &str| parse(text.as_bytes()).unwrap();
            assert_eq!(is_same(&parsed(one), &parsed(other)), expect, "{one} {other}");
        };
        check("1.0", "1.00", true);
        check("100", "1e2", true);
        check("0", "-0.0", true);
        check("0.10", "1E-1", true);
        check("0.1", "0.10000000000000000001", false);
        check("1", "-1", false);
        check("1", "\"1\"", false);
        check(r#"{"a":1,"b":[2]}"#, r#"{"b":[2.0],"a":1}"#, true);
        check(r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false);
        check("[1]", "[1,1]", false);
    }
}
