//! What each call does to a destination's record; pure, and the same for every store.
//!
//! A store reads the record inside a transaction, checks the fence, lets one of these change the record and
//! writes it back. Where one answers an error the record is as it was.

use uuid::Uuid;

use super::{
    Ack, BatchBounds, Counters, DestinationRecord, DestinationState, LastError, LogError, NewDeadLetter,
};
use crate::change::{Offset, Timestamp};

/// How many errors a record keeps.
const KEPT_ERRORS: usize = 5;
/// The number of a generation's first batch.
const FIRST_BATCH: u64 = 1;

impl DestinationRecord {
    /// A new destination's record.
    pub(super) fn new(id: &str, start: Offset, now: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            uuid: Uuid::new_v4(),
            generation: 1,
            start,
            offset: start,
            next_batch: FIRST_BATCH,
            planned: None,
            state: DestinationState::Active,
            counters: Counters::default(),
            last_errors: Vec::new(),
            created_at: now,
            acked_at: None,
        }
    }

    /// Takes note of a batch that is about to be written.
    pub(super) fn plan(&mut self, batch: BatchBounds) -> Result<(), LogError> {
        let continues = batch.number == self.next_batch && batch.after >= self.offset;
        if !continues || batch.through < batch.after {
            return Err(self.out_of_order());
        }
        self.planned = Some(batch);
        Ok(())
    }

    /// Moves the offset, and plans what is written next; `head` is the newest offset of the log.
    pub(super) fn acknowledge(&mut self, ack: &Ack, head: Offset) -> Result<(), LogError> {
        let mut changed = self.clone();
        changed.settle(ack, head)?;
        if let Some(next) = ack.next {
            changed.plan(next)?;
        }
        *self = changed;
        Ok(())
    }

    fn settle(&mut self, ack: &Ack, head: Offset) -> Result<(), LogError> {
        if ack.through < self.offset || ack.through > head.max(self.offset) {
            return Err(self.out_of_order());
        }
        if ack.through > self.offset {
            self.acked_at = Some(ack.at);
        }
        self.offset = ack.through;
        self.counters += ack.counters;
        if let Some(letter) = ack.dead_letters.last() {
            let error = LastError {
                at: ack.at,
                code: letter.code.clone(),
                message: set_aside(letter),
            };
            self.fail(error, Counters::default());
        }
        if ack.batch_done {
            self.planned = None;
            self.next_batch += 1;
        } else if let Some(planned) = &mut self.planned {
            planned.after = planned.after.max(ack.through);
        }
        Ok(())
    }

    /// Keeps an error among the newest.
    pub(super) fn fail(&mut self, error: LastError, counters: Counters) {
        self.last_errors.insert(0, error);
        self.last_errors.truncate(KEPT_ERRORS);
        self.counters += counters;
    }

    /// Halts what is active; an operator's pause outlives what the host finds meanwhile.
    pub(super) fn halt(&mut self, code: &str, message: &str) {
        if self.state == DestinationState::Active {
            self.state = DestinationState::Halted {
                code: code.to_owned(),
                message: message.to_owned(),
            };
        }
    }

    /// Moves the offset to any place and starts a new generation.
    pub(super) fn rewind(&mut self, to: Offset) {
        self.offset = to;
        self.generation += 1;
        self.next_batch = FIRST_BATCH;
        self.planned = None;
    }

    /// Makes the record one of a store that came from a backup.
    ///
    /// What the lost store did after the backup is unknown; it may have gone on in this generation and begun
    /// further ones. So the record becomes another destination's, and none of its batches is taken for one of
    /// the lost store's.
    pub(super) fn restore(&mut self) {
        self.rewind(self.offset);
        self.uuid = Uuid::new_v4();
    }

    fn out_of_order(&self) -> LogError {
        LogError::OutOfOrder { id: self.id.clone() }
    }
}

/// What `$status` says of a change that was set aside.
fn set_aside(letter: &NewDeadLetter) -> String {
    let column = letter
        .column
        .as_ref()
        .filter(|column| !letter.message.contains(column.as_str()))
        .map_or(String::new(), |column| format!(" in column `{column}`"));
    format!(
        "a change was set aside: {}{column}; see `$dead-letters`",
        letter.message
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64) -> Offset {
        Offset {
            transaction: 0,
            sequence,
        }
    }

    fn record() -> DestinationRecord {
        DestinationRecord::new("d", at(10), Timestamp(0))
    }

    fn ack(through: u64, batch_done: bool) -> Ack {
        Ack {
            through: at(through),
            batch_done,
            at: Timestamp(7),
            ..Ack::default()
        }
    }

    fn bounds(number: u64, after: u64, through: u64) -> BatchBounds {
        BatchBounds {
            number,
            after: at(after),
            through: at(through),
            view: 1,
        }
    }

    #[test]
    fn an_offset_never_moves_back_nor_past_the_log() {
        let mut record = record();
        assert!(record.acknowledge(&ack(9, true), at(100)).is_err());
        assert!(record.acknowledge(&ack(101, true), at(100)).is_err());
        assert_eq!(
            (record.offset, record.next_batch, record.acked_at),
            (at(10), 1, None)
        );
        record.acknowledge(&ack(100, true), at(100)).unwrap();
        assert_eq!((record.offset, record.next_batch), (at(100), 2));
        assert_eq!(record.acked_at, Some(Timestamp(7)));
    }

    #[test]
    fn a_durable_prefix_keeps_the_batch_planned_from_there_on() {
        let mut record = record();
        record.plan(bounds(1, 10, 50)).unwrap();
        record.acknowledge(&ack(30, false), at(100)).unwrap();
        assert_eq!(record.planned, Some(bounds(1, 30, 50)));
        assert_eq!(record.next_batch, 1);
    }

    #[test]
    fn an_ack_plans_the_next_batch_or_changes_nothing() {
        let mut record = record();
        record.plan(bounds(1, 10, 20)).unwrap();
        let before = record.clone();
        let with_next = |next| Ack {
            next: Some(next),
            ..ack(20, true)
        };
        assert!(
            record
                .acknowledge(&with_next(bounds(1, 20, 30)), at(100))
                .is_err()
        );
        assert_eq!(record, before);
        record
            .acknowledge(&with_next(bounds(2, 20, 30)), at(100))
            .unwrap();
        assert_eq!((record.offset, record.planned), (at(20), Some(bounds(2, 20, 30))));
    }

    #[test]
    fn a_batch_bears_the_next_number_and_starts_at_the_offset_or_behind_it() {
        let mut record = record();
        assert!(record.plan(bounds(2, 10, 20)).is_err());
        assert!(record.plan(bounds(1, 9, 20)).is_err());
        assert!(record.plan(bounds(1, 20, 19)).is_err());
        assert_eq!(record.planned, None);
        record.plan(bounds(1, 12, 20)).unwrap();
    }

    #[test]
    fn a_rewind_starts_a_generation_and_a_restore_another_destination() {
        let mut rewound = record();
        rewound.plan(bounds(1, 10, 20)).unwrap();
        rewound.rewind(Offset::START);
        assert_eq!((rewound.generation, rewound.next_batch), (2, 1));
        assert_eq!((rewound.offset, rewound.planned), (Offset::START, None));
        let mut restored = rewound.clone();
        restored.restore();
        assert_eq!(restored.offset, rewound.offset);
        assert_ne!(restored.uuid, rewound.uuid);
    }
}
