//! `POST /auth/token`: a bearer token for a client's name and secret, as OAuth 2.0 has it (RFC 6749).
//!
//! Its errors are OAuth's, not FHIR's: programs that ask for tokens read no OperationOutcome.

use axum::http::header::{CACHE_CONTROL, HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use crate::change::Timestamp;

use super::ask::{Ask, parse_query};
use super::auth::{Access, CHALLENGE, Client, LIFETIME, Tokens, basic};
use super::outcome::Outcome;
use super::{JSON, respond};

/// The longest body: who asks is not known yet.
pub(super) const BODY_BYTES: usize = 16 << 10;

/// Answers a token, or OAuth's refusal; 404 where nobody needs one.
pub(super) fn answer(access: &Access, tokens: &Tokens, ask: &Ask) -> Result<Response, Outcome> {
    if ask.method != Method::POST {
        return Err(Outcome::method_not_allowed("POST"));
    }
    if !access.has_clients() {
        return Err(Outcome::not_found(
            "no `[http] clients` are configured, so nobody needs a token: ask without one",
        ));
    }
    let (status, body) = match client(access, ask) {
        Ok(client) => {
            let token = tokens.make(client.name(), Timestamp::now());
            let seconds = LIFETIME.as_secs();
            let body = json!({"token_type": "Bearer", "access_token": token, "expires_in": seconds});
            (StatusCode::OK, body)
        }
        Err(refused) => (refused.status, refused.to_json()),
    };
    let mut response = respond::typed(status, JSON, body.to_string());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("pragma"),
        HeaderValue::from_static("no-cache"),
    );
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    }
    Ok(response)
}

/// A refusal of RFC 6749, 5.2.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl Refused {
    fn request(description: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_request",
            description,
        }
    }

    fn to_json(&self) -> serde_json::Value {
        json!({"error": self.error, "error_description": self.description})
    }
}

/// What a request says in its body.
#[derive(Default, Deserialize)]
struct Asked {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// The client that asks, by HTTP Basic or by the body.
fn client<'a>(access: &'a Access, ask: &Ask) -> Result<&'a Client, Refused> {
    let asked = Asked::of(ask)?;
    match asked.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => {
            return Err(Refused {
                status: StatusCode::BAD_REQUEST,
                error: "unsupported_grant_type",
                description: "the grant_type is client_credentials; there is no other",
            });
        }
        None => return Err(Refused::request("grant_type is missing: client_credentials")),
    }
    let known = match (basic(&ask.headers), &asked.client_id, &asked.client_secret) {
        (Some(_), _, Some(_)) => {
            let text = "send the client's secret once: by HTTP Basic or in the body";
            return Err(Refused::request(text));
        }
        (Some((name, secret)), _, None) => of_basic(access, &name, &secret),
        (None, Some(name), Some(secret)) => access.client(name, secret),
        (None, ..) => None,
    };
    known.ok_or(Refused {
        status: StatusCode::UNAUTHORIZED,
        error: "invalid_client",
        description: "the client's name and secret are missing or wrong",
    })
}

/// OAuth has the two encoded as in a form before they are put into HTTP Basic; many clients do not.
fn of_basic<'a>(access: &'a Access, name: &str, secret: &str) -> Option<&'a Client> {
    let decode = |text: &str| {
        let pair = parse_query(format!("={}", text.replace('&', "%26")).as_bytes()).pop();
        pair.map_or_else(String::new, |(_, text)| text)
    };
    let decoded = access.client(&decode(name), &decode(secret));
    access.client(name, secret).or(decoded)
}

impl Asked {
    fn of(ask: &Ask) -> Result<Self, Refused> {
        match ask.media_type().as_deref() {
            Some("application/x-www-form-urlencoded") => Self::of_form(&ask.body),
            Some(JSON) => serde_json::from_slice(&ask.body).map_err(|_| {
                Refused::request("the body is no JSON object of grant_type, client_id and client_secret")
            }),
            _ => Err(Refused::request(
                "the body is a form or JSON: send Content-Type: application/x-www-form-urlencoded",
            )),
        }
    }

    /// What is not known is not looked at; what is there twice is refused, both as OAuth has it.
    fn of_form(body: &[u8]) -> Result<Self, Refused> {
        let mut asked = Self::default();
        for (name, value) in parse_query(body) {
            let place = match name.as_str() {
                "grant_type" => &mut asked.grant_type,
                "client_id" => &mut asked.client_id,
                "client_secret" => &mut asked.client_secret,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Refused::request("a parameter is there twice"));
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_http_basic_may_be_encoded_as_oauth_has_it() {
        let access = Access::of(vec![Client::new("o p", "a+b/c&=%"), Client::new("raw", "%41")]);
        assert!(of_basic(&access, "o p", "a+b/c&=%").is_some());
        assert!(of_basic(&access, "o+p", "a%2Bb%2Fc%26%3D%25").is_some());
        assert!(of_basic(&access, "raw", "%41").is_some());
        assert!(of_basic(&access, "raw", "A").is_none());
    }
}
