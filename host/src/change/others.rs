//! Other resources that a decision about a change may look at, as far as they are at hand.
//!
//! Who decides is pure and asks for what it wants to see; who can read finds out from [`Asked`] what was wanted and was
//! not there, reads it, and has the decision made again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::{ResourceKey, Version, VersionStatus};

/// What is at hand of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other<'o> {
    /// Its newest content.
    Living(&'o [u8]),
    /// It was deleted, or never was.
    Absent,
    /// Nobody looked.
    NotAtHand,
}

impl<'o> Other<'o> {
    /// What a resource's newest version says of it; none if it never had one.
    pub fn of(newest: Option<&'o Version>) -> Self {
        match newest {
            Some(version) if version.status != VersionStatus::Deleted => Self::Living(&version.resource),
            _ => Self::Absent,
        }
    }
}

/// Whoever has other resources at hand.
pub trait Others {
    /// What is at hand of a resource.
    fn other(&self, key: &ResourceKey) -> Other<'_>;
}

/// Nothing but what was read on purpose.
#[derive(Clone, Debug, Default)]
pub struct AtHand {
    /// The contents; none for a resource that is absent.
    contents: HashMap<ResourceKey, Option<Bytes>>,
    bytes: usize,
}

impl AtHand {
    /// Takes what was read of a resource: its newest version, if it has one.
    pub fn put(&mut self, key: ResourceKey, newest: Option<Version>) {
        let content = match Other::of(newest.as_ref()) {
            Other::Living(_) => newest.map(|version| version.resource),
            Other::Absent | Other::NotAtHand => None,
        };
        self.bytes += content.as_ref().map_or(0, Bytes::len);
        self.contents.insert(key, content);
    }

    /// How many bytes of resources there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Others for AtHand {
    fn other(&self, key: &ResourceKey) -> Other<'_> {
        match self.contents.get(key) {
            Some(Some(content)) => Other::Living(content),
            Some(None) => Other::Absent,
            None => Other::NotAtHand,
        }
    }
}

/// What others have, and what they were asked for.
pub struct Asked<'o> {
    others: &'o dyn Others,
    is_asked: Cell<bool>,
    missing: RefCell<BTreeSet<ResourceKey>>,
}

impl<'o> Asked<'o> {
    /// Of these, and not asked yet.
    pub fn of(others: &'o dyn Others) -> Self {
        Self {
            others,
            is_asked: Cell::new(false),
            missing: RefCell::default(),
        }
    }

    /// Whether they were asked for anything.
    pub fn is_asked(&self) -> bool {
        self.is_asked.get()
    }

    /// What they were asked for and do not have at hand.
    pub fn into_missing(self) -> BTreeSet<ResourceKey> {
        self.missing.into_inner()
    }
}

impl Others for Asked<'_> {
    fn other(&self, key: &ResourceKey) -> Other<'_> {
        self.is_asked.set(true);
        let other = self.others.other(key);
        if other == Other::NotAtHand {
            self.missing.borrow_mut().insert(key.clone());
        }
        other
    }
}
