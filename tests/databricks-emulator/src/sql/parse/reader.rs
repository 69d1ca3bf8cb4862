//! A statement, token by token, with one token ahead.

use super::Name;
use crate::sql::error::SqlError;
use crate::sql::lex::{Lexer, Span, Token};
use crate::types::{Column, parse_type};

pub(super) struct Reader<'a> {
    pub(super) sql: &'a str,
    lexer: Lexer<'a>,
    pub(super) token: Token<'a>,
    pub(super) span: Span,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sql: &'a str) -> Result<Self, SqlError> {
        let mut lexer = Lexer::new(sql);
        let (token, span) = lexer.next()?;
        Ok(Self {
            sql,
            lexer,
            token,
            span,
        })
    }

    pub(super) fn advance(&mut self) -> Result<(), SqlError> {
        (self.token, self.span) = self.lexer.next()?;
        Ok(())
    }

    /// The error of a token that cannot be where it is.
    pub(super) fn wrong(&self) -> SqlError {
        let near = self.sql.get(self.span.start..self.span.end).unwrap_or_default();
        SqlError::syntax(self.sql, self.span.start, near)
    }

    pub(super) fn is_end(&self) -> bool {
        self.token == Token::End
    }

    /// Nothing but a semicolon may follow; a second statement is refused.
    pub(super) fn end(&mut self) -> Result<(), SqlError> {
        while self.eat_sign(";")? {}
        if self.is_end() { Ok(()) } else { Err(self.wrong()) }
    }

    /// The token as a keyword, in capitals.
    pub(super) fn word(&self) -> Option<String> {
        match self.token {
            Token::Word(word) => Some(word.to_uppercase()),
            _ => None,
        }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    pub(super) fn eat(&mut self, word: &str) -> Result<bool, SqlError> {
        let is_there = self.is_word(word);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    /// Words that must follow.
    pub(super) fn expect(&mut self, words: &str) -> Result<(), SqlError> {
        for word in words.split(' ') {
            if !self.eat(word)? {
                return Err(self.wrong());
            }
        }
        Ok(())
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.token == Token::Sign(sign)
    }

    pub(super) fn eat_sign(&mut self, sign: &str) -> Result<bool, SqlError> {
        let is_there = self.is_sign(sign);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Result<(), SqlError> {
        if self.eat_sign(sign)? {
            Ok(())
        } else {
            Err(self.wrong())
        }
    }

    /// One part of a name.
    pub(super) fn part(&mut self) -> Result<String, SqlError> {
        let part = match &self.token {
            Token::Word(word) => (*word).to_owned(),
            Token::Name(name) => name.clone().into_owned(),
            _ => return Err(self.wrong()),
        };
        self.advance()?;
        Ok(part)
    }

    /// A name of one to three parts.
    pub(super) fn name(&mut self) -> Result<Name, SqlError> {
        let mut parts = vec![self.part()?];
        while self.eat_sign(".")? {
            parts.push(self.part()?);
        }
        if parts.len() > 3 {
            return Err(self.wrong());
        }
        Ok(parts)
    }

    pub(super) fn text(&mut self) -> Result<String, SqlError> {
        let Token::Text(text) = &self.token else {
            return Err(self.wrong());
        };
        let text = text.clone().into_owned();
        self.advance()?;
        Ok(text)
    }

    /// IF EXISTS.
    pub(super) fn if_exists(&mut self) -> Result<bool, SqlError> {
        if !self.eat("IF")? {
            return Ok(false);
        }
        self.expect("EXISTS").map(|()| true)
    }

    /// IF NOT EXISTS.
    pub(super) fn if_not_exists(&mut self) -> Result<bool, SqlError> {
        if !self.eat("IF")? {
            return Ok(false);
        }
        self.expect("NOT EXISTS").map(|()| true)
    }

    /// The text from the current token to one that `ends` accepts outside of parentheses, which is then the current one.
    pub(super) fn text_until(&mut self, ends: impl Fn(&Self) -> bool) -> Result<&'a str, SqlError> {
        let start = self.span.start;
        let mut depth = 0_i32;
        while !(depth == 0 && ends(self)) {
            match self.token {
                Token::End => return Err(self.wrong()),
                Token::Sign("(" | "<" | "[") => depth += 1,
                Token::Sign(")" | ">" | "]") => depth -= 1,
                _ => {}
            }
            self.advance()?;
        }
        Ok(self.sql[start..self.span.start].trim())
    }

    /// The text up to a sign or word outside of parentheses; `<` and `>` are comparisons here.
    pub(super) fn expression_until(&mut self, ends: impl Fn(&Self) -> bool) -> Result<&'a str, SqlError> {
        let start = self.span.start;
        let mut depth = 0_i32;
        while !(depth == 0 && ends(self)) {
            match self.token {
                Token::End => return Err(self.wrong()),
                Token::Sign("(") => depth += 1,
                Token::Sign(")") => depth -= 1,
                _ => {}
            }
            self.advance()?;
        }
        Ok(self.sql[start..self.span.start].trim())
    }

    /// Columns with their types, between parentheses that are already open; the closing one is passed.
    pub(super) fn columns(&mut self) -> Result<Vec<Column>, SqlError> {
        let mut columns = Vec::new();
        loop {
            if self.is_word("CONSTRAINT") || self.is_word("PRIMARY") {
                // Informational only.
                self.expression_until(|reader| reader.is_sign(",") || reader.is_sign(")"))?;
            } else {
                columns.push(self.column()?);
            }
            if self.eat_sign(",")? {
                continue;
            }
            self.expect_sign(")")?;
            return Ok(columns);
        }
    }

    /// A column: name, type, NOT NULL, DEFAULT, COMMENT.
    pub(super) fn column(&mut self) -> Result<Column, SqlError> {
        let name = self.part()?;
        let start = self.span;
        let ends = |reader: &Self| {
            reader.is_end()
                || reader.is_sign(",")
                || reader.is_sign(")")
                || reader.is_sign(";")
                || ["NOT", "NULL", "COMMENT", "DEFAULT", "FIRST", "AFTER", "PRIMARY"]
                    .iter()
                    .any(|word| reader.is_word(word))
        };
        let text = self.text_until(ends)?;
        let Some(sql_type) = parse_type(text) else {
            let shown = text.to_uppercase();
            if shown.is_empty() {
                return Err(SqlError::syntax(self.sql, start.start, &shown));
            }
            return Err(SqlError::new(
                "UNSUPPORTED_DATATYPE",
                "0A000",
                format!("Unsupported data type \"{shown}\"."),
            ));
        };
        let mut column = Column::new(&name, sql_type);
        loop {
            if self.eat("NOT")? {
                self.expect("NULL")?;
                column.nullable = false;
            } else if self.eat("COMMENT")? {
                column.comment = Some(self.text()?);
            } else if self.is_word("PRIMARY") {
                self.expect("PRIMARY KEY")?;
            } else if self.is_word("DEFAULT") {
                return Err(SqlError::unsupported("column defaults"));
            } else {
                return Ok(column);
            }
        }
    }
}
