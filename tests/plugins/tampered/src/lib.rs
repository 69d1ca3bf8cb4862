//! A plugin whose batch struct was changed, for the host's layout check: it must be refused at load, by name.
//!
//! It is built of a copy of the ABI crate in which `AbiBatchMeta::attempt` has 64 bits instead of 32, and offers a
//! writer that does nothing.

#![allow(unsafe_code, reason = "a library's entry is a C symbol")]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the copied tables are documented where they come from"
)]

#[path = "abi.rs"]
mod abi;

use core::ffi::c_void;

use abi::{
    ABI_MAJOR, ABI_MINOR, AbiDescriptor, AbiHostInfo, AbiStr, AbiWriterTable, INTERFACE_WRITER, LAYOUT_ENTRY,
    LAYOUT_WRITER, MAGIC,
};

static WRITER: AbiWriterTable = AbiWriterTable {
    size: size_of::<AbiWriterTable>() as u32,
    layout: LAYOUT_WRITER,
    open: None,
    write: None,
    evolve: None,
    close: None,
    reserved: [0; 4],
};

static DESCRIPTOR: AbiDescriptor = AbiDescriptor {
    magic: MAGIC,
    size: size_of::<AbiDescriptor>() as u32,
    layout: LAYOUT_ENTRY,
    abi_major: ABI_MAJOR,
    abi_minor: ABI_MINOR,
    flags: 0,
    reserved0: 0,
    name: AbiStr::new("tampered"),
    version: AbiStr::new("0.1.0"),
    vendor: AbiStr::new("lakefeed"),
    license: AbiStr::new("Apache-2.0"),
    sdk: AbiStr::EMPTY,
    compiler: AbiStr::EMPTY,
    target: AbiStr::EMPTY,
    parameters: AbiStr::new("{}"),
    get_interface: Some(get_interface),
    shutdown: None,
    reserved: [0; 4],
};

unsafe extern "C" fn get_interface(id: AbiStr) -> *const c_void {
    // SAFETY: the host lends the id for the length of this call.
    if unsafe { id.bytes() } == INTERFACE_WRITER.as_bytes() {
        (&raw const WRITER).cast()
    } else {
        core::ptr::null()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn lakefeed_plugin_entry_v1(_: *const AbiHostInfo) -> *const AbiDescriptor {
    &raw const DESCRIPTOR
}

#[unsafe(no_mangle)]
unsafe extern "C" fn lakefeed_plugin_layout_v1(id: AbiStr) -> *const c_void {
    // SAFETY: the host lends the id for the length of this call.
    let layout = unsafe { id.text() }.and_then(abi::layout_of);
    layout.map_or(core::ptr::null(), |layout| core::ptr::from_ref(layout).cast())
}
