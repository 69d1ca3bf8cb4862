//! Where a PostgreSQL store is, and how a connection to it is set up.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::super::LogError;

/// What names our sessions in the server's lists.
pub(super) const APPLICATION: &str = "lakefeed";

/// How long a caller waits for a connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a statement may take.
pub(super) const STATEMENT_TIMEOUT: &str = "30s";

/// What every session of ours asks of the server: an answer to a commit means that it is on disk, nothing waits for
/// ever, and what a dead host held is let go of within a minute.
const SETTINGS: &[(&str, &str)] = &[
    ("synchronous_commit", "on"),
    ("statement_timeout", STATEMENT_TIMEOUT),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("default_transaction_isolation", "read committed"),
    ("tcp_keepalives_idle", "20"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("search_path", "pg_catalog"),
    ("client_min_messages", "warning"),
    ("bytea_output", "hex"),
    ("jit", "off"),
];

/// The writers: what they look up are single rows by key, and a group's bytes stay in memory. The plan of what they prepare
/// is made once: it is the same for any values.
pub(super) const WRITER: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("work_mem", "64MB"),
];

/// The readers: a plan is made with the values at hand, so that partitions without what is sought are not even opened,
/// and rows are walked by an index, also where the server has not counted them yet.
pub(super) const READER: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("default_transaction_read_only", "on"),
];

/// The small writes.
pub(super) const EDITOR: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
];

/// The upkeep: what it looks up are single rows by key, however many there are.
pub(super) const UPKEEP: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
];

/// A PostgreSQL store's URL, understood but not yet connected to. It never shows what it holds but for the place.
#[derive(Clone)]
pub struct PostgresUrl(PgConnectOptions);

impl PostgresUrl {
    /// Reads a URL such as `postgres://USER@HOST:5432/DATABASE?sslmode=verify-full`.
    pub fn parse(url: &str) -> Result<Self, LogError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| refused("is not a PostgreSQL URL; write `postgres://USER@HOST:5432/DATABASE`"))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(refused(
                "names no database; write `postgres://USER@HOST:5432/DATABASE`",
            ));
        }
        Ok(Self(
            options.application_name(APPLICATION).disable_statement_logging(),
        ))
    }

    /// The server's host, port and database.
    pub(super) fn name(&self) -> String {
        let options = &self.0;
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let database = options.get_database().unwrap_or_default();
        format!("PostgreSQL at {host}:{}/{database}", options.get_port())
    }

    /// How a session is opened.
    pub(super) fn options(&self, more: &[(&str, &str)]) -> PgConnectOptions {
        let settings = SETTINGS.iter().chain(more).copied();
        self.0.clone().options(settings)
    }

    /// How a session is opened by another part of the host, for what it keeps in the database beside the store.
    pub(crate) fn session(&self) -> PgConnectOptions {
        self.options(&[])
    }

    /// Opens one session; fails as any statement would when nobody answers in time.
    pub(super) async fn connect(&self, more: &[(&str, &str)]) -> Result<PgConnection, sqlx::Error> {
        within(PATIENCE, self.options(more).connect()).await
    }
}

/// Waits for an answer of the server for so long only.
pub(super) async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(time, call).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.0.get_username() == other.0.get_username()
    }
}

impl Eq for PostgresUrl {}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PostgresUrl({})", self.name())
    }
}

fn refused(reason: &str) -> LogError {
    LogError::Url {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_its_place_and_nothing_else() {
        let url = PostgresUrl::parse("postgres://u:secret@db.example:5433/feed?sslmode=require").unwrap();
        assert_eq!(url.name(), "PostgreSQL at db.example:5433/feed");
        assert!(!format!("{url:?}").contains("secret"));
        for bad in [
            "postgres://u:secret@h",
            "postgres://u:secret@h:x/db",
            "postgres://u:secret@h/d?sslmode=no",
        ] {
            let refused = PostgresUrl::parse(bad).unwrap_err();
            assert!(!format!("{refused}{refused:?}").contains("secret"), "{bad}");
        }
    }
}
