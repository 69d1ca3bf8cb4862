//! What a staging area promises to an initial export.
//!
//! An export writes chunks side by side, each under a place of its own and with a fencing number, and merges only those
//! whose receipt the host holds. A chunk that fails is staged again under a higher number; what the lower one left is
//! never merged and is removed by `cleanup`.

use std::future::Future;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::{MappedColumn, PluginError, TableRef};

/// What is to be staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSpec {
    /// The export's id, stable over restarts.
    pub run_id: String,
    /// The table that the rows will end in.
    pub target: TableRef,
    /// The columns.
    pub columns: Vec<MappedColumn>,
    /// How many chunks there will be.
    pub chunks: u32,
    /// The place to stage at: the URL of a folder.
    pub location: String,
    /// A good size for one file, in bytes.
    #[serde(default = "target_file_bytes")]
    pub target_file_bytes: u64,
}

fn target_file_bytes() -> u64 {
    128 << 20
}

/// What a stager needs to go on with an export. Opaque to the host, which keeps it: a later process, with a newer
/// version of the plugin, goes on or cleans up with it. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StageToken(pub String);

/// One attempt at one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunk {
    /// Which chunk, counted from 0.
    pub index: u32,
    /// Which attempt, growing. Files of different attempts never share a folder.
    pub fence: u64,
}

/// A table that the host creates through the companion `TableAdmin` before rows are appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTable {
    /// The URL of its folder.
    pub location: String,
    /// Its format, such as `delta` or `parquet`.
    pub format: String,
}

/// What `begin` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// What later calls are given.
    pub token: StageToken,
    /// Tables to be created before the first row.
    #[serde(default)]
    pub tables: Vec<StageTable>,
}

/// What one attempt at one chunk left, complete and durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkReceipt {
    /// Which attempt.
    pub chunk: Chunk,
    /// The URL of its folder.
    pub location: String,
    /// How many rows it holds.
    pub rows: u64,
    /// How many bytes it holds.
    pub bytes: u64,
}

/// What can be merged: the chunks of the receipts, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedSet {
    /// The format of the folders.
    pub format: String,
    /// The folders to read.
    pub locations: Vec<String>,
    /// How many rows they hold together.
    pub rows: u64,
    /// How many bytes they hold together.
    pub bytes: u64,
}

/// What is to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CleanupTarget {
    /// Everything of one export, after its merge or when it is given up.
    Run(StageToken),
    /// What one attempt at a chunk left.
    Chunk(StageToken, Chunk),
    /// What exports that nobody knows any more left under this folder; the named runs are alive and stay.
    Orphans {
        /// The folder that exports stage under.
        location: String,
        /// Runs that must stay.
        keep: Vec<String>,
    },
}

/// Something that was not removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// What it is.
    pub location: String,
    /// Why it stays.
    pub reason: String,
    /// What the operator can do.
    #[serde(default)]
    pub hint: String,
}

/// What a cleanup did. Things left are a warning, never a failed export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CleanupReport {
    /// What was removed.
    pub removed: Vec<String>,
    /// What was left, and why.
    pub skipped: Vec<Skipped>,
}

/// Bulk staging (interface `lakefeed.stager/0`). Credentials for the place come from [`crate::Host::credentials`].
///
/// Chunks are staged side by side, the calls of one chunk one after the other. Any call may be cancelled; the host then
/// goes on with the same chunk under a higher fence, or cleans up.
pub trait Stager: Send + Sync + 'static {
    /// Prepares the place. Repeated with the same run it answers an equivalent token and destroys nothing.
    ///
    /// What an unknown run left there is [`crate::Category::StagingConflict`].
    fn begin(&self, spec: &StageSpec) -> impl Future<Output = Result<Begun, PluginError>> + Send;

    /// Adds rows to a chunk. They need not be durable before `finish_chunk`. After an error the attempt is over.
    fn append(
        &self,
        token: &StageToken,
        chunk: Chunk,
        batch: RecordBatch,
    ) -> impl Future<Output = Result<(), PluginError>> + Send;

    /// Makes the attempt's rows durable and says where they are. A chunk without rows is finished too, with `schema`
    /// as that of its empty files. Repeating it answers the same receipt.
    fn finish_chunk(
        &self,
        token: &StageToken,
        chunk: Chunk,
        schema: SchemaRef,
    ) -> impl Future<Output = Result<ChunkReceipt, PluginError>> + Send;

    /// Says what is to be merged: exactly the given receipts, one for each chunk. Repeating it answers the same.
    fn commit(
        &self,
        token: &StageToken,
        receipts: &[ChunkReceipt],
    ) -> impl Future<Output = Result<StagedSet, PluginError>> + Send;

    /// Removes staged files, and reports what it had to leave. Deletes nothing when it cannot tell what a file is.
    /// What is gone already is no error.
    fn cleanup(
        &self,
        target: &CleanupTarget,
    ) -> impl Future<Output = Result<CleanupReport, PluginError>> + Send;
}
