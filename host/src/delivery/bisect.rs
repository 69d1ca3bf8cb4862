//! Which changes of a batch are written together next; pure.
//!
//! A batch is first one write, or as many as the target's size limits ask for. A write that is refused as a
//! whole is cut in half until a single change is left, which is then set aside; changes that the target named
//! are cut out at once. Spans never overlap, leave nothing out and keep the order, whatever the answers are.

use std::collections::VecDeque;
use std::ops::Range;

/// What is left of a batch, as spans of change indices in order.
#[derive(Debug, Clone)]
pub(crate) struct Spans {
    waiting: VecDeque<Range<usize>>,
}

impl Spans {
    /// All spans of a batch, in order.
    pub(crate) fn new(ranges: Vec<Range<usize>>) -> Self {
        Self {
            waiting: ranges.into_iter().filter(|range| !range.is_empty()).collect(),
        }
    }

    /// The span to write next; it stays until it is [`done`](Self::done) or cut.
    pub(crate) fn current(&self) -> Option<Range<usize>> {
        self.waiting.front().cloned()
    }

    /// Whether nothing comes after the current span.
    pub(crate) fn is_last(&self) -> bool {
        self.waiting.len() <= 1
    }

    /// The first `count` changes of the current span are settled: written or set aside.
    pub(crate) fn done(&mut self, count: usize) {
        if let Some(front) = self.waiting.pop_front() {
            let rest = (front.start + count)..front.end;
            if !rest.is_empty() {
                self.waiting.push_front(rest);
            }
        }
    }

    /// Cuts the current span in half. False when it is a single change, which cannot be cut.
    pub(crate) fn halve(&mut self) -> bool {
        match self.waiting.front().cloned() {
            Some(front) if front.len() > 1 => {
                let middle = front.start + front.len().div_ceil(2);
                self.replace_front([front.start..middle, middle..front.end]);
                true
            }
            _ => false,
        }
    }

    /// Cuts the current span around the named changes, so that each of them stands alone. Names are indices
    /// within the span; those outside are ignored.
    pub(crate) fn isolate(&mut self, named: &[usize]) {
        let Some(front) = self.waiting.front().cloned() else {
            return;
        };
        let mut named: Vec<usize> = named
            .iter()
            .filter(|index| **index < front.len())
            .copied()
            .collect();
        named.sort_unstable();
        named.dedup();
        let mut pieces = Vec::new();
        let mut start = front.start;
        for index in named {
            let at = front.start + index;
            pieces.extend([start..at, at..at + 1]);
            start = at + 1;
        }
        pieces.push(start..front.end);
        self.replace_front(pieces);
    }

    fn replace_front(&mut self, pieces: impl IntoIterator<Item = Range<usize>>) {
        self.waiting.pop_front();
        let pieces: Vec<_> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        for piece in pieces.into_iter().rev() {
            self.waiting.push_front(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(len: usize) -> Spans {
        Spans::new(std::iter::once(0..len).collect())
    }

    fn left(spans: &Spans) -> Vec<Range<usize>> {
        spans.waiting.iter().cloned().collect()
    }

    /// Writes a batch to a target that refuses these changes without naming them; what was written, what was
    /// set aside, and how many writes it took.
    fn bisected(len: usize, bad: &[usize]) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut written, mut aside, mut writes) = (Vec::new(), Vec::new(), 0);
        let mut spans = whole(len);
        while let Some(span) = spans.current() {
            writes += 1;
            if !bad.iter().any(|index| span.contains(index)) {
                written.extend(span.clone());
                spans.done(span.len());
            } else if !spans.halve() {
                aside.push(span.start);
                spans.done(1);
            }
        }
        (written, aside, writes)
    }

    #[test]
    fn exactly_the_refused_changes_are_set_aside_and_the_rest_is_written_in_order() {
        for bad in [vec![], vec![0], vec![99], vec![3, 4, 50], (0..100).collect()] {
            let (written, aside, _) = bisected(100, &bad);
            let good: Vec<usize> = (0..100).filter(|index| !bad.contains(index)).collect();
            assert_eq!((written, aside), (good, bad));
        }
    }

    #[test]
    fn one_refused_change_in_a_thousand_costs_about_twenty_writes() {
        let (_, _, writes) = bisected(1_000, &[617]);
        assert!(writes <= 22, "{writes}");
    }

    #[test]
    fn named_changes_stand_alone_at_once() {
        let mut spans = Spans::new(vec![10..20, 20..25]);
        spans.isolate(&[9, 0, 3, 3, 77]);
        assert_eq!(left(&spans), [10..11, 11..13, 13..14, 14..19, 19..20, 20..25]);
    }

    #[test]
    fn a_durable_prefix_leaves_the_rest_of_its_span() {
        let mut spans = Spans::new(vec![0..10, 10..12]);
        spans.done(4);
        assert_eq!(left(&spans), [4..10, 10..12]);
        spans.done(6);
        assert!(spans.is_last());
        assert_eq!(spans.current(), Some(10..12));
    }

    #[test]
    fn a_single_change_cannot_be_cut() {
        let mut spans = whole(1);
        assert!(!spans.halve());
        assert_eq!(left(&spans), vec![0..1]);
    }
}
