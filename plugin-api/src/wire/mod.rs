//! Between the words of this crate and the layouts of the C ABI, in both directions.
//!
//! The exporter (the plugin's side) and a loader (the host's side) use the same functions, so that the two cannot
//! disagree. What is read is copied; what is written borrows, for the length of a closure.

mod arrow;
mod batch;
mod numbers;
mod status;

use lakefeed_plugin_abi::AbiStr;

pub use self::arrow::*;
pub use self::batch::*;
pub use self::status::*;

use crate::{Category, PluginError};

/// The far side broke the contract, and how.
pub(crate) fn broken(message: impl Into<String>) -> PluginError {
    PluginError::new(Category::PluginContract, "ABI-001", message)
}

/// Copies borrowed text; what is not UTF-8 is replaced, so that a bad message never hides a failure.
///
/// # Safety
/// The pointer is null, or points to `len` readable bytes.
#[must_use]
pub unsafe fn text(borrowed: AbiStr) -> String {
    // SAFETY: the caller promises the range, and the copy ends the borrow.
    String::from_utf8_lossy(unsafe { borrowed.bytes() }).into_owned()
}

/// Reads a JSON document.
///
/// # Safety
/// As for [`text`].
pub unsafe fn document<T: serde::de::DeserializeOwned>(
    borrowed: AbiStr,
    what: &str,
) -> Result<T, PluginError> {
    // SAFETY: the caller promises the range, and what is read owns its parts.
    let bytes = unsafe { borrowed.bytes() };
    serde_json::from_slice(bytes).map_err(|error| {
        // serde_json's own words may quote the document.
        let place = format!("line {}, column {}", error.line(), error.column());
        broken(format!(
            "the {what} document is not as the contract describes it ({place})"
        ))
        .detail(error.to_string())
    })
}

/// Reads a struct that is passed by pointer and begins with its size.
///
/// # Safety
/// The pointer is null, or points to a struct whose first field is its size and that is as large as it says.
pub unsafe fn sized<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, PluginError> {
    if pointer.is_null() {
        return Err(broken(format!("the {what} is null")));
    }
    // SAFETY: every such struct begins with a u32, by contract.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    if size < size_of::<T>() {
        let expected = size_of::<T>();
        return Err(broken(format!("the {what} has {size} bytes, not {expected}")));
    }
    // SAFETY: it is at least as large as T, and the caller promises the rest.
    Ok(unsafe { &*pointer })
}

/// Borrows an array of the far side's; null with length 0 is empty.
///
/// # Safety
/// The pointer is null, or points to `len` readable values.
#[must_use]
pub unsafe fn slice<'a, T>(pointer: *const T, len: usize) -> &'a [T] {
    if pointer.is_null() {
        return &[];
    }
    // SAFETY: the caller promises the range.
    unsafe { std::slice::from_raw_parts(pointer, len) }
}
