//! Every answer a call can give: durable, these changes refused, try again later, stop.
//!
//! A plugin never retries, sleeps or drops rows by itself. It says what happened, in the closed words of this module,
//! and the host acts: [`PluginError::category`] is what went wrong, [`PluginError::retry`] what helps. Nothing here is
//! text to be parsed.
//!
//! What may be said where: `code`, `message` and `hint` may be logged and shown to operators, so they never quote a
//! value of a row. `detail` and a refusal's `message` may quote (a remote server's free text often does): the host
//! keeps them in the dead-letter store and nowhere else.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What went wrong, as a closed list. A category that this version does not know is read as [`Category::Internal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Category {
    /// The destination's parameters are wrong; nothing will help until they are changed.
    #[serde(rename = "config.invalid")]
    ConfigInvalid,
    /// The credentials have run out; a fresh token will do.
    #[serde(rename = "auth.expired")]
    AuthExpired,
    /// The credentials are good, and not allowed to do this.
    #[serde(rename = "auth.denied")]
    AuthDenied,
    /// The table has other columns than the batch; adding columns may help.
    #[serde(rename = "schema.mismatch")]
    SchemaMismatch,
    /// The table differs in a way that only an operator may change (a drop, a rename, a narrower type).
    #[serde(rename = "schema.incompatible")]
    SchemaIncompatible,
    /// The target refuses rows of this batch for what they contain.
    #[serde(rename = "data.rejected")]
    DataRejected,
    /// The batch is larger than the target takes at once.
    #[serde(rename = "payload.too_large")]
    PayloadTooLarge,
    /// The target asks for a slower pace.
    #[serde(rename = "throttled")]
    Throttled,
    /// The target does not answer, or answers that it cannot now.
    #[serde(rename = "remote.unavailable")]
    RemoteUnavailable,
    /// The target can never take this kind of write.
    #[serde(rename = "target.unsupported")]
    TargetUnsupported,
    /// Something of an earlier run is in the way in the staging area.
    #[serde(rename = "staging.conflict")]
    StagingConflict,
    /// The host asked to stop before the work was done.
    #[serde(rename = "cancelled")]
    Cancelled,
    /// The time given for the call has passed.
    #[serde(rename = "deadline")]
    Deadline,
    /// The plugin panicked; the instance is unusable from here on.
    #[serde(rename = "plugin.panic")]
    PluginPanic,
    /// The process that held the plugin ended.
    #[serde(rename = "plugin.crashed")]
    PluginCrashed,
    /// The plugin broke the contract: a second completion, an unreadable batch, a call out of order.
    #[serde(rename = "plugin.contract")]
    PluginContract,
    /// Anything else, and every category of a later version.
    #[serde(rename = "internal", other)]
    Internal,
}

impl Category {
    /// Every category, in the order of its number in the C ABI (the first is 1).
    pub const ALL: [Self; 17] = [
        Self::ConfigInvalid,
        Self::AuthExpired,
        Self::AuthDenied,
        Self::SchemaMismatch,
        Self::SchemaIncompatible,
        Self::DataRejected,
        Self::PayloadTooLarge,
        Self::Throttled,
        Self::RemoteUnavailable,
        Self::TargetUnsupported,
        Self::StagingConflict,
        Self::Cancelled,
        Self::Deadline,
        Self::PluginPanic,
        Self::PluginCrashed,
        Self::PluginContract,
        Self::Internal,
    ];

    /// The stable name, as in logs and in `$status`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "config.invalid",
            Self::AuthExpired => "auth.expired",
            Self::AuthDenied => "auth.denied",
            Self::SchemaMismatch => "schema.mismatch",
            Self::SchemaIncompatible => "schema.incompatible",
            Self::DataRejected => "data.rejected",
            Self::PayloadTooLarge => "payload.too_large",
            Self::Throttled => "throttled",
            Self::RemoteUnavailable => "remote.unavailable",
            Self::TargetUnsupported => "target.unsupported",
            Self::StagingConflict => "staging.conflict",
            Self::Cancelled => "cancelled",
            Self::Deadline => "deadline",
            Self::PluginPanic => "plugin.panic",
            Self::PluginCrashed => "plugin.crashed",
            Self::PluginContract => "plugin.contract",
            Self::Internal => "internal",
        }
    }

    /// What helps against this category unless the plugin knows better.
    #[must_use]
    pub fn retry(self) -> Retry {
        match self {
            Self::AuthExpired => Retry::RefreshAuth,
            Self::SchemaMismatch => Retry::EvolveThenRetry,
            Self::PayloadTooLarge => Retry::Split,
            Self::Throttled | Self::RemoteUnavailable | Self::Cancelled | Self::Deadline | Self::Internal => {
                Retry::Backoff
            }
            Self::StagingConflict => Retry::CleanupThenRetry,
            Self::PluginPanic | Self::PluginCrashed => Retry::RecreateInstance,
            Self::PluginContract => Retry::Quarantine,
            Self::ConfigInvalid
            | Self::AuthDenied
            | Self::SchemaIncompatible
            | Self::DataRejected
            | Self::TargetUnsupported => Retry::Never,
        }
    }
}

/// What the host should do before it calls again. A class that this version does not know is read as
/// [`Retry::Backoff`], which is always safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Retry {
    /// Do not repeat the call as it is.
    Never,
    /// Wait for [`PluginError::retry_after`], then repeat.
    After,
    /// Drop the token, fetch a new one, repeat once.
    RefreshAuth,
    /// Describe the table, plan and add what is missing, repeat once.
    EvolveThenRetry,
    /// Halve the batch between two changes and repeat both halves.
    Split,
    /// Clean the staging area and begin again.
    CleanupThenRetry,
    /// Destroy this instance, create another, repeat.
    RecreateInstance,
    /// Stop using this library.
    Quarantine,
    /// Repeat after a growing delay.
    #[serde(other)]
    Backoff,
}

impl Retry {
    /// Every class, in the order of its number in the C ABI (the first is 1).
    pub const ALL: [Self; 9] = [
        Self::Never,
        Self::After,
        Self::RefreshAuth,
        Self::EvolveThenRetry,
        Self::Split,
        Self::CleanupThenRetry,
        Self::RecreateInstance,
        Self::Quarantine,
        Self::Backoff,
    ];
}

/// What a remote server answered, for the operator who must ask its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remote {
    /// The status, such as an HTTP status; 0 if there was none.
    pub status: u32,
    /// The server's own code for the failure. Never free text.
    pub code: String,
    /// The server's name for the request.
    pub request_id: String,
}

/// One change that the target will not take, and why. The whole change is refused, with all its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Position of the change in the batch, counted from 0.
    pub change: u64,
    /// The row at fault, counted from 0 over the whole batch, where it is known.
    #[serde(default)]
    pub row: Option<u64>,
    /// The column at fault; empty where it is not known.
    #[serde(default)]
    pub column: String,
    /// A stable code. May be logged and counted.
    pub code: String,
    /// The reason. May quote the value: the host keeps it with the dead letter only.
    #[serde(default)]
    pub message: String,
}

/// A failed call: what went wrong, what helps, what to tell the operator.
///
/// ```
/// use lakefeed_plugin_api::{Category, PluginError, Retry};
///
/// let error = PluginError::new(Category::RemoteUnavailable, "ACME-503", "the warehouse is starting")
///     .hint("wait, or raise its minimum size")
///     .outcome_unknown();
/// assert_eq!(error.retry, Retry::Backoff);
/// assert_eq!(error.to_string(), "the warehouse is starting (wait, or raise its minimum size) [ACME-503]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{} [{code}]", if hint.is_empty() { String::new() } else { format!(" ({hint})") })]
pub struct PluginError {
    /// A stable code of the plugin's own, such as `NDJSON-002`.
    pub code: String,
    /// What went wrong.
    pub category: Category,
    /// What helps.
    pub retry: Retry,
    /// How long to wait first, if the target said so.
    pub retry_after: Option<Duration>,
    /// The call may have taken effect although it failed (a timeout after sending). The host counts a possible
    /// duplicate when it repeats.
    pub outcome_unknown: bool,
    /// What is wrong, in words that may be logged: lower case, no full stop, no value of any row.
    pub message: String,
    /// Free text of a remote or vendor, which may quote patient data. Kept in the dead-letter store only.
    pub detail: String,
    /// What the operator can do.
    pub hint: String,
    /// What the remote server answered.
    pub remote: Remote,
    /// The changes at fault, with [`Category::DataRejected`], where the target names them. Empty means that the
    /// target did not say which: the host finds them by halving the batch.
    pub refused: Vec<Refusal>,
}

impl PluginError {
    /// A failure of that category, with the category's own retry class.
    #[must_use]
    pub fn new(category: Category, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            category,
            retry: category.retry(),
            retry_after: None,
            outcome_unknown: false,
            message: message.into(),
            detail: String::new(),
            hint: String::new(),
            remote: Remote::default(),
            refused: Vec::new(),
        }
    }

    /// With what the operator can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// With free text that may quote rows; at most [`MAX_DETAIL`] bytes of it are kept.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        let mut end = detail.len().min(MAX_DETAIL);
        while !detail.is_char_boundary(end) {
            end -= 1;
        }
        detail.truncate(end);
        self.detail = detail;
        self
    }

    /// With a retry class other than the category's own.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// To be repeated after this long.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry = Retry::After;
        self.retry_after = Some(wait);
        self
    }

    /// It may have taken effect although it failed.
    #[must_use]
    pub fn outcome_unknown(mut self) -> Self {
        self.outcome_unknown = true;
        self
    }

    /// With what the remote server answered.
    #[must_use]
    pub fn remote(mut self, remote: Remote) -> Self {
        self.remote = remote;
        self
    }

    /// With the changes at fault.
    #[must_use]
    pub fn refused(mut self, refused: Vec<Refusal>) -> Self {
        self.refused = refused;
        self
    }
}

/// How much of [`PluginError::detail`] is kept, in bytes.
pub const MAX_DETAIL: usize = 16 * 1024;

/// How far a successful write got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// What [`WriteAck::durable_prefix`] counts survives the loss of this process and of the machine's power.
    Durable,
    /// The rows are taken and not yet safe. Only a writer with [`crate::AckMode::Watermark`] may say so; it reports
    /// the batch number later through [`crate::Host::ack`] or `flush`.
    Accepted,
}

/// What became of a batch. It speaks of changes, never of parts of one.
#[must_use = "the host moves the offset by what this says"]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteAck {
    /// Whether the prefix is safe already.
    pub durability: Durability,
    /// How many changes, counted from the first, are done with: durable, or listed in `refused`.
    /// Less than the number of changes means that the host offers the rest again, in a new batch.
    pub durable_prefix: u64,
    /// Changes inside the prefix that the target refused; the host sets them aside.
    pub refused: Vec<Refusal>,
    /// How many rows were written.
    pub rows: u64,
    /// How many bytes went out.
    pub bytes: u64,
    /// The target's name for this write (a commit version, a request id); empty if it gives none.
    pub remote_id: String,
}

impl WriteAck {
    /// All changes of the batch are durable.
    pub fn durable(meta: &crate::BatchMeta, rows: usize) -> Self {
        Self {
            durability: Durability::Durable,
            durable_prefix: meta.changes() as u64,
            refused: Vec::new(),
            rows: rows as u64,
            bytes: 0,
            remote_id: String::new(),
        }
    }

    /// With the number of bytes that went out.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// With the target's name for this write.
    pub fn remote_id(mut self, remote_id: impl Into<String>) -> Self {
        self.remote_id = remote_id.into();
        self
    }

    /// With changes that were set aside.
    pub fn refused(mut self, refused: Vec<Refusal>) -> Self {
        self.refused = refused;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_one_name_in_text_and_in_json() {
        for category in Category::ALL {
            let json = serde_json::to_string(&category).unwrap();
            assert_eq!(json, format!("\"{}\"", category.name()));
            assert_eq!(serde_json::from_str::<Category>(&json).unwrap(), category);
        }
    }

    #[test]
    fn an_unknown_category_or_class_is_read_as_a_safe_one() {
        assert_eq!(
            serde_json::from_str::<Category>("\"moon.phase\"").unwrap(),
            Category::Internal
        );
        assert_eq!(
            serde_json::from_str::<Retry>("\"tomorrow\"").unwrap(),
            Retry::Backoff
        );
    }

    #[test]
    fn detail_is_cut_at_its_cap_and_stays_text() {
        let error = PluginError::new(Category::Internal, "X-1", "x").detail("ä".repeat(MAX_DETAIL));
        assert!(error.detail.len() <= MAX_DETAIL);
        assert!(error.detail.chars().all(|c| c == 'ä'));
    }

    #[test]
    fn detail_is_not_part_of_what_is_displayed() {
        let error = PluginError::new(Category::Internal, "X-1", "it broke").detail("Jane Doe");
        assert_eq!(error.to_string(), "it broke [X-1]");
    }
}
