//! The event numbers of a subscription: which came, and which did not.

use serde::{Deserialize, Serialize};

/// The most ranges of missing events that are remembered; the oldest is forgotten first.
const MAX_RANGES: usize = 100;

/// What is known of one subscription's events. Pure; kept in the store between notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// The highest number that came, or that the sender said there is.
    last: Option<u64>,
    /// Numbers below it that did not come: ranges with their ends, ascending.
    missing: Vec<(u64, u64)>,
}

/// Events that were not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl Gap {
    /// How many events are missing.
    pub fn events(&self) -> u64 {
        (self.to - self.from).saturating_add(1)
    }
}

impl Numbers {
    /// The subscription begins anew.
    pub fn begin(&mut self) {
        *self = Self::default();
    }

    /// Takes note of events that came and of how many the sender says there are; answers the gaps found now.
    ///
    /// Where the first event has a higher number than 1 nothing is missing: the subscription is older than the feed.
    pub fn take(&mut self, numbers: &[u64], since_start: Option<u64>) -> Vec<Gap> {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        let mut gaps = Vec::new();
        for number in numbers {
            gaps.extend(self.reach(number));
            self.fill(number);
        }
        match (since_start, self.last) {
            (Some(count), Some(last)) if count > last => {
                let gap = self.reach(count.saturating_add(1));
                if gap.is_some() {
                    self.last = Some(count);
                }
                gaps.extend(gap);
            }
            (Some(count), None) => self.last = Some(count),
            _ => {}
        }
        gaps
    }

    /// The gaps that are still open.
    pub fn open(&self) -> impl Iterator<Item = Gap> {
        self.missing.iter().map(|(from, to)| Gap { from: *from, to: *to })
    }

    /// Moves on to a number; what lies between is missing.
    fn reach(&mut self, number: u64) -> Option<Gap> {
        let last = self.last?;
        if number <= last {
            return None;
        }
        self.last = Some(number);
        let gap = Gap {
            from: last + 1,
            to: number - 1,
        };
        if gap.from > gap.to {
            return None;
        }
        if self.missing.len() == MAX_RANGES {
            self.missing.remove(0);
        }
        self.missing.push((gap.from, gap.to));
        Some(gap)
    }

    /// A number came: it is missing no longer.
    fn fill(&mut self, number: u64) {
        self.last = Some(self.last.map_or(number, |last| last.max(number)));
        let Some(at) = self
            .missing
            .iter()
            .position(|(from, to)| (*from..=*to).contains(&number))
        else {
            return;
        };
        let (from, to) = self.missing.remove(at);
        if number < to && self.missing.len() < MAX_RANGES {
            self.missing.insert(at, (number + 1, to));
        }
        if from < number {
            self.missing.insert(at, (from, number - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(notifications: &[(&[u64], Option<u64>)], found: &str, open: &str) {
        let text = |gap: Gap| format!("{}-{}", gap.from, gap.to);
        let mut numbers = Numbers::default();
        let mut gaps = Vec::new();
        for (events, since_start) in notifications {
            gaps.extend(numbers.take(events, *since_start).into_iter().map(text));
        }
        assert_eq!(gaps.join(" "), found, "{notifications:?}");
        assert_eq!(numbers.open().map(text).collect::<Vec<_>>().join(" "), open);
    }

    #[test]
    fn a_gap_is_found_once_and_closed_by_what_comes_late() {
        check(&[(&[1], None), (&[2, 3], None), (&[4], None)], "", "");
        check(&[(&[7], None), (&[8], None)], "", "");
        check(&[(&[1], None), (&[5], None)], "2-4", "2-4");
        check(&[(&[1], None), (&[5], None), (&[3], None)], "2-4", "2-2 4-4");
        check(&[(&[1], None), (&[5], None), (&[2, 3, 4], None)], "2-4", "");
        check(&[(&[1], None), (&[1], None), (&[2, 1], None)], "", "");
        check(&[(&[1], None), (&[3], None), (&[6], None)], "2-2 4-5", "2-2 4-5");
    }

    #[test]
    fn a_heartbeat_that_counts_more_events_than_came_tells_of_a_gap() {
        check(&[(&[1], Some(1)), (&[], Some(1))], "", "");
        check(&[(&[1], Some(1)), (&[], Some(3)), (&[4], Some(4))], "2-3", "2-3");
        check(&[(&[], Some(0)), (&[1], Some(1))], "", "");
        check(&[(&[], Some(5)), (&[7], Some(7))], "6-6", "6-6");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut numbers = Numbers::default();
        for number in 0..1000 {
            numbers.take(&[number * 2], None);
        }
        assert_eq!(numbers.open().count(), MAX_RANGES);
        numbers.take(&[u64::MAX], Some(u64::MAX));
        assert_eq!(numbers.last, Some(u64::MAX));
    }
}
