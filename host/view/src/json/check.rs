//! The check: one walk over the text, with a stack for what is open.

use std::borrow::Cow;

use super::Limits;
use super::error::{JsonError, JsonFault};
use super::keys::Keys;
use super::members::top_level_members;
use super::strings::{BadString, escape, plain_end, unescape_into};
use crate::r4;

/// Whether `bytes` are one JSON object and nothing else, without doubt about what it says.
///
/// Beyond the grammar of RFC 8259 the whole text is valid UTF-8, no object has a key twice, no string holds U+0000 or
/// half a surrogate pair, no number is longer than PostgreSQL's, and nothing lies deeper than the limit. White space may surround the object. Whether it is a
/// valid resource is not looked at. The first thing that is wrong is reported.
pub fn check_resource(bytes: &[u8], limits: Limits) -> Result<(), JsonError> {
    let first = bytes
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    match first.and_then(|first| Some((first, *bytes.get(first)?))) {
        Some((first, b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')) => Err(JsonError::new(
            JsonFault::NotAnObject,
            first,
            bytes,
            ROOT.to_owned(),
        )),
        _ => check_value(bytes, limits),
    }
}

/// As [`check_resource`], for any JSON value.
pub fn check_value(bytes: &[u8], limits: Limits) -> Result<(), JsonError> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => bytes,
        Err(error) => bytes.get(..error.valid_up_to()).unwrap_or(bytes),
    };
    let mut check = Check {
        bytes: valid,
        at: 0,
        open: Vec::with_capacity(16),
        keys: Keys::default(),
        limits,
    };
    let is_cut = valid.len() < bytes.len();
    let (fault, at) = match check.document() {
        Ok(()) if is_cut => (JsonFault::InvalidUtf8, valid.len()),
        Ok(()) => return Ok(()),
        // What breaks off at the bad byte is broken by it.
        Err((_, at)) if is_cut && at >= valid.len() => (JsonFault::InvalidUtf8, valid.len()),
        Err(fault) => fault,
    };
    Err(JsonError::new(fault, at, bytes, check.path()))
}

/// How many digits PostgreSQL's numbers have before their point, and how many behind it.
const WHOLE_DIGITS: usize = 131_072;
const FRACTION_DIGITS: usize = 16_383;

/// What a path begins with when the type of the resource is not known.
const ROOT: &str = "resource";

type Fault = (JsonFault, usize);

struct Check<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    keys: Keys<'a>,
    limits: Limits,
}

/// An object or array whose end is still to come.
enum Open {
    Object {
        /// The mark at which its keys begin.
        first_key: usize,
    },
    Array {
        index: usize,
    },
}

impl<'a> Check<'a> {
    fn document(&mut self) -> Result<(), Fault> {
        self.space();
        loop {
            let must_follow = self.value()?;
            if !must_follow && self.after_value()? {
                break;
            }
        }
        if self.at < self.bytes.len() {
            self.fail(JsonFault::TrailingData)
        } else {
            Ok(())
        }
    }

    /// Reads a value, of an object or array only the beginning: true when a value of its own must follow.
    fn value(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| false),
            Some(b'{') => self.open_object(),
            Some(b'[') => self.open_array(),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.expected("a value"),
        }
    }

    /// Reads what follows a value, to the beginning of the next one; true when there is none.
    fn after_value(&mut self) -> Result<bool, Fault> {
        loop {
            self.space();
            match (self.open.last_mut(), self.bytes.get(self.at)) {
                (None, _) => return Ok(true),
                (Some(Open::Object { .. }), Some(b',')) => {
                    self.step();
                    return self.key().map(|()| false);
                }
                (Some(Open::Array { index }), Some(b',')) => {
                    *index += 1;
                    self.step();
                    return Ok(false);
                }
                (Some(Open::Object { .. }), Some(b'}')) | (Some(Open::Array { .. }), Some(b']')) => {
                    self.close()?
                }
                (Some(Open::Object { .. }), _) => return self.expected("`,` or `}`"),
                (Some(Open::Array { .. }), _) => return self.expected("`,` or `]`"),
            }
        }
    }

    fn open_object(&mut self) -> Result<bool, Fault> {
        self.open(Open::Object {
            first_key: self.keys.mark(),
        })?;
        if self.peek() == Some(b'}') {
            self.close()?;
            return Ok(false);
        }
        self.key().map(|()| true)
    }

    fn open_array(&mut self) -> Result<bool, Fault> {
        self.open(Open::Array { index: 0 })?;
        if self.peek() == Some(b']') {
            self.close()?;
            return Ok(false);
        }
        Ok(true)
    }

    fn open(&mut self, container: Open) -> Result<(), Fault> {
        if self.open.len() >= self.limits.max_depth {
            return self.fail(JsonFault::TooDeep(self.limits.max_depth));
        }
        self.open.push(container);
        self.step();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        if let Some(Open::Object { first_key }) = self.open.last()
            && let Some(offset) = self.keys.close(*first_key)
        {
            return Err((JsonFault::DuplicateKey, offset));
        }
        self.open.pop();
        self.at += 1;
        Ok(())
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<(), Fault> {
        let offset = self.at;
        if self.peek() != Some(b'"') {
            return self.expected("a key in quotes");
        }
        let has_escapes = self.string()?;
        let raw = self.bytes.get(offset + 1..self.at - 1).unwrap_or_default();
        let text = if has_escapes {
            Cow::Owned(unescaped(raw))
        } else {
            Cow::Borrowed(raw)
        };
        if let Some(Open::Object { first_key }) = self.open.last()
            && !self.keys.push(*first_key, text, offset)
        {
            return Err((JsonFault::DuplicateKey, offset));
        }
        self.space();
        if self.peek() != Some(b':') {
            return self.expected("`:`");
        }
        self.step();
        Ok(())
    }

    /// Reads a string; true when it has escapes.
    fn string(&mut self) -> Result<bool, Fault> {
        self.at = plain_end(self.bytes, self.at + 1);
        let mut has_escapes = false;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                    self.at = plain_end(self.bytes, self.at);
                }
                Some(0) => return self.fail(JsonFault::Nul),
                Some(_) => return self.fail(JsonFault::ControlCharacter),
                None => return self.fail(JsonFault::Truncated),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match escape(self.bytes, self.at) {
            Ok(('\0', _)) => self.fail(JsonFault::Nul),
            Ok((_, next)) => {
                self.at = next;
                Ok(())
            }
            Err(BadString::LoneSurrogate) => self.fail(JsonFault::LoneSurrogate),
            Err(BadString::Truncated) => Err((JsonFault::Truncated, self.bytes.len())),
            Err(BadString::BadEscape | BadString::InvalidUtf8) => self.fail(JsonFault::BadEscape),
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.eat(b"-");
        let mut whole = if self.eat(b"0") { 1 } else { self.digits()? };
        let mut fraction = if self.eat(b".") { self.digits()? } else { 0 };
        if self.eat(b"eE") {
            let moved = if self.peek() == Some(b'-') {
                &mut fraction
            } else {
                &mut whole
            };
            self.eat(b"+-");
            *moved = moved.saturating_add(self.exponent()?);
        }
        match whole > WHOLE_DIGITS || fraction > FRACTION_DIGITS {
            true => self.fail(JsonFault::NumberTooLong),
            false => Ok(()),
        }
    }

    /// The number that an exponent's digits are.
    fn exponent(&mut self) -> Result<usize, Fault> {
        let first = self.at;
        self.digits()?;
        let digits = self.bytes.get(first..self.at).unwrap_or_default();
        Ok(digits.iter().fold(0_usize, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(usize::from(digit - b'0'))
        }))
    }

    /// At least one digit; answers how many.
    fn digits(&mut self) -> Result<usize, Fault> {
        let first = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.peek() {
            _ if self.at > first => Ok(self.at - first),
            None => self.fail(JsonFault::Truncated),
            Some(_) => self.fail(JsonFault::BadNumber),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<bool, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(false);
        }
        if word.starts_with(rest) {
            return Err((JsonFault::Truncated, self.bytes.len()));
        }
        self.expected("a value")
    }

    /// Passes one byte and the white space after it.
    fn step(&mut self) {
        self.at += 1;
        self.space();
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, any_of: &[u8]) -> bool {
        let is_there = self.peek().is_some_and(|byte| any_of.contains(&byte));
        self.at += usize::from(is_there);
        is_there
    }

    fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        let is_end = self.at >= self.bytes.len();
        self.fail(if is_end {
            JsonFault::Truncated
        } else {
            JsonFault::Expected(what)
        })
    }

    fn fail<T>(&self, fault: JsonFault) -> Result<T, Fault> {
        Err((fault, self.at))
    }

    /// The path of the member that was read last.
    fn path(&self) -> String {
        let mut path = root(self.bytes).to_owned();
        for (place, open) in self.open.iter().enumerate() {
            match open {
                Open::Array { index } => path.push_str(&format!("[{index}]")),
                Open::Object { first_key } => {
                    let inner = self.open.iter().skip(place + 1).find_map(Open::first_key);
                    let end = inner.unwrap_or_else(|| self.keys.mark());
                    if let Some(key) = self.keys.latest(*first_key, end) {
                        path.push('.');
                        path.push_str(shown(key));
                    }
                }
            }
        }
        path
    }
}

impl Open {
    fn first_key(&self) -> Option<usize> {
        match self {
            Open::Object { first_key } => Some(*first_key),
            Open::Array { .. } => None,
        }
    }
}

/// The text of a key whose escapes were checked.
fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(raw.len());
    match unescape_into(raw, &mut text) {
        Ok(()) => text.into_bytes(),
        Err(_) => raw.to_vec(),
    }
}

/// The resource type, when the text says one that exists before it breaks off.
fn root(bytes: &[u8]) -> &'static str {
    let said = top_level_members(bytes).find(|member| member.raw_key == b"resourceType");
    let named = said.and_then(|member| r4::type_named(member.plain_string()?));
    named
        .filter(|info| info.is_resource())
        .map_or(ROOT, r4::TypeInfo::name)
}

/// A key as far as it can be the name of an element; anything else might be a value gone astray.
pub(crate) fn shown(key: &[u8]) -> &str {
    let is_name = key.len() <= 64
        && key
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    std::str::from_utf8(key).ok().filter(|_| is_name).unwrap_or("?")
}

#[cfg(test)]
mod tests;
