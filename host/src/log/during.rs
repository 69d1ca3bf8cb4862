//! The versions of a type that were current during a period. The same for every store.
//!
//! The log says of a version which one it followed, not which one followed it. Of what is not younger than the period's
//! beginning, the version that was current then is found from the other end: by walking back from the resource's newest
//! version. A walk is made once a page, and only of resources that were changed since. A page stops where it has looked
//! at [`MOST_LOOKED_AT`] versions, and says so: what lies far back is reached over several pages, each of a bounded cost.

use std::collections::HashMap;

use super::search::{During, HistoryPage, MOST_LOOKED_AT};
use crate::change::Sequence;

/// How many versions are looked at in one statement.
const TOGETHER: usize = 500;

/// A version without its resource.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) id: String,
    pub(super) sequence: u64,
    pub(super) last_updated: i64,
}

/// A store's rows of one type.
pub(super) trait Marks: Send {
    /// The versions below a number, newest first, at most `count`.
    fn below(
        &mut self,
        below: u64,
        count: usize,
    ) -> impl Future<Output = Result<Vec<Mark>, sqlx::Error>> + Send;

    /// The newest versions of these resources.
    fn newest(&mut self, ids: Vec<String>) -> impl Future<Output = Result<Vec<Mark>, sqlx::Error>> + Send;

    /// Walks a resource's versions back from one of them.
    fn walk(&mut self, from: u64, at: i64) -> impl Future<Output = Result<Walked, sqlx::Error>> + Send;
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// The first version that was made at the time or before it; none where there is none, or where it gave way.
    pub(super) sequence: Option<u64>,
    /// How many versions were looked at.
    pub(super) looked_at: usize,
}

/// What is found on a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Newest first.
    pub(super) sequences: Vec<i64>,
    /// Where it stopped, if that was before the page was full and before the log's beginning.
    pub(super) stopped_at: Option<Sequence>,
}

/// Finds a page of what was current during a period.
pub(super) async fn find(
    page: HistoryPage,
    during: During,
    marks: &mut impl Marks,
) -> Result<Found, sqlx::Error> {
    let mut finding = Finding {
        during,
        at_start: HashMap::new(),
        looked_at: 0,
    };
    let mut found = Found::default();
    let mut below = page.before.map_or(u64::MAX, |before| before.0);
    loop {
        let seen = marks.below(below, TOGETHER).await?;
        finding.learn(&seen, marks).await?;
        for mark in &seen {
            if found.sequences.len() >= page.count {
                return Ok(found);
            }
            if finding.looked_at >= MOST_LOOKED_AT {
                found.stopped_at = Some(Sequence(below));
                return Ok(found);
            }
            let is_young_enough = page.since.is_none_or(|since| mark.last_updated >= since.0);
            if finding.was_current(mark, marks).await? && is_young_enough {
                found
                    .sequences
                    .push(i64::try_from(mark.sequence).unwrap_or(i64::MAX));
            }
            below = mark.sequence;
        }
        if seen.len() < TOGETHER {
            return Ok(found);
        }
    }
}

struct Finding {
    during: During,
    /// What is known of the resources that have versions not younger than the period's beginning, by id.
    at_start: HashMap<String, AtStart>,
    looked_at: usize,
}

/// Which version of a resource was current when the period began.
#[derive(Clone, Copy, Debug)]
enum AtStart {
    /// This one, or none that is still there.
    Known(Option<u64>),
    /// One that this one followed, however many lie between them.
    Before(u64),
}

impl Finding {
    /// Looks up the newest versions of the resources that are asked about next.
    async fn learn(&mut self, seen: &[Mark], marks: &mut impl Marks) -> Result<(), sqlx::Error> {
        let from = self.during.from.0;
        let mut unknown: Vec<String> = seen
            .iter()
            .filter(|mark| mark.last_updated <= from && !self.at_start.contains_key(&mark.id))
            .map(|mark| mark.id.clone())
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        for newest in marks.newest(unknown).await? {
            let at_start = match newest.last_updated <= from {
                true => AtStart::Known(Some(newest.sequence)),
                false => AtStart::Before(newest.sequence),
            };
            self.at_start.insert(newest.id, at_start);
        }
        Ok(())
    }

    async fn was_current(&mut self, mark: &Mark, marks: &mut impl Marks) -> Result<bool, sqlx::Error> {
        self.looked_at += 1;
        if mark.last_updated > self.during.from.0 {
            return Ok(mark.last_updated < self.during.before.0);
        }
        let at_start = match self.at_start.get(&mark.id) {
            None => None,
            Some(AtStart::Known(at_start)) => *at_start,
            Some(AtStart::Before(newest)) => {
                let walked = marks.walk(*newest, self.during.from.0).await?;
                self.looked_at += walked.looked_at;
                let known = AtStart::Known(walked.sequence);
                self.at_start.insert(mark.id.clone(), known);
                walked.sequence
            }
        };
        Ok(at_start == Some(mark.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Timestamp;

    /// Versions as `(id, last_updated)`, numbered from 1.
    struct Rows(Vec<(String, i64)>);

    impl Rows {
        fn mark(&self, index: usize) -> Mark {
            Mark {
                id: self.0[index].0.clone(),
                sequence: index as u64 + 1,
                last_updated: self.0[index].1,
            }
        }

        fn newest_first(&self) -> impl Iterator<Item = Mark> + '_ {
            (0..self.0.len()).rev().map(|index| self.mark(index))
        }
    }

    impl Marks for Rows {
        async fn below(&mut self, below: u64, count: usize) -> Result<Vec<Mark>, sqlx::Error> {
            let below = self.newest_first().filter(|mark| mark.sequence < below);
            Ok(below.take(count).collect())
        }

        async fn newest(&mut self, ids: Vec<String>) -> Result<Vec<Mark>, sqlx::Error> {
            let newest = |id: &String| self.newest_first().find(|mark| mark.id == *id);
            Ok(ids.iter().filter_map(newest).collect())
        }

        async fn walk(&mut self, from: u64, at: i64) -> Result<Walked, sqlx::Error> {
            let id = &self.mark(from as usize - 1).id;
            let chain = self
                .newest_first()
                .filter(|mark| mark.id == *id && mark.sequence <= from);
            let mut walked = Walked::default();
            for mark in chain {
                walked.looked_at += 1;
                if mark.last_updated <= at {
                    walked.sequence = Some(mark.sequence);
                    break;
                }
            }
            Ok(walked)
        }
    }

    fn during(from: i64, before: i64) -> During {
        During {
            from: Timestamp(from),
            before: Timestamp(before),
        }
    }

    #[tokio::test]
    async fn a_version_is_current_until_the_next_one_is_made() {
        let rows = [("a", 10), ("b", 20), ("a", 30), ("c", 40), ("a", 50)];
        let mut rows = Rows(rows.map(|(id, time)| (id.to_owned(), time)).to_vec());
        for (from, before, expect) in [
            (0, 10, &[][..]),
            (10, 11, &[1]),
            (29, 30, &[2, 1]),
            (30, 31, &[3, 2]),
            (29, 31, &[3, 2, 1]),
            (50, 60, &[5, 4, 2]),
            (0, 99, &[5, 4, 3, 2, 1]),
        ] {
            let page = HistoryPage {
                count: 10,
                ..HistoryPage::default()
            };
            let found = find(page, during(from, before), &mut rows).await.unwrap();
            assert_eq!(found.sequences, expect, "{from} {before}");
            assert_eq!(found.stopped_at, None);
        }
    }

    #[tokio::test]
    async fn a_page_looks_at_so_many_versions_and_the_next_one_goes_on_there() {
        let count = MOST_LOOKED_AT * 2;
        let rows = (0..count).map(|number| (format!("p{number}"), number as i64));
        let mut rows = Rows(rows.collect());
        let mut page = HistoryPage {
            count: 10,
            ..HistoryPage::default()
        };
        let mut pages = 0;
        let found = loop {
            pages += 1;
            let found = find(page, during(2, 3), &mut rows).await.unwrap();
            match found.stopped_at {
                Some(at) => page.before = Some(at),
                None => break found.sequences,
            }
        };
        assert_eq!((found, pages), (vec![3, 2, 1], 2));
    }
}
