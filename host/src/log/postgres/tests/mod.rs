//! What only the PostgreSQL store promises, and the suite that all stores run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lakefeed_test_postgres::{Server, skipped};
use tokio::sync::{Mutex, MutexGuard};

use super::{PostgresLog, PostgresUrl};
use crate::log::suite::{Stores, log_suite};
use crate::log::{Clock, Log, LogError};

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
