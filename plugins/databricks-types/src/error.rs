//! What can be wrong with a view's columns, with a stable code each.
//!
//! | code | means | remedy |
//! |---|---|---|
//! | TYPES-001 | the table cannot have a column of that name | rename the column in the view |
//! | TYPES-002 | two columns differ by the case of letters alone | rename one of them |
//! | TYPES-003 | a column asks for a type that is not written here | drop or change its `ansi/type` tag |
//! | TYPES-004 | the view has more columns than the ingest service takes | drop some, or split the view |

use lakefeed_plugin_api::{Category, PluginError};
use thiserror::Error;

/// A view that no table here can hold. Columns are named by where they stand in the ViewDefinition.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TypesError {
    /// The name is not one that the ingest service and Delta both take.
    #[error("view `{view}`, select.column `{column}` (the {place}.): {problem}")]
    Name {
        /// The view.
        view: String,
        /// The column.
        column: String,
        /// Its place among the view's columns, from 1.
        place: usize,
        /// What is wrong with its name.
        problem: &'static str,
    },
    /// Names are compared without regard to case.
    #[error(
        "view `{view}`, select.column `{column}` (the {place}.): another column has this name but for its case"
    )]
    Twice {
        /// The view.
        view: String,
        /// The column.
        column: String,
        /// Its place among the view's columns, from 1.
        place: usize,
    },
    /// The type is outside the closed set.
    #[error(
        "view `{view}`, select.column `{column}`: the type `{asked}` is not one of those that are written here"
    )]
    Type {
        /// The view.
        view: String,
        /// The column.
        column: String,
        /// What it asks for.
        asked: String,
    },
    /// Too many.
    #[error("view `{view}` has {count} columns, and the ingest service takes {most} at most")]
    Columns {
        /// The view.
        view: String,
        /// How many it has.
        count: usize,
        /// How many may be.
        most: usize,
    },
}

impl From<TypesError> for PluginError {
    fn from(error: TypesError) -> Self {
        let (code, hint) = match &error {
            TypesError::Name { .. } => ("TYPES-001", "rename the column: letters, digits and `_`"),
            TypesError::Twice { .. } => ("TYPES-002", "rename one of the two"),
            TypesError::Type { .. } => (
                "TYPES-003",
                "drop the `ansi/type` tag, or use STRING, DATE, TIMESTAMP, INT, BIGINT, DOUBLE, BOOLEAN or BINARY",
            ),
            TypesError::Columns { .. } => ("TYPES-004", "drop some, or split the view"),
        };
        PluginError::new(Category::ConfigInvalid, code, error.to_string()).hint(hint)
    }
}
