//! Why a text does not become a write.

use lakefeed_view::json::JsonError;
use lakefeed_view::r4::check::Issue;

use crate::change::BodyError;

/// Why intake refused a resource. Says where and what, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// INTAKE-001. The resource is larger than the host takes. Split it, or raise `[http] max_body_bytes`.
    #[error("the resource has more than {limit} bytes, which is the limit [INTAKE-001]")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// INTAKE-002. The text is not JSON of the strict kind: broken, too deep, a member twice, `\u0000`, not UTF-8.
    #[error("the resource is not acceptable JSON: {0} [INTAKE-002]")]
    Json(#[from] JsonError),
    /// INTAKE-003. The text is JSON but not a resource.
    #[error("the JSON is not a resource: {0} [INTAKE-003]")]
    Body(#[from] BodyError),
    /// INTAKE-004. Neither FHIR R4 nor this host has such a type.
    #[error("there is no such resource type{} [INTAKE-004]", suggest(*.nearest))]
    UnknownType {
        /// The type that was probably meant.
        nearest: Option<&'static str>,
    },
    /// INTAKE-005. The resource is of another type than the request.
    #[error("`resourceType` is not `{wanted}`, which the request names [INTAKE-005]")]
    OtherType {
        /// The type that the request names.
        wanted: String,
    },
    /// INTAKE-006. The id has not the form of a FHIR id.
    #[error("an id is 1 to 64 letters, digits, `-` and `.`; this one is not [INTAKE-006]")]
    Id {
        /// The type of the resource, for the path to the element.
        resource_type: String,
    },
    /// INTAKE-007. The line holds a topic, a view or a destination; they are checked as a whole and so cannot be
    /// imported with the data. POST them.
    #[error("a definition cannot be imported with the data; POST it [INTAKE-007]")]
    Definition,
    /// INTAKE-011. The line's resource has no id, so that loading it again would make another.
    #[error("the resource has no `id`, which what is loaded must have [INTAKE-011]")]
    NoId,
    /// INTAKE-010. The resource is not what FHIR R4 says of its type: each issue names the element and what to write.
    /// Mend it at its source; `lakefeed import --accept-invalid` and `[http] invalid_resources = "report"` take it as
    /// it is.
    #[error("the resource is not valid FHIR R4: {}{} [INTAKE-010]", first(.0), more(.0))]
    Invalid(Vec<Issue>),
}

impl Refusal {
    /// The element that is wrong, as a FHIRPath.
    pub fn expression(&self) -> Option<String> {
        match self {
            Self::Id { resource_type } => Some(format!("{resource_type}.id")),
            Self::OtherType { wanted } => Some(format!("{wanted}.resourceType")),
            Self::UnknownType { .. } | Self::Body(BodyError::ResourceType) => {
                Some("Resource.resourceType".to_owned())
            }
            Self::Json(error) => Some(error.path.clone()),
            Self::Invalid(issues) => issues.first().map(|issue| issue.expression.clone()),
            Self::Body(BodyError::Member(member)) => Some(format!("Resource.{member}")),
            _ => None,
        }
    }
}

fn first(issues: &[Issue]) -> String {
    issues.first().map(ToString::to_string).unwrap_or_default()
}

fn more(issues: &[Issue]) -> String {
    match issues.len() {
        0 | 1 => String::new(),
        all => format!(", and {} more", all - 1),
    }
}

fn suggest(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`"))
}
