//! The forms of primitives: which strings and numbers FHIR R4 takes for each type.

use crate::temporal::{Date, DateTime, Time};

/// A primitive type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

/// What JSON writes a primitive as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Any string that is not empty and holds no control character but tab, line feed and carriage return.
    Text,
    /// A string of a form of its own.
    Formed,
    /// A number.
    Decimal,
    /// A number without fraction and exponent, from this one to the largest of 32 bits.
    Integer(i64),
    /// `true` or `false`.
    Boolean,
}

const ALL: [(Primitive, &str, &str); 20] = [
    (
        Primitive::Base64Binary,
        "base64Binary",
        "write groups of four letters of the base64 alphabet, padded with `=`",
    ),
    (
        Primitive::Boolean,
        "boolean",
        "write true or false, without quotes",
    ),
    (
        Primitive::Canonical,
        "canonical",
        "write a URL, perhaps with `|` and a version, without white space",
    ),
    (
        Primitive::Code,
        "code",
        "write it without white space at its ends and with no more than one space in a row",
    ),
    (
        Primitive::Date,
        "date",
        "write YYYY, YYYY-MM or YYYY-MM-DD, a day that the calendar has",
    ),
    (
        Primitive::DateTime,
        "dateTime",
        "write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone such as `Z` or `+02:00`",
    ),
    (Primitive::Decimal, "decimal", "write a number, without quotes"),
    (Primitive::Id, "id", "write 1 to 64 letters, digits, `-` and `.`"),
    (
        Primitive::Instant,
        "instant",
        "write YYYY-MM-DDThh:mm:ss with a zone such as `Z` or `+02:00`",
    ),
    (
        Primitive::Integer,
        "integer",
        "write a whole number of at most 32 bits, without quotes, fraction or exponent",
    ),
    (
        Primitive::Markdown,
        "markdown",
        "write text without control characters but tab, line feed and carriage return",
    ),
    (
        Primitive::Oid,
        "oid",
        "write `urn:oid:` and numbers with dots between them",
    ),
    (
        Primitive::PositiveInt,
        "positiveInt",
        "write a whole number from 1 to 2147483647, without quotes, fraction or exponent",
    ),
    (
        Primitive::String,
        "string",
        "write text without control characters but tab, line feed and carriage return",
    ),
    (Primitive::Time, "time", "write hh:mm:ss, without a zone"),
    (
        Primitive::UnsignedInt,
        "unsignedInt",
        "write a whole number from 0 to 2147483647, without quotes, fraction or exponent",
    ),
    (Primitive::Uri, "uri", "write it without white space"),
    (Primitive::Url, "url", "write it without white space"),
    (
        Primitive::Uuid,
        "uuid",
        "write `urn:uuid:` and 32 small hexadecimal digits as 8-4-4-4-12",
    ),
    (
        Primitive::Xhtml,
        "xhtml",
        "write text without control characters but tab, line feed and carriage return",
    ),
];

impl Primitive {
    /// The primitive of this FHIR name.
    pub(super) fn named(name: &str) -> Option<Primitive> {
        let known = ALL.iter().find(|(_, known, _)| *known == name);
        known.map(|(primitive, ..)| *primitive)
    }

    /// The FHIR name.
    pub(super) fn name(self) -> &'static str {
        self.entry().1
    }

    /// What to write.
    pub(super) fn how(self) -> &'static str {
        self.entry().2
    }

    fn entry(self) -> &'static (Primitive, &'static str, &'static str) {
        // The list stands in the order of the enum; a test holds that.
        &ALL[self as usize]
    }

    /// What JSON writes it as.
    #[inline]
    pub(super) fn written(self) -> Written {
        match self {
            Primitive::String | Primitive::Markdown | Primitive::Xhtml => Written::Text,
            Primitive::Boolean => Written::Boolean,
            Primitive::Decimal => Written::Decimal,
            Primitive::Integer => Written::Integer(i64::from(i32::MIN)),
            Primitive::UnsignedInt => Written::Integer(0),
            Primitive::PositiveInt => Written::Integer(1),
            _ => Written::Formed,
        }
    }

    /// Whether a string, its escapes read, has the form of this type. An empty one has none.
    #[inline]
    pub(super) fn fits(self, text: &[u8]) -> bool {
        match self {
            Primitive::Uri | Primitive::Url | Primitive::Canonical => {
                !text.is_empty() && !text.iter().any(is_space)
            }
            Primitive::Code => is_code(text),
            Primitive::Id => (1..=64).contains(&text.len()) && text.iter().all(is_id_letter),
            Primitive::Base64Binary => is_base64(text),
            Primitive::Oid => is_oid(text),
            Primitive::Uuid => is_uuid(text),
            Primitive::Date | Primitive::DateTime | Primitive::Instant | Primitive::Time => {
                self.is_moment(text)
            }
            _ => !text.is_empty() && !text.iter().any(is_control),
        }
    }

    fn is_moment(self, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else {
            return false;
        };
        match self {
            Primitive::Date => Date::parse(text).is_ok(),
            Primitive::DateTime => DateTime::parse(text).is_ok(),
            Primitive::Instant => DateTime::parse_instant(text).is_ok(),
            _ => Time::parse(text).is_ok(),
        }
    }
}

/// Whether the text of a JSON number is a whole one from `least` to the largest of 32 bits. FHIR writes no `-0`.
pub(super) fn is_integer(number: &[u8], least: i64) -> bool {
    let (is_negative, digits) = match number {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let size = digits
        .iter()
        .fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let value = if is_negative { -size } else { size };
    !(is_negative && size == 0) && (least..=i64::from(i32::MAX)).contains(&value)
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether FHIR has no place for the character in a string.
pub(super) fn is_control(byte: &u8) -> bool {
    *byte < b' ' && !is_space(byte)
}

fn is_id_letter(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')
}

fn is_code(text: &[u8]) -> bool {
    if !text.iter().any(|byte| *byte <= b' ') {
        return !text.is_empty();
    }
    let at_ends = text.first().is_some_and(is_space) || text.last().is_some_and(is_space);
    let in_a_row = text.windows(2).any(|pair| pair.iter().all(is_space));
    !at_ends && !in_a_row && !text.iter().any(is_control)
}

/// Groups of four, white space anywhere, padding at the end.
fn is_base64(text: &[u8]) -> bool {
    let (mut letters, mut padding) = (0usize, 0usize);
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => letters += 1,
            b'=' => padding += 1,
            _ if is_space(byte) => {}
            _ => return false,
        }
    }
    letters > 0 && padding <= 2 && (letters + padding).is_multiple_of(4)
}

fn is_oid(text: &[u8]) -> bool {
    let Some(numbers) = text.strip_prefix(b"urn:oid:") else {
        return false;
    };
    let is_number = |part: &[u8]| match part {
        [] => false,
        [b'0', _, ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    };
    let mut parts = numbers.split(|byte| *byte == b'.');
    let is_rooted = parts.next().is_some_and(|root| matches!(root, [b'0'..=b'2']));
    is_rooted && numbers.len() > 1 && parts.all(is_number)
}

fn is_uuid(text: &[u8]) -> bool {
    let Some(digits) = text.strip_prefix(b"urn:uuid:") else {
        return false;
    };
    digits.len() == 36
        && digits.iter().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(name: &str, texts: &[&str]) -> Vec<bool> {
        let primitive = Primitive::named(name).unwrap();
        texts.iter().map(|text| primitive.fits(text.as_bytes())).collect()
    }

    fn assert_forms(name: &str, good: &[&str], bad: &[&str]) {
        assert_eq!(fits(name, good), vec![true; good.len()], "{name} {good:?}");
        assert_eq!(fits(name, bad), vec![false; bad.len()], "{name} {bad:?}");
    }

    #[test]
    fn the_list_stands_in_the_order_of_the_enum_and_has_every_primitive_of_the_table() {
        for (place, (primitive, name, _)) in ALL.iter().enumerate() {
            assert_eq!(*primitive as usize, place);
            assert_eq!(primitive.name(), *name);
        }
        let primitives = super::super::super::table()
            .sorted()
            .filter(|info| info.is_primitive());
        assert!(
            primitives
                .map(|info| info.name())
                .eq(ALL.iter().map(|(_, name, _)| *name))
        );
    }

    #[test]
    fn strings_have_the_form_of_their_type() {
        assert_forms(
            "string",
            &["a", " ", "a\tb\r\nc", "é😀"],
            &["", "\u{1}", "a\u{8}"],
        );
        assert_forms(
            "code",
            &["a", "a b", "é", "a b c"],
            &["", " a", "a ", "a  b", "a\tb\t", " "],
        );
        assert_forms(
            "uri",
            &["a", "urn:x:1", "http://x/é?a=b#c"],
            &["", "a b", " a", "a\n"],
        );
        assert_forms("canonical", &["http://x|1.0"], &["", "http://x |1"]);
        assert_forms(
            "id",
            &["a", "A-1.b", &"a".repeat(64)],
            &["", "a_b", "a b", "é", &"a".repeat(65)],
        );
        assert_forms("markdown", &["# a\n\n  b"], &[""]);
        assert_forms(
            "oid",
            &["urn:oid:1.2.3", "urn:oid:2.16.840.1.113883", "urn:oid:0.0"],
            &[
                "",
                "1.2.3",
                "urn:oid:",
                "urn:oid:1",
                "urn:oid:3.1",
                "urn:oid:1.01",
                "urn:oid:1..2",
                "urn:oid:1.",
            ],
        );
        assert_forms(
            "uuid",
            &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
            &[
                "c757873d-ec9a-4326-a141-556f43239520",
                "urn:uuid:c757873d-ec9a-4326-a141-556f4323952",
                "urn:uuid:C757873D-ec9a-4326-a141-556f43239520",
            ],
        );
        assert_forms(
            "base64Binary",
            &["YQ==", "YWI=", "YWJj", "YWJj\r\nYWI=", " YWJj "],
            &["", "YQ", "YQ=", "=YQ=", "YW=j", "Y===", "YWJj-_==", "===="],
        );
    }

    #[test]
    fn moments_have_the_form_of_their_type() {
        let days = ["1970", "1970-06", "2024-02-29"];
        let moments = [
            "2015-02-07T13:28:17-05:00",
            "2016-12-31T23:59:60Z",
            "2015-02-07T13:28:17.123456789123Z",
        ];
        assert_forms(
            "date",
            &days,
            &[
                "0000",
                "1970-13",
                "2023-02-29",
                "70",
                "19700101",
                "2024-02-29T10:00:00Z",
            ],
        );
        assert_forms(
            "dateTime",
            &days,
            &[
                "2015-02-07T13:28:17",
                "2015-02-07T13:28Z",
                "2015-02-07T24:00:00Z",
                "",
            ],
        );
        assert_forms(
            "dateTime",
            &moments,
            &["2015-02-07 13:28:17Z", "2015-02-07T13:28:17+15:00"],
        );
        assert_forms("instant", &moments, &days);
        assert_forms(
            "time",
            &["13:28:17", "23:59:60", "00:00:00.5"],
            &["13:28", "24:00:00", "13:28:17Z", ""],
        );
    }

    #[test]
    fn whole_numbers_stay_within_their_bounds() {
        let bounds = |least: i64, texts: &[&str]| {
            texts
                .iter()
                .map(|text| is_integer(text.as_bytes(), least))
                .collect::<Vec<_>>()
        };
        let all = [
            "0",
            "1",
            "-1",
            "2147483647",
            "2147483648",
            "-2147483648",
            "-2147483649",
            "-0",
            "1.0",
            "1e2",
            "99999999999999999999",
        ];
        let least = i64::from(i32::MIN);
        assert_eq!(
            bounds(least, &all),
            [
                true, true, true, true, false, true, false, false, false, false, false
            ]
        );
        assert_eq!(bounds(0, &all[..4]), [true, true, false, true]);
        assert_eq!(bounds(1, &all[..4]), [false, true, false, true]);
    }
}
