//! What a group of writes makes of the resources that they touch; pure.
//!
//! A store's writer reads the current state of the resources that the calls touch and that their lookups find, lets
//! each call add its versions here, and then writes all of them at once. A call that is refused leaves nothing behind, so it harms none of those that share its commit.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Action, Finding, LogError, Matcher, Precondition, Refused, Token, Write, WriteError, Written};
use crate::change::{
    Asked, AtHand, Body, Matched, Other, Others, ResourceKey, Sequence, Source, Timestamp, Version,
    VersionStatus,
};

/// A resource as the calls so far have left it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Its newest version; none if there never was one.
    pub(super) newest: Option<Version>,
    /// How many versions it has.
    pub(super) versions: u64,
    /// Whether the store holds a row of its current state.
    pub(super) is_stored: bool,
    /// What lookups find it by; nothing once it is deleted.
    pub(super) tokens: Vec<Token>,
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

/// How often a group is planned anew because matchers asked for resources that were not at hand.
const MOST_ROUNDS: usize = 6;
/// After so many bytes of resources that matchers asked for, no more of them are read for a group.
pub(super) const MOST_OTHER_BYTES: usize = 64 << 20;

/// Where the numbers of new versions come from.
#[derive(Clone, Debug)]
pub(super) enum Sequences {
    /// One after the other, behind this one.
    After(u64),
    /// These, which grow; a number for each write of the group.
    Given(Vec<u64>),
}

/// The versions that a group of calls makes.
#[derive(Debug)]
pub(super) struct Plan {
    resources: HashMap<ResourceKey, Known>,
    /// The resources that may bear a token: each that does, and some that did.
    bearing: HashMap<Token, HashSet<ResourceKey>>,
    /// The tokens that more resources of a type bear than a write may be decided by.
    crowded: HashSet<(String, Token)>,
    /// What the store holds for the resources whose tokens were changed here.
    stored_tokens: HashMap<ResourceKey, Vec<Token>>,
    sequences: Sequences,
    rows: Vec<NewVersion>,
    /// Resources that no call touches, read because a matcher asked for them.
    others: AtHand,
    /// What matchers asked for and did not get.
    missing: BTreeSet<ResourceKey>,
    /// How often the group was planned anew for that.
    rounds: usize,
}

/// A version whose matcher asked for other resources: it is asked again once its call has made all its versions.
struct Waiting {
    row: usize,
    matcher: Matcher,
    previous: Option<Version>,
}

/// What becomes of a resource's tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenChange<'p> {
    pub(super) key: &'p ResourceKey,
    pub(super) token: Token,
    /// Whether it is added; else it is taken away.
    pub(super) is_added: bool,
}

/// A failure that is nobody's refusal.
enum Failed {
    Refused(Refused),
    Log(LogError),
}

impl Plan {
    /// Begins with the state of every resource that the calls will touch or that one of their lookups finds, where
    /// it has one.
    pub(super) fn new(resources: HashMap<ResourceKey, Known>, sequences: Sequences) -> Self {
        let mut bearing: HashMap<Token, HashSet<ResourceKey>> = HashMap::new();
        for (key, known) in &resources {
            for token in &known.tokens {
                bearing.entry(*token).or_default().insert(key.clone());
            }
        }
        Self {
            resources,
            bearing,
            crowded: HashSet::new(),
            stored_tokens: HashMap::new(),
            sequences,
            rows: Vec::new(),
            others: AtHand::default(),
            missing: BTreeSet::new(),
            rounds: 0,
        }
    }

    /// What matchers asked for and must be read before the plan is carried out. Empty once they have it, and where it
    /// would be too much: then the read of those changes decides.
    pub(super) fn missing(&self) -> Vec<ResourceKey> {
        let is_enough = self.rounds == MOST_ROUNDS || self.others.bytes() >= MOST_OTHER_BYTES;
        match is_enough {
            true => Vec::new(),
            false => self.missing.iter().cloned().collect(),
        }
    }

    /// The plan before any call was added, with what was read since. `resources` is what [`new`](Self::new) was given;
    /// the numbers that were taken are taken again.
    pub(super) fn again(
        self,
        resources: HashMap<ResourceKey, Known>,
        read: Vec<(ResourceKey, Option<Version>)>,
    ) -> Self {
        let mut others = self.others;
        for (key, newest) in read {
            others.put(key, newest);
        }
        Self {
            crowded: self.crowded,
            others,
            rounds: self.rounds + 1,
            ..Self::new(resources, self.sequences)
        }
    }

    /// Refuses writes that are decided by these tokens of these types: not all that bear them were read.
    pub(super) fn refuse_by(&mut self, crowded: HashSet<(String, Token)>) {
        self.crowded = crowded;
    }

    /// Adds a call's versions, all or none.
    pub(super) fn add(&mut self, writes: &[Write], now: Timestamp) -> Result<Vec<Written>, WriteError> {
        let rows_before = self.rows.len();
        let mut undo = Vec::with_capacity(writes.len());
        let added = self.add_all(writes, now, &mut undo);
        if added.is_err() {
            self.rows.truncate(rows_before);
            self.undo(undo);
        }
        added
    }

    fn add_all(
        &mut self,
        writes: &[Write],
        now: Timestamp,
        undo: &mut Vec<(ResourceKey, Option<Known>)>,
    ) -> Result<Vec<Written>, WriteError> {
        let mut answers = Vec::with_capacity(writes.len());
        let mut waiting = Vec::new();
        for (index, write) in writes.iter().enumerate() {
            undo.push((write.key.clone(), self.resources.get(&write.key).cloned()));
            let written = self.add_one(write, now, &mut waiting);
            answers.push(written.map_err(|failed| failed.of_write(index))?);
        }
        for version in waiting {
            self.match_again(&version)?;
        }
        Ok(answers)
    }

    /// Asks a matcher that looks at other resources, now that they are as the call leaves them.
    fn match_again(&mut self, waiting: &Waiting) -> Result<(), LogError> {
        let Some(row) = self.rows.get(waiting.row) else {
            return Ok(());
        };
        let asked = Asked::of(self);
        let matched = ask(&waiting.matcher, waiting.previous.as_ref(), &row.version, &asked)?;
        let mut missing = asked.into_missing();
        self.missing.append(&mut missing);
        if let Some(row) = self.rows.get_mut(waiting.row) {
            row.matched = matched;
        }
        Ok(())
    }

    /// The versions to be written, in the order of their sequences.
    pub(super) fn rows(&self) -> &[NewVersion] {
        &self.rows
    }

    /// The tokens that are added to resources and taken from them, by what the store holds now; ascending.
    pub(super) fn token_changes(&self) -> Vec<TokenChange<'_>> {
        let mut changes = Vec::new();
        for (key, stored) in &self.stored_tokens {
            let now = self.known(key).map_or(&[][..], |known| &known.tokens);
            let mut differ = |from: &[Token], other: &[Token], is_added| {
                let only_here = from.iter().filter(|token| !other.contains(token));
                changes.extend(only_here.map(|token| TokenChange {
                    key,
                    token: *token,
                    is_added,
                }));
            };
            differ(stored, now, false);
            differ(now, stored, true);
        }
        // In the order of a store's index, so that neighbours meet the same page one after the other.
        changes.sort_unstable_by_key(|change| change.token.0);
        changes
    }

    /// What is known of a row's resource, if the row is its newest version once all calls were added.
    pub(super) fn newest(&self, row: &NewVersion) -> Option<&Known> {
        let known = self.known(&row.version.key)?;
        let is_newest = known.newest.as_ref()?.sequence == row.version.sequence;
        is_newest.then_some(known)
    }

    /// What is known of a resource once all calls were added.
    pub(super) fn known(&self, key: &ResourceKey) -> Option<&Known> {
        self.resources.get(key)
    }

    fn add_one(
        &mut self,
        write: &Write,
        now: Timestamp,
        waiting: &mut Vec<Waiting>,
    ) -> Result<Written, Failed> {
        let known = self.resources.get(&write.key).cloned().unwrap_or_default();
        check(write.precondition, known.living()).map_err(Failed::Refused)?;
        if let Some(finding) = &write.finding {
            self.check_finding(finding)?;
        }
        if let (Precondition::SourceIsNewer, Some(newest)) = (write.precondition, &known.newest)
            && !is_newer(write.source.as_ref(), newest)
        {
            return Ok(Written::Unchanged(newest.clone()));
        }
        let (status, body) = match (&write.action, known.living(), &known.newest) {
            (Action::Put(body), Some(_), _) => (VersionStatus::Updated, Some(body.as_ref())),
            (Action::Put(body), None, Some(_)) => (VersionStatus::Recreated, Some(body.as_ref())),
            (Action::Put(body), None, None) => (VersionStatus::Created, Some(body.as_ref())),
            (Action::Delete, Some(_), _) => (VersionStatus::Deleted, None),
            (Action::Delete, None, _) => return Ok(Written::Nothing),
        };
        let version = self.version(write, &known, status, body, now)?;
        let asked = Asked::of(self);
        let matched = ask(&write.matcher, known.newest.as_ref(), &version, &asked).map_err(Failed::Log)?;
        if asked.is_asked() {
            waiting.push(Waiting {
                row: self.rows.len(),
                matcher: write.matcher.clone(),
                previous: known.newest.clone(),
            });
        }
        Ok(self.push(version, matched, known, &write.tokens))
    }

    fn check_finding(&self, finding: &Finding) -> Result<(), Failed> {
        let lookup = &finding.lookup;
        let is_crowded =
            |(name, token): &(String, Token)| *token == lookup.token && *name == lookup.resource_type;
        if self.crowded.iter().any(is_crowded) {
            return Err(Failed::Refused(Refused::Crowded));
        }
        let is_found = |key: &&ResourceKey| {
            let known = self.resources.get(*key);
            let living = known
                .filter(|known| known.tokens.contains(&lookup.token))
                .and_then(Known::living);
            key.resource_type() == lookup.resource_type
                && living.is_some_and(|version| guarded(|| (lookup.matches)(version)).unwrap_or(false))
        };
        let bearing = self.bearing.get(&lookup.token).into_iter().flatten();
        let mut ids: Vec<&str> = bearing.filter(is_found).map(ResourceKey::id).collect();
        ids.sort_unstable();
        match ids == finding.ids {
            true => Ok(()),
            false => Err(Failed::Refused(Refused::FoundOther)),
        }
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
        let sequence = self.next_sequence()?;
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
            source: source(write, newest),
        })
    }

    fn next_sequence(&self) -> Result<Sequence, Failed> {
        let next = match &self.sequences {
            Sequences::After(last) => Some(last + 1 + self.rows.len() as u64),
            Sequences::Given(given) => given.get(self.rows.len()).copied(),
        };
        let unnumbered = || {
            Failed::Log(LogError::Unavailable {
                reason: "there are more versions than numbers".to_owned(),
            })
        };
        next.map(Sequence).ok_or_else(unnumbered)
    }

    fn push(&mut self, version: Version, matched: Matched, known: Known, tokens: &[Token]) -> Written {
        let tokens = match is_deleted(&version) {
            true => Vec::new(),
            false => tokens.to_vec(),
        };
        if tokens != known.tokens {
            for token in &tokens {
                self.bearing
                    .entry(*token)
                    .or_default()
                    .insert(version.key.clone());
            }
            let stored = || known.tokens.clone();
            self.stored_tokens
                .entry(version.key.clone())
                .or_insert_with(stored);
        }
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
                is_stored: known.is_stored,
                tokens,
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

impl Others for Plan {
    /// A resource as the calls so far have left it, whatever the store holds.
    fn other(&self, key: &ResourceKey) -> Other<'_> {
        match self.known(key) {
            Some(known) => Other::of(known.newest.as_ref()),
            None => self.others.other(key),
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
        (Precondition::None | Precondition::SourceIsNewer, _)
        | (Precondition::Absent, None)
        | (Precondition::Exists, Some(_)) => Ok(()),
        (Precondition::Absent, Some(version)) => Err(Refused::Exists(version.sequence)),
        (Precondition::Exists | Precondition::VersionIs(_), None) => Err(Refused::Absent),
        (Precondition::VersionIs(wanted), Some(version)) if version.sequence == wanted => Ok(()),
        (Precondition::VersionIs(_), Some(version)) => Err(Refused::OtherVersion(version.sequence)),
    }
}

/// Asks a matcher; one that panics fails its own call and not the writer that all share.
fn ask(
    matcher: &Matcher,
    previous: Option<&Version>,
    version: &Version,
    others: &dyn Others,
) -> Result<Matched, LogError> {
    guarded(|| matcher(previous, version, others)).ok_or_else(|| LogError::Unavailable {
        reason: "deciding which topics want the change failed".to_owned(),
    })
}

/// Runs what the caller handed in; none if it panics.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Whether a write's source supersedes the one of the newest version; a version without one was made here, and what
/// comes from elsewhere follows it.
fn is_newer(source: Option<&Source>, newest: &Version) -> bool {
    match (source, &newest.source) {
        (Some(source), Some(held)) => source.supersedes(held),
        _ => true,
    }
}

/// What the new version is called where it comes from. One that was made here keeps what the resource was called there
/// last: else whatever is delivered late or once more from there would come on top of it.
fn source(write: &Write, newest: Option<&Version>) -> Option<Source> {
    let kept = || newest.and_then(|newest| newest.source.clone());
    write.source.clone().filter(says_anything).or_else(kept)
}

fn says_anything(source: &Source) -> bool {
    source.version.is_some() || source.last_updated.is_some()
}

fn unreadable(key: &ResourceKey) -> LogError {
    LogError::Unavailable {
        reason: format!("the last version of a {} cannot be read", key.resource_type()),
    }
}
