//! A target whose every call ends in time.

use std::future::Future;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakefeed_plugin_api::{
    Applied, BatchMeta, Category, CheckLevel, CheckReport, EvolutionPlan, MappedSchema, PluginError,
    TableSchema, ViewSchema, Watermark, WriteAck, WriterProfile,
};

use super::collect::FlatChange;
use super::target::{CLOSE_WITHIN, Target};

/// How much longer than its deadline a call is waited for, so that a plugin's own answer wins over the host's.
const GRACE: Duration = Duration::from_secs(2);

/// How much longer than it may take a close is waited for, so that a stuck one is given up where it is counted.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Wraps a target. A call that does not return in time becomes an error whose outcome is unknown; whoever calls
/// next must have discarded the instance before.
pub(crate) struct Timed {
    inner: Box<dyn Target>,
    limit: Duration,
}

impl Timed {
    pub(crate) fn new(inner: Box<dyn Target>, limit: Duration) -> Self {
        Self { inner, limit }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, PluginError>>,
) -> Result<T, PluginError> {
    match tokio::time::timeout(limit.saturating_add(GRACE), call).await {
        Ok(answer) => answer,
        Err(_) => Err(too_late(limit)),
    }
}

fn too_late(limit: Duration) -> PluginError {
    let message = format!(
        "the plugin did not answer within {} s; its instance is given up",
        limit.as_secs()
    );
    PluginError::new(Category::Deadline, "DELIVERY-004", message)
        .hint("look at the target's health; a call that may take longer needs a longer `callTimeoutMs`")
        .outcome_unknown()
}

#[async_trait]
impl Target for Timed {
    async fn map(&mut self, view: &ViewSchema) -> Result<MappedSchema, PluginError> {
        within(self.limit, self.inner.map(view)).await
    }

    async fn plan(&mut self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError> {
        within(self.limit, self.inner.plan(have, want)).await
    }

    async fn describe(&mut self) -> Result<Option<TableSchema>, PluginError> {
        within(self.limit, self.inner.describe()).await
    }

    async fn apply(&mut self, plan: &EvolutionPlan) -> Result<Applied, PluginError> {
        within(self.limit, self.inner.apply(plan)).await
    }

    async fn create(&mut self, columns: &MappedSchema) -> Result<Applied, PluginError> {
        within(self.limit, self.inner.create(columns)).await
    }

    async fn open(&mut self, schema: SchemaRef, schema_id: u32) -> Result<WriterProfile, PluginError> {
        within(self.limit, self.inner.open(schema, schema_id)).await
    }

    async fn evolve(&mut self, schema: SchemaRef, schema_id: u32) -> Result<(), PluginError> {
        within(self.limit, self.inner.evolve(schema, schema_id)).await
    }

    async fn write(
        &mut self,
        rows: RecordBatch,
        meta: &BatchMeta,
        changes: &[FlatChange],
    ) -> Result<WriteAck, PluginError> {
        within(self.limit, self.inner.write(rows, meta, changes)).await
    }

    async fn flush(&mut self) -> Result<Option<Watermark>, PluginError> {
        within(self.limit, self.inner.flush()).await
    }

    async fn check(&mut self, level: CheckLevel) -> Result<CheckReport, PluginError> {
        within(self.limit, self.inner.check(level)).await
    }

    async fn refresh_auth(&mut self) {
        self.inner.refresh_auth().await;
    }

    async fn discard(&mut self) {
        self.inner.discard().await;
    }

    async fn close(&mut self) {
        // What could not be closed in time needs no closing: a writer must not rely on it.
        if tokio::time::timeout(CLOSE_WITHIN + CLOSE_GRACE, self.inner.close())
            .await
            .is_err()
        {
            self.inner.discard().await;
        }
    }
}
