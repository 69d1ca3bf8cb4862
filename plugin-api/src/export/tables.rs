//! Each trait as its table. `create` of the plugin type makes the instance that all of them are called on.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use lakefeed_plugin_abi::*;

use super::call::{at_once, cancel, op_free, start};
use super::completion::{Answer, Json};
use super::instance::{Instance, create, destroy};
use crate::wire::{self, ExportedArray, ExportedSchema};
use crate::*;

/// The tables of a plugin type; each exists where the type implements the trait.
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

/// The fields that begin every table.
macro_rules! table {
    ($table:ident, $layout:ident, $($function:ident: $value:expr),+ $(,)?) => {
        $table { size: size_of::<$table>() as u32, layout: $layout, $($function: Some($value),)+ reserved: [0; _] }
    };
}

impl<P: Plugin> Exported<P> {
    /// `lakefeed.instance/0`.
    pub const INSTANCE: AbiInstanceTable = table!(AbiInstanceTable, LAYOUT_INSTANCE,
        create: create::<P>, destroy: destroy::<P>, cancel: cancel, op_free: op_free);
}

impl<P: Plugin + Writer> Exported<P> {
    /// `lakefeed.writer/0`.
    pub const WRITER: AbiWriterTable = table!(AbiWriterTable, LAYOUT_WRITER,
        open: open::<P>, write: write::<P>, evolve: evolve::<P>, close: close::<P>);
}

impl<P: Plugin + Flush> Exported<P> {
    /// `lakefeed.writer.flush/0`.
    pub const FLUSH: AbiFlushTable = table!(AbiFlushTable, LAYOUT_FLUSH, flush: flush::<P>);
}

impl<P: Plugin + Merge> Exported<P> {
    /// `lakefeed.merge/0`.
    pub const MERGE: AbiMergeTable = table!(AbiMergeTable, LAYOUT_MERGE, merge: merge::<P>);
}

impl<P: Plugin + TableAdmin> Exported<P> {
    /// `lakefeed.table-admin/0`.
    pub const TABLE_ADMIN: AbiTableAdminTable = table!(AbiTableAdminTable, LAYOUT_TABLE_ADMIN,
        describe: describe::<P>, apply: apply::<P>, create: create_table::<P>, drop_table: drop_table::<P>);
}

impl<P: Plugin + CredentialVendor> Exported<P> {
    /// `lakefeed.credentials/0`.
    pub const CREDENTIALS: AbiCredentialsTable =
        table!(AbiCredentialsTable, LAYOUT_CREDENTIALS, vend: vend::<P>);
}

impl<P: Plugin + Stager> Exported<P> {
    /// `lakefeed.stager/0`.
    pub const STAGER: AbiStagerTable = table!(AbiStagerTable, LAYOUT_STAGER,
        begin: begin::<P>, append: append::<P>, finish_chunk: finish_chunk::<P>, commit: commit::<P>,
        cleanup: cleanup::<P>);
}

impl<P: Plugin + SchemaMapper> Exported<P> {
    /// `lakefeed.schema-mapper/0`.
    pub const SCHEMA_MAPPER: AbiSchemaMapperTable =
        table!(AbiSchemaMapperTable, LAYOUT_SCHEMA_MAPPER, map: map::<P>, plan: plan::<P>);
}

impl<P: Plugin + Coerce> Exported<P> {
    /// `lakefeed.schema-mapper.coerce/0`.
    pub const COERCE: AbiCoerceTable = table!(AbiCoerceTable, LAYOUT_COERCE, coerce: coerce::<P>);
}

impl<P: Plugin + Check> Exported<P> {
    /// `lakefeed.check/0`.
    pub const CHECK: AbiCheckTable = table!(AbiCheckTable, LAYOUT_CHECK, check: check::<P>);
}

/// Starts a call that answers with a document, or with what the future gives. The future owns all that it needs.
///
/// Every function below is called by the host as the contract says: the instance lives, what is lent is readable until
/// the function returns, arrays and schemas are given away. The `SAFETY` lines name that promise.
macro_rules! entry {
    ($(#[$doc:meta])* $name:ident<$bound:ident>($instance:ident, $($argument:ident: $type:ty),*) $body:expr) => {
        $(#[$doc])*
        unsafe extern "C" fn $name<P: Plugin + $bound>(
            instance: *mut AbiInstance,
            $($argument: $type,)*
            completion: AbiCompletion,
        ) -> *mut AbiOp {
            // SAFETY: the host's promise, above; `$body` runs before this function returns.
            unsafe { start::<P, _, _>(instance, completion, |$instance: Arc<Instance<P>>| $body) }
        }
    };
}

entry! { open<Writer>(instance, table: AbiStr, schema: *mut AbiArrowSchema, schema_id: u32) {
    let schema = wire::take_schema(schema)?;
    let table: TableRef = wire::document(table, "table")?;
    let future = async move {
        let profile = instance.plugin.open(&table, Arc::clone(&schema), schema_id).await?;
        instance.keep_schema(schema_id, &schema);
        Ok(profile)
    };
    Ok((future, String::new()))
} }

entry! { write<Writer>(instance, array: *mut AbiArrowArray, meta: *const AbiBatchMeta) {
    let read = read_meta(&instance, meta);
    let (batch, meta) = match read {
        Ok((schema, meta)) => (wire::take_batch(array, &schema)?, meta),
        Err(error) => {
            wire::release_array(array);
            return Err(error);
        }
    };
    let traceparent = meta.traceparent.clone();
    Ok((async move { instance.plugin.write(batch, &meta).await }, traceparent))
} }

/// # Safety
/// The meta is null or readable.
unsafe fn read_meta<P: Plugin>(
    instance: &Instance<P>,
    meta: *const AbiBatchMeta,
) -> Result<(SchemaRef, BatchMeta), PluginError> {
    // SAFETY: the caller promises it.
    let meta = unsafe { wire::meta_of(wire::sized(meta, "batch meta")?) }?;
    Ok((instance.schema(meta.schema_id)?, meta))
}

entry! { evolve<Writer>(instance, schema: *mut AbiArrowSchema, schema_id: u32) {
    let schema = wire::take_schema(schema)?;
    let future = async move {
        instance.plugin.evolve(Arc::clone(&schema), schema_id).await?;
        instance.keep_schema(schema_id, &schema);
        Ok(())
    };
    Ok((future, String::new()))
} }

entry! { close<Writer>(instance, deadline_ms: u64) {
    let deadline = wire::deadline_of(deadline_ms);
    Ok((async move { instance.plugin.close(deadline).await }, String::new()))
} }

entry! { flush<Flush>(instance, deadline_ms: u64) {
    let deadline = wire::deadline_of(deadline_ms);
    Ok((async move { instance.plugin.flush(deadline).await }, String::new()))
} }

entry! { merge<Merge>(instance, staged: AbiStr, spec: AbiStr) {
    let staged: StagedSet = wire::document(staged, "staged set")?;
    let spec: MergeSpec = wire::document(spec, "merge spec")?;
    Ok((async move { Json::of(&instance.plugin.merge(&staged, &spec).await?) }, String::new()))
} }

entry! { describe<TableAdmin>(instance, table: AbiStr) {
    let table: TableRef = wire::document(table, "table")?;
    Ok((async move { Json::of(&instance.plugin.describe(&table).await?) }, String::new()))
} }

entry! { apply<TableAdmin>(instance, plan: AbiStr) {
    let plan: EvolutionPlan = wire::document(plan, "evolution plan")?;
    Ok((async move { Json::of(&instance.plugin.apply(&plan).await?) }, String::new()))
} }

entry! { create_table<TableAdmin>(instance, spec: AbiStr) {
    let spec: CreateTable = wire::document(spec, "create table")?;
    Ok((async move { Json::of(&TableAdmin::create(&instance.plugin, &spec).await?) }, String::new()))
} }

entry! { drop_table<TableAdmin>(instance, table: AbiStr) {
    let table: TableRef = wire::document(table, "table")?;
    Ok((async move { instance.plugin.drop_table(&table).await }, String::new()))
} }

entry! { vend<CredentialVendor>(instance, request: AbiStr) {
    let request: CredentialRequest = wire::document(request, "credential request")?;
    Ok((async move { Json::of(&instance.plugin.vend(&request).await?) }, String::new()))
} }

entry! { begin<Stager>(instance, spec: AbiStr) {
    let spec: StageSpec = wire::document(spec, "stage spec")?;
    Ok((async move { Json::of(&instance.plugin.begin(&spec).await?) }, String::new()))
} }

entry! { append<Stager>(
    instance, token: AbiStr, chunk: AbiChunk, array: *mut AbiArrowArray, schema: *mut AbiArrowSchema
) {
    let token = StageToken(wire::text(token));
    let schema = wire::take_schema(schema).inspect_err(|_| wire::release_array(array))?;
    let batch = wire::take_batch(array, &schema)?;
    Ok((async move { instance.plugin.append(&token, chunk_of(chunk), batch).await }, String::new()))
} }

entry! { finish_chunk<Stager>(instance, token: AbiStr, chunk: AbiChunk, schema: *mut AbiArrowSchema) {
    let schema = wire::take_schema(schema)?;
    let token = StageToken(wire::text(token));
    let future = async move { Json::of(&instance.plugin.finish_chunk(&token, chunk_of(chunk), schema).await?) };
    Ok((future, String::new()))
} }

entry! { commit<Stager>(instance, token: AbiStr, receipts: AbiStr) {
    let token = StageToken(wire::text(token));
    let receipts: Vec<ChunkReceipt> = wire::document(receipts, "chunk receipts")?;
    Ok((async move { Json::of(&instance.plugin.commit(&token, &receipts).await?) }, String::new()))
} }

entry! { cleanup<Stager>(instance, target: AbiStr) {
    let target: CleanupTarget = wire::document(target, "cleanup target")?;
    Ok((async move { Json::of(&instance.plugin.cleanup(&target).await?) }, String::new()))
} }

entry! { check<Check>(instance, level: u32) {
    let level = CheckLevel::from_number(level);
    Ok((async move { Json::of(&instance.plugin.check(level).await) }, String::new()))
} }

fn chunk_of(chunk: AbiChunk) -> Chunk {
    Chunk {
        index: chunk.index,
        fence: chunk.fence,
    }
}

unsafe extern "C" fn map<P: Plugin + SchemaMapper>(
    instance: *mut AbiInstance,
    view: AbiStr,
    completion: AbiCompletion,
) {
    // SAFETY: the host's promise: the instance lives, and the text is readable until this function returns.
    unsafe {
        at_once::<P, _>(instance, completion, |plugin| {
            Json::of(&plugin.map(&wire::document(view, "view schema")?)?)
        });
    }
}

unsafe extern "C" fn plan<P: Plugin + SchemaMapper>(
    instance: *mut AbiInstance,
    have: AbiStr,
    want: AbiStr,
    completion: AbiCompletion,
) {
    // SAFETY: the host's promise: the instance lives, and the texts are readable until this function returns.
    unsafe {
        at_once::<P, _>(instance, completion, |plugin| {
            let have = wire::document(have, "table schema")?;
            Json::of(&plugin.plan(&have, &wire::document(want, "mapped schema")?)?)
        });
    }
}

unsafe extern "C" fn coerce<P: Plugin + Coerce>(
    instance: *mut AbiInstance,
    array: *mut AbiArrowArray,
    schema: *mut AbiArrowSchema,
    profile: AbiStr,
    completion: AbiCompletion,
) {
    // SAFETY: the host's promise: the instance lives, array and schema are given away, the text is readable.
    unsafe {
        at_once::<P, _>(instance, completion, |plugin| {
            let schema = wire::take_schema(schema).inspect_err(|_| wire::release_array(array))?;
            let batch = plugin.coerce(wire::take_batch(array, &schema)?, &wire::text(profile))?;
            Ok(ArrowAnswer {
                schema: ExportedSchema::new(&batch.schema())?,
                array: ExportedArray::new(batch),
            })
        });
    }
}

/// A batch that the host moves out while it is lent.
struct ArrowAnswer {
    schema: ExportedSchema,
    array: ExportedArray,
}

impl Answer for ArrowAnswer {
    fn lend(mut self, give: &mut dyn FnMut(*const c_void)) {
        let batch = AbiArrowBatch {
            size: size_of::<AbiArrowBatch>() as u32,
            reserved: 0,
            array: self.array.as_mut_ptr(),
            schema: self.schema.as_mut_ptr(),
        };
        give((&raw const batch).cast());
    }
}
