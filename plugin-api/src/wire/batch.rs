//! What goes with a batch, and what comes back for it.

use std::time::Duration;

use lakefeed_plugin_abi::{
    AbiBatchMeta, AbiRefusal, AbiStr, AbiWriteAck, AbiWriterProfile, PROFILE_IDEMPOTENT, PROFILE_NESTED,
    PROFILE_ROW_ERRORS,
};

use super::{broken, numbers, slice, text};
use crate::wire::status::{lend_refusal, refusals_of};
use crate::{BatchMeta, Deadline, PluginError, WriteAck, WriterProfile};

/// A deadline as the milliseconds that are left; 0 for none. One that has passed is 1, which is as good as passed.
#[must_use]
pub fn deadline_ms(deadline: Deadline) -> u64 {
    let left = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
    deadline.remaining().map_or(0, left)
}

/// The deadline that so many milliseconds from now are; 0 is none.
#[must_use]
pub fn deadline_of(milliseconds: u64) -> Deadline {
    if milliseconds == 0 {
        Deadline::none()
    } else {
        Deadline::after(Duration::from_millis(milliseconds))
    }
}

/// Lends what goes with a batch.
pub fn with_meta<R>(meta: &BatchMeta, lend: impl FnOnce(&AbiBatchMeta) -> R) -> R {
    lend(&AbiBatchMeta {
        size: size_of::<AbiBatchMeta>() as u32,
        attempt: meta.attempt,
        source: numbers::of_source(meta.source),
        schema_id: meta.schema_id,
        generation: meta.generation,
        batch_number: meta.batch_number,
        first_offset: meta.first_offset,
        last_offset: meta.last_offset,
        deadline_ms: deadline_ms(meta.deadline),
        change_starts: meta.change_starts.as_ptr(),
        changes: meta.change_starts.len(),
        destination: AbiStr::new(&meta.destination),
        idempotency_key: AbiStr::new(&meta.idempotency_key),
        traceparent: AbiStr::new(&meta.traceparent),
        reserved: [0; 4],
    })
}

/// Copies what goes with a batch.
///
/// # Safety
/// What it points to is readable.
pub unsafe fn meta_of(meta: &AbiBatchMeta) -> Result<BatchMeta, PluginError> {
    // SAFETY: the caller promises the range; it is copied.
    let change_starts = unsafe { slice(meta.change_starts, meta.changes) }.to_vec();
    if !change_starts.is_sorted() || change_starts.first().is_some_and(|first| *first != 0) {
        return Err(broken("the change boundaries of the batch do not ascend from 0"));
    }
    Ok(BatchMeta {
        // SAFETY: the caller promises that the texts are readable; they are copied.
        destination: unsafe { text(meta.destination) },
        generation: meta.generation,
        batch_number: meta.batch_number,
        attempt: meta.attempt,
        // SAFETY: as above.
        idempotency_key: unsafe { text(meta.idempotency_key) },
        first_offset: meta.first_offset,
        last_offset: meta.last_offset,
        source: numbers::source(meta.source),
        schema_id: meta.schema_id,
        change_starts,
        deadline: deadline_of(meta.deadline_ms),
        // SAFETY: as above.
        traceparent: unsafe { text(meta.traceparent) },
    })
}

/// A profile as it crosses.
#[must_use]
pub fn profile_to(profile: &WriterProfile) -> AbiWriterProfile {
    let bit = |set: bool, bit: u32| if set { bit } else { 0 };
    AbiWriterProfile {
        size: size_of::<AbiWriterProfile>() as u32,
        max_in_flight: profile.max_in_flight,
        ordering: numbers::of_ordering(profile.ordering),
        ack_mode: numbers::of_ack_mode(profile.ack_mode),
        flags: bit(profile.idempotent, PROFILE_IDEMPOTENT)
            | bit(profile.row_errors, PROFILE_ROW_ERRORS)
            | bit(profile.nested, PROFILE_NESTED),
        reserved0: 0,
        preferred_rows: profile.preferred_rows,
        preferred_bytes: profile.preferred_bytes,
        max_bytes: profile.max_bytes,
        reserved: [0; 4],
    }
}

/// A profile that has crossed.
#[must_use]
pub fn profile_of(profile: &AbiWriterProfile) -> WriterProfile {
    WriterProfile {
        max_in_flight: profile.max_in_flight.max(1),
        preferred_rows: profile.preferred_rows,
        preferred_bytes: profile.preferred_bytes,
        max_bytes: profile.max_bytes,
        ordering: numbers::ordering(profile.ordering),
        ack_mode: numbers::ack_mode(profile.ack_mode),
        idempotent: profile.flags & PROFILE_IDEMPOTENT != 0,
        row_errors: profile.flags & PROFILE_ROW_ERRORS != 0,
        nested: profile.flags & PROFILE_NESTED != 0,
    }
}

/// Lends what became of a batch.
pub fn with_ack<R>(ack: &WriteAck, lend: impl FnOnce(&AbiWriteAck) -> R) -> R {
    let refused: Vec<AbiRefusal> = ack.refused.iter().map(lend_refusal).collect();
    lend(&AbiWriteAck {
        size: size_of::<AbiWriteAck>() as u32,
        durability: numbers::of_durability(ack.durability),
        durable_prefix: ack.durable_prefix,
        rows: ack.rows,
        bytes: ack.bytes,
        remote_id: AbiStr::new(&ack.remote_id),
        refused: refused.as_ptr(),
        refused_len: refused.len(),
        reserved: [0; 4],
    })
}

/// Copies what became of a batch of so many changes. An answer about changes that the batch does not have is a breach
/// of the contract.
///
/// # Safety
/// What it points to is readable.
pub unsafe fn ack_of(ack: &AbiWriteAck, changes: usize) -> Result<WriteAck, PluginError> {
    if ack.durable_prefix > changes as u64 {
        let told = ack.durable_prefix;
        return Err(broken(format!(
            "the writer told of {told} changes, and the batch has {changes}"
        )));
    }
    // SAFETY: the caller promises the range and the texts; they are copied.
    let refused = unsafe { refusals_of(ack.refused, ack.refused_len) };
    if refused.iter().any(|refusal| refusal.change >= ack.durable_prefix) {
        return Err(broken(
            "the writer refused a change that lies past the prefix it told of",
        ));
    }
    Ok(WriteAck {
        durability: numbers::durability(ack.durability),
        durable_prefix: ack.durable_prefix,
        refused,
        rows: ack.rows,
        bytes: ack.bytes,
        // SAFETY: as above.
        remote_id: unsafe { text(ack.remote_id) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Durability, Refusal, Source};

    fn meta() -> BatchMeta {
        BatchMeta {
            destination: "patients".into(),
            generation: 2,
            batch_number: 7,
            attempt: 3,
            idempotency_key: "patients-2-7".into(),
            first_offset: 10,
            last_offset: 12,
            source: Source::InitialExport,
            schema_id: 4,
            change_starts: vec![0, 2, 3],
            deadline: Deadline::none(),
            traceparent: "00-1-2-01".into(),
        }
    }

    #[test]
    fn what_goes_with_a_batch_crosses_the_border_unchanged() {
        // SAFETY: the struct is lent for the length of the closure.
        let back = with_meta(&meta(), |lent| unsafe { meta_of(lent) });
        assert_eq!(back.unwrap(), meta());
    }

    #[test]
    fn boundaries_that_do_not_ascend_from_0_are_refused() {
        for starts in [vec![1], vec![0, 3, 2]] {
            let bad = BatchMeta {
                change_starts: starts,
                ..meta()
            };
            // SAFETY: the struct is lent for the length of the closure.
            let error = with_meta(&bad, |lent| unsafe { meta_of(lent) }).unwrap_err();
            assert_eq!(error.category, crate::Category::PluginContract);
        }
    }

    #[test]
    fn an_ack_crosses_the_border_unchanged_and_only_of_changes_that_exist() {
        let refusal = Refusal {
            change: 1,
            row: Some(2),
            column: "a".into(),
            code: "X".into(),
            message: "no".into(),
        };
        let ack = WriteAck::durable(&meta(), 4)
            .bytes(9)
            .remote_id("v1")
            .refused(vec![refusal]);
        // SAFETY: the struct is lent for the length of the closure.
        let back = with_ack(&ack, |lent| unsafe { ack_of(lent, 3) });
        assert_eq!(back.unwrap(), ack);
        // SAFETY: as above.
        assert!(with_ack(&ack, |lent| unsafe { ack_of(lent, 2) }).is_err());
        let late = WriteAck {
            durable_prefix: 1,
            durability: Durability::Durable,
            ..ack
        };
        // SAFETY: as above.
        assert!(with_ack(&late, |lent| unsafe { ack_of(lent, 3) }).is_err());
    }

    #[test]
    fn a_profile_crosses_the_border_unchanged() {
        let profile = WriterProfile {
            idempotent: true,
            max_bytes: 10,
            nested: false,
            ..WriterProfile::default()
        };
        assert_eq!(profile_of(&profile_to(&profile)), profile);
    }
}
