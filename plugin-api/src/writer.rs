//! What a live writer promises: open, write a batch, say what became of it, close.
//!
//! The order of calls on one instance: `open` once; then any number of `write`, with `evolve` between them when the
//! schema changes; `close` last. Up to [`WriterProfile::max_in_flight`] writes are under way together, and two that
//! share a resource never are. `open`, `evolve` and `close` are never under way together with another call.

use std::future::Future;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::{PluginError, TableRef, WriteAck};

/// When a call should have ended. Past it the host stops waiting and cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// This long from now. What lies past the end of time is no deadline.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    /// No limit.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// How long is left, zero once it has passed; none without a limit.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// Where the changes of a batch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// Live delivery.
    Live,
    /// The initial copy of what was there already.
    InitialExport,
}

/// What a batch is: whose, which, how often tried, and where its changes begin.
///
/// The unit is the change: one version of a resource with all its rows. A plugin never splits inside one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchMeta {
    /// The destination's id, stable over restarts and renames.
    pub destination: String,
    /// Grows by one each time the destination is rewound or created again; batch numbers start again with it.
    pub generation: u64,
    /// The batch's number: strictly growing within a generation. The same number always means the same changes and
    /// the same rows, before and after a crash.
    pub batch_number: u64,
    /// How often this batch has been offered, counted from 1. Starts again at 1 after a restart of the host.
    pub attempt: u32,
    /// Names the batch over all attempts and restarts: fit for a target that removes repetitions itself.
    pub idempotency_key: String,
    /// Offset of the first change in the change log.
    pub first_offset: u64,
    /// Offset of the last change in the change log.
    pub last_offset: u64,
    /// Where the changes come from.
    pub source: Source,
    /// Which schema the batch has: the number given with `open` or the latest `evolve`.
    pub schema_id: u32,
    /// The row with which each change begins, ascending, the first being 0. A change without rows does not occur.
    pub change_starts: Vec<u64>,
    /// When the host stops waiting.
    pub deadline: Deadline,
    /// The W3C trace context; empty if there is none.
    pub traceparent: String,
}

impl BatchMeta {
    /// How many changes the batch holds.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.change_starts.len()
    }

    /// The change that a row belongs to.
    #[must_use]
    pub fn change_of_row(&self, row: u64) -> u64 {
        self.change_starts
            .partition_point(|start| *start <= row)
            .saturating_sub(1) as u64
    }
}

/// Which order the writer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ordering {
    /// Any.
    None,
    /// Versions of one resource one after the other.
    PerKey,
    /// Batches one after the other.
    Total,
}

/// When a writer says that a batch is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AckMode {
    /// When `write` returns.
    OnReturn,
    /// Later: `write` returns [`crate::Durability::Accepted`], and [`crate::Host::ack`] or [`Flush::flush`] tells the
    /// batch number up to which all is durable. The host offers again what was never acked.
    Watermark,
}

/// What a writer can do and likes. The host shapes its batches by it; the defaults suit a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterProfile {
    /// How many writes may be under way together; at least 1.
    pub max_in_flight: u32,
    /// A good number of rows for one batch.
    pub preferred_rows: u64,
    /// A good number of bytes for one batch, in memory.
    pub preferred_bytes: u64,
    /// The number of bytes past which the target refuses a batch; 0 for no limit. The host splits before it.
    pub max_bytes: u64,
    /// The order that must be kept.
    pub ordering: Ordering,
    /// When a batch is safe.
    pub ack_mode: AckMode,
    /// Whether repeating a batch (same generation and number) leaves no second copy.
    pub idempotent: bool,
    /// Whether refusals name the change at fault.
    pub row_errors: bool,
    /// Whether columns may be lists.
    pub nested: bool,
}

impl Default for WriterProfile {
    fn default() -> Self {
        Self {
            max_in_flight: 1,
            preferred_rows: 10_000,
            preferred_bytes: 8 << 20,
            max_bytes: 0,
            ordering: Ordering::Total,
            ack_mode: AckMode::OnReturn,
            idempotent: false,
            row_errors: false,
            nested: true,
        }
    }
}

/// Appends rows to one table (interface `lakefeed.writer/0`).
///
/// **Memory.** A batch is the writer's from the call on; its buffers are read-only, may lie at an offset, and may be
/// kept past the call. They are released when the last array over them is dropped.
///
/// **Cancellation.** Each future may be dropped at any await. The instance stays usable; what the write had done may
/// stay done. The host then offers the same batch again, under the same number.
pub trait Writer: Send + Sync + 'static {
    /// Makes ready to write batches of this schema to this table, and says how it likes them.
    ///
    /// Called once, first. A table that is missing is made here if the writer can make it; otherwise it is an error of
    /// category [`crate::Category::SchemaMismatch`], upon which the host asks the companion `TableAdmin`. `schema_id`
    /// names the schema in the batches to come. After an error the host may call again.
    fn open(
        &self,
        table: &TableRef,
        schema: SchemaRef,
        schema_id: u32,
    ) -> impl Future<Output = Result<WriterProfile, PluginError>> + Send;

    /// Writes the batch, and returns when it is as durable as the answer says.
    ///
    /// *Durable* means that the rows survive the loss of this process and of the machine's power: on a local disk,
    /// files and the folders that name them are synced first; at a server, its answer promises it.
    ///
    /// **Atomicity.** An error means that nothing is promised: some rows may be there. A writer that can should leave
    /// all or none. **Repetition.** The same batch (generation and number) may be offered again after an error, a
    /// cancellation or a crash, also to a new instance; a writer with [`WriterProfile::idempotent`] must then not
    /// write it twice. A batch may have no rows; it is acknowledged like any other.
    fn write(
        &self,
        batch: RecordBatch,
        meta: &BatchMeta,
    ) -> impl Future<Output = Result<WriteAck, PluginError>> + Send;

    /// Takes up another schema, after the table was changed or the view was materialised again.
    ///
    /// No write is under way. Batches that follow carry `schema_id`. After an error the earlier schema stays in force.
    fn evolve(
        &self,
        schema: SchemaRef,
        schema_id: u32,
    ) -> impl Future<Output = Result<(), PluginError>> + Send;

    /// Ends the work: makes durable what was accepted, releases the target. No call follows but destruction.
    ///
    /// Not called after a panic, a crash or a loss of power: a writer must not need it.
    fn close(&self, deadline: Deadline) -> impl Future<Output = Result<(), PluginError>> + Send;
}

/// Up to where all is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Every batch up to this number, and including it, is durable.
    pub batch_number: u64,
}

/// For writers with [`AckMode::Watermark`] (interface `lakefeed.writer.flush/0`).
pub trait Flush: Writer {
    /// Makes durable what was accepted before the call, and says up to where all is.
    ///
    /// May be called while writes are under way; those need not be covered. Calling twice is harmless.
    fn flush(&self, deadline: Deadline) -> impl Future<Output = Result<Watermark, PluginError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_belongs_to_the_last_change_that_begins_at_or_before_it() {
        let meta = BatchMeta {
            destination: "d".into(),
            generation: 1,
            batch_number: 1,
            attempt: 1,
            idempotency_key: "d-1-1".into(),
            first_offset: 1,
            last_offset: 3,
            source: Source::Live,
            schema_id: 1,
            change_starts: vec![0, 2, 5],
            deadline: Deadline::none(),
            traceparent: String::new(),
        };
        let changes: Vec<u64> = (0..7).map(|row| meta.change_of_row(row)).collect();
        assert_eq!(changes, [0, 0, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn a_deadline_in_the_past_leaves_nothing() {
        assert_eq!(Deadline::after(Duration::ZERO).remaining(), Some(Duration::ZERO));
        assert_eq!(Deadline::none().remaining(), None);
        assert_eq!(Deadline::after(Duration::MAX).remaining(), None);
    }
}
