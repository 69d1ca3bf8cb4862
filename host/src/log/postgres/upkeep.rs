//! What is done now and then: partitions made ahead, and matched changes counted.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::shared::Shared;
use super::url::EDITOR;
use super::{changes, partition};

/// How often it is looked what is to be done.
const PAUSE: Duration = Duration::from_secs(5);
/// How many counts of a topic are kept in one go.
const COUNTS: usize = 200;

/// Does it until the store is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut connection = None;
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => break,
            () = shared.upkeep.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
        let work = once(&shared, &mut connection);
        match shared.closing.run_until_cancelled(work).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(store = %shared.place.name(), error = %shared.place.fault(&error), "the upkeep failed");
                connection = None;
            }
            None => {
                connection = None;
                break;
            }
        }
    }
    if let Some(connection) = connection {
        let connection: PgConnection = connection;
        // What was done was committed.
        connection.close().await.ok();
    }
}

async fn once(shared: &Shared, kept: &mut Option<PgConnection>) -> Result<(), sqlx::Error> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => shared.connect(EDITOR).await?.0,
    };
    let last = partition::last_sequence(&mut connection).await?;
    if !shared.has_room_behind(last) {
        let behind = partition::ensure(last, shared.width, &mut connection).await?;
        shared.set_partitioned(behind);
    }
    changes::keep_counts(COUNTS, &mut connection).await?;
    *kept = Some(connection);
    Ok(())
}
