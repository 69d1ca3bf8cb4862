//! The keys of the objects that are open, and whether one object has a key twice.

use std::borrow::Cow;

/// Up to here a new key is compared with each of its object's keys; beyond that an object's keys are sorted when it
/// ends, so that an object of a million keys costs no million times a million.
const FEW: usize = 32;

/// A stack: the keys of an inner object follow those of the object around it.
#[derive(Default)]
pub(super) struct Keys<'a> {
    keys: Vec<Key<'a>>,
}

struct Key<'a> {
    /// Differs for most keys that differ.
    digest: u64,
    text: Cow<'a, [u8]>,
    offset: usize,
}

impl<'a> Keys<'a> {
    /// Where the keys of an object that begins now will begin.
    pub(super) fn mark(&self) -> usize {
        self.keys.len()
    }

    /// Adds a key to the object whose keys begin at `first`. False when one of its first keys is the same.
    pub(super) fn push(&mut self, first: usize, text: Cow<'a, [u8]>, offset: usize) -> bool {
        let digest = digest(&text);
        let siblings = self.keys.get(first..).unwrap_or_default();
        let is_new = siblings.len() >= FEW
            || !siblings
                .iter()
                .any(|key| key.digest == digest && key.text == text);
        self.keys.push(Key { digest, text, offset });
        is_new
    }

    /// Forgets the keys of the innermost object, which begin at `first`, unless one is there twice: then that one
    /// stays the last, and its offset is returned.
    pub(super) fn close(&mut self, first: usize) -> Option<usize> {
        if self.keys.len() - first > FEW
            && let Some(duplicate) = self.earliest_duplicate(first)
        {
            self.keys.truncate(duplicate + 1);
            return self.keys.last().map(|key| key.offset);
        }
        self.keys.truncate(first);
        None
    }

    fn earliest_duplicate(&self, first: usize) -> Option<usize> {
        let mut places: Vec<usize> = (first..self.keys.len()).collect();
        // The places are in order already, and the sort keeps that order among equal keys.
        places.sort_by(|one, other| self.order_of(*one).cmp(&self.order_of(*other)));
        let equal = places
            .windows(2)
            .filter(|pair| self.order_of(pair[0]) == self.order_of(pair[1]));
        equal.map(|pair| pair[1]).min()
    }

    fn order_of(&self, place: usize) -> (u64, &[u8]) {
        let key = &self.keys[place];
        (key.digest, &key.text)
    }

    /// The latest of the keys between two marks, the innermost object's when `end` is the present mark.
    pub(super) fn latest(&self, first: usize, end: usize) -> Option<&[u8]> {
        self.keys.get(first..end)?.last().map(|key| &*key.text)
    }
}

/// The length, the first bytes and the last ones: enough for names, which begin alike (`valueCode`, `valueCount`) or
/// end alike.
fn digest(text: &[u8]) -> u64 {
    let head = text
        .iter()
        .take(3)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let tail = text
        .iter()
        .rev()
        .take(4)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (text.len() as u64) << 56 | head << 32 | tail
}
