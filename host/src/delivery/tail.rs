//! Reads the log for all destinations: one read and one decode for those that have caught up.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::change::{Change, Offset};
use crate::log::{Log, LogError, ReadBound};

/// How many changes are kept for the readers that come a little later.
const KEPT_CHANGES: usize = 8_192;

/// How many bytes of resources are kept for them.
const KEPT_BYTES: usize = 8 << 20;

/// The one reader of the log's end.
///
/// It keeps the newest changes that it read. A destination whose offset lies among them is served from memory,
/// and the first one that needs more reads for all; one that is further behind reads the store alone, so that it
/// neither waits for the others nor pushes their changes out.
pub(crate) struct TailReader {
    log: Arc<dyn Log>,
    ring: Mutex<Ring>,
}

/// The changes behind `after` and up to `through`, without a gap.
#[derive(Default)]
struct Ring {
    after: Offset,
    through: Offset,
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
}

impl TailReader {
    /// A reader that holds nothing yet.
    pub(crate) fn new(log: Arc<dyn Log>) -> Self {
        Self {
            log,
            ring: Mutex::new(Ring::default()),
        }
    }

    /// The changes behind `after`, as [`Log::changes`] gives them out.
    pub(crate) async fn read(&self, after: Offset, bound: ReadBound) -> Result<Vec<Arc<Change>>, LogError> {
        let mut ring = self.ring.lock().await;
        if after < ring.after {
            drop(ring);
            return self.read_alone(after, bound).await;
        }
        if after < ring.through {
            return Ok(ring.read(after, bound));
        }
        // The lock is held over the read, so that whoever else has caught up finds the answer here.
        let changes = self.read_alone(after, bound).await?;
        ring.extend(after, &changes);
        Ok(changes)
    }

    /// Forgets what was read: the store may no longer hold it.
    pub(crate) async fn forget(&self) {
        *self.ring.lock().await = Ring::default();
    }

    async fn read_alone(&self, after: Offset, bound: ReadBound) -> Result<Vec<Arc<Change>>, LogError> {
        let changes = self.log.changes(after, bound).await?;
        Ok(changes.into_iter().map(Arc::new).collect())
    }
}

impl Ring {
    fn read(&self, after: Offset, bound: ReadBound) -> Vec<Arc<Change>> {
        let start = self.changes.partition_point(|change| change.offset <= after);
        let mut bytes = 0;
        let mut taken = Vec::new();
        for change in self.changes.iter().skip(start).take(bound.changes) {
            bytes += change.version.resource.len();
            let is_past = bound.through.is_some_and(|through| change.offset > through);
            if is_past || (bytes > bound.bytes && !taken.is_empty()) {
                break;
            }
            taken.push(Arc::clone(change));
        }
        taken
    }

    fn extend(&mut self, after: Offset, changes: &[Arc<Change>]) {
        let Some(last) = changes.last() else { return };
        if after > self.through {
            // Nothing is known of what lies between.
            *self = Self {
                after,
                through: after,
                ..Self::default()
            };
        }
        self.through = last.offset;
        for change in changes {
            self.bytes += change.version.resource.len();
            self.changes.push_back(Arc::clone(change));
        }
        while self.changes.len() > KEPT_CHANGES || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.changes.pop_front() else {
                break;
            };
            self.bytes -= oldest.version.resource.len();
            self.after = oldest.offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::tests::MemoryLog;

    fn bound(changes: usize, through: Option<u64>) -> ReadBound {
        let through = through.map(|sequence| Offset {
            transaction: 0,
            sequence,
        });
        ReadBound {
            changes,
            bytes: usize::MAX,
            through,
        }
    }

    async fn read(tail: &TailReader, after: u64, bound: ReadBound) -> Vec<u64> {
        let changes = tail
            .read(
                Offset {
                    transaction: 0,
                    sequence: after,
                },
                bound,
            )
            .await
            .unwrap();
        changes.iter().map(|change| change.offset.sequence).collect()
    }

    #[tokio::test]
    async fn whoever_has_caught_up_is_served_by_one_read_of_the_log() {
        let log = Arc::new(MemoryLog::new(None));
        (1..=5).for_each(|number| log.put(&format!("p{number}"), ""));
        let tail = TailReader::new(log.clone());
        for _ in 0..10 {
            assert_eq!(read(&tail, 0, bound(100, None)).await, [1, 2, 3, 4, 5]);
        }
        assert_eq!(read(&tail, 2, bound(2, None)).await, [3, 4]);
        assert_eq!(read(&tail, 2, bound(9, Some(3))).await, [3]);
        assert_eq!(log.reads(), 1);
        log.put("p6", "");
        assert_eq!(read(&tail, 5, bound(9, None)).await, [6]);
        assert_eq!(read(&tail, 4, bound(9, None)).await, [5, 6]);
        assert_eq!(log.reads(), 2);
    }

    #[tokio::test]
    async fn what_was_forgotten_is_read_again() {
        let log = Arc::new(MemoryLog::new(None));
        (1..=3).for_each(|number| log.put(&format!("p{number}"), ""));
        let tail = TailReader::new(log.clone());
        assert_eq!(read(&tail, 0, bound(9, None)).await, [1, 2, 3]);
        tail.forget().await;
        assert_eq!(read(&tail, 1, bound(9, None)).await, [2, 3]);
        assert_eq!(log.reads(), 2);
    }

    #[tokio::test]
    async fn whoever_is_behind_reads_alone_and_misses_nothing() {
        let log = Arc::new(MemoryLog::new(None));
        (1..=5).for_each(|number| log.put(&format!("p{number}"), ""));
        let tail = TailReader::new(log.clone());
        assert_eq!(read(&tail, 3, bound(9, None)).await, [4, 5]);
        assert_eq!(read(&tail, 0, bound(9, None)).await, [1, 2, 3, 4, 5]);
        assert_eq!(read(&tail, 3, bound(9, None)).await, [4, 5]);
        assert_eq!(log.reads(), 2);
    }
}
