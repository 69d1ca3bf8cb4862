//! Reading what a completion lends: the status, and the result of each call.
//!
//! Everything is copied while it is valid. An answer that cannot be read is an error of category
//! [`PluginContract`](Category::PluginContract).
#![expect(
    unsafe_code,
    reason = "reads what a plugin lends for the time of a completion"
)]

use std::ffi::c_void;

use lakefeed_plugin_api::abi::{AbiDocument, AbiInstance, AbiStatus, AbiWriteAck, AbiWriterProfile};
use lakefeed_plugin_api::{Category, PluginError, WriteAck, WriterProfile, wire};
use serde::de::DeserializeOwned;

/// The result of a call, lent by the plugin until its completion returns.
#[derive(Clone, Copy)]
pub(super) struct Lent(*const c_void);

/// Where a plugin keeps an instance. Only the plugin looks through it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address(pub(super) *mut AbiInstance);

// SAFETY: the contract lets every function of an instance be called from any thread.
unsafe impl Send for Address {}

/// The error for a broken contract.
pub(super) fn contract(what: &str) -> PluginError {
    PluginError::new(
        Category::PluginContract,
        "PLUGIN-039",
        format!("the plugin {what}"),
    )
    .hint("use another version of the plugin, and report it to its vendor")
    .outcome_unknown()
}

/// The result of a completed call, or the error that the plugin answers.
///
/// # Errors
///
/// A broken contract, if the status cannot be read.
///
/// # Safety
///
/// Both are null or what the contract says a completion lends, until this returns and the [`Lent`] is gone.
pub(super) unsafe fn answer(
    status: *const AbiStatus,
    result: *const c_void,
) -> Result<Result<Lent, PluginError>, PluginError> {
    // SAFETY: the caller promises it.
    let status = unsafe { wire::sized(status, "status") }?;
    if status.is_ok() {
        return Ok(Ok(Lent(result)));
    }
    // SAFETY: the texts are lent together with the status.
    Ok(Err(unsafe { wire::error_of(status) }))
}

impl Lent {
    /// A call that has no result.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "one of the readers that a call may be given"
    )]
    pub(super) fn nothing(self) -> Result<(), PluginError> {
        Ok(())
    }

    /// The instance that `create` made.
    pub(super) fn instance(self) -> Result<Address, PluginError> {
        if self.0.is_null() {
            return Err(contract("created an instance at no address"));
        }
        Ok(Address(self.0.cast_mut().cast()))
    }

    /// The profile that `open` answers.
    pub(super) fn profile(self) -> Result<WriterProfile, PluginError> {
        // SAFETY: `open` lends a profile, by contract; its layout was compared when the library was loaded.
        let profile = unsafe { wire::sized(self.0.cast::<AbiWriterProfile>(), "profile") }?;
        Ok(wire::profile_of(profile))
    }

    /// The ack that `write` answers for a batch of so many changes.
    pub(super) fn ack(self, changes: usize) -> Result<WriteAck, PluginError> {
        // SAFETY: `write` lends an ack, by contract.
        let ack = unsafe { wire::sized(self.0.cast::<AbiWriteAck>(), "ack") }?;
        // SAFETY: what the ack points to is lent together with it.
        unsafe { wire::ack_of(ack, changes) }
    }

    /// The batch number that `flush` answers.
    pub(super) fn number(self) -> Result<u64, PluginError> {
        if self.0.is_null() {
            return Err(contract("answered flush without a batch number"));
        }
        // SAFETY: `flush` lends a `u64`, by contract.
        Ok(unsafe { self.0.cast::<u64>().read_unaligned() })
    }

    /// A JSON document.
    pub(super) fn document<T: DeserializeOwned>(self) -> Result<T, PluginError> {
        // SAFETY: calls that answer with a document lend this struct, by contract.
        let document = unsafe { wire::sized(self.0.cast::<AbiDocument>(), "document") }?;
        // SAFETY: the text is lent together with the document.
        unsafe { wire::document(document.json, "result") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent<T>(value: &T) -> Lent {
        Lent(std::ptr::from_ref(value).cast())
    }

    fn is_contract<T>(result: Result<T, PluginError>) -> bool {
        result.is_err_and(|error| error.category == Category::PluginContract)
    }

    #[test]
    fn a_result_that_is_missing_or_too_short_is_a_broken_contract() {
        let nothing = Lent(std::ptr::null());
        assert!(is_contract(nothing.profile()));
        assert!(is_contract(nothing.ack(1)));
        assert!(is_contract(nothing.number()));
        assert!(is_contract(nothing.instance()));
        assert!(is_contract(nothing.document::<serde_json::Value>()));
        assert!(is_contract(lent(&4u32).profile()));
        // SAFETY: null is allowed.
        let of_nothing = unsafe { answer(std::ptr::null(), std::ptr::null()) };
        assert!(is_contract(of_nothing.map(drop)));
    }

    #[test]
    fn a_document_that_is_not_json_is_a_broken_contract() {
        let json = lakefeed_plugin_api::abi::AbiStr::new("{");
        let document = AbiDocument {
            size: size_of::<AbiDocument>() as u32,
            reserved: 0,
            json,
        };
        assert!(is_contract(lent(&document).document::<serde_json::Value>()));
    }
}
