//! `GET /metrics`: counters and gauges of each destination, in the text form that Prometheus reads.

use axum::http::StatusCode;
use axum::response::Response;

use crate::status::prometheus;

use super::outcome::Outcome;
use super::{App, overview, respond};

/// The metrics of all destinations.
pub(super) async fn metrics(app: &App) -> Result<Response, Outcome> {
    let text = prometheus(&overview::all(app).await?);
    Ok(respond::typed(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    ))
}
