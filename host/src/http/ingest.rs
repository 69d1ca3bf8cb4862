//! `/ingest/NAME`: what other FHIR servers send of their own accord.
//!
//! A feed has a name and a kind. One of each kind is there without being configured: `bundle`, `hapi`, `medplum`.
//! An answer of 2xx means that all of the delivery is durable; on any other nothing of it is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::header::HeaderName;
use axum::http::{Method, StatusCode};
use axum::response::Response;

use crate::change::Timestamp;
use crate::config::FeedKind;
use crate::intake::bundle::{self, Bundle, Kind};
use crate::intake::feed::{FeedError, Received, signature};

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::{App, respond};

/// A feed that may be sent to.
#[derive(Clone)]
pub struct Feed {
    /// How it is sent.
    pub kind: FeedKind,
    /// What its bodies are signed with, if they must be.
    pub secret: Option<Arc<str>>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Feed")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The feeds that are there without being configured.
pub(super) fn defaults() -> BTreeMap<String, Feed> {
    let kinds = [
        ("bundle", FeedKind::Bundle),
        ("hapi", FeedKind::Hapi),
        ("medplum", FeedKind::Medplum),
    ];
    let feed = |(name, kind): (&str, FeedKind)| (name.to_owned(), Feed { kind, secret: None });
    kinds.into_iter().map(feed).collect()
}

/// Answers a delivery to a feed; `below` is the path behind its name.
pub(super) async fn answer(
    app: &App,
    ask: &Ask,
    feed: Option<&Feed>,
    below: &[String],
    max_entries: usize,
) -> Result<Response, Outcome> {
    let feed = feed.ok_or_else(|| Outcome::not_found("there is no feed of this name; see `[feeds]`"))?;
    check_signature(ask, feed)?;
    let below: Vec<&str> = below.iter().map(String::as_str).collect();
    let received = match (feed.kind, below.as_slice()) {
        (FeedKind::Bundle, []) => notification(app, ask, max_entries).await?,
        (FeedKind::Hapi, rest) => hapi(app, ask, rest, max_entries).await?,
        (FeedKind::Medplum, []) => medplum(app, ask).await?,
        _ => {
            return Err(Outcome::not_found(
                "a feed of this kind is sent to its own address alone",
            ));
        }
    };
    Ok(answer_of(&received))
}

/// Takes a notification; also such as are sent to `POST /fhir`.
pub(super) async fn notification(app: &App, ask: &Ask, max_entries: usize) -> Result<Received, Outcome> {
    only_post(ask)?;
    ask.require_json()?;
    let now = Timestamp::now();
    Ok(app.feeds.notification(ask.body.clone(), max_entries, now).await?)
}

/// HAPI's rest-hook: the resource by PUT or POST under its address, a delete by DELETE, or a Bundle of such.
async fn hapi(app: &App, ask: &Ask, below: &[&str], max_entries: usize) -> Result<Received, Outcome> {
    match (&ask.method, below) {
        (&Method::DELETE, [name, id]) => Ok(app.feeds.delete(name, id, Timestamp::now()).await?),
        (&Method::PUT | &Method::POST, [name, id]) => {
            ask.require_json()?;
            Ok(app.feeds.put(Some((name, id)), &ask.body).await?)
        }
        (&Method::POST, [_]) => {
            ask.require_json()?;
            Ok(app.feeds.put(None, &ask.body).await?)
        }
        (&Method::POST, []) if ask.body.is_empty() => {
            let text =
                "the body is empty: give the subscription's channel the payload `application/fhir+json`";
            Err(Outcome::bad_request("required", text))
        }
        (&Method::POST, []) => {
            ask.require_json()?;
            let text = ask.body.clone();
            let parsed = tokio::task::spawn_blocking(move || bundle::parse(&text, max_entries)).await;
            let Bundle { kind, entries } = parsed.map_err(|_| Outcome::internal())??;
            if !matches!(kind, Kind::Transaction | Kind::Batch) {
                return Err(bundle::At::of_kind().into());
            }
            Ok(app.feeds.requests(&entries, Timestamp::now()).await?)
        }
        (_, [] | [_]) => Err(Outcome::method_not_allowed("POST")),
        (_, [_, _]) => Err(Outcome::method_not_allowed("PUT, POST, DELETE")),
        _ => Err(Outcome::not_found("there is nothing at this path")),
    }
}

/// Medplum's rest-hook: the resource, or `{}` and a header that names what was deleted.
async fn medplum(app: &App, ask: &Ask) -> Result<Received, Outcome> {
    const INTERACTION: HeaderName = HeaderName::from_static("x-medplum-interaction");
    const DELETED: HeaderName = HeaderName::from_static("x-medplum-deleted-resource");
    only_post(ask)?;
    ask.require_json()?;
    match (ask.header(&INTERACTION), ask.header(&DELETED)) {
        (Some("delete"), None) => {
            let text = "a delete is named by `X-Medplum-Deleted-Resource: Type/id`";
            Err(Outcome::bad_request("required", text))
        }
        (_, Some(deleted)) => {
            let named = deleted.split_once('/').filter(|(_, id)| !id.contains('/'));
            let form = "`X-Medplum-Deleted-Resource` is a type and an id: `Patient/p-1`";
            let (name, id) = named.ok_or_else(|| Outcome::bad_request("value", form))?;
            Ok(app.feeds.delete(name, id, Timestamp::now()).await?)
        }
        (_, None) => Ok(app.feeds.put(None, &ask.body).await?),
    }
}

fn only_post(ask: &Ask) -> Result<(), Outcome> {
    match ask.method {
        Method::POST => Ok(()),
        _ => Err(Outcome::method_not_allowed("POST")),
    }
}

fn check_signature(ask: &Ask, feed: &Feed) -> Result<(), Outcome> {
    const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
    let Some(secret) = &feed.secret else {
        return Ok(());
    };
    let stated = ask.header(&SIGNATURE).unwrap_or_default();
    match signature::is_of(stated, secret, &ask.body) {
        true => Ok(()),
        false => Err(Outcome::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "`X-Signature` is not this feed's: the hexadecimal HMAC-SHA256 of the body",
        )),
    }
}

/// What became of a delivery, in words; what is missing is a warning.
pub(super) fn answer_of(received: &Received) -> Response {
    let mut issues = vec![Issue {
        severity: "information",
        ..Issue::new(
            "informational",
            format!("{} stored, {} unchanged", received.stored, received.unchanged),
        )
    }];
    let warning = |text: String| Issue {
        severity: "warning",
        ..Issue::new("incomplete", text)
    };
    issues.extend(received.gaps.iter().map(|gap| {
        warning(format!(
            "events {} to {} of the subscription did not come; ask the server for them by `$events`",
            gap.from, gap.to
        ))
    }));
    if received.unfetched > 0 {
        issues.push(warning(format!(
            "{} events name resources without their content, which are not fetched; let the subscription send `full-resource`",
            received.unfetched
        )));
    }
    respond::fhir_json(StatusCode::OK, &Outcome::of(StatusCode::OK, issues).to_json())
}

impl From<FeedError> for Outcome {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Refused(at) => at.into(),
            FeedError::Log(error) => error.into(),
        }
    }
}
