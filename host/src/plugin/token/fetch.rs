//! One fetch of a token, and what its refusal means.

use std::sync::OnceLock;
use std::time::Duration;

use lakefeed_plugin_api::{Category, PluginError, Remote, Secret, TokenRequest};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect;
use serde_json::{Value, json};
use url::Url;

use super::allowed::is_loopback;
use super::{SecretReference, TokenSettings};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const FETCH_WITHIN: Duration = Duration::from_secs(30);
const LONGEST_WAIT_S: u64 = 600;

/// Fetches tokens.
#[derive(Default)]
pub(super) struct Fetcher {
    remote: OnceLock<reqwest::Client>,
    local: OnceLock<reqwest::Client>,
}

/// What a server gave.
pub(super) struct Fetched {
    pub(super) bearer: Secret,
    /// How long it lasts, in milliseconds; none if the server does not say.
    pub(super) lasts_ms: Option<u64>,
}

/// Who asks.
struct Principal {
    id: String,
    secret: String,
}

/// An answer of the token endpoint.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Value,
}

impl Fetcher {
    pub(super) async fn fetch(
        &self,
        server: &Url,
        request: &TokenRequest,
        settings: &TokenSettings,
    ) -> Result<Fetched, PluginError> {
        let principal = Principal {
            id: read(&settings.client_id, "id")?,
            secret: read(&settings.client_secret, "secret")?,
        };
        let answer = self
            .ask(server, &principal, request, &request.authorization_details)
            .await?;
        if answer.status == 200 {
            return fetched(&answer.body);
        }
        if answer.body["error"] == "invalid_authorization_details" {
            let missing = self.missing(server, &principal, request).await;
            return Err(grants_missing(&answer, &missing, &principal.id));
        }
        Err(refused(&answer))
    }

    /// The grants that are refused one by one. The server tells that something is missing and not what (W 1.3), so
    /// each privilege on each object is asked for alone; what that brings is thrown away.
    async fn missing(&self, server: &Url, principal: &Principal, request: &TokenRequest) -> Vec<String> {
        let details: Value = serde_json::from_str(&request.authorization_details).unwrap_or_default();
        let mut missing = Vec::new();
        for detail in details.as_array().into_iter().flatten() {
            for privilege in detail["privileges"].as_array().into_iter().flatten() {
                let mut alone = detail.clone();
                alone["privileges"] = json!([privilege]);
                let answer = self
                    .ask(server, principal, request, &json!([alone]).to_string())
                    .await;
                if answer.is_ok_and(|answer| answer.body["error"] == "invalid_authorization_details") {
                    missing.push(grant(privilege, detail));
                }
            }
        }
        missing
    }

    async fn ask(
        &self,
        server: &Url,
        principal: &Principal,
        request: &TokenRequest,
        details: &str,
    ) -> Result<Answer, PluginError> {
        let mut address = server.clone();
        address.set_path("/oidc/v1/token");
        let response = self
            .client(server)?
            .post(address)
            .basic_auth(&principal.id, Some(&principal.secret))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(request, details))
            .send()
            .await
            .map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| {
            let seconds: u64 = value.to_str().ok()?.trim().parse().ok()?;
            Some(Duration::from_secs(seconds.min(LONGEST_WAIT_S)))
        });
        let body = response.bytes().await.map_err(|error| unreachable(&error))?;
        Ok(Answer {
            status,
            retry_after,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    fn client(&self, server: &Url) -> Result<&reqwest::Client, PluginError> {
        let is_local = is_loopback(server);
        let slot = if is_local { &self.local } else { &self.remote };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        // A redirect would take the secret along to wherever it leads.
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(FETCH_WITHIN);
        if is_local {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| unreachable(&error))?;
        Ok(slot.get_or_init(|| client))
    }
}

fn read(reference: &SecretReference, what: &str) -> Result<String, PluginError> {
    let place = match reference {
        SecretReference::Env(name) => format!("the environment variable `{name}`"),
        SecretReference::File(path) => format!("the file `{path}`"),
    };
    match reference.read() {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(_) | Err(_) => Err(PluginError::new(
            Category::ConfigInvalid,
            "TOKEN-002",
            format!("the service principal's {what} is not set: {place}"),
        )
        .hint("set it, or name another place in `[databricks]`; then `$resume` the destination")),
    }
}

/// The form of a question (W 1.1, 1.2).
fn form(request: &TokenRequest, details: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let scope = if request.scope.is_empty() {
        "all-apis"
    } else {
        &request.scope
    };
    form.append_pair("grant_type", "client_credentials");
    form.append_pair("scope", scope);
    for (name, value) in [
        ("resource", request.resource.as_str()),
        ("authorization_details", details),
    ] {
        if !value.is_empty() {
            form.append_pair(name, value);
        }
    }
    form.finish()
}

/// `expires_in` may be a number or a number's text (W 1.1).
fn fetched(body: &Value) -> Result<Fetched, PluginError> {
    let bearer = body["access_token"].as_str().unwrap_or_default();
    if bearer.is_empty() || !bearer.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(PluginError::new(
            Category::RemoteUnavailable,
            "TOKEN-007",
            "the token endpoint answered without a token",
        )
        .hint("look for a proxy between here and the workspace"));
    }
    let expires = &body["expires_in"];
    let seconds = expires.as_u64().or_else(|| expires.as_str()?.trim().parse().ok());
    Ok(Fetched {
        bearer: Secret::new(bearer),
        lasts_ms: seconds.map(|seconds| seconds.saturating_mul(1000)),
    })
}

fn refused(answer: &Answer) -> PluginError {
    let code = code(answer);
    let error = match answer.status {
        408 | 500.. => PluginError::new(
            Category::RemoteUnavailable,
            "TOKEN-006",
            format!("the token endpoint answered {}", answer.status),
        ),
        429 => PluginError::new(
            Category::Throttled,
            "TOKEN-006",
            "the token endpoint asks for a slower pace",
        ),
        _ if code == "invalid_client" => PluginError::new(
            Category::AuthDenied,
            "TOKEN-003",
            "the workspace does not accept the service principal's id and secret",
        )
        .hint(
            "see that it is in the workspace and that the secret is current; then `$resume` the destination",
        ),
        _ => PluginError::new(
            Category::AuthDenied,
            "TOKEN-005",
            format!("the token endpoint refuses the request: {} {code}", answer.status),
        )
        .hint("see that the service principal has access to the workspace"),
    };
    let waits = matches!(error.category, Category::Throttled | Category::RemoteUnavailable);
    let error = match (waits, answer.retry_after) {
        (true, Some(wait)) => error.after(wait),
        _ => error,
    };
    with_remote(error, answer)
}

fn grants_missing(answer: &Answer, missing: &[String], principal: &str) -> PluginError {
    let message = match missing {
        [] => "the service principal lacks a grant that the ingest service asks for, or the table is missing"
            .to_owned(),
        _ => format!(
            "the service principal lacks {}, or that object is missing",
            missing.join(", ")
        ),
    };
    let hint = format!(
        "grant it to `{principal}` itself, not by a group or ALL PRIVILEGES; then `$resume` the destination"
    );
    with_remote(
        PluginError::new(Category::AuthDenied, "TOKEN-004", message).hint(hint),
        answer,
    )
}

/// As a person would say it: ``MODIFY on table `c.s.t` ``.
fn grant(privilege: &Value, detail: &Value) -> String {
    let kind = detail["object_type"].as_str().unwrap_or("object").to_lowercase();
    let name = detail["object_full_path"].as_str().unwrap_or_default();
    format!("{} on {kind} `{name}`", privilege.as_str().unwrap_or_default())
}

/// The error's name where it is one; free text stays out.
fn code(answer: &Answer) -> &str {
    let code = answer.body["error"].as_str().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if code.len() <= 64 && code.bytes().all(is_plain) {
        code
    } else {
        ""
    }
}

fn with_remote(error: PluginError, answer: &Answer) -> PluginError {
    let request_id = answer.body["request_id"].as_str().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let request_id = if request_id.bytes().all(is_plain) {
        request_id
    } else {
        ""
    };
    error
        .detail(answer.body["error_description"].as_str().unwrap_or_default())
        .remote(Remote {
            status: u32::from(answer.status),
            code: code(answer).to_owned(),
            request_id: request_id.to_owned(),
        })
}

fn unreachable(error: &reqwest::Error) -> PluginError {
    let what = if error.is_timeout() {
        "no answer in time"
    } else {
        "no connection"
    };
    PluginError::new(
        Category::RemoteUnavailable,
        "TOKEN-006",
        format!("the token endpoint cannot be reached: {what}"),
    )
    .detail(error.to_string())
}
