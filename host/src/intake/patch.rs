//! Changing a resource by a patch: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7396) and FHIRPath Patch.
//!
//! A patch is applied to the resource as it is answered, so that its places are those that the client has seen.
//! Numbers go through it as text (`numbers`): a decimal that the patch does not touch keeps its digits. Whether
//! what comes out is still a good resource is asked afterwards, of [`Intake::check`](super::Intake::check).

use json_patch::jsonptr::Pointer;
use json_patch::{PatchErrorKind, PatchOperation};
use lakefeed_view::json::{self, JsonError};
use serde::Deserialize;
use serde_json::Value;

use crate::change::Version;

use super::created_at;

mod fhirpath;
mod numbers;

pub use fhirpath::Fault;

/// The most operations of one JSON Patch or FHIRPath patch.
pub const MAX_OPERATIONS: usize = 1000;
/// What a JSON Patch may copy of any resource; of a longer one it may copy as much as there is.
const MIN_COPIED_BYTES: usize = 64 * 1024;

/// The kinds of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// FHIR's own: Parameters that name places by FHIRPath.
    FhirPath,
}

impl PatchKind {
    /// What the media type says, or the form where that says only JSON: a list is a JSON Patch, Parameters are a
    /// FHIRPath patch, any other object is a merge patch. None for a media type that no patch has.
    pub fn of(media_type: &str, text: &[u8]) -> Option<Self> {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/json" | "application/fhir+json" | "application/json+fhir" => Some(Self::guess(text)),
            _ => None,
        }
    }

    fn guess(text: &[u8]) -> Self {
        match text.trim_ascii_start().starts_with(b"{") {
            true if is_parameters(text) => Self::FhirPath,
            true => Self::Merge,
            false => Self::Json,
        }
    }

    /// Reads a patch of this kind.
    pub fn read(self, text: &[u8]) -> Result<Patch, PatchRefusal> {
        match self {
            Self::Json => Patch::json(text),
            Self::Merge => Patch::merge(text),
            Self::FhirPath => Patch::fhirpath(text),
        }
    }
}

fn is_parameters(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        resource_type: Option<String>,
    }
    let typed = serde_json::from_slice::<Typed>(text);
    typed.is_ok_and(|typed| typed.resource_type.as_deref() == Some("Parameters"))
}

/// A patch that was read and can be applied any number of times.
#[derive(Clone, Debug)]
pub struct Patch(Read);

#[derive(Clone, Debug)]
enum Read {
    Json(Vec<PatchOperation>),
    Merge(Value),
    FhirPath(Vec<fhirpath::Operation>),
}

/// What a patch makes of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patched {
    /// It says what the resource says already.
    Same,
    /// The resource's new text, not checked yet.
    Text(Vec<u8>),
}

/// Why a patch is none, or cannot be applied. Says which operation, never what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchRefusal {
    /// PATCH-001. The patch is not JSON of the strict kind.
    #[error("the patch is not acceptable JSON: {0} [PATCH-001]")]
    Json(#[from] JsonError),
    /// PATCH-002. A JSON Patch is a list of operations. For an object use `application/merge-patch+json`.
    #[error(
        "a JSON Patch is an array of operations; send an object as `application/merge-patch+json` [PATCH-002]"
    )]
    NotAList,
    /// PATCH-003. An operation lacks something, or there is none of this name.
    #[error(
        "operation {index} is none: it has `op` (add, remove, replace, move, copy or test), `path`, and what that `op` takes besides: `value` or `from` [PATCH-003]"
    )]
    Operation {
        /// Which, from 0.
        index: usize,
    },
    /// PATCH-004. A patch has too many operations. Send several patches, or the resource by PUT.
    #[error("a patch may have {MAX_OPERATIONS} operations; send several, or PUT the resource [PATCH-004]")]
    TooMany,
    /// PATCH-005. A merge patch is an object.
    #[error("a merge patch is an object [PATCH-005]")]
    NotAnObject,
    /// PATCH-006. An operation names a place that the resource has not.
    #[error("operation {index} names a place that the resource has not [PATCH-006]")]
    Place {
        /// Which, from 0.
        index: usize,
    },
    /// PATCH-007. A `test` operation found another value. Nothing was changed.
    #[error(
        "operation {index} tests for another value than the resource has; nothing was changed [PATCH-007]"
    )]
    Test {
        /// Which, from 0.
        index: usize,
    },
    /// PATCH-008. The type, the id and what `meta` says of the version are the server's.
    #[error("a patch cannot change `{0}` [PATCH-008]")]
    Fixed(&'static str),
    /// PATCH-009. An operation makes the resource too large or too deep.
    #[error("operation {index} makes the resource too large or too deep [PATCH-009]")]
    TooLarge {
        /// Which, from 0.
        index: usize,
    },
    /// An operation of a FHIRPath patch is none, or does not fit the resource. Each fault has a code of its own.
    #[error("operation {index}: {fault}")]
    FhirPath {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        fault: Fault,
    },
}

impl PatchRefusal {
    /// Whether the patch itself is wrong, whatever it is applied to.
    pub fn is_of_the_patch(&self) -> bool {
        match self {
            Self::Json(_) | Self::NotAList | Self::Operation { .. } | Self::TooMany | Self::NotAnObject => {
                true
            }
            Self::FhirPath { fault, .. } => fault.is_of_the_patch(),
            Self::Place { .. } | Self::Test { .. } | Self::Fixed(_) | Self::TooLarge { .. } => false,
        }
    }
}

impl Patch {
    /// Reads a JSON Patch.
    pub fn json(text: &[u8]) -> Result<Self, PatchRefusal> {
        let Value::Array(list) = parse(text)? else {
            return Err(PatchRefusal::NotAList);
        };
        if list.len() > MAX_OPERATIONS {
            return Err(PatchRefusal::TooMany);
        }
        let read = |(index, operation)| {
            serde_json::from_value(operation).map_err(|_| PatchRefusal::Operation { index })
        };
        let operations: Result<_, _> = list.into_iter().enumerate().map(read).collect();
        Ok(Self(Read::Json(operations?)))
    }

    /// Reads a merge patch.
    pub fn merge(text: &[u8]) -> Result<Self, PatchRefusal> {
        match parse(text)? {
            object @ Value::Object(_) => Ok(Self(Read::Merge(object))),
            _ => Err(PatchRefusal::NotAnObject),
        }
    }

    /// Reads a FHIRPath patch.
    pub fn fhirpath(text: &[u8]) -> Result<Self, PatchRefusal> {
        Ok(Self(Read::FhirPath(fhirpath::read(parse(text)?)?)))
    }

    /// Applies the patch to a version. The trees that this makes are many times as large as the texts of the version
    /// and the patch, so callers bound how many of them they make at once; copies at most double the resource.
    pub fn apply(&self, version: &Version) -> Result<Patched, PatchRefusal> {
        let answered = created_at::inject(&version.resource, version.created_at);
        let before: Value = numbers::parse(&answered).map_err(|_| PatchRefusal::NotAnObject)?;
        let mut after = before.clone();
        let copied = answered.len().max(MIN_COPIED_BYTES);
        match &self.0 {
            Read::Json(operations) => apply(operations, &mut after, copied)?,
            Read::Merge(patch) => json_patch::merge(&mut after, patch),
            Read::FhirPath(operations) => fhirpath::apply(operations, &mut after)?,
        }
        check_fixed(&before, &after)?;
        let text = numbers::write(&after);
        match content(before) == content(after) {
            true => Ok(Patched::Same),
            false => Ok(Patched::Text(text)),
        }
    }
}

fn parse(text: &[u8]) -> Result<Value, PatchRefusal> {
    json::check_value(text, json::Limits::default())?;
    numbers::parse(text).map_err(|_| PatchRefusal::NotAnObject)
}

fn apply(operations: &[PatchOperation], resource: &mut Value, mut left: usize) -> Result<(), PatchRefusal> {
    for (index, operation) in operations.iter().enumerate() {
        if !fits(operation, resource, &mut left) {
            return Err(PatchRefusal::TooLarge { index });
        }
        match operation {
            PatchOperation::Test(test) => {
                let held = resource.pointer(test.path.as_str());
                let held = held.ok_or(PatchRefusal::Place { index })?;
                if !numbers::is_same(held, &test.value) {
                    return Err(PatchRefusal::Test { index });
                }
            }
            operation => json_patch::patch_unsafe(resource, std::slice::from_ref(operation))
                .map_err(|error| refused(index, &error.kind))?,
        }
    }
    Ok(())
}

fn refused(index: usize, kind: &PatchErrorKind) -> PatchRefusal {
    match kind {
        PatchErrorKind::TestFailed => PatchRefusal::Test { index },
        _ => PatchRefusal::Place { index },
    }
}

/// Whether an operation leaves the resource within its bounds: copies of copies would double it each time, and
/// what is moved into itself would nest without end.
fn fits(operation: &PatchOperation, resource: &Value, left: &mut usize) -> bool {
    let taken = |from: &Pointer| resource.pointer(from.as_str());
    let (path, value) = match operation {
        PatchOperation::Add(add) => (&add.path, Some(&add.value)),
        PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value)),
        PatchOperation::Move(moved) => (&moved.path, taken(&moved.from)),
        PatchOperation::Copy(copy) => (&copy.path, taken(&copy.from)),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return true,
    };
    let (bytes, depth) = value.map_or((0, 0), measure);
    if matches!(operation, PatchOperation::Copy(_)) {
        let Some(rest) = left.checked_sub(bytes) else {
            return false;
        };
        *left = rest;
    }
    path.tokens().count() + depth <= json::Limits::default().max_depth
}

/// About how many bytes a value's text has, and how deep it is.
fn measure(value: &Value) -> (usize, usize) {
    let inside = |(bytes, depth): (usize, usize), value: &Value| {
        let (more, deeper) = measure(value);
        (bytes + more + 1, depth.max(deeper))
    };
    match value {
        Value::Array(list) => {
            let (bytes, depth) = list.iter().fold((2, 0), inside);
            (bytes, depth + 1)
        }
        Value::Object(members) => {
            let keys: usize = members.keys().map(|key| key.len() + 3).sum();
            let (bytes, depth) = members.values().fold((2 + keys, 0), inside);
            (bytes, depth + 1)
        }
        Value::String(text) => (text.len() + 2, 0),
        _ => (5, 0),
    }
}

fn check_fixed(before: &Value, after: &Value) -> Result<(), PatchRefusal> {
    for name in ["resourceType", "id"] {
        if before.get(name) != after.get(name) {
            return Err(PatchRefusal::Fixed(name));
        }
    }
    for (name, pointer) in [
        ("meta.versionId", "/meta/versionId"),
        ("meta.lastUpdated", "/meta/lastUpdated"),
    ] {
        // What is left out gets its value again when it is stored.
        let is_changed = after
            .pointer(pointer)
            .is_some_and(|stated| before.pointer(pointer) != Some(stated));
        if is_changed {
            return Err(PatchRefusal::Fixed(name));
        }
    }
    Ok(())
}

/// A resource without what the server adds to it.
fn content(mut resource: Value) -> Value {
    let Some(members) = resource.as_object_mut() else {
        return resource;
    };
    if let Some(meta) = members.get_mut("meta").and_then(Value::as_object_mut) {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        if let Some(extensions) = meta.get_mut("extension").and_then(Value::as_array_mut) {
            extensions.retain(|extension| extension["url"] != created_at::URL);
            if extensions.is_empty() {
                meta.remove("extension");
            }
        }
        if meta.is_empty() {
            members.remove("meta");
        }
    }
    resource
}

#[cfg(test)]
mod tests;
