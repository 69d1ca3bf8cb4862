//! A log in memory whose every call can fail on purpose; only what delivery asks of a log.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;
use uuid::Uuid;

use super::chance::Chance;
use super::scripted::Row;
use crate::change::{
    Body, Change, Matched, Offset, ResourceKey, Sequence, Timestamp, Version, VersionStatus,
};
use crate::log::{
    Ack, BatchBounds, Counters, DeadLetter, DestinationRecord, DestinationState, Fence, HistoryPage,
    LastError, Log, LogError, Lookup, NewDeadLetter, ReadBound, Search, TypeChanges, TypeHistory, Write,
    WriteError, Written,
};

/// The id of the one destination and of the one topic.
pub(crate) const ID: &str = "patients";

pub(crate) struct MemoryLog {
    state: Mutex<State>,
    head: watch::Sender<Offset>,
    /// What goes wrong; none for a log that never fails.
    chance: Mutex<Option<Chance>>,
    /// The call that fails once more.
    failing: Mutex<Option<&'static str>>,
}

struct State {
    changes: Vec<Change>,
    record: DestinationRecord,
    fence: u64,
    letters: Vec<NewDeadLetter>,
    /// How many acks there were.
    acks: usize,
    /// How often bounds were persisted by themselves.
    plans: usize,
    /// How many reads of changes there were.
    reads: usize,
}

impl MemoryLog {
    pub(crate) fn new(chance: Option<Chance>) -> Self {
        let record = DestinationRecord {
            id: ID.into(),
            uuid: Uuid::from_u128(1),
            generation: 1,
            start: Offset::START,
            offset: Offset::START,
            next_batch: 1,
            planned: None,
            state: DestinationState::Active,
            counters: Counters::default(),
            last_errors: Vec::new(),
            created_at: Timestamp(0),
            acked_at: None,
        };
        let state = State {
            changes: Vec::new(),
            record,
            fence: 0,
            letters: Vec::new(),
            acks: 0,
            plans: 0,
            reads: 0,
        };
        Self {
            state: Mutex::new(state),
            head: watch::Sender::new(Offset::START),
            chance: Mutex::new(chance),
            failing: Mutex::default(),
        }
    }

    /// Commits a version of a patient. `fields` is JSON members with a leading comma, or nothing.
    pub(crate) fn put(&self, id: &str, fields: &str) {
        self.commit(id, Some(fields), &[ID]);
    }

    /// Commits a version that no topic wants.
    pub(crate) fn put_unwanted(&self, id: &str) {
        self.commit(id, Some(""), &[]);
    }

    pub(crate) fn delete(&self, id: &str) {
        self.commit(id, None, &[ID]);
    }

    fn commit(&self, id: &str, fields: Option<&str>, topics: &[&str]) {
        let mut state = self.state();
        let key = ResourceKey::new("Patient", id).unwrap();
        let sequence = Sequence(state.changes.len() as u64 + 1);
        let previous = state
            .changes
            .iter()
            .rev()
            .find(|change| change.version.key == key)
            .cloned();
        let time = Timestamp(sequence.0 as i64 * 1_000);
        let content = match (fields, &previous) {
            (Some(fields), _) => format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\"{fields}}}").into(),
            (None, Some(previous)) => previous.version.resource.clone(),
            (None, None) => panic!("nothing to delete"),
        };
        let was_deleted = previous
            .as_ref()
            .is_some_and(|previous| previous.version.status == VersionStatus::Deleted);
        let status = match (fields, &previous) {
            (None, _) => VersionStatus::Deleted,
            (_, None) => VersionStatus::Created,
            _ if was_deleted => VersionStatus::Recreated,
            _ => VersionStatus::Updated,
        };
        let version = Version {
            sequence,
            status,
            last_updated: time,
            created_at: previous
                .as_ref()
                .map_or(time, |previous| previous.version.created_at),
            resource: Body::parse(&content).unwrap().stamped(&key, sequence, time),
            source: None,
            key,
        };
        let matched = Matched {
            topics_known: 1,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        };
        let offset = Offset {
            transaction: 0,
            sequence: sequence.0,
        };
        let previous = previous.map(|previous| previous.version.sequence);
        state.changes.push(Change {
            offset,
            version,
            matched,
            previous,
        });
        drop(state);
        self.head.send_replace(offset);
    }

    pub(crate) fn record(&self) -> DestinationRecord {
        self.state().record.clone()
    }

    pub(crate) fn letters(&self) -> Vec<NewDeadLetter> {
        self.state().letters.clone()
    }

    pub(crate) fn acks(&self) -> usize {
        self.state().acks
    }

    pub(crate) fn plans(&self) -> usize {
        self.state().plans
    }

    pub(crate) fn reads(&self) -> usize {
        self.state().reads
    }

    pub(crate) fn head_offset(&self) -> Offset {
        *self.head.borrow()
    }

    /// The log as it is, with another record's place: what a crash leaves behind.
    pub(crate) fn set_planned(&self, planned: BatchBounds) {
        self.state().record.planned = Some(planned);
    }

    /// The next call of this kind fails.
    pub(crate) fn fail_next(&self, what: &'static str) {
        *self.failing.lock().unwrap() = Some(what);
    }

    /// No call fails any more.
    pub(crate) fn stop_failing(&self) {
        *self.chance() = None;
    }

    /// Whether there is a living patient of this id.
    pub(crate) fn knows(&self, id: &str) -> bool {
        let state = self.state();
        let newest = state
            .changes
            .iter()
            .rev()
            .find(|change| change.version.key.id() == id);
        newest.is_some_and(|change| change.version.status != VersionStatus::Deleted)
    }

    /// The rows of all changes that the topic wants.
    pub(crate) fn wanted(&self) -> Vec<Row> {
        let state = self.state();
        let wanted = state
            .changes
            .iter()
            .filter(|change| !change.matched.topics.is_empty());
        let row = |change: &Change| {
            let version = &change.version;
            (
                version.key.id().to_owned(),
                version.sequence.0,
                version.status == VersionStatus::Deleted,
            )
        };
        wanted.map(row).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chance(&self) -> MutexGuard<'_, Option<Chance>> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fails(&self, what: &str) -> Result<(), LogError> {
        // What the supervisor's caller asks fails, but does not panic: that is the test itself.
        let is_callers = what.starts_with("destination") || what.starts_with("state");
        let hits = |chance: &Chance| {
            if is_callers {
                chance.hits_softly()
            } else {
                chance.hits(what)
            }
        };
        let is_next = self
            .failing
            .lock()
            .unwrap()
            .take_if(|next| *next == what)
            .is_some();
        match is_next || self.chance().as_ref().is_some_and(hits) {
            true => Err(LogError::Unavailable {
                reason: format!("made up in {what}"),
            }),
            false => Ok(()),
        }
    }

    /// Changes the record under the fence; may fail before it took effect, or after.
    fn edit(
        &self,
        what: &str,
        fence: Option<Fence>,
        edit: impl FnOnce(&mut State) -> bool,
    ) -> Result<(), LogError> {
        self.fails(what)?;
        let mut state = self.state();
        if fence.is_some_and(|fence| fence.0 != state.fence) {
            return Err(LogError::Fenced { id: ID.into() });
        }
        if !edit(&mut state) {
            return Err(LogError::OutOfOrder { id: ID.into() });
        }
        drop(state);
        self.fails(&format!("{what} after"))
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn changes(&self, after: Offset, bound: ReadBound) -> Result<Vec<Change>, LogError> {
        self.fails("changes")?;
        let mut state = self.state();
        state.reads += 1;
        let until = bound.through.unwrap_or(Offset {
            transaction: 0,
            sequence: u64::MAX,
        });
        let wanted = |change: &&Change| change.offset > after && change.offset <= until;
        Ok(state
            .changes
            .iter()
            .filter(wanted)
            .take(bound.changes)
            .cloned()
            .collect())
    }

    async fn version(&self, key: &ResourceKey, sequence: Sequence) -> Result<Option<Version>, LogError> {
        self.fails("version")?;
        let state = self.state();
        let found = state
            .changes
            .iter()
            .find(|change| change.version.key == *key && change.version.sequence == sequence);
        Ok(found.map(|change| change.version.clone()))
    }

    fn head(&self) -> watch::Receiver<Offset> {
        self.head.subscribe()
    }

    async fn destination(&self, _: &str) -> Result<Option<DestinationRecord>, LogError> {
        self.fails("destination")?;
        Ok(Some(self.record()))
    }

    async fn take_destination(&self, _: &str) -> Result<(Fence, DestinationRecord), LogError> {
        self.fails("take")?;
        let mut state = self.state();
        state.fence += 1;
        Ok((Fence(state.fence), state.record.clone()))
    }

    async fn plan_batch(&self, _: &str, fence: Fence, batch: BatchBounds) -> Result<(), LogError> {
        self.edit("plan", Some(fence), |state| {
            let record = &mut state.record;
            let continues = batch.number == record.next_batch && batch.after == record.offset;
            record.planned = Some(batch);
            state.plans += 1;
            continues && batch.through > batch.after
        })
    }

    async fn ack(&self, _: &str, fence: Fence, ack: Ack) -> Result<(), LogError> {
        let head = self.head_offset();
        self.edit("ack", Some(fence), |state| {
            let record = &mut state.record;
            if ack.through < record.offset
                || ack.through > head
                || (ack.batch_done && record.planned.is_none())
            {
                return false;
            }
            record.offset = ack.through;
            record.counters += ack.counters;
            if ack.batch_done {
                record.planned = None;
                record.next_batch += 1;
            }
            if let Some(next) = ack.next {
                assert_eq!((next.number, next.after), (record.next_batch, record.offset));
                assert!(record.planned.is_none() && next.after < next.through && next.through <= head);
                record.planned = Some(next);
            }
            state.letters.extend(ack.dead_letters);
            state.acks += 1;
            true
        })
    }

    async fn record_failure(
        &self,
        _: &str,
        fence: Fence,
        error: LastError,
        counters: Counters,
    ) -> Result<(), LogError> {
        self.edit("fail", Some(fence), |state| {
            state.record.last_errors.insert(0, error);
            state.record.last_errors.truncate(5);
            state.record.counters += counters;
            true
        })
    }

    async fn set_destination_state(&self, _: &str, to: DestinationState) -> Result<(), LogError> {
        self.edit("state", None, |state| {
            state.record.state = to;
            true
        })
    }

    async fn halt_destination(&self, _: &str, code: &str, message: &str) -> Result<(), LogError> {
        self.edit("state", None, |state| {
            if state.record.state == DestinationState::Active {
                let (code, message) = (code.to_owned(), message.to_owned());
                state.record.state = DestinationState::Halted { code, message };
            }
            true
        })
    }

    async fn rewind_destination(&self, _: &str, to: Offset) -> Result<DestinationRecord, LogError> {
        self.edit("rewind", None, |state| {
            let record = &mut state.record;
            (record.offset, record.planned) = (to, None);
            (record.generation, record.next_batch) = (record.generation + 1, 1);
            state.fence += 1;
            true
        })?;
        Ok(self.record())
    }

    // What follows is never asked by delivery.

    async fn write(&self, _: Vec<Write>) -> Result<Vec<Written>, WriteError> {
        unreachable!()
    }
    async fn current(&self, _: &ResourceKey) -> Result<Option<Version>, LogError> {
        unreachable!()
    }
    async fn history(&self, _: &ResourceKey, _: HistoryPage) -> Result<Vec<Version>, LogError> {
        unreachable!()
    }
    async fn type_history(&self, _: &str, _: HistoryPage) -> Result<TypeHistory, LogError> {
        unreachable!()
    }
    async fn type_changes(&self, _: &str, _: Offset, _: ReadBound) -> Result<TypeChanges, LogError> {
        unreachable!()
    }
    async fn look_up(&self, _: &Lookup, _: usize) -> Result<Vec<Version>, LogError> {
        unreachable!()
    }
    async fn history_len(&self, _: &ResourceKey) -> Result<u64, LogError> {
        unreachable!()
    }
    async fn search(&self, _: &Search) -> Result<Vec<Version>, LogError> {
        unreachable!()
    }
    async fn search_total(&self, _: &Search) -> Result<u64, LogError> {
        unreachable!()
    }
    async fn count_changes(&self, _: Offset, _: &str) -> Result<u64, LogError> {
        unreachable!()
    }
    async fn create_destination(&self, _: &str, _: Offset) -> Result<DestinationRecord, LogError> {
        unreachable!()
    }
    async fn destinations(&self) -> Result<Vec<DestinationRecord>, LogError> {
        unreachable!()
    }
    async fn drop_destination(&self, _: &str) -> Result<(), LogError> {
        unreachable!()
    }
    async fn dead_letters(&self, _: &str, _: u64, _: usize) -> Result<Vec<DeadLetter>, LogError> {
        unreachable!()
    }
    async fn put_kept(&self, _: &str, _: &str, _: &[u8]) -> Result<(), LogError> {
        unreachable!()
    }
    async fn kept(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, LogError> {
        unreachable!()
    }
    async fn all_kept(&self, _: &str) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        unreachable!()
    }
    async fn drop_kept(&self, _: &str, _: &str) -> Result<(), LogError> {
        unreachable!()
    }
    async fn close(&self) {}
}
