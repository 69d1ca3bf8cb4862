//! Looking resources up by their business identifiers: `identifier=system|value`.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::change::{Body, Version};
use crate::log::{Lookup, Token};

/// An identifier as a search names it, in FHIR's token form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    system: System,
    value: String,
}

/// Which system an identifier must be of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum System {
    /// `value`: of any, or of none.
    Any,
    /// `|value`: of none.
    Absent,
    /// `system|value`.
    Is(String),
}

impl Identifier {
    /// Reads `value`, `|value` or `system|value`; none when there is no value, which nothing can be looked up by.
    pub fn parse(text: &str) -> Option<Self> {
        let (system, value) = match text.split_once('|') {
            None => (System::Any, text),
            Some(("", value)) => (System::Absent, value),
            Some((system, value)) => (System::Is(system.to_owned()), value),
        };
        (!value.is_empty()).then(|| Self {
            system,
            value: value.to_owned(),
        })
    }

    /// Finds the resources of a type that have this identifier.
    pub fn lookup(&self, resource_type: &str) -> Lookup {
        let wanted = self.clone();
        Lookup {
            resource_type: resource_type.to_owned(),
            token: token(&self.value),
            matches: Arc::new(move |version| wanted.is_on(version)),
        }
    }

    /// Whether a version of a resource has this identifier.
    pub fn is_on(&self, version: &Version) -> bool {
        let Ok(resource) = serde_json::from_slice::<Identified>(&version.resource) else {
            return false;
        };
        match resource.identifier {
            Some(Written::Several(several)) => several.iter().any(|written| self.is(written)),
            Some(Written::One(one)) => self.is(&one),
            None => false,
        }
    }

    fn is(&self, written: &WrittenIdentifier) -> bool {
        let is_of_system = match &self.system {
            System::Any => true,
            System::Absent => written.system.is_none(),
            System::Is(system) => written.system.as_ref() == Some(system),
        };
        is_of_system && written.value.as_ref() == Some(&self.value)
    }
}

impl fmt::Display for Identifier {
    /// As [`Identifier::parse`] reads it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.system {
            System::Any => formatter.write_str(&self.value),
            System::Absent => write!(formatter, "|{}", self.value),
            System::Is(system) => write!(formatter, "{system}|{}", self.value),
        }
    }
}

#[derive(Deserialize)]
struct Identified {
    identifier: Option<Written>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Several(Vec<WrittenIdentifier>),
    One(WrittenIdentifier),
}

#[derive(Deserialize)]
struct WrittenIdentifier {
    system: Option<String>,
    value: Option<String>,
}

/// What a resource is to be found by.
pub(super) fn tokens(body: &Body) -> Vec<Token> {
    let mut tokens: Vec<Token> = body.identifiers().iter().map(|value| token(value)).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// The number of an identifier's value. Its system is left to the look at what was found, so that one number serves
/// all three forms of a search.
fn token(value: &str) -> Token {
    let digest = Sha256::new()
        .chain_update("identifier:")
        .chain_update(value)
        .finalize();
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    Token(i64::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{ResourceKey, Sequence, Timestamp, VersionStatus};

    fn version(identifier: &str) -> Version {
        Version {
            key: ResourceKey::new("Patient", "p").unwrap(),
            sequence: Sequence(1),
            status: VersionStatus::Created,
            last_updated: Timestamp(0),
            created_at: Timestamp(0),
            resource: format!(r#"{{"resourceType":"Patient","identifier":{identifier}}}"#).into(),
            source: None,
        }
    }

    #[test]
    fn an_identifier_is_found_by_value_and_by_system_and_value() {
        let check = |text: &str, identifier: &str, expect: bool| {
            let lookup = Identifier::parse(text).unwrap().lookup("Patient");
            let version = version(identifier);
            let body = Body::parse(&version.resource).unwrap();
            let is_found = tokens(&body).contains(&lookup.token) && (lookup.matches)(&version);
            assert_eq!(is_found, expect, "{text} {identifier}");
        };
        let both = r#"[{"system":"urn:s","value":"1"},{"value":"2"}]"#;
        check("1", both, true);
        check("urn:s|1", both, true);
        check("urn:t|1", both, false);
        check("|1", both, false);
        check("|2", both, true);
        check("urn:s|2", both, false);
        check("3", both, false);
        check("urn:s|7", r#"{"system":"urn:s","value":"7"}"#, true);
        assert_eq!(Identifier::parse("urn:s|"), None);
        assert_eq!(Identifier::parse(""), None);
    }
}
