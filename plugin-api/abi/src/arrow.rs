//! The two structs of the Arrow C data interface, as Arrow has frozen them.
//!
//! Declared here so that a plugin and the host may be built with different versions of any Arrow library.

use core::ffi::{c_char, c_void};
use core::ptr;

/// A type with its name and children (`struct ArrowSchema`).
#[repr(C)]
#[derive(Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiArrowSchema {
    /// The type, as Arrow writes it.
    pub format: *const c_char,
    /// The field's name; may be null.
    pub name: *const c_char,
    /// Encoded key and value pairs; may be null.
    pub metadata: *const c_char,
    /// Arrow's flags.
    pub flags: i64,
    /// How many children there are.
    pub n_children: i64,
    /// The children.
    pub children: *mut *mut AbiArrowSchema,
    /// The dictionary's values; null without one.
    pub dictionary: *mut AbiArrowSchema,
    /// Frees what the struct holds; null once moved or released.
    pub release: Option<unsafe extern "C" fn(schema: *mut AbiArrowSchema)>,
    /// The maker's own.
    pub private_data: *mut c_void,
}

/// A column, or a batch as a struct column (`struct ArrowArray`).
#[repr(C)]
#[derive(Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiArrowArray {
    /// How many values there are.
    pub length: i64,
    /// How many are null, or -1.
    pub null_count: i64,
    /// How many values of the buffers precede the first.
    pub offset: i64,
    /// How many buffers there are.
    pub n_buffers: i64,
    /// How many children there are.
    pub n_children: i64,
    /// The buffers.
    pub buffers: *mut *const c_void,
    /// The children.
    pub children: *mut *mut AbiArrowArray,
    /// The dictionary's values; null without one.
    pub dictionary: *mut AbiArrowArray,
    /// Frees what the struct holds; null once moved or released.
    pub release: Option<unsafe extern "C" fn(array: *mut AbiArrowArray)>,
    /// The maker's own.
    pub private_data: *mut c_void,
}

impl AbiArrowSchema {
    /// Nothing, as after a move.
    pub const EMPTY: Self = Self {
        format: ptr::null(),
        name: ptr::null(),
        metadata: ptr::null(),
        flags: 0,
        n_children: 0,
        children: ptr::null_mut(),
        dictionary: ptr::null_mut(),
        release: None,
        private_data: ptr::null_mut(),
    };
}

impl AbiArrowArray {
    /// Nothing, as after a move.
    pub const EMPTY: Self = Self {
        length: 0,
        null_count: 0,
        offset: 0,
        n_buffers: 0,
        n_children: 0,
        buffers: ptr::null_mut(),
        children: ptr::null_mut(),
        dictionary: ptr::null_mut(),
        release: None,
        private_data: ptr::null_mut(),
    };
}
