//! Why a Bundle, or one of its entries, is not done.

use lakefeed_view::json::JsonError;

use crate::intake::Refusal;
use crate::intake::criteria::CriteriaError;
use crate::intake::patch::PatchRefusal;

/// What is wrong with a Bundle or an entry of it. Says what and what to do, never a value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BundleRefusal {
    /// INTAKE-030. The text is not JSON of the strict kind.
    #[error("the bundle is not acceptable JSON: {0} [INTAKE-030]")]
    Json(JsonError),
    /// INTAKE-031. The text is JSON but no Bundle.
    #[error("not a Bundle: `resourceType` is `Bundle`, `entry` is a list [INTAKE-031]")]
    NotABundle,
    /// INTAKE-032. There are too many entries. Split it, or raise `[http] max_bundle_entries`.
    #[error("a bundle may have {limit} entries; split it [INTAKE-032]")]
    TooManyEntries {
        /// The most there may be.
        limit: usize,
    },
    /// INTAKE-033. The entry is not built as one.
    #[error("an entry is an object with `fullUrl`, `resource` and `request` [INTAKE-033]")]
    Structure,
    /// INTAKE-034. The Bundle is of a type that asks for nothing.
    #[error(
        "a bundle of this type asks for nothing; send a `transaction`, a `batch` or a `collection` [INTAKE-034]"
    )]
    Kind,
    /// INTAKE-035. The entry lacks what it must have.
    #[error("an entry of this kind must have `{0}` [INTAKE-035]")]
    Missing(&'static str),
    /// INTAKE-036. There is no such method.
    #[error("`request.method` is GET, HEAD, POST, PUT, PATCH or DELETE [INTAKE-036]")]
    Method,
    /// INTAKE-037. The address is no address of this server, or not one for the method.
    #[error("`request.url` does not name what `{method}` works on; write {form} [INTAKE-037]")]
    Url {
        /// The method.
        method: &'static str,
        /// What to write.
        form: &'static str,
    },
    /// INTAKE-038. A condition is not one that a single resource can be found by.
    #[error("a condition is one `identifier=system|value`, or `_id=…`; this one is not [INTAKE-038]")]
    Criteria,
    /// A condition cannot be read.
    #[error(transparent)]
    Query(#[from] CriteriaError),
    /// INTAKE-039. Several resources meet the condition.
    #[error("several resources meet the condition; it must name one [INTAKE-039]")]
    Several,
    /// INTAKE-040. No resource meets the condition of a reference.
    #[error("no resource meets the condition of the reference [INTAKE-040]")]
    NoTarget,
    /// INTAKE-041. A version condition cannot be read.
    #[error("`{0}` is one version, as `W/\"7\"`, or `*` [INTAKE-041]")]
    Version(&'static str),
    /// INTAKE-042. What is asked for cannot be undone, so it cannot be part of a transaction.
    #[error("this cannot be undone and so is not part of a transaction; send it in a `batch` [INTAKE-042]")]
    NotInTransaction,
    /// INTAKE-043. A destination is not changed once it is made.
    #[error("a destination is not changed: delete it and make another [INTAKE-043]")]
    Fixed,
    /// INTAKE-044. There is nothing to patch.
    #[error("there is no such resource to patch [INTAKE-044]")]
    NothingToPatch,
    /// INTAKE-045. The patch is of another kind than those that are taken.
    #[error(
        "a patch is a JSON Patch, an object to be merged, a FHIRPath patch as Parameters, or a Binary with one of them [INTAKE-045]"
    )]
    PatchKind,
    /// The patch is none, or cannot be applied.
    #[error(transparent)]
    Patch(#[from] PatchRefusal),
    /// INTAKE-046. The Bundle is no notification: its first entry is no status.
    #[error(
        "not a notification: a `history` or `subscription-notification` whose first entry is a status [INTAKE-046]"
    )]
    NoStatus,
    /// INTAKE-047. The resource has another id than its address.
    #[error("the resource's `id` is not that of the address [INTAKE-047]")]
    OtherId,
    /// The resource is refused.
    #[error(transparent)]
    Resource(#[from] Refusal),
}

impl BundleRefusal {
    /// The stable code; empty where the reason has one of its own.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "INTAKE-030",
            Self::NotABundle => "INTAKE-031",
            Self::TooManyEntries { .. } => "INTAKE-032",
            Self::Structure => "INTAKE-033",
            Self::Kind => "INTAKE-034",
            Self::Missing(_) => "INTAKE-035",
            Self::Method => "INTAKE-036",
            Self::Url { .. } => "INTAKE-037",
            Self::Criteria => "INTAKE-038",
            Self::Several => "INTAKE-039",
            Self::NoTarget => "INTAKE-040",
            Self::Version(_) => "INTAKE-041",
            Self::NotInTransaction => "INTAKE-042",
            Self::Fixed => "INTAKE-043",
            Self::NothingToPatch => "INTAKE-044",
            Self::PatchKind => "INTAKE-045",
            Self::NoStatus => "INTAKE-046",
            Self::OtherId => "INTAKE-047",
            Self::Query(_) | Self::Patch(_) | Self::Resource(_) => "",
        }
    }
}

/// A refusal and where it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{refusal}")]
pub struct At {
    /// Which entry, from 0; none for the Bundle.
    pub entry: Option<usize>,
    /// The element below the entry, such as `request.url`; empty for the entry itself.
    pub element: String,
    /// What is wrong.
    pub refusal: BundleRefusal,
}

impl At {
    /// A refusal of the Bundle as a whole.
    pub(in crate::intake) fn bundle(refusal: BundleRefusal) -> Self {
        Self {
            entry: None,
            element: String::new(),
            refusal,
        }
    }

    /// A refusal of a resource that came without a Bundle.
    pub(in crate::intake) fn alone(refusal: BundleRefusal) -> Self {
        Self {
            entry: None,
            element: "Resource".to_owned(),
            refusal,
        }
    }

    /// A Bundle of a type that asks for nothing.
    pub fn of_kind() -> Self {
        Self::bundle(BundleRefusal::Kind)
    }

    /// A refusal of an entry, or of an element below it.
    pub fn entry(index: usize, element: impl Into<String>, refusal: impl Into<BundleRefusal>) -> Self {
        Self {
            entry: Some(index),
            element: element.into(),
            refusal: refusal.into(),
        }
    }

    /// The element that is wrong, as a FHIRPath.
    pub fn expression(&self) -> String {
        if let BundleRefusal::Json(error) = &self.refusal {
            return error.path.clone();
        }
        match (self.entry, self.element.as_str()) {
            (None, "") => "Bundle".to_owned(),
            (None, element) => element.to_owned(),
            (Some(index), "") => format!("Bundle.entry[{index}]"),
            (Some(index), element) => format!("Bundle.entry[{index}].{element}"),
        }
    }
}
