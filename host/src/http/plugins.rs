//! `GET /plugins`: the plugins that lie in the directories, as `lakefeed plugins list --json` shows them.

use axum::http::StatusCode;
use axum::response::Response;

use super::outcome::Outcome;
use super::{App, JSON, respond};

/// The list. Manifests are read; nothing is loaded.
pub(super) async fn plugins(app: &App) -> Result<Response, Outcome> {
    let registry = app.plugins.clone();
    let list = tokio::task::spawn_blocking(move || serde_json::to_string(&registry.list())).await;
    match list {
        Ok(Ok(text)) => Ok(respond::typed(StatusCode::OK, JSON, text)),
        _ => Err(Outcome::internal()),
    }
}
