//! How changes enter: a client's text is checked and becomes a [`Write`] for the log.
//!
//! There is one function an interaction ([`Intake::create`], [`Intake::update`], [`Intake::delete`]); each is
//! pure but for asking the topics' matcher, so that several writes can be gathered into one transaction.
//! [`ndjson`] reads whole files. What a ViewDefinition or a destination means is not known here; nor is HTTP:
//! a refusal says what is wrong, the caller gives it a status.

use std::sync::Arc;

use lakefeed_view::{json, r4};
use uuid::Uuid;

use crate::change::{Body, ResourceKey};
use crate::log::{Action, Matcher, Precondition, Write};

pub mod created_at;
pub mod identifier;
pub mod ndjson;
mod precondition;
mod refusal;

pub use precondition::{if_match, if_none_match};
pub use refusal::Refusal;

/// The types that exist beside FHIR R4's: what this host is set up with.
pub const OWN_TYPES: [&str; 3] = [
    "AidboxSubscriptionTopic",
    "AidboxTopicDestination",
    "ViewDefinition",
];

/// Turns requests into writes.
#[derive(Clone)]
pub struct Intake {
    matcher: Arc<dyn Fn() -> Matcher + Send + Sync>,
    max_resource_bytes: usize,
}

impl Intake {
    /// An intake whose writes ask the matcher that `matcher` gives at the time of the write, and that refuses
    /// resources of more than `max_resource_bytes`.
    pub fn new(matcher: Arc<dyn Fn() -> Matcher + Send + Sync>, max_resource_bytes: usize) -> Self {
        Self {
            matcher,
            max_resource_bytes,
        }
    }

    /// The most bytes that one resource may have.
    pub fn max_resource_bytes(&self) -> usize {
        self.max_resource_bytes
    }

    /// Checks a resource's text: its size, the strict JSON grammar, its type, and the form of its id when it
    /// has one. `resource_type` is the type that the request names, if it names one.
    pub fn check(&self, resource_type: Option<&str>, text: &[u8]) -> Result<Body, Refusal> {
        if text.len() > self.max_resource_bytes {
            return Err(Refusal::TooLarge {
                limit: self.max_resource_bytes,
            });
        }
        json::check_resource(text, json::Limits::default())?;
        let body = Body::parse(&created_at::strip(text))?;
        check_body_type(resource_type, &body)?;
        match body.id() {
            Some(id) if !ResourceKey::is_id(id) => Err(Refusal::Id {
                resource_type: body.resource_type().to_owned(),
            }),
            _ => Ok(body),
        }
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
        let key = match id.or(body.id()) {
            Some(id) => key(body.resource_type(), id)?,
            None => key(body.resource_type(), &Uuid::new_v4().to_string())?,
        };
        Ok(Write {
            key,
            precondition,
            tokens: identifier::tokens(&body),
            action: Action::Put(Arc::new(body)),
            matcher: (self.matcher)(),
            source: None,
            finding: None,
        })
    }
}

/// The key of a type that is known and an id of FHIR's form.
pub fn key(resource_type: &str, id: &str) -> Result<ResourceKey, Refusal> {
    known_type(resource_type)?;
    ResourceKey::new(resource_type, id).map_err(|_| Refusal::Id {
        resource_type: resource_type.to_owned(),
    })
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

/// Whether a type can be stored.
pub fn is_known_type(resource_type: &str) -> bool {
    OWN_TYPES.contains(&resource_type) || r4::is_resource_type(resource_type)
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
