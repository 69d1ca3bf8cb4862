//! DataFusion's failures in Spark's classes.

use deltalake::datafusion::common::SchemaError;
use deltalake::datafusion::error::DataFusionError;

use crate::sql::error::SqlError;
use crate::storage::told;

/// DataFusion's failure of a query in Spark's classes.
pub(super) fn translated(sql: &str, error: &DataFusionError) -> SqlError {
    let root = error.find_root();
    let text = root.strip_backtrace();
    if let Some(refusal) = told(&text) {
        return SqlError::internal(&refusal);
    }
    match root {
        DataFusionError::SQL(..) => return syntax(sql, &text),
        DataFusionError::SchemaError(error, _) => {
            if let Some(refused) = of_schema(error) {
                return refused;
            }
        }
        _ => {}
    }
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    if has(&["divide by zero"]) {
        return SqlError::new(
            "DIVIDE_BY_ZERO",
            "22012",
            "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead.",
        );
    }
    if has(&["can't cast value", "overflow", "out of range"]) {
        return SqlError::new("ARITHMETIC_OVERFLOW", "22003", format!("{text}."));
    }
    if has(&["cannot cast", "error parsing", "parser error"]) {
        return SqlError::new(
            "CAST_INVALID_INPUT",
            "22018",
            format!("The value cannot be cast because it is malformed: {text}."),
        );
    }
    if has(&["invalid function"]) {
        return SqlError::new(
            "UNRESOLVED_ROUTINE",
            "42883",
            format!("Cannot resolve a routine: {text}."),
        );
    }
    SqlError::new("UNSUPPORTED_FEATURE.EMULATOR", "0A000", format!("{text}."))
}

fn of_schema(error: &SchemaError) -> Option<SqlError> {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names = valid_fields.iter().map(|field| field.name.as_str());
            Some(SqlError::unresolved(&field.name, names))
        }
        SchemaError::AmbiguousReference { field } => Some(SqlError::new(
            "AMBIGUOUS_REFERENCE",
            "42704",
            format!("Reference `{}` is ambiguous.", field.name),
        )),
        _ => None,
    }
}

fn syntax(sql: &str, text: &str) -> SqlError {
    let near = near(text);
    let at = if near.is_empty() {
        sql.len()
    } else {
        sql.find(&near).unwrap_or(0)
    };
    SqlError::syntax(sql, at, &near)
}

/// The word that the parser stopped at; none at the end of the text.
fn near(text: &str) -> String {
    let found = text.split("found: ").nth(1).unwrap_or_default();
    match found.split_once(" at Line") {
        Some((word, _)) if word != "EOF" => word.to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::error::ArrowError;
    use deltalake::datafusion::common::Column;

    use super::*;

    fn class(error: DataFusionError) -> String {
        translated("SELECT 1", &error).class
    }

    #[test]
    fn a_failure_has_sparks_class() {
        let of_arrow = |error: ArrowError| DataFusionError::ArrowError(Box::new(error), None);
        let of_cast = |text: &str| of_arrow(ArrowError::CastError(text.to_owned()));
        for (error, expected) in [
            (of_arrow(ArrowError::DivideByZero), "DIVIDE_BY_ZERO"),
            (
                of_cast("Cannot cast string 'x' to value of Int32 type"),
                "CAST_INVALID_INPUT",
            ),
            (
                of_cast("Can't cast value 3000000000 to type Int32"),
                "ARITHMETIC_OVERFLOW",
            ),
            (
                DataFusionError::Plan("Invalid function 'nosuch'".to_owned()),
                "UNRESOLVED_ROUTINE",
            ),
            (
                DataFusionError::NotImplemented("that".to_owned()),
                "UNSUPPORTED_FEATURE.EMULATOR",
            ),
            (
                DataFusionError::External("Generic S3 error: the S3 server at X does not answer".into()),
                "INTERNAL_ERROR",
            ),
        ] {
            assert_eq!(class(error), expected);
        }
    }

    #[test]
    fn an_unknown_column_is_named_and_others_are_suggested() {
        let not_found = |valid_fields: Vec<Column>| {
            let field = Box::new(Column::from_qualified_name("t.nosuch"));
            let error = SchemaError::FieldNotFound { field, valid_fields };
            DataFusionError::SchemaError(Box::new(error), Box::new(None))
        };
        let told = translated("", &not_found(vec![Column::from_qualified_name("c.s.t.id")])).text();
        assert!(told.starts_with("[UNRESOLVED_COLUMN.WITH_SUGGESTION] "), "{told}");
        assert!(told.contains("`nosuch`") && told.contains("[`id`]"), "{told}");
        assert_eq!(
            class(not_found(Vec::new())),
            "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION"
        );
    }
}
