//! The one pass over a good resource: grammar and types at once, yes or no. Nothing is allocated but for a code, uri or
//! date that is written with escapes.

use super::form::{Primitive, Written, is_integer};
use super::shape::{KeyWords, Member, Shape, ShapeId, Shapes, Value, shapes};
use crate::json::{Limits, escape, plain_end, unescape_into};

/// How many bytes a number has, and how many digits its exponent, for it to be stored whatever they are. Longer ones are
/// left to the strict grammar, which counts.
const USUAL_NUMBER: usize = 1_000;
const USUAL_EXPONENT: usize = 4;

/// Whether the text is one resource of the shape and nothing in it is wrong or unusual.
pub(super) fn is_good(bytes: &[u8], shape: &'static Shape, limits: Limits) -> bool {
    let mut pass = Pass {
        bytes,
        at: 0,
        room: limits.max_depth,
        shapes: shapes(),
    };
    pass.space();
    let is_read = pass.peek() == Some(b'{') && pass.object(shape).is_some();
    pass.space();
    is_read && pass.at == bytes.len() && std::str::from_utf8(bytes).is_ok()
}

/// Each step moves past what it reads; none where something is wrong or unusual, and then all is over.
struct Pass<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many more levels may be opened.
    room: usize,
    shapes: &'static Shapes,
}

impl Pass<'_> {
    fn object(&mut self, shape: &'static Shape) -> Option<()> {
        if self.peek()? != b'{' {
            return None;
        }
        self.room = self.room.checked_sub(1)?;
        // The elements that were there, and those of which there was a key with `_`.
        let (mut plain, mut shadow) = (0u64, 0u64);
        loop {
            self.step();
            let member = self.key(shape)?;
            let bit = member.bit();
            let seen = if member.is_shadow { &mut shadow } else { &mut plain };
            if *seen & bit != 0 {
                return None;
            }
            *seen |= bit;
            if member.is_choice && plain & shadow & bit != 0 {
                return None;
            }
            match member.is_many {
                true => self.array(member.value)?,
                false => self.value(member.value)?,
            }
            self.space();
            match self.peek()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        self.room += 1;
        (shape.required & !(plain | shadow) == 0).then_some(())
    }

    /// A key, its colon and the space around.
    #[inline]
    fn key(&mut self, shape: &'static Shape) -> Option<&'static Member> {
        if self.peek()? != b'"' {
            return None;
        }
        let first = self.at + 1;
        let words = key_words(self.bytes, first)?;
        let end = first + words.length;
        let member = shape.member(words, self.bytes.get(first..end)?)?;
        self.at = end + 1;
        self.space();
        if self.peek()? != b':' {
            return None;
        }
        self.step();
        Some(member)
    }

    fn array(&mut self, value: Value) -> Option<()> {
        if self.peek()? != b'[' {
            return None;
        }
        self.room = self.room.checked_sub(1)?;
        loop {
            self.step();
            self.value(value)?;
            self.space();
            match self.peek()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        self.room += 1;
        Some(())
    }

    #[inline]
    fn value(&mut self, value: Value) -> Option<()> {
        match value {
            Value::Primitive(primitive) => self.primitive(primitive),
            Value::Object(id) => self.object_of(id),
            Value::Resource => self.resource(),
            // The resource was found by what this says.
            Value::ResourceType => self.plain_string().map(|_| ()),
        }
    }

    fn object_of(&mut self, id: ShapeId) -> Option<()> {
        self.object(self.shapes.get(id))
    }

    fn resource(&mut self) -> Option<()> {
        let name = super::resource_type(self.bytes.get(self.at..)?)?;
        self.object(self.shapes.resource(&name)?)
    }

    #[inline]
    fn primitive(&mut self, primitive: Primitive) -> Option<()> {
        match primitive.written() {
            Written::Text => self.text(),
            Written::Formed => match self.plain_string() {
                Some(text) => primitive.fits(text).then_some(()),
                None => self.escaped_string(primitive),
            },
            Written::Boolean => self.boolean(),
            Written::Decimal => self.number().map(|_| ()),
            Written::Integer(least) => {
                let number = self.number()?;
                is_integer(number, least).then_some(())
            }
        }
    }

    /// A string that is not empty, with any escapes but those of control characters.
    fn text(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        let first = self.at + 1;
        self.at = plain_end(self.bytes, first);
        while self.peek()? == b'\\' {
            let (character, next) = escape(self.bytes, self.at).ok()?;
            if character < ' ' && !matches!(character, '\t' | '\n' | '\r') {
                return None;
            }
            self.at = plain_end(self.bytes, next);
        }
        let is_text = self.peek()? == b'"' && self.at > first;
        self.at += 1;
        is_text.then_some(())
    }

    /// What stands between the quotes of a string without escapes.
    #[inline]
    fn plain_string(&mut self) -> Option<&[u8]> {
        if self.peek()? != b'"' {
            return None;
        }
        let first = self.at + 1;
        let end = plain_end(self.bytes, first);
        if *self.bytes.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        self.bytes.get(first..end)
    }

    /// A string with escapes: some writers put one before each slash, others write `+` as `\u002B`.
    #[cold]
    fn escaped_string(&mut self, primitive: Primitive) -> Option<()> {
        let first = self.at + 1;
        self.text()?;
        let mut text = String::new();
        unescape_into(self.bytes.get(first..self.at - 1)?, &mut text).ok()?;
        primitive.fits(text.as_bytes()).then_some(())
    }

    fn boolean(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        let length = match rest {
            [b't', b'r', b'u', b'e', ..] => 4,
            [b'f', b'a', b'l', b's', b'e', ..] => 5,
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    /// A number's text. What follows it is looked at by whoever goes on.
    fn number(&mut self) -> Option<&[u8]> {
        let first = self.at;
        self.at += usize::from(self.peek()? == b'-');
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek()? == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek()?, b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek()?, b'+' | b'-'));
            let exponent = self.at;
            self.digits()?;
            if self.at - exponent > USUAL_EXPONENT {
                return None;
            }
        }
        let number = self.bytes.get(first..self.at)?;
        (number.len() <= USUAL_NUMBER).then_some(number)
    }

    fn digits(&mut self) -> Option<()> {
        let first = self.at;
        while self.peek()?.is_ascii_digit() {
            self.at += 1;
        }
        (self.at > first).then_some(())
    }

    /// Passes one byte and the white space after it.
    #[inline]
    fn step(&mut self) {
        self.at += 1;
        self.space();
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

/// The key that begins at `first`, past its opening quote, up to the next quote. A key with escapes is cut or comes
/// out wrong, and is no member then: names have no backslash.
#[inline]
fn key_words(bytes: &[u8], first: usize) -> Option<KeyWords> {
    let Some(chunk) = bytes.get(first..).and_then(|rest| rest.first_chunk::<16>()) else {
        return long_key(bytes, first);
    };
    let word = u128::from_le_bytes(*chunk);
    let quotes = quotes(word);
    if quotes == 0 {
        return long_key(bytes, first);
    }
    let bits = quotes.trailing_zeros() & !7;
    let key = word & ((1u128 << bits) - 1);
    Some(KeyWords {
        length: (bits / 8) as usize,
        first: key as u64,
        second: (key >> 64) as u64,
    })
}

/// The lowest set bit lies in the lowest byte that is a quote; none is set when there is none.
#[inline]
fn quotes(word: u128) -> u128 {
    const ONES: u128 = u128::MAX / 0xFF;
    let differing = word ^ (ONES * 0x22);
    differing.wrapping_sub(ONES) & !differing & (ONES * 0x80)
}

#[cold]
#[inline(never)]
fn long_key(bytes: &[u8], first: usize) -> Option<KeyWords> {
    let rest = bytes.get(first..)?;
    let length = rest.iter().take(64).position(|byte| *byte == b'"')?;
    Some(KeyWords::of(rest.get(..length)?))
}
