//! One HTTP call and what came back, whatever came back: JSON, a number for a code, HTML or nothing.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::DatabricksError;
use crate::error::Refused;

/// How long one call may take: a statement's `wait_timeout` of 50 s, and a cold start before it (A 1.3).
pub const CALL_WITHIN: Duration = Duration::from_secs(120);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A longer wait than this that a server asks for is cut to it.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// So much of a body that is no JSON is kept for the detail.
const KEPT_BODY: usize = 4096;

/// A client whose connections are kept and used again.
#[derive(Debug)]
pub struct Http {
    is_local: bool,
    client: OnceLock<reqwest::Client>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `X-Request-Id`; empty if there is none.
    pub request_id: String,
    /// `X-Databricks-Org-Id`, the workspace's number; empty if there is none.
    pub workspace_id: String,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body; empty if it broke off.
    pub body: Bytes,
    /// Why the body did not come whole.
    pub broke_off: Option<DatabricksError>,
}

impl Http {
    /// A client for one server; one on this machine is never asked through a proxy.
    #[must_use]
    pub fn new(is_local: bool) -> Self {
        Self {
            is_local,
            client: OnceLock::new(),
        }
    }

    /// Sends a request with this token and body and waits for all of the answer.
    pub async fn send(
        &self,
        doing: &'static str,
        method: Method,
        address: &str,
        bearer: Option<&str>,
        body: Option<Bytes>,
    ) -> Result<Answer, DatabricksError> {
        let mut request = self.client(doing)?.request(method, address);
        if let Some(bearer) = bearer {
            request = request.header(reqwest::header::AUTHORIZATION, authorization(doing, bearer)?);
        }
        if let Some(body) = body {
            request = request
                .header(
                    reqwest::header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                )
                .body(body);
        }
        let response = request.send().await.map_err(|error| unreachable(doing, &error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // The status is the answer; what explains it may be lost.
        let (body, broke_off) = match response.bytes().await {
            Ok(body) => (body, None),
            Err(error) => (Bytes::new(), Some(unreachable(doing, &error))),
        };
        Ok(Answer {
            status,
            request_id: header(&headers, "x-request-id"),
            workspace_id: header(&headers, "x-databricks-org-id"),
            retry_after: retry_after(&headers),
            body,
            broke_off,
        })
    }

    fn client(&self, doing: &'static str) -> Result<&reqwest::Client, DatabricksError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // A redirect would take the token along to wherever it leads.
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(CALL_WITHIN)
            .user_agent(concat!("lakefeed/", env!("CARGO_PKG_VERSION")));
        if self.is_local {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| unreachable(doing, &error))?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl Answer {
    /// Whether it is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body of a success, read.
    pub fn read<T: DeserializeOwned>(&self, doing: &'static str) -> Result<T, DatabricksError> {
        if let Some(error) = &self.broke_off {
            return Err(error.clone());
        }
        serde_json::from_slice(&self.body).map_err(|error| DatabricksError::Unreadable {
            doing,
            cause: format!("{error}; body: {}", shown(&self.body)),
        })
    }

    /// What an answer that is no success says. `error_code` may be a name, a number or missing; the body may be HTML or
    /// empty (W 4.8).
    #[must_use]
    pub fn refused(&self) -> Refused {
        let json: Option<Value> = serde_json::from_slice(&self.body).ok();
        let text = |name: &str| json.as_ref().map_or(String::new(), |json| plain(&json[name]));
        let reason = json.as_ref().and_then(reason).unwrap_or_default();
        let message = match text("message") {
            message if message.is_empty() => shown(&self.body),
            message => message,
        };
        let code = match text("error_code") {
            code if code.is_empty() => text("error"),
            code => code,
        };
        Refused {
            status: self.status,
            code,
            reason,
            message,
            request_id: self.request_id.clone(),
            retry_after: self.retry_after,
            is_empty: self.body.is_empty() && self.broke_off.is_none(),
        }
    }
}

/// `reason` of the first `ErrorInfo` among the details (W 5.4).
fn reason(json: &Value) -> Option<String> {
    let details = json["details"].as_array()?;
    let reason = details.iter().find_map(|detail| detail["reason"].as_str())?;
    Some(reason.to_owned())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(KEPT_BODY)]).into_owned()
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Seconds; the form with a date is not used by the service, and its absence means a second (W 7).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn authorization(doing: &'static str, bearer: &str) -> Result<HeaderValue, DatabricksError> {
    let mut value =
        HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|_| DatabricksError::Unreadable {
            doing,
            cause: "the token is no header's value".to_owned(),
        })?;
    value.set_sensitive(true);
    Ok(value)
}

fn unreachable(doing: &'static str, error: &reqwest::Error) -> DatabricksError {
    let what = match error {
        error if error.is_connect() => "no connection",
        error if error.is_timeout() => "no answer in time",
        error if error.is_builder() => "the request cannot be made",
        _ => "the connection broke off",
    };
    let mut cause = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        cause = format!("{cause}: {inner}");
        next = inner.source();
    }
    DatabricksError::Unreachable {
        doing,
        what,
        may_have_arrived: !error.is_connect() && !error.is_builder(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &'static str, code: &str, message: &str) {
        let answer = Answer {
            status,
            request_id: String::new(),
            workspace_id: String::new(),
            retry_after: None,
            body: Bytes::from_static(body.as_bytes()),
            broke_off: None,
        };
        let refused = answer.refused();
        assert_eq!(
            (refused.code.as_str(), refused.message.as_str()),
            (code, message),
            "{body}"
        );
        assert_eq!(refused.is_empty, body.is_empty());
    }

    #[test]
    fn every_kind_of_body_survives() {
        check(
            400,
            r#"{"error_code":"BAD_REQUEST","message":"m"}"#,
            "BAD_REQUEST",
            "m",
        );
        check(
            403,
            r#"{"error_code":403,"message":"Invalid access token."}"#,
            "403",
            "Invalid access token.",
        );
        check(500, r#"{"message":"m"}"#, "", "m");
        check(
            401,
            r#"{"error":"invalid_client","x":1}"#,
            "invalid_client",
            r#"{"error":"invalid_client","x":1}"#,
        );
        check(502, "<html>Bad Gateway</html>", "", "<html>Bad Gateway</html>");
        check(504, "DEADLINE_EXCEEDED: x", "", "DEADLINE_EXCEEDED: x");
        check(400, "[1,2]", "", "[1,2]");
        check(400, "\"text\"", "", "\"text\"");
        check(404, "", "", "");
    }

    #[test]
    fn a_body_that_broke_off_is_not_an_empty_one() {
        let answer = Answer {
            status: 400,
            request_id: String::new(),
            workspace_id: String::new(),
            retry_after: None,
            body: Bytes::new(),
            broke_off: Some(DatabricksError::Unreachable {
                doing: "testing",
                what: "the connection broke off",
                may_have_arrived: true,
                cause: String::new(),
            }),
        };
        assert!(!answer.refused().is_empty);
        assert!(matches!(
            answer.read::<Value>("testing"),
            Err(DatabricksError::Unreachable {
                may_have_arrived: true,
                ..
            })
        ));
    }

    #[test]
    fn a_reason_is_found_among_the_details() {
        let body = r#"{"error_code":"X","details":[{"@type":"r"},{"reason":"LOCATION_OVERLAP"}]}"#;
        assert_eq!(
            reason(&serde_json::from_str(body).unwrap()).as_deref(),
            Some("LOCATION_OVERLAP")
        );
    }

    #[test]
    fn a_wait_is_bounded() {
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999999"), Some(LONGEST_WAIT));
        assert_eq!(wait("soon"), None);
    }
}
