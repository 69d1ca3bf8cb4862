//! The text of a type, as SQL, Unity Catalog and Delta write it.

use super::{Column, SqlType};

/// The type that a text names, in any case; none if it names none.
pub(crate) fn parse_type(text: &str) -> Option<SqlType> {
    let mut reader = Reader { rest: text };
    let found = reader.sql_type()?;
    reader.rest.trim().is_empty().then_some(found)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn word(&mut self) -> String {
        self.rest = self.rest.trim_start();
        if let Some(quoted) = self.rest.strip_prefix('`') {
            let end = quoted.find('`').unwrap_or(quoted.len());
            let word = quoted[..end].to_owned();
            self.rest = quoted.get(end + 1..).unwrap_or_default();
            return word;
        }
        let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
        let end = self.rest.find(|sign| !is_word(sign)).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        self.rest = &self.rest[end..];
        word
    }

    fn eat(&mut self, sign: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(sign)?;
        Some(())
    }

    fn sql_type(&mut self) -> Option<SqlType> {
        let word = self.word().to_lowercase();
        Some(match word.as_str() {
            "boolean" => SqlType::Boolean,
            "tinyint" | "byte" => SqlType::TinyInt,
            "smallint" | "short" => SqlType::SmallInt,
            "int" | "integer" => SqlType::Int,
            "bigint" | "long" => SqlType::BigInt,
            "float" | "real" => SqlType::Float,
            "double" => SqlType::Double,
            "decimal" | "dec" | "numeric" => self.decimal()?,
            "date" => SqlType::Date,
            "timestamp" | "timestamp_ltz" => SqlType::Timestamp,
            "timestamp_ntz" => SqlType::TimestampNtz,
            "string" => SqlType::String,
            "varchar" | "char" => self.characters()?,
            "binary" => SqlType::Binary,
            "array" => {
                self.eat('<')?;
                let item = self.sql_type()?;
                self.eat('>')?;
                SqlType::Array(Box::new(item))
            }
            "map" => {
                self.eat('<')?;
                let key = self.sql_type()?;
                self.eat(',')?;
                let value = self.sql_type()?;
                self.eat('>')?;
                SqlType::Map(Box::new(key), Box::new(value))
            }
            "struct" => SqlType::Struct(self.members()?),
            _ => return None,
        })
    }

    fn decimal(&mut self) -> Option<SqlType> {
        if self.eat('(').is_none() {
            return Some(SqlType::Decimal(10, 0));
        }
        let precision = self.word().parse().ok()?;
        let scale: i8 = match self.eat(',') {
            Some(()) => self.word().parse().ok()?,
            None => 0,
        };
        self.eat(')')?;
        let fits = (1..=38).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision;
        fits.then_some(SqlType::Decimal(precision, scale))
    }

    fn characters(&mut self) -> Option<SqlType> {
        self.eat('(')?;
        self.word().parse::<u32>().ok()?;
        self.eat(')')?;
        Some(SqlType::String)
    }

    fn members(&mut self) -> Option<Vec<Column>> {
        self.eat('<')?;
        let mut members = Vec::new();
        loop {
            let name = self.word();
            self.eat(':').unwrap_or_default();
            members.push(Column::new(&name, self.sql_type()?));
            if self.eat(',').is_none() {
                self.eat('>')?;
                return Some(members);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_type_is_read_in_any_case() {
        for (text, expected) in [
            ("BIGINT", Some(SqlType::BigInt)),
            ("Decimal(12, 3)", Some(SqlType::Decimal(12, 3))),
            ("decimal", Some(SqlType::Decimal(10, 0))),
            ("varchar(20)", Some(SqlType::String)),
            ("array<array<date>>", parse_type("ARRAY<ARRAY<DATE>>")),
            ("decimal(39,0)", None),
            ("decimal(2,3)", None),
            ("int int", None),
            ("array<int", None),
            ("nosuch", None),
            ("", None),
        ] {
            assert_eq!(parse_type(text), expected, "{text}");
        }
    }
}
