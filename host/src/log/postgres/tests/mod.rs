//! What only the PostgreSQL store promises, and the suite that all stores run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lakefeed_test_postgres::{Server, skipped};
use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex, MutexGuard};

use super::url::EDITOR;
use super::{PostgresLog, PostgresUrl};
use crate::log::suite::{Stores, log_suite};
use crate::log::{Clock, Log, LogError};

mod hosts;
mod order;
mod partitions;
mod proof;
mod retention;
mod trouble;

log_suite!(match Database::new().await {
    Some(database) => database,
    None => return skipped(),
});

/// A database for one store.
///
/// Databases of one server hold back each other's readers for as long as a transaction of one lasts, so one test at a
/// time has one.
pub(super) struct Database {
    server: &'static Server,
    name: String,
    _turn: MutexGuard<'static, ()>,
}

impl Database {
    pub(super) async fn new() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let server = Server::shared()?;
        Some(Self {
            server,
            name: server.database(),
            _turn: turn,
        })
    }

    pub(super) fn url(&self) -> PostgresUrl {
        PostgresUrl::parse(&self.server.url(&self.name)).unwrap()
    }

    /// A session beside the store's.
    pub(super) async fn session(&self) -> PgConnection {
        self.url().connect(EDITOR).await.unwrap()
    }

    pub(super) fn server(&self) -> &'static Server {
        self.server
    }

    pub(super) fn sql(&self, script: &str) -> String {
        self.server.sql(&self.name, script)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.server
            .sql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[async_trait]
impl Stores for Database {
    async fn open(&self, clock: Clock) -> Arc<dyn Log> {
        Arc::new(open_when_free(&self.url(), clock).await)
    }
}

/// Opens a store; while one that was dropped still ends, waits for it.
pub(super) async fn open_when_free(url: &PostgresUrl, clock: Clock) -> PostgresLog {
    for _ in 0..2_000 {
        match PostgresLog::open(url, clock.clone()).await {
            Err(LogError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            other => return other.unwrap(),
        }
    }
    panic!("the store is never let go of");
}

/// Asks again and again until there is an answer.
pub(super) async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited too long for {what}");
}

/// The database of a test, or the test is named as skipped.
macro_rules! database {
    () => {
        match $crate::log::postgres::tests::Database::new().await {
            Some(database) => database,
            None => return lakefeed_test_postgres::skipped(),
        }
    };
}
pub(super) use database;

impl Database {
    /// The database as another user sees it.
    fn url_of(&self, user: &str) -> PostgresUrl {
        let url = self
            .server
            .url(&self.name)
            .replacen("postgres@", &format!("{user}@"), 1);
        PostgresUrl::parse(&url).unwrap()
    }

    /// The file of the server's socket.
    fn socket(&self) -> String {
        let directory = self.sql("SHOW unix_socket_directories");
        format!("{directory}/.s.PGSQL.5432")
    }

    /// The database through a socket in another folder.
    fn url_through(&self, folder: &std::path::Path) -> PostgresUrl {
        let url = format!(
            "postgres://postgres@localhost/{}?host={}",
            self.name,
            folder.display()
        );
        PostgresUrl::parse(&url).unwrap()
    }

    /// Dumps the database and restores it under another name.
    async fn copy_to(&self, name: &str) -> PostgresUrl {
        let folder = tempfile::tempdir().unwrap();
        let dump = folder.path().join("dump");
        let dumped = self
            .server
            .program("pg_dump")
            .args(["--format=custom", "--schema=lakefeed", "--file"])
            .arg(&dump)
            .arg(self.server.url(&self.name))
            .status();
        assert!(dumped.unwrap().success());
        self.server
            .sql("postgres", &format!("DROP DATABASE IF EXISTS {name}; "));
        self.server.sql("postgres", &format!("CREATE DATABASE {name}"));
        let restored = self
            .server
            .program("pg_restore")
            .args(["--exit-on-error", "--dbname", &self.server.url(name)])
            .arg(&dump)
            .status();
        assert!(restored.unwrap().success());
        PostgresUrl::parse(&self.server.url(name)).unwrap()
    }

    /// All rows of the store, without its tables.
    fn dump_data(&self) -> String {
        let dumped = self
            .server
            .program("pg_dump")
            .args(["--data-only", "--schema=lakefeed"])
            .arg(self.server.url(&self.name))
            .output()
            .unwrap();
        assert!(dumped.status.success());
        String::from_utf8(dumped.stdout).unwrap()
    }

    /// Puts rows that were dumped in the place of those that are there.
    fn load_data(&self, dump: &str) {
        self.sql(
            "DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(oid::regclass::text, ', ') FROM pg_class \
             WHERE relnamespace = 'lakefeed'::regnamespace AND relkind IN ('r', 'p')); END $$",
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), dump).unwrap();
        let loaded = self
            .server
            .program("psql")
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"])
            .arg(file.path())
            .arg(self.server.url(&self.name))
            .stdout(std::process::Stdio::null())
            .status();
        assert!(loaded.unwrap().success());
    }
}
