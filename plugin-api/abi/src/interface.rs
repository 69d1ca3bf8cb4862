//! What plugins offer: one table of functions for each ability.
//!
//! Every function that takes an [`AbiCompletion`] and returns an [`AbiOp`] starts a call: it returns within a
//! millisecond, and the completion tells the end. The handle is null if the call ended before the function returned
//! and there is nothing to free. Text, metadata and tokens given to such a function are borrowed until it returns;
//! arrays and schemas are *moved*: the callee takes what they hold and sets their `release` to null, whether the call
//! succeeds or not.
//!
//! Documents are JSON, in the shapes that the header gives. Each table begins with its size and its layout number.

use crate::{AbiArrowArray, AbiArrowSchema, AbiCompletion, AbiInstance, AbiOp, AbiRefusal, AbiStr};

/// The id of [`AbiWriterTable`].
pub const INTERFACE_WRITER: &str = "lakefeed.writer/0";
/// The id of [`AbiFlushTable`].
pub const INTERFACE_FLUSH: &str = "lakefeed.writer.flush/0";
/// The id of [`AbiMergeTable`].
pub const INTERFACE_MERGE: &str = "lakefeed.merge/0";
/// The id of [`AbiTableAdminTable`].
pub const INTERFACE_TABLE_ADMIN: &str = "lakefeed.table-admin/0";
/// The id of [`AbiCredentialsTable`].
pub const INTERFACE_CREDENTIALS: &str = "lakefeed.credentials/0";
/// The id of [`AbiStagerTable`].
pub const INTERFACE_STAGER: &str = "lakefeed.stager/0";
/// The id of [`AbiSchemaMapperTable`].
pub const INTERFACE_SCHEMA_MAPPER: &str = "lakefeed.schema-mapper/0";
/// The id of [`AbiCoerceTable`].
pub const INTERFACE_COERCE: &str = "lakefeed.schema-mapper.coerce/0";
/// The id of [`AbiCheckTable`].
pub const INTERFACE_CHECK: &str = "lakefeed.check/0";

/// The id of every interface, the one of instances included.
pub const INTERFACES: [&str; 10] = [
    crate::INTERFACE_INSTANCE,
    INTERFACE_WRITER,
    INTERFACE_FLUSH,
    INTERFACE_MERGE,
    INTERFACE_TABLE_ADMIN,
    INTERFACE_CREDENTIALS,
    INTERFACE_STAGER,
    INTERFACE_SCHEMA_MAPPER,
    INTERFACE_COERCE,
    INTERFACE_CHECK,
];

/// The layout number of [`AbiWriterTable`], [`AbiBatchMeta`], [`AbiWriterProfile`], [`AbiWriteAck`]. 1: the first.
pub const LAYOUT_WRITER: u32 = 1;
/// The layout number of [`AbiFlushTable`]. 1: the first.
pub const LAYOUT_FLUSH: u32 = 1;
/// The layout number of [`AbiMergeTable`]. 1: the first.
pub const LAYOUT_MERGE: u32 = 1;
/// The layout number of [`AbiTableAdminTable`]. 1: the first.
pub const LAYOUT_TABLE_ADMIN: u32 = 1;
/// The layout number of [`AbiCredentialsTable`]. 1: the first.
pub const LAYOUT_CREDENTIALS: u32 = 1;
/// The layout number of [`AbiStagerTable`] and [`AbiChunk`]. 1: the first.
pub const LAYOUT_STAGER: u32 = 1;
/// The layout number of [`AbiSchemaMapperTable`]. 1: the first.
pub const LAYOUT_SCHEMA_MAPPER: u32 = 1;
/// The layout number of [`AbiCoerceTable`] and [`AbiArrowBatch`]. 1: the first.
pub const LAYOUT_COERCE: u32 = 1;
/// The layout number of [`AbiCheckTable`]. 1: the first.
pub const LAYOUT_CHECK: u32 = 1;

/// What a batch is. Borrowed until the function it is given to returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiBatchMeta {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// How often the batch has been offered, from 1.
    pub attempt: u32,
    /// Where the changes come from: 1 live, 2 initial export.
    pub source: u32,
    /// Which schema the array has.
    pub schema_id: u32,
    /// The destination's generation.
    pub generation: u64,
    /// The batch's number, strictly growing within a generation.
    pub batch_number: u64,
    /// Offset of the first change in the change log.
    pub first_offset: u64,
    /// Offset of the last change in the change log.
    pub last_offset: u64,
    /// How long the host waits, in milliseconds; 0 for no limit.
    pub deadline_ms: u64,
    /// The row with which each change begins, ascending from 0.
    pub change_starts: *const u64,
    /// How many changes there are.
    pub changes: usize,
    /// The destination's id.
    pub destination: AbiStr,
    /// Names the batch over all attempts.
    pub idempotency_key: AbiStr,
    /// The W3C trace context; may be empty.
    pub traceparent: AbiStr,
    /// Zero.
    pub reserved: [u64; 4],
}

/// In [`AbiWriterProfile::flags`]: repeating a batch leaves no second copy.
pub const PROFILE_IDEMPOTENT: u32 = 1;
/// In [`AbiWriterProfile::flags`]: refusals name the change at fault.
pub const PROFILE_ROW_ERRORS: u32 = 2;
/// In [`AbiWriterProfile::flags`]: columns may be lists.
pub const PROFILE_NESTED: u32 = 4;

/// What a writer can do and likes: the result of `open`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiWriterProfile {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// How many writes may be under way together; 0 is read as 1.
    pub max_in_flight: u32,
    /// The order that must be kept: 1 none, 2 per key, 3 total. An unknown one is read as total.
    pub ordering: u32,
    /// When a batch is safe: 1 on return, 2 by watermark. An unknown one is read as on return.
    pub ack_mode: u32,
    /// The `PROFILE_` bits; unknown ones are ignored.
    pub flags: u32,
    /// Zero.
    pub reserved0: u32,
    /// A good number of rows.
    pub preferred_rows: u64,
    /// A good number of bytes, in memory.
    pub preferred_bytes: u64,
    /// The number of bytes past which a batch is refused; 0 for no limit.
    pub max_bytes: u64,
    /// Zero.
    pub reserved: [u64; 4],
}

/// In [`AbiWriteAck::durability`]: safe.
pub const DURABILITY_DURABLE: u32 = 1;
/// In [`AbiWriteAck::durability`]: taken, and not yet safe. An unknown number is read as this.
pub const DURABILITY_ACCEPTED: u32 = 2;

/// What became of a batch: the result of `write`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiWriteAck {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// One of the `DURABILITY_` numbers.
    pub durability: u32,
    /// How many changes, from the first, are done with.
    pub durable_prefix: u64,
    /// How many rows were written.
    pub rows: u64,
    /// How many bytes went out.
    pub bytes: u64,
    /// The target's name for this write; may be empty.
    pub remote_id: AbiStr,
    /// Changes of the prefix that the target refused; may be null if `refused_len` is 0.
    pub refused: *const AbiRefusal,
    /// How many there are.
    pub refused_len: usize,
    /// Zero.
    pub reserved: [u64; 4],
}

/// Appending rows to one table (`lakefeed.writer/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiWriterTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_WRITER`].
    pub layout: u32,
    /// Makes ready. `table` is a table document; the schema is moved. The result is an [`AbiWriterProfile`].
    pub open: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            table: AbiStr,
            schema: *mut AbiArrowSchema,
            schema_id: u32,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Writes a batch. The array is moved and has the schema that `meta` names. The result is an [`AbiWriteAck`].
    pub write: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            array: *mut AbiArrowArray,
            meta: *const AbiBatchMeta,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Takes up another schema, which is moved. No result.
    pub evolve: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            schema: *mut AbiArrowSchema,
            schema_id: u32,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Ends the work. No result.
    pub close: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            deadline_ms: u64,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Zero.
    pub reserved: [u64; 4],
}

/// Making durable what was accepted (`lakefeed.writer.flush/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiFlushTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_FLUSH`].
    pub layout: u32,
    /// Makes durable what was accepted before. The result is a `u64`: the batch number up to which all is durable.
    pub flush: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            deadline_ms: u64,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Zero.
    pub reserved: [u64; 2],
}

/// Moving staged rows into their table (`lakefeed.merge/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiMergeTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_MERGE`].
    pub layout: u32,
    /// Merges the staged set as the spec says. The result is a merge-stats document.
    pub merge: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            staged: AbiStr,
            spec: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Zero.
    pub reserved: [u64; 2],
}

/// Describing, changing, creating and dropping tables (`lakefeed.table-admin/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiTableAdminTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_TABLE_ADMIN`].
    pub layout: u32,
    /// What the table has. The result is a table-schema document.
    pub describe: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            table: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Adds a plan's columns. The result is an applied document.
    pub apply: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            plan: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Makes a table. The result is an applied document.
    pub create: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            spec: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Drops a table. No result.
    pub drop_table: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            table: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Zero.
    pub reserved: [u64; 4],
}

/// Handing out credentials for storage (`lakefeed.credentials/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiCredentialsTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_CREDENTIALS`].
    pub layout: u32,
    /// Credentials for a target. The result is a credentials document.
    pub vend: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            request: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Zero.
    pub reserved: [u64; 2],
}

/// One attempt at one chunk of an export.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiChunk {
    /// Which attempt, growing.
    pub fence: u64,
    /// Which chunk, from 0.
    pub index: u32,
    /// Zero.
    pub reserved: u32,
}

/// Bulk staging (`lakefeed.stager/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiStagerTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_STAGER`].
    pub layout: u32,
    /// Prepares the place. The result is a begun document, with the token.
    pub begin: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            spec: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Adds rows to a chunk. Array and schema are moved. No result.
    pub append: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            token: AbiStr,
            chunk: AbiChunk,
            array: *mut AbiArrowArray,
            schema: *mut AbiArrowSchema,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Makes a chunk durable. The schema is moved. The result is a chunk-receipt document.
    pub finish_chunk: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            token: AbiStr,
            chunk: AbiChunk,
            schema: *mut AbiArrowSchema,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Says what is to be merged; `receipts` is an array of chunk receipts. The result is a staged-set document.
    pub commit: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            token: AbiStr,
            receipts: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Removes staged files. The result is a cleanup-report document.
    pub cleanup: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            target: AbiStr,
            completion: AbiCompletion,
        ) -> *mut AbiOp,
    >,
    /// Zero.
    pub reserved: [u64; 4],
}

/// Choosing types and planning changes (`lakefeed.schema-mapper/0`). Both functions complete before they return.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiSchemaMapperTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_SCHEMA_MAPPER`].
    pub layout: u32,
    /// Types for a view's columns. The result is a mapped-schema document.
    pub map:
        Option<unsafe extern "C" fn(instance: *mut AbiInstance, view: AbiStr, completion: AbiCompletion)>,
    /// What must change in a table. The result is an evolution-plan document.
    pub plan: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            have: AbiStr,
            want: AbiStr,
            completion: AbiCompletion,
        ),
    >,
    /// Zero.
    pub reserved: [u64; 2],
}

/// A batch with its schema, as a result: the receiver moves both out before `done` returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiArrowBatch {
    /// `sizeof` this struct, as its maker knows it.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The rows, as a struct column.
    pub array: *mut AbiArrowArray,
    /// Their schema.
    pub schema: *mut AbiArrowSchema,
}

/// A vendor's own conversions (`lakefeed.schema-mapper.coerce/0`). Completes before it returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiCoerceTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_COERCE`].
    pub layout: u32,
    /// Converts a batch for a writer's profile. Array and schema are moved. The result is an [`AbiArrowBatch`].
    pub coerce: Option<
        unsafe extern "C" fn(
            instance: *mut AbiInstance,
            array: *mut AbiArrowArray,
            schema: *mut AbiArrowSchema,
            profile: AbiStr,
            completion: AbiCompletion,
        ),
    >,
    /// Zero.
    pub reserved: [u64; 2],
}

/// A preflight (`lakefeed.check/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiCheckTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_CHECK`].
    pub layout: u32,
    /// Answers every question up to the level: 1 config, 2 connect, 3 permissions, 4 write probe. An unknown level is
    /// read as config. The result is a check-report document.
    pub check: Option<
        unsafe extern "C" fn(instance: *mut AbiInstance, level: u32, completion: AbiCompletion) -> *mut AbiOp,
    >,
    /// Zero.
    pub reserved: [u64; 2],
}
