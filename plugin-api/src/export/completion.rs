//! The end of a call, told exactly once.

use std::ffi::c_void;
use std::ptr;

use lakefeed_plugin_abi::{AbiCompletion, AbiDocument, AbiStatus, AbiStr};

use crate::{Category, PluginError, Watermark, WriteAck, WriterProfile, wire};

/// Owes the host one completion. Dropped without having told, it tells that the call was cancelled: so an abort, an
/// early return and the runtime's end all keep the promise.
pub(super) struct Owed(Option<AbiCompletion>);

impl Owed {
    /// From here on the completion will be told, once.
    pub(super) fn new(completion: AbiCompletion) -> Self {
        Self(Some(completion))
    }

    /// Tells the end.
    pub(super) fn tell<T: Answer>(mut self, outcome: Result<T, PluginError>) {
        match outcome {
            Ok(answer) => answer.lend(&mut |result| self.done(&AbiStatus::OK, result)),
            Err(error) => wire::with_status(&error, |status| self.done(status, ptr::null())),
        }
    }

    fn done(&mut self, status: &AbiStatus, result: *const c_void) {
        if let Some(AbiCompletion {
            ctx,
            done: Some(done),
        }) = self.0.take()
        {
            // SAFETY: the host promises that `done` may be called once on any thread; it has been taken out above.
            unsafe { done(ctx, status, result) };
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.0.is_some() {
            wire::with_status(&cancelled(), |status| self.done(status, ptr::null()));
        }
    }
}

/// The error of a call that was cancelled.
pub(super) fn cancelled() -> PluginError {
    PluginError::new(Category::Cancelled, "ABI-006", "the call was cancelled").outcome_unknown()
}

/// What a call can answer, and how it crosses.
pub(super) trait Answer {
    /// Lends what crosses, for the length of the call to `give`.
    fn lend(self, give: &mut dyn FnMut(*const c_void));
}

impl Answer for () {
    fn lend(self, give: &mut dyn FnMut(*const c_void)) {
        give(ptr::null());
    }
}

impl Answer for WriterProfile {
    fn lend(self, give: &mut dyn FnMut(*const c_void)) {
        let profile = wire::profile_to(&self);
        give((&raw const profile).cast());
    }
}

impl Answer for WriteAck {
    fn lend(self, give: &mut dyn FnMut(*const c_void)) {
        wire::with_ack(&self, |ack| give(ptr::from_ref(ack).cast()));
    }
}

impl Answer for Watermark {
    fn lend(self, give: &mut dyn FnMut(*const c_void)) {
        give((&raw const self.batch_number).cast());
    }
}

/// Text that crosses as a document.
pub(super) struct Json(String);

impl Json {
    /// Writes the document.
    pub(super) fn of<T: serde::Serialize>(value: &T) -> Result<Self, PluginError> {
        let text = serde_json::to_string(value);
        text.map(Self)
            .map_err(|_| wire::broken("the plugin's answer cannot be written as JSON"))
    }
}

impl Answer for Json {
    fn lend(self, give: &mut dyn FnMut(*const c_void)) {
        let document = AbiDocument {
            size: size_of::<AbiDocument>() as u32,
            reserved: 0,
            json: AbiStr::new(&self.0),
        };
        give((&raw const document).cast());
    }
}

/// A pointer to something that the answer itself owns or gives away.
pub(super) struct Raw(pub(super) *const c_void);

impl Answer for Raw {
    fn lend(self, give: &mut dyn FnMut(*const c_void)) {
        give(self.0);
    }
}
