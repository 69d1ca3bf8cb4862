//! What this plugin adds to the failures of `databricks-client` (DBX-001 to DBX-030, each with its remedy there).
//!
//! | code | means | remedy |
//! |---|---|---|
//! | SQLW-001 | the table is missing and may be made | nothing: the host has it made |
//! | SQLW-002 | one change is longer than a statement may be | shorten the resource's text; it is in the dead letters |
//! | SQLW-003 | a value has no literal: no number, or a day outside the years 1 to 9999 | correct the resource |
//! | SQLW-004 | the host broke the contract: a write before `open`, a type outside the set | report it with the log |
//! | SQLW-005 | a plan has differences that only an operator may close | run the statements that it names |
//! | SQLW-006 | the table is there with other columns | drop it, or name another |
//! | SQLW-007 | the merge's mode or format is not one of this plugin's | use another plugin for it |
//! | SQLW-008 | the table is there and its columns may not be seen | grant what the message names |

use lakefeed_databricks_client::DatabricksError;
use lakefeed_plugin_api::{Category, PluginError};
use thiserror::Error;

/// A failure of this plugin.
#[derive(Debug, Error)]
pub enum SqlError {
    /// The workspace, or a statement.
    #[error(transparent)]
    Databricks(#[from] DatabricksError),
    /// The table is missing.
    #[error("table `{table}` does not exist, or may not be seen")]
    NoTable {
        /// Its name.
        table: String,
    },
    /// The host broke the contract.
    #[error("{what}")]
    Contract {
        /// In which way.
        what: &'static str,
    },
    /// The plan has differences that this plugin does not close.
    #[error("the plan holds differences that only an operator may close: columns {columns}")]
    Blocked {
        /// The columns.
        columns: String,
    },
    /// The table is there with other columns.
    #[error("table `{table}` is there and lacks the columns {columns}")]
    OtherColumns {
        /// Its name.
        table: String,
        /// What it lacks.
        columns: String,
    },
    /// The table is there, and the catalog shows no column of it.
    #[error("table `{table}` is there, and the service principal may not see it")]
    Unseen {
        /// Its name.
        table: String,
    },
    /// The merge asks for what this plugin does not do.
    #[error("{what} is not supported")]
    Unsupported {
        /// What it asks for.
        what: &'static str,
    },
}

impl From<SqlError> for PluginError {
    fn from(error: SqlError) -> Self {
        let message = error.to_string();
        let (category, code, hint) = match error {
            SqlError::Databricks(error) => return error.into(),
            SqlError::NoTable { .. } => (
                Category::SchemaMismatch,
                "SQLW-001",
                "create it, or grant USE CATALOG, USE SCHEMA and SELECT",
            ),
            SqlError::Contract { .. } => (Category::PluginContract, "SQLW-004", "report it with the log"),
            SqlError::Blocked { .. } => (
                Category::SchemaIncompatible,
                "SQLW-005",
                "run the statements that the plan names, then resume",
            ),
            SqlError::OtherColumns { .. } => (
                Category::SchemaMismatch,
                "SQLW-006",
                "drop it, or name another table",
            ),
            SqlError::Unseen { .. } => (
                Category::AuthDenied,
                "SQLW-008",
                "grant SELECT and MODIFY on it; `lakefeed check --connect` prints the statements",
            ),
            SqlError::Unsupported { .. } => (
                Category::TargetUnsupported,
                "SQLW-007",
                "name another plugin for it",
            ),
        };
        PluginError::new(category, code, message).hint(hint)
    }
}
