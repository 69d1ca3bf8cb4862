//! What is durable beyond a request that failed, so that it is not sent twice.
//!
//! With several requests under way a later one may succeed where an earlier one fails. The host is told of the prefix
//! alone and offers the rest again; of that, what is durable already is left out. Changes are known by a hash of the
//! very bytes that were sent, each as often as it was.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

/// Changes that are durable and were not told.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The last offset of the batch that they were of.
    through: u64,
    marks: HashMap<u128, u32>,
}

impl Settled {
    /// What a change is known by.
    pub(crate) fn mark(rows: &[u8]) -> u128 {
        let half = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(seed);
            hasher.write(rows);
            u128::from(hasher.finish())
        };
        (half(1) << 64) | half(2)
    }

    /// Keeps what is durable, of a batch that ends at this offset.
    pub(crate) fn remember(&mut self, through: u64, marks: impl IntoIterator<Item = u128>) {
        self.through = self.through.max(through);
        for mark in marks {
            *self.marks.entry(mark).or_default() += 1;
        }
    }

    /// The mark of a change of these rows if it is durable already, once for each time that it is.
    pub(crate) fn take(&mut self, rows: &[u8]) -> Option<u128> {
        if self.marks.is_empty() {
            return None;
        }
        let mark = Self::mark(rows);
        let count = self.marks.get_mut(&mark)?;
        *count -= 1;
        if *count == 0 {
            self.marks.remove(&mark);
        }
        Some(mark)
    }

    /// Forgets what cannot be offered again: a batch that begins here is past all of it.
    pub(crate) fn forget_before(&mut self, first_offset: u64) {
        if first_offset > self.through {
            self.marks.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_left_out_as_often_as_it_is_durable() {
        let mut settled = Settled::default();
        settled.remember(9, [Settled::mark(b"a"), Settled::mark(b"a"), Settled::mark(b"b")]);
        assert_eq!(
            [b"a", b"a", b"a", b"c"].map(|rows| settled.take(rows).is_some()),
            [true, true, false, false]
        );
        settled.forget_before(9);
        assert!(settled.take(b"b").is_some());
        settled.remember(9, [Settled::mark(b"b")]);
        settled.forget_before(10);
        assert!(settled.take(b"b").is_none());
    }
}
