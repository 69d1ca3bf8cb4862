//! What the entries of a transaction write together.
//!
//! Entries are decided in document order, each on what the store holds and on what the entries before it will have
//! made of that. Then the references between them are resolved, by `fullUrl` and by condition, as of the end of the
//! transaction. The result is one list of writes for one call of [`Log::write`], which checks again, in the store's
//! own transaction, all that was found; [`decide`] is to be asked anew when that no longer holds.
//!
//! A conditional create that finds its resource writes nothing, so the store does not check it again: a resource
//! that is deleted in the moment between is still referred to.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::change::{Body, Interaction, ResourceKey, Version};
use crate::intake::patch::{Patch, PatchKind, Patched};
use crate::intake::{self, Intake, created_at};
use crate::log::{Action, Finding, Log, LogError, Precondition, Refused, Write};

use super::request::{Address, Method, address};
use super::{At, BundleRefusal, Entry, Request};

mod find;
mod overlay;
mod resolve;

use find::{Found, find};
use overlay::Overlay;

/// After so many entries other tasks get their turn.
const ENTRIES_A_TURN: usize = 64;
/// The type that is not changed once it is made, and not made within a transaction.
const DESTINATION: &str = "AidboxTopicDestination";

/// What decisions are made from.
pub struct Around<'a> {
    /// The store, which is only read.
    pub log: &'a dyn Log,
    /// Checks resources.
    pub intake: &'a Intake,
    /// The server's own address as the client knows it.
    pub base: &'a str,
}

/// What a transaction does.
pub struct Decided {
    /// What is written, in document order.
    pub writes: Vec<Write>,
    /// Of each write the entry that asks for it.
    pub entry_of: Vec<usize>,
    /// What becomes of each entry.
    pub steps: Vec<Step>,
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The write of this index.
    Write(usize),
    /// The resource stays as it is: a conditional create that found it, or a patch without effect. The version is
    /// absent when the transaction itself makes it.
    Kept(ResourceKey, Option<Version>),
    /// A conditional delete that found nothing.
    Nothing,
    /// A read, done once the transaction is committed.
    Read,
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// An entry is refused.
    #[error(transparent)]
    Refused(#[from] At),
    /// The store failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What an entry will do, before references are resolved.
enum Draft {
    Put(Put),
    Delete(Write),
    Done(Step),
}

struct Put {
    key: ResourceKey,
    text: Bytes,
    body: Body,
    precondition: Precondition,
    finding: Option<Arc<Finding>>,
}

/// Decides all entries, or refuses the first that cannot be done.
pub async fn decide(around: &Around<'_>, entries: &[Entry]) -> Result<Decided, Undecided> {
    let mut deciding = Deciding {
        around,
        overlay: Overlay::default(),
        named: HashMap::new(),
    };
    let mut drafts = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        if index % ENTRIES_A_TURN == ENTRIES_A_TURN - 1 {
            tokio::task::yield_now().await;
        }
        drafts.push(deciding.entry(index, entry).await?);
    }
    deciding.finish(entries, drafts).await
}

struct Deciding<'a> {
    around: &'a Around<'a>,
    overlay: Overlay,
    /// What entries are called, and the `Type/id` that each is.
    named: HashMap<String, String>,
}

impl Deciding<'_> {
    async fn entry(&mut self, index: usize, entry: &Entry) -> Result<Draft, Undecided> {
        let at = |element, refusal| At::entry(index, element, refusal);
        let request = entry
            .request
            .as_ref()
            .ok_or_else(|| at("request", BundleRefusal::Missing("request")))?;
        let method = Method::of(&request.method).map_err(|refusal| at("request.method", refusal))?;
        let path = request.path(self.around.base);
        let address = path.map_or(Address::Other, address);
        refuse_unsuited(method, &address).map_err(|refusal| at("request.url", refusal))?;
        let one = One {
            index,
            entry,
            request,
        };
        let draft = match (method, address) {
            (Method::Get, _) if path.is_some() => Draft::Done(Step::Read),
            (Method::Post, Address::Type(name)) => self.create(one, &name).await?,
            (Method::Put, Address::Instance(name, id)) => self.update(one, &name, &id)?,
            (Method::Put, Address::Search(name, query)) => {
                self.conditional_update(one, &name, &query).await?
            }
            (Method::Delete, Address::Instance(name, id)) => self.delete(one, &name, &id)?,
            (Method::Delete, Address::Search(name, query)) => {
                self.conditional_delete(one, &name, &query).await?
            }
            (Method::Patch, Address::Instance(name, id)) => {
                let key = one.key(&name, &id)?;
                self.patch(one, key, None).await?
            }
            (Method::Patch, Address::Search(name, query)) => {
                let found = self.find(&one, "request.url", &name, &query).await?;
                let key = found.key.clone();
                let key = key.ok_or_else(|| at("request.url", BundleRefusal::NothingToPatch))?;
                self.patch(one, key, found.finding).await?
            }
            _ => return Err(at("request.url", method.misdirected()).into()),
        };
        self.take(entry, &draft);
        Ok(draft)
    }

    async fn create(&mut self, one: One<'_>, name: &str) -> Result<Draft, Undecided> {
        let (text, body) = one.checked(self.around.intake, name)?;
        let mut finding = None;
        if let Some(query) = &one.request.if_none_exist {
            let found = self.find(&one, "request.ifNoneExist", name, query).await?;
            if let Some(key) = found.key {
                return Ok(Draft::Done(Step::Kept(key, found.version)));
            }
            finding = found.finding;
        }
        self.put_new(&one, text, body, finding)
    }

    fn update(&self, one: One<'_>, name: &str, id: &str) -> Result<Draft, Undecided> {
        let key = one.key(name, id)?;
        let (text, body) = one.checked(self.around.intake, name)?;
        Ok(Draft::Put(Put {
            key,
            text,
            body,
            precondition: one.precondition()?,
            finding: None,
        }))
    }

    async fn conditional_update(
        &mut self,
        one: One<'_>,
        name: &str,
        query: &str,
    ) -> Result<Draft, Undecided> {
        let (text, body) = one.checked(self.around.intake, name)?;
        let found = self.find(&one, "request.url", name, query).await?;
        match found.key {
            Some(key) => Ok(Draft::Put(Put {
                key,
                text,
                body,
                precondition: one.precondition()?,
                finding: found.finding,
            })),
            None => self.put_new(&one, text, body, found.finding),
        }
    }

    /// A create under the id that the resource brings, or under a new one.
    fn put_new(
        &self,
        one: &One<'_>,
        text: Bytes,
        body: Body,
        finding: Option<Arc<Finding>>,
    ) -> Result<Draft, Undecided> {
        let key = intake::new_key(&body).map_err(|refusal| one.at("resource", refusal))?;
        Ok(Draft::Put(Put {
            key,
            text,
            body,
            precondition: Precondition::Absent,
            finding,
        }))
    }

    fn delete(&self, one: One<'_>, name: &str, id: &str) -> Result<Draft, Undecided> {
        let precondition = one.precondition()?;
        let write = self.around.intake.delete(one.key(name, id)?, precondition);
        Ok(Draft::Delete(write))
    }

    async fn conditional_delete(
        &mut self,
        one: One<'_>,
        name: &str,
        query: &str,
    ) -> Result<Draft, Undecided> {
        let found = self.find(&one, "request.url", name, query).await?;
        let Some(key) = found.key else {
            return Ok(Draft::Done(Step::Nothing));
        };
        let mut write = self.around.intake.delete(key, one.precondition()?);
        write.finding = found.finding;
        Ok(Draft::Delete(write))
    }

    async fn patch(
        &mut self,
        one: One<'_>,
        key: ResourceKey,
        finding: Option<Arc<Finding>>,
    ) -> Result<Draft, Undecided> {
        let version = self.to_patch(&one, &key).await?;
        let is_stored = !self.overlay.touches(&key);
        let precondition = match one.precondition()? {
            // What was patched must still be there when the patched is written.
            Precondition::None | Precondition::Exists if is_stored => {
                Precondition::VersionIs(version.sequence)
            }
            stated => stated,
        };
        let patched = one.patch()?.apply(&version);
        let text = match patched.map_err(|refusal| one.at("resource", refusal))? {
            Patched::Text(text) => Bytes::from(text),
            Patched::Same => {
                let version = is_stored.then_some(version);
                return Ok(Draft::Done(Step::Kept(key, version)));
            }
        };
        let body = self.around.intake.check(Some(key.resource_type()), &text);
        let body = body.map_err(|refusal| one.at("resource", refusal))?;
        Ok(Draft::Put(Put {
            key,
            text,
            body,
            precondition,
            finding,
        }))
    }

    /// What a patch changes: what the transaction has made of it, or what the store holds.
    async fn to_patch(&self, one: &One<'_>, key: &ResourceKey) -> Result<Version, Undecided> {
        let nothing = || one.at("request.url", BundleRefusal::NothingToPatch);
        if let Some(made) = self.overlay.get(key) {
            return Ok(made.ok_or_else(nothing)?);
        }
        let current = self.around.log.current(key).await?;
        let living = current.filter(|version| version.status.interaction() != Interaction::Delete);
        Ok(living.ok_or_else(nothing)?)
    }

    /// Takes note of what an entry makes of the store, and of what it is called.
    fn take(&mut self, entry: &Entry, draft: &Draft) {
        let key = match draft {
            Draft::Put(put) => {
                self.overlay.put(&put.key, &put.text, intake::tokens(&put.body));
                &put.key
            }
            Draft::Delete(write) => {
                self.overlay.delete(&write.key);
                return;
            }
            Draft::Done(Step::Kept(key, _)) => key,
            Draft::Done(_) => return,
        };
        if let Some(full_url) = &entry.full_url {
            self.named.insert(full_url.clone(), key.to_string());
        }
    }

    async fn finish(self, entries: &[Entry], drafts: Vec<Draft>) -> Result<Decided, Undecided> {
        let mut resolver = resolve::Resolver::new(self.around, &self.overlay, &self.named);
        let mut decided = Decided {
            writes: Vec::new(),
            entry_of: Vec::new(),
            steps: Vec::with_capacity(drafts.len()),
        };
        for (index, (draft, entry)) in drafts.into_iter().zip(entries).enumerate() {
            if index % ENTRIES_A_TURN == ENTRIES_A_TURN - 1 {
                tokio::task::yield_now().await;
            }
            let write = match draft {
                Draft::Done(step) => {
                    decided.steps.push(step);
                    continue;
                }
                Draft::Delete(write) => write,
                Draft::Put(put) => {
                    let full_url = entry.full_url.as_deref();
                    let resolved = resolver.resolve(index, full_url, &put.text).await?;
                    self.write(index, put, resolved)?
                }
            };
            decided.steps.push(Step::Write(decided.writes.len()));
            decided.writes.push(write);
            decided.entry_of.push(index);
        }
        Ok(decided)
    }

    fn write(&self, index: usize, put: Put, resolved: Option<String>) -> Result<Write, At> {
        let at = |refusal: intake::Refusal| At::entry(index, "resource", refusal);
        let body = match resolved {
            Some(text) => {
                Body::parse(&created_at::strip(text.as_bytes())).map_err(|error| at(error.into()))?
            }
            None => put.body,
        };
        let write = self.around.intake.update(put.key.id(), body, put.precondition);
        let mut write = write.map_err(at)?;
        write.finding = put.finding;
        Ok(write)
    }

    /// The one resource that a condition names, if there is one.
    async fn find(
        &mut self,
        one: &One<'_>,
        element: &'static str,
        name: &str,
        query: &str,
    ) -> Result<Found, Undecided> {
        intake::known_type(name).map_err(|refusal| one.at(element, refusal))?;
        let found = find(self.around, &self.overlay, name, query).await?;
        let found = found.map_err(|refusal| one.at(element, refusal))?;
        match found.is_several {
            true => Err(one.at(element, BundleRefusal::Several).into()),
            false => Ok(found),
        }
    }
}

/// Refuses what cannot be undone, and what is never done to a destination.
fn refuse_unsuited(method: Method, address: &Address) -> Result<(), BundleRefusal> {
    match (method, address) {
        (Method::Get, Address::Operation) | (_, Address::Operation) => Err(BundleRefusal::NotInTransaction),
        (Method::Get, _) => Ok(()),
        (_, Address::Type(name) | Address::Search(name, _) | Address::Instance(name, _))
            if name == DESTINATION =>
        {
            match method {
                Method::Put | Method::Patch => Err(BundleRefusal::Fixed),
                _ => Err(BundleRefusal::NotInTransaction),
            }
        }
        _ => Ok(()),
    }
}

/// An entry that is being decided.
struct One<'e> {
    index: usize,
    entry: &'e Entry,
    request: &'e Request,
}

impl One<'_> {
    fn at(&self, element: &str, refusal: impl Into<BundleRefusal>) -> At {
        At::entry(self.index, element, refusal)
    }

    fn key(&self, name: &str, id: &str) -> Result<ResourceKey, At> {
        intake::key(name, id).map_err(|refusal| self.at("request.url", refusal))
    }

    /// The resource, its text and its body.
    fn checked(&self, intake: &Intake, name: &str) -> Result<(Bytes, Body), At> {
        intake::known_type(name).map_err(|refusal| self.at("request.url", refusal))?;
        let text = self.resource()?;
        let body = intake.check(Some(name), text);
        let body = body.map_err(|refusal| self.at("resource", refusal))?;
        Ok((text.clone(), body))
    }

    fn resource(&self) -> Result<&Bytes, At> {
        let resource = self.entry.resource.as_ref();
        resource.ok_or_else(|| self.at("resource", BundleRefusal::Missing("resource")))
    }

    fn precondition(&self) -> Result<Precondition, At> {
        if let Some(value) = &self.request.if_match {
            let refused = || self.at("request.ifMatch", BundleRefusal::Version("ifMatch"));
            return intake::if_match(value).ok_or_else(refused);
        }
        match &self.request.if_none_match {
            Some(value) => intake::if_none_match(value)
                .ok_or_else(|| self.at("request.ifNoneMatch", BundleRefusal::Version("ifNoneMatch"))),
            None => Ok(Precondition::None),
        }
    }

    fn patch(&self) -> Result<Patch, At> {
        let refused = |refusal: BundleRefusal| self.at("resource", refusal);
        let (media_type, text) =
            super::patch_of(self.resource()?).ok_or_else(|| refused(BundleRefusal::PatchKind))?;
        let kind = PatchKind::of(&media_type, &text).ok_or_else(|| refused(BundleRefusal::PatchKind))?;
        kind.read(&text).map_err(|refusal| refused(refusal.into()))
    }
}

/// Whether a write that was decided here was refused because others wrote meanwhile, so that deciding again helps.
pub fn is_outrun(write: &Write, entry: &Entry, refused: Refused) -> bool {
    match refused {
        Refused::FoundOther => true,
        Refused::Crowded => false,
        Refused::Exists(_) => write.finding.is_some(),
        // The version was the client's to state, or was put there by a patch.
        Refused::OtherVersion(_) | Refused::Absent => {
            let request = entry.request.as_ref();
            request.is_some_and(|request| request.method == "PATCH" && request.if_match.is_none())
                && matches!(write.action, Action::Put(_))
        }
    }
}
