//! The listener: one request in, the switches around it, one answer out.

mod error;
mod faulted;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

pub(crate) use error::ApiError;
pub(crate) use faulted::answer;
pub(crate) use serve::serve;

use crate::workspace::Workspace;

/// What a body may have at most: a statement of 16 MiB and its JSON escapes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// All routes.
pub(crate) fn router(workspace: Arc<Workspace>) -> Router {
    Router::new()
        .merge(crate::oauth::routes())
        .merge(crate::catalog::rest::routes())
        .merge(crate::zerobus::routes())
        .merge(crate::sql::routes())
        .merge(crate::faults::http::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(workspace)
}

/// Under `/api/2.0/sql/` an unknown path has an empty answer; elsewhere, and for a known path with another method, the
/// gateway says what it looked for.
async fn no_route(request: Request) -> Response {
    let path = request.uri().path();
    let known = ["/api/2.0/sql/statements", "/api/2.0/sql/warehouses"];
    if path.starts_with("/api/2.0/sql/") && !known.contains(&path.trim_end_matches('/')) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let shown = path
        .strip_prefix("/api/2.0")
        .or_else(|| path.strip_prefix("/api/2.1"))
        .unwrap_or(path);
    ApiError::missing(
        "ENDPOINT_NOT_FOUND",
        format!("No API found for '{} {shown}'", request.method()),
    )
    .into_response()
}
