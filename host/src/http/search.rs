//! Search by id, by identifier and by the time of the last update, and of this host's own types by the elements that
//! join them.
//!
//! A search is understood whole or refused: a parameter that was ignored would answer more than was asked for. The
//! link to the next page names the last resource of this one, so that what is written between the two shifts nothing.

use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::change::Version;
use crate::intake::created_at;
use crate::log::Place;

use super::ask::{Ask, parse_query};
use super::bundle::{Entry, bundle};
use super::outcome::Outcome;
use super::{App, respond};

use wanted::Wanted;

mod elements;
mod found;
mod wanted;

/// Resources on a page when `_count` is not given.
pub(super) const COUNT: usize = 100;
/// The most resources on a page.
const MAX_COUNT: usize = 1000;

/// `GET /fhir/T?…`
pub(super) async fn by_get(app: &App, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    answer(app, ask, resource_type, &ask.query).await
}

/// `POST /fhir/T/_search`
pub(super) async fn by_post(app: &App, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    if ask.method != Method::POST {
        return Err(Outcome::method_not_allowed("POST"));
    }
    let stated = ask.header(&CONTENT_TYPE).unwrap_or_default();
    if !stated.starts_with("application/x-www-form-urlencoded") && !ask.body.is_empty() {
        return Err(Outcome::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-supported",
            "a posted search is `application/x-www-form-urlencoded`",
        ));
    }
    let mut query = ask.query.clone();
    query.extend(parse_query(&ask.body));
    answer(app, ask, resource_type, &query).await
}

/// Whether a parameter shapes the answer's form only and is not looked at here.
pub(super) fn is_about_the_answer(name: &str) -> bool {
    matches!(name, "_format" | "_pretty")
}

/// Reads `_count`; more than the most is the most.
pub(super) fn count_of(value: &str) -> Result<usize, Outcome> {
    value
        .parse()
        .map(|count: usize| count.min(MAX_COUNT))
        .map_err(|_| Outcome::bad_request("value", "`_count` is a whole number from 0"))
}

async fn answer(
    app: &App,
    ask: &Ask,
    resource_type: &str,
    query: &[(String, String)],
) -> Result<Response, Outcome> {
    let wanted = Wanted::of(resource_type, query)?;
    let found = found::find(app, &wanted).await?;
    let first = ask.url(&format!("{resource_type}?{}", wanted.query()));
    let mut links = vec![
        ("self", format!("{first}{}", wanted.here())),
        ("first", first.clone()),
    ];
    if let (true, Some(last)) = (found.has_more, found.versions.last()) {
        links.push(("next", format!("{first}{}", wanted::behind(&Place::of(last)))));
    }
    let entries = found.versions.iter().map(|version| entry(ask, &wanted, version));
    let entries: Vec<Entry> = entries.collect();
    Ok(respond::fhir(
        StatusCode::OK,
        bundle("searchset", found.total, &links, &entries),
    ))
}

fn entry(ask: &Ask, wanted: &Wanted, version: &Version) -> Entry {
    let whole = created_at::inject(&version.resource, version.created_at);
    Entry {
        full_url: ask.url(&version.key.to_string()),
        resource: match &wanted.elements {
            Some(names) => elements::only(&whole, names),
            None => whole,
        },
        rest: json!({"search": {"mode": "match"}}),
    }
}
