//! How changes enter: a client's text is checked and becomes a [`Write`] for the log.
//!
//! There is one function an interaction ([`Intake::create`], [`Intake::update`], [`Intake::delete`]); each is
//! pure but for asking the topics' matcher, so that several writes can be gathered into one transaction.
//! [`patch`] changes a resource's text, [`criteria`] say which resource a conditional request means, and
//! [`ndjson`] reads whole files. What a ViewDefinition or a destination means is not known here; nor is HTTP:
//! a refusal says what is wrong, the caller gives it a status.

use std::sync::Arc;

use lakefeed_view::json::{self, Limits, top_level_members};
use lakefeed_view::r4;
use lakefeed_view::r4::check::{Issue, Unfit, check_resource};
use uuid::Uuid;

use crate::change::{Body, BodyError, Matched, ResourceKey};
use crate::log::{Action, Matcher, Precondition, Write};

pub mod bundle;
pub mod created_at;
pub mod criteria;
pub mod feed;
pub mod identifier;
pub mod load;
pub mod ndjson;
pub mod patch;
mod precondition;
mod refusal;

use identifier::tokens;
pub use precondition::{if_match, if_none_match};
pub use refusal::Refusal;

/// The types that exist beside FHIR R4's: what this host is set up with.
pub const OWN_TYPES: [&str; 3] = [
    "AidboxSubscriptionTopic",
    "AidboxTopicDestination",
    "ViewDefinition",
];

/// What becomes of a resource that is JSON of a known type, but not what FHIR R4 says of that type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken, and what is wrong with it is reported.
    Report,
}

/// A resource that was checked.
#[derive(Debug)]
pub struct Checked {
    /// The resource.
    pub body: Body,
    /// What R4 says against it; empty unless it was checked with [`OnInvalid::Report`].
    pub issues: Vec<Issue>,
}

/// Turns requests into writes.
#[derive(Clone)]
pub struct Intake {
    matcher: Arc<dyn Fn() -> Matcher + Send + Sync>,
    max_resource_bytes: usize,
    on_invalid: OnInvalid,
}

impl Intake {
    /// An intake whose writes ask the matcher that `matcher` gives at the time of the write, and that refuses
    /// resources of more than `max_resource_bytes`.
    pub fn new(matcher: Arc<dyn Fn() -> Matcher + Send + Sync>, max_resource_bytes: usize) -> Self {
        Self {
            matcher,
            max_resource_bytes,
            on_invalid: OnInvalid::Refuse,
        }
    }

    /// The same intake with another answer to resources that R4 does not allow; [`Intake::new`] refuses them.
    #[must_use]
    pub fn on_invalid(self, on_invalid: OnInvalid) -> Self {
        Self { on_invalid, ..self }
    }

    /// The same intake for changes that no topic is asked about, now or later.
    #[must_use]
    pub fn unasked(&self) -> Self {
        let nobody = Matched {
            // As if all topics that there will ever be had been asked.
            topics_known: i64::MAX.unsigned_abs(),
            topics: Vec::new(),
        };
        let matcher: Matcher = Arc::new(move |_, _, _| nobody.clone());
        Self {
            matcher: Arc::new(move || Arc::clone(&matcher)),
            ..self.clone()
        }
    }

    /// The most bytes that one resource may have.
    pub fn max_resource_bytes(&self) -> usize {
        self.max_resource_bytes
    }

    /// Checks a resource that is to be stored: its size, the strict JSON grammar, its type, the form of its id when
    /// it has one, and its elements against FHIR R4. `resource_type` is the type that the request names, if it names
    /// one. Types of this host ([`OWN_TYPES`]) have checks of their own, elsewhere.
    ///
    /// With [`OnInvalid::Report`] a resource that R4 does not allow is taken, and the host's log says where it is
    /// wrong; who wants to tell the sender uses [`Intake::check_as`].
    pub fn check(&self, resource_type: Option<&str>, text: &[u8]) -> Result<Body, Refusal> {
        let checked = self.check_as(self.on_invalid, resource_type, text)?;
        if let Some(first) = checked.issues.first() {
            let (resource_type, issues) = (checked.body.resource_type(), checked.issues.len());
            tracing::warn!(%resource_type, issues, %first, "a resource is not valid FHIR R4 and is taken all the same");
        }
        Ok(checked.body)
    }

    /// As [`Intake::check`], with an answer of the caller's own to a resource that R4 does not allow: loaders and
    /// feeds may have been told to take what comes. What is wrong otherwise is refused in either case.
    pub fn check_as(
        &self,
        on_invalid: OnInvalid,
        resource_type: Option<&str>,
        text: &[u8],
    ) -> Result<Checked, Refusal> {
        self.check_size(text)?;
        let issues = match check_resource(text, Limits::default(), &OWN_TYPES) {
            Ok(()) => Vec::new(),
            Err(Unfit::R4(issues)) => issues,
            Err(Unfit::Json(error)) => return Err(error.into()),
        };
        let body = match checked_body(resource_type, text) {
            Err(Refusal::Body(BodyError::ResourceType)) => {
                let typed = with_type(resource_type, text).ok_or(BodyError::ResourceType)?;
                return self.check_as(on_invalid, resource_type, &typed);
            }
            checked => checked?,
        };
        if on_invalid == OnInvalid::Refuse && !issues.is_empty() {
            return Err(Refusal::Invalid(issues));
        }
        Ok(Checked { body, issues })
    }

    /// As [`Intake::check`], but without a look at the elements: for what is asked and not stored.
    pub fn check_form(&self, resource_type: Option<&str>, text: &[u8]) -> Result<Body, Refusal> {
        self.check_size(text)?;
        json::check_resource(text, Limits::default())?;
        checked_body(resource_type, text)
    }

    fn check_size(&self, text: &[u8]) -> Result<(), Refusal> {
        let limit = self.max_resource_bytes;
        if text.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        Ok(())
    }

    /// A create: the resource keeps the id that it brings, and gets a new one otherwise. The id must be free.
    pub fn create(&self, body: Body) -> Result<Write, Refusal> {
        self.put(body, None, Precondition::Absent)
    }

    /// An update of the resource with this id, or a create under it; the id in the text is not looked at.
    pub fn update(&self, id: &str, body: Body, precondition: Precondition) -> Result<Write, Refusal> {
        self.put(body, Some(id), precondition)
    }

    /// A delete.
    pub fn delete(&self, key: ResourceKey, precondition: Precondition) -> Write {
        Write {
            key,
            precondition,
            action: Action::Delete,
            matcher: (self.matcher)(),
            source: None,
            tokens: Vec::new(),
            finding: None,
        }
    }

    fn put(&self, body: Body, id: Option<&str>, precondition: Precondition) -> Result<Write, Refusal> {
        let key = match id {
            Some(id) => key(body.resource_type(), id)?,
            None => new_key(&body)?,
        };
        Ok(Write {
            key,
            precondition,
            tokens: tokens(&body),
            action: Action::Put(Arc::new(body)),
            matcher: (self.matcher)(),
            source: None,
            finding: None,
        })
    }
}

/// The resource of a text that passed the grammar, when its type and its id are right.
fn checked_body(resource_type: Option<&str>, text: &[u8]) -> Result<Body, Refusal> {
    let mut body = Body::parse(text)?;
    if body.meta_mentions(created_at::URL) {
        body = Body::parse(&created_at::strip(text))?;
    }
    check_body_type(resource_type, &body)?;
    if let Some(id) = body.id() {
        check_id(body.resource_type(), id)?;
    }
    Ok(body)
}

/// A text that passed the grammar and does not say its type, with the type that the request names, as Aidbox reads it. The
/// type comes last, so that what is said of the text's lines and columns stays right.
fn with_type(resource_type: Option<&str>, text: &[u8]) -> Option<Vec<u8>> {
    let resource_type = resource_type.filter(|name| is_known_type(name))?;
    let inner = text.trim_ascii_end().strip_suffix(b"}")?;
    let mut members = 0;
    for member in top_level_members(text) {
        if member.key() == "resourceType" {
            return None;
        }
        members += 1;
    }
    let comma = if members > 0 { "," } else { "" };
    let mut typed = inner.to_vec();
    typed.extend_from_slice(format!("{comma}\"resourceType\":\"{resource_type}\"}}").as_bytes());
    Some(typed)
}

/// The key under which a resource is made: of the id that it brings, or of a new one.
pub fn new_key(body: &Body) -> Result<ResourceKey, Refusal> {
    match body.id() {
        Some(id) => key(body.resource_type(), id),
        None => key(body.resource_type(), &Uuid::new_v4().to_string()),
    }
}

/// The key of a type that is known and an id of the form that its ids have.
pub fn key(resource_type: &str, id: &str) -> Result<ResourceKey, Refusal> {
    known_type(resource_type)?;
    check_id(resource_type, id)?;
    ResourceKey::new(resource_type, id).map_err(|_| Refusal::Id {
        resource_type: resource_type.to_owned(),
    })
}

/// Refuses an id that a type's resources cannot have: FHIR's have no `_`, those of this host's own types may.
fn check_id(resource_type: &str, id: &str) -> Result<(), Refusal> {
    match ResourceKey::is_id(id) || (is_own_type(resource_type) && ResourceKey::is_definition_id(id)) {
        true => Ok(()),
        false => Err(Refusal::Id {
            resource_type: resource_type.to_owned(),
        }),
    }
}

/// Refuses a type that neither FHIR R4 nor this host has.
pub fn known_type(resource_type: &str) -> Result<(), Refusal> {
    if is_known_type(resource_type) {
        return Ok(());
    }
    Err(Refusal::UnknownType {
        nearest: nearest_type(resource_type),
    })
}

/// Whether a type is one of this host's own.
pub fn is_own_type(resource_type: &str) -> bool {
    OWN_TYPES.contains(&resource_type)
}

/// Whether a type can be stored.
pub fn is_known_type(resource_type: &str) -> bool {
    is_own_type(resource_type) || r4::is_resource_type(resource_type)
}

fn check_body_type(wanted: Option<&str>, body: &Body) -> Result<(), Refusal> {
    match wanted {
        Some(wanted) if wanted != body.resource_type() => Err(Refusal::OtherType {
            wanted: wanted.to_owned(),
        }),
        _ => known_type(body.resource_type()),
    }
}

/// The known type that a wrong one was probably meant to be.
fn nearest_type(wrong: &str) -> Option<&'static str> {
    OWN_TYPES
        .into_iter()
        .find(|name| strsim::damerau_levenshtein(wrong, name) <= 2)
        .or_else(|| r4::nearest_resource_type(wrong))
}

#[cfg(test)]
mod tests;
