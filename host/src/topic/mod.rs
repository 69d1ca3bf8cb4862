//! Which destinations want a change; pure.
//!
//! A [`Topic`] is a named set of triggers, read from an `AidboxSubscriptionTopic`. Whether it wants a change is
//! decided when the change is written, while the version before is at hand, and stored with the change
//! ([`Topics::matcher`]). A change that was written before the topic was known is decided when it is read
//! ([`Topics::wants`]). So is one whose criterion resolves a reference to a resource that was not at hand.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::change::{Asked, AtHand, Change, Matched, Matcher, Others, ResourceKey, Version};

mod definition;

pub use definition::{Topic, Trigger};

/// All topics that this host has loaded. Cheap to read, replaced whole on a change.
#[derive(Debug, Default)]
pub struct Topics {
    set: RwLock<Arc<Set>>,
}

#[derive(Clone, Debug, Default)]
struct Set {
    by_id: BTreeMap<String, Arc<Topic>>,
    /// The newest version number among the topics that were ever in the set.
    newest: u64,
    /// Topics that are stored and could not be read, with the version that first defined them: what they want is
    /// not known, so no change may claim that they were asked.
    left_out: BTreeMap<String, u64>,
}

impl Set {
    /// The newest version up to which every topic was asked.
    fn known(&self) -> u64 {
        let unknown = self.left_out.values().min();
        unknown.map_or(self.newest, |first| self.newest.min(first.saturating_sub(1)))
    }
}

/// Whether a change is a topic's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The topic wants it.
    Wanted,
    /// It does not.
    NotWanted,
    /// Not decided when it was written, and the version before is needed to decide it now: ask again with it.
    NeedsPrevious,
    /// Not decided when it was written, and these resources are needed to decide it now: ask again with them.
    NeedsOthers(Vec<ResourceKey>),
    /// There is no such topic.
    NoTopic,
}

impl Topics {
    /// Adds a topic or puts a newer version in its place. Changes that are being written see the old set or the
    /// new one, never a mixture.
    pub fn put(&self, topic: Topic) {
        self.edit(|set| {
            set.newest = set.newest.max(topic.version);
            set.left_out.remove(&topic.id);
            set.by_id.insert(topic.id.clone(), Arc::new(topic));
        });
    }

    /// Takes a topic away.
    pub fn remove(&self, id: &str) {
        self.edit(|set| {
            set.by_id.remove(id);
            set.left_out.remove(id);
        });
    }

    /// Remembers a stored topic that cannot be read now. The changes written meanwhile are decided when they are
    /// read, by the definition that mends it.
    pub fn leave_out(&self, id: &str, first_version: u64) {
        self.edit(|set| {
            set.left_out.insert(id.to_owned(), first_version);
        });
    }

    /// The version that first defined a topic, whether it could be read or not.
    pub fn first_version(&self, id: &str) -> Option<u64> {
        let set = self.set();
        let left_out = set.left_out.get(id).copied();
        left_out.or_else(|| set.by_id.get(id).map(|topic| topic.first_version))
    }

    /// The topic of an id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Topic>> {
        self.set().by_id.get(id).cloned()
    }

    /// The topic of a canonical URL. The host's own have none.
    pub fn by_url(&self, url: &str) -> Option<Arc<Topic>> {
        let set = self.set();
        let mut named = set.by_id.values().filter(|topic| !topic.url.is_empty());
        named.find(|topic| topic.url == url).cloned()
    }

    /// The function that a store asks about each version it makes.
    pub fn matcher(self: &Arc<Self>) -> Matcher {
        let topics = Arc::clone(self);
        Arc::new(move |previous, version, others| topics.matched(previous, version, others))
    }

    /// Which topics want a version that is being made.
    pub fn matched(&self, previous: Option<&Version>, version: &Version, others: &dyn Others) -> Matched {
        let set = self.set();
        let mut matched = Matched {
            topics_known: set.known(),
            topics: Vec::new(),
        };
        for topic in set.by_id.values() {
            match topic.wants(previous, version, others) {
                Some(true) => matched.topics.push(topic.id.clone()),
                Some(false) => {}
                // It was not asked, then, and is when the change is read.
                None => {
                    let before = topic.first_version.saturating_sub(1);
                    matched.topics_known = matched.topics_known.min(before);
                }
            }
        }
        matched
    }

    /// Whether a topic wants a change of the log.
    ///
    /// What was decided when the change was written stands. Otherwise it is decided now; `previous` is the
    /// version before, when the caller has it, and `at_hand` what it has of other resources.
    pub fn wants(
        &self,
        topic: &str,
        change: &Change,
        previous: Option<&Version>,
        at_hand: &AtHand,
    ) -> Decision {
        let Some(topic) = self.by_id(topic) else {
            return Decision::NoTopic;
        };
        if topic.first_version <= change.matched.topics_known {
            return match change.matched.topics.contains(&topic.id) {
                true => Decision::Wanted,
                false => Decision::NotWanted,
            };
        }
        if change.previous.is_some() && previous.is_none() && topic.reads_previous(&change.version) {
            return Decision::NeedsPrevious;
        }
        let asked = Asked::of(at_hand);
        match topic.wants(previous, &change.version, &asked) {
            Some(true) => Decision::Wanted,
            Some(false) => Decision::NotWanted,
            None => Decision::NeedsOthers(asked.into_missing().into_iter().collect()),
        }
    }

    fn set(&self) -> Arc<Set> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn edit(&self, change: impl FnOnce(&mut Set)) {
        let mut guard = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let mut set = Set::clone(&guard);
        change(&mut set);
        *guard = Arc::new(set);
    }
}

#[cfg(test)]
mod tests;
