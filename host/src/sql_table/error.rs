//! Why a view has no table, or why its table does not follow.

use lakefeed_plugin_api::{Category, PluginError};

use crate::log::LogError;

/// Why a view cannot be had as a table, or its table not be written. Holds no data: what the server says may quote a
/// value and is left out.
#[derive(Debug, thiserror::Error)]
pub enum SqlTableError {
    /// SQL-001. PostgreSQL would cut the name.
    #[error(
        "the name of {what} `{name}` is longer than {most} bytes, which is as long as PostgreSQL keeps one; shorten it [SQL-001]"
    )]
    LongName {
        /// `view` or `column`.
        what: &'static str,
        /// The name.
        name: String,
        /// How many bytes a name may have.
        most: usize,
    },
    /// SQL-001. Every table has such a column already.
    #[error("the column name `{name}` is PostgreSQL's own; rename the column [SQL-001]")]
    SystemColumn {
        /// The name.
        name: String,
    },
    /// SQL-001. A table has no room for so many.
    #[error(
        "view `{view}` has more than {most} columns, which is as many as a table of PostgreSQL has room for; split it [SQL-001]"
    )]
    TooManyColumns {
        /// The view's name.
        view: String,
        /// How many there may be.
        most: usize,
    },
    /// SQL-002. Somebody else's table or view stands where the view's would.
    #[error(
        "`{place}` exists in the database and was not made by lakefeed; rename or drop it, or rename the view [SQL-002]"
    )]
    Taken {
        /// `sof."name"`
        place: String,
    },
    /// SQL-003. The columns changed in a way that other views do not survive.
    #[error(
        "{dependents} read `{place}`, whose columns have changed; drop them, and make them again once it has its new columns [SQL-003]"
    )]
    Depended {
        /// `sof."name"`
        place: String,
        /// The views that read it.
        dependents: String,
    },
    /// SQL-004. The table was dropped, or another host writes it.
    #[error(
        "the table of this view is gone or is another host's; POST $materialize to make it anew [SQL-004]"
    )]
    Gone,
    /// SQL-005. The store's user may not do what keeping tables takes.
    #[error(
        "the store's user may not make tables for SQL users; grant it CREATE on the database, make it the owner of schemas `sof` and `lakefeed_sof`, or set `[store] sql_views = false` [SQL-005]"
    )]
    Denied,
    /// SQL-006. The database does not answer, or cannot at the moment.
    #[error("the database cannot keep the view's table at the moment: {reason} [SQL-006]")]
    Unavailable {
        /// What is the matter.
        reason: String,
    },
    /// SQL-007. The database refuses a value of a row.
    #[error("the database refuses a value of a row, SQLSTATE {state} [SQL-007]")]
    Refused {
        /// The server's code for it.
        state: String,
    },
    /// SQL-008. The view does not compile any more.
    #[error("the view does not compile any more; mend and materialise it again [SQL-008]")]
    Uncompiled,
    /// The store.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl SqlTableError {
    /// Whether the same may succeed later, unchanged.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Log(error) => error.is_retryable(),
            _ => false,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::LongName { .. } | Self::SystemColumn { .. } | Self::TooManyColumns { .. } => "SQL-001",
            Self::Taken { .. } => "SQL-002",
            Self::Depended { .. } => "SQL-003",
            Self::Gone => "SQL-004",
            Self::Denied => "SQL-005",
            Self::Unavailable { .. } | Self::Log(_) => "SQL-006",
            Self::Refused { .. } => "SQL-007",
            Self::Uncompiled => "SQL-008",
        }
    }
}

impl From<sqlx::Error> for SqlTableError {
    fn from(error: sqlx::Error) -> Self {
        let unavailable = |reason: &str| Self::Unavailable {
            reason: reason.to_owned(),
        };
        match &error {
            sqlx::Error::Database(database) => of_state(database.code().as_deref().unwrap_or_default()),
            sqlx::Error::PoolTimedOut => unavailable("no connection was free in time"),
            sqlx::Error::Io(error) => unavailable(&error.kind().to_string()),
            _ => unavailable("the connection broke"),
        }
    }
}

fn of_state(state: &str) -> SqlTableError {
    let unavailable = |reason: &str| SqlTableError::Unavailable {
        reason: reason.to_owned(),
    };
    match state {
        "42P01" | "3F000" => SqlTableError::Gone,
        "42501" => SqlTableError::Denied,
        "55P03" => unavailable("a query that is still running holds it"),
        "53100" => unavailable("its disk is full"),
        "25006" => unavailable("it is read-only"),
        // Data that does not fit its type, a constraint, a row longer than a page of the table.
        state if ["22", "23"].iter().any(|class| state.starts_with(class)) || state == "54000" => {
            SqlTableError::Refused {
                state: state.to_owned(),
            }
        }
        state => unavailable(&format!("a statement failed, SQLSTATE {state}")),
    }
}

/// What the loop is to do about it.
impl From<SqlTableError> for PluginError {
    fn from(error: SqlTableError) -> Self {
        let category = match &error {
            SqlTableError::Refused { .. } => Category::DataRejected,
            // What was denied is granted without the host being told.
            SqlTableError::Unavailable { .. } | SqlTableError::Denied | SqlTableError::Log(_) => {
                Category::RemoteUnavailable
            }
            _ => Category::SchemaIncompatible,
        };
        let text = error.to_string();
        let code = error.code();
        // The loop puts the code behind the message itself.
        let message = text
            .strip_suffix(&format!(" [{code}]"))
            .unwrap_or(&text)
            .to_owned();
        Self::new(category, code, message)
    }
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::Retry;

    use super::*;

    #[test]
    fn each_sqlstate_is_a_refused_value_a_wait_or_an_operators_act() {
        let check = |state: &str, code: &str, retry: Retry| {
            let error = PluginError::from(of_state(state));
            assert_eq!((error.code.as_str(), error.retry), (code, retry), "{state}");
            assert!(!error.message.contains("[SQL"), "{}", error.message);
        };
        check("22003", "SQL-007", Retry::Never);
        check("22P02", "SQL-007", Retry::Never);
        check("42P01", "SQL-004", Retry::Never);
        check("42501", "SQL-005", Retry::Backoff);
        check("55P03", "SQL-006", Retry::Backoff);
        check("57P01", "SQL-006", Retry::Backoff);
        check("53100", "SQL-006", Retry::Backoff);
    }
}
