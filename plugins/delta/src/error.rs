//! What can go wrong, with a stable code each, and what the host is told to do about it.
//!
//! | code | means | remedy |
//! |---|---|---|
//! | DELTA-001 | a parameter is wrong | correct the destination |
//! | DELTA-002 | Delta cannot hold a column of that name | rename the column in the view |
//! | DELTA-003 | a column asks for a type that the plugin does not write | drop or change its `ansi/type` tag |
//! | DELTA-010 | the table lacks columns of the view | set `autoEvolve`, or add them |
//! | DELTA-011 | a column has another type in the table | change the view, or write to another table |
//! | DELTA-012 | the table demands a column that the view lacks | make it nullable, or add it to the view |
//! | DELTA-013 | the table is partitioned | write to an unpartitioned table |
//! | DELTA-014 | the table uses a feature that this writer does not know | switch the feature off, or write elsewhere |
//! | DELTA-015 | there is a log, and it cannot be read | restore it, or name another folder |
//! | DELTA-016 | rows leave a column empty that the table demands | correct the resources, or make it nullable |
//! | DELTA-017 | the S3 server ignores conditional puts | use one that honours `If-None-Match` |
//! | DELTA-018 | the table holds later batches of this destination than the store knows | see to `lakefeed restore`, or rewind |
//! | DELTA-020 | the disk is full | make room; delivery goes on by itself |
//! | DELTA-021 | not allowed to read or write there | grant the right to the user or key named in the message |
//! | DELTA-022 | the storage does not answer | see to the disk or the server; delivery goes on by itself |
//! | DELTA-023 | other writers took every version that was tried | run fewer writers on the table |
//! | DELTA-030 | the plugin failed in a way that it does not know | report it with the log |
//! | DELTA-031 | the host broke the contract: a write before `open`, an unannounced schema | report it with the log |
//! | DELTA-032 | dropping a table is asked for, which this plugin never does | drop it with the catalog's own means |
//! | DELTA-040 | a warning: the table has more than 10,000 data files | compact it; the README says how |

use std::error::Error as StdError;
use std::io;

use lakefeed_plugin_api::{Category, PluginError, Refusal};
use thiserror::Error;

const TYPES: &str =
    "drop the `ansi/type` tag, or use STRING, DATE, TIMESTAMP, INT, BIGINT, DOUBLE, BOOLEAN or BINARY";

/// A failure of this plugin.
#[derive(Debug, Error)]
pub enum DeltaError {
    /// A parameter is wrong.
    #[error("parameter `{name}`: {problem}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Delta cannot hold a column of that name.
    #[error("column `{column}`: {problem}")]
    ColumnName {
        /// The column.
        column: String,
        /// What is wrong with its name.
        problem: &'static str,
    },
    /// The column asks for a type outside the set that this plugin writes.
    #[error("column `{column}`: the type `{asked}` is not one of those that this plugin writes")]
    ColumnType {
        /// The column.
        column: String,
        /// What it asks for.
        asked: String,
    },
    /// The table lacks columns.
    #[error("the table lacks the columns {}", list(columns))]
    MissingColumns {
        /// The columns, as the view names them.
        columns: Vec<String>,
        /// Whether the host may add them.
        auto_evolve: bool,
    },
    /// Columns differ in a way that only an operator may close.
    #[error("{}", differences.join("; "))]
    Incompatible {
        /// One sentence for each.
        differences: Vec<String>,
    },
    /// The table demands columns that the view lacks.
    #[error("the table demands the columns {}, which the view lacks", list(columns))]
    Demanded {
        /// The columns.
        columns: Vec<String>,
    },
    /// The table is partitioned.
    #[error("the table is partitioned by {}", list(columns))]
    Partitioned {
        /// By which columns.
        columns: Vec<String>,
    },
    /// The table uses a feature that this writer does not know.
    #[error("the table uses {}, which this writer does not support", list(features))]
    Feature {
        /// The features, as the log names them.
        features: Vec<String>,
    },
    /// The log cannot be read.
    #[error("the log of the table cannot be read at version {version}")]
    Log {
        /// The version.
        version: u64,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Rows leave demanded columns empty.
    #[error("{} changes leave a column empty that the table demands", refused.len())]
    Empty {
        /// The changes.
        refused: Vec<Refusal>,
    },
    /// The server ignores the condition by which writers agree on who commits.
    #[error(
        "the server lets an object be created twice, so that writers would overwrite each other's commits"
    )]
    NotExclusive,
    /// The table holds a later batch of the destination, or another one under this number.
    #[error(
        "the table holds batch {seen} of this destination, and batch {number} was sent: the table knows later batches than \
         the store does; the store was set back"
    )]
    SetBack {
        /// The number of the last batch in the table.
        seen: i64,
        /// The number that was sent.
        number: i64,
    },
    /// The storage failed.
    #[error("{doing} failed")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Other writers were always first.
    #[error("other writers took every one of {attempts} versions that were tried")]
    Contended {
        /// How many.
        attempts: u32,
    },
    /// Anything else.
    #[error("{doing} failed")]
    Internal {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl DeltaError {
    /// A failure of the storage while doing that.
    pub(crate) fn storage<E: Into<Box<dyn StdError + Send + Sync>>>(
        doing: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Storage {
            doing,
            source: source.into(),
        }
    }

    /// A failure that nobody foresaw while doing that.
    pub(crate) fn internal<E: Into<Box<dyn StdError + Send + Sync>>>(
        doing: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Internal {
            doing,
            source: source.into(),
        }
    }

    /// The category, the stable code and the remedy.
    fn ruling(&self) -> (Category, &'static str, &'static str) {
        use Category::{
            ConfigInvalid, DataRejected, Internal, RemoteUnavailable, SchemaIncompatible, SchemaMismatch,
            TargetUnsupported,
        };
        match self {
            Self::Parameter { .. } => (ConfigInvalid, "DELTA-001", "correct the destination"),
            Self::ColumnName { .. } => (ConfigInvalid, "DELTA-002", "rename the column in the view"),
            Self::ColumnType { .. } => (ConfigInvalid, "DELTA-003", TYPES),
            Self::MissingColumns {
                auto_evolve: true, ..
            } => (SchemaMismatch, "DELTA-010", "add them"),
            Self::MissingColumns { .. } => (
                ConfigInvalid,
                "DELTA-010",
                "set `autoEvolve`, or add them by hand",
            ),
            Self::Incompatible { .. } => (
                SchemaIncompatible,
                "DELTA-011",
                "change the view, or write elsewhere",
            ),
            Self::Demanded { .. } => (
                SchemaIncompatible,
                "DELTA-012",
                "make them nullable, or add them to the view",
            ),
            Self::Partitioned { .. } => (TargetUnsupported, "DELTA-013", "write to an unpartitioned table"),
            Self::Feature { .. } => (
                TargetUnsupported,
                "DELTA-014",
                "switch it off, or write to another table",
            ),
            Self::Log { .. } => (
                TargetUnsupported,
                "DELTA-015",
                "restore `_delta_log`, or name another folder",
            ),
            Self::Empty { .. } => (
                DataRejected,
                "DELTA-016",
                "make it nullable, or correct the resources",
            ),
            Self::NotExclusive => (
                TargetUnsupported,
                "DELTA-017",
                "use one that honours `If-None-Match` on a put",
            ),
            Self::SetBack { .. } => (
                TargetUnsupported,
                "DELTA-018",
                "use `lakefeed restore` for backups, or rewind the destination",
            ),
            Self::Contended { .. } => (RemoteUnavailable, "DELTA-023", "run fewer writers on this table"),
            Self::Storage { source, .. } => storage_ruling(source.as_ref()),
            Self::Internal { .. } => (Internal, "DELTA-030", "report it, with the log of the host"),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.ruling().1
    }
}

impl From<DeltaError> for PluginError {
    fn from(error: DeltaError) -> Self {
        let (category, code, hint) = error.ruling();
        let mut plugin_error = PluginError::new(category, code, message(&error))
            .hint(hint)
            .detail(chain(&error));
        if let DeltaError::Empty { refused } = error {
            plugin_error.refused = refused;
        }
        plugin_error
    }
}

/// The sentence of the error, with the operating system's own word for it, which never quotes a row.
fn message(error: &DeltaError) -> String {
    let source = StdError::source(error);
    match source.and_then(|source| find::<io::Error>(source)) {
        Some(cause) => format!("{error}: {}", cause.kind()),
        None => error.to_string(),
    }
}

/// The error and its causes: free text, for the dead-letter store.
fn chain(error: &DeltaError) -> String {
    let mut text = error.to_string();
    let mut next = StdError::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn storage_ruling(source: &(dyn StdError + 'static)) -> (Category, &'static str, &'static str) {
    const DENIED: &str = "grant the user or key of this destination the right to read and write there";
    let unavailable = (
        Category::RemoteUnavailable,
        "DELTA-022",
        "see to the disk or the server",
    );
    if let Some(error) = find::<io::Error>(source) {
        return match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
                Category::RemoteUnavailable,
                "DELTA-020",
                "the disk is full: make room",
            ),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (Category::AuthDenied, "DELTA-021", DENIED)
            }
            _ => unavailable,
        };
    }
    match find::<object_store::Error>(source) {
        Some(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) => {
            (Category::AuthDenied, "DELTA-021", DENIED)
        }
        _ => unavailable,
    }
}

/// The first cause of that type in the chain. An `io::Error` that only wraps another error is looked through.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match (cause.downcast_ref::<E>(), inner) {
            (Some(found), None) => return Some(found),
            (_, Some(inner)) => next = Some(inner),
            (None, None) => next = cause.source(),
        }
    }
    None
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakefeed_plugin_api::Retry;

    fn of(kind: io::ErrorKind) -> PluginError {
        let source = object_store::Error::Generic {
            store: "x",
            source: Box::new(io::Error::from(kind)),
        };
        DeltaError::storage("writing a file")(source).into()
    }

    #[test]
    fn a_full_disk_is_named_and_tried_again() {
        let error = of(io::ErrorKind::StorageFull);
        assert_eq!((error.code.as_str(), error.retry), ("DELTA-020", Retry::Backoff));
        assert!(error.hint.contains("full"));
    }

    #[test]
    fn a_missing_right_is_not_tried_again_and_an_unknown_failure_is() {
        assert_eq!(of(io::ErrorKind::PermissionDenied).retry, Retry::Never);
        assert_eq!(of(io::ErrorKind::TimedOut).code, "DELTA-022");
        let forbidden = object_store::Error::PermissionDenied {
            path: "x".into(),
            source: "403".into(),
        };
        let error = PluginError::from(DeltaError::storage("writing a file")(forbidden));
        assert_eq!((error.code.as_str(), error.retry), ("DELTA-021", Retry::Never));
    }

    #[test]
    fn free_text_of_the_storage_is_in_the_detail_alone() {
        let source = io::Error::other("Jane Doe");
        let error = PluginError::from(DeltaError::storage("reading")(source));
        assert!(!error.to_string().contains("Jane"));
        assert!(error.detail.contains("Jane"));
    }

    #[test]
    fn missing_columns_are_named_and_only_added_where_that_was_asked() {
        let error = |auto_evolve| {
            PluginError::from(DeltaError::MissingColumns {
                columns: vec!["a".into(), "b".into()],
                auto_evolve,
            })
        };
        assert_eq!(error(true).retry, Retry::EvolveThenRetry);
        assert_eq!(error(false).category, Category::ConfigInvalid);
        assert_eq!(error(false).message, "the table lacks the columns `a`, `b`");
    }
}
