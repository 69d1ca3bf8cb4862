//! `GET /`: one plain page that shows each destination and refreshes itself. It has no script, and loads nothing.

use std::fmt::Write as _;

use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::change::Timestamp;
use crate::status::{DestinationStatus, DestinationSummary};

use super::outcome::{Outcome, escape_html};
use super::{App, overview, respond};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1a1a1a;background:#fff}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem;border-bottom:1px solid #ddd;\
    vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}progress{width:8rem}\
    .bad{color:#a40000;font-weight:600}.note{color:#555}";

/// The page, as things are now.
pub(super) async fn answer(app: &App) -> Result<Response, Outcome> {
    let all = overview::all(app).await?;
    let rows: Vec<DestinationSummary> = all.iter().map(DestinationStatus::summary).collect();
    Ok(page(&rows, &Timestamp::now().to_string()))
}

fn page(rows: &[DestinationSummary], now: &str) -> Response {
    let mut response = respond::typed(StatusCode::OK, "text/html; charset=utf-8", html(rows, now));
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// Nothing may be loaded or run but the page's own style.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn html(rows: &[DestinationSummary], now: &str) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>lakefeed</title>\
         <meta http-equiv=\"refresh\" content=\"5\"><style>{STYLE}</style></head><body><h1>lakefeed</h1>"
    );
    match rows.is_empty() {
        true => {
            html.push_str("<p>There are no destinations yet. POST an AidboxTopicDestination to make one.</p>")
        }
        false => push_table(&mut html, rows),
    }
    push(
        &mut html,
        format_args!(
            "<p class=\"note\">{} \u{b7} version {} \u{b7} refreshes every 5 seconds</p></body></html>",
            escape_html(now),
            env!("CARGO_PKG_VERSION"),
        ),
    );
    html
}

fn push_table(html: &mut String, rows: &[DestinationSummary]) {
    html.push_str(
        "<table><thead><tr><th>Destination</th><th>State</th><th>Progress</th><th>Waiting</th><th>Lag</th>\
         <th>Delivered</th><th>Changes/s</th><th>Dead letters</th><th>Last error</th></tr></thead><tbody>",
    );
    for row in rows {
        push_row(html, row);
    }
    html.push_str("</tbody></table>");
}

fn push_row(html: &mut String, row: &DestinationSummary) {
    push(
        html,
        format_args!(
            "<tr><td>{}</td><td{}>{}</td><td><progress max=\"1\" value=\"{:.4}\"></progress></td>\
             <td class=\"n\">{}</td><td class=\"n\">{:.1} s</td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td>\
             <td{}>{}</td><td>{}</td></tr>",
            escape_html(&row.id),
            bad(row.state == "halted"),
            state(row),
            row.progress,
            row.queued,
            row.lag_seconds,
            row.delivered,
            row.changes_per_second,
            bad(row.dead_letters > 0),
            row.dead_letters,
            last_error(row),
        ),
    );
}

fn bad(is_bad: bool) -> &'static str {
    if is_bad { " class=\"bad\"" } else { "" }
}

/// The stored state, what the worker does, and why it halted.
fn state(row: &DestinationSummary) -> String {
    let worker = row.worker.as_deref().unwrap_or("not running here");
    let reason = row
        .reason
        .as_deref()
        .map(|reason| format!("<br>{}", escape_html(reason)));
    format!(
        "{}, {}{}",
        escape_html(&row.state),
        escape_html(worker),
        reason.unwrap_or_default()
    )
}

fn last_error(row: &DestinationSummary) -> String {
    match (&row.last_error_at, &row.last_error) {
        (Some(at), Some(message)) => format!("{}<br>{}", escape_html(at), escape_html(message)),
        _ => "\u{2013}".to_owned(),
    }
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    html.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_line_with_its_lag_and_its_last_error() {
        let row = DestinationSummary {
            id: "lake".to_owned(),
            state: "halted".to_owned(),
            reason: Some("mend <it>".to_owned()),
            worker: None,
            delivered: 7,
            queued: 3,
            in_process: 0,
            lag_seconds: 2.04,
            changes_per_second: 1.5,
            dead_letters: 1,
            progress: 0.7,
            last_error: Some("the <table> is gone".to_owned()),
            last_error_at: Some("2026".to_owned()),
        };
        let html = html(&[row], "now");
        for part in [
            "<td>lake</td><td class=\"bad\">halted, not running here<br>mend &lt;it&gt;</td>",
            "<progress max=\"1\" value=\"0.7000\">",
            "<td class=\"n\">3</td><td class=\"n\">2.0 s</td><td class=\"n\">7</td><td class=\"n\">1.5</td>",
            "2026<br>the &lt;table&gt; is gone",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }

    #[test]
    fn the_page_may_load_and_run_nothing_from_elsewhere() {
        let response = page(&[], "now");
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        let html = html(&[], "now");
        assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
    }
}
