//! [`Change`]: one create, update or delete of a FHIR resource; the noun that all modules share.
//!
//! Nothing here does I/O and nothing reads a clock: a time is always handed in.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

mod body;
mod others;
mod retention;
mod timestamp;

pub use body::{Body, BodyError};
pub use others::{Asked, AtHand, Other, Others};
pub use retention::{NotARetention, Retention};
pub use timestamp::Timestamp;

/// A FHIR resource's type and id, such as `Patient/p-1`; what versions of one resource share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceKey {
    resource_type: Arc<str>,
    id: Arc<str>,
}

/// Why a type and id do not make a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The id is not of `[A-Za-z0-9\-\._]{1,64}`.
    #[error("a resource id is 1 to 64 letters, digits, `-` and `.`; this one is not [CHANGE-001]")]
    Id,
    /// The type is not a name.
    #[error("a resource type is a name of letters; this one is not [CHANGE-002]")]
    ResourceType,
}

impl ResourceKey {
    /// Makes a key of a type's name and an id. Whether the type exists in R4, and whether its ids may have the `_` that
    /// FHIR's have not, is intake's question.
    pub fn new(resource_type: &str, id: &str) -> Result<Self, KeyError> {
        if resource_type.is_empty() || !resource_type.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(KeyError::ResourceType);
        }
        if !Self::is_definition_id(id) {
            return Err(KeyError::Id);
        }
        Ok(Self {
            resource_type: resource_type.into(),
            id: id.into(),
        })
    }

    /// Makes a key as [`new`](Self::new) does; one of the same type shares its name with this one.
    pub fn neighbour(&self, resource_type: &str, id: &str) -> Result<Self, KeyError> {
        if *resource_type != *self.resource_type {
            return Self::new(resource_type, id);
        }
        if !Self::is_definition_id(id) {
            return Err(KeyError::Id);
        }
        Ok(Self {
            resource_type: Arc::clone(&self.resource_type),
            id: id.into(),
        })
    }

    /// Whether a text has the form of a FHIR id.
    pub fn is_id(text: &str) -> bool {
        !text.contains('_') && Self::is_definition_id(text)
    }

    /// Whether a text can be the id of a topic, a view or a destination: these may have `_` besides, as in Aidbox.
    pub fn is_definition_id(text: &str) -> bool {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    }

    /// The resource type's name.
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// The resource's id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.resource_type, self.id)
    }
}

/// What a client did to a resource, as a topic's trigger names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interaction {
    /// The resource came to be, or came back after a delete.
    Create,
    /// A further version of a resource that exists.
    Update,
    /// The resource was deleted.
    Delete,
}

/// What a stored version is to the one before it; `getAidboxStatus()` answers its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionStatus {
    /// The first version.
    Created,
    /// A version that follows a living one.
    Updated,
    /// The version that a delete makes; it repeats the last content.
    Deleted,
    /// A version that follows a deleted one.
    Recreated,
}

impl VersionStatus {
    /// The interaction that made such a version.
    pub fn interaction(self) -> Interaction {
        match self {
            Self::Created | Self::Recreated => Interaction::Create,
            Self::Updated => Interaction::Update,
            Self::Deleted => Interaction::Delete,
        }
    }

    /// The status in one word: `created`, `updated`, `deleted`, `recreated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Recreated => "recreated",
        }
    }
}

/// The number of a version: FHIR's `versionId` and Aidbox's `txid`.
///
/// One sequence numbers the versions of all resources, so a resource's numbers grow but leave gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A destination's place in the change log: every change up to and with it is behind.
///
/// Offsets order changes as they are delivered: by the transaction that wrote them, then by sequence. A store
/// with a single writer leaves `transaction` at zero. Offsets only grow unless an operator rewinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Offset {
    /// The store's number of the writing transaction; zero where one writer makes the sequence enough.
    pub transaction: u64,
    /// The change's sequence.
    pub sequence: u64,
}

impl Offset {
    /// Before every change.
    pub const START: Self = Self {
        transaction: 0,
        sequence: 0,
    };
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transaction {
            0 => write!(formatter, "{}", self.sequence),
            transaction => write!(formatter, "{transaction}:{}", self.sequence),
        }
    }
}

/// One version of a resource, as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Whose version.
    pub key: ResourceKey,
    /// Its number; the `meta.versionId` inside `resource`.
    pub sequence: Sequence,
    /// What it is to the version before.
    pub status: VersionStatus,
    /// When it was made; the `meta.lastUpdated` inside `resource`. Grows strictly from version to version.
    pub last_updated: Timestamp,
    /// When the resource's first version was made.
    pub created_at: Timestamp,
    /// The whole resource as JSON, id and meta included. A deleted version repeats the last content with the
    /// delete's own meta.
    pub resource: Bytes,
    /// What the server that the resource came from called it last, a version that was made here since included; none for
    /// a resource that never came from elsewhere.
    pub source: Option<Source>,
}

/// What another server called a version that was fed from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its `meta.versionId`.
    pub version: Option<String>,
    /// Its `meta.lastUpdated`.
    pub last_updated: Option<Timestamp>,
}

impl Source {
    /// Whether this is a newer version than the one that is held already.
    ///
    /// The same version is not newer. Otherwise the time decides, then the version's number, where both have one;
    /// of two versions that cannot be told apart the one that comes later is taken for the newer.
    pub fn supersedes(&self, held: &Self) -> bool {
        if self.version.is_some() && self.version == held.version {
            return false;
        }
        let by_time = match (self.last_updated, held.last_updated) {
            (Some(new), Some(held)) => new.cmp(&held),
            _ => Ordering::Equal,
        };
        let number = |source: &Self| source.version.as_deref()?.parse::<u64>().ok();
        match (by_time, number(self), number(held)) {
            (Ordering::Equal, Some(new), Some(held)) => new > held,
            (Ordering::Equal, ..) => self.version != held.version || self.last_updated.is_none(),
            (by_time, ..) => by_time.is_gt(),
        }
    }
}

/// Which topics wanted a change, as found when it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// The topics known then: the newest version number among all topics that the deciding host had loaded.
    /// A topic first stored later than this was not asked.
    pub topics_known: u64,
    /// Ids of the topics that wanted it.
    pub topics: Vec<String>,
}

/// Decides which topics want a change: called with the version before and the one that is being made, inside
/// the transaction, and with the other resources as the transaction leaves them. It must be quick and must not block.
/// A store may call it again for the same write, when a transaction has to be repeated or when it asked for resources
/// that were not at hand; only its last answer within the transaction that commits is kept. What cannot be decided
/// without a resource that is not at hand it leaves to the read of the change.
pub type Matcher = Arc<dyn Fn(Option<&Version>, &Version, &dyn Others) -> Matched + Send + Sync>;

/// A change as the log gives it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the log.
    pub offset: Offset,
    /// The version that it made.
    pub version: Version,
    /// Which topics wanted it.
    pub matched: Matched,
    /// The number of the resource's version before this one, if it had one.
    pub previous: Option<Sequence>,
}

impl Change {
    /// The interaction that made the change.
    pub fn interaction(&self) -> Interaction {
        self.version.status.interaction()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(version: &str, last_updated: i64) -> Source {
        Source {
            version: (!version.is_empty()).then(|| version.to_owned()),
            last_updated: (last_updated > 0).then_some(Timestamp(last_updated)),
        }
    }

    #[test]
    fn a_source_supersedes_an_older_one_and_never_itself() {
        let check = |new: (&str, i64), held: (&str, i64), expect: bool| {
            let (new, held) = (source(new.0, new.1), source(held.0, held.1));
            assert_eq!(new.supersedes(&held), expect, "{new:?} {held:?}");
        };
        check(("2", 20), ("1", 10), true);
        check(("1", 10), ("2", 20), false);
        check(("2", 20), ("2", 20), false);
        check(("2", 0), ("2", 20), false);
        check(("10", 0), ("9", 0), true);
        check(("9", 0), ("10", 0), false);
        check(("9", 20), ("10", 20), false);
        check(("b", 20), ("a", 20), true);
        check(("b", 0), ("a", 20), true);
        check(("", 20), ("", 20), false);
        check(("", 21), ("", 20), true);
        check(("", 0), ("", 0), true);
    }
}
