//! What is wrong with a resource, and where.

use std::fmt;

/// What is wrong at a place. It quotes no value, and no key that could be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The type has no such element.
    #[error("`{owner}` has no such element{remedy}")]
    UnknownElement {
        /// The type that the object is of.
        owner: &'static str,
        /// What was probably meant, or why it is not there; perhaps empty.
        remedy: String,
    },
    /// An element that must be there is not.
    #[error("must be there and is missing")]
    Missing,
    /// An element that may be there once is written as an array.
    #[error("may be there once: write the value alone, not an array")]
    Array,
    /// An element that may repeat is written without an array.
    #[error("may repeat: write an array, also of one")]
    NoArray,
    /// The JSON value is of another sort than the type has.
    #[error("{found} stands where `{wanted}` is wanted: {how}")]
    Sort {
        /// What the text has.
        found: &'static str,
        /// The type of the element.
        wanted: &'static str,
        /// What to write.
        how: &'static str,
    },
    /// A primitive's text has not the form of its type.
    #[error("not a FHIR {wanted}: {how}")]
    Form {
        /// The type of the element.
        wanted: &'static str,
        /// What to write.
        how: &'static str,
    },
    /// An object, array or string that holds nothing.
    #[error("{found} is not allowed: leave the element out")]
    Empty {
        /// What the text has.
        found: &'static str,
    },
    /// A null that stands for nothing.
    #[error(
        "null stands only in an array of primitives whose other array, the one with or without `_`, has something there"
    )]
    Null,
    /// A choice element has two types at once.
    #[error("is there with two types: keep one of them")]
    TwoTypes,
    /// A resource inside the resource does not say its type.
    #[error("a resource needs `resourceType`, a string")]
    NoResourceType,
    /// A resource inside the resource is of a type that does not exist.
    #[error("there is no such resource type{remedy}")]
    UnknownType {
        /// What was probably meant; perhaps empty.
        remedy: String,
    },
}

impl Fault {
    /// The stable code of this fault.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::UnknownElement { .. } => "R4-001",
            Fault::Missing => "R4-002",
            Fault::Array => "R4-003",
            Fault::NoArray => "R4-004",
            Fault::Sort { .. } => "R4-005",
            Fault::Form { .. } => "R4-006",
            Fault::Empty { .. } => "R4-007",
            Fault::Null => "R4-008",
            Fault::TwoTypes => "R4-009",
            Fault::NoResourceType => "R4-010",
            Fault::UnknownType { .. } => "R4-011",
        }
    }

    /// The kind by FHIR's IssueType codes: `required`, `value` or `structure`.
    pub fn issue_type(&self) -> &'static str {
        match self {
            Fault::Missing | Fault::NoResourceType => "required",
            Fault::Form { .. } | Fault::UnknownType { .. } => "value",
            _ => "structure",
        }
    }
}

/// One thing that is wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// What is wrong.
    pub fault: Fault,
    /// The element, as a FHIRPath: `Patient.name[0].given[1]`, `Observation.value.ofType(Quantity).value`. A key that
    /// cannot be the name of an element is written `?`.
    pub expression: String,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {} [{}]", self.expression, self.fault, self.fault.code())
    }
}
