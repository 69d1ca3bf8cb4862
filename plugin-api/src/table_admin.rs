//! Describing, changing, creating and dropping tables.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::{EvolutionPlan, MappedColumn, PluginError, TableRef, TableSchema};

/// Who keeps the files of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// The catalog: it chooses the place, and removes the files with the table.
    Managed,
    /// Whoever named the place, [`TableRef::location`]: dropping the table leaves the files.
    External,
}

/// A table to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTable {
    /// Its name and, for an external table, its place.
    pub table: TableRef,
    /// Who keeps its files.
    pub kind: TableKind,
    /// Its columns, in order, all of which may be empty.
    pub columns: Vec<MappedColumn>,
    /// A remark kept with the table; empty for none.
    #[serde(default)]
    pub comment: String,
}

/// What was done to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Applied {
    /// The columns that were added. Those that had been there already are not named.
    pub added: Vec<String>,
    /// The target's name for the change (a version, a statement id); empty if it gives none.
    pub remote_id: String,
}

/// Table administration (interface `lakefeed.table-admin/0`).
///
/// Every call may be repeated: what is so already is no error. A cancelled call may have taken effect.
pub trait TableAdmin: Send + Sync + 'static {
    /// What the table has now, read from the target and not from a cache. A missing table is an answer
    /// (`exists = false`), not an error.
    fn describe(&self, table: &TableRef) -> impl Future<Output = Result<TableSchema, PluginError>> + Send;

    /// Adds the plan's columns. A plan with `blocked` differences is refused whole with
    /// [`crate::Category::SchemaIncompatible`]; nothing is dropped, renamed or narrowed, ever.
    fn apply(&self, plan: &EvolutionPlan) -> impl Future<Output = Result<Applied, PluginError>> + Send;

    /// Makes the table. One that exists with these columns is success; with others it is
    /// [`crate::Category::SchemaMismatch`].
    fn create(&self, table: &CreateTable) -> impl Future<Output = Result<Applied, PluginError>> + Send;

    /// Drops the table that the host created for staging. One that is gone is success.
    fn drop_table(&self, table: &TableRef) -> impl Future<Output = Result<(), PluginError>> + Send;
}
