//! What a PostgreSQL failure means for the caller.

use super::super::LogError;
use super::identity::SettingsDropped;
use super::url::PostgresUrl;

/// The store as errors name it.
#[derive(Clone, Debug)]
pub(super) struct Place(String);

/// What a writer does about a failure, besides answering it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The transaction lost against another: the same once more.
    Again,
    /// The server's table of locks is full: once more with one lock for all keys.
    AgainCoarse,
    /// The connection is of no use any more.
    Reconnect,
    /// Nothing.
    None,
}

impl Place {
    pub(super) fn new(url: &PostgresUrl) -> Self {
        Self(url.name())
    }

    pub(super) fn name(&self) -> String {
        self.0.clone()
    }

    /// Another host took the store.
    pub(super) fn in_use(&self, by: &str) -> LogError {
        LogError::InUse {
            store: format!("{}{by}", self.0),
        }
    }

    pub(super) fn read_only(&self) -> LogError {
        LogError::ReadOnly { store: self.name() }
    }

    pub(super) fn damaged(&self, reason: &str) -> LogError {
        LogError::Damaged {
            store: self.name(),
            reason: reason.to_owned(),
        }
    }

    /// What a failed statement means. The server's own text is left out: it may quote what was written.
    pub(super) fn fault(&self, error: &sqlx::Error) -> LogError {
        match error {
            sqlx::Error::Database(database) => self.fault_of_code(database.code().as_deref().unwrap_or("")),
            sqlx::Error::PoolClosed => LogError::Closed,
            sqlx::Error::PoolTimedOut => unavailable("no connection to the server was free in time"),
            sqlx::Error::Io(error) => unavailable(&format!("{}: {}", self.0, error.kind())),
            sqlx::Error::Tls(_) => {
                unavailable("the server's TLS is not accepted; look at `sslmode` and its certificate")
            }
            sqlx::Error::Configuration(error) if error.is::<SettingsDropped>() => url(
                "names a pooler that drops the settings of this host's sessions; name the server itself, or a pooler in \
                 session mode that passes `options` on",
            ),
            sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => {
                unavailable("the connection to the server broke")
            }
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound => {
                self.damaged("a row has another form than this lakefeed writes")
            }
            _ => unavailable("a statement failed"),
        }
    }

    fn fault_of_code(&self, code: &str) -> LogError {
        match code {
            "53100" => LogError::Full,
            "25006" => unavailable(
                "the server takes no writes at the moment; promote a standby, or look at `default_transaction_read_only`",
            ),
            "42501" => self.read_only(),
            "3D000" => url("names a database that does not exist; create it, `createdb` does"),
            "28P01" | "28000" => url(
                "names a user whom the server does not let in; look at the password and the server's rules",
            ),
            // What a pooler answers to a setting that it does not pass on.
            "08P01" => unavailable(
                "what answers does not take this host's settings, as poolers do; name the server itself, or a pooler in \
                 session mode that passes `options` on",
            ),
            "53300" => unavailable("the server has no connection left; raise its `max_connections`"),
            "53200" => {
                unavailable("the server is out of memory or locks; raise its `max_locks_per_transaction`")
            }
            "55P03" => unavailable("another session holds a lock for too long"),
            "57014" => unavailable("a statement took too long"),
            "40001" | "40P01" => unavailable("the transaction lost against others again and again"),
            "42P01" | "42703" | "3F000" => self.damaged("a table or column of its schema is missing"),
            "XX001" | "XX002" => self.damaged("the server found its files damaged"),
            _ => self.fault_of_class(code),
        }
    }

    fn fault_of_class(&self, code: &str) -> LogError {
        match code.get(..2) {
            Some("08" | "57" | "53") => {
                unavailable("the server ended the connection; it is restarting or overloaded")
            }
            Some("22" | "23" | "54") => LogError::Unfit {
                reason: format!("a value breaks the schema, SQLSTATE {code}"),
            },
            _ => unavailable(&format!("a statement failed, SQLSTATE {code}")),
        }
    }
}

/// Whether a failure lies in the values that were to be written, so that the same without them may succeed.
pub(super) fn is_of_the_values(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => true,
        sqlx::Error::Database(database) => {
            matches!(
                database.code().as_deref().and_then(|code| code.get(..2)),
                Some("22" | "23" | "54")
            )
        }
        _ => false,
    }
}

impl Remedy {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let sqlx::Error::Database(database) = error else {
            return match error {
                sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_) => {
                    Self::None
                }
                _ => Self::Reconnect,
            };
        };
        match database.code().as_deref().unwrap_or("") {
            "40001" | "40P01" => Self::Again,
            "53200" => Self::AgainCoarse,
            // A read-only server may have been replaced behind the same address.
            "25006" => Self::Reconnect,
            // What the session had prepared is gone.
            "26000" => Self::Reconnect,
            // An administrator, a restart, a crash elsewhere, a time-out of the session or the machine.
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => Self::Reconnect,
            code if code.starts_with("08") => Self::Reconnect,
            // A number that is taken: the sequence was set back, which is put right where a session is opened.
            "23505" if database.constraint().is_some_and(is_of_sequence) => Self::Reconnect,
            _ => Self::None,
        }
    }
}

/// Whether a constraint is the one that a partition of the log has on its sequences.
fn is_of_sequence(constraint: &str) -> bool {
    let number = constraint
        .strip_prefix("log_")
        .and_then(|rest| rest.strip_suffix("_pkey"));
    number.is_some_and(|number| number.parse::<u64>().is_ok())
}

pub(super) fn unavailable(reason: &str) -> LogError {
    LogError::Unavailable {
        reason: reason.to_owned(),
    }
}

fn url(reason: &str) -> LogError {
    LogError::Url {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expect: &str) {
        let fault = Place("PostgreSQL at h:1/d".to_owned())
            .fault_of_code(code)
            .to_string();
        assert!(fault.contains(expect), "{code}: {fault}");
    }

    #[test]
    fn each_sqlstate_is_answered_by_the_fault_that_fits() {
        check("53100", "LOG-003");
        check("25006", "promote");
        check("42501", "PostgreSQL at h:1/d is read-only");
        check("57P01", "LOG-005");
        check("57P03", "restarting");
        check("08006", "LOG-005");
        check("08P01", "pooler");
        check("53300", "max_connections");
        check("53200", "max_locks_per_transaction");
        check("40P01", "LOG-005");
        check("3D000", "does not exist");
        check("28P01", "password");
        check("42P01", "LOG-010");
        check("23514", "LOG-014");
        check("22P05", "LOG-014");
        check("P0001", "SQLSTATE P0001");
    }

    #[test]
    fn what_the_store_can_never_hold_is_not_tried_again() {
        for code in ["22021", "23505", "54000"] {
            let fault = Place("p".to_owned()).fault_of_code(code);
            assert!(!fault.is_retryable(), "{code}");
        }
    }

    #[test]
    fn a_server_that_takes_no_writes_for_now_is_tried_again() {
        let place = Place("p".to_owned());
        assert!(place.fault_of_code("25006").is_retryable());
        assert!(place.in_use("").is_retryable());
    }

    #[test]
    fn a_broken_connection_is_replaced() {
        let broken = sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!(Remedy::of(&broken), Remedy::Reconnect);
        assert_eq!(Remedy::of(&sqlx::Error::Decode("x".into())), Remedy::None);
    }
}
