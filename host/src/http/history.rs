//! The versions of one resource.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::change::{Sequence, Version, VersionStatus};
use crate::intake::created_at;
use crate::log::HistoryPage;

use super::ask::Ask;
use super::bundle::{Entry, bundle};
use super::outcome::Outcome;
use super::search::{COUNT, count_of, is_about_the_answer};
use super::{App, read, respond};

/// A resource's versions, newest first, in pages of `_count`.
pub(super) async fn history(
    app: &App,
    ask: &Ask,
    resource_type: &str,
    id: &str,
) -> Result<Response, Outcome> {
    let key = read::key(resource_type, id)?;
    let page = Page::of(ask)?;
    let total = app.log.history_len(&key).await?;
    if total == 0 {
        return Err(read::not_found(&key));
    }
    let mut versions = app.log.history(&key, page.of_log()).await?;
    let has_more = versions.len() > page.count;
    versions.truncate(page.count);
    let first = ask.url(&format!("{key}/_history?_count={}", page.count));
    let here = page
        .before
        .map_or_else(|| first.clone(), |before| format!("{first}&_before={before}"));
    let mut links = vec![("self", here), ("first", first.clone())];
    if let (true, Some(last)) = (has_more, versions.last()) {
        links.push(("next", format!("{first}&_before={}", last.sequence)));
    }
    let entries: Vec<Entry> = versions.iter().map(|version| entry(ask, version)).collect();
    Ok(respond::fhir(
        StatusCode::OK,
        bundle("history", total, &links, &entries),
    ))
}

struct Page {
    count: usize,
    before: Option<Sequence>,
}

impl Page {
    /// One more than asked for tells whether there is a next page.
    fn of_log(&self) -> HistoryPage {
        HistoryPage {
            before: self.before,
            count: self.count + 1,
            ..HistoryPage::default()
        }
    }

    fn of(ask: &Ask) -> Result<Self, Outcome> {
        let mut page = Self {
            count: COUNT,
            before: None,
        };
        for (name, value) in &ask.query {
            match name.as_str() {
                "_count" => page.count = count_of(value)?.max(1),
                "_before" => page.before = Some(before(value)?),
                name if is_about_the_answer(name) => {}
                _ => {
                    return Err(Outcome::bad_request(
                        "not-supported",
                        "a history takes only `_count` and the links of its own pages",
                    ));
                }
            }
        }
        Ok(page)
    }
}

fn before(value: &str) -> Result<Sequence, Outcome> {
    value
        .parse()
        .map(Sequence)
        .map_err(|_| Outcome::bad_request("value", "`_before` is a version number"))
}

/// An entry; a deleted version repeats the resource, as it does in Aidbox.
fn entry(ask: &Ask, version: &Version) -> Entry {
    let key = &version.key;
    let (method, url, status) = match version.status {
        VersionStatus::Created => ("POST", key.resource_type().to_owned(), "201"),
        VersionStatus::Recreated => ("PUT", key.to_string(), "201"),
        VersionStatus::Updated => ("PUT", key.to_string(), "200"),
        VersionStatus::Deleted => ("DELETE", key.to_string(), "200"),
    };
    Entry {
        full_url: ask.url(&key.to_string()),
        resource: created_at::inject(&version.resource, version.created_at),
        rest: json!({
            "request": {"method": method, "url": url},
            "response": {
                "status": status,
                "etag": format!("W/\"{}\"", version.sequence),
                "lastModified": version.last_updated.to_string(),
            },
        }),
    }
}
