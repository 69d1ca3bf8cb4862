//! The signs of JSON, and where in the text each stands.

use std::borrow::Cow;

/// Why a body is refused, and how many bytes were read by then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ReadError {
    pub(crate) message: String,
    pub(crate) at: usize,
}

impl ReadError {
    /// The message with line and column, both from 1, as a reader of the body would count them.
    pub(crate) fn located(&self, body: &[u8]) -> String {
        let read = &body[..self.at.min(body.len())];
        let line = read.iter().filter(|sign| **sign == b'\n').count() + 1;
        let begin = read
            .iter()
            .rposition(|sign| *sign == b'\n')
            .map_or(0, |at| at + 1);
        format!("{} at line {line} column {}", self.message, read.len() - begin)
    }
}

/// A number as it is written.
pub(super) struct Number<'a> {
    pub(super) text: &'a str,
    /// Whether it has neither a fraction nor an exponent.
    pub(super) is_integer: bool,
}

/// A text that is read from left to right.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    pub(super) fn eat(&mut self, sign: u8) -> bool {
        let is_there = self.peek() == Some(sign);
        self.at += usize::from(is_there);
        is_there
    }

    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// An error where the text was read to.
    pub(super) fn error(&self, message: String) -> ReadError {
        ReadError { message, at: self.at }
    }

    /// An error at the next sign, which is not what it should be.
    pub(super) fn expected(&self, what: &str) -> ReadError {
        match self.peek() {
            Some(_) => ReadError {
                message: format!("expected {what}"),
                at: self.at + 1,
            },
            None => self.error(format!("EOF while parsing, expected {what}")),
        }
    }

    /// Only space may follow.
    pub(super) fn end(&mut self) -> Result<(), ReadError> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(ReadError {
                message: "trailing characters".to_owned(),
                at: self.at + 1,
            }),
        }
    }

    /// A word such as `null`.
    pub(super) fn word(&mut self, word: &str) -> Result<(), ReadError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.expected("a value"))
    }

    /// A number. JSON's grammar: no leading zeros, no plus, digits on both sides of a point.
    pub(super) fn number(&mut self) -> Result<Number<'a>, ReadError> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') && self.digits() == 0 {
            return Err(self.expected("a digit"));
        }
        let mut is_integer = true;
        if self.eat(b'.') {
            is_integer = false;
            if self.digits() == 0 {
                return Err(self.expected("a digit"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.expected("a digit"));
            }
        }
        if let Some(b'0'..=b'9') = self.peek() {
            return Err(self.expected("no digit after a leading zero"));
        }
        Ok(Number {
            text: &self.text[start..self.at],
            is_integer,
        })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    /// A string. One without escapes is not copied.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, ReadError> {
        if !self.eat(b'"') {
            return Err(self.expected("a string"));
        }
        let start = self.at;
        self.plain();
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let mut whole = self.text[start..self.at].to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(whole));
                }
                Some(b'\\') => {
                    self.at += 1;
                    whole.push(self.escape()?);
                }
                Some(_) => {
                    self.at += 1;
                    return Err(self.error(
                        "control character (\\u0000-\\u001F) found while parsing a string".to_owned(),
                    ));
                }
                None => return Err(self.error("EOF while parsing a string".to_owned())),
            }
            let start = self.at;
            self.plain();
            whole.push_str(&self.text[start..self.at]);
        }
    }

    /// Passes signs that stand for themselves.
    fn plain(&mut self) {
        let rest = &self.bytes[self.at..];
        let is_special = |sign: &u8| *sign == b'"' || *sign == b'\\' || *sign < 0x20;
        self.at += rest.iter().position(is_special).unwrap_or(rest.len());
    }

    fn escape(&mut self) -> Result<char, ReadError> {
        let sign = self.peek();
        self.at += 1;
        Ok(match sign {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("invalid escape".to_owned())),
        })
    }

    fn unicode(&mut self) -> Result<char, ReadError> {
        let first = self.hex()?;
        let is_high = (0xD800..0xDC00).contains(&first);
        let mut code = first;
        if is_high && self.eat(b'\\') && self.eat(b'u') {
            let second = self.hex()?;
            if !(0xDC00..0xE000).contains(&second) {
                return Err(self.error("lone leading surrogate in hex escape".to_owned()));
            }
            code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        }
        char::from_u32(code).ok_or_else(|| self.error("lone leading surrogate in hex escape".to_owned()))
    }

    fn hex(&mut self) -> Result<u32, ReadError> {
        let digits = self.text.get(self.at..self.at + 4);
        let code = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at = (self.at + 4).min(self.bytes.len());
        code.ok_or_else(|| self.error("invalid escape".to_owned()))
    }

    /// An error about a value of another type than the one expected; the value is passed.
    pub(super) fn wrong_type(&mut self, expected: &str) -> ReadError {
        let found = match self.peek() {
            Some(b'{') => {
                self.at += 1;
                "map".to_owned()
            }
            Some(b'[') => {
                self.at += 1;
                "sequence".to_owned()
            }
            Some(b'"') => match self.string() {
                Ok(text) => format!("string {text:?}"),
                Err(error) => return error,
            },
            Some(b't') => match self.word("true") {
                Ok(()) => "boolean `true`".to_owned(),
                Err(error) => return error,
            },
            Some(b'f') => match self.word("false") {
                Ok(()) => "boolean `false`".to_owned(),
                Err(error) => return error,
            },
            Some(b'n') => match self.word("null") {
                Ok(()) => "null".to_owned(),
                Err(error) => return error,
            },
            Some(b'-' | b'0'..=b'9') => match self.number() {
                Ok(number) if number.is_integer => format!("integer `{}`", number.text),
                Ok(number) => format!("floating point `{}`", number.text),
                Err(error) => return error,
            },
            _ => return self.expected("a value"),
        };
        self.error(format!("invalid type: {found}, expected {expected}"))
    }
}
