//! What is wrong with a JSON text, and where.

use std::fmt;

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// The bytes are not UTF-8.
    #[error("bytes that are not UTF-8")]
    InvalidUtf8,
    /// The text ends too early.
    #[error("the text ends in the middle of a value")]
    Truncated,
    /// Something else stands where the grammar wants this.
    #[error("expected {0}")]
    Expected(&'static str),
    /// An object has the same key twice, perhaps with different escapes.
    #[error("the object already has this key")]
    DuplicateKey,
    /// Objects and arrays lie too deep within each other.
    #[error("nested more than {0} levels deep")]
    TooDeep(usize),
    /// A control character stands in a string without an escape.
    #[error("a control character in a string must be escaped")]
    ControlCharacter,
    /// A string holds the character U+0000.
    #[error("a string holds the character U+0000, which cannot be stored")]
    Nul,
    /// A string holds half a surrogate pair.
    #[error("a string holds half a surrogate pair")]
    LoneSurrogate,
    /// A backslash is followed by what no escape begins with.
    #[error("no such escape in a string")]
    BadEscape,
    /// A number is not written as JSON writes them.
    #[error("not a number as JSON writes them")]
    BadNumber,
    /// A number is so large or so long that the store could not show it as a number.
    #[error(
        "a number with more than 131072 digits before its point or 16383 behind it, its exponent counted"
    )]
    NumberTooLong,
    /// Something follows the value.
    #[error("the text goes on after the value")]
    TrailingData,
    /// The text is a JSON value, but no object.
    #[error("a resource is a JSON object")]
    NotAnObject,
}

impl JsonFault {
    /// The stable code of this fault.
    pub fn code(self) -> &'static str {
        match self {
            JsonFault::InvalidUtf8 => "JSON-001",
            JsonFault::Truncated => "JSON-002",
            JsonFault::Expected(_) => "JSON-003",
            JsonFault::DuplicateKey => "JSON-004",
            JsonFault::TooDeep(_) => "JSON-005",
            JsonFault::ControlCharacter => "JSON-006",
            JsonFault::Nul => "JSON-007",
            JsonFault::LoneSurrogate => "JSON-008",
            JsonFault::BadEscape => "JSON-009",
            JsonFault::BadNumber => "JSON-010",
            JsonFault::TrailingData => "JSON-011",
            JsonFault::NotAnObject => "JSON-012",
            JsonFault::NumberTooLong => "JSON-013",
        }
    }
}

/// A refused text: what is wrong and where. It quotes no value, and no key that could be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub fault: JsonFault,
    /// The byte at which it shows, from 0.
    pub offset: usize,
    /// The line of that byte, from 1.
    pub line: usize,
    /// The character of that byte within its line, from 1.
    pub column: usize,
    /// The member at which it shows: `Patient.name[2].given`. It begins with `resource` where the type is not known,
    /// and a key that cannot be the name of a FHIR element is written `?`.
    pub path: String,
}

impl JsonError {
    pub(super) fn new(fault: JsonFault, offset: usize, bytes: &[u8], path: String) -> JsonError {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let is_first_of_character = |byte: &&u8| **byte & 0xC0 != 0x80;
        let column = before
            .iter()
            .skip(line_start)
            .filter(is_first_of_character)
            .count()
            + 1;
        JsonError {
            fault,
            offset,
            line,
            column,
            path,
        }
    }

    /// The stable code of what is wrong.
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }
}

impl std::error::Error for JsonError {}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JsonError {
            fault,
            offset,
            line,
            column,
            path,
        } = self;
        write!(
            f,
            "`{path}`: {fault}, at line {line} column {column} (byte {offset}) [{}]",
            fault.code()
        )
    }
}
