//! Which store a URL names.

use std::path::PathBuf;
use std::sync::Arc;

use super::postgres::{PostgresLog, PostgresUrl};
use super::sqlite::SqliteLog;
use super::{Clock, Log, LogError};
use crate::change::Retention;

/// A store's URL, understood but not yet opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// One SQLite file: `sqlite://lakefeed.db`, or `sqlite:///var/lib/lakefeed/lakefeed.db`.
    Sqlite(PathBuf),
    /// A PostgreSQL database: `postgres://lakefeed@db.example:5432/lakefeed?sslmode=verify-full`.
    Postgres(Box<PostgresUrl>),
}

impl StoreUrl {
    /// Reads a URL. The answer to one that cannot be opened says what to write, and does not repeat the URL,
    /// since it may hold a password.
    pub fn parse(url: &str) -> Result<Self, LogError> {
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| refused("has no scheme; write `sqlite://lakefeed.db`"))?;
        match scheme {
            "sqlite" => parse_sqlite(rest),
            "postgres" | "postgresql" => PostgresUrl::parse(url).map(|url| Self::Postgres(Box::new(url))),
            _ => Err(refused(
                "has an unknown scheme; stores are named `sqlite://FILE` or `postgres://USER@HOST:5432/DATABASE`",
            )),
        }
    }
}

/// Opens the store that a URL names, makes it when it is absent, and brings its schema up to date. It keeps everything.
pub async fn open(url: &str, clock: Clock) -> Result<Arc<dyn Log>, LogError> {
    open_retaining(url, clock, Retention::All).await
}

/// As [`open`], for a store whose old versions give way. One file cannot give way in parts, and is refused.
pub async fn open_retaining(url: &str, clock: Clock, retention: Retention) -> Result<Arc<dyn Log>, LogError> {
    match StoreUrl::parse(url)? {
        StoreUrl::Sqlite(_) if retention != Retention::All => Err(refused(
            "names a SQLite file, which keeps everything; leave `retain` away or name a PostgreSQL database",
        )),
        StoreUrl::Sqlite(path) => Ok(Arc::new(SqliteLog::open(&path, clock).await?)),
        StoreUrl::Postgres(url) => Ok(Arc::new(
            PostgresLog::open_retaining(&url, clock, retention).await?,
        )),
    }
}

fn parse_sqlite(rest: &str) -> Result<StoreUrl, LogError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path == ":memory:" {
        return Err(refused(
            "names a store in memory, which would lose what was acknowledged; name a file: `sqlite://lakefeed.db`",
        ));
    }
    if path.contains('?') {
        return Err(refused(
            "has options after `?`; a SQLite store takes none, name the file alone",
        ));
    }
    if path.is_empty() || path.ends_with('/') {
        return Err(refused("names no file; write `sqlite://lakefeed.db`"));
    }
    Ok(StoreUrl::Sqlite(PathBuf::from(path)))
}

fn refused(reason: &str) -> LogError {
    LogError::Url {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: &str) {
        let answer = match StoreUrl::parse(url) {
            Ok(StoreUrl::Sqlite(path)) => path.display().to_string(),
            Ok(StoreUrl::Postgres(url)) => format!("{url:?}"),
            Err(error) => error.to_string(),
        };
        assert!(answer.contains(expect), "{url}: {answer}");
    }

    #[test]
    fn a_url_names_a_file_or_says_what_to_write() {
        check("sqlite://lakefeed.db", "lakefeed.db");
        check("sqlite:lakefeed.db", "lakefeed.db");
        check("sqlite:///var/lib/l.db", "/var/lib/l.db");
        check("sqlite::memory:", "in memory");
        check("sqlite://", "names no file");
        check("sqlite://l.db?mode=ro", "options");
        check("postgres://u:secret@h/db", "PostgresUrl(PostgreSQL at h:5432/db)");
        check("postgresql://h/", "names no database");
        check("mysql://u:secret@h/db", "unknown scheme");
        check("lakefeed.db", "no scheme");
    }

    #[test]
    fn a_refused_url_is_not_repeated() {
        for url in ["postgres://u:secret@h", "mysql://u:secret@h/db"] {
            let error = StoreUrl::parse(url).unwrap_err();
            assert!(!format!("{error}{error:?}").contains("secret"));
        }
    }
}
