//! Which column gets which type, and what must change in the table.

use arrow::record_batch::RecordBatch;

use crate::{EvolutionPlan, MappedSchema, PluginError, TableSchema, ViewSchema};

/// Chooses a target's types for a view's columns.
///
/// Asked before any row is flattened: the view engine builds its columns in the types that `map` names, so that nothing
/// converts them again. All calls are pure: no I/O, no clock, the same answer for the same question. They may come from
/// any thread, and must return within a millisecond or so.
pub trait SchemaMapper: Send + Sync + 'static {
    /// One column for each of the view's, with the same name and in the same order.
    ///
    /// A column that the target cannot hold is an error of category [`crate::Category::ConfigInvalid`] that names it.
    fn map(&self, view: &ViewSchema) -> Result<MappedSchema, PluginError>;

    /// What must change in the table that `have` describes so that batches of `want` fit. Applies nothing.
    ///
    /// A column of the table that `want` lacks is no difference as long as it may be empty. Names are compared as the
    /// target compares them.
    fn plan(&self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError>;
}

/// A vendor's own conversions, between the view engine and the writer (interface `lakefeed.schema-mapper.coerce/0`).
pub trait Coerce: SchemaMapper {
    /// The same rows in the same order, in the types that the writer of `profile` wants.
    ///
    /// The batch is the mapper's; it may hand it back as it is.
    fn coerce(&self, batch: RecordBatch, profile: &str) -> Result<RecordBatch, PluginError>;
}
