//! Success, with its headers.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use crate::change::Version;
use crate::intake::created_at;

use super::FHIR_JSON;
use super::ask::Ask;
use super::outcome::Outcome;

/// How much of what it made a write answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Preference {
    /// All of it.
    #[default]
    Representation,
    /// Its headers only.
    Minimal,
    /// An OperationOutcome.
    OperationOutcome,
}

impl Preference {
    /// Reads `Prefer: return=…`; the first one counts, and what is not known is not looked at.
    pub(super) fn of(ask: &Ask) -> Self {
        let stated = ask.headers.get_all("prefer").into_iter();
        let texts = stated.filter_map(|value| value.to_str().ok());
        let mut preferences = texts.flat_map(|text| text.split([',', ';'])).map(str::trim);
        preferences
            .find_map(|preference| match preference.to_ascii_lowercase().as_str() {
                "return=minimal" => Some(Self::Minimal),
                "return=representation" => Some(Self::Representation),
                "return=operationoutcome" => Some(Self::OperationOutcome),
                _ => None,
            })
            .unwrap_or_default()
    }
}

/// A FHIR answer.
pub(super) fn fhir(status: StatusCode, body: impl Into<Bytes>) -> Response {
    typed(status, FHIR_JSON, body)
}

/// A FHIR answer from JSON.
pub(super) fn fhir_json(status: StatusCode, body: &Value) -> Response {
    fhir(status, body.to_string())
}

/// An answer of any media type.
pub(super) fn typed(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A resource's version, with its `ETag` and `Last-Modified`.
pub(super) fn resource(status: StatusCode, version: &Version) -> Response {
    let body = created_at::inject(&version.resource, version.created_at);
    with_version(fhir(status, body), version)
}

/// What a write made, with as much of it as `Prefer` asks for.
pub(super) fn written(ask: &Ask, status: StatusCode, version: &Version) -> Response {
    match Preference::of(ask) {
        Preference::Representation => resource(status, version),
        Preference::Minimal => with_version(empty(status), version),
        Preference::OperationOutcome => with_version(information(status, "done"), version),
    }
}

/// An OperationOutcome that tells of success.
pub(super) fn information(status: StatusCode, text: &str) -> Response {
    fhir_json(status, &Outcome::information(text).to_json())
}

/// The same after a create: with its `Location`.
pub(super) fn created(ask: &Ask, version: &Version) -> Response {
    let mut response = written(ask, StatusCode::CREATED, version);
    let location = ask.url(&format!("{}/_history/{}", version.key, version.sequence));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Adds a version's `ETag` and `Last-Modified`.
pub(super) fn with_version(mut response: Response, version: &Version) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{}\"", version.sequence)) {
        headers.insert(ETAG, tag);
    }
    if let Ok(date) = HeaderValue::from_str(&version.last_updated.to_http_date()) {
        headers.insert(LAST_MODIFIED, date);
    }
    response
}
