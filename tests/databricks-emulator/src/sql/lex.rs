//! The words and signs of Spark's SQL, one after the other.

use std::borrow::Cow;

use super::error::SqlError;

/// A word or sign.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A keyword or a plain name.
    Word(&'a str),
    /// A name between backquotes.
    Name(Cow<'a, str>),
    /// A string, its escapes resolved.
    Text(Cow<'a, str>),
    /// A number with its suffix, if it has one.
    Number(&'a str),
    /// `:name`.
    Parameter(&'a str),
    /// Anything else; two signs where they belong together.
    Sign(&'a str),
    /// Nothing is left.
    End,
}

/// Where a token stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Reads a statement from left to right.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    sql: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self { sql, at: 0 }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.sql.as_bytes().get(self.at + ahead).copied()
    }

    /// Passes space and comments.
    fn space(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b' ' | b'\n' | b'\r' | b'\t'), _) => self.at += 1,
                (Some(b'-'), Some(b'-')) => {
                    let rest = &self.sql[self.at..];
                    self.at += rest.find('\n').unwrap_or(rest.len());
                }
                (Some(b'/'), Some(b'*')) => {
                    let rest = &self.sql[self.at..];
                    self.at += rest.find("*/").map_or(rest.len(), |end| end + 2);
                }
                _ => return,
            }
        }
    }

    /// The next token, and where it stands.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, Span), SqlError> {
        self.space();
        let start = self.at;
        let token = match self.byte(0) {
            None => Token::End,
            Some(b'\'' | b'"') => Token::Text(self.string()?),
            Some(b'`') => self.name()?,
            Some(b'0'..=b'9') => self.number(),
            Some(b'.') if self.byte(1).is_some_and(|sign| sign.is_ascii_digit()) => self.number(),
            Some(b'r' | b'R') if matches!(self.byte(1), Some(b'\'' | b'"')) => self.raw()?,
            Some(b':') if self.byte(1).is_some_and(is_word_start) => {
                self.at += 1;
                Token::Parameter(self.word())
            }
            Some(sign) if is_word_start(sign) => Token::Word(self.word()),
            Some(_) => self.sign(),
        };
        Ok((token, Span { start, end: self.at }))
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.sql[self.at..];
        let is_word = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == '$';
        let end = rest.find(|sign| !is_word(sign)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn sign(&mut self) -> Token<'a> {
        let rest = &self.sql[self.at..];
        let long = ["<=>", "<>", "!=", "==", "<=", ">=", "||", "::", "->", "=>"];
        let length = long.iter().find(|sign| rest.starts_with(**sign)).map_or_else(
            || rest.chars().next().map_or(1, char::len_utf8),
            |sign| sign.len(),
        );
        self.at += length;
        Token::Sign(&rest[..length])
    }

    fn number(&mut self) -> Token<'a> {
        let start = self.at;
        self.digits();
        if self.byte(0) == Some(b'.') && self.byte(1).is_none_or(|sign| !is_word_start(sign)) {
            self.at += 1;
            self.digits();
        }
        if let Some(b'e' | b'E') = self.byte(0) {
            let signed = usize::from(matches!(self.byte(1), Some(b'+' | b'-')));
            if self.byte(1 + signed).is_some_and(|sign| sign.is_ascii_digit()) {
                self.at += 1 + signed;
                self.digits();
            }
        }
        // A suffix is one of Spark's, and no word goes on after it.
        let rest = &self.sql[self.at..];
        let suffix = rest
            .find(|sign: char| !sign.is_alphanumeric() && sign != '_')
            .unwrap_or(rest.len());
        if ["L", "S", "Y", "D", "F", "BD"].contains(&rest[..suffix].to_uppercase().as_str()) {
            self.at += suffix;
        }
        Token::Number(&self.sql[start..self.at])
    }

    fn digits(&mut self) {
        while self.byte(0).is_some_and(|sign| sign.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn unclosed(&self, start: usize) -> SqlError {
        SqlError::syntax(
            self.sql,
            start,
            self.sql.get(start..start + 1).unwrap_or_default(),
        )
    }

    fn name(&mut self) -> Result<Token<'a>, SqlError> {
        let start = self.at;
        self.at += 1;
        let mut name = Cow::Borrowed("");
        loop {
            let rest = &self.sql[self.at..];
            let Some(end) = rest.find('`') else {
                return Err(self.unclosed(start));
            };
            name = if name.is_empty() {
                Cow::Borrowed(&rest[..end])
            } else {
                Cow::Owned(name.into_owned() + &rest[..end])
            };
            self.at += end + 1;
            if self.byte(0) != Some(b'`') {
                return Ok(Token::Name(name));
            }
            self.at += 1;
            name.to_mut().push('`');
        }
    }

    fn raw(&mut self) -> Result<Token<'a>, SqlError> {
        let start = self.at;
        let quote = self.sql[start + 1..].chars().next().unwrap_or('\'');
        self.at += 2;
        let rest = &self.sql[self.at..];
        let Some(end) = rest.find(quote) else {
            return Err(self.unclosed(start));
        };
        self.at += end + 1;
        Ok(Token::Text(Cow::Borrowed(&rest[..end])))
    }

    /// A string. Spark resolves backslashes, and takes a doubled quote for one.
    fn string(&mut self) -> Result<Cow<'a, str>, SqlError> {
        let start = self.at;
        let quote = self.sql.as_bytes()[start];
        self.at += 1;
        let mut text = Cow::Borrowed("");
        loop {
            let rest = &self.sql.as_bytes()[self.at..];
            let Some(plain) = rest.iter().position(|sign| *sign == quote || *sign == b'\\') else {
                return Err(self.unclosed(start));
            };
            let part = &self.sql[self.at..self.at + plain];
            text = if text.is_empty() {
                Cow::Borrowed(part)
            } else {
                Cow::Owned(text.into_owned() + part)
            };
            self.at += plain + 1;
            if rest[plain] == b'\\' {
                match self.escape() {
                    Some(escaped) => text.to_mut().push_str(&escaped),
                    None => return Err(self.unclosed(start)),
                }
            } else if self.byte(0) == Some(quote) {
                self.at += 1;
                text.to_mut().push(char::from(quote));
            } else {
                return Ok(text);
            }
        }
    }

    /// What stands for the signs after a backslash.
    fn escape(&mut self) -> Option<String> {
        let rest = &self.sql[self.at..];
        let sign = rest.chars().next()?;
        let hex = |length: usize| {
            let digits = rest.get(1..=length)?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            char::from_u32(code)
        };
        if sign == 'u'
            && let Some(escaped) = hex(4)
        {
            self.at += 5;
            return Some(escaped.to_string());
        }
        if sign == 'U'
            && let Some(escaped) = hex(8)
        {
            self.at += 9;
            return Some(escaped.to_string());
        }
        let octal = rest.get(..3).filter(|digits| {
            matches!(digits.as_bytes()[0], b'0' | b'1')
                && digits.bytes().all(|digit| (b'0'..b'8').contains(&digit))
        });
        if let Some(code) = octal.and_then(|digits| u32::from_str_radix(digits, 8).ok()) {
            self.at += 3;
            return char::from_u32(code).map(String::from);
        }
        self.at += sign.len_utf8();
        Some(match sign {
            '0' => "\0".to_owned(),
            'b' => "\u{8}".to_owned(),
            'n' => "\n".to_owned(),
            'r' => "\r".to_owned(),
            't' => "\t".to_owned(),
            'Z' => "\u{1a}".to_owned(),
            '%' | '_' => format!("\\{sign}"),
            other => other.to_string(),
        })
    }
}

fn is_word_start(sign: u8) -> bool {
    sign.is_ascii_alphabetic() || sign == b'_' || sign >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(sql: &str) -> Vec<String> {
        let mut lexer = Lexer::new(sql);
        let mut found = Vec::new();
        loop {
            match lexer.next() {
                Ok((Token::End, _)) => return found,
                Ok((token, _)) => found.push(format!("{token:?}")),
                Err(error) => return vec![error.class],
            }
        }
    }

    #[test]
    fn a_string_has_sparks_escapes() {
        for (sql, expected) in [
            (r"'a\\b'", r"a\b"),
            (r"'it\'s'", "it's"),
            ("'it''s'", "it's"),
            (r"'line\nbreak\ttab'", "line\nbreak\ttab"),
            (r"'nul\0'", "nul\0"),
            (r"'\u00e9'", "é"),
            (r"'\U0001F600'", "😀"),
            (r"'\101'", "A"),
            (r"'100\%'", r"100\%"),
            (r"'\q'", "q"),
            (r"r'a\n'", r"a\n"),
            ("\"double\"", "double"),
            ("'😀'", "😀"),
            (r"'\'); DROP TABLE t; --'", "'); DROP TABLE t; --"),
        ] {
            let (token, _) = Lexer::new(sql).next().unwrap();
            assert_eq!(token, Token::Text(expected.into()), "{sql}");
        }
    }

    #[test]
    fn signs_words_and_numbers_are_told_apart() {
        assert_eq!(
            tokens("a.`b``c`<=>1.5D -- rest\n/* x */ 12L :p 1e-3 .5"),
            [
                r#"Word("a")"#,
                r#"Sign(".")"#,
                r#"Name("b`c")"#,
                r#"Sign("<=>")"#,
                r#"Number("1.5D")"#,
                r#"Number("12L")"#,
                r#"Parameter("p")"#,
                r#"Number("1e-3")"#,
                r#"Number(".5")"#,
            ]
        );
    }

    #[test]
    fn an_unclosed_string_is_a_syntax_error() {
        for sql in ["'open", "`open", "r'open", r"'open\"] {
            assert_eq!(tokens(sql), ["PARSE_SYNTAX_ERROR"], "{sql}");
        }
    }
}
