//! Copies the write-ahead log back into the file, beside the writer.
//!
//! SQLite does so by itself within the commit that makes the log long, and whoever waits for that commit waits for all of
//! it. Here a connection of its own does most of it while commits go on; the writer's share, once the log is longer still,
//! is what came since. Nothing depends on it: what is committed is in the log, synced, and stays there until it is copied.

use std::sync::Arc;

use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fault::Place;
use super::schema;

/// After so many rows were written the log is copied back. A row is about a page of it, each of 4 KiB.
const ROWS: usize = 4096;
/// What the connection keeps of the file in memory; it looks at the log, hardly at pages.
const CACHE_KIB: u32 = 64;

/// The writer's hold on the task that copies.
#[derive(Debug)]
pub(super) struct Checkpointer {
    written: usize,
    wake: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Checkpointer {
    pub(super) fn start(place: Place) -> Self {
        let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let task = tokio::spawn(run(place, Arc::clone(&wake), stop.clone()));
        Self {
            written: 0,
            wake,
            stop,
            task,
        }
    }

    /// Takes note of rows that were committed.
    pub(super) fn committed(&mut self, rows: usize) {
        self.written += rows;
        if self.written >= ROWS {
            self.written = 0;
            self.wake.notify_one();
        }
    }

    /// Ends the task, and waits until it has let go of the file.
    pub(super) async fn close(self) {
        self.stop.cancel();
        // That it failed is no matter: closing the store copies what is left.
        self.task.await.ok();
    }
}

async fn run(place: Place, wake: Arc<Notify>, stop: CancellationToken) {
    let mut connection = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = wake.notified() => {}
        }
        connection = match copy(&place, connection).await {
            Ok(connection) => Some(connection),
            Err(error) => {
                // The writer meets the same, and says so where it matters.
                tracing::debug!(store = %place.name(), error = %place.fault(&error), "the log was not copied back");
                None
            }
        };
    }
    if let Some(connection) = connection {
        connection.close().await.ok();
    }
}

/// Copies what is committed; waits for nobody.
async fn copy(place: &Place, connection: Option<SqliteConnection>) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => schema::options(place.path(), CACHE_KIB).connect().await?,
    };
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}
