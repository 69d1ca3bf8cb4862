//! The rows of `INSERT … VALUES`, straight from their text into Arrow columns.
//!
//! This is what a warehouse plugin sends most, so it goes through no query engine: a literal is read and stored in its
//! column, or refused in the class that Spark's store assignment refuses it with. What is no literal (a call, an
//! expression) makes the whole list one for the query engine.

use super::error::SqlError;
use super::lex::{Lexer, Span, Token};
use super::moment::{date, timestamp};
use super::store::store;
use crate::rows::Rows;
use crate::types::{Column, SqlType, parse_type};

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    /// A fixed number, as written.
    Decimal(String),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Days.
    Date(i32),
    /// Microseconds, UTC.
    Timestamp(i64),
    Array(Vec<Value>),
    /// Keys and values, one after the other.
    Pairs(Vec<Value>),
}

/// Why a list of rows is not read here.
pub(super) enum NotRead {
    /// It is for the query engine.
    Expression,
    /// It is wrong.
    Wrong(SqlError),
}

impl From<SqlError> for NotRead {
    fn from(error: SqlError) -> Self {
        Self::Wrong(error)
    }
}

/// Which columns the values of a row go to, in order.
pub(super) struct Target<'a> {
    /// `c.s.t`
    pub(super) table: &'a str,
    pub(super) columns: &'a [Column],
    pub(super) places: Vec<usize>,
    /// Whether the statement names the columns.
    pub(super) is_listed: bool,
}

/// Reads the rows that begin at `from`.
pub(super) fn read_values(sql: &str, from: usize, target: &Target<'_>) -> Result<Rows, NotRead> {
    let mut reader = Values {
        sql,
        lexer: Lexer::new(&sql[from..]),
        from,
        token: Token::End,
        span: Span::default(),
    };
    reader.advance()?;
    let mut rows = Rows::new(target.columns, sql.len() / 256 + 1);
    let mut kinds: Vec<Option<&'static str>> = vec![None; target.places.len()];
    let mut row = Vec::with_capacity(target.places.len());
    loop {
        row.clear();
        reader.row(&mut row)?;
        check_arity(&row, target, rows.count())?;
        check_kinds(&row, &mut kinds)?;
        store_row(&mut rows, &mut row, target)?;
        if reader.token == Token::Sign(",") {
            reader.advance()?;
            continue;
        }
        if reader.token == Token::Sign(";") {
            reader.advance()?;
        }
        if reader.token == Token::End {
            return Ok(rows);
        }
        // `VALUES … ORDER BY` and its like.
        return Err(NotRead::Expression);
    }
}

fn check_arity(row: &[Value], target: &Target<'_>, index: usize) -> Result<(), SqlError> {
    let (found, wanted) = (row.len(), target.places.len());
    if found == wanted {
        return Ok(());
    }
    if index > 0 {
        return Err(SqlError::new(
            "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH",
            "42000",
            format!(
                "Invalid inline table. Inline table expected {wanted} columns but found {found} columns in row {index}."
            ),
        ));
    }
    Err(arity(target.table, wanted, found, target.is_listed))
}

/// The refusal of rows that are too short or too long.
pub(super) fn arity(table: &str, wanted: usize, found: usize, is_listed: bool) -> SqlError {
    let quoted = format!("`{}`", table.replace('.', "`.`"));
    if found < wanted && !is_listed {
        return SqlError::new(
            "DELTA_INSERT_COLUMN_ARITY_MISMATCH",
            "42802",
            format!(
                "Cannot write to '{table}', not enough data columns; target table has {wanted} column(s) but the \
                 inserted data has {found} column(s)."
            ),
        );
    }
    let (class, words) = if found < wanted {
        ("NOT_ENOUGH_DATA_COLUMNS", "not enough data columns")
    } else {
        ("TOO_MANY_DATA_COLUMNS", "too many data columns")
    };
    SqlError::new(
        &format!("INSERT_COLUMN_ARITY_MISMATCH.{class}"),
        "21S01",
        format!(
            "Cannot write to {quoted}, the reason is {words}: table columns: {wanted}, data columns: {found}."
        ),
    )
}

/// The values of one column must be of one kind in all rows.
fn check_kinds(row: &[Value], kinds: &mut [Option<&'static str>]) -> Result<(), SqlError> {
    for (index, (value, kind)) in row.iter().zip(kinds).enumerate() {
        let found = match value {
            Value::Null => continue,
            Value::Boolean(_) => "BOOLEAN",
            Value::Integer(_) | Value::Decimal(_) | Value::Double(_) => "numeric",
            Value::Text(_) => "STRING",
            Value::Bytes(_) => "BINARY",
            Value::Date(_) | Value::Timestamp(_) => "datetime",
            Value::Array(_) => "ARRAY",
            Value::Pairs(_) => "MAP",
        };
        if kind.is_some_and(|kind| kind != found) {
            return Err(SqlError::new(
                "INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE",
                "42000",
                format!(
                    "Invalid inline table. Found incompatible types in the column `col{}` for inline table.",
                    index + 1
                ),
            ));
        }
        *kind = Some(found);
    }
    Ok(())
}

fn store_row(rows: &mut Rows, row: &mut Vec<Value>, target: &Target<'_>) -> Result<(), SqlError> {
    for (value, place) in row.drain(..).zip(&target.places) {
        let column = &target.columns[*place];
        if value == Value::Null && !column.nullable {
            return Err(SqlError::not_null(&column.name));
        }
        store(&mut rows.cells[*place], &column.sql_type, value, &column.name)?;
    }
    if target.places.len() < target.columns.len() {
        for (index, column) in target.columns.iter().enumerate() {
            if target.places.contains(&index) {
                continue;
            }
            if !column.nullable {
                return Err(SqlError::not_null(&column.name));
            }
            rows.cells[index].null();
        }
    }
    rows.end_row();
    Ok(())
}

struct Values<'a> {
    sql: &'a str,
    lexer: Lexer<'a>,
    from: usize,
    token: Token<'a>,
    span: Span,
}

impl Values<'_> {
    fn advance(&mut self) -> Result<(), SqlError> {
        (self.token, self.span) = self.lexer.next()?;
        Ok(())
    }

    fn wrong(&self) -> NotRead {
        let span = self.span;
        let near = self
            .sql
            .get(self.from + span.start..self.from + span.end)
            .unwrap_or_default();
        NotRead::Wrong(SqlError::syntax(self.sql, self.from + span.start, near))
    }

    fn is_sign(&self, sign: &str) -> bool {
        self.token == Token::Sign(sign)
    }

    fn row(&mut self, row: &mut Vec<Value>) -> Result<(), NotRead> {
        if !self.is_sign("(") {
            return Err(if self.token == Token::End {
                self.wrong()
            } else {
                NotRead::Expression
            });
        }
        self.advance()?;
        loop {
            row.push(self.value()?);
            if self.is_sign(",") {
                self.advance()?;
                continue;
            }
            if self.is_sign(")") {
                self.advance()?;
                return Ok(());
            }
            return Err(if self.token == Token::End {
                self.wrong()
            } else {
                NotRead::Expression
            });
        }
    }

    fn value(&mut self) -> Result<Value, NotRead> {
        let is_negative = self.is_sign("-");
        if is_negative || self.is_sign("+") {
            self.advance()?;
            return self.number(is_negative);
        }
        match std::mem::replace(&mut self.token, Token::End) {
            Token::Text(text) => {
                let mut text = text.into_owned();
                self.advance()?;
                while let Token::Text(more) = &self.token {
                    text.push_str(more);
                    self.advance()?;
                }
                Ok(Value::Text(text))
            }
            Token::Word(word) => self.word(word),
            token @ Token::Number(_) => {
                self.token = token;
                self.number(false)
            }
            token => {
                self.token = token;
                let is_expression = self.is_sign("(") || matches!(self.token, Token::Name(_));
                Err(if is_expression {
                    NotRead::Expression
                } else {
                    self.wrong()
                })
            }
        }
    }

    fn number(&mut self, is_negative: bool) -> Result<Value, NotRead> {
        let Token::Number(text) = self.token else {
            return Err(NotRead::Expression);
        };
        self.advance()?;
        parse_number(text, is_negative).map_err(NotRead::Wrong)
    }

    /// A literal that begins with a word: TRUE, NULL, DATE'…', CAST('…' AS …), array(…), map(…).
    fn word(&mut self, word: &str) -> Result<Value, NotRead> {
        self.advance()?;
        let name = word.to_uppercase();
        match name.as_str() {
            "NULL" => return Ok(Value::Null),
            "TRUE" => return Ok(Value::Boolean(true)),
            "FALSE" => return Ok(Value::Boolean(false)),
            _ => {}
        }
        if let Token::Text(text) = &self.token {
            let text = text.clone().into_owned();
            let value = typed(&name, &text).ok_or(NotRead::Expression)?;
            let value = value.ok_or_else(|| invalid_typed(&name, &text))?;
            self.advance()?;
            return Ok(value);
        }
        if !self.is_sign("(") {
            return Err(NotRead::Expression);
        }
        match name.as_str() {
            "ARRAY" => Ok(Value::Array(self.list()?)),
            "MAP" => Ok(Value::Pairs(self.list()?)),
            "CAST" => self.cast(),
            _ => Err(NotRead::Expression),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, NotRead> {
        self.advance()?;
        let mut values = Vec::new();
        if self.is_sign(")") {
            self.advance()?;
            return Ok(values);
        }
        loop {
            values.push(self.value()?);
            if self.is_sign(",") {
                self.advance()?;
                continue;
            }
            if self.is_sign(")") {
                self.advance()?;
                return Ok(values);
            }
            return Err(NotRead::Expression);
        }
    }

    fn cast(&mut self) -> Result<Value, NotRead> {
        self.advance()?;
        let value = self.value()?;
        if !matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case("as")) {
            return Err(NotRead::Expression);
        }
        self.advance()?;
        let start = self.span.start;
        let mut depth = 0;
        while !(depth == 0 && self.is_sign(")")) {
            match &self.token {
                Token::Sign("(") => depth += 1,
                Token::Sign(")") => depth -= 1,
                Token::End => return Err(self.wrong()),
                _ => {}
            }
            self.advance()?;
        }
        let text = self
            .sql
            .get(self.from + start..self.from + self.span.start)
            .unwrap_or_default();
        self.advance()?;
        let sql_type = parse_type(text.trim()).ok_or(NotRead::Expression)?;
        cast(value, &sql_type)
    }
}

fn invalid_input(text: &str, sql_type: &SqlType) -> SqlError {
    SqlError::new(
        "CAST_INVALID_INPUT",
        "22018",
        format!(
            "The value '{text}' of the type \"STRING\" cannot be cast to \"{}\" because it is malformed. Correct the \
             value as per the syntax, or change its target type. Use `try_cast` to tolerate malformed input and \
             return NULL instead.",
            sql_type.sql()
        ),
    )
}

/// A cast of a literal that needs no query engine.
fn cast(value: Value, sql_type: &SqlType) -> Result<Value, NotRead> {
    let Value::Text(text) = value else {
        return if value == Value::Null {
            Ok(value)
        } else {
            Err(NotRead::Expression)
        };
    };
    let wrong = || NotRead::Wrong(invalid_input(&text, sql_type));
    match sql_type {
        SqlType::String => Ok(Value::Text(text)),
        SqlType::Date => date(&text).map(Value::Date).ok_or_else(wrong),
        SqlType::Timestamp | SqlType::TimestampNtz => {
            timestamp(&text).map(Value::Timestamp).ok_or_else(wrong)
        }
        SqlType::Double | SqlType::Float => text.trim().parse().map(Value::Double).map_err(|_| wrong()),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            text.trim().parse().map(Value::Integer).map_err(|_| wrong())
        }
        SqlType::Decimal(..) if text.trim().parse::<f64>().is_ok() => {
            Ok(Value::Decimal(text.trim().to_owned()))
        }
        SqlType::Boolean => match text.trim().to_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "y" => Ok(Value::Boolean(true)),
            "false" | "f" | "0" | "no" | "n" => Ok(Value::Boolean(false)),
            _ => Err(wrong()),
        },
        _ => Err(NotRead::Expression),
    }
}

fn invalid_typed(name: &str, text: &str) -> SqlError {
    SqlError::new(
        "INVALID_TYPED_LITERAL",
        "42604",
        format!("The value of the typed literal \"{name}\" is invalid: '{text}'."),
    )
}

/// The value of `NAME'text'`: none if there is no such literal, none inside if the text is wrong.
fn typed(name: &str, text: &str) -> Option<Option<Value>> {
    match name {
        "DATE" => Some(date(text).map(Value::Date)),
        "TIMESTAMP" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" => Some(timestamp(text).map(Value::Timestamp)),
        "X" => Some(bytes(text).map(Value::Bytes)),
        _ => None,
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let padded = if text.len() % 2 == 1 {
        format!("0{text}")
    } else {
        text.to_owned()
    };
    (0..padded.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&padded[at..at + 2], 16).ok())
        .collect()
}

/// A number with its suffix.
fn parse_number(text: &str, is_negative: bool) -> Result<Value, SqlError> {
    let signed = |digits: &str| {
        if is_negative {
            format!("-{digits}")
        } else {
            digits.to_owned()
        }
    };
    let upper = text.to_uppercase();
    let wrong = || invalid_typed("number", text);
    if let Some(digits) = upper.strip_suffix("BD") {
        return Ok(Value::Decimal(signed(digits)));
    }
    if let Some(digits) = upper.strip_suffix(['D', 'F']) {
        return signed(digits).parse().map(Value::Double).map_err(|_| wrong());
    }
    let digits = upper.trim_end_matches(['L', 'S', 'Y']);
    if digits.contains('E') {
        return signed(digits).parse().map(Value::Double).map_err(|_| wrong());
    }
    if digits.contains('.') {
        return Ok(Value::Decimal(signed(digits)));
    }
    match signed(digits).parse() {
        Ok(whole) => Ok(Value::Integer(whole)),
        Err(_) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Ok(Value::Decimal(signed(digits))),
        Err(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests;
