//! What became of each entry of a Bundle, and the Bundle that says so.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, LOCATION};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::DateTime;
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value, json};

use crate::change::{Timestamp, Version};
use crate::intake::created_at;

use super::ask::Ask;
use super::outcome::Outcome;
use super::respond::Preference;
use super::{FHIR_JSON, JSON, respond};

/// The most bytes of resources that the answer to one Bundle has.
const MAX_BYTES: usize = 64 << 20;

/// What one entry is answered.
#[derive(Debug, Default)]
pub(super) struct Answered {
    status: StatusCode,
    location: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
    resource: Option<Bytes>,
    outcome: Option<Bytes>,
}

/// How much of the answer is left for resources. What does not fit is left out of a write's answer, and refused to
/// a read.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicUsize::new(MAX_BYTES))
    }
}

impl Room {
    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Answered {
    /// What a request on its own would have been answered.
    pub(super) async fn of(answer: Result<Response, Outcome>, ask: &Ask, room: &Room) -> Self {
        let (parts, body) = answer.unwrap_or_else(IntoResponse::into_response).into_parts();
        let text = |name: HeaderName| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
        let mut answered = Self {
            status: parts.status,
            location: text(LOCATION),
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED).as_deref().and_then(instant),
            ..Self::default()
        };
        let is_read = ask.method.is_safe();
        let Ok(body) = Limited::new(body, room.left()).collect().await else {
            return answered.without_resource(is_read);
        };
        let body = body.to_bytes();
        if body.is_empty() {
            return answered;
        }
        if !room.take(body.len()) {
            return answered.without_resource(is_read);
        }
        let media_type = text(CONTENT_TYPE).unwrap_or_default();
        let is_about_success = !is_read && Preference::of(ask) == Preference::OperationOutcome;
        if !parts.status.is_success() || is_about_success {
            answered.outcome = Some(body);
        } else if media_type.starts_with(FHIR_JSON) || media_type.starts_with(JSON) {
            answered.resource = Some(body);
        } else {
            answered.resource = Some(binary(&media_type, &body));
        }
        answered
    }

    /// What a write made, or a version that stayed as it is.
    pub(super) fn version(status: StatusCode, version: &Version, ask: &Ask, room: &Room) -> Self {
        let mut answered = Self {
            status,
            location: Some(ask.url(&format!("{}/_history/{}", version.key, version.sequence))),
            etag: Some(format!("W/\"{}\"", version.sequence)),
            last_modified: Some(version.last_updated.to_string()),
            ..Self::default()
        };
        match Preference::of(ask) {
            Preference::Representation if room.take(version.resource.len()) => {
                answered.resource = Some(created_at::inject(&version.resource, version.created_at));
            }
            Preference::OperationOutcome => {
                answered.outcome = Some(Outcome::information("done").to_json().to_string().into());
            }
            _ => {}
        }
        answered
    }

    /// A status alone.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    fn without_resource(mut self, is_read: bool) -> Self {
        if is_read {
            let text = "the bundle's answer is too large; ask for this on its own";
            let outcome = Outcome::new(StatusCode::PAYLOAD_TOO_LARGE, "too-costly", text);
            self.status = outcome.status();
            self.outcome = Some(outcome.to_json().to_string().into());
        }
        self
    }

    fn push_to(&self, text: &mut Vec<u8>) {
        text.push(b'{');
        if let Some(resource) = &self.resource {
            text.extend_from_slice(b"\"resource\":");
            text.extend_from_slice(resource);
            text.push(b',');
        }
        let mut response = Map::new();
        response.insert("status".to_owned(), self.status.as_str().into());
        for (name, value) in [
            ("location", &self.location),
            ("etag", &self.etag),
            ("lastModified", &self.last_modified),
        ] {
            if let Some(value) = value {
                response.insert(name.to_owned(), value.as_str().into());
            }
        }
        let response = Value::Object(response).to_string();
        text.extend_from_slice(b"\"response\":");
        match &self.outcome {
            None => text.extend_from_slice(response.as_bytes()),
            Some(outcome) => {
                text.extend_from_slice(response.strip_suffix('}').unwrap_or(&response).as_bytes());
                text.extend_from_slice(b",\"outcome\":");
                text.extend_from_slice(outcome);
                text.push(b'}');
            }
        }
        text.push(b'}');
    }
}

/// The Bundle with all answers.
pub(super) fn bundle(kind: &str, entries: &[Answered]) -> Response {
    let size = |entry: &Answered| {
        300 + entry.resource.as_ref().map_or(0, Bytes::len) + entry.outcome.as_ref().map_or(0, Bytes::len)
    };
    let mut text = Vec::with_capacity(200 + entries.iter().map(size).sum::<usize>());
    let head = json!({"resourceType": "Bundle", "type": kind}).to_string();
    text.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
    if !entries.is_empty() {
        text.extend_from_slice(b",\"entry\":[");
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            entry.push_to(&mut text);
        }
        text.push(b']');
    }
    text.push(b'}');
    respond::fhir(StatusCode::OK, text)
}

/// An HTTP date as FHIR writes times.
fn instant(date: &str) -> Option<String> {
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some(Timestamp(date.timestamp_micros()).to_string())
}

/// What is not FHIR, as the resource that holds such.
fn binary(media_type: &str, body: &[u8]) -> Bytes {
    let binary = json!({"resourceType": "Binary", "contentType": media_type, "data": STANDARD.encode(body)});
    binary.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_says_of_each_entry_what_became_of_it() {
        let made = Answered {
            status: StatusCode::CREATED,
            location: Some("l".to_owned()),
            etag: Some("W/\"1\"".to_owned()),
            last_modified: instant("Mon, 01 Jan 2001 00:00:00 GMT"),
            resource: Some(Bytes::from_static(b"{\"a\": 1.00}")),
            outcome: None,
        };
        let failed = Answered {
            outcome: Some(Bytes::from_static(b"{}")),
            ..Answered::empty(StatusCode::CONFLICT)
        };
        let response = bundle("batch-response", &[made, failed]);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            concat!(
                r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"resource":{"a": 1.00},"#,
                r#""response":{"status":"201","location":"l","etag":"W/\"1\"","#,
                r#""lastModified":"2001-01-01T00:00:00.000000Z"}},"#,
                r#"{"response":{"status":"409","outcome":{}}}]}"#
            )
        );
    }

    #[test]
    fn an_answer_has_a_bound() {
        let room = Room(AtomicUsize::new(10));
        assert!(room.take(10));
        assert!(!room.take(1));
    }
}
