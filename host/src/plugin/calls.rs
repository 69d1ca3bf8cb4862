//! The methods of an [`Instance`], one for each call of the contract.
//!
//! They say nothing that the traits of `plugin-api` do not say; read the promises there.
#![expect(unsafe_code, reason = "calls the functions of a plugin")]

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use lakefeed_plugin_api::abi::{self, AbiCompletion, AbiOp, AbiStr};
use lakefeed_plugin_api::{
    Applied, BatchMeta, Begun, Category, CheckLevel, CheckReport, Chunk, ChunkReceipt, CleanupReport,
    CleanupTarget, CreateTable, CredentialRequest, Credentials, Deadline, EvolutionPlan, MappedSchema,
    MergeSpec, MergeStats, PluginError, StageSpec, StageToken, StagedSet, TableRef, TableSchema, ViewSchema,
    Watermark, WriteAck, WriterProfile, wire,
};
use serde::Serialize;

use super::answer::{Lent, contract};
use super::instance::Instance;
use super::services::complete;
use super::thread::Entered;

impl Entered<'_> {
    /// `create` of the instance table; it has no handle.
    pub(super) fn create(&self, config: &str, completion: AbiCompletion) -> *mut AbiOp {
        match self.tables.instance.create {
            // SAFETY: the host outlives the instance, and the text the call.
            Some(create) => unsafe { create(AbiStr::new(config), self.host.as_ptr(), completion) },
            None => complete(&completion, Err(&contract("has no create function"))),
        }
        std::ptr::null_mut()
    }
}

fn json(document: &impl Serialize) -> Result<String, PluginError> {
    serde_json::to_string(document).map_err(|error| {
        PluginError::new(
            Category::Internal,
            "HOST-005",
            "a document for the plugin cannot be written",
        )
        .detail(error.to_string())
    })
}

/// Calls a function of a table with documents: `$entry(instance, document…, completion)`.
macro_rules! with_documents {
    ($self:ident, $table:ident . $function:ident, $id:expr, $read:expr, $($document:expr),+) => {{
        let function = $self.plugin.tables.$table.and_then(|table| table.$function).ok_or_else(|| Instance::lacks($id))?;
        let documents = [$(json($document)?),+];
        $self.call($self.usual_deadline(), $read, move |entered, completion| {
            let mut next = documents.iter().map(|text| AbiStr::new(text));
            // SAFETY: the instance is alive on its thread, and the documents outlive the call.
            unsafe { with_documents!(@call function, entered, next, completion, $($document),+) }
        }).await
    }};
    (@call $function:ident, $entered:ident, $next:ident, $completion:ident, $one:expr) => {
        $function($entered.instance, $next.next().unwrap_or_default(), $completion).into_op()
    };
    (@call $function:ident, $entered:ident, $next:ident, $completion:ident, $one:expr, $two:expr) => {
        $function(
            $entered.instance,
            $next.next().unwrap_or_default(),
            $next.next().unwrap_or_default(),
            $completion,
        ).into_op()
    };
}

/// Functions that complete before they return have no handle.
trait IntoOp {
    fn into_op(self) -> *mut AbiOp;
}

impl IntoOp for *mut AbiOp {
    fn into_op(self) -> *mut AbiOp {
        self
    }
}

impl IntoOp for () {
    fn into_op(self) -> *mut AbiOp {
        std::ptr::null_mut()
    }
}

/// `lakefeed.writer/0` and `lakefeed.writer.flush/0`.
impl Instance {
    fn writer(&self) -> Result<abi::AbiWriterTable, PluginError> {
        self.plugin
            .tables
            .writer
            .ok_or_else(|| Instance::lacks(abi::INTERFACE_WRITER))
    }

    /// See [`Writer::open`](lakefeed_plugin_api::Writer::open).
    pub async fn open(
        &self,
        table: &TableRef,
        schema: SchemaRef,
        schema_id: u32,
    ) -> Result<WriterProfile, PluginError> {
        let open = self
            .writer()?
            .open
            .ok_or_else(|| contract("has no open function"))?;
        let table = json(table)?;
        let mut schema = wire::ExportedSchema::new(&schema)?;
        self.call(
            self.usual_deadline(),
            Lent::profile,
            move |entered, completion| {
                // SAFETY: the instance is alive on its thread; table and schema outlive the call, which moves the latter.
                unsafe {
                    open(
                        entered.instance,
                        AbiStr::new(&table),
                        schema.as_mut_ptr(),
                        schema_id,
                        completion,
                    )
                }
            },
        )
        .await
    }

    /// See [`Writer::write`](lakefeed_plugin_api::Writer::write). Resolves by the deadline of `meta` at the latest.
    pub async fn write(&self, batch: RecordBatch, meta: BatchMeta) -> Result<WriteAck, PluginError> {
        let write = self
            .writer()?
            .write
            .ok_or_else(|| contract("has no write function"))?;
        let mut array = wire::ExportedArray::new(batch);
        let (deadline, changes) = (meta.deadline, meta.changes());
        self.call(
            deadline,
            move |lent| lent.ack(changes),
            move |entered, completion| {
                wire::with_meta(&meta, |meta| {
                    // SAFETY: the instance is alive on its thread; array and metadata outlive the call, which moves the former.
                    unsafe { write(entered.instance, array.as_mut_ptr(), meta, completion) }
                })
            },
        )
        .await
    }

    /// See [`Writer::evolve`](lakefeed_plugin_api::Writer::evolve).
    pub async fn evolve(&self, schema: SchemaRef, schema_id: u32) -> Result<(), PluginError> {
        let evolve = self
            .writer()?
            .evolve
            .ok_or_else(|| contract("has no evolve function"))?;
        let mut schema = wire::ExportedSchema::new(&schema)?;
        self.call(
            self.usual_deadline(),
            Lent::nothing,
            move |entered, completion| {
                // SAFETY: the instance is alive on its thread; the schema outlives the call, which moves it.
                unsafe { evolve(entered.instance, schema.as_mut_ptr(), schema_id, completion) }
            },
        )
        .await
    }

    /// See [`Writer::close`](lakefeed_plugin_api::Writer::close).
    pub async fn close(&self, deadline: Deadline) -> Result<(), PluginError> {
        let close = self
            .writer()?
            .close
            .ok_or_else(|| contract("has no close function"))?;
        self.call(deadline, Lent::nothing, move |entered, completion| {
            // SAFETY: the instance is alive on its thread.
            unsafe { close(entered.instance, wire::deadline_ms(deadline), completion) }
        })
        .await
    }

    /// See [`Flush::flush`](lakefeed_plugin_api::Flush::flush).
    pub async fn flush(&self, deadline: Deadline) -> Result<Watermark, PluginError> {
        let flush = self.plugin.tables.flush.and_then(|table| table.flush);
        let flush = flush.ok_or_else(|| Instance::lacks(abi::INTERFACE_FLUSH))?;
        let batch_number = self
            .call(deadline, Lent::number, move |entered, completion| {
                // SAFETY: the instance is alive on its thread.
                unsafe { flush(entered.instance, wire::deadline_ms(deadline), completion) }
            })
            .await?;
        Ok(Watermark { batch_number })
    }
}

/// `lakefeed.table-admin/0`.
impl Instance {
    /// See [`TableAdmin::describe`](lakefeed_plugin_api::TableAdmin::describe).
    pub async fn describe(&self, table: &TableRef) -> Result<TableSchema, PluginError> {
        with_documents!(
            self,
            admin.describe,
            abi::INTERFACE_TABLE_ADMIN,
            Lent::document,
            table
        )
    }

    /// See [`TableAdmin::apply`](lakefeed_plugin_api::TableAdmin::apply).
    pub async fn apply(&self, plan: &EvolutionPlan) -> Result<Applied, PluginError> {
        with_documents!(
            self,
            admin.apply,
            abi::INTERFACE_TABLE_ADMIN,
            Lent::document,
            plan
        )
    }

    /// See [`TableAdmin::create`](lakefeed_plugin_api::TableAdmin::create).
    pub async fn create_table(&self, table: &CreateTable) -> Result<Applied, PluginError> {
        with_documents!(
            self,
            admin.create,
            abi::INTERFACE_TABLE_ADMIN,
            Lent::document,
            table
        )
    }

    /// See [`TableAdmin::drop_table`](lakefeed_plugin_api::TableAdmin::drop_table).
    pub async fn drop_table(&self, table: &TableRef) -> Result<(), PluginError> {
        with_documents!(
            self,
            admin.drop_table,
            abi::INTERFACE_TABLE_ADMIN,
            Lent::nothing,
            table
        )
    }
}

/// `lakefeed.schema-mapper/0`. The functions complete before they return; a plugin that hangs in one is still left.
impl Instance {
    /// See [`SchemaMapper::map`](lakefeed_plugin_api::SchemaMapper::map).
    pub async fn map(&self, view: &ViewSchema) -> Result<MappedSchema, PluginError> {
        with_documents!(
            self,
            mapper.map,
            abi::INTERFACE_SCHEMA_MAPPER,
            Lent::document,
            view
        )
    }

    /// See [`SchemaMapper::plan`](lakefeed_plugin_api::SchemaMapper::plan).
    pub async fn plan(&self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError> {
        with_documents!(
            self,
            mapper.plan,
            abi::INTERFACE_SCHEMA_MAPPER,
            Lent::document,
            have,
            want
        )
    }
}

/// `lakefeed.check/0`, `lakefeed.merge/0`, `lakefeed.credentials/0`.
impl Instance {
    /// See [`Check::check`](lakefeed_plugin_api::Check::check).
    pub async fn check(&self, level: CheckLevel) -> Result<CheckReport, PluginError> {
        let check = self.plugin.tables.check.and_then(|table| table.check);
        let check = check.ok_or_else(|| Instance::lacks(abi::INTERFACE_CHECK))?;
        self.call(
            self.usual_deadline(),
            Lent::document,
            move |entered, completion| {
                // SAFETY: the instance is alive on its thread.
                unsafe { check(entered.instance, level.number(), completion) }
            },
        )
        .await
    }

    /// See [`Merge::merge`](lakefeed_plugin_api::Merge::merge).
    pub async fn merge(&self, staged: &StagedSet, spec: &MergeSpec) -> Result<MergeStats, PluginError> {
        with_documents!(
            self,
            merge.merge,
            abi::INTERFACE_MERGE,
            Lent::document,
            staged,
            spec
        )
    }

    /// See [`CredentialVendor::vend`](lakefeed_plugin_api::CredentialVendor::vend).
    pub async fn vend(&self, request: &CredentialRequest) -> Result<Credentials, PluginError> {
        with_documents!(
            self,
            credentials.vend,
            abi::INTERFACE_CREDENTIALS,
            Lent::document,
            request
        )
    }
}

/// `lakefeed.stager/0`.
impl Instance {
    fn stager(&self) -> Result<abi::AbiStagerTable, PluginError> {
        self.plugin
            .tables
            .stager
            .ok_or_else(|| Instance::lacks(abi::INTERFACE_STAGER))
    }

    /// See [`Stager::begin`](lakefeed_plugin_api::Stager::begin).
    pub async fn stage_begin(&self, spec: &StageSpec) -> Result<Begun, PluginError> {
        with_documents!(self, stager.begin, abi::INTERFACE_STAGER, Lent::document, spec)
    }

    /// See [`Stager::append`](lakefeed_plugin_api::Stager::append).
    pub async fn stage_append(
        &self,
        token: &StageToken,
        chunk: Chunk,
        batch: RecordBatch,
    ) -> Result<(), PluginError> {
        let append = self
            .stager()?
            .append
            .ok_or_else(|| contract("has no append function"))?;
        let (token, chunk) = (token.0.clone(), crossing(chunk));
        let mut schema = wire::ExportedSchema::new(&batch.schema())?;
        let mut array = wire::ExportedArray::new(batch);
        self.call(
            self.usual_deadline(),
            Lent::nothing,
            move |entered, completion| {
                let token = AbiStr::new(&token);
                // SAFETY: the instance is alive on its thread; token, array and schema outlive the call.
                unsafe {
                    append(
                        entered.instance,
                        token,
                        chunk,
                        array.as_mut_ptr(),
                        schema.as_mut_ptr(),
                        completion,
                    )
                }
            },
        )
        .await
    }

    /// See [`Stager::finish_chunk`](lakefeed_plugin_api::Stager::finish_chunk).
    pub async fn stage_finish_chunk(
        &self,
        token: &StageToken,
        chunk: Chunk,
        schema: SchemaRef,
    ) -> Result<ChunkReceipt, PluginError> {
        let finish = self
            .stager()?
            .finish_chunk
            .ok_or_else(|| contract("has no finish_chunk function"))?;
        let (token, chunk) = (token.0.clone(), crossing(chunk));
        let mut schema = wire::ExportedSchema::new(&schema)?;
        self.call(
            self.usual_deadline(),
            Lent::document,
            move |entered, completion| {
                // SAFETY: the instance is alive on its thread; token and schema outlive the call.
                unsafe {
                    finish(
                        entered.instance,
                        AbiStr::new(&token),
                        chunk,
                        schema.as_mut_ptr(),
                        completion,
                    )
                }
            },
        )
        .await
    }

    /// See [`Stager::commit`](lakefeed_plugin_api::Stager::commit).
    pub async fn stage_commit(
        &self,
        token: &StageToken,
        receipts: &[ChunkReceipt],
    ) -> Result<StagedSet, PluginError> {
        let commit = self
            .stager()?
            .commit
            .ok_or_else(|| contract("has no commit function"))?;
        let (token, receipts) = (token.0.clone(), json(&receipts)?);
        self.call(
            self.usual_deadline(),
            Lent::document,
            move |entered, completion| {
                // SAFETY: the instance is alive on its thread; token and receipts outlive the call.
                unsafe {
                    commit(
                        entered.instance,
                        AbiStr::new(&token),
                        AbiStr::new(&receipts),
                        completion,
                    )
                }
            },
        )
        .await
    }

    /// See [`Stager::cleanup`](lakefeed_plugin_api::Stager::cleanup).
    pub async fn stage_cleanup(&self, target: &CleanupTarget) -> Result<CleanupReport, PluginError> {
        with_documents!(
            self,
            stager.cleanup,
            abi::INTERFACE_STAGER,
            Lent::document,
            target
        )
    }
}

fn crossing(chunk: Chunk) -> abi::AbiChunk {
    abi::AbiChunk {
        fence: chunk.fence,
        index: chunk.index,
        reserved: 0,
    }
}
