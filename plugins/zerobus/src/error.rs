//! What can go wrong with the ingest service, with a stable code each, and what the host is told to do about it.
//!
//! What the workspace itself answers (tables, tokens) has codes of `databricks-client`, DBX-001 to DBX-030.
//!
//! | code | means | remedy |
//! |---|---|---|
//! | ZEROBUS-001 | the table is missing | create it; where that is allowed the host does |
//! | ZEROBUS-002 | the table is of a kind that the service does not take | recreate it as the message says |
//! | ZEROBUS-003 | one change is larger than a request may be | shorten it; it is in the dead letters |
//! | ZEROBUS-004 | a value has no JSON: no finite number, or a day outside the years 1 to 9999 | correct the resource |
//! | ZEROBUS-005 | the host broke the contract: a write before `open`, a type outside the set | report it with the log |
//! | ZEROBUS-010 | the service does not know a column of the rows | nothing: it is added, and waited for |
//! | ZEROBUS-011 | the service refuses rows | correct the resource; it is in the dead letters |
//! | ZEROBUS-012 | the service does not know this workspace | correct `databricksWorkspaceId` and `databricksRegion` |
//! | ZEROBUS-013 | the table lies in default storage | recreate its catalog with a storage root of its own |
//! | ZEROBUS-014 | the service refuses the token | see to the grants, the id and the service principal |
//! | ZEROBUS-015 | a grant is missing | grant SELECT and MODIFY on the table itself |
//! | ZEROBUS-016 | the table is gone | create it again; delivery goes on by itself |
//! | ZEROBUS-017 | the service asks for a slower pace | nothing: it is tried again when it says |
//! | ZEROBUS-018 | the service cannot now | nothing: it is tried again |
//! | ZEROBUS-019 | the service does not do this | look at its limits; use `writeMode = managed-sql` |
//! | ZEROBUS-020 | the answer is not one that is known | look for a proxy in between |
//! | ZEROBUS-021 | rows are refused, and a column is of another type than it was | nothing, or what the halt says |

use lakefeed_databricks_client::DatabricksError;
use lakefeed_plugin_api::{Category, PluginError};
use thiserror::Error;

/// A failure of this plugin that is no answer of the service; those are told in `insert`.
#[derive(Debug, Error)]
pub enum ZerobusError {
    /// The workspace.
    #[error(transparent)]
    Databricks(#[from] DatabricksError),
    /// The table is missing.
    #[error("table `{table}` does not exist, or may not be seen")]
    NoTable {
        /// Its name.
        table: String,
    },
    /// The table is of a kind that the service does not take.
    #[error("{problem}")]
    Kind {
        /// What it is.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// The host broke the contract.
    #[error("{what}")]
    Contract {
        /// In which way.
        what: &'static str,
    },
}

impl From<ZerobusError> for PluginError {
    fn from(error: ZerobusError) -> Self {
        let message = error.to_string();
        let (category, code, hint) = match error {
            ZerobusError::Databricks(error) => return error.into(),
            ZerobusError::NoTable { .. } => (
                Category::SchemaMismatch,
                "ZEROBUS-001",
                "create it, or grant USE CATALOG, USE SCHEMA and SELECT",
            ),
            ZerobusError::Kind { hint, .. } => (Category::TargetUnsupported, "ZEROBUS-002", hint),
            ZerobusError::Contract { .. } => {
                (Category::PluginContract, "ZEROBUS-005", "report it with the log")
            }
        };
        PluginError::new(category, code, message).hint(hint)
    }
}
