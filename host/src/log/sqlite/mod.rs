//! The embedded store: one SQLite file.
//!
//! - `file`: the file's rights, its lock, its name on disk.
//! - `schema`: the schema's versions, and how connections are set up.
//! - `writer`: the one writer, whose commits many calls share; `insert` and `edit` write what they make.
//! - `read`: what readers ask; `row`: rows as values.
//! - `checkpoint`: the write-ahead log, copied back into the file beside the writer.
//! - `backup`: copies of the store, out and back in.
//! - `look`: a look at a store that another process holds.
//! - `fault`: what SQLite's failures mean.
//!
//! There is one writer, so a sequence alone orders the log: a later number never commits first.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions, Sqlite};
use tokio::sync::{mpsc, oneshot, watch};

use super::edit::{Edit, Edited, Held};
use super::{
    Ack, BatchBounds, Clock, Counters, DeadLetter, DestinationRecord, DestinationState, Fence, HistoryPage,
    LastError, Log, LogError, Lookup, ReadBound, Search, TypeChanges, TypeHistory, Write, WriteError,
    Written,
};
use crate::change::{Change, Offset, ResourceKey, Sequence, Version};

mod backup;
mod changes;
mod checkpoint;
mod edit;
mod fault;
mod file;
mod history;
mod insert;
mod look;
mod packed;
mod read;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

pub use backup::{backup, restore};
pub use look::Look;

use fault::Place;
use file::HostLock;
use writer::{Answer, Call, Work, Writer};

/// Connections for requests' reads.
const INTAKE_READERS: u32 = 4;
/// Connections for delivery's reads, so that requests and destinations do not wait for each other.
const DELIVERY_READERS: u32 = 2;
/// How long a reader waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the writer keeps of the file in memory: where random ids land among the current resources.
const WRITER_CACHE_KIB: u32 = 16 * 1024;
/// What each reader keeps of the file in memory. A read of changes looks at its pages twice: at the lengths, then at the
/// rows.
const READER_CACHE_KIB: u32 = 4 * 1024;
/// How many rows of a reader wait for whoever takes them. With few the two wake each other for every handful.
const ROWS_AHEAD: usize = 512;

/// A change log in one SQLite file, held by this process alone.
///
/// Dropping it without [`close`](Log::close) loses nothing that was acknowledged; the file is let go of a moment
/// later, when the call under way has ended.
#[derive(Debug)]
pub struct SqliteLog {
    place: Place,
    calls: mpsc::Sender<Call>,
    intake: SqlitePool,
    delivery: SqlitePool,
    head: watch::Receiver<Offset>,
}

impl SqliteLog {
    /// Opens a store, makes it when the file is absent or empty, and brings its schema up to date.
    ///
    /// The folder must exist. The file and what stands beside it (`-wal`, `-shm`, `-lock`) are their owner's alone.
    /// Must be called within a Tokio runtime, which then runs the writer.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, LogError> {
        let place = Place::new(&file::resolve(path)?);
        let lock = Arc::new(HostLock::take(&place)?);
        file::prepare(&place)?;
        let mut connection = schema::options(place.path(), WRITER_CACHE_KIB)
            .connect()
            .await
            .map_err(|error| place.fault(&error))?;
        schema::migrate(&place, &mut connection).await?;
        let (calls, waiting) = mpsc::channel(writer::QUEUE);
        let (writer, head) = Writer::new(place.clone(), connection, clock, waiting, lock).await?;
        let log = Self {
            intake: readers(&place, INTAKE_READERS),
            delivery: readers(&place, DELIVERY_READERS),
            place,
            calls,
            head,
        };
        tokio::spawn(writer.run());
        Ok(log)
    }

    async fn call(&self, work: Work) -> Result<Answer, LogError> {
        let (answer, answered) = oneshot::channel();
        let call = Call { work, answer };
        self.calls.send(call).await.map_err(|_| LogError::Closed)?;
        answered.await.map_err(|_| LogError::Closed)
    }

    async fn edit(&self, edit: Edit) -> Edited {
        match self.call(Work::Edit(edit)).await? {
            Answer::Edited(edited) => *edited,
            Answer::Written(_) | Answer::Closed => Err(LogError::Closed),
        }
    }

    async fn edit_destination(&self, edit: Edit) -> Result<Held, LogError> {
        self.edit(edit).await?.ok_or(LogError::Closed)
    }

    async fn edit_only(&self, edit: Edit) -> Result<(), LogError> {
        self.edit(edit).await.map(drop)
    }

    async fn intake(&self) -> Result<PoolConnection<Sqlite>, LogError> {
        self.intake.acquire().await.map_err(|error| self.fault(error))
    }

    async fn delivery(&self) -> Result<PoolConnection<Sqlite>, LogError> {
        self.delivery.acquire().await.map_err(|error| self.fault(error))
    }

    fn fault(&self, error: sqlx::Error) -> LogError {
        self.place.fault(&error)
    }
}

/// Connections that only read, opened as they are needed and kept.
fn readers(place: &Place, count: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(count)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(
            schema::options(place.path(), READER_CACHE_KIB)
                .row_buffer_size(ROWS_AHEAD)
                .pragma("query_only", "ON"),
        )
}

#[async_trait]
impl Log for SqliteLog {
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, WriteError> {
        match self.call(Work::Write(writes)).await? {
            Answer::Written(written) => written,
            Answer::Edited(_) | Answer::Closed => Err(LogError::Closed.into()),
        }
    }

    async fn current(&self, key: &ResourceKey) -> Result<Option<Version>, LogError> {
        let found = read::current(key, &mut *self.intake().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn version(&self, key: &ResourceKey, sequence: Sequence) -> Result<Option<Version>, LogError> {
        let found = read::one_version(key, sequence, &mut *self.intake().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn version_to_deliver(
        &self,
        key: &ResourceKey,
        sequence: Sequence,
    ) -> Result<Option<Version>, LogError> {
        let found = read::one_version(key, sequence, &mut *self.delivery().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn current_to_deliver(&self, key: &ResourceKey) -> Result<Option<Version>, LogError> {
        let found = read::current(key, &mut *self.delivery().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn history(&self, key: &ResourceKey, page: HistoryPage) -> Result<Vec<Version>, LogError> {
        let found = history::history(key, page, &mut *self.intake().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn type_history(&self, resource_type: &str, page: HistoryPage) -> Result<TypeHistory, LogError> {
        let found = history::type_history(resource_type, page, &mut *self.intake().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn history_len(&self, key: &ResourceKey) -> Result<u64, LogError> {
        let count = history::history_len(key, &mut *self.intake().await?).await;
        count.map_err(|error| self.fault(error))
    }

    async fn search(&self, search: &Search) -> Result<Vec<Version>, LogError> {
        let found = read::search(search, &mut *self.intake().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn search_total(&self, search: &Search) -> Result<u64, LogError> {
        let count = read::search_total(search, &mut *self.intake().await?).await;
        count.map_err(|error| self.fault(error))
    }

    async fn look_up(&self, lookup: &Lookup, count: usize) -> Result<Vec<Version>, LogError> {
        let found = read::look_up(lookup, count, &mut *self.intake().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn changes(&self, after: Offset, bound: ReadBound) -> Result<Vec<Change>, LogError> {
        let changes = changes::changes(after, bound, &mut *self.delivery().await?).await;
        changes.map_err(|error| self.fault(error))
    }

    async fn type_changes(
        &self,
        resource_type: &str,
        after: Offset,
        bound: ReadBound,
    ) -> Result<TypeChanges, LogError> {
        let found = changes::type_changes(resource_type, after, bound, &mut *self.intake().await?).await;
        found.map_err(|error| self.fault(error))
    }

    async fn count_changes(&self, after: Offset, topic: &str) -> Result<u64, LogError> {
        let count = changes::count_changes(after, topic, &mut *self.intake().await?).await;
        count.map_err(|error| self.fault(error))
    }

    fn head(&self) -> watch::Receiver<Offset> {
        self.head.clone()
    }

    async fn create_destination(&self, id: &str, start: Offset) -> Result<DestinationRecord, LogError> {
        let id = id.to_owned();
        let (_, record) = self.edit_destination(Edit::Create { id, start }).await?;
        Ok(record)
    }

    async fn destination(&self, id: &str) -> Result<Option<DestinationRecord>, LogError> {
        let found = edit::find(id, &mut *self.intake().await?).await;
        let found = found.map_err(|error| self.fault(error))?;
        Ok(found.map(|(_, record)| record))
    }

    async fn destinations(&self) -> Result<Vec<DestinationRecord>, LogError> {
        let all = edit::all(&mut *self.intake().await?).await;
        let all = all.map_err(|error| self.fault(error))?;
        Ok(all.into_iter().map(|(_, record)| record).collect())
    }

    async fn take_destination(&self, id: &str) -> Result<(Fence, DestinationRecord), LogError> {
        self.edit_destination(Edit::Take { id: id.to_owned() }).await
    }

    async fn drop_destination(&self, id: &str) -> Result<(), LogError> {
        self.edit_only(Edit::Drop { id: id.to_owned() }).await
    }

    async fn plan_batch(&self, id: &str, fence: Fence, batch: BatchBounds) -> Result<(), LogError> {
        let id = id.to_owned();
        self.edit_only(Edit::Plan { id, fence, batch }).await
    }

    async fn ack(&self, id: &str, fence: Fence, ack: Ack) -> Result<(), LogError> {
        let id = id.to_owned();
        self.edit_only(Edit::Ack { id, fence, ack }).await
    }

    async fn record_failure(
        &self,
        id: &str,
        fence: Fence,
        error: LastError,
        counters: Counters,
    ) -> Result<(), LogError> {
        let id = id.to_owned();
        self.edit_only(Edit::Fail {
            id,
            fence,
            error,
            counters,
        })
        .await
    }

    async fn set_destination_state(&self, id: &str, state: DestinationState) -> Result<(), LogError> {
        let id = id.to_owned();
        self.edit_only(Edit::SetState { id, state }).await
    }

    async fn halt_destination(&self, id: &str, code: &str, message: &str) -> Result<(), LogError> {
        let (id, code, message) = (id.to_owned(), code.to_owned(), message.to_owned());
        self.edit_only(Edit::Halt { id, code, message }).await
    }

    async fn rewind_destination(&self, id: &str, to: Offset) -> Result<DestinationRecord, LogError> {
        let id = id.to_owned();
        let (_, record) = self.edit_destination(Edit::Rewind { id, to }).await?;
        Ok(record)
    }

    async fn dead_letters(&self, id: &str, after: u64, count: usize) -> Result<Vec<DeadLetter>, LogError> {
        let letters = read::dead_letters(id, after, count, &mut *self.intake().await?).await;
        letters.map_err(|error| self.fault(error))
    }

    async fn put_kept(&self, space: &str, name: &str, value: &[u8]) -> Result<(), LogError> {
        let (space, name, value) = (space.to_owned(), name.to_owned(), value.to_owned());
        self.edit_only(Edit::Keep { space, name, value }).await
    }

    async fn kept(&self, space: &str, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        let value = read::kept(space, name, &mut *self.intake().await?).await;
        value.map_err(|error| self.fault(error))
    }

    async fn all_kept(&self, space: &str) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        let all = read::all_kept(space, &mut *self.intake().await?).await;
        all.map_err(|error| self.fault(error))
    }

    async fn drop_kept(&self, space: &str, name: &str) -> Result<(), LogError> {
        let (space, name) = (space.to_owned(), name.to_owned());
        self.edit_only(Edit::Forget { space, name }).await
    }

    async fn close(&self) {
        // The readers go first: the writer is then the last to close, and copies the write-ahead log back.
        self.intake.close().await;
        self.delivery.close().await;
        // An error says that it is closed already.
        self.call(Work::Close).await.ok();
    }
}
