//! What can go wrong with a Databricks workspace, with a stable code each, and what the host is told to do about it.
//!
//! | code | means | remedy |
//! |---|---|---|
//! | DBX-001 | a parameter is wrong | correct the destination |
//! | DBX-002 | the workspace refuses the token | see to the service principal and its secret |
//! | DBX-003 | a grant is missing | run the GRANT that `lakefeed check --connect` prints |
//! | DBX-004 | the workspace does not answer, or answers that it cannot now | nothing: it is tried again |
//! | DBX-005 | the workspace asks for a slower pace | nothing: it is tried again when it says |
//! | DBX-006 | the answer is not what the service's own documents describe | look for a proxy in between; report it |
//! | DBX-007 | the warehouse does not exist | correct `databricksWarehouseId` |
//! | DBX-008 | what was asked for does not exist, or may not be seen | correct the name, or grant the right to see it |
//! | DBX-009 | the service refuses the request | look at the code that the message names |
//! | DBX-010 | a statement did not end in time | see to the warehouse's size; raise `callTimeoutMs` |
//! | DBX-011 | a statement was cancelled or closed by somebody else | nothing: it is tried again |
//! | DBX-012 | the statement is longer than the service takes | nothing: the batch is split |
//! | DBX-020 | the table is missing, or may not be seen | create it, or grant USE SCHEMA and SELECT |
//! | DBX-021 | the table has other columns than the batch | nothing: missing columns are added |
//! | DBX-022 | a value does not fit its column | correct the resource; it is in the dead letters |
//! | DBX-023 | another writer was first | nothing: it is tried again |
//! | DBX-024 | a column has a type that the values do not fit | change the view, or write to another table |
//! | DBX-025 | the schema or catalog is missing, or may not be seen | create it, or grant USE SCHEMA and USE CATALOG |
//! | DBX-026 | the place overlaps with storage that the catalog manages | choose a sub-folder of the external location |
//! | DBX-027 | a log of other columns lies at the place | choose a fresh folder, or remove the old files |
//! | DBX-028 | it exists already | nothing, where that was wanted |
//! | DBX-029 | external data access is switched off for the metastore | a metastore admin switches it on |
//! | DBX-030 | the plugin failed in a way that it does not know | report it with the log |

use std::time::Duration;

use lakefeed_plugin_api::{Category, PluginError, Remote, Retry};
use thiserror::Error;

use crate::classify::{self, Ruling};

/// An answer that is no success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// `error_code`: a name, or a number's text; empty if the body has none.
    pub code: String,
    /// `reason` of the error's details, such as `LOCATION_OVERLAP`; empty if it has none.
    pub reason: String,
    /// The service's free text, or the body where it is no JSON. May quote anything.
    pub message: String,
    /// The service's name for the request.
    pub request_id: String,
    /// How long the service asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the body was empty.
    pub is_empty: bool,
}

/// A statement that ran and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Spark's error class, such as `UNRESOLVED_COLUMN.WITH_SUGGESTION`; empty if the message names none.
    pub class: String,
    /// The SQLSTATE; empty if there is none.
    pub sql_state: String,
    /// The service's own code, `BAD_REQUEST` for nearly all.
    pub error_code: String,
    /// Free text, which quotes values.
    pub message: String,
    /// The statement's id.
    pub statement_id: String,
}

/// A failure of this library.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum DatabricksError {
    /// A parameter is wrong.
    #[error("parameter `{name}`: {problem}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The host has no token to lend.
    #[error("no token")]
    Token(Box<PluginError>),
    /// No answer came.
    #[error("{doing} failed: {what}")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// In which way, in words of this library.
        what: &'static str,
        /// Whether the request may have arrived.
        may_have_arrived: bool,
        /// The causes, for the detail.
        cause: String,
    },
    /// The answer is no success.
    #[error("{doing} failed")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The answer.
        answer: Box<Refused>,
    },
    /// The answer is a success that cannot be read.
    #[error("{doing}: the answer cannot be read")]
    Unreadable {
        /// What was being done.
        doing: &'static str,
        /// Why, for the detail.
        cause: String,
    },
    /// A statement failed.
    #[error("{doing} failed")]
    Statement {
        /// What was being done.
        doing: &'static str,
        /// How.
        failure: Box<Failure>,
    },
    /// A statement did not end in time, and was cancelled.
    #[error("{doing} did not end in time")]
    TooLate {
        /// What was being done.
        doing: &'static str,
        /// Whether the service said that it left nothing.
        is_cancelled: bool,
        /// The statement's id.
        statement_id: String,
    },
    /// A statement was ended by somebody else.
    #[error("{doing} was cancelled at the workspace")]
    Cancelled {
        /// What was being done.
        doing: &'static str,
        /// The statement's id.
        statement_id: String,
    },
}

impl DatabricksError {
    /// Whether what should be made is there already.
    #[must_use]
    pub fn is_there_already(&self) -> bool {
        self.ruling().code == "DBX-028"
    }

    /// Whether what was asked for is missing, or may not be seen, which the service does not tell apart.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.ruling().code, "DBX-008" | "DBX-020" | "DBX-025")
    }

    /// Whether the service refuses it for want of a right.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.ruling().category == Category::AuthDenied
    }

    fn ruling(&self) -> Ruling {
        use Category::{ConfigInvalid, RemoteUnavailable};
        match self {
            Self::Parameter { .. } => Ruling::new(ConfigInvalid, "DBX-001", "correct the destination"),
            Self::Token(error) => Ruling::new(error.category, "", ""),
            Self::Unreachable { .. } => {
                Ruling::new(RemoteUnavailable, "DBX-004", "it is tried again by itself")
            }
            Self::Refused { answer, .. } => classify::answer(answer),
            Self::Unreadable { .. } => Ruling::new(
                RemoteUnavailable,
                "DBX-006",
                "look for a proxy between here and the workspace",
            ),
            Self::Statement { failure, .. } => classify::statement(failure),
            Self::TooLate { .. } => Ruling::new(
                RemoteUnavailable,
                "DBX-010",
                "see to the warehouse; a longer wait needs a longer `callTimeoutMs`",
            ),
            Self::Cancelled { .. } => {
                Ruling::new(RemoteUnavailable, "DBX-011", "it is tried again by itself")
            }
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Refused { answer, .. } => {
                let code = classify::plain_code(&answer.code);
                let code = if code.is_empty() {
                    String::new()
                } else {
                    format!(" {code}")
                };
                format!("{self}: the workspace answered {}{code}", answer.status)
            }
            Self::Statement { failure, .. } => {
                let class = classify::plain_code(&failure.class);
                let class = if class.is_empty() {
                    classify::plain_code(&failure.error_code)
                } else {
                    class
                };
                let state = classify::plain_code(&failure.sql_state);
                let state = if state.is_empty() {
                    String::new()
                } else {
                    format!(", SQLSTATE {state}")
                };
                format!("{self}: [{class}]{state}")
            }
            _ => self.to_string(),
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Unreachable { cause, .. } | Self::Unreadable { cause, .. } => cause,
            Self::Refused { answer, .. } => &answer.message,
            Self::Statement { failure, .. } => &failure.message,
            _ => "",
        }
    }

    fn remote(&self) -> Remote {
        match self {
            Self::Refused { answer, .. } => Remote {
                status: u32::from(answer.status),
                code: classify::plain_code(&answer.code).to_owned(),
                request_id: classify::plain_id(&answer.request_id).to_owned(),
            },
            Self::Statement { failure, .. } => Remote {
                status: 200,
                code: classify::plain_code(&failure.class).to_owned(),
                request_id: classify::plain_id(&failure.statement_id).to_owned(),
            },
            Self::TooLate { statement_id, .. } | Self::Cancelled { statement_id, .. } => Remote {
                request_id: classify::plain_id(statement_id).to_owned(),
                ..Remote::default()
            },
            _ => Remote::default(),
        }
    }

    /// Whether what was asked for may have been done although it failed.
    fn is_outcome_unknown(&self, ruling: &Ruling) -> bool {
        match self {
            Self::Unreachable { may_have_arrived, .. } => *may_have_arrived,
            Self::Unreadable { .. } | Self::Cancelled { .. } => true,
            Self::TooLate { is_cancelled, .. } => !is_cancelled,
            Self::Refused { .. } | Self::Statement { .. } => ruling.is_outcome_unknown,
            Self::Parameter { .. } | Self::Token(_) => false,
        }
    }
}

impl From<DatabricksError> for PluginError {
    fn from(error: DatabricksError) -> Self {
        let ruling = error.ruling();
        if let DatabricksError::Token(error) = error {
            return *error;
        }
        let mut plugin_error = PluginError::new(ruling.category, ruling.code, error.message())
            .hint(ruling.hint)
            .detail(error.detail())
            .remote(error.remote());
        if let Some(retry) = ruling.retry {
            plugin_error.retry = retry;
        }
        let asked = match &error {
            DatabricksError::Refused { answer, .. } => answer.retry_after,
            _ => None,
        };
        let may_wait = matches!(plugin_error.retry, Retry::Backoff | Retry::After);
        if let (true, Some(wait)) = (may_wait, asked.or(ruling.wait)) {
            plugin_error = plugin_error.after(wait);
        }
        plugin_error.outcome_unknown = error.is_outcome_unknown(&ruling);
        plugin_error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(class: &str, sql_state: &str, message: &str) -> PluginError {
        let failure = Failure {
            class: class.into(),
            sql_state: sql_state.into(),
            error_code: "BAD_REQUEST".into(),
            message: message.into(),
            statement_id: "01f1".into(),
        };
        DatabricksError::Statement {
            doing: "inserting rows",
            failure: Box::new(failure),
        }
        .into()
    }

    #[test]
    fn free_text_of_the_service_is_in_the_detail_alone() {
        let error = statement(
            "CAST_INVALID_INPUT",
            "22018",
            "[CAST_INVALID_INPUT] The value 'Jane Doe' …",
        );
        assert_eq!(
            error.to_string(),
            "inserting rows failed: [CAST_INVALID_INPUT], SQLSTATE 22018 (correct the resource) [DBX-022]"
        );
        assert!(error.detail.contains("Jane"));
        let sly = statement("Jane Doe", "x y", "");
        assert!(!sly.to_string().contains("Jane"));
    }

    #[test]
    fn a_pace_that_is_asked_for_is_kept() {
        let answer = Refused {
            status: 429,
            retry_after: Some(Duration::from_secs(7)),
            ..Refused::default()
        };
        let error = PluginError::from(DatabricksError::Refused {
            doing: "reading",
            answer: Box::new(answer),
        });
        assert_eq!(
            (error.retry, error.retry_after),
            (Retry::After, Some(Duration::from_secs(7)))
        );
        assert_eq!(error.category, Category::Throttled);
        assert!(!error.outcome_unknown);
    }

    #[test]
    fn an_answer_that_never_came_is_unknown_only_if_the_request_may_have_arrived() {
        let error = |may_have_arrived| {
            PluginError::from(DatabricksError::Unreachable {
                doing: "inserting rows",
                what: "no connection",
                may_have_arrived,
                cause: String::new(),
            })
        };
        assert!(error(true).outcome_unknown);
        assert!(!error(false).outcome_unknown);
    }
}
