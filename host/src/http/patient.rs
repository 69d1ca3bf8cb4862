//! Which resources are one patient's.

use serde::Deserialize;

/// Lets one patient and what refers to it pass: by `subject`, `patient`, `beneficiary` or `individual`, which are
/// the elements that R4's types name a patient by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatientFilter {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    resource_type: String,
    id: Option<String>,
    subject: Option<Named>,
    patient: Option<Named>,
    beneficiary: Option<Named>,
    individual: Option<Named>,
}

/// A reference, or anything else that another type has under such a name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Reference { reference: String },
    Other(serde::de::IgnoredAny),
}

impl PatientFilter {
    /// Reads `Patient/id` or a bare id.
    pub(super) fn of(text: &str) -> Option<Self> {
        let id = text.strip_prefix("Patient/").unwrap_or(text);
        crate::change::ResourceKey::is_id(id).then(|| Self { id: id.to_owned() })
    }

    /// Whether a resource is the patient's.
    pub(super) fn matches(&self, resource: &[u8]) -> bool {
        let Ok(resource) = serde_json::from_slice::<Resource>(resource) else {
            return false;
        };
        if resource.resource_type == "Patient" {
            return resource.id.as_deref() == Some(&self.id);
        }
        [
            resource.subject,
            resource.patient,
            resource.beneficiary,
            resource.individual,
        ]
        .iter()
        .flatten()
        .any(|named| self.is_named(named))
    }

    fn is_named(&self, named: &Named) -> bool {
        match named {
            Named::Reference { reference } => {
                let relative = reference.rsplit_once("Patient/").map_or("", |(_, id)| id);
                relative.split('/').next() == Some(&self.id)
            }
            Named::Other(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_and_what_refers_to_it_pass() {
        let filter = PatientFilter::of("Patient/p-1").unwrap();
        for (resource, expect) in [
            (r#"{"resourceType":"Patient","id":"p-1"}"#, true),
            (r#"{"resourceType":"Patient","id":"p-2"}"#, false),
            (
                r#"{"resourceType":"Encounter","subject":{"reference":"Patient/p-1"}}"#,
                true,
            ),
            (
                r#"{"resourceType":"Encounter","subject":{"reference":"Patient/p-12"}}"#,
                false,
            ),
            (
                r#"{"resourceType":"Encounter","subject":{"reference":"Group/p-1"}}"#,
                false,
            ),
            (
                r#"{"resourceType":"Encounter","subject":{"reference":"http://a/Patient/p-1/_history/2"}}"#,
                true,
            ),
            (
                r#"{"resourceType":"Claim","patient":{"reference":"Patient/p-1"}}"#,
                true,
            ),
            (
                r#"{"resourceType":"Library","subject":[{"reference":"Patient/p-1"}]}"#,
                false,
            ),
            (r#"{"resourceType":"Location"}"#, false),
        ] {
            assert_eq!(filter.matches(resource.as_bytes()), expect, "{resource}");
        }
        assert_eq!(PatientFilter::of("a b"), None);
    }
}
