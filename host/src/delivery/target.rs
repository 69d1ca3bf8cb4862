//! What the loop asks of a destination's plugins, whichever they are and however they run, and of a part of the host
//! that writes a table itself.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakefeed_plugin_api::{
    Applied, BatchMeta, CheckLevel, CheckReport, EvolutionPlan, MappedSchema, PluginError, TableSchema,
    ViewSchema, Watermark, WriteAck, WriterProfile,
};

use super::collect::FlatChange;
use super::spec::DestinationSpec;

/// How long a writer may take to close in good order.
pub(crate) const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// One destination's writer, mapper and table administration.
///
/// Instances of plugins are made when they are first needed and again after [`discard`](Self::discard). No call
/// blocks the thread, and each may be dropped while it is under way.
#[async_trait]
pub(crate) trait Target: Send + Sync {
    /// Asks the mapper for the columns' types.
    async fn map(&mut self, view: &ViewSchema) -> Result<MappedSchema, PluginError>;

    /// Asks the mapper what must change in the table.
    async fn plan(&mut self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError>;

    /// What the table has; none without table administration.
    async fn describe(&mut self) -> Result<Option<TableSchema>, PluginError>;

    /// Adds the plan's columns.
    async fn apply(&mut self, plan: &EvolutionPlan) -> Result<Applied, PluginError>;

    /// Makes the table with these columns.
    async fn create(&mut self, columns: &MappedSchema) -> Result<Applied, PluginError>;

    /// Opens the writer.
    async fn open(&mut self, schema: SchemaRef, schema_id: u32) -> Result<WriterProfile, PluginError>;

    /// Gives an open writer another schema.
    async fn evolve(&mut self, schema: SchemaRef, schema_id: u32) -> Result<(), PluginError>;

    /// Writes a batch. `changes` are those of the batch, in order; where only the newest rows are kept a change may
    /// have none, and its place in `meta` is then that of the next one.
    async fn write(
        &mut self,
        rows: RecordBatch,
        meta: &BatchMeta,
        changes: &[FlatChange],
    ) -> Result<WriteAck, PluginError>;

    /// Makes durable what was only accepted; none when the writer cannot be asked.
    async fn flush(&mut self) -> Result<Option<Watermark>, PluginError>;

    /// Asks the writer whether the destination works as far as the level; nothing where it has no answer.
    async fn check(&mut self, _: CheckLevel) -> Result<CheckReport, PluginError> {
        Ok(CheckReport::default())
    }

    /// Forgets tokens, so that the next call fetches fresh ones.
    async fn refresh_auth(&mut self);

    /// Lets go of the instances; whatever hangs in them is abandoned.
    async fn discard(&mut self);

    /// Ends the work in good order.
    async fn close(&mut self);
}

/// Makes targets; the one thing about plugins that differs between the host and a test.
pub(crate) trait Targets: Send + Sync {
    /// The target of a destination, nothing of it opened yet.
    fn target(&self, spec: &DestinationSpec) -> Box<dyn Target>;
}
