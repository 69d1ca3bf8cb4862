//! What resources are searched by, and what a write may depend on having been found.

use std::fmt;
use std::sync::Arc;

use super::Version;
use crate::change::{Sequence, Timestamp};

/// Which living resources of a type are wanted.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The type.
    pub resource_type: String,
    /// These ids only; all when absent.
    pub ids: Option<Vec<String>>,
    /// Last updated at this time or later.
    pub updated_from: Option<Timestamp>,
    /// Last updated before this time.
    pub updated_before: Option<Timestamp>,
    /// In which order they are given out.
    pub order: SearchOrder,
    /// Behind this place of the order only: the last resource of the page before.
    pub after: Option<Place>,
    /// At most this many.
    pub count: usize,
}

/// In which order a search gives out what it finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchOrder {
    /// By id.
    #[default]
    Id,
    /// By the time of the last update, the oldest first; of one time by id.
    OldestFirst,
    /// By the time of the last update, the newest first; of one time by id.
    NewestFirst,
}

/// A resource's place in a search's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: String,
    /// When it was last updated; an order by id does not look at it.
    pub last_updated: Timestamp,
}

impl Place {
    /// The place of a resource in whichever order.
    pub fn of(version: &Version) -> Self {
        Self {
            id: version.key.id().to_owned(),
            last_updated: version.last_updated,
        }
    }
}

/// A page of a history: newest first, that is by falling sequence.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryPage {
    /// Older than this version only: the last one of the page before.
    pub before: Option<Sequence>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Which of them.
    pub which: Which,
    /// At most this many.
    pub count: usize,
}

impl HistoryPage {
    /// Whether a version that is one of [`which`](Self::which) is on this page or a later one.
    pub(super) fn has(&self, version: &Version) -> bool {
        self.before.is_none_or(|before| version.sequence < before)
            && self.since.is_none_or(|since| version.last_updated >= since)
    }
}

/// Which versions a history is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    #[default]
    All,
    /// Those that were current at some time of a period.
    Current(During),
    /// The one of this number.
    Numbered(Sequence),
}

/// A period. A version is current from when it was made, and no longer once the next one is made; a deleted version is
/// current like others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct During {
    /// Its beginning, which belongs to it.
    pub from: Timestamp,
    /// Its end, which does not.
    pub before: Timestamp,
}

/// How many versions a page of a type's history looks at, at most, to find those that were current during a period.
pub const MOST_LOOKED_AT: usize = 20_000;

/// A page of a type's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeHistory {
    /// Newest first.
    pub versions: Vec<Version>,
    /// Where it stopped with fewer than were asked for, because it had looked at [`MOST_LOOKED_AT`]: the next page is
    /// the one before this version.
    pub stopped_at: Option<Sequence>,
}

/// A number made of a value by which resources are looked up, such as an identifier's.
///
/// Different values may share a number, so whoever looks up by it looks at what was found, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub i64);

/// Finds the living resources of a type that bear a token and that `matches` says yes to.
#[derive(Clone)]
pub struct Lookup {
    /// The type.
    pub resource_type: String,
    /// What they were written with.
    pub token: Token,
    /// Looks at each that bears the token. It must be quick, must not block, and always answer the same of the
    /// same version.
    pub matches: Arc<dyn Fn(&Version) -> bool + Send + Sync>,
}

/// By a token that more resources of the type bear, no write is decided: each is looked at while the write is made.
pub const MOST_BEARERS: usize = 1_000;

/// What a lookup found before a write was decided.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was asked.
    pub lookup: Lookup,
    /// The ids of all that were found, by id.
    pub ids: Vec<String>,
}

impl fmt::Debug for Lookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token is made of an identifier's value.
        write!(formatter, "Lookup({})", self.resource_type)
    }
}
