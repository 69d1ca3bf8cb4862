//! Failures and refusals.

use std::time::Duration;

use lakefeed_plugin_abi::{
    AbiRefusal, AbiStatus, AbiStr, ROW_UNKNOWN, STATUS_CANCELLED, STATUS_ERROR, STATUS_OUTCOME_UNKNOWN,
    STATUS_PANIC,
};

use super::{slice, text};
use crate::{Category, PluginError, Refusal, Remote, Retry};

/// Lends the failure as a status.
pub fn with_status<R>(error: &PluginError, lend: impl FnOnce(&AbiStatus) -> R) -> R {
    let refused: Vec<AbiRefusal> = error.refused.iter().map(lend_refusal).collect();
    let status = AbiStatus {
        status: match error.category {
            Category::Cancelled => STATUS_CANCELLED,
            Category::PluginPanic => STATUS_PANIC,
            _ => STATUS_ERROR,
        },
        category: error.category.number(),
        retry: error.retry.number(),
        retry_after_ms: error
            .retry_after
            .map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        flags: if error.outcome_unknown {
            STATUS_OUTCOME_UNKNOWN
        } else {
            0
        },
        remote_status: error.remote.status,
        code: AbiStr::new(&error.code),
        message: AbiStr::new(&error.message),
        detail: AbiStr::new(&error.detail),
        hint: AbiStr::new(&error.hint),
        remote_code: AbiStr::new(&error.remote.code),
        request_id: AbiStr::new(&error.remote.request_id),
        refused: refused.as_ptr(),
        refused_len: refused.len(),
        ..AbiStatus::OK
    };
    lend(&status)
}

/// Copies the failure out of a status. A panic and a cancellation keep their meaning whatever else the status says.
///
/// # Safety
/// What the status points to is readable.
#[must_use]
pub unsafe fn error_of(status: &AbiStatus) -> PluginError {
    let category = match status.status {
        STATUS_CANCELLED => Category::Cancelled,
        STATUS_PANIC => Category::PluginPanic,
        _ => Category::from_number(status.category),
    };
    let retry = if category == Category::PluginPanic {
        category.retry()
    } else {
        Retry::from_number(status.retry)
    };
    let wait = Duration::from_millis(status.retry_after_ms);
    // SAFETY: the caller promises that all of it is readable; each text is copied.
    unsafe {
        let remote = Remote {
            status: status.remote_status,
            code: text(status.remote_code),
            request_id: text(status.request_id),
        };
        let mut error = PluginError::new(category, text(status.code), text(status.message))
            .hint(text(status.hint))
            .detail(text(status.detail))
            .retry(retry)
            .remote(remote)
            .refused(refusals_of(status.refused, status.refused_len));
        error.retry_after = (status.retry_after_ms > 0 || retry == Retry::After).then_some(wait);
        error.outcome_unknown = status.flags & STATUS_OUTCOME_UNKNOWN != 0;
        error
    }
}

pub(super) fn lend_refusal(refusal: &Refusal) -> AbiRefusal {
    AbiRefusal {
        change: refusal.change,
        row: refusal.row.unwrap_or(ROW_UNKNOWN),
        column: AbiStr::new(&refusal.column),
        code: AbiStr::new(&refusal.code),
        message: AbiStr::new(&refusal.message),
    }
}

/// Copies refusals.
///
/// # Safety
/// The range and what it points to are readable.
pub(super) unsafe fn refusals_of(refused: *const AbiRefusal, len: usize) -> Vec<Refusal> {
    // SAFETY: the caller promises the range.
    let refused = unsafe { slice(refused, len) };
    let copy = |refusal: &AbiRefusal| Refusal {
        change: refusal.change,
        row: (refusal.row != ROW_UNKNOWN).then_some(refusal.row),
        // SAFETY: the caller promises that the texts are readable.
        column: unsafe { text(refusal.column) },
        // SAFETY: as above.
        code: unsafe { text(refusal.code) },
        // SAFETY: as above.
        message: unsafe { text(refusal.message) },
    };
    refused.iter().map(copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_crosses_the_border_unchanged() {
        let refusal = Refusal {
            change: 3,
            row: None,
            column: "birthDate".into(),
            code: "X-7".into(),
            message: "not a date".into(),
        };
        let error = PluginError::new(Category::Throttled, "X-1", "too fast")
            .after(Duration::from_millis(1500))
            .hint("wait")
            .detail("said so")
            .outcome_unknown()
            .remote(Remote {
                status: 429,
                code: "SLOW".into(),
                request_id: "r1".into(),
            })
            .refused(vec![refusal]);
        // SAFETY: the status is lent for the length of the closure.
        let back = with_status(&error, |status| unsafe { error_of(status) });
        assert_eq!(back, error);
    }

    #[test]
    fn a_panic_is_a_panic_whatever_the_numbers_say() {
        let status = AbiStatus {
            status: STATUS_PANIC,
            category: 1,
            retry: 1,
            ..AbiStatus::OK
        };
        // SAFETY: the status points to nothing.
        let error = unsafe { error_of(&status) };
        assert_eq!(
            (error.category, error.retry),
            (Category::PluginPanic, Retry::RecreateInstance)
        );
    }
}
