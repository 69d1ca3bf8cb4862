//! `:name` and `?` in a statement, and the values that are sent beside it.
//!
//! A marker is replaced by a literal before the statement is read, with every sign that could end the literal escaped.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::SqlError;
use super::lex::{Lexer, Token};
use crate::types::{SqlType, parse_type};

/// One value as it is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Parameter {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    value: Option<String>,
    #[serde(rename = "type", default)]
    type_text: Option<String>,
}

/// How many values may be sent beside a statement, and how many bytes of them.
const LIMITS: (usize, usize) = (255, 1024 * 1024);

/// What is wrong with values that are too many or too large, if they are.
pub(super) fn excess(parameters: &[Parameter]) -> Option<String> {
    let (count, bytes) = LIMITS;
    if parameters.len() > count {
        return Some(format!("A statement can have at most {count} parameters."));
    }
    let values = parameters.iter().filter_map(|parameter| parameter.value.as_ref());
    if values.map(String::len).sum::<usize>() > bytes {
        return Some(format!(
            "The parameters of a statement can have at most {bytes} bytes."
        ));
    }
    None
}

/// A text as Spark's literal.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for sign in text.chars() {
        match sign {
            '\\' => literal.push_str("\\\\"),
            '\'' => literal.push_str("\\'"),
            '\0' => literal.push_str("\\0"),
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

fn invalid_value(value: &str, sql_type: &SqlType) -> SqlError {
    SqlError::new(
        "INVALID_VALUE_FOR_DATA_TYPE",
        "22023",
        format!("The value {value} is not valid for the type {}.", sql_type.sql()),
    )
}

impl Parameter {
    fn literal(&self) -> Result<String, SqlError> {
        let text = self.type_text.as_deref().unwrap_or("STRING");
        let sql_type = parse_type(text).ok_or_else(|| bad_type(text))?;
        if matches!(
            sql_type,
            SqlType::Binary | SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_)
        ) {
            return Err(bad_type(text));
        }
        let Some(value) = &self.value else {
            return Ok(format!("CAST(NULL AS {})", sql_type.sql()));
        };
        let is_number = || value.trim().parse::<f64>().is_ok_and(f64::is_finite);
        match sql_type {
            SqlType::String => Ok(quoted(value)),
            SqlType::Boolean => match value.to_lowercase().as_str() {
                "true" | "false" => Ok(value.to_uppercase()),
                _ => Err(invalid_value(value, &sql_type)),
            },
            SqlType::Date | SqlType::Timestamp | SqlType::TimestampNtz => {
                if super::moment::is_moment(value, &sql_type) {
                    Ok(format!("{}{}", sql_type.sql(), quoted(value)))
                } else {
                    Err(invalid_value(value, &sql_type))
                }
            }
            SqlType::Double | SqlType::Float | SqlType::Decimal(..) if is_number() => {
                Ok(format!("CAST({} AS {})", quoted(value.trim()), sql_type.sql()))
            }
            SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt
                if value.trim().parse::<i64>().is_ok() =>
            {
                Ok(format!("CAST({} AS {})", quoted(value.trim()), sql_type.sql()))
            }
            other => Err(invalid_value(value, &other)),
        }
    }
}

fn bad_type(text: &str) -> SqlError {
    SqlError::new(
        "INVALID_PARAMETER_MARKER_VALUE.INVALID_DATA_TYPE",
        "22023",
        format!("The data type {text} cannot be that of a parameter marker."),
    )
}

/// The statement with literals in place of its markers.
pub(super) fn bind(sql: &str, parameters: &[Parameter]) -> Result<String, SqlError> {
    let mut named: BTreeMap<&str, &Parameter> = BTreeMap::new();
    let mut unnamed = Vec::new();
    for parameter in parameters {
        match &parameter.name {
            Some(name) if named.insert(name, parameter).is_some() => {
                return Err(SqlError::new(
                    "INVALID_PARAMETER_MARKER_VALUE.DUPLICATE_NAME",
                    "22023",
                    format!("The parameter marker `{name}` has more than one value."),
                ));
            }
            Some(_) => {}
            None => unnamed.push(parameter),
        }
    }
    if parameters.is_empty() && !sql.contains([':', '?']) {
        return Ok(sql.to_owned());
    }
    let mut bound = String::with_capacity(sql.len());
    let mut lexer = Lexer::new(sql);
    let (mut copied, mut position) = (0, 0);
    let identifiers = identifier_markers(sql)?;
    loop {
        let (token, span) = lexer.next()?;
        let (name, parameter) = match token {
            Token::End => break,
            // `STRUCT<a:INT>` has none.
            Token::Parameter(_) if follows_a_name(sql, span.start) => continue,
            Token::Parameter(name) => (name, named.get(name).copied()),
            Token::Sign("?") => {
                position += 1;
                ("?", unnamed.get(position - 1).copied())
            }
            _ => continue,
        };
        let Some(parameter) = parameter else {
            return Err(SqlError::new(
                "UNBOUND_SQL_PARAMETER",
                "42P02",
                format!("Found the unbound parameter: {name}."),
            ));
        };
        bound.push_str(&sql[copied..span.start]);
        if identifiers.contains(&span.start) {
            bound.push_str(parameter.value.as_deref().unwrap_or_default());
        } else {
            bound.push_str(&parameter.literal()?);
        }
        copied = span.end;
    }
    bound.push_str(&sql[copied..]);
    Ok(without_identifier_calls(&bound))
}

fn follows_a_name(sql: &str, at: usize) -> bool {
    let before = sql.get(..at).and_then(|before| before.chars().next_back());
    before.is_some_and(|sign| sign.is_alphanumeric() || "_`)]".contains(sign))
}

/// Where markers stand that are names: inside `IDENTIFIER(…)`.
fn identifier_markers(sql: &str) -> Result<BTreeSet<usize>, SqlError> {
    let mut found = BTreeSet::new();
    let mut lexer = Lexer::new(sql);
    let mut before = [Token::End, Token::End];
    loop {
        let (token, span) = lexer.next()?;
        if token == Token::End {
            return Ok(found);
        }
        let is_inside = matches!(&before[0], Token::Word(word) if word.eq_ignore_ascii_case("identifier"))
            && before[1] == Token::Sign("(");
        if is_inside && matches!(token, Token::Parameter(_)) {
            found.insert(span.start);
        }
        before = [before[1].clone(), token];
    }
}

/// `IDENTIFIER(c.s.t)` is `c.s.t`.
fn without_identifier_calls(sql: &str) -> String {
    let lower = sql.to_lowercase();
    if lower.len() != sql.len() {
        return sql.to_owned();
    }
    let Some(start) = lower.find("identifier(") else {
        return sql.to_owned();
    };
    let inside = start + "identifier(".len();
    let Some(end) = sql[inside..].find(')') else {
        return sql.to_owned();
    };
    let name = sql[inside..inside + end].trim().trim_matches(['\'', '"']);
    let rest = without_identifier_calls(&sql[inside + end + 1..]);
    format!("{}{name}{rest}", &sql[..start])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, value: Option<&str>, type_text: Option<&str>) -> Parameter {
        Parameter {
            name: (!name.is_empty()).then(|| name.to_owned()),
            value: value.map(str::to_owned),
            type_text: type_text.map(str::to_owned),
        }
    }

    #[test]
    fn markers_become_literals_that_end_where_they_should() {
        let sql = "SELECT ':no', :s, :n, :missing IS NULL FROM IDENTIFIER(:t) WHERE a = ?";
        let parameters = [
            parameter("s", Some("it's \\ ' OR 1=1"), None),
            parameter("n", Some("7"), Some("INT")),
            parameter("missing", None, None),
            parameter("t", Some("c.s.t"), None),
            parameter("", Some("x"), None),
        ];
        assert_eq!(
            bind(sql, &parameters).unwrap(),
            r"SELECT ':no', 'it\'s \\ \' OR 1=1', CAST('7' AS INT), CAST(NULL AS STRING) IS NULL FROM c.s.t WHERE a = 'x'"
        );
    }

    #[test]
    fn what_cannot_be_bound_has_its_class() {
        for (sql, parameters, class) in [
            ("SELECT :x", vec![], "UNBOUND_SQL_PARAMETER"),
            (
                "SELECT :x",
                vec![parameter("x", Some("z"), Some("INT"))],
                "INVALID_VALUE_FOR_DATA_TYPE",
            ),
            (
                "SELECT :x",
                vec![parameter("x", Some("z"), Some("BINARY"))],
                "INVALID_PARAMETER_MARKER_VALUE.INVALID_DATA_TYPE",
            ),
            (
                "SELECT :x",
                vec![parameter("x", None, None), parameter("x", None, None)],
                "INVALID_PARAMETER_MARKER_VALUE.DUPLICATE_NAME",
            ),
        ] {
            assert_eq!(bind(sql, &parameters).unwrap_err().class, class);
        }
    }
}
