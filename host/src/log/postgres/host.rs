//! The lock that makes one host the only one, and the session that holds it.
//!
//! The lock belongs to a session, so a host that dies lets go of it. A host that merely loses the session takes the lock
//! again; until then another may come, which raises the store's host number, and every transaction of the first one
//! fails from then on. So at no time two hosts write.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use tokio_util::sync::CancellationToken;

use super::super::LogError;
use super::fault::Place;
use super::lock::HOST;
use super::url::{EDITOR, PATIENCE, PostgresUrl, within};

/// How often the session is looked after.
const PULSE: Duration = Duration::from_secs(5);
/// How long between two tries to take a lost lock again.
const RETRY: Duration = Duration::from_secs(1);

/// Takes the lock for a session, or says who holds it.
pub(super) async fn take(place: &Place, connection: &mut PgConnection) -> Result<(), LogError> {
    if try_lock(connection).await.map_err(|error| place.fault(&error))? {
        return Ok(());
    }
    let holder = holder(connection).await.map_err(|error| place.fault(&error))?;
    Err(place.in_use(&holder.map_or_else(String::new, |pid| format!(" (held by its process {pid})"))))
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(HOST)
        .fetch_one(connection)
        .await
}

async fn holder(connection: &mut PgConnection) -> Result<Option<i32>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND ((classid::bigint << 32) | objid::bigint) = $1",
    )
    .bind(HOST)
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// The session that holds the lock.
pub(super) struct Keeper {
    pub(super) url: PostgresUrl,
    pub(super) place: Place,
    pub(super) connection: PgConnection,
}

impl Keeper {
    /// Looks after the lock until it is released, and takes it again where the session was lost.
    pub(super) async fn run(mut self, released: CancellationToken) {
        while released
            .run_until_cancelled(tokio::time::sleep(PULSE))
            .await
            .is_some()
        {
            if within(PATIENCE, self.connection.ping()).await.is_ok() {
                continue;
            }
            tracing::warn!(store = %self.place.name(), "the session that holds the store was lost; taking it again");
            if released.run_until_cancelled(self.take_again()).await.is_none() {
                break;
            }
        }
        // The server lets go of the lock as soon as it sees the end of the session.
        self.connection.close().await.ok();
    }

    async fn take_again(&mut self) {
        loop {
            match self.reconnect().await {
                Ok(()) => return tracing::info!(store = %self.place.name(), "the store is held again"),
                Err(error @ LogError::InUse { .. }) => tracing::error!("{error}"),
                Err(_) => {}
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn reconnect(&mut self) -> Result<(), LogError> {
        let connected = self.url.connect(EDITOR).await;
        let mut connection = connected.map_err(|error| self.place.fault(&error))?;
        take(&self.place, &mut connection).await?;
        self.connection = connection;
        Ok(())
    }
}
