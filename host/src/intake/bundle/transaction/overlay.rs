//! What the entries decided so far will have made of the store.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use crate::change::{ResourceKey, Sequence, Timestamp, Version, VersionStatus};
use crate::log::{Lookup, Token};

/// The resources that a transaction touches, as it leaves them.
#[derive(Default)]
pub(super) struct Overlay {
    resources: HashMap<ResourceKey, Option<Made>>,
    /// Who was written with a token; whoever no longer has it is still there.
    by_token: HashMap<Token, BTreeSet<ResourceKey>>,
}

struct Made {
    text: Bytes,
    tokens: Vec<Token>,
}

impl Overlay {
    /// A resource is written.
    pub(super) fn put(&mut self, key: &ResourceKey, text: &Bytes, tokens: Vec<Token>) {
        for token in &tokens {
            self.by_token.entry(*token).or_default().insert(key.clone());
        }
        let made = Made {
            text: text.clone(),
            tokens,
        };
        self.resources.insert(key.clone(), Some(made));
    }

    /// A resource is deleted.
    pub(super) fn delete(&mut self, key: &ResourceKey) {
        self.resources.insert(key.clone(), None);
    }

    /// How many resources are touched.
    pub(super) fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether a resource is touched.
    pub(super) fn touches(&self, key: &ResourceKey) -> bool {
        self.resources.contains_key(key)
    }

    /// A resource if it is touched, numbered as no version is; inside none when it is deleted.
    pub(super) fn get(&self, key: &ResourceKey) -> Option<Option<Version>> {
        let made = self.resources.get(key)?;
        Some(made.as_ref().map(|made| made.version(key)))
    }

    /// The touched resources that a lookup finds, by id.
    pub(super) fn find(&self, lookup: &Lookup) -> Vec<ResourceKey> {
        let keys = self.by_token.get(&lookup.token).into_iter().flatten();
        keys.filter(|key| key.resource_type() == lookup.resource_type && self.is_found(key, lookup))
            .cloned()
            .collect()
    }

    fn is_found(&self, key: &ResourceKey, lookup: &Lookup) -> bool {
        let Some(Some(made)) = self.resources.get(key) else {
            return false;
        };
        made.tokens.contains(&lookup.token) && (lookup.matches)(&made.version(key))
    }
}

impl Made {
    fn version(&self, key: &ResourceKey) -> Version {
        Version {
            key: key.clone(),
            sequence: Sequence(0),
            status: VersionStatus::Created,
            last_updated: Timestamp::default(),
            created_at: Timestamp::default(),
            resource: self.text.clone(),
            source: None,
        }
    }
}
