//! Why a statement fails, in Spark's classes.

use crate::http::ApiError;

/// A class, its SQLSTATE and a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SqlError {
    pub(crate) class: String,
    pub(crate) sql_state: String,
    message: String,
    /// Line from 1, and position from 0.
    place: Option<(usize, usize)>,
    /// The statement, which a syntax error repeats.
    sql: Option<String>,
}

impl SqlError {
    pub(crate) fn new(class: &str, sql_state: &str, message: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            sql_state: sql_state.to_owned(),
            message: message.into(),
            place: None,
            sql: None,
        }
    }

    /// A sign that cannot be where it is.
    pub(crate) fn syntax(sql: &str, at: usize, near: &str) -> Self {
        let near = if near.is_empty() {
            "end of input".to_owned()
        } else {
            format!("'{near}'")
        };
        let mut error = Self::new(
            "PARSE_SYNTAX_ERROR",
            "42601",
            format!("Syntax error at or near {near}."),
        );
        let before = sql.get(..at).unwrap_or(sql);
        let line = before.matches('\n').count() + 1;
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        error.place = Some((line, before[begin..].chars().count()));
        error.sql = Some(sql.to_owned());
        error
    }

    /// What the service has and this emulator has not.
    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new(
            "UNSUPPORTED_FEATURE.EMULATOR",
            "0A000",
            format!("The emulator does not support {what}."),
        )
    }

    pub(crate) fn no_table(name: &str) -> Self {
        let quoted = name.replace('.', "`.`");
        Self::new(
            "TABLE_OR_VIEW_NOT_FOUND",
            "42P01",
            format!(
                "The table or view `{quoted}` cannot be found. Verify the spelling and correctness of the schema and \
                 catalog."
            ),
        )
    }

    pub(crate) fn no_schema(name: &str) -> Self {
        let quoted = name.replace('.', "`.`");
        Self::new(
            "SCHEMA_NOT_FOUND",
            "42704",
            format!(
                "The schema `{quoted}` cannot be found. Verify the spelling and correctness of the schema and catalog."
            ),
        )
    }

    pub(crate) fn no_catalog(name: &str) -> Self {
        Self::new(
            "NO_SUCH_CATALOG_EXCEPTION",
            "42704",
            format!(
                "Catalog '{name}' was not found. Please verify the catalog name and then retry the query or command again."
            ),
        )
    }

    pub(crate) fn unresolved<'a>(name: &str, suggestions: impl Iterator<Item = &'a str>) -> Self {
        let suggestions: Vec<String> = suggestions.take(5).map(|name| format!("`{name}`")).collect();
        let begin =
            format!("A column, variable, or function parameter with name `{name}` cannot be resolved.");
        if suggestions.is_empty() {
            return Self::new("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", "42703", begin);
        }
        Self::new(
            "UNRESOLVED_COLUMN.WITH_SUGGESTION",
            "42703",
            format!(
                "{begin} Did you mean one of the following? [{}].",
                suggestions.join(", ")
            ),
        )
    }

    pub(crate) fn insufficient(message: &str) -> Self {
        Self::new(
            "INSUFFICIENT_PERMISSIONS",
            "42501",
            format!("Insufficient privileges:\n{message}"),
        )
    }

    pub(crate) fn not_null(column: &str) -> Self {
        Self::new(
            "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
            "23502",
            format!("NOT NULL constraint violated for column: {column}.\n"),
        )
    }

    /// A failure that is the emulator's own.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        Self::new("INTERNAL_ERROR", "XX000", error.to_string())
    }

    /// The whole message, as the API has it.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("[{}] {} SQLSTATE: {}", self.class, self.message, self.sql_state);
        if let Some((line, position)) = self.place {
            text.push_str(&format!(" (line {line}, pos {position})"));
        }
        if let Some(sql) = &self.sql {
            let shown: String = sql.chars().take(2000).collect();
            text.push_str(&format!("\n\n== SQL ==\n{shown}\n"));
        }
        text
    }
}

/// The same refusal as SQL tells it.
impl From<ApiError> for SqlError {
    fn from(error: ApiError) -> Self {
        let code = error.code.as_str().unwrap_or_default();
        match code {
            "PERMISSION_DENIED" => Self::insufficient(&error.message),
            "TABLE_ALREADY_EXISTS" => Self::new("TABLE_OR_VIEW_ALREADY_EXISTS", "42P07", error.message),
            "SCHEMA_ALREADY_EXISTS" => Self::new("SCHEMA_ALREADY_EXISTS", "42P06", error.message),
            "TABLE_DOES_NOT_EXIST" => Self::new("TABLE_OR_VIEW_NOT_FOUND", "42P01", error.message),
            "SCHEMA_DOES_NOT_EXIST" => Self::new("SCHEMA_NOT_FOUND", "42704", error.message),
            "CATALOG_DOES_NOT_EXIST" => Self::new("NO_SUCH_CATALOG_EXCEPTION", "42704", error.message),
            "INVALID_PARAMETER_VALUE" if error.message.contains("overlaps") => {
                Self::new("INVALID_PARAMETER_VALUE.LOCATION_OVERLAP", "22023", error.message)
            }
            "INVALID_PARAMETER_VALUE" if error.message.starts_with("No parent external location") => {
                Self::new("NO_PARENT_EXTERNAL_LOCATION_FOR_PATH", "42000", error.message)
            }
            "INVALID_PARAMETER_VALUE" if error.message.contains("is not empty") => {
                Self::new("SCHEMA_NOT_EMPTY", "2BP01", error.message)
            }
            other => Self::new(other, "22023", error.message),
        }
    }
}

impl From<crate::storage::StorageError> for SqlError {
    fn from(error: crate::storage::StorageError) -> Self {
        Self::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_tells_its_place_and_repeats_the_statement() {
        let sql = "SELECT 1\nFRM t";
        let text = SqlError::syntax(sql, 9, "FRM").text();
        assert!(text.starts_with(
            "[PARSE_SYNTAX_ERROR] Syntax error at or near 'FRM'. SQLSTATE: 42601 (line 2, pos 0)"
        ));
        assert!(text.ends_with("== SQL ==\nSELECT 1\nFRM t\n"));
    }
}
