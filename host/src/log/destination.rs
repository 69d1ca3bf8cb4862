//! What the store keeps of a destination.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::{Offset, ResourceKey, Sequence, Timestamp};

/// Who may move a destination: a number that grows each time a host takes the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// A destination as the store knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationRecord {
    /// The destination's id.
    pub id: String,
    /// Made anew with each record: a destination that was deleted and made again is another one.
    pub uuid: Uuid,
    /// Grows with each rewind, so that what was written before is not taken for what is written again.
    pub generation: u64,
    /// Where it began.
    pub start: Offset,
    /// Everything up to here is with the destination.
    pub offset: Offset,
    /// The number that the next batch will bear; grows by one with each batch.
    pub next_batch: u64,
    /// The batch that was being written when the record was last changed.
    pub planned: Option<BatchBounds>,
    /// Whether it is delivered to.
    pub state: DestinationState,
    /// What has been done for it since it was made.
    pub counters: Counters,
    /// The newest five errors, newest first.
    pub last_errors: Vec<LastError>,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When its offset last moved.
    pub acked_at: Option<Timestamp>,
}

/// Whether a destination is delivered to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum DestinationState {
    /// Changes are delivered.
    #[default]
    Active,
    /// An operator paused it.
    Paused,
    /// An operator must act before it goes on.
    Halted {
        /// A stable code.
        code: String,
        /// What happened and what to do; holds no patient data.
        message: String,
    },
}

/// The changes that a batch holds: those after one offset, up to and with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchBounds {
    /// The batch's number within its destination's generation.
    pub number: u64,
    /// The offset before its first change.
    pub after: Offset,
    /// The offset of its last change.
    pub through: Offset,
    /// The version of the view that its rows are made with; 0 where it is not known.
    #[serde(default)]
    pub view: u64,
}

/// What is counted for a destination. Used as a total and as what is to be added to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Changes that the target holds.
    pub delivered: u64,
    /// Attempts to deliver a change, repeated ones included.
    pub attempts: u64,
    /// Rows that the target holds.
    pub rows: u64,
    /// Bytes of rows, as Arrow holds them, that were delivered.
    pub bytes: u64,
    /// Batches that the target holds.
    pub batches: u64,
    /// Changes read past because the topic did not want them.
    pub skipped: u64,
    /// Changes set aside as dead letters.
    pub dead_letters: u64,
    /// Changes that were sent again after an attempt with an unknown end.
    pub possible_duplicates: u64,
    /// Partial dates that were completed to the start of their period.
    pub partial_dates: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, more: Self) {
        self.delivered += more.delivered;
        self.attempts += more.attempts;
        self.rows += more.rows;
        self.bytes += more.bytes;
        self.batches += more.batches;
        self.skipped += more.skipped;
        self.dead_letters += more.dead_letters;
        self.possible_duplicates += more.possible_duplicates;
        self.partial_dates += more.partial_dates;
    }
}

/// An error as `$status` shows it; holds no patient data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// A stable code.
    pub code: String,
    /// What went wrong and what to do.
    pub message: String,
}

/// What one acknowledgement changes.
#[derive(Clone, Debug, Default)]
pub struct Ack {
    /// The destination holds everything up to here, or it was set aside.
    pub through: Offset,
    /// What is added to the counters.
    pub counters: Counters,
    /// The changes that are set aside with it.
    pub dead_letters: Vec<NewDeadLetter>,
    /// Whether the planned batch is done; the next one gets the next number. When false, the planned batch
    /// stays, and a batch made again starts after `through`.
    pub batch_done: bool,
    /// The batch that is planned with it, in the same transaction, as [`plan_batch`](super::Log::plan_batch) would
    /// right after.
    pub next: Option<BatchBounds>,
    /// When.
    pub at: Timestamp,
}

/// A change to be set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeadLetter {
    /// Its place in the log.
    pub offset: Offset,
    /// Whose version.
    pub key: ResourceKey,
    /// The version's number.
    pub version: Sequence,
    /// A stable code of the reason.
    pub code: String,
    /// The reason; holds no patient data.
    pub message: String,
    /// Free text of a remote or a plugin; may quote patient data, and is kept nowhere else.
    pub detail: Option<String>,
    /// The row within the change, from 0.
    pub row: Option<u64>,
    /// The column.
    pub column: Option<String>,
    /// All rows of the change as a JSON array; absent when the view refused the change.
    pub rows: Option<String>,
}

/// A change that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number, for paging.
    pub number: u64,
    /// When it was set aside.
    pub at: Timestamp,
    /// What and why.
    pub letter: NewDeadLetter,
}
