//! What a group of writes makes of the resources that they touch; pure.
//!
//! The writer reads the resources' current state, lets each call add its versions here, and then writes all of
//! them at once. A call that is refused leaves nothing behind, so it harms none of those that share its commit.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::{Action, LogError, Matcher, Precondition, Refused, Write, WriteError, Written};
use crate::change::{Body, Matched, ResourceKey, Sequence, Source, Timestamp, Version, VersionStatus};

/// A resource as the calls so far have left it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Its newest version; none if there never was one.
    pub(super) newest: Option<Version>,
    /// How many versions it has.
    pub(super) versions: u64,
}

impl Known {
    fn living(&self) -> Option<&Version> {
        self.newest.as_ref().filter(|version| !is_deleted(version))
    }
}

/// A version to be written.
#[derive(Debug)]
pub(super) struct NewVersion {
    pub(super) version: Version,
    pub(super) matched: Matched,
    pub(super) previous: Option<Sequence>,
}

/// The versions that a group of calls makes.
#[derive(Debug)]
pub(super) struct Plan {
    resources: HashMap<ResourceKey, Known>,
    last_sequence: u64,
    rows: Vec<NewVersion>,
}

/// A failure that is nobody's refusal.
enum Failed {
    Refused(Refused),
    Log(LogError),
}

impl Plan {
    /// Begins with the state of every resource that the calls will touch, where it has one.
    pub(super) fn new(resources: HashMap<ResourceKey, Known>, last_sequence: u64) -> Self {
        Self {
            resources,
            last_sequence,
            rows: Vec::new(),
        }
    }

    /// Adds a call's versions, all or none.
    pub(super) fn add(&mut self, writes: &[Write], now: Timestamp) -> Result<Vec<Written>, WriteError> {
        let rows_before = self.rows.len();
        let sequence_before = self.last_sequence;
        let mut undo = Vec::with_capacity(writes.len());
        let mut answers = Vec::with_capacity(writes.len());
        for (index, write) in writes.iter().enumerate() {
            undo.push((write.key.clone(), self.resources.get(&write.key).cloned()));
            match self.add_one(write, now) {
                Ok(written) => answers.push(written),
                Err(failed) => {
                    self.rows.truncate(rows_before);
                    self.last_sequence = sequence_before;
                    self.undo(undo);
                    return Err(failed.of_write(index));
                }
            }
        }
        Ok(answers)
    }

    /// The versions to be written, in the order of their sequences.
    pub(super) fn rows(&self) -> &[NewVersion] {
        &self.rows
    }

    /// The last sequence used.
    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// What is known of a resource once all calls were added.
    pub(super) fn known(&self, key: &ResourceKey) -> Option<&Known> {
        self.resources.get(key)
    }

    fn add_one(&mut self, write: &Write, now: Timestamp) -> Result<Written, Failed> {
        let known = self.resources.get(&write.key).cloned().unwrap_or_default();
        check(write.precondition, known.living()).map_err(Failed::Refused)?;
        let (status, body) = match (&write.action, known.living(), &known.newest) {
            (Action::Put(body), Some(_), _) => (VersionStatus::Updated, Some(body.as_ref())),
            (Action::Put(body), None, Some(_)) => (VersionStatus::Recreated, Some(body.as_ref())),
            (Action::Put(body), None, None) => (VersionStatus::Created, Some(body.as_ref())),
            (Action::Delete, Some(_), _) => (VersionStatus::Deleted, None),
            (Action::Delete, None, _) => return Ok(Written::Nothing),
        };
        let version = self.version(write, &known, status, body, now)?;
        let matched = ask(&write.matcher, known.newest.as_ref(), &version)?;
        Ok(self.push(version, matched, known))
    }

    fn version(
        &self,
        write: &Write,
        known: &Known,
        status: VersionStatus,
        body: Option<&Body>,
        now: Timestamp,
    ) -> Result<Version, Failed> {
        let newest = known.newest.as_ref();
        let sequence = Sequence(self.last_sequence + 1);
        let last_updated = now.after(newest.map(|version| version.last_updated));
        let resource = match (body, newest) {
            (Some(body), _) => body.stamped(&write.key, sequence, last_updated),
            (None, newest) => {
                let content = newest.map_or(&[][..], |version| &version.resource);
                let body = Body::parse(content).map_err(|_| Failed::Log(unreadable(&write.key)))?;
                body.stamped(&write.key, sequence, last_updated)
            }
        };
        Ok(Version {
            key: write.key.clone(),
            sequence,
            status,
            last_updated,
            created_at: newest.map_or(last_updated, |version| version.created_at),
            resource,
            source: write.source.clone().filter(says_anything),
        })
    }

    fn push(&mut self, version: Version, matched: Matched, known: Known) -> Written {
        self.last_sequence = version.sequence.0;
        self.rows.push(NewVersion {
            version: version.clone(),
            matched,
            previous: known.newest.map(|version| version.sequence),
        });
        self.resources.insert(
            version.key.clone(),
            Known {
                newest: Some(version.clone()),
                versions: known.versions + 1,
            },
        );
        Written::Version {
            interaction: version.status.interaction(),
            version,
        }
    }

    fn undo(&mut self, undo: Vec<(ResourceKey, Option<Known>)>) {
        for (key, known) in undo.into_iter().rev() {
            match known {
                Some(known) => self.resources.insert(key, known),
                None => self.resources.remove(&key),
            };
        }
    }
}

impl Failed {
    fn of_write(self, index: usize) -> WriteError {
        match self {
            Self::Refused(refused) => WriteError::Refused { index, refused },
            Self::Log(error) => WriteError::Log(error),
        }
    }
}

/// Whether a version is the one that a delete made.
pub(super) fn is_deleted(version: &Version) -> bool {
    version.status == VersionStatus::Deleted
}

fn check(precondition: Precondition, living: Option<&Version>) -> Result<(), Refused> {
    match (precondition, living) {
        (Precondition::None, _) | (Precondition::Absent, None) | (Precondition::Exists, Some(_)) => Ok(()),
        (Precondition::Absent, Some(version)) => Err(Refused::Exists(version.sequence)),
        (Precondition::Exists | Precondition::VersionIs(_), None) => Err(Refused::Absent),
        (Precondition::VersionIs(wanted), Some(version)) if version.sequence == wanted => Ok(()),
        (Precondition::VersionIs(_), Some(version)) => Err(Refused::OtherVersion(version.sequence)),
    }
}

/// Asks a matcher; one that panics fails its own call and not the writer that all share.
fn ask(matcher: &Matcher, previous: Option<&Version>, version: &Version) -> Result<Matched, Failed> {
    catch_unwind(AssertUnwindSafe(|| matcher(previous, version))).map_err(|_| {
        Failed::Log(LogError::Unavailable {
            reason: "deciding which topics want the change failed".to_owned(),
        })
    })
}

fn says_anything(source: &Source) -> bool {
    source.version.is_some() || source.last_updated.is_some()
}

fn unreadable(key: &ResourceKey) -> LogError {
    LogError::Unavailable {
        reason: format!("the last version of a {} cannot be read", key.resource_type()),
    }
}
