//! Characters to tokens.

use super::{SyntaxError, hint};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name; keywords are names too, until the parser expects an operator.
    Name(String),
    /// A name between backticks, which is never a keyword.
    Quoted(String),
    String(String),
    Integer(String),
    Decimal(String),
    Date(String),
    DateTime(String),
    Time(String),
    /// `%name`
    Variable(String),
    /// `$this`, `$index` or `$total`, without the sign.
    Special(String),
    Symbol(&'static str),
    End,
}

/// A token and the character where it begins, counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

const SYMBOLS: [&str; 24] = [
    "<=", ">=", "!=", "!~", "<", ">", "=", "~", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/",
    "|", "&", ":", ";",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, SyntaxError> {
    let mut lexer = Lexer {
        characters: text.chars().collect(),
        next: 0,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let at = lexer.next + 1;
        let token = lexer.token()?;
        let ended = token == Token::End;
        tokens.push(Placed { token, at });
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer {
    characters: Vec<char>,
    next: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.next + ahead).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.next;
        while self.peek(0).is_some_and(&wanted) {
            self.next += 1;
        }
        self.characters[start..self.next].iter().collect()
    }

    fn skip_blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.take_while(char::is_whitespace);
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('/')) => {
                    self.take_while(|next| next != '\n');
                }
                (Some('/'), Some('*')) => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), SyntaxError> {
        let at = self.next + 1;
        while (self.peek(0), self.peek(1)) != (Some('*'), Some('/')) {
            if self.peek(0).is_none() {
                return Err(SyntaxError::new(
                    at,
                    "a comment without an end",
                    "close it with `*/`",
                ));
            }
            self.next += 1;
        }
        self.next += 2;
        Ok(())
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        match self.peek(0) {
            None => Ok(Token::End),
            Some('\'' | '"') => self.string().map(Token::String),
            Some('`') => self.string().map(Token::Quoted),
            Some('@') => self.moment(),
            Some('%') => self.variable(),
            Some('$') => self.special(),
            Some(next) if next.is_ascii_digit() => Ok(self.number()),
            Some(next) if next.is_ascii_alphabetic() || next == '_' => Ok(Token::Name(self.name())),
            Some(next) => self.symbol(next),
        }
    }

    fn name(&mut self) -> String {
        self.take_while(|next| next.is_ascii_alphanumeric() || next == '_')
    }

    fn symbol(&mut self, next: char) -> Result<Token, SyntaxError> {
        let second = self.peek(1);
        let fits = |symbol: &&str| {
            let mut characters = symbol.chars();
            characters.next() == Some(next) && characters.next().is_none_or(|wanted| Some(wanted) == second)
        };
        let Some(symbol) = SYMBOLS.iter().find(|symbol| fits(symbol)) else {
            return Err(SyntaxError::new(
                self.next + 1,
                format!("unexpected character `{next}`"),
                hint::character(next),
            ));
        };
        self.next += symbol.len();
        Ok(Token::Symbol(symbol))
    }

    fn number(&mut self) -> Token {
        let whole = self.take_while(|next| next.is_ascii_digit());
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|next| next.is_ascii_digit()) {
            self.next += 1;
            let fraction = self.take_while(|next| next.is_ascii_digit());
            return Token::Decimal(format!("{whole}.{fraction}"));
        }
        Token::Integer(whole)
    }

    fn variable(&mut self) -> Result<Token, SyntaxError> {
        let at = self.next + 1;
        self.next += 1;
        let name = match self.peek(0) {
            Some('`' | '\'' | '"') => self.string()?,
            _ => self.take_while(|next| next.is_ascii_alphanumeric() || next == '_' || next == '-'),
        };
        if name.is_empty() {
            return Err(SyntaxError::new(
                at,
                "`%` without a name",
                "write the name of a constant behind it",
            ));
        }
        Ok(Token::Variable(name))
    }

    fn special(&mut self) -> Result<Token, SyntaxError> {
        let at = self.next + 1;
        self.next += 1;
        let name = self.name();
        if ["this", "index", "total"].contains(&name.as_str()) {
            return Ok(Token::Special(name));
        }
        let remedy = if name.is_empty() {
            "leave it out: a path begins at the resource by itself"
        } else {
            "write `$this` for the item at hand, or `$index` for its number"
        };
        Err(SyntaxError::new(at, format!("`${name}` is unknown"), remedy))
    }

    /// `@2020-01-01`, `@2020-01-01T10:00:00Z`, `@T10:00`
    fn moment(&mut self) -> Result<Token, SyntaxError> {
        let at = self.next + 1;
        self.next += 1;
        let date = self.take_while(|next| next.is_ascii_digit() || next == '-');
        let with_time = self.peek(0) == Some('T');
        if !with_time {
            if date.is_empty() {
                return Err(SyntaxError::new(
                    at,
                    "`@` without a date or time",
                    "write `@2024-01-31` or `@T10:30`",
                ));
            }
            return Ok(Token::Date(date));
        }
        self.next += 1;
        let mut time = self.take_while(|next| next.is_ascii_digit() || next == ':');
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|next| next.is_ascii_digit()) {
            self.next += 1;
            time.push('.');
            time.push_str(&self.take_while(|next| next.is_ascii_digit()));
        }
        if date.is_empty() {
            return Ok(Token::Time(time));
        }
        if matches!(self.peek(0), Some('Z' | '+' | '-')) && !time.is_empty() {
            time.extend(self.peek(0));
            self.next += 1;
            time.push_str(&self.take_while(|next| next.is_ascii_digit() || next == ':'));
        }
        Ok(Token::DateTime(format!("{date}T{time}")))
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let at = self.next + 1;
        let quote = self.peek(0);
        self.next += 1;
        let mut text = String::new();
        loop {
            let next = self.peek(0);
            self.next += 1;
            match next {
                None => {
                    return Err(SyntaxError::new(
                        at,
                        "text without an end",
                        "close it with the quote it began with",
                    ));
                }
                Some('\\') => text.push(self.escape()?),
                next if next == quote => return Ok(text),
                Some(next) => text.push(next),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let at = self.next;
        let next = self.peek(0);
        self.next += 1;
        match next {
            Some('r') => Ok('\r'),
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('f') => Ok('\u{c}'),
            Some('u') => self.unicode(at),
            Some(plain @ ('\'' | '"' | '`' | '\\' | '/')) => Ok(plain),
            _ => Err(SyntaxError::new(
                at,
                "an escape that FHIRPath does not know",
                "write `\\\\` for a backslash",
            )),
        }
    }

    fn unicode(&mut self, at: usize) -> Result<char, SyntaxError> {
        let digits: String = (0..4).filter_map(|ahead| self.peek(ahead)).collect();
        self.next += 4;
        let code = u32::from_str_radix(&digits, 16)
            .ok()
            .filter(|_| digits.len() == 4);
        code.and_then(char::from_u32).ok_or_else(|| {
            SyntaxError::new(at, "`\\u` needs four hexadecimal digits", "write it as `\\u00e9`")
        })
    }
}
