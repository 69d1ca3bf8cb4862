//! The production store: a schema `lakefeed` in a PostgreSQL database.
//!
//! - `url`: where it is, and how a session is set up; `fault`: what the server's failures mean.
//! - `schema`: the schema's versions; `identity`: what is done when the store is another server's all at once.
//! - `host`: the lock that makes one host the only one; `lock`: the locks that order the writes of a resource.
//! - `writer`: the writers, whose commits many calls share; `insert` and `edit` write what they make.
//! - `horizon`: what readers can be given; `announce` moves the head there.
//! - `read`, `changes`: what readers ask; `row`: rows as values.
//! - `partition`: the parts of the log; `retention`: how old ones give way; `upkeep`: what is done now and then.
//! - `look`: a look at a store that another process holds.
//!
//! Several writers commit side by side, so a later sequence may commit first. The log is ordered by (transaction,
//! sequence), and read only up to the oldest transaction that may still be under way: see `horizon` and `lock`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Postgres};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::edit::{Edit, Edited, Failed, Held};
use super::{
    Ack, BatchBounds, Clock, Counters, DeadLetter, DestinationRecord, DestinationState, Fence, HeldBack,
    HistoryPage, LastError, Log, LogError, Lookup, ReadBound, Search, TypeChanges, TypeHistory, Write,
    WriteError, Written,
};
use crate::change::{Change, Offset, ResourceKey, Retention, Sequence, Version};

mod announce;
mod changes;
mod edit;
mod fault;
mod history;
mod horizon;
mod host;
mod identity;
mod insert;
mod lock;
mod look;
mod partition;
mod read;
mod retention;
mod row;
mod schema;
mod shared;
#[cfg(test)]
mod tests;
mod upkeep;
mod url;
mod writer;

pub use look::Look;
pub use url::PostgresUrl;

use announce::{Announcer, Head};
use edit::Rows;
use fault::Place;
use host::Keeper;
use identity::Identity;
use partition::WIDTH;
use shared::Shared;
use url::{EDITOR, PATIENCE, READER, within};
use writer::{Call, WRITERS, Waiting, Writer};

/// Sessions for requests' reads.
const INTAKE_READERS: u32 = 4;
/// Sessions for delivery's reads, so that requests and destinations do not wait for each other.
const DELIVERY_READERS: u32 = 2;
/// Sessions for the small writes.
const EDITORS: u32 = 2;
/// No read and no small write takes longer; the server ends it before.
const LONGEST: Duration = Duration::from_secs(40);

/// A change log in a PostgreSQL database, held by this process alone.
///
/// Dropping it without [`close`](Log::close) loses nothing that was acknowledged; the store is let go of a moment later,
/// when the calls under way have ended.
pub struct PostgresLog {
    shared: Arc<Shared>,
    calls: mpsc::Sender<Call>,
    intake: PgPool,
    delivery: PgPool,
    edits: PgPool,
    head: watch::Receiver<Offset>,
    /// Cancelled when all tasks have ended and the store is let go of.
    ended: CancellationToken,
    /// Ends the tasks when the last user is gone.
    _closing: DropGuard,
}

impl PostgresLog {
    /// Opens a store, makes its schema when it is absent, and brings it up to date.
    ///
    /// The database must exist. Must be called within a Tokio runtime, which then runs the writers.
    pub async fn open(url: &PostgresUrl, clock: Clock) -> Result<Self, LogError> {
        Self::open_retaining(url, clock, Retention::All).await
    }

    /// As [`open`](Self::open); what is no longer needed gives way in the background.
    pub async fn open_retaining(
        url: &PostgresUrl,
        clock: Clock,
        retention: Retention,
    ) -> Result<Self, LogError> {
        Self::open_with(url, clock, WIDTH, retention).await
    }

    /// As [`open`](Self::open); a store that is made now has partitions of `width` sequences.
    #[cfg(test)]
    async fn open_with_width(url: &PostgresUrl, clock: Clock, width: u64) -> Result<Self, LogError> {
        Self::open_with(url, clock, width, Retention::All).await
    }

    async fn open_with(
        url: &PostgresUrl,
        clock: Clock,
        width: u64,
        retention: Retention,
    ) -> Result<Self, LogError> {
        let place = Place::new(url);
        let fault = |error| place.fault(&error);
        let mut connection = url.connect(EDITOR).await.map_err(fault)?;
        schema::check_server(&place, &mut connection).await?;
        host::take(&place, &mut connection).await?;
        schema::migrate(&place, width, &mut connection).await?;
        let width = schema::width(&mut connection).await.map_err(fault)?;
        let taken = identity::take(width, &mut connection).await.map_err(fault)?;
        let last = partition::last_sequence(&mut connection).await.map_err(fault)?;
        let partitioned = partition::ensure(last, width, &mut connection)
            .await
            .map_err(fault)?;
        // What somebody still reads is dropped another time.
        retention::clean(&mut connection).await.map_err(fault)?;
        let head = horizon::newest(&mut connection).await.map_err(fault)?;
        let shared = Shared::new(url.clone(), clock, (taken.0, width), partitioned, Head::new(head));
        if taken.1 == Identity::Another {
            shared.begin_anew();
        }
        Ok(Self::start(shared, retention, connection))
    }

    fn start(shared: Shared, retention: Retention, connection: PgConnection) -> Self {
        let shared = Arc::new(shared);
        let (calls, waiting) = mpsc::channel(writer::QUEUE);
        let waiting = Waiting::new(waiting);
        let mut tasks = JoinSet::new();
        for number in 0..WRITERS {
            let writer = Writer::new(number, Arc::clone(&shared), Arc::clone(&waiting));
            tasks.spawn(writer.run());
        }
        tasks.spawn(Announcer::new(Arc::clone(&shared)).run());
        tasks.spawn(upkeep::run(Arc::clone(&shared), retention));
        let keeper = Keeper {
            shared: Arc::clone(&shared),
            connection: Some(connection),
        };
        let ended = CancellationToken::new();
        tokio::spawn(host::hold(tasks, keeper, ended.clone()));
        Self {
            calls,
            intake: pool(&shared.url, READER, INTAKE_READERS),
            delivery: pool(&shared.url, READER, DELIVERY_READERS),
            edits: pool(&shared.url, EDITOR, EDITORS),
            head: shared.head.subscribe(),
            ended,
            _closing: shared.closing.clone().drop_guard(),
            shared,
        }
    }

    async fn intake(&self) -> Result<PoolConnection<Postgres>, LogError> {
        self.shared.check_held()?;
        self.intake.acquire().await.map_err(|error| self.fault(error))
    }

    async fn delivery(&self) -> Result<PoolConnection<Postgres>, LogError> {
        self.shared.check_held()?;
        self.delivery.acquire().await.map_err(|error| self.fault(error))
    }

    async fn edit(&self, edit: Edit) -> Edited {
        let (edits, shared) = (self.edits.clone(), Arc::clone(&self.shared));
        let head = *self.head.borrow();
        // A task of its own, so that a caller who no longer waits does not break off in the middle.
        let edited = tokio::spawn(async move { apply(edit, head, &edits, &shared).await });
        edited.await.map_err(|_| LogError::Closed)?
    }

    async fn edit_destination(&self, edit: Edit) -> Result<Held, LogError> {
        self.edit(edit).await?.ok_or(LogError::Closed)
    }

    async fn edit_only(&self, edit: Edit) -> Result<(), LogError> {
        self.edit(edit).await.map(drop)
    }

    /// Waits for what a read found.
    async fn found<T>(&self, read: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, LogError> {
        within(LONGEST, read).await.map_err(|error| self.fault(error))
    }

    fn fault(&self, error: sqlx::Error) -> LogError {
        self.shared.place.fault(&error)
    }
}

/// Sessions that are opened as they are needed, and replaced where they broke.
fn pool(url: &PostgresUrl, settings: &[(&str, &str)], count: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(count)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(url.options(settings))
}

/// Does a small write in a transaction of its own.
async fn apply(edit: Edit, head: Offset, edits: &PgPool, shared: &Shared) -> Edited {
    let fault = |error| shared.place.fault(&error);
    let mut connection = edits.acquire().await.map_err(fault)?;
    let edited = within(LONGEST, apply_within(&edit, head, shared, &mut connection)).await;
    match edited {
        Ok(edited) => edited,
        Err(error) => {
            // It may be in the middle of a transaction, or of no use at all.
            drop(connection.detach());
            Err(fault(error))
        }
    }
}

async fn apply_within(
    edit: &Edit,
    head: Offset,
    shared: &Shared,
    connection: &mut PgConnection,
) -> Result<Edited, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(lock::begin_beside()))
        .execute(&mut *connection)
        .await?;
    let host: i64 = sqlx::query_scalar("SELECT host FROM lakefeed.store")
        .fetch_one(&mut *connection)
        .await?;
    let edited = match host == shared.host {
        true => {
            let mut rows = Rows {
                connection: &mut *connection,
                head,
            };
            edit.apply((shared.clock)(), &mut rows).await
        }
        false => Err(shared.taken_over().into()),
    };
    let (end, edited) = match edited {
        Ok(held) => ("COMMIT", Ok(held)),
        Err(Failed::Refused(error)) => ("ROLLBACK", Err(error)),
        Err(Failed::Store(error)) => return Err(error),
    };
    sqlx::raw_sql(end).execute(connection).await?;
    Ok(edited)
}

#[async_trait]
impl Log for PostgresLog {
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, WriteError> {
        let (answer, answered) = oneshot::channel();
        let call = Call { writes, answer };
        self.calls.send(call).await.map_err(|_| LogError::Closed)?;
        answered.await.map_err(|_| LogError::Closed)?
    }

    /// So that some of them together keep to locks of their own.
    fn versions_a_call(&self) -> usize {
        writer::LOCKS_A_COMMIT / 2
    }

    async fn current(&self, key: &ResourceKey) -> Result<Option<Version>, LogError> {
        self.found(read::current(key, &mut *self.intake().await?)).await
    }

    async fn version(&self, key: &ResourceKey, sequence: Sequence) -> Result<Option<Version>, LogError> {
        self.found(read::one_version(key, sequence, &mut *self.intake().await?))
            .await
    }

    async fn version_to_deliver(
        &self,
        key: &ResourceKey,
        sequence: Sequence,
    ) -> Result<Option<Version>, LogError> {
        self.found(read::one_version(key, sequence, &mut *self.delivery().await?))
            .await
    }

    async fn current_to_deliver(&self, key: &ResourceKey) -> Result<Option<Version>, LogError> {
        self.found(read::current(key, &mut *self.delivery().await?)).await
    }

    async fn history(&self, key: &ResourceKey, page: HistoryPage) -> Result<Vec<Version>, LogError> {
        let width = self.shared.width;
        self.found(history::history(key, page, width, &mut *self.intake().await?))
            .await
    }

    async fn type_history(&self, resource_type: &str, page: HistoryPage) -> Result<TypeHistory, LogError> {
        let width = self.shared.width;
        self.found(history::type_history(
            resource_type,
            page,
            width,
            &mut *self.intake().await?,
        ))
        .await
    }

    async fn history_len(&self, key: &ResourceKey) -> Result<u64, LogError> {
        self.found(history::history_len(key, &mut *self.intake().await?))
            .await
    }

    async fn search(&self, search: &Search) -> Result<Vec<Version>, LogError> {
        self.found(read::search(search, &mut *self.intake().await?)).await
    }

    async fn search_total(&self, search: &Search) -> Result<u64, LogError> {
        self.found(read::search_total(search, &mut *self.intake().await?))
            .await
    }

    async fn look_up(&self, lookup: &Lookup, count: usize) -> Result<Vec<Version>, LogError> {
        self.found(read::look_up(lookup, count, &mut *self.intake().await?))
            .await
    }

    async fn changes(&self, after: Offset, bound: ReadBound) -> Result<Vec<Change>, LogError> {
        self.found(changes::changes(after, bound, &mut *self.delivery().await?))
            .await
    }

    async fn type_changes(
        &self,
        resource_type: &str,
        after: Offset,
        bound: ReadBound,
    ) -> Result<TypeChanges, LogError> {
        let mut connection = self.intake().await?;
        self.found(changes::type_changes(
            resource_type,
            after,
            bound,
            &mut connection,
        ))
        .await
    }

    async fn count_changes(&self, after: Offset, topic: &str) -> Result<u64, LogError> {
        self.found(read::count_changes(after, topic, &mut *self.intake().await?))
            .await
    }

    fn head(&self) -> watch::Receiver<Offset> {
        self.head.clone()
    }

    async fn held_back(&self) -> Result<Option<HeldBack>, LogError> {
        let now = (self.shared.clock)();
        self.found(horizon::held_back(now, &mut *self.intake().await?))
            .await
    }

    async fn create_destination(&self, id: &str, start: Offset) -> Result<DestinationRecord, LogError> {
        let id = id.to_owned();
        let (_, record) = self.edit_destination(Edit::Create { id, start }).await?;
        Ok(record)
    }

    async fn destination(&self, id: &str) -> Result<Option<DestinationRecord>, LogError> {
        let found = self.found(edit::find(id, &mut *self.intake().await?)).await?;
        Ok(found.map(|(_, record)| record))
    }

    async fn destinations(&self) -> Result<Vec<DestinationRecord>, LogError> {
        let all = self.found(edit::all(&mut *self.intake().await?)).await?;
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
        self.found(read::dead_letters(id, after, count, &mut *self.intake().await?))
            .await
    }

    async fn put_kept(&self, space: &str, name: &str, value: &[u8]) -> Result<(), LogError> {
        let (space, name, value) = (space.to_owned(), name.to_owned(), value.to_owned());
        self.edit_only(Edit::Keep { space, name, value }).await
    }

    async fn kept(&self, space: &str, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.found(read::kept(space, name, &mut *self.intake().await?))
            .await
    }

    async fn all_kept(&self, space: &str) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        self.found(read::all_kept(space, &mut *self.intake().await?))
            .await
    }

    async fn drop_kept(&self, space: &str, name: &str) -> Result<(), LogError> {
        let (space, name) = (space.to_owned(), name.to_owned());
        self.edit_only(Edit::Forget { space, name }).await
    }

    async fn lost(&self) -> LogError {
        self.shared.lost.cancelled().await;
        self.shared.taken_over()
    }

    async fn close(&self) {
        self.shared.closing.cancel();
        self.edits.close().await;
        self.intake.close().await;
        self.delivery.close().await;
        self.ended.cancelled().await;
    }
}

impl std::fmt::Debug for PostgresLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PostgresLog({})", self.shared.place.name())
    }
}
