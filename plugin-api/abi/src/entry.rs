//! The symbol, the descriptor, the host's first words; instances and operations.

use core::ffi::c_void;

use crate::{AbiCompletion, AbiStr};

/// The symbol that every plugin exports, of type [`AbiEntry`]. Its name is the major version of the contract.
pub const ENTRY_SYMBOL: &str = "lakefeed_plugin_entry_v1";
/// The symbol that a plugin written in Rust exports besides, of type [`AbiLayoutEntry`].
pub const LAYOUT_SYMBOL: &str = "lakefeed_plugin_layout_v1";
/// The major version of the contract.
pub const ABI_MAJOR: u32 = 1;
/// The minor version. Informational: abilities are found by asking for interfaces.
pub const ABI_MINOR: u32 = 0;
/// The first field of a descriptor: `LAKEFEED` in ASCII, most significant byte first.
pub const MAGIC: u64 = 0x4C41_4B45_4645_4544;

/// The layout number of [`AbiHostInfo`] and [`AbiDescriptor`]. 1: the first.
pub const LAYOUT_ENTRY: u32 = 1;

/// In [`AbiDescriptor::flags`]: a panic ends the process, so the library is not loaded into the host's.
pub const FLAG_PANIC_ABORT: u32 = 1;
/// In [`AbiDescriptor::flags`]: functions may block; the host calls them from threads that may.
pub const FLAG_BLOCKING_CALLS: u32 = 2;
/// In [`AbiDescriptor::flags`]: one instance a process.
pub const FLAG_SINGLE_INSTANCE: u32 = 4;
/// In [`AbiDescriptor::flags`]: wants a process of its own.
pub const FLAG_NEEDS_PROCESS: u32 = 8;

/// The mandatory symbol's type. Called once for each library; what it returns is valid until the process ends.
/// Null means that the plugin refuses this host.
pub type AbiEntry = unsafe extern "C" fn(host: *const AbiHostInfo) -> *const AbiDescriptor;

/// The layout symbol's type: an interface's id to its `abi_stable` layout, `&'static TypeLayout`, or null.
pub type AbiLayoutEntry = unsafe extern "C" fn(id: AbiStr) -> *const c_void;

/// What the host says of itself. Valid until the process ends.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHostInfo {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_ENTRY`].
    pub layout: u32,
    /// The major version that the host speaks.
    pub abi_major: u32,
    /// The minor version that the host speaks.
    pub abi_minor: u32,
    /// How many worker threads the plugin's runtime should have.
    pub worker_threads: u32,
    /// Zero.
    pub flags: u32,
    /// The host's version.
    pub host_version: AbiStr,
    /// Zero.
    pub reserved: [u64; 4],
}

/// What a plugin says of itself. Valid until the process ends.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiDescriptor {
    /// [`MAGIC`].
    pub magic: u64,
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_ENTRY`].
    pub layout: u32,
    /// The major version that the plugin speaks.
    pub abi_major: u32,
    /// The minor version that the plugin speaks.
    pub abi_minor: u32,
    /// The `FLAG_` bits; unknown ones are ignored.
    pub flags: u32,
    /// Zero.
    pub reserved0: u32,
    /// The plugin's name.
    pub name: AbiStr,
    /// The plugin's version, as semver.
    pub version: AbiStr,
    /// Who answers for it.
    pub vendor: AbiStr,
    /// Its licence.
    pub license: AbiStr,
    /// The SDK that it was made with, and the SDK's version; may be empty.
    pub sdk: AbiStr,
    /// The compiler that it was made with; may be empty.
    pub compiler: AbiStr,
    /// The target that it was made for; may be empty.
    pub target: AbiStr,
    /// JSON Schema of its parameters.
    pub parameters: AbiStr,
    /// An interface's id to its table, valid until the process ends; null if the plugin does not have it.
    pub get_interface: Option<unsafe extern "C" fn(id: AbiStr) -> *const c_void>,
    /// The process is about to end: stop threads within so many milliseconds. No call follows.
    pub shutdown: Option<unsafe extern "C" fn(deadline_ms: u64)>,
    /// Zero.
    pub reserved: [u64; 4],
}

// SAFETY: a descriptor is immutable, and the texts that it lends live until the process ends.
unsafe impl Send for AbiDescriptor {}
// SAFETY: as above.
unsafe impl Sync for AbiDescriptor {}

/// One instance's host: how the plugin asks for services. Valid until `destroy` has completed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHost {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_INSTANCE`].
    pub layout: u32,
    /// The first argument of every service function.
    pub ctx: *mut c_void,
    /// A service's id to its table, valid as long as this struct; null if the host does not lend it.
    pub get_service: Option<unsafe extern "C" fn(ctx: *mut c_void, id: AbiStr) -> *const c_void>,
    /// Zero.
    pub reserved: [u64; 4],
}

/// A plugin's instance, opaque to the host.
#[repr(C)]
#[derive(Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiInstance {
    _opaque: [u8; 0],
}

/// A call under way, opaque to the host.
#[repr(C)]
#[derive(Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiOp {
    _opaque: [u8; 0],
}

/// The id of [`AbiInstanceTable`], which every plugin has.
pub const INTERFACE_INSTANCE: &str = "lakefeed.instance/0";
/// The layout number of [`AbiInstanceTable`] and [`AbiHost`]. 1: the first.
pub const LAYOUT_INSTANCE: u32 = 1;

/// Making, cancelling, freeing (`lakefeed.instance/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiInstanceTable {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// The plugin's [`LAYOUT_INSTANCE`].
    pub layout: u32,
    /// Makes an instance of these parameters (a JSON object). Completes before it returns. The result is the
    /// instance: an `AbiInstance*`, owned by the host until `destroy`.
    pub create: Option<unsafe extern "C" fn(config: AbiStr, host: *const AbiHost, completion: AbiCompletion)>,
    /// Ends an instance. Completes when its calls have ended, its memory is free, and it will not use its host again.
    /// No result. Calls that are under way are cancelled first.
    pub destroy: Option<unsafe extern "C" fn(instance: *mut AbiInstance, completion: AbiCompletion)>,
    /// Asks a call to end soon. May be called any number of times, on any thread, until `op_free`.
    pub cancel: Option<unsafe extern "C" fn(op: *mut AbiOp)>,
    /// Frees a call's handle, once, in any order with its completion. Does not cancel.
    pub op_free: Option<unsafe extern "C" fn(op: *mut AbiOp)>,
    /// Zero.
    pub reserved: [u64; 4],
}
