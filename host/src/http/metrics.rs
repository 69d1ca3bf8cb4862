//! `GET /metrics`: counters and gauges of each destination, in the text form that Prometheus reads.

use axum::http::StatusCode;
use axum::response::Response;

use crate::intake::feed::Counts;
use crate::status::prometheus;

use super::outcome::Outcome;
use super::{App, overview, respond};

/// The metrics of all destinations.
pub(super) async fn metrics(app: &App) -> Result<Response, Outcome> {
    let mut text = prometheus(&overview::all(app).await?);
    text.push_str(&of_feeds(app.feeds.counts()));
    Ok(respond::typed(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    ))
}

/// What feeds brought since the host started.
fn of_feeds(counts: Counts) -> String {
    let mut text = String::new();
    for (name, help, count) in [
        (
            "stored",
            "versions that feeds brought and that were stored",
            counts.stored,
        ),
        (
            "unchanged",
            "versions that feeds brought again, or late",
            counts.unchanged,
        ),
        (
            "unfetched",
            "events of feeds that named a resource without its content",
            counts.unfetched,
        ),
        (
            "missed",
            "events of feeds that did not come, by their numbers",
            counts.missed,
        ),
    ] {
        let name = format!("lakefeed_feed_{name}_total");
        text.push_str(&format!(
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}\n"
        ));
    }
    text
}
