//! [`Issue`]: what is wrong with a definition, said where.
//!
//! A topic, view or destination that is refused is answered with all its issues at once; `http` makes an
//! OperationOutcome of them and `lakefeed check` lines of text.

use std::fmt;

use serde::Serialize;

/// The kind of an issue, by FHIR's IssueType codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueCode {
    /// Something that must be there is not.
    Required,
    /// A value that does not fit.
    Value,
    /// The JSON has another shape than the definition's.
    Structure,
    /// Something that is referred to does not exist.
    NotFound,
    /// Something that exists stands in the way.
    Conflict,
    /// Right, but not built or not installed.
    NotSupported,
    /// Right by itself, but not together with the rest.
    BusinessRule,
    /// Not allowed by `[access]`.
    Security,
    /// A remote system refused or failed.
    Transient,
}

impl IssueCode {
    /// FHIR's code, such as `not-found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Value => "value",
            Self::Structure => "structure",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::NotSupported => "not-supported",
            Self::BusinessRule => "business-rule",
            Self::Security => "security",
            Self::Transient => "transient",
        }
    }
}

/// One thing that is wrong: where, what, and what to do. Holds no patient data and no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// The kind.
    pub code: IssueCode,
    /// The element, as a path into the definition: `AidboxTopicDestination.parameter[2].value`.
    pub expression: String,
    /// What is wrong and what to do.
    pub diagnostics: String,
}

impl Issue {
    /// An issue at a place.
    pub fn new(code: IssueCode, expression: impl Into<String>, diagnostics: impl Into<String>) -> Self {
        Self {
            code,
            expression: expression.into(),
            diagnostics: diagnostics.into(),
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.expression, self.diagnostics)
    }
}

/// `, did you mean …` for a name that is not among the known ones, or nothing when none is near.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_near_gets_a_suggestion_and_one_that_is_far_gets_none() {
        let known = ["batchSize", "sendIntervalMs"];
        assert_eq!(suggestion("batchsise", known), "; did you mean `batchSize`?");
        assert_eq!(suggestion("frequency", known), "");
    }
}
