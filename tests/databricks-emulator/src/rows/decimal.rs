//! The text of a decimal number.

/// The number as a whole one of that scale; none if the text is no number or the number does not fit.
///
/// Digits beyond the scale are refused unless they are zeros: a value is never changed silently.
pub(crate) fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !(whole.is_empty() && fraction.is_empty())
        && whole
            .bytes()
            .chain(fraction.bytes())
            .all(|digit| digit.is_ascii_digit());
    if !is_number {
        return None;
    }
    let (kept, cut) = fraction.split_at(fraction.len().min(scale));
    if cut.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(kept.bytes()) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    for _ in kept.len()..scale {
        value = value.checked_mul(10)?;
    }
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_fits_or_is_refused() {
        for (text, expected) in [
            ("19.99", Some(1999)),
            ("-0.5", Some(-50)),
            ("7", Some(700)),
            ("7.100", Some(710)),
            ("7.123", None),
            ("123456.00", None),
            ("", None),
            (".", None),
            ("1e3", None),
            ("12345.67", Some(1_234_567)),
        ] {
            assert_eq!(parse_decimal(text, 7, 2), expected, "{text}");
        }
    }
}
