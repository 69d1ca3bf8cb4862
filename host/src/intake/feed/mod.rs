//! Feeds: changes that another FHIR server sends of its own accord.
//!
//! - [`notification`] reads the Bundles of topic-based subscriptions; [`numbers`] finds which events did not come;
//!   [`signature`] tells whether a body is from whom it says.
//! - [`Feeds`] writes what came. A resource keeps its source's version and time ([`Source`]); the same version again,
//!   or an older one, changes nothing. A call returns once all of it is durable.
//!
//! A delete that says neither version nor time is taken as of its arrival, so that what was sent before it and comes
//! after it does not bring the resource back; nor does it when the delete came before the resource itself (`buried`). A resource that says neither is stored each time that it differs.
//! Definitions of this host are not taken from feeds.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use crate::change::{Body, Interaction, ResourceKey, Source, Timestamp};
use crate::intake::bundle::{At, BundleRefusal, Entry, request};
use crate::intake::{self, Intake, Refusal};
use crate::log::{Action, Log, LogError, Precondition, Write, WriteError, Written};

mod buried;
pub mod notification;
pub mod numbers;
pub mod signature;

use notification::{FeedEntry, Status, StatusKind, last_two};
use numbers::{Gap, Numbers};

/// The space of the store where event numbers are kept.
const SPACE: &str = "feed-numbers";
/// The most subscriptions whose numbers are held in memory.
const SUBSCRIPTIONS: usize = 10_000;
/// Into how many shares resources are cut for deliveries to take turns.
const TURNS: usize = 64;

/// Takes what other servers send. Cheap to share; every method may be called from any task.
pub struct Feeds {
    log: Arc<dyn Log>,
    intake: Intake,
    /// By the name that each subscription is kept under; held while they change.
    numbers: Mutex<HashMap<String, Numbers>>,
    counters: Counters,
    /// One for each share of the resources: what is found of a resource holds until it is written.
    turns: Vec<Mutex<()>>,
}

/// What all feeds did since the host started.
#[derive(Debug, Default)]
struct Counters {
    stored: AtomicU64,
    unchanged: AtomicU64,
    unfetched: AtomicU64,
    missed: AtomicU64,
}

/// A moment's counts of all feeds, since the host started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Versions that were made.
    pub stored: u64,
    /// Versions that were here already, or were late.
    pub unchanged: u64,
    /// Events that named a resource without its content.
    pub unfetched: u64,
    /// Events that did not come, by their numbers.
    pub missed: u64,
}

/// What became of one delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Versions that were made.
    pub stored: u64,
    /// Versions that were here already, or were late.
    pub unchanged: u64,
    /// Events that named a resource without its content: nothing is known of what it says now.
    pub unfetched: u64,
    /// Events that did not come, found by this delivery.
    pub gaps: Vec<Gap>,
}

/// Why a delivery was not taken. Nothing of it was written, so that the sender can send it again.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It is not what a feed sends.
    #[error(transparent)]
    Refused(#[from] At),
    /// The store failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Feeds {
    /// Feeds into a store.
    pub fn new(log: Arc<dyn Log>, intake: Intake) -> Self {
        Self {
            log,
            intake,
            numbers: Mutex::default(),
            counters: Counters::default(),
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
        }
    }

    /// The counts at the moment.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            stored: of(&self.counters.stored),
            unchanged: of(&self.counters.unchanged),
            unfetched: of(&self.counters.unfetched),
            missed: of(&self.counters.missed),
        }
    }

    /// Takes a notification Bundle, or a `history`.
    pub async fn notification(
        &self,
        text: Bytes,
        max_entries: usize,
        now: Timestamp,
    ) -> Result<Received, FeedError> {
        let read = tokio::task::spawn_blocking(move || notification::parse(&text, max_entries)).await;
        let notification = read.map_err(|_| LogError::Closed)??;
        let mut writes = Vec::new();
        let mut unfetched = 0;
        for entry in &notification.entries {
            match self.event(entry, now)? {
                Some(write) => writes.push(write),
                None => unfetched += 1,
            }
        }
        if let Some(status) = &notification.status {
            unfetched += without_entry(status, &notification.entries);
        }
        let mut received = self.write(writes).await?;
        received.unfetched = unfetched;
        if let Some(status) = &notification.status {
            received.gaps = self.track(status).await?;
        }
        self.count(&received);
        Ok(received)
    }

    /// Takes a Bundle of requests that put and delete resources.
    pub async fn requests(&self, entries: &[Entry], now: Timestamp) -> Result<Received, FeedError> {
        let mut writes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            writes.push(self.request(index, entry, now)?);
        }
        let received = self.write(writes).await?;
        self.count(&received);
        Ok(received)
    }

    /// Takes one resource: of this type and id, where the address says them.
    pub async fn put(&self, address: Option<(&str, &str)>, text: &[u8]) -> Result<Received, FeedError> {
        let write = self.resource(address, text).map_err(At::alone)?;
        let received = self.write(vec![write]).await?;
        self.count(&received);
        Ok(received)
    }

    /// Takes a delete of one resource, which says nothing of the version.
    pub async fn delete(&self, name: &str, id: &str, now: Timestamp) -> Result<Received, FeedError> {
        let key = data_key(name, id).map_err(|refusal| At::alone(refusal.into()))?;
        let received = self.write(vec![self.delete_of(key, None, None, now)]).await?;
        self.count(&received);
        Ok(received)
    }

    /// An entry of a notification as a write; none when it names a resource without its content.
    fn event(&self, entry: &FeedEntry, now: Timestamp) -> Result<Option<Write>, At> {
        let at = |element: &str, refusal: BundleRefusal| At::entry(entry.index, element, refusal);
        let body = entry.resource.as_deref().and_then(|text| Body::parse(text).ok());
        if entry.is_delete {
            let of_body = body
                .as_ref()
                .and_then(|body| Some((body.resource_type(), body.id()?)));
            let named = of_body.or(entry.address.as_deref().and_then(last_two));
            let (name, id) = named.ok_or_else(|| at("request.url", BundleRefusal::Missing("request.url")))?;
            let key = data_key(name, id).map_err(|refusal| at("request.url", refusal.into()))?;
            return Ok(Some(self.delete_of(
                key,
                entry.version.clone(),
                entry.timestamp,
                now,
            )));
        }
        let Some(text) = &entry.resource else {
            return Ok(None);
        };
        let address = entry.address.as_deref().and_then(last_two);
        // A create is addressed to its type; the resource knows its id.
        let address = body.as_ref().map_or(address, |_| None);
        let write = self.resource(address, text);
        write.map(Some).map_err(|refusal| at("resource", refusal))
    }

    fn request(&self, index: usize, entry: &Entry, now: Timestamp) -> Result<Write, At> {
        let at = |element: &str, refusal: BundleRefusal| At::entry(index, element, refusal);
        let request = entry.request.as_ref();
        let request = request.ok_or_else(|| at("request", BundleRefusal::Missing("request")))?;
        let method = request::Method::of(&request.method).map_err(|refusal| at("request.method", refusal))?;
        let address = last_two(&request.url);
        match (method, &entry.resource, address) {
            (request::Method::Put, Some(text), Some(address)) => self
                .resource(Some(address), text)
                .map_err(|refusal| at("resource", refusal)),
            (request::Method::Post, Some(text), _) => self
                .resource(None, text)
                .map_err(|refusal| at("resource", refusal)),
            (request::Method::Delete, _, Some((name, id))) => {
                let key = data_key(name, id).map_err(|refusal| at("request.url", refusal.into()))?;
                Ok(self.delete_of(key, None, None, now))
            }
            (request::Method::Put | request::Method::Post, None, _) => {
                Err(at("resource", BundleRefusal::Missing("resource")))
            }
            _ => Err(at("request.url", method.misdirected())),
        }
    }

    fn resource(&self, address: Option<(&str, &str)>, text: &[u8]) -> Result<Write, BundleRefusal> {
        let body = self.intake.check(address.map(|(name, _)| name), text)?;
        let id = match (address, body.id()) {
            (Some((_, id)), Some(own)) if id != own => return Err(BundleRefusal::OtherId),
            (Some((_, id)), _) => id.to_owned(),
            (None, Some(id)) => id.to_owned(),
            (None, None) => return Err(BundleRefusal::Missing("resource.id")),
        };
        data_key(body.resource_type(), &id)?;
        let source = body.source();
        let mut write = self.intake.update(&id, body, Precondition::SourceIsNewer)?;
        write.source = Some(source);
        Ok(write)
    }

    fn delete_of(
        &self,
        key: ResourceKey,
        version: Option<String>,
        at: Option<Timestamp>,
        now: Timestamp,
    ) -> Write {
        let mut write = self.intake.delete(key, Precondition::SourceIsNewer);
        let last_updated = at.or_else(|| version.is_none().then_some(now));
        write.source = Some(Source {
            version,
            last_updated,
        });
        write
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Received, FeedError> {
        let _turns = self.take_turns(&writes).await;
        let mut received = Received::default();
        let mut new = Vec::with_capacity(writes.len());
        for write in writes {
            let is_old = self.is_here(&write).await? || buried::is_buried(&*self.log, &write).await?;
            match is_old {
                true => received.unchanged += 1,
                false => new.push(write),
            }
        }
        if new.is_empty() {
            return Ok(received);
        }
        let told: Vec<_> = new
            .iter()
            .map(|write| (write.key.clone(), write.source.clone()))
            .collect();
        let written = self.log.write(new).await.map_err(|error| match error {
            WriteError::Log(error) => error,
            // A write that asks for nothing but a newer source is never refused.
            WriteError::Refused { refused, .. } => LogError::Unavailable {
                reason: refused.to_string(),
            },
        })?;
        for (written, (key, source)) in written.into_iter().zip(told) {
            match (written, source) {
                (Written::Version { .. }, _) => received.stored += 1,
                (Written::Nothing, Some(source)) => {
                    buried::bury(&*self.log, &key, &source).await?;
                    received.unchanged += 1;
                }
                (Written::Nothing | Written::Unchanged(_), _) => received.unchanged += 1,
            }
        }
        Ok(received)
    }

    /// Holds back other deliveries about the same resources; in one order, so that no two wait for each other.
    async fn take_turns(&self, writes: &[Write]) -> Vec<MutexGuard<'_, ()>> {
        let share = |write: &Write| {
            let mut hasher = DefaultHasher::new();
            write.key.hash(&mut hasher);
            usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default()
        };
        let shares: BTreeSet<usize> = writes.iter().map(share).collect();
        let mut turns = Vec::with_capacity(shares.len());
        for share in shares {
            turns.push(self.turns[share].lock().await);
        }
        turns
    }

    /// Whether a resource that says neither version nor time is stored to the byte already.
    async fn is_here(&self, write: &Write) -> Result<bool, LogError> {
        let says_nothing = write
            .source
            .as_ref()
            .is_none_or(|source| source.version.is_none() && source.last_updated.is_none());
        let (true, Action::Put(body)) = (says_nothing, &write.action) else {
            return Ok(false);
        };
        let current = self.log.current(&write.key).await?;
        let living = current.filter(|version| version.status.interaction() != Interaction::Delete);
        Ok(living.is_some_and(|version| {
            body.stamped(&version.key, version.sequence, version.last_updated) == version.resource
        }))
    }

    /// Takes note of a notification's numbers, in the store before it is answered.
    async fn track(&self, status: &Status) -> Result<Vec<Gap>, LogError> {
        let name = kept_name(&status.subscription);
        let mut all = self.numbers.lock().await;
        let before = match all.get(&name) {
            Some(numbers) => numbers.clone(),
            None => self.kept(&name).await?,
        };
        let mut numbers = before.clone();
        if status.kind == StatusKind::Handshake {
            numbers.begin();
        }
        let came: Vec<u64> = status.events.iter().filter_map(|event| event.number).collect();
        let gaps = numbers.take(&came, status.since_start);
        if numbers != before {
            let value = serde_json::to_vec(&numbers).unwrap_or_default();
            self.log.put_kept(SPACE, &name, &value).await?;
        }
        if all.len() >= SUBSCRIPTIONS {
            // The store has them all.
            all.clear();
        }
        all.insert(name, numbers);
        Ok(gaps)
    }

    async fn kept(&self, name: &str) -> Result<Numbers, LogError> {
        let kept = self.log.kept(SPACE, name).await?;
        Ok(kept
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default())
    }

    fn count(&self, received: &Received) {
        let add = |counter: &AtomicU64, count: u64| counter.fetch_add(count, Ordering::Relaxed);
        let missed = received.gaps.iter().map(Gap::events).sum();
        add(&self.counters.stored, received.stored);
        add(&self.counters.unchanged, received.unchanged);
        add(&self.counters.unfetched, received.unfetched);
        add(&self.counters.missed, missed);
        if missed > 0 {
            tracing::warn!(
                events = missed,
                "a feed lost events; ask the sender for them again"
            );
        }
        if received.unfetched > 0 {
            let events = received.unfetched;
            tracing::warn!(
                events,
                "a feed named resources without their content, which are not stored"
            );
        }
    }
}

/// The events that no entry is about, of a notification that has fewer entries than events.
fn without_entry(status: &Status, entries: &[FeedEntry]) -> u64 {
    if status.kind != StatusKind::Events {
        return 0;
    }
    let is_there = |focus: &str| {
        let named = last_two(focus);
        entries.iter().any(|entry| {
            let body = entry.resource.as_deref().and_then(|text| Body::parse(text).ok());
            let of_body = body
                .as_ref()
                .and_then(|body| Some((body.resource_type(), body.id()?)));
            named.is_some() && (of_body == named || entry.address.as_deref().and_then(last_two) == named)
        })
    };
    let without = status.events.iter().filter(|event| match &event.focus {
        Some(focus) => !is_there(focus),
        None => entries.is_empty(),
    });
    without.count() as u64
}

/// The key of a resource that is data and not a definition of this host.
fn data_key(name: &str, id: &str) -> Result<ResourceKey, Refusal> {
    match intake::is_own_type(name) {
        true => Err(Refusal::Definition),
        false => intake::key(name, id),
    }
}

/// A subscription's name may be anything; what it is kept under has one form.
fn kept_name(subscription: &str) -> String {
    let digest = Sha256::digest(subscription);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
