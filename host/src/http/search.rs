//! Search by id, and of this host's own types by the elements that join them.

use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::change::{Timestamp, Version};
use crate::intake::created_at;
use crate::log::{Place, Search};

use super::ask::{Ask, encode, parse_query};
use super::bundle::{Entry, bundle};
use super::outcome::Outcome;
use super::{App, respond};

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

/// What is searched for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    ids: Option<Vec<String>>,
    /// Members of the resource and the text that each must have.
    members: Vec<(&'static str, String)>,
    after: Option<String>,
    count: usize,
}

impl Wanted {
    fn of(resource_type: &str, query: &[(String, String)]) -> Result<Self, Outcome> {
        let mut wanted = Self {
            count: COUNT,
            ..Self::default()
        };
        for (name, value) in query {
            wanted.take(resource_type, name, value)?;
        }
        Ok(wanted)
    }

    fn take(&mut self, resource_type: &str, name: &str, value: &str) -> Result<(), Outcome> {
        match name {
            "_id" => self.take_ids(value),
            "_count" => self.count = count_of(value)?,
            "_after" => self.after = Some(value.to_owned()),
            name if is_about_the_answer(name) => {}
            name => match members(resource_type).iter().find(|member| **member == name) {
                Some(member) => self.members.push((member, value.to_owned())),
                None => return Err(unsupported(resource_type)),
            },
        }
        Ok(())
    }

    /// Several `_id` parameters must all hold, the values of one may each.
    fn take_ids(&mut self, value: &str) {
        let given = value
            .split(',')
            .map(|id| id.rsplit('/').next().unwrap_or(id).to_owned());
        self.ids = Some(match self.ids.take() {
            Some(ids) => given.filter(|id| ids.contains(id)).collect(),
            None => given.collect(),
        });
    }

    fn matches(&self, version: &Version) -> bool {
        if self.members.is_empty() {
            return true;
        }
        let Ok(resource) = serde_json::from_slice::<Value>(&version.resource) else {
            return false;
        };
        self.members
            .iter()
            .all(|(member, value)| resource.get(*member).and_then(Value::as_str) == Some(value.as_str()))
    }

    /// The query that leads to this search's first page.
    fn query(&self) -> String {
        let mut query = format!("_count={}", self.count);
        if let Some(ids) = &self.ids {
            query.push_str(&format!("&_id={}", encode(&ids.join(","))));
        }
        for (member, value) in &self.members {
            query.push_str(&format!("&{member}={}", encode(value)));
        }
        query
    }
}

/// The members that this host's own types can be searched by.
fn members(resource_type: &str) -> &'static [&'static str] {
    match resource_type {
        "AidboxSubscriptionTopic" => &["url", "status"],
        "AidboxTopicDestination" => &["topic", "kind"],
        "ViewDefinition" => &["url", "name", "resource", "status"],
        _ => &[],
    }
}

fn unsupported(resource_type: &str) -> Outcome {
    let mut known = vec!["_id", "_count"];
    known.extend(members(resource_type));
    Outcome::bad_request(
        "not-supported",
        format!(
            "a search parameter is not supported; supported here: {}",
            known.join(", ")
        ),
    )
}

async fn answer(
    app: &App,
    ask: &Ask,
    resource_type: &str,
    query: &[(String, String)],
) -> Result<Response, Outcome> {
    let wanted = Wanted::of(resource_type, query)?;
    let (total, mut versions) = match wanted.members.is_empty() {
        true => by_id(app, resource_type, &wanted).await?,
        false => by_members(app, resource_type, &wanted).await?,
    };
    let has_more = versions.len() > wanted.count;
    versions.truncate(wanted.count);
    let first = ask.url(&format!("{resource_type}?{}", wanted.query()));
    let here = match &wanted.after {
        Some(after) => format!("{first}&_after={}", encode(after)),
        None => first.clone(),
    };
    let mut links = vec![("self", here), ("first", first.clone())];
    if let (true, Some(last)) = (has_more, versions.last()) {
        links.push(("next", format!("{first}&_after={}", last.key.id())));
    }
    let entries: Vec<Entry> = versions.iter().map(|version| entry(ask, version)).collect();
    Ok(respond::fhir(
        StatusCode::OK,
        bundle("searchset", total, &links, &entries),
    ))
}

/// The total, and the page with one resource more than asked for, which tells whether there is a next one.
async fn by_id(app: &App, resource_type: &str, wanted: &Wanted) -> Result<(u64, Vec<Version>), Outcome> {
    let search = Search {
        resource_type: resource_type.to_owned(),
        ids: wanted.ids.clone(),
        after: wanted.after.as_deref().map(behind),
        count: wanted.count + 1,
        ..Search::default()
    };
    let total = app.log.search_total(&search).await?;
    let versions = match wanted.count {
        0 => Vec::new(),
        _ => app.log.search(&search).await?,
    };
    Ok((total, versions))
}

/// The same for this host's own types, of which there are few: all are looked at.
async fn by_members(app: &App, resource_type: &str, wanted: &Wanted) -> Result<(u64, Vec<Version>), Outcome> {
    let mut search = Search {
        resource_type: resource_type.to_owned(),
        ids: wanted.ids.clone(),
        count: MAX_COUNT,
        ..Search::default()
    };
    let mut found = Vec::new();
    loop {
        let page = app.log.search(&search).await?;
        let Some(last) = page.last() else { break };
        search.after = Some(Place::of(last));
        found.extend(page.into_iter().filter(|version| wanted.matches(version)));
    }
    let total = found.len() as u64;
    if let Some(after) = &wanted.after {
        found.retain(|version| version.key.id() > after.as_str());
    }
    found.truncate(if wanted.count == 0 { 0 } else { wanted.count + 1 });
    Ok((total, found))
}

/// The place of an id in an order by id.
fn behind(id: &str) -> Place {
    Place {
        id: id.to_owned(),
        last_updated: Timestamp::default(),
    }
}

fn entry(ask: &Ask, version: &Version) -> Entry {
    Entry {
        full_url: ask.url(&version.key.to_string()),
        resource: created_at::inject(&version.resource, version.created_at),
        rest: json!({"search": {"mode": "match"}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resource_type: &str, query: &str, expect: &str) {
        let wanted = Wanted::of(resource_type, &parse_query(query.as_bytes()));
        let text = wanted.map_or_else(|outcome| outcome.status().to_string(), |wanted| wanted.query());
        assert_eq!(text, expect, "{query}");
    }

    #[test]
    fn a_search_is_understood_or_refused_whole() {
        check("Patient", "", "_count=100");
        check("Patient", "_id=a,b&_count=2", "_count=2&_id=a,b");
        check("Patient", "_id=a,b&_id=b,c", "_count=100&_id=b");
        check("Patient", "_id=Patient/a", "_count=100&_id=a");
        check("Patient", "_count=99999", "_count=1000");
        check("Patient", "_count=-1", "400 Bad Request");
        check("Patient", "name=Smith", "400 Bad Request");
        check("Patient", "url=x", "400 Bad Request");
        check(
            "AidboxSubscriptionTopic",
            "url=http://a/b",
            "_count=100&url=http:%2F%2Fa%2Fb",
        );
        check("AidboxTopicDestination", "topic=t", "_count=100&topic=t");
    }
}
