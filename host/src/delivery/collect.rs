//! Changes of the log become a batch of rows, with every change accounted for.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use lakefeed_view::RowError;
use tokio::time::Instant;

use super::flatten::{Flattened, Flattener};
use super::spec::Keeps;
use crate::batch::{BatchLimits, ChangeSize, Fill};
use crate::change::{Change, Offset, Version};
use crate::log::{Counters, NewDeadLetter};

/// How many changes without rows one batch may pass over; then it is closed, so that memory stays bounded.
const MOST_SETTLED: usize = 20_000;

/// Changes taken together, flattened.
#[derive(Debug)]
pub(crate) struct ChangeBatch {
    /// The offset of the last change, wanted or not.
    pub(crate) through: Offset,
    /// All rows.
    pub(crate) rows: RecordBatch,
    /// The changes that the target is told of, in order: those with rows, and all where only the newest are kept.
    pub(crate) written: Vec<FlatChange>,
    /// What is settled besides, in order: changes that need no write, and dead letters.
    settled: VecDeque<(Offset, Settled)>,
    /// Whether memory ended the batch before its last change was taken.
    pub(crate) is_cut_short: bool,
}

/// A change with its rows' place in the batch.
#[derive(Debug)]
pub(crate) struct FlatChange {
    pub(crate) change: Arc<Change>,
    pub(crate) rows: Range<usize>,
    bytes: usize,
    partial_dates: u64,
    /// Whether the view refuses it: it stands here only so that the rows of the version before go.
    is_refused: bool,
}

/// Why a change needs no write.
#[derive(Debug)]
enum Settled {
    /// The topic does not want it.
    Skipped,
    /// The view gives no row for it; it is with the destination as it is.
    WithoutRows,
    /// The view refuses it.
    Refused(Box<NewDeadLetter>),
}

impl ChangeBatch {
    /// What each change with rows measures.
    pub(crate) fn sizes(&self) -> Vec<ChangeSize> {
        let size = |change: &FlatChange| ChangeSize {
            rows: change.rows.len(),
            bytes: change.bytes,
        };
        self.written.iter().map(size).collect()
    }

    /// The rows of some changes, and the row with which each begins among them. Nothing is copied.
    pub(crate) fn slice(&self, span: &Range<usize>) -> (RecordBatch, Vec<u64>) {
        let changes = &self.written[span.clone()];
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            return (self.rows.slice(0, 0), Vec::new());
        };
        let start = first.rows.start;
        let starts = changes
            .iter()
            .map(|change| (change.rows.start - start) as u64)
            .collect();
        (self.rows.slice(start, last.rows.end - start), starts)
    }

    /// What an ack of these changes counts.
    pub(crate) fn delivered(&self, changes: impl Iterator<Item = usize>) -> Counters {
        let mut counters = Counters::default();
        let kept = changes.filter_map(|index| self.written.get(index));
        for change in kept.filter(|change| !change.is_refused) {
            counters.delivered += 1;
            counters.rows += change.rows.len() as u64;
            counters.bytes += change.bytes as u64;
            counters.partial_dates += change.partial_dates;
        }
        counters
    }

    /// Takes what an ack through an offset settles besides the written changes: counters and dead letters.
    pub(crate) fn take_settled(&mut self, through: Offset) -> (Counters, Vec<NewDeadLetter>) {
        let (mut counters, mut letters) = (Counters::default(), Vec::new());
        while self.settled.front().is_some_and(|(offset, _)| *offset <= through) {
            match self.settled.pop_front() {
                Some((_, Settled::Skipped)) => counters.skipped += 1,
                Some((_, Settled::WithoutRows)) => {
                    counters.delivered += 1;
                    counters.attempts += 1;
                }
                Some((_, Settled::Refused(letter))) => {
                    counters.attempts += 1;
                    counters.dead_letters += 1;
                    letters.push(*letter);
                }
                None => {}
            }
        }
        (counters, letters)
    }
}

/// A batch that is being collected.
#[derive(Debug)]
pub(crate) struct Collector {
    keeps: Keeps,
    through: Offset,
    fill: Fill<Instant>,
    rows: usize,
    written: Vec<FlatChange>,
    settled: VecDeque<(Offset, Settled)>,
    settled_since: Option<Instant>,
    is_full: bool,
}

impl Collector {
    /// An empty batch behind an offset.
    pub(crate) fn new(after: Offset, keeps: Keeps) -> Self {
        Self {
            keeps,
            through: after,
            fill: Fill::new(),
            rows: 0,
            written: Vec::new(),
            settled: VecDeque::new(),
            settled_since: None,
            is_full: false,
        }
    }

    /// Where the batch ends so far.
    pub(crate) fn through(&self) -> Offset {
        self.through
    }

    /// Whether the rows cannot grow further, whatever the limits are.
    pub(crate) fn is_full_by_memory(&self) -> bool {
        self.is_full
    }

    /// Whether no further change is to be taken.
    pub(crate) fn is_full(&self, limits: &BatchLimits) -> bool {
        self.is_full || self.fill.is_full(limits) || self.settled.len() >= MOST_SETTLED
    }

    /// When the batch must be closed: an interval after its first change with rows, and without any of those
    /// after `forward`, so that passing over changes is one ack for many.
    pub(crate) fn due_at(&self, limits: &BatchLimits, forward: std::time::Duration) -> Option<Instant> {
        let forward_at = self
            .settled_since
            .map(|since| since + forward.max(limits.interval));
        self.fill.due_at(limits).or(forward_at)
    }

    /// Passes over a change that the topic does not want.
    pub(crate) fn skip(&mut self, change: &Change) {
        self.settle(change, Settled::Skipped);
    }

    /// Takes a change that the view flattened.
    pub(crate) fn take(&mut self, change: &Arc<Change>, flat: Flattened) {
        if flat.rows == 0 && self.keeps == Keeps::History {
            self.settle(change, Settled::WithoutRows);
            return;
        }
        self.write(change, flat, false);
    }

    fn write(&mut self, change: &Arc<Change>, flat: Flattened, is_refused: bool) {
        self.through = change.offset;
        self.fill
            .take(flat.rows, change.version.resource.len(), Instant::now());
        self.written.push(FlatChange {
            change: Arc::clone(change),
            rows: self.rows..self.rows + flat.rows,
            bytes: flat.bytes,
            partial_dates: flat.partial_dates,
            is_refused,
        });
        self.rows += flat.rows;
    }

    /// Takes a change that the view refused. False when the batch is full instead and the change belongs to the
    /// next one.
    pub(crate) fn refuse(&mut self, change: &Arc<Change>, error: &RowError) -> bool {
        if error.is_batch_full() && self.rows > 0 {
            self.is_full = true;
            return false;
        }
        if self.keeps == Keeps::Newest {
            self.write(change, Flattened::default(), true);
        }
        self.settle(change, Settled::Refused(Box::new(refused_by_view(change, error))));
        true
    }

    /// Closes the batch.
    pub(crate) fn close(self, flattener: &mut Flattener) -> Result<ChangeBatch, arrow::error::ArrowError> {
        Ok(ChangeBatch {
            through: self.through,
            rows: flattener.finish()?,
            written: self.written,
            settled: self.settled,
            is_cut_short: self.is_full,
        })
    }

    fn settle(&mut self, change: &Change, settled: Settled) {
        self.through = change.offset;
        self.settled_since.get_or_insert_with(Instant::now);
        self.settled.push_back((change.offset, settled));
    }
}

/// The version whose content a change that left the view is marked with; none when there is nothing to mark.
pub(crate) fn left_behind(change: &Change) -> Option<crate::change::Sequence> {
    use crate::change::VersionStatus;
    (change.version.status == VersionStatus::Updated)
        .then_some(change.previous)
        .flatten()
}

/// The safe half of a version's identity is kept whole, its content never.
fn refused_by_view(change: &Change, error: &RowError) -> NewDeadLetter {
    let Version { key, sequence, .. } = &change.version;
    NewDeadLetter {
        offset: change.offset,
        key: key.clone(),
        version: *sequence,
        code: error.code.to_string(),
        message: error.reason.clone(),
        detail: None,
        row: error.row.map(|row| row as u64),
        column: error.column.clone(),
        rows: None,
    }
}
