//! What a library says of itself.

use std::ffi::c_void;
use std::time::Duration;

use lakefeed_plugin_abi::{
    ABI_MAJOR, ABI_MINOR, AbiDescriptor, AbiHostInfo, AbiStr, FLAG_PANIC_ABORT, LAYOUT_ENTRY, MAGIC,
};

use super::panic::caught;
use super::runtime;
use crate::{Plugin, wire};

/// Makes the descriptor; null if the host speaks another major version. It is never freed, like the library.
///
/// # Safety
/// The host's first words are null or as the contract says.
#[must_use]
pub unsafe fn descriptor<P: Plugin>(
    host: *const AbiHostInfo,
    get_interface: unsafe extern "C" fn(AbiStr) -> *const c_void,
    panic_abort: bool,
) -> *const AbiDescriptor {
    let made = caught(|| {
        // SAFETY: the caller promises it.
        let host = unsafe { wire::sized(host, "host info") }.ok()?;
        if host.abi_major != ABI_MAJOR {
            return None;
        }
        runtime::set_workers(host.worker_threads);
        let flags = if panic_abort { FLAG_PANIC_ABORT } else { 0 };
        Some(Box::into_raw(Box::new(describe::<P>(get_interface, flags))).cast_const())
    });
    made.ok().flatten().unwrap_or(std::ptr::null())
}

fn describe<P: Plugin>(
    get_interface: unsafe extern "C" fn(AbiStr) -> *const c_void,
    flags: u32,
) -> AbiDescriptor {
    let parameters = schemars::schema_for!(P::Config).to_value().to_string();
    AbiDescriptor {
        magic: MAGIC,
        size: size_of::<AbiDescriptor>() as u32,
        layout: LAYOUT_ENTRY,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        flags,
        reserved0: 0,
        name: AbiStr::new(P::INFO.name),
        version: AbiStr::new(P::INFO.version),
        vendor: AbiStr::new(P::INFO.vendor),
        license: AbiStr::new(P::INFO.license),
        sdk: AbiStr::new(concat!("lakefeed-plugin-api ", env!("CARGO_PKG_VERSION"))),
        compiler: AbiStr::new(env!("LAKEFEED_COMPILER")),
        target: AbiStr::new(env!("LAKEFEED_TARGET")),
        parameters: AbiStr::new(String::leak(parameters)),
        get_interface: Some(get_interface),
        shutdown: Some(shutdown),
        reserved: [0; 4],
    }
}

/// Stops the library's threads.
unsafe extern "C" fn shutdown(deadline_ms: u64) {
    // A panic here has nobody left to tell.
    drop(caught(|| runtime::stop(Duration::from_millis(deadline_ms))));
}

/// The layout of an interface, for the host's comparison; null for an unknown one.
///
/// # Safety
/// The id is readable.
#[must_use]
pub unsafe fn layout(id: AbiStr) -> *const c_void {
    // SAFETY: the caller promises it.
    let layout = unsafe { id.text() }.and_then(lakefeed_plugin_abi::layout_of);
    layout.map_or(std::ptr::null(), |layout| std::ptr::from_ref(layout).cast())
}
