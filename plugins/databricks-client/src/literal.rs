//! Values and names as Spark's SQL reads them, with its default settings.
//!
//! Every function appends to a statement. The rules are those of Spark's grammar: backslash escapes are active inside
//! `'…'` (W 4.7), an identifier stands between backquotes that are doubled inside, and `${…}` is replaced in the text of
//! a statement before it is parsed, also inside a literal, so a `$` before a brace is written by its number.

/// The first day that Spark's `DATE'…'` and FHIR's `date` both have: 0001-01-01.
pub const FIRST_DAY: i32 = -719_162;
/// The last one: 9999-12-31.
pub const LAST_DAY: i32 = 2_932_896;

const MICROS_A_DAY: i64 = 86_400_000_000;

/// A day or instant outside the years 1 to 9999, which the literal has no form for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lies outside the years 1 to 9999")]
pub struct OutOfRange;

/// Whether a day lies in the years 1 to 9999.
#[must_use]
pub fn is_day(days: i32) -> bool {
    (FIRST_DAY..=LAST_DAY).contains(&days)
}

/// Whether an instant lies in the years 1 to 9999.
#[must_use]
pub fn is_instant(micros: i64) -> bool {
    const FIRST: i64 = FIRST_DAY as i64 * MICROS_A_DAY;
    const BEHIND: i64 = (LAST_DAY as i64 + 1) * MICROS_A_DAY;
    (FIRST..BEHIND).contains(&micros)
}

/// Appends a text in quotes.
pub fn push_text(sql: &mut String, text: &str) {
    sql.reserve(text.len() + 2);
    sql.push('\'');
    if is_plain(text.as_bytes()) {
        sql.push_str(text);
    } else {
        push_escaped(sql, text);
    }
    sql.push('\'');
}

/// Whether certainly no byte needs an escape. Looks at all of them, since that goes many bytes a step.
fn is_plain(bytes: &[u8]) -> bool {
    let may_need = |byte: u8| (byte < b' ') | (byte == b'\'') | (byte == b'\\') | (byte == b'$');
    !bytes.iter().fold(false, |found, byte| found | may_need(*byte))
}

fn push_escaped(sql: &mut String, text: &str) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'\'' => "\\'",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            // `\0` would swallow the digits after it as an octal number.
            0 => "\\u0000",
            b'$' if text.as_bytes().get(at + 1) == Some(&b'{') => "\\u0024",
            _ => continue,
        };
        sql.push_str(&text[plain..at]);
        sql.push_str(escape);
        plain = at + 1;
    }
    sql.push_str(&text[plain..]);
}

/// Appends a name in backquotes.
pub fn push_identifier(sql: &mut String, name: &str) {
    sql.push('`');
    for sign in name.chars() {
        if sign == '`' {
            sql.push('`');
        }
        sql.push(sign);
    }
    sql.push('`');
}

/// A name in backquotes.
#[must_use]
pub fn identifier(name: &str) -> String {
    let mut sql = String::with_capacity(name.len() + 2);
    push_identifier(&mut sql, name);
    sql
}

/// A text in quotes.
#[must_use]
pub fn text(value: &str) -> String {
    let mut sql = String::with_capacity(value.len() + 2);
    push_text(&mut sql, value);
    sql
}

/// Appends `DATE'…'`.
pub fn push_date(sql: &mut String, days: i32) -> Result<(), OutOfRange> {
    if !is_day(days) {
        return Err(OutOfRange);
    }
    let mut literal = *b"DATE'0000-00-00'";
    put_date(&mut literal[5..15], days);
    push_ascii(sql, &literal);
    Ok(())
}

/// Appends `TIMESTAMP'…Z'`, with as many digits of the second as the value has.
pub fn push_timestamp(sql: &mut String, micros: i64) -> Result<(), OutOfRange> {
    if !is_instant(micros) {
        return Err(OutOfRange);
    }
    let days = i32::try_from(micros.div_euclid(MICROS_A_DAY)).map_err(|_| OutOfRange)?;
    let within = micros.rem_euclid(MICROS_A_DAY);
    let (seconds, fraction) = (within / 1_000_000, within % 1_000_000);
    let mut literal = *b"TIMESTAMP'0000-00-00T00:00:00.000000";
    put_date(&mut literal[10..20], days);
    put_digits(&mut literal[21..23], seconds / 3600);
    put_digits(&mut literal[24..26], seconds / 60 % 60);
    put_digits(&mut literal[27..29], seconds % 60);
    put_digits(&mut literal[30..36], fraction);
    let is_whole = fraction == 0;
    push_ascii(sql, if is_whole { &literal[..29] } else { &literal });
    sql.push_str("Z'");
    Ok(())
}

/// Writes `YYYY-MM-DD`.
fn put_date(place: &mut [u8], days: i32) {
    let (year, month, day) = civil(days);
    put_digits(&mut place[..4], year);
    put_digits(&mut place[5..7], month);
    put_digits(&mut place[8..10], day);
}

/// Writes the last digits of a number that is not negative, as many as there is place for.
fn put_digits(place: &mut [u8], number: i64) {
    let mut left = number;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
}

fn push_ascii(sql: &mut String, text: &[u8]) {
    // What is made here of digits and signs is a text.
    sql.push_str(std::str::from_utf8(text).unwrap_or_default());
}

/// Appends a double, or nothing and false if it is not a number: SQL has no literal for that.
#[must_use]
pub fn push_double(sql: &mut String, value: f64) -> bool {
    if value.is_finite() {
        sql.push_str(ryu::Buffer::new().format_finite(value));
        sql.push('D');
    }
    value.is_finite()
}

/// Appends a whole number.
pub fn push_integer(sql: &mut String, value: i64) {
    sql.push_str(itoa::Buffer::new().format(value));
}

/// Appends `X'…'`.
pub fn push_binary(sql: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    sql.push_str("X'");
    for byte in bytes {
        sql.push(char::from(DIGITS[usize::from(byte >> 4)]));
        sql.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    sql.push('\'');
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i32) -> (i64, i64, i64) {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_spark_unescapes_them() {
        let cases = [
            ("", "''"),
            ("Smith", "'Smith'"),
            ("O'Brien", "'O\\'Brien'"),
            ("a\\b", "'a\\\\b'"),
            ("\\", "'\\\\'"),
            ("\\'", "'\\\\\\''"),
            ("two\nlines\r\n\tend", "'two\\nlines\\r\\n\\tend'"),
            ("nul\u{0}12", "'nul\\u000012'"),
            ("😀é", "'😀é'"),
            ("'); DROP TABLE t; --", "'\\'); DROP TABLE t; --'"),
            ("${env:HOME} $5", "'\\u0024{env:HOME} $5'"),
            ("100%_\"x\"`y`", "'100%_\"x\"`y`'"),
            ("bell\u{7}, no escape", "'bell\u{7}, no escape'"),
            (
                "a text of more than sixteen bytes'",
                "'a text of more than sixteen bytes\\''",
            ),
        ];
        for (value, expect) in cases {
            assert_eq!(text(value), expect);
        }
    }

    #[test]
    fn names_keep_their_quotes_inside() {
        assert_eq!(identifier("birth_date"), "`birth_date`");
        assert_eq!(identifier("a`; DROP"), "`a``; DROP`");
    }

    #[test]
    fn days_and_instants_are_typed_and_bounded() {
        let date = |days| {
            let mut sql = String::new();
            push_date(&mut sql, days).map(|()| sql)
        };
        assert_eq!(date(0).unwrap(), "DATE'1970-01-01'");
        assert_eq!(date(7_319).unwrap(), "DATE'1990-01-15'");
        assert_eq!(date(11_016).unwrap(), "DATE'2000-02-29'");
        assert_eq!(date(FIRST_DAY).unwrap(), "DATE'0001-01-01'");
        assert_eq!(date(LAST_DAY).unwrap(), "DATE'9999-12-31'");
        assert_eq!(date(FIRST_DAY - 1), Err(OutOfRange));
        assert_eq!(date(LAST_DAY + 1), Err(OutOfRange));
        let time = |micros| {
            let mut sql = String::new();
            push_timestamp(&mut sql, micros).map(|()| sql)
        };
        assert_eq!(time(0).unwrap(), "TIMESTAMP'1970-01-01T00:00:00Z'");
        assert_eq!(time(-1).unwrap(), "TIMESTAMP'1969-12-31T23:59:59.999999Z'");
        assert_eq!(
            time(1_775_037_600_000_000).unwrap(),
            "TIMESTAMP'2026-04-01T10:00:00Z'"
        );
        assert_eq!(time(1_500).unwrap(), "TIMESTAMP'1970-01-01T00:00:00.001500Z'");
        let first = i64::from(FIRST_DAY) * MICROS_A_DAY;
        assert_eq!(time(first).unwrap(), "TIMESTAMP'0001-01-01T00:00:00Z'");
        let last = (i64::from(LAST_DAY) + 1) * MICROS_A_DAY - 1;
        assert_eq!(time(last).unwrap(), "TIMESTAMP'9999-12-31T23:59:59.999999Z'");
        assert_eq!(time(i64::MAX), Err(OutOfRange));
    }

    #[test]
    fn numbers_and_bytes_keep_every_digit() {
        let double = |value| {
            let mut sql = String::new();
            push_double(&mut sql, value).then_some(sql)
        };
        let cases = [
            (1.5, "1.5D"),
            (-0.1, "-0.1D"),
            (1e300, "1e300D"),
            (5e-324, "5e-324D"),
            (-0.0, "-0.0D"),
        ];
        for (value, expect) in cases {
            assert_eq!(double(value).as_deref(), Some(expect));
        }
        assert_eq!(double(f64::NAN), None);
        assert_eq!(double(f64::INFINITY), None);
        let mut sql = String::new();
        push_integer(&mut sql, i64::MIN);
        push_binary(&mut sql, &[0, 255, 16]);
        assert_eq!(sql, "-9223372036854775808X'00FF10'");
    }
}
