//! A resource's text, ready to be given its id and meta without being written anew.
//!
//! A stored resource is the client's own text: only `id`, `meta.versionId` and `meta.lastUpdated` are the
//! server's, and they are spliced in. Everything else, the digits of a decimal included, stays as it came.

use std::io::Write;

use bytes::Bytes;
use lakefeed_view::json::{Member, top_level_members};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ResourceKey, Sequence, Source, Timestamp};

/// A resource taken apart once at its top level, to be stamped with a version's number and time.
#[derive(Clone, Debug)]
pub struct Body {
    resource_type: String,
    /// Meta's members but for the two that the server owns, as text with a leading comma: `,"profile":[…]`.
    meta_rest: Vec<u8>,
    /// All other members of the resource, as text with a leading comma.
    rest: Vec<u8>,
    id: Option<String>,
    /// The values of its business identifiers.
    identifiers: Vec<String>,
    meta: Meta,
}

/// What a client's own `meta` said of its version.
#[derive(Clone, Debug, Default)]
struct Meta {
    version_id: Option<String>,
    last_updated: Option<String>,
}

/// Why a text is not the body of a resource. Says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not a JSON object, or not JSON.
    #[error("not a JSON object: line {line}, column {column} [CHANGE-003]")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// `resourceType` is missing or no string.
    #[error("`resourceType` is missing or not a string [CHANGE-004]")]
    ResourceType,
    /// A member that the server reads has the wrong form.
    #[error("`{0}` has the wrong JSON type [CHANGE-005]")]
    Member(&'static str),
}

impl Body {
    /// Takes a resource's text apart. The text must have passed the strict JSON check before.
    pub fn parse(text: &[u8]) -> Result<Self, BodyError> {
        let mut body = Self {
            resource_type: String::new(),
            meta_rest: Vec::new(),
            rest: Vec::with_capacity(text.len()),
            id: None,
            identifiers: Vec::new(),
            meta: Meta::default(),
        };
        for member in top_level_members(text) {
            body.take(&member)?;
        }
        if body.resource_type.is_empty() || text.trim_ascii_end().last() != Some(&b'}') {
            return Err(not_a_body(text));
        }
        Ok(body)
    }

    /// The resource's type, as its text says.
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// The id in the text, of whatever form.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The values of the resource's `identifier`, in the order of the text.
    pub fn identifiers(&self) -> &[String] {
        &self.identifiers
    }

    /// About how many bytes its stored text will have.
    pub fn size(&self) -> usize {
        self.meta_rest.len() + self.rest.len()
    }

    /// The `meta.versionId` in the text: what the sender called this version.
    pub fn version_id(&self) -> Option<&str> {
        self.meta.version_id.as_deref()
    }

    /// The `meta.lastUpdated` in the text.
    pub fn last_updated(&self) -> Option<&str> {
        self.meta.last_updated.as_deref()
    }

    /// What the sender called this version.
    pub fn source(&self) -> Source {
        Source {
            version: self.meta.version_id.clone(),
            last_updated: self.meta.last_updated.as_deref().and_then(Timestamp::parse),
        }
    }

    /// Whether this text stands anywhere in the resource's `meta`.
    pub fn meta_mentions(&self, text: &str) -> bool {
        let mut places = self.meta_rest.windows(text.len().max(1));
        places.any(|place| place == text.as_bytes())
    }

    /// The resource with the given id, version number and time: the text that is stored and answered.
    pub fn stamped(&self, key: &ResourceKey, sequence: Sequence, last_updated: Timestamp) -> Bytes {
        const AROUND: usize = 128;
        let (resource_type, id) = (key.resource_type(), key.id());
        let mut text = Vec::with_capacity(
            AROUND + resource_type.len() + id.len() + self.meta_rest.len() + self.rest.len(),
        );
        // Writing to memory does not fail.
        write!(
            text,
            "{{\"resourceType\":\"{resource_type}\",\"id\":\"{id}\",\
             \"meta\":{{\"versionId\":\"{sequence}\",\"lastUpdated\":\"{last_updated}\""
        )
        .ok();
        text.extend_from_slice(&self.meta_rest);
        text.push(b'}');
        text.extend_from_slice(&self.rest);
        text.push(b'}');
        Bytes::from(text)
    }

    fn take(&mut self, member: &Member<'_>) -> Result<(), BodyError> {
        match &*member.key() {
            "resourceType" => self.resource_type = string(member).ok_or(BodyError::ResourceType)?,
            "id" => self.id = Some(string(member).ok_or(BodyError::Member("id"))?),
            "meta" => self.take_meta(member.value)?,
            "identifier" => {
                self.identifiers = identifiers(member.value)?;
                push_member(&mut self.rest, member);
            }
            _ => push_member(&mut self.rest, member),
        }
        Ok(())
    }

    fn take_meta(&mut self, meta: &[u8]) -> Result<(), BodyError> {
        if meta.first() != Some(&b'{') {
            return Err(BodyError::Member("meta"));
        }
        for member in top_level_members(meta) {
            match &*member.key() {
                "versionId" => {
                    self.meta.version_id = Some(string(&member).ok_or(BodyError::Member("meta.versionId"))?);
                }
                "lastUpdated" => {
                    self.meta.last_updated =
                        Some(string(&member).ok_or(BodyError::Member("meta.lastUpdated"))?);
                }
                _ => push_member(&mut self.meta_rest, &member),
            }
        }
        Ok(())
    }
}

/// Why a text has no type, or no end.
fn not_a_body(text: &[u8]) -> BodyError {
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) => BodyError::ResourceType,
        Err(error) => BodyError::Json {
            line: error.line(),
            column: error.column(),
        },
    }
}

fn string(member: &Member<'_>) -> Option<String> {
    match member.plain_string() {
        Some(plain) => Some(plain.to_owned()),
        None => serde_json::from_slice(member.value).ok(),
    }
}

/// The values of one identifier or of several; a few resource types have at most one.
fn identifiers(value: &[u8]) -> Result<Vec<String>, BodyError> {
    #[derive(Deserialize)]
    struct Identifier {
        value: Option<String>,
    }
    let identifiers: Result<Vec<Identifier>, _> = match value.first() {
        Some(b'[') => serde_json::from_slice(value),
        _ => serde_json::from_slice(value).map(|one| vec![one]),
    };
    let values = identifiers
        .map_err(|_| BodyError::Member("identifier"))?
        .into_iter()
        .filter_map(|identifier| identifier.value);
    Ok(values.collect())
}

fn push_member(text: &mut Vec<u8>, member: &Member<'_>) {
    text.extend_from_slice(b",\"");
    text.extend_from_slice(member.raw_key);
    text.extend_from_slice(b"\":");
    text.extend_from_slice(member.value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(text: &str) -> String {
        let key = ResourceKey::new("Observation", "o-1").unwrap();
        let body = Body::parse(text.as_bytes()).unwrap();
        String::from_utf8(body.stamped(&key, Sequence(7), Timestamp(0)).to_vec()).unwrap()
    }

    #[test]
    fn a_stamp_changes_id_and_version_and_nothing_else() {
        assert_eq!(
            stamped(
                r#"{"id":"x","valueQuantity":{"value": 1.00},"resourceType":"Observation",
                    "meta":{"profile":["p"],"versionId":"3","lastUpdated":"2020-01-01T00:00:00Z"},"status":"final"}"#
            ),
            r#"{"resourceType":"Observation","id":"o-1","meta":{"versionId":"7","lastUpdated":"1970-01-01T00:00:00.000000Z","profile":["p"]},"valueQuantity":{"value": 1.00},"status":"final"}"#
        );
    }

    #[test]
    fn identifiers_are_read_where_there_are_several_and_where_there_is_one() {
        let check = |identifier: &str, expect: &[&str]| {
            let text = format!(r#"{{"resourceType":"Patient","identifier":{identifier}}}"#);
            assert_eq!(Body::parse(text.as_bytes()).unwrap().identifiers(), expect);
        };
        check(
            r#"[{"system":"s","value":"1"},{"system":"s"},{"value":"2"}]"#,
            &["1", "2"],
        );
        check(r#"{"system":"s","value":"1"}"#, &["1"]);
        let wrong = Body::parse(br#"{"resourceType":"Patient","identifier":7}"#);
        assert_eq!(wrong.unwrap_err(), BodyError::Member("identifier"));
    }

    #[test]
    fn a_resource_without_meta_gets_one() {
        assert_eq!(
            stamped(r#"{"resourceType":"Observation"}"#),
            r#"{"resourceType":"Observation","id":"o-1","meta":{"versionId":"7","lastUpdated":"1970-01-01T00:00:00.000000Z"}}"#
        );
    }

    #[test]
    fn what_is_not_a_resource_is_refused_with_its_place() {
        assert_eq!(
            Body::parse(b"{").unwrap_err(),
            BodyError::Json { line: 1, column: 1 }
        );
        assert_eq!(Body::parse(b"{}").unwrap_err(), BodyError::ResourceType);
        assert_eq!(
            Body::parse(br#"{"resourceType":"Patient","id":1}"#).unwrap_err(),
            BodyError::Member("id")
        );
        assert_eq!(
            Body::parse(br#"{"resourceType":"Patient","meta":[]}"#).unwrap_err(),
            BodyError::Member("meta")
        );
    }
}
