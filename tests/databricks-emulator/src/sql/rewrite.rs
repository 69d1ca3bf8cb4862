//! From Spark's SQL to DataFusion's.
//!
//! Names in backquotes become names in double quotes, strings with escapes become plain ones, typed literals and suffixed
//! numbers become casts. Names are matched without case in Spark and with it in DataFusion, so a name that is a column of
//! one of the tables is written as that column is.

use std::collections::BTreeMap;

use super::error::SqlError;
use super::lex::{Lexer, Token};
use super::moment;

/// How the columns of the tables in question are written, by their lower case.
pub(super) type Spellings = BTreeMap<String, String>;

/// Remembers how a column is written.
pub(super) fn spell(spellings: &mut Spellings, column: &str) {
    spellings.insert(column.to_lowercase(), column.to_owned());
}

/// The same query for DataFusion.
pub(super) fn rewrite(sql: &str, spellings: &Spellings) -> Result<String, SqlError> {
    let mut rewritten = String::with_capacity(sql.len() + 64);
    let mut lexer = Lexer::new(sql);
    let mut copied = 0;
    let mut pending = lexer.next()?;
    loop {
        let (token, span) = pending;
        if token == Token::End {
            break;
        }
        rewritten.push_str(&sql[copied..span.start]);
        copied = span.end;
        pending = lexer.next()?;
        match token {
            Token::Word(word) => {
                if let Token::Text(text) = &pending.0
                    && let Some(cast) = typed(word, text)?
                {
                    rewritten.push_str(&cast);
                    copied = pending.1.end;
                    pending = lexer.next()?;
                    continue;
                }
                let is_call = pending.0 == Token::Sign("(");
                rewritten.push_str(&plain_name(word, is_call, spellings));
            }
            Token::Name(name) => rewritten.push_str(&quoted_name(&name, spellings)),
            Token::Text(text) => {
                rewritten.push('\'');
                rewritten.push_str(&text.replace('\'', "''"));
                rewritten.push('\'');
            }
            Token::Number(number) => rewritten.push_str(&suffixed(number)),
            Token::Sign("==") => rewritten.push('='),
            Token::Sign("<=>") => rewritten.push_str(" IS NOT DISTINCT FROM "),
            Token::Sign(";") if pending.0 == Token::End => {}
            // One statement a request.
            Token::Sign(";") => {
                let near = &sql[pending.1.start..pending.1.end];
                return Err(SqlError::syntax(sql, pending.1.start, near));
            }
            Token::Sign(sign) => rewritten.push_str(sign),
            Token::Parameter(_) => rewritten.push_str(&sql[span.start..span.end]),
            Token::End => {}
        }
    }
    Ok(rewritten)
}

fn plain_name(word: &str, is_call: bool, spellings: &Spellings) -> String {
    let lower = word.to_lowercase();
    if is_call {
        return word.to_owned();
    }
    match spellings.get(&lower) {
        Some(spelling) if *spelling != lower => format!("\"{spelling}\""),
        _ => word.to_owned(),
    }
}

fn quoted_name(name: &str, spellings: &Spellings) -> String {
    let lower = name.to_lowercase();
    let spelling = spellings.get(&lower).unwrap_or(&lower);
    format!("\"{}\"", spelling.replace('"', "\"\""))
}

/// A number with Spark's suffix as a cast.
fn suffixed(number: &str) -> String {
    let upper = number.to_uppercase();
    let cast = |digits: &str, to: &str| format!("CAST({digits} AS {to})");
    if let Some(digits) = upper.strip_suffix("BD") {
        let scale = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let precision = digits.bytes().filter(u8::is_ascii_digit).count().max(1);
        return format!("CAST('{digits}' AS DECIMAL({precision},{scale}))");
    }
    for (suffix, to) in [("L", "BIGINT"), ("S", "SMALLINT"), ("Y", "TINYINT")] {
        if let Some(digits) = upper.strip_suffix(suffix) {
            return cast(digits, to);
        }
    }
    // By way of a text, because a plain fraction is a DECIMAL.
    for (suffix, to) in [("D", "DOUBLE"), ("F", "FLOAT")] {
        if let Some(digits) = upper.strip_suffix(suffix) {
            return cast(&format!("'{digits}'"), to);
        }
    }
    if upper.contains('E') {
        return cast(&format!("'{upper}'"), "DOUBLE");
    }
    number.to_owned()
}

/// `DATE'…'` and its like; none if the word begins no typed literal.
fn typed(word: &str, text: &str) -> Result<Option<String>, SqlError> {
    let name = word.to_uppercase();
    let wrong = || {
        SqlError::new(
            "INVALID_TYPED_LITERAL",
            "42604",
            format!("The value of the typed literal \"{name}\" is invalid: '{text}'."),
        )
    };
    Ok(Some(match name.as_str() {
        "DATE" => {
            let days = moment::date(text).ok_or_else(wrong)?;
            format!("arrow_cast(CAST({days} AS INT), 'Date32')")
        }
        "TIMESTAMP" | "TIMESTAMP_LTZ" => {
            let micros = moment::timestamp(text).ok_or_else(wrong)?;
            format!("arrow_cast(CAST({micros} AS BIGINT), 'Timestamp(Microsecond, Some(\"UTC\"))')")
        }
        "TIMESTAMP_NTZ" => {
            let micros = moment::timestamp(text).ok_or_else(wrong)?;
            format!("arrow_cast(CAST({micros} AS BIGINT), 'Timestamp(Microsecond, None)')")
        }
        "X" => format!("X'{text}'"),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparks_spelling_becomes_the_engines() {
        let mut spellings = Spellings::new();
        spell(&mut spellings, "birthDate");
        spell(&mut spellings, "id");
        for (sql, expected) in [
            (
                "SELECT `Id`, BIRTHDATE FROM `c`.s.t",
                "SELECT \"id\", \"birthDate\" FROM \"c\".s.t",
            ),
            (r"SELECT 'it\'s', '\\'", r"SELECT 'it''s', '\'"),
            (
                "SELECT 1.5D, 2L, 1.50BD, 1e3, 1.5",
                "SELECT CAST('1.5' AS DOUBLE), CAST(2 AS BIGINT), CAST('1.50' AS DECIMAL(3,2)), CAST('1E3' AS DOUBLE), 1.5",
            ),
            (
                "SELECT a == b AND c <=> d;",
                "SELECT a = b AND c  IS NOT DISTINCT FROM  d",
            ),
            (
                "WHERE d = DATE'1970-01-02'",
                "WHERE d = arrow_cast(CAST(1 AS INT), 'Date32')",
            ),
            ("SELECT 'c.s''t'", "SELECT 'c.s''t'"),
        ] {
            assert_eq!(rewrite(sql, &spellings).unwrap(), expected);
        }
    }

    #[test]
    fn a_second_statement_is_refused() {
        for sql in ["SELECT 1; SELECT 2", "SELECT a FROM t; u", "SELECT 1;;"] {
            let refused = rewrite(sql, &Spellings::new()).unwrap_err();
            assert_eq!(refused.class, "PARSE_SYNTAX_ERROR", "{sql}");
        }
        assert_eq!(
            rewrite("SELECT 1 ; -- end", &Spellings::new()).unwrap(),
            "SELECT 1 "
        );
    }

    #[test]
    fn a_typed_literal_that_is_wrong_is_refused() {
        let refused = rewrite("SELECT DATE'zz'", &Spellings::new()).unwrap_err();
        assert_eq!(refused.class, "INVALID_TYPED_LITERAL");
    }
}
