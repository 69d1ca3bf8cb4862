//! The lock that makes one host the only one, and the session that holds it.
//!
//! The lock belongs to a session, so a host that dies lets go of it. A host that merely loses the session takes the lock
//! again; until then another may come, which raises the store's host number, and every transaction of the first one
//! fails from then on. So at no time two hosts write. The first one learns of it within seconds and gives the store up
//! for good: what it knows of it, its definitions and its destinations, may be outdated.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::LogError;
use super::fault::{Place, Remedy};
use super::lock::HOST;
use super::shared::Shared;
use super::url::{EDITOR, PATIENCE, within};

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

/// A host's number in the store.
///
/// It is raised where the store begins anew; while that is being committed, and where the answer is lost, it is either of
/// two.
pub(super) struct HostNumber {
    kept: AtomicI64,
    next: AtomicI64,
}

impl HostNumber {
    pub(super) fn new(number: i64) -> Self {
        Self {
            kept: AtomicI64::new(number),
            next: AtomicI64::new(number),
        }
    }

    /// Says which number the host has if what is under way is committed.
    pub(super) fn propose(&self, number: i64) {
        self.next.store(number, Ordering::Release);
    }

    /// Says that it was committed.
    pub(super) fn keep(&self, number: i64) {
        self.kept.store(number, Ordering::Release);
    }
}

impl PartialEq<HostNumber> for i64 {
    fn eq(&self, host: &HostNumber) -> bool {
        [&host.kept, &host.next]
            .map(|number| number.load(Ordering::Acquire))
            .contains(self)
    }
}

/// The host that may write; none while the store has no row, as in the middle of a restore.
pub(super) async fn number(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT host FROM lakefeed.store")
        .fetch_optional(connection)
        .await
}

/// Holds the store until all tasks have ended.
pub(super) async fn hold(mut tasks: JoinSet<()>, keeper: Keeper, ended: CancellationToken) {
    let released = CancellationToken::new();
    let keeping = keeper.run(released.clone());
    let waiting = async {
        while tasks.join_next().await.is_some() {}
        released.cancel();
    };
    tokio::join!(keeping, waiting);
    ended.cancel();
}

/// The session that holds the lock.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    /// None while it is lost.
    pub(super) connection: Option<PgConnection>,
}

impl Keeper {
    /// Looks after the lock until it is released or another host has the store, and takes it again where the session
    /// was lost.
    async fn run(mut self, released: CancellationToken) {
        while released
            .run_until_cancelled(tokio::time::sleep(PULSE))
            .await
            .is_some()
        {
            match released.run_until_cancelled(self.is_held()).await {
                Some(true) => {}
                Some(false) => {
                    self.shared.lose();
                    break;
                }
                None => break,
            }
        }
        if let Some(mut connection) = self.connection {
            // The server lets go of the lock by itself when it sees the end of the session, which may be a moment after
            // the next host has asked for it.
            let unlock = sqlx::raw_sql("SELECT pg_advisory_unlock_all()");
            within(PATIENCE, unlock.execute(&mut connection)).await.ok();
            connection.close().await.ok();
        }
    }

    /// Whether the store is still this host's, once that can be said.
    async fn is_held(&mut self) -> bool {
        if let Some(connection) = &mut self.connection {
            match within(PATIENCE, number(connection)).await {
                Ok(number) => return self.is_ours(number),
                // The session is there; somebody works at the table.
                Err(error) if Remedy::of(&error) != Remedy::Reconnect => return true,
                // Ended here as well, so that its lock is not in the way of the next one.
                Err(_) => self.connection = None,
            }
        }
        self.take_again().await
    }

    /// Takes the lock in a new session, as soon as that can be done. False: another host had the store meanwhile.
    async fn take_again(&mut self) -> bool {
        let store = self.shared.place.name();
        tracing::warn!(%store, "the session that holds the store was lost; taking it again");
        loop {
            match self.reconnect().await {
                Ok(true) => {
                    tracing::info!(%store, "the store is held again");
                    return true;
                }
                Ok(false) => return false,
                Err(error @ LogError::InUse { .. }) => tracing::error!("{error}"),
                Err(_) => {}
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    fn is_ours(&self, number: Option<i64>) -> bool {
        number.is_none_or(|number| number == self.shared.host)
    }

    /// As [`take_again`](Self::take_again), once.
    async fn reconnect(&mut self) -> Result<bool, LogError> {
        let place = &self.shared.place;
        let connected = self.shared.url.connect(EDITOR).await;
        let mut connection = connected.map_err(|error| place.fault(&error))?;
        let taken = take(place, &mut connection).await;
        let number = within(PATIENCE, number(&mut connection)).await;
        if !self.is_ours(number.map_err(|error| place.fault(&error))?) {
            return Ok(false);
        }
        taken?;
        self.connection = Some(connection);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_a_new_number_is_being_committed_a_host_has_either() {
        let host = HostNumber::new(7);
        assert!(7 == host && 8 != host);
        host.propose(40);
        assert!(7 == host && 40 == host);
        host.keep(40);
        assert!(7 != host && 40 == host);
    }
}
