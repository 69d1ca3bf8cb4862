//! Batches: each entry is a request for itself, answered as if it had come alone.
//!
//! Entries about one resource keep their order; others run side by side, so that they share commits. What a client
//! that goes away has not seen answered may be done or not, as with single requests.

use axum::http::header::{CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;

use crate::intake::bundle::lanes::{self, Part};
use crate::intake::bundle::request::Method as EntryMethod;
use crate::intake::bundle::{self, At, BundleRefusal, Entry, Request};

use super::FHIR_JSON;
use super::ask::{Ask, parse_query};
use super::entries::{Answered, Room};
use super::outcome::Outcome;
use super::route::Route;

/// How many entries are worked on at once.
const AT_ONCE: usize = 256;

/// Answers a request below `/fhir`, as the router does.
pub(super) trait Dispatch: Sync {
    /// Answers one request.
    fn answer<'a>(&'a self, route: &'a Route, ask: &'a Ask) -> BoxFuture<'a, Result<Response, Outcome>>;
}

/// Does all entries; the answers are in their order.
pub(super) async fn batch(
    dispatch: &dyn Dispatch,
    ask: &Ask,
    entries: &[Entry],
    room: &Room,
) -> Vec<Answered> {
    let mut answers: Vec<Option<Answered>> = entries.iter().map(|_| None).collect();
    for part in lanes::parts(entries, &ask.base) {
        let lanes = match part {
            Part::Alone(index) => vec![vec![index]],
            Part::Together(lanes) => lanes,
        };
        let working = stream::iter(lanes).map(|lane| one_after_the_other(dispatch, ask, entries, lane, room));
        let mut working = working.buffer_unordered(AT_ONCE);
        while let Some(lane) = working.next().await {
            for (index, answered) in lane {
                answers[index] = Some(answered);
            }
        }
    }
    let none = || Answered::empty(StatusCode::INTERNAL_SERVER_ERROR);
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(none))
        .collect()
}

async fn one_after_the_other(
    dispatch: &dyn Dispatch,
    ask: &Ask,
    entries: &[Entry],
    lane: Vec<usize>,
    room: &Room,
) -> Vec<(usize, Answered)> {
    let mut answers = Vec::with_capacity(lane.len());
    for index in lane {
        answers.push((index, one(dispatch, ask, index, &entries[index], room).await));
    }
    answers
}

/// Does one entry.
pub(super) async fn one(
    dispatch: &dyn Dispatch,
    ask: &Ask,
    index: usize,
    entry: &Entry,
    room: &Room,
) -> Answered {
    match asked(ask, index, entry) {
        Ok((route, entry_ask)) => {
            let answer = dispatch.answer(&route, &entry_ask).await;
            let answer = answer.map_err(|outcome| outcome.within(index));
            Answered::of(answer, &entry_ask, room).await
        }
        Err(at) => Answered::of(Err(at.into()), ask, room).await,
    }
}

/// The request that an entry is.
fn asked(around: &Ask, index: usize, entry: &Entry) -> Result<(Route, Ask), At> {
    let at = |element: &str, refusal| At::entry(index, element, refusal);
    let missing = || at("request", BundleRefusal::Missing("request"));
    let request = entry.request.as_ref().ok_or_else(missing)?;
    let method = EntryMethod::of(&request.method).map_err(|refusal| at("request.method", refusal))?;
    let misdirected = || at("request.url", method.misdirected());
    let (route, query) = address(request, &around.base).ok_or_else(misdirected)?;
    if !route.is_for_an_entry() {
        return Err(misdirected());
    }
    let mut headers =
        headers(around, request).map_err(|(element, name)| at(element, BundleRefusal::Version(name)))?;
    let body = entry.resource.clone().unwrap_or_default();
    let (media_type, body) = match (method, entry.resource.as_ref()) {
        (EntryMethod::Patch, Some(resource)) => {
            bundle::patch_of(resource).ok_or_else(|| at("resource", BundleRefusal::PatchKind))?
        }
        (EntryMethod::Post, None) if matches!(route, Route::Type(_)) => {
            return Err(at("resource", BundleRefusal::Missing("resource")));
        }
        (EntryMethod::Put | EntryMethod::Patch, None) => {
            return Err(at("resource", BundleRefusal::Missing("resource")));
        }
        _ => (FHIR_JSON.to_owned(), body),
    };
    if let Ok(media_type) = HeaderValue::from_str(&media_type) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    let ask = Ask {
        method: Method::from_bytes(method.as_str().as_bytes()).unwrap_or_default(),
        query: parse_query(query.as_bytes()),
        headers,
        body,
        base: around.base.clone(),
        access: around.access,
    };
    Ok((route, ask))
}

/// What an entry's address names, and its query; none when it is another server's.
pub(super) fn address<'r>(request: &'r Request, base: &str) -> Option<(Route, &'r str)> {
    let path = request.path(base)?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Some((Route::of(&format!("/fhir/{path}")), query))
}

/// The headers that an entry's request has; what the Bundle's own request prefers holds for each.
fn headers(around: &Ask, request: &Request) -> Result<HeaderMap, (&'static str, &'static str)> {
    const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");
    const PREFER: HeaderName = HeaderName::from_static("prefer");
    let mut headers = HeaderMap::new();
    for value in around.headers.get_all(&PREFER) {
        headers.append(PREFER, value.clone());
    }
    for (name, value, element, stated) in [
        (IF_MATCH, &request.if_match, "request.ifMatch", "ifMatch"),
        (
            IF_NONE_MATCH,
            &request.if_none_match,
            "request.ifNoneMatch",
            "ifNoneMatch",
        ),
        (
            IF_NONE_EXIST,
            &request.if_none_exist,
            "request.ifNoneExist",
            "ifNoneExist",
        ),
    ] {
        if let Some(value) = value {
            let value = HeaderValue::from_str(value).map_err(|_| (element, stated))?;
            headers.insert(name, value);
        }
    }
    // FHIR writes this one as an instant, HTTP as a date.
    if let Some(since) = request
        .if_modified_since
        .as_deref()
        .and_then(crate::change::Timestamp::parse)
        && let Ok(date) = HeaderValue::from_str(&since.to_http_date())
    {
        headers.insert(IF_MODIFIED_SINCE, date);
    }
    Ok(headers)
}
