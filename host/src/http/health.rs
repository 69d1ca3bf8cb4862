//! `GET /health`: whether the server answers and its store does, as the health-check draft's JSON.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::change::Timestamp;

use super::{App, respond};

/// 200 and `pass` when the store answers, 503 and `fail` when it does not.
pub(super) async fn health(app: &App) -> Response {
    let asked = Timestamp::now();
    let store = app.log.destinations().await;
    let now = Timestamp::now();
    if let Err(error) = &store {
        tracing::warn!(error = %error, "the store does not answer the health check");
    }
    let (status, word) = match store {
        Ok(_) => (StatusCode::OK, "pass"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "fail"),
    };
    let body = json!({
        "status": word,
        "about": {"name": "lakefeed", "version": env!("CARGO_PKG_VERSION")},
        "checks": {
            "uptime": [{"componentType": "system", "observedUnit": "s",
                "observedValue": (now.0 - app.started.0) / 1_000_000, "status": "pass"}],
            "db:responseTime": [{"componentType": "datastore", "observedUnit": "ms",
                "observedValue": (now.0 - asked.0) / 1_000, "status": word}],
        },
    });
    respond::typed(status, "application/health+json", body.to_string())
}
