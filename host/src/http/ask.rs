//! [`Ask`]: a request that was read whole, and what its headers ask for.

use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use crate::config::ClientAccess;

use super::outcome::Outcome;
use super::{FHIR_JSON, JSON};

/// A request with its body.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// Its method.
    pub(super) method: Method,
    /// Its query, decoded, in order.
    pub(super) query: Vec<(String, String)>,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) body: Bytes,
    /// The server's own address as the client knows it, without a slash at the end.
    pub(super) base: String,
    /// What the client may do.
    pub(super) access: ClientAccess,
}

impl Ask {
    /// Puts together a request of somebody who may read. `base` is the address from the configuration, if there is one.
    pub(super) fn new(
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
        base: Option<&str>,
        is_tls: bool,
    ) -> Self {
        let base = base.map_or_else(
            || base_of(&headers, is_tls),
            |base| base.trim_end_matches('/').to_owned(),
        );
        Self {
            method,
            query: parse_query(uri.query().unwrap_or_default().as_bytes()),
            headers,
            body,
            base,
            access: ClientAccess::Read,
        }
    }

    /// The same request of somebody who may do this.
    pub(super) fn of_client(self, access: ClientAccess) -> Self {
        Self { access, ..self }
    }

    /// A header's text, when it is there and is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter is `true`.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.parameter(name) == Some("true")
    }

    /// Refuses a body that does not say it is JSON. That it must say so also keeps web pages from elsewhere from
    /// posting: a browser asks first before it sends such a type.
    pub(super) fn require_json(&self) -> Result<(), Outcome> {
        if self.media_type().as_deref().is_some_and(is_json) {
            return Ok(());
        }
        Err(Outcome::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-supported",
            "the body must be JSON in UTF-8: send `Content-Type: application/fhir+json`",
        ))
    }

    /// The body's media type in small letters; none when it is not in UTF-8.
    pub(super) fn media_type(&self) -> Option<String> {
        let stated = self.header(&CONTENT_TYPE).unwrap_or_default();
        let mut parts = stated.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_utf8 = parts.all(|parameter| {
            let lower = parameter.to_ascii_lowercase();
            !lower.starts_with("charset=") || matches!(lower[8..].trim_matches('"'), "utf-8" | "utf8")
        });
        is_utf8.then_some(media_type)
    }

    /// The full address of a path below `/fhir`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/fhir/{path}", self.base)
    }
}

/// Whether a media type is that of JSON or of FHIR's JSON.
fn is_json(media_type: &str) -> bool {
    matches!(media_type, JSON | FHIR_JSON | "application/json+fhir")
}

/// Decodes `a=b&c=d`.
pub(super) fn parse_query(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// Encodes a query's value so that it stays readable: FHIR's ids and tokens need no encoding.
pub(super) fn encode(text: &str) -> impl std::fmt::Display + '_ {
    const SET: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b',')
        .remove(b':');
    utf8_percent_encode(text, SET)
}

fn base_of(headers: &HeaderMap, is_tls: bool) -> String {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| {
            host.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
        })
        .unwrap_or("localhost");
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// The media type that a FHIR answer gets, from `_format` and `Accept`; none when only others would do.
pub(super) fn answer_type(query: Option<&str>, headers: &HeaderMap) -> Option<&'static str> {
    let format = parse_query(query.unwrap_or_default().as_bytes())
        .into_iter()
        .find(|(name, _)| name == "_format")
        .map(|(_, value)| value);
    if let Some(format) = format {
        return json_type(&format.replace(' ', "+"));
    }
    let Some(accept) = headers.get(ACCEPT) else {
        return Some(FHIR_JSON);
    };
    let accept = accept.to_str().ok()?;
    let wanted = accept.split(',').filter(|range| !is_refused(range));
    let mut wanted = wanted.map(|range| range.split(';').next().unwrap_or_default().trim());
    wanted.find_map(json_type)
}

fn json_type(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        FHIR_JSON | "json" | "*/*" | "application/*" | "application/json+fhir" | "" => Some(FHIR_JSON),
        JSON | "text/json" => Some(JSON),
        _ => None,
    }
}

fn is_refused(range: &str) -> bool {
    range
        .split(';')
        .skip(1)
        .any(|parameter| matches!(parameter.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn check_accept(accept: &'static str, expect: Option<&str>) {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(answer_type(None, &headers), expect, "{accept}");
    }

    #[test]
    fn an_answer_has_the_type_that_was_asked_for() {
        check_accept("*/*", Some(FHIR_JSON));
        check_accept("application/json", Some(JSON));
        check_accept("application/fhir+json;q=0.9", Some(FHIR_JSON));
        check_accept("text/html, application/xml;q=0.9, */*;q=0.8", Some(FHIR_JSON));
        check_accept("application/fhir+xml", None);
        check_accept("application/json;q=0", None);
        assert_eq!(
            answer_type(Some("_format=json"), &HeaderMap::new()),
            Some(FHIR_JSON)
        );
        assert_eq!(
            answer_type(Some("_format=application/fhir+json"), &HeaderMap::new()),
            Some(FHIR_JSON)
        );
        assert_eq!(answer_type(Some("_format=xml"), &HeaderMap::new()), None);
    }

    #[test]
    fn a_body_must_say_that_it_is_json() {
        for (stated, is_taken) in [
            ("application/json", true),
            ("Application/FHIR+JSON; charset=UTF-8", true),
            ("application/json; charset=latin1", false),
            ("application/x-www-form-urlencoded", false),
            ("text/plain", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(stated))]);
            let ask = Ask::new(
                Method::POST,
                &Uri::from_static("/fhir"),
                headers,
                Bytes::new(),
                None,
                false,
            );
            assert_eq!(ask.require_json().is_ok(), is_taken, "{stated}");
        }
    }

    #[test]
    fn a_host_header_cannot_put_markup_into_links() {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("a\"><b>"))]);
        let ask = Ask::new(
            Method::GET,
            &Uri::from_static("/"),
            headers,
            Bytes::new(),
            None,
            true,
        );
        assert_eq!(ask.url("Patient"), "https://localhost/fhir/Patient");
    }
}
