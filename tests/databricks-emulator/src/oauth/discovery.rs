//! The two documents that the vendor's clients ask first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::workspace::Workspace;

/// The address that the client used.
fn base(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("127.0.0.1");
    format!("http://{host}")
}

pub(super) async fn config(State(workspace): State<Arc<Workspace>>, headers: HeaderMap) -> Json<Value> {
    let base = base(&headers);
    Json(json!({
        "oidc_endpoint": format!("{base}/oidc"),
        "account_id": "00000000-0000-4000-8000-000000000001",
        "workspace_id": workspace.options.workspace_id.to_string(),
        "cloud": "aws",
        "token_federation_default_oidc_audiences": [format!("{base}/oidc/v1/token")],
    }))
}

pub(super) async fn authorization_server(headers: HeaderMap) -> Json<Value> {
    let base = base(&headers);
    Json(json!({
        "authorization_endpoint": format!("{base}/oidc/v1/authorize"),
        "token_endpoint": format!("{base}/oidc/v1/token"),
    }))
}
