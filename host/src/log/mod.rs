//! The change log and the destinations' offsets.
//!
//! Each create, update and delete is one row of an append-only log, written in the same transaction as the
//! resource's current state; the log *is* the FHIR version history. A destination is an [`Offset`] into it.
//! [`Log`] is the trait that every store implements; its promises are tested by one suite that each
//! implementation passes. A log knows nothing of topics, views and plugins: what a change matched is decided by
//! the [`Matcher`] that the writer hands in, and kept as it was answered.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::change::{Body, Change, Interaction, Offset, ResourceKey, Sequence, Source, Timestamp, Version};

mod destination;
mod during;
mod edit;
mod error;
mod look;
mod open;
mod plan;
pub mod postgres;
mod search;
pub mod sqlite;
#[cfg(test)]
pub(crate) mod suite;
mod transition;

pub use destination::{
    Ack, BatchBounds, Counters, DeadLetter, DestinationRecord, DestinationState, Fence, LastError,
    NewDeadLetter,
};
pub use error::LogError;
pub use look::Look;
pub use open::{StoreUrl, open, open_retaining};
pub use search::{
    During, Finding, HistoryPage, Lookup, MOST_BEARERS, MOST_LOOKED_AT, Place, Search, SearchOrder, Token,
    TypeHistory, Which,
};

/// Where a store reads the time; handed in, so that a test can stop it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub use crate::change::Matcher;

/// The store of resources, their history and the destinations' offsets.
///
/// What a caller may rely on:
///
/// - *Committed means durable.* When a writing call returns `Ok`, its effect survives the loss of power.
/// - *All or nothing.* One call of [`write`](Self::write) is one transaction; many calls may share one commit.
/// - *In order.* [`changes`](Self::changes) gives out changes in the order of their offsets, each once, and
///   never a later one before an earlier one that could still appear. A resource's versions keep their order
///   and their `last_updated` grows strictly.
/// - *Fenced.* Every call that moves a destination names its [`Fence`]; once a later one was taken, a call with
///   an earlier one fails with [`LogError::Fenced`] and changes nothing.
/// - *Cancel-safe.* A call whose future is dropped either took effect whole or not at all.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    // ---- resources

    /// Writes versions, all in one transaction. The answers are in the order of the writes.
    ///
    /// Several writes of one resource in one call make several versions, in order. When one is refused, nothing
    /// is written.
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, WriteError>;

    /// How many versions one call of [`write`](Self::write) takes best where very many are loaded.
    fn versions_a_call(&self) -> usize {
        usize::MAX
    }

    /// A resource's newest version, the one made by a delete included; none if there never was one.
    async fn current(&self, key: &ResourceKey) -> Result<Option<Version>, LogError>;

    /// One version of a resource by its number; none where it gave way.
    async fn version(&self, key: &ResourceKey, sequence: Sequence) -> Result<Option<Version>, LogError>;

    /// As [`version`](Self::version), for a destination's loop: it waits for none of the requests' reads.
    async fn version_to_deliver(
        &self,
        key: &ResourceKey,
        sequence: Sequence,
    ) -> Result<Option<Version>, LogError> {
        self.version(key, sequence).await
    }

    /// As [`current`](Self::current), for a destination's loop: it waits for none of the requests' reads.
    async fn current_to_deliver(&self, key: &ResourceKey) -> Result<Option<Version>, LogError> {
        self.current(key).await
    }

    /// A resource's versions, newest first. Where older ones gave way it ends at the first that did.
    async fn history(&self, key: &ResourceKey, page: HistoryPage) -> Result<Vec<Version>, LogError>;

    /// How many versions were made of a resource; those that gave way by the store's retention are counted, too.
    async fn history_len(&self, key: &ResourceKey) -> Result<u64, LogError>;

    /// The versions of all resources of a type, newest first.
    async fn type_history(&self, resource_type: &str, page: HistoryPage) -> Result<TypeHistory, LogError>;

    /// Living resources of a type; see [`Search`].
    async fn search(&self, search: &Search) -> Result<Vec<Version>, LogError>;

    /// How many living resources a search would find without its paging.
    async fn search_total(&self, search: &Search) -> Result<u64, LogError>;

    /// What a lookup finds, by id, at most `count`.
    async fn look_up(&self, lookup: &Lookup, count: usize) -> Result<Vec<Version>, LogError>;

    // ---- changes

    /// The changes behind `after`, in order; at least one if there is any, then until a bound is met.
    async fn changes(&self, after: Offset, bound: ReadBound) -> Result<Vec<Change>, LogError>;

    /// The changes of a type's resources behind `after`, in order, until a bound is met or much of the log was looked at:
    /// there may be more even where none is given. Whoever goes on behind [`reached`](TypeChanges::reached) is given
    /// each change once and misses none.
    async fn type_changes(
        &self,
        resource_type: &str,
        after: Offset,
        bound: ReadBound,
    ) -> Result<TypeChanges, LogError>;

    /// How many changes after an offset a topic wanted when they were written, of those that are still there. Exact.
    async fn count_changes(&self, after: Offset, topic: &str) -> Result<u64, LogError>;

    /// The offset of the newest committed change, and a signal that wakes when it moves on.
    fn head(&self) -> watch::Receiver<Offset>;

    /// What keeps committed changes from being given out at the moment; none when nothing does.
    async fn held_back(&self) -> Result<Option<HeldBack>, LogError> {
        Ok(None)
    }

    // ---- destinations

    /// Makes a destination's record, active, its offset at `start`. An existing record of this id is an error.
    async fn create_destination(&self, id: &str, start: Offset) -> Result<DestinationRecord, LogError>;

    /// A destination's record as it is now.
    async fn destination(&self, id: &str) -> Result<Option<DestinationRecord>, LogError>;

    /// All destinations' records, by id.
    async fn destinations(&self) -> Result<Vec<DestinationRecord>, LogError>;

    /// Takes a destination for this host: the fence grows, and whoever held it before can change nothing more.
    /// A fence is never given twice, not even after the destination was dropped and made again.
    async fn take_destination(&self, id: &str) -> Result<(Fence, DestinationRecord), LogError>;

    /// Removes a destination's record with its dead letters. Absent is success.
    async fn drop_destination(&self, id: &str) -> Result<(), LogError>;

    /// Persists the bounds of the batch that is about to be written, so that after a crash the same batch is
    /// made again. The batch must bear the record's next number and start at its offset or behind it, else the
    /// call fails with [`LogError::OutOfOrder`]; a batch that is planned already is replaced.
    async fn plan_batch(&self, id: &str, fence: Fence, batch: BatchBounds) -> Result<(), LogError>;

    /// Moves a destination's offset, adds to its counters, stores dead letters and forgets the planned batch
    /// when that is done: one transaction. An acknowledgement of less than the offset, or of more than the log
    /// holds, fails with [`LogError::OutOfOrder`].
    async fn ack(&self, id: &str, fence: Fence, ack: Ack) -> Result<(), LogError>;

    /// Keeps an error for `$status` (the newest five stay) and adds to the counters.
    async fn record_failure(
        &self,
        id: &str,
        fence: Fence,
        error: LastError,
        counters: Counters,
    ) -> Result<(), LogError>;

    /// Makes a destination active, paused or halted.
    async fn set_destination_state(&self, id: &str, state: DestinationState) -> Result<(), LogError>;

    /// Halts a destination that is active. One that was paused stays so, and one that halted keeps its reason.
    async fn halt_destination(&self, id: &str, code: &str, message: &str) -> Result<(), LogError>;

    /// Moves a destination's offset to any place and starts a new generation, whose batches are numbered anew.
    /// Its planned batch is forgotten, and whoever held the destination must take it again.
    async fn rewind_destination(&self, id: &str, to: Offset) -> Result<DestinationRecord, LogError>;

    /// A destination's dead letters, oldest first, at most `count`, after the given number.
    async fn dead_letters(&self, id: &str, after: u64, count: usize) -> Result<Vec<DeadLetter>, LogError>;

    // ---- what the host keeps beside

    /// Keeps a small value under a name: a materialised view's definition, a plugin's state. Replaces.
    async fn put_kept(&self, space: &str, name: &str, value: &[u8]) -> Result<(), LogError>;

    /// A kept value.
    async fn kept(&self, space: &str, name: &str) -> Result<Option<Vec<u8>>, LogError>;

    /// All names and values kept in a space, by name.
    async fn all_kept(&self, space: &str) -> Result<Vec<(String, Vec<u8>)>, LogError>;

    /// Forgets a kept value. Absent is success.
    async fn drop_kept(&self, space: &str, name: &str) -> Result<(), LogError>;

    /// Waits until another host has taken the store, if that ever happens, and answers that it is in use. This host
    /// writes nothing more; all that it can do is to end.
    async fn lost(&self) -> LogError {
        std::future::pending().await
    }

    /// Finishes what is under way and lets go of the store. Later calls fail with [`LogError::Closed`].
    async fn close(&self);
}

/// One version to be written.
#[derive(Clone)]
pub struct Write {
    /// Whose version.
    pub key: ResourceKey,
    /// What must hold for it to be written.
    pub precondition: Precondition,
    /// What is done.
    pub action: Action,
    /// Which topics want it.
    pub matcher: Matcher,
    /// What the server it came from called it. A write without one keeps what the version before was called.
    pub source: Option<Source>,
    /// What lookups find the resource by once this is its newest version. Deleted, it is found no more.
    pub tokens: Vec<Token>,
    /// What was found before this write was decided, and must still be found when it happens.
    pub finding: Option<Arc<Finding>>,
}

impl Write {
    /// About how many bytes of a resource it brings.
    pub fn size(&self) -> usize {
        match &self.action {
            Action::Put(body) => body.size(),
            Action::Delete => 0,
        }
    }
}

/// What a write does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Stores a content: the first version, a further one, or one that revives a deleted resource.
    Put(Arc<Body>),
    /// Deletes: the last content is repeated with the delete's own meta. A resource that is absent or already
    /// deleted is left as it is.
    Delete,
}

/// What must hold of a resource for a write to happen; checked inside the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    None,
    /// There is no living resource of this key. A deleted one may come back.
    Absent,
    /// There is a living resource of this key.
    Exists,
    /// The living resource's version is this one.
    VersionIs(Sequence),
    /// The write's source supersedes the one that the newest version came with, if it came with one. A write that
    /// is late or was made before is left out, which refuses nothing.
    SourceIsNewer,
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A version was made.
    Version {
        /// The version, as stored.
        version: Version,
        /// What it was.
        interaction: Interaction,
    },
    /// Nothing was there to delete.
    Nothing,
    /// The write was late or made before: the newest version stays as it is.
    Unchanged(Version),
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A precondition did not hold.
    #[error("write {index}: {refused}")]
    Refused {
        /// Which of the writes, from 0.
        index: usize,
        /// What did not hold.
        refused: Refused,
    },
    /// The store failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The precondition that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A living resource has this key; its version number.
    #[error("the resource exists already, in version {0}")]
    Exists(Sequence),
    /// No living resource has this key.
    #[error("the resource does not exist")]
    Absent,
    /// The living resource has another version.
    #[error("the resource is in version {0}")]
    OtherVersion(Sequence),
    /// A lookup no longer finds what the write was decided by; ask again and decide anew.
    #[error("other resources are found than before")]
    FoundOther,
    /// More than [`MOST_BEARERS`] resources bear the token of the lookup that the write was decided by. Name the
    /// resource by its id.
    #[error(
        "more than {MOST_BEARERS} resources bear this identifier's value, too many to decide by; write by id"
    )]
    Crowded,
}

/// What keeps committed changes from being given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// Who holds them back and what to do; holds no data.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// Where a read of the log stops; whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct ReadBound {
    /// At most this many changes.
    pub changes: usize,
    /// Not past this many bytes of resources, but for the first change.
    pub bytes: usize,
    /// Not past this offset, which is how a planned batch is read again.
    pub through: Option<Offset>,
}

/// The changes of a type's resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeChanges {
    /// In order.
    pub changes: Vec<Change>,
    /// All changes of the type up to here were looked at; never before where the read began.
    pub reached: Offset,
}

/// The identity of a store, for messages and backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreInfo {
    /// The version of the schema.
    pub schema: u32,
    /// How many versions of resources it holds.
    pub versions: u64,
    /// How many living resources it holds.
    pub resources: u64,
    /// How many destinations have an offset in it.
    pub destinations: u64,
}
