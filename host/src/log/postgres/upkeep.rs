//! What is done now and then: partitions made ahead, matched changes counted, and old partitions let go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::retention::{Retirer, Step};
use super::shared::Shared;
use super::url::UPKEEP;
use super::{changes, partition};
use crate::change::Retention;

/// How often it is looked what is to be done.
const PAUSE: Duration = Duration::from_secs(5);
/// How many counts of a topic are kept in one go.
const COUNTS: usize = 1_000;
/// How long partitions are let go in one go; then others have their turn for as long.
const SLICE: Duration = Duration::from_millis(100);

/// Does it until the store is closed.
pub(super) async fn run(shared: Arc<Shared>, retention: Retention) {
    let mut upkeep = Upkeep {
        retirer: Retirer::new(retention, Arc::clone(&shared)),
        shared: Arc::clone(&shared),
        connection: None,
        counted: None,
    };
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => break,
            () = shared.upkeep.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = match shared.closing.run_until_cancelled(upkeep.once()).await {
            Some(Ok(pause)) => pause,
            Some(Err(error)) => {
                tracing::debug!(store = %shared.place.name(), error = %shared.place.fault(&error), "the upkeep failed");
                PAUSE
            }
            None => break,
        };
    }
    if let Some(connection) = upkeep.connection {
        // What was done was committed.
        connection.close().await.ok();
    }
}

struct Upkeep {
    shared: Arc<Shared>,
    retirer: Retirer,
    /// None after a failure: it may be in the middle of a transaction.
    connection: Option<PgConnection>,
    counted: Option<Instant>,
}

impl Upkeep {
    /// Does what is to be done; answers how long to wait before it is done again.
    async fn once(&mut self) -> Result<Duration, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.retirer.begin_anew();
                self.shared.connect(UPKEEP).await?.0
            }
        };
        self.make_room(&mut connection).await?;
        let is_due = self.counted.is_none_or(|counted| counted.elapsed() >= PAUSE);
        if is_due && !self.retirer.has_counted() {
            changes::keep_counts(COUNTS, &mut connection).await?;
            self.counted = Some(Instant::now());
        }
        let pause = self.retire(&mut connection).await?;
        self.connection = Some(connection);
        Ok(pause)
    }

    async fn make_room(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let shared = &self.shared;
        let last = partition::last_sequence(connection).await?;
        let behind = if !shared.has_room_behind(last) {
            Some(partition::ensure(last, shared.width, connection).await?)
        } else if self.retirer.is_needed() {
            partition::seal(last, shared.width, connection).await?
        } else {
            None
        };
        if let Some(behind) = behind {
            shared.set_partitioned(behind);
        }
        Ok(())
    }

    /// Lets partitions go for a while.
    async fn retire(&mut self, connection: &mut PgConnection) -> Result<Duration, sqlx::Error> {
        if !self.retirer.is_needed() {
            return Ok(PAUSE);
        }
        let begun = Instant::now();
        while self.retirer.step(connection).await? == Step::More {
            if begun.elapsed() >= SLICE {
                return Ok(begun.elapsed().min(PAUSE));
            }
        }
        Ok(PAUSE)
    }
}
