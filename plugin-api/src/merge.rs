//! Moving what was staged into the target table.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::{PluginError, StagedSet, TableRef};

/// What happens to a row whose key the target holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MergeMode {
    /// It stays as it is; only unknown keys are inserted.
    #[default]
    InsertOnly,
    /// Reserved. A plugin answers [`crate::Category::TargetUnsupported`].
    Upsert,
}

/// How staged rows join a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeSpec {
    /// Where the rows end.
    pub target: TableRef,
    /// What happens to keys that are there.
    #[serde(default)]
    pub mode: MergeMode,
    /// The columns that make the key.
    pub key: Vec<String>,
    /// The columns to insert, each named: the target may have more.
    pub columns: Vec<String>,
    /// Names this merge over all attempts.
    pub idempotency_key: String,
}

/// What a merge did, where the target tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MergeStats {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows whose key was there.
    pub matched: u64,
    /// The target's name for the statement; empty if it gives none.
    pub remote_id: String,
}

/// Moves staged rows into their table (interface `lakefeed.merge/0`).
pub trait Merge: Send + Sync + 'static {
    /// Inserts what the target lacks, all or nothing, reading exactly the set's locations.
    ///
    /// May be repeated after an error or a cancellation whose outcome is unknown: keys that are there are left alone.
    fn merge(
        &self,
        staged: &StagedSet,
        spec: &MergeSpec,
    ) -> impl Future<Output = Result<MergeStats, PluginError>> + Send;
}
