//! When a batch is full or due, and where a batch is cut to fit a target.
//!
//! Pure: the time is a parameter, and what is measured is told by the caller. A batch holds whole changes; no
//! bound ever cuts a change in two.

use std::ops::Range;
use std::time::Duration;

/// The bounds of a destination's batches; whichever is met first closes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Close at this many rows; the change that meets the bound is still taken whole.
    pub rows: usize,
    /// Close at this many bytes of resources.
    pub bytes: usize,
    /// Close this long after the batch's first change was taken.
    pub interval: Duration,
}

impl Default for BatchLimits {
    /// A thousand rows, eight mebibytes or a second.
    fn default() -> Self {
        Self {
            rows: 1_000,
            bytes: 8 << 20,
            interval: Duration::from_secs(1),
        }
    }
}

/// What a batch that is being collected holds so far.
///
/// `Time` is whatever clock the caller uses: a monotonic instant in the host, a number in a test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill<Time> {
    rows: usize,
    bytes: usize,
    changes: usize,
    opened: Option<Time>,
}

impl<Time: Copy> Fill<Time> {
    /// An empty batch.
    pub fn new() -> Self {
        Self {
            rows: 0,
            bytes: 0,
            changes: 0,
            opened: None,
        }
    }

    /// Counts one change that was taken at `now`, with its rows and the bytes of its resource.
    pub fn take(&mut self, rows: usize, bytes: usize, now: Time) {
        self.rows += rows;
        self.bytes += bytes;
        self.changes += 1;
        self.opened.get_or_insert(now);
    }

    /// How many changes were taken.
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.changes == 0
    }

    /// Whether no further change is to be taken: by rows, by bytes, or by as many changes as rows are allowed,
    /// so that changes without rows cannot pile up either.
    pub fn is_full(&self, limits: &BatchLimits) -> bool {
        self.rows >= limits.rows || self.bytes >= limits.bytes || self.changes >= limits.rows
    }

    /// How much more may be read for this batch: changes, and bytes of resources; each at least one.
    pub fn room(&self, limits: &BatchLimits) -> (usize, usize) {
        let taken = self.rows.max(self.changes);
        (
            limits.rows.saturating_sub(taken).max(1),
            limits.bytes.saturating_sub(self.bytes).max(1),
        )
    }
}

impl<Time: Copy + std::ops::Add<Duration, Output = Time>> Fill<Time> {
    /// When the batch must be closed; never while it is empty.
    pub fn due_at(&self, limits: &BatchLimits) -> Option<Time> {
        self.opened.map(|opened| opened + limits.interval)
    }
}

/// The size of one change once it is flattened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeSize {
    /// Its rows.
    pub rows: usize,
    /// Bytes of its rows, as near as they are known.
    pub bytes: usize,
}

/// What a target takes in one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimits {
    /// At most this many rows.
    pub rows: usize,
    /// At most this many bytes.
    pub bytes: usize,
}

impl WriteLimits {
    /// A target that takes any size.
    pub const NONE: Self = Self {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
}

/// Cuts changes into writes that a target takes: ranges in order, without gaps, each within the limits unless a
/// single change exceeds them by itself.
pub fn cut(changes: &[ChangeSize], limits: &WriteLimits) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let (mut rows, mut bytes) = (0_usize, 0_usize);
    for (index, change) in changes.iter().enumerate() {
        let fits = rows.saturating_add(change.rows) <= limits.rows
            && bytes.saturating_add(change.bytes) <= limits.bytes;
        if index > start && !fits {
            ranges.push(start..index);
            start = index;
            (rows, bytes) = (0, 0);
        }
        rows = rows.saturating_add(change.rows);
        bytes = bytes.saturating_add(change.bytes);
    }
    if start < changes.len() {
        ranges.push(start..changes.len());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        rows: 3,
        bytes: 100,
        interval: Duration::from_secs(5),
    };

    fn filled(changes: &[(usize, usize)]) -> Fill<Duration> {
        let mut fill = Fill::new();
        for (second, (rows, bytes)) in changes.iter().enumerate() {
            fill.take(*rows, *bytes, Duration::from_secs(second as u64));
        }
        fill
    }

    #[test]
    fn a_batch_is_full_by_rows_or_bytes_or_changes_whichever_comes_first() {
        let cases: [(&[(usize, usize)], bool); 6] = [
            (&[], false),
            (&[(1, 10), (1, 10)], false),
            (&[(1, 10), (2, 10)], true),
            (&[(7, 10)], true),
            (&[(1, 100)], true),
            (&[(0, 1), (0, 1), (0, 1)], true),
        ];
        for (changes, expected) in cases {
            assert_eq!(filled(changes).is_full(&LIMITS), expected, "{changes:?}");
        }
    }

    #[test]
    fn a_batch_is_due_an_interval_after_its_first_change_and_never_while_empty() {
        assert_eq!(filled(&[]).due_at(&LIMITS), None);
        assert_eq!(
            filled(&[(1, 1), (1, 1)]).due_at(&LIMITS),
            Some(Duration::from_secs(5))
        );
    }

    #[test]
    fn no_more_is_read_than_the_batch_has_room_for() {
        assert_eq!(filled(&[]).room(&LIMITS), (3, 100));
        assert_eq!(filled(&[(1, 30)]).room(&LIMITS), (2, 70));
        assert_eq!(filled(&[(9, 300)]).room(&LIMITS), (1, 1));
    }

    #[test]
    fn writes_are_cut_between_changes_and_leave_none_out() {
        let sizes = |rows: &[usize]| -> Vec<ChangeSize> {
            rows.iter()
                .map(|rows| ChangeSize {
                    rows: *rows,
                    bytes: rows * 10,
                })
                .collect()
        };
        let check = |rows: &[usize], limits: WriteLimits, expected: &[Range<usize>]| {
            assert_eq!(cut(&sizes(rows), &limits), expected, "{rows:?} {limits:?}");
        };
        let by_rows = WriteLimits {
            rows: 4,
            bytes: usize::MAX,
        };
        let by_bytes = WriteLimits {
            rows: usize::MAX,
            bytes: 40,
        };
        check(&[], by_rows, &[]);
        check(&[1, 1, 1], WriteLimits::NONE, std::slice::from_ref(&(0..3)));
        check(&[2, 2, 1, 3, 4], by_rows, &[0..2, 2..4, 4..5]);
        check(&[2, 2, 1, 3, 4], by_bytes, &[0..2, 2..4, 4..5]);
        check(&[9, 1, 9], by_rows, &[0..1, 1..2, 2..3]);
    }
}
