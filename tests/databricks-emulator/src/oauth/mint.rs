//! `POST /oidc/v1/token`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::details::{Authorised, authorise};
use super::token::{Claims, TokenKind};
use crate::faults::Fault;
use crate::workspace::Workspace;

/// How long a token is valid, in seconds.
const LIFETIME: u64 = 3600;

fn refusal(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({
        "error": error,
        "request_id": uuid::Uuid::new_v4().to_string(),
        "error_description": description,
    });
    (status, Json(body)).into_response()
}

/// The answer to credentials that are not right.
pub(crate) fn invalid_client() -> Response {
    let body = json!({
        "error": "invalid_client",
        "error_description": "Client authentication failed",
    });
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

fn invalid_details() -> Response {
    refusal(
        StatusCode::UNAUTHORIZED,
        "invalid_authorization_details",
        "User is not authorized to the requested authorizations",
    )
}

/// The id and the secret: from the header, else from the form.
fn credentials(headers: &HeaderMap, form: &HashMap<String, String>) -> Option<(String, String)> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let encoded = value.to_str().ok()?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        return Some((decoded(id), decoded(secret)));
    }
    Some((form.get("client_id")?.clone(), form.get("client_secret")?.clone()))
}

/// OAuth says that both halves are form-encoded before they are joined; plain ones are the same either way.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

fn is_right(workspace: &Workspace, id: &str, secret: &str) -> bool {
    workspace.read(|catalog| {
        catalog.principals.get(id).is_some_and(|principal| {
            principal
                .secrets
                .iter()
                .any(|known| bool::from(known.as_bytes().ct_eq(secret.as_bytes())))
        })
    })
}

pub(super) async fn mint(
    State(workspace): State<Arc<Workspace>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    match checked(&workspace, &headers, &form) {
        Ok((subject, authorised)) => issue(&workspace, subject, authorised),
        Err(response) => {
            workspace.counters.add("mints-refused", 1);
            *response
        }
    }
}

type Checked = (String, Option<Authorised>);

fn checked(
    workspace: &Workspace,
    headers: &HeaderMap,
    form: &HashMap<String, String>,
) -> Result<Checked, Box<Response>> {
    let bad = |error: &str, description: &str| Box::new(refusal(StatusCode::BAD_REQUEST, error, description));
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        Some(_) => return Err(bad("unsupported_grant_type", "The grant type is not supported")),
        None => return Err(bad("invalid_request", "grant_type is missing")),
    }
    let Some((id, secret)) = credentials(headers, form) else {
        return Err(Box::new(invalid_client()));
    };
    if !is_right(workspace, &id, &secret) {
        return Err(Box::new(invalid_client()));
    }
    match form.get("scope").map(String::as_str) {
        Some("all-apis") => {}
        Some(scope) => {
            return Err(Box::new(refusal(
                StatusCode::FORBIDDEN,
                "access_denied",
                &format!("Scopes '{scope}' are not assigned to the client {id}"),
            )));
        }
        None => return Err(bad("invalid_scope", "scope is missing")),
    }
    let Some(details) = form.get("authorization_details") else {
        return Ok((id, None));
    };
    if !is_audience(
        workspace,
        form.get("resource").map(String::as_str).unwrap_or_default(),
    ) {
        return Err(bad("invalid_target", "Invalid token audience"));
    }
    let caller = workspace.as_caller(id.clone());
    match workspace.read(|catalog| authorise(catalog, &caller, details)) {
        Some(authorised) => Ok((id, Some(authorised))),
        None => Err(Box::new(invalid_details())),
    }
}

/// Whether a resource names this workspace's Zerobus. Clients take the id from the host, so on loopback it may be the
/// host's first label.
fn is_audience(workspace: &Workspace, resource: &str) -> bool {
    let id = resource
        .strip_prefix("api://databricks/workspaces/")
        .and_then(|rest| rest.strip_suffix("/zerobusDirectWriteApi"));
    let ours = workspace.options.workspace_id.to_string();
    id.is_some_and(|id| id == ours || id == "127" || id.starts_with("localhost"))
}

fn issue(workspace: &Workspace, subject: String, authorised: Option<Authorised>) -> Response {
    let lifetime = workspace
        .faults
        .peek(Fault::TokenLifetime)
        .and_then(|setting| setting.seconds)
        .unwrap_or(LIFETIME);
    let now = workspace.clock.now_ms();
    let expires_at = now + i64::try_from(lifetime).unwrap_or(i64::MAX / 2000) * 1000;
    let kind = if authorised.is_some() {
        TokenKind::Zerobus
    } else {
        TokenKind::Plain
    };
    let authorised = authorised.unwrap_or_default();
    let name = match kind {
        TokenKind::Plain => "mints".to_owned(),
        TokenKind::Zerobus => format!("mints:{}", authorised.table),
    };
    let claims = Claims {
        subject,
        kind,
        issued_at: now,
        expires_at,
        exp: expires_at / 1000,
        id: uuid::Uuid::new_v4().to_string(),
        table: authorised.table,
        has_way: authorised.has_way,
        has_rights: authorised.has_rights,
    };
    let key = workspace.read(|catalog| catalog.token_key.clone());
    let Some(token) = claims.sign(&key) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    workspace.counters.add(&name, 1);
    Json(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": "all-apis",
    }))
    .into_response()
}
