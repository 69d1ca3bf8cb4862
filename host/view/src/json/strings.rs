//! The inside of JSON strings: where their plain text ends, and what their escapes mean.

/// Why the inside of a string cannot be read. Text that the check accepted never fails so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadString {
    /// The string ends within an escape.
    #[error("a string ends within an escape")]
    Truncated,
    /// A backslash is followed by what no escape begins with.
    #[error("no such escape in a string")]
    BadEscape,
    /// Half a surrogate pair, which is no character.
    #[error("a string holds half a surrogate pair")]
    LoneSurrogate,
    /// Bytes that are not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
}

/// Appends what a JSON string means, given what stands between its quotes.
///
/// On an error `out` holds what was read before it.
pub fn unescape_into(raw: &[u8], out: &mut String) -> Result<(), BadString> {
    let mut at = 0;
    while at < raw.len() {
        let end = raw
            .iter()
            .skip(at)
            .position(|byte| *byte == b'\\')
            .map_or(raw.len(), |plain| at + plain);
        let plain = raw.get(at..end).unwrap_or_default();
        out.push_str(std::str::from_utf8(plain).map_err(|_| BadString::InvalidUtf8)?);
        if end == raw.len() {
            return Ok(());
        }
        let (character, next) = escape(raw, end)?;
        out.push(character);
        at = next;
    }
    Ok(())
}

/// The character that the escape at `at`, a backslash, stands for, and where the text goes on.
pub(crate) fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), BadString> {
    let character = match bytes.get(at + 1) {
        None => return Err(BadString::Truncated),
        Some(b'u') => return unicode_escape(bytes, at),
        Some(same @ (b'"' | b'\\' | b'/')) => char::from(*same),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(_) => return Err(BadString::BadEscape),
    };
    Ok((character, at + 2))
}

/// `\uNNNN`, or two of them that make a surrogate pair.
fn unicode_escape(bytes: &[u8], at: usize) -> Result<(char, usize), BadString> {
    let first = code_unit(bytes, at)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, at + 6));
    }
    let is_low_surrogate = (0xDC00..0xE000).contains(&first);
    if is_low_surrogate || bytes.get(at + 6..at + 8).is_some_and(|next| next != b"\\u") {
        return Err(BadString::LoneSurrogate);
    }
    let second = code_unit(bytes, at + 6)?;
    let low = second
        .checked_sub(0xDC00)
        .filter(|low| *low < 0x400)
        .ok_or(BadString::LoneSurrogate)?;
    let character =
        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + low).ok_or(BadString::LoneSurrogate)?;
    Ok((character, at + 12))
}

/// The four hexadecimal digits of the `\u` at `at`.
fn code_unit(bytes: &[u8], at: usize) -> Result<u32, BadString> {
    let mut unit = 0;
    for place in at + 2..at + 6 {
        let digit = bytes.get(place).ok_or(BadString::Truncated)?;
        unit = unit * 16 + char::from(*digit).to_digit(16).ok_or(BadString::BadEscape)?;
    }
    Ok(unit)
}

/// Where the plain text that begins at `from` ends: the next quote, backslash or control character, or the end of
/// the bytes. Reads eight bytes a step.
pub(crate) fn plain_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let special = special_bytes(u64::from_le_bytes(*eight));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes
        .iter()
        .skip(at)
        .position(is_special)
        .map_or(bytes.len(), |plain| at + plain)
}

/// The lowest set bit lies in the lowest byte that is a quote, a backslash or a control character; none is set when
/// there is no such byte. Bits above the lowest may be set for nothing.
fn special_bytes(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Subtracting borrows into a byte's high bit when the byte is smaller; bytes that had that bit are masked out.
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH;
    let quote = below(eight ^ (ONES * 0x22), 1);
    let backslash = below(eight ^ (ONES * 0x5C), 1);
    quote | backslash | below(eight, 0x20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(raw: &str) -> Result<String, BadString> {
        let mut out = String::new();
        unescape_into(raw.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn escapes_mean_what_json_says() {
        for (raw, text) in [
            ("", ""),
            ("plain", "plain"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"a\u00e9b", "aéb"),
            (r"\uD83D\uDE00!", "😀!"),
            ("ünï😀", "ünï😀"),
            (r"\u0000", "\0"),
        ] {
            assert_eq!(unescaped(raw).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_text_is_an_error() {
        for (raw, error) in [
            (r"\", BadString::Truncated),
            (r"\u00e", BadString::Truncated),
            (r"\x", BadString::BadEscape),
            (r"\u00g0", BadString::BadEscape),
            (r"\ud83d", BadString::Truncated),
            (r"\ud83d and more", BadString::LoneSurrogate),
            (r"\ude00", BadString::LoneSurrogate),
            (r"\ud83d\u0041", BadString::LoneSurrogate),
            (r"\ud83d\ud83d", BadString::LoneSurrogate),
        ] {
            assert_eq!(unescaped(raw), Err(error), "{raw}");
        }
        assert_eq!(
            unescape_into(b"\xff", &mut String::new()),
            Err(BadString::InvalidUtf8)
        );
    }

    #[test]
    fn plain_text_ends_at_the_first_special_byte_wherever_it_lies() {
        for special in (0..=255u8).filter(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            for place in 0..40 {
                let mut bytes: Vec<u8> = (0..40u8)
                    .map(|n| [b' ', b'!', b'#', 0x7f, 0x80, 0xff][n as usize % 6])
                    .collect();
                bytes[place] = special;
                assert_eq!(plain_end(&bytes, 0), place);
                assert_eq!(plain_end(&bytes, place + 1), 40);
            }
        }
    }
}
