//! A target made of loaded plugins.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakefeed_plugin_api::{
    Applied, BatchMeta, Category, CheckLevel, CheckReport, CreateTable, Deadline, EvolutionPlan,
    MappedSchema, PluginError, TableKind, TableSchema, ViewSchema, Watermark, WriteAck, WriterProfile,
};

use super::collect::FlatChange;
use super::spec::{DestinationSpec, Place, PluginPlace, PluginUse};
use super::standard;
use super::target::{CLOSE_WITHIN, Target, Targets};
use super::vending::Vending;
use crate::plugin::{Instance, InstanceContext, InstanceState, PluginMetrics, PluginRegistry};

const ADMIN: &str = "lakefeed.table-admin/0";
const MAPPER: &str = "lakefeed.schema-mapper/0";
const CHECK: &str = "lakefeed.check/0";
const FLUSH: &str = "lakefeed.writer.flush/0";

/// Makes targets of the plugins that a host has.
pub(crate) struct PluginTargets {
    pub(crate) plugins: Arc<PluginRegistry>,
    pub(crate) metrics: Arc<PluginMetrics>,
}

/// One destination's plugins. Parts that use one plugin with the same parameters share an instance.
struct PluginTarget {
    plugins: Arc<PluginRegistry>,
    context: InstanceContext,
    place: PluginPlace,
    call_timeout: Duration,
    instances: Vec<(PluginUse, Arc<Instance>)>,
}

impl Targets for PluginTargets {
    fn target(&self, spec: &DestinationSpec) -> Box<dyn Target> {
        let place = match &spec.target.place {
            Place::Plugins(place) => PluginPlace::clone(place),
            Place::Own(targets) => return targets.0.target(spec),
        };
        let mut context = InstanceContext {
            call_timeout: spec.target.call_timeout,
            metrics: Arc::clone(&self.metrics),
            tokens: Some(Arc::clone(self.plugins.tokens())),
            ..InstanceContext::new(spec.id.clone())
        };
        if let Some(vendor) = &place.credentials {
            let vending = Vending::new(Arc::clone(&self.plugins), vendor.clone(), context.clone());
            context.credentials = Some(Arc::new(vending));
        }
        Box::new(PluginTarget {
            plugins: Arc::clone(&self.plugins),
            context,
            place,
            call_timeout: spec.target.call_timeout,
            instances: Vec::new(),
        })
    }
}

impl PluginTarget {
    async fn writer(&mut self) -> Result<Arc<Instance>, PluginError> {
        let writer = self.place.writer.clone();
        self.instance(&writer).await
    }

    /// The administration of tables, where a plugin offers it.
    async fn admin(&mut self) -> Result<Option<Arc<Instance>>, PluginError> {
        let Some(admin) = self.place.admin.clone() else {
            return Ok(None);
        };
        self.offering(&admin, ADMIN).await
    }

    /// The schema mapper, where a plugin offers one.
    async fn mapper(&mut self) -> Result<Option<Arc<Instance>>, PluginError> {
        let mapper = self.place.mapper.clone();
        self.offering(&mapper, MAPPER).await
    }

    async fn offering(
        &mut self,
        used: &PluginUse,
        interface: &str,
    ) -> Result<Option<Arc<Instance>>, PluginError> {
        let instance = self.instance(used).await?;
        Ok(instance.plugin.manifest.offers(interface).then_some(instance))
    }

    /// The instance of a plugin with these parameters: the one at hand while it is sound, else a new one.
    async fn instance(&mut self, used: &PluginUse) -> Result<Arc<Instance>, PluginError> {
        if let Some((_, instance)) = self.instances.iter().find(|(held, _)| held == used) {
            return Ok(Arc::clone(instance));
        }
        let instance = Arc::new(make(&self.plugins, used, self.context.clone()).await?);
        self.instances.push((used.clone(), Arc::clone(&instance)));
        Ok(instance)
    }
}

/// An instance of a plugin with these parameters.
pub(super) async fn make(
    plugins: &Arc<PluginRegistry>,
    used: &PluginUse,
    context: InstanceContext,
) -> Result<Instance, PluginError> {
    let (plugins, name, version) = (Arc::clone(plugins), used.plugin.clone(), used.version.clone());
    // Loading reads the library and runs its first code.
    let loading = tokio::task::spawn_blocking(move || plugins.load_named(&name, version.as_deref()));
    let plugin = loading.await.map_err(|_| not_loaded(&used.plugin))??;
    Instance::create(&plugin, &used.config, context).await
}

#[async_trait]
impl Target for PluginTarget {
    async fn map(&mut self, view: &ViewSchema) -> Result<MappedSchema, PluginError> {
        match self.mapper().await? {
            Some(mapper) => mapper.map(view).await,
            None => Ok(standard::map(view)),
        }
    }

    async fn plan(&mut self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError> {
        match self.mapper().await? {
            Some(mapper) => mapper.plan(have, want).await,
            None => Ok(standard::plan(have, want)),
        }
    }

    async fn describe(&mut self) -> Result<Option<TableSchema>, PluginError> {
        match self.admin().await? {
            Some(admin) => admin.describe(&self.place.table).await.map(Some),
            None => Ok(None),
        }
    }

    async fn apply(&mut self, plan: &EvolutionPlan) -> Result<Applied, PluginError> {
        match self.admin().await? {
            Some(admin) => admin.apply(plan).await,
            None => Err(no_admin()),
        }
    }

    async fn create(&mut self, columns: &MappedSchema) -> Result<Applied, PluginError> {
        let Some(admin) = self.admin().await? else {
            return Err(no_admin());
        };
        let table = self.place.table.clone();
        let kind = if table.location.is_empty() {
            TableKind::Managed
        } else {
            TableKind::External
        };
        let columns = columns.columns.clone();
        admin
            .create_table(&CreateTable {
                table,
                kind,
                columns,
                comment: String::new(),
            })
            .await
    }

    async fn open(&mut self, schema: SchemaRef, schema_id: u32) -> Result<WriterProfile, PluginError> {
        let writer = self.writer().await?;
        writer.open(&self.place.table, schema, schema_id).await
    }

    async fn evolve(&mut self, schema: SchemaRef, schema_id: u32) -> Result<(), PluginError> {
        self.writer().await?.evolve(schema, schema_id).await
    }

    async fn write(
        &mut self,
        rows: RecordBatch,
        meta: &BatchMeta,
        _: &[FlatChange],
    ) -> Result<WriteAck, PluginError> {
        self.writer().await?.write(rows, meta.clone()).await
    }

    async fn flush(&mut self) -> Result<Option<Watermark>, PluginError> {
        let writer = self.writer().await?;
        match writer.plugin.manifest.offers(FLUSH) {
            true => writer.flush(Deadline::after(self.call_timeout)).await.map(Some),
            false => Ok(None),
        }
    }

    async fn check(&mut self, level: CheckLevel) -> Result<CheckReport, PluginError> {
        let writer = self.place.writer.clone();
        match self.offering(&writer, CHECK).await? {
            Some(writer) => writer.check(level).await,
            None => Ok(CheckReport::default()),
        }
    }

    async fn refresh_auth(&mut self) {
        // Instances hold tokens only as long as they live; the next ones ask for their own.
        self.instances.clear();
    }

    async fn discard(&mut self) {
        self.instances.clear();
    }

    async fn close(&mut self) {
        let held = self.instances.iter().find(|(held, _)| *held == self.place.writer);
        if let Some((_, writer)) = held
            && writer.state() == InstanceState::Ready
            && let Err(error) = writer.close(Deadline::after(CLOSE_WITHIN)).await
        {
            tracing::info!(code = error.code, "the writer did not close in good order");
        }
        self.instances.clear();
    }
}

fn no_admin() -> PluginError {
    PluginError::new(
        Category::SchemaIncompatible,
        "DELIVERY-011",
        "no plugin administers the table",
    )
    .hint("change the table by hand, or name a plugin with `admin`")
}

fn not_loaded(plugin: &str) -> PluginError {
    PluginError::new(
        Category::Internal,
        "DELIVERY-012",
        format!("loading plugin `{plugin}` failed"),
    )
}
