//! The versions of one resource, or of all of a type.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::change::{Sequence, Timestamp, Version, VersionStatus};
use crate::intake::created_at;
use crate::log::{During, HistoryPage, TypeHistory, Which};

use super::ask::{Ask, encode};
use super::bundle::{Entry, bundle};
use super::outcome::Outcome;
use super::period::Period;
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
    let found = TypeHistory {
        versions: app.log.history(&key, page.of_log()).await?,
        stopped_at: None,
    };
    // How many of them are asked for is not counted.
    let total = page.is_of_all().then_some(total);
    Ok(page.answer(ask, &key.to_string(), total, found))
}

/// The versions of all resources of a type, newest first, in pages of `_count`. A page that would cost too much has fewer,
/// and leads to the next one all the same.
pub(super) async fn of_type(app: &App, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    let page = Page::of(ask)?;
    let found = app.log.type_history(resource_type, page.of_log()).await?;
    Ok(page.answer(ask, resource_type, None, found))
}

/// The answer to those who ask for the history of everything.
pub(super) fn of_system() -> Outcome {
    Outcome::new(
        StatusCode::NOT_FOUND,
        "not-supported",
        "there is no history of the whole server; ask for a type's: `/fhir/Patient/_history`",
    )
}

struct Page {
    count: usize,
    before: Option<Sequence>,
    since: Option<Timestamp>,
    which: Which,
    /// What else was asked for, for the links.
    kept: String,
}

impl Page {
    /// One more than asked for tells whether there is a next page.
    fn of_log(&self) -> HistoryPage {
        HistoryPage {
            before: self.before,
            since: self.since,
            which: self.which,
            count: self.count + 1,
        }
    }

    fn is_of_all(&self) -> bool {
        self.since.is_none() && self.which == Which::All
    }

    fn of(ask: &Ask) -> Result<Self, Outcome> {
        let mut page = Self {
            count: COUNT,
            before: None,
            since: None,
            which: Which::All,
            kept: String::new(),
        };
        for (name, value) in &ask.query {
            match name.as_str() {
                "_count" => page.count = count_of(value)?.max(1),
                "_before" => page.before = Some(before(value)?),
                "_since" => {
                    page.since = Some(period("_since", value)?.start);
                    page.keep(name, value);
                }
                "_at" => {
                    page.choose(at(value)?)?;
                    page.keep(name, value);
                }
                "_txid" => {
                    page.choose(txid(value)?)?;
                    page.keep(name, value);
                }
                name if is_about_the_answer(name) => {}
                _ => {
                    return Err(Outcome::bad_request(
                        "not-supported",
                        "a history takes only `_count`, `_since`, `_at`, `_txid` and the links of its own pages",
                    ));
                }
            }
        }
        Ok(page)
    }

    fn keep(&mut self, name: &str, value: &str) {
        self.kept.push_str(&format!("&{name}={}", encode(value)));
    }

    fn choose(&mut self, which: Which) -> Result<(), Outcome> {
        if self.which != Which::All {
            let text = "a history takes one `_at` or one `_txid`; ask for each on its own";
            return Err(Outcome::bad_request("not-supported", text));
        }
        self.which = which;
        Ok(())
    }

    fn answer(&self, ask: &Ask, of: &str, total: Option<u64>, found: TypeHistory) -> Response {
        let mut versions = found.versions;
        let mut next = found.stopped_at;
        if versions.len() > self.count {
            versions.truncate(self.count);
            next = versions.last().map(|last| last.sequence);
        }
        let first = ask.url(&format!("{of}/_history?_count={}{}", self.count, self.kept));
        let here = self
            .before
            .map_or_else(|| first.clone(), |before| format!("{first}&_before={before}"));
        let mut links = vec![("self", here), ("first", first.clone())];
        if let Some(next) = next {
            links.push(("next", format!("{first}&_before={next}")));
        }
        let entries: Vec<Entry> = versions.iter().map(|version| entry(ask, version)).collect();
        respond::fhir(StatusCode::OK, bundle("history", total, &links, &entries))
    }
}

fn before(value: &str) -> Result<Sequence, Outcome> {
    value
        .parse()
        .map(Sequence)
        .map_err(|_| Outcome::bad_request("value", "`_before` is a version number"))
}

/// The versions that were current at some time of a date, or of a time of whatever precision.
fn at(value: &str) -> Result<Which, Outcome> {
    let period = period("_at", value)?;
    Ok(Which::Current(During {
        from: period.start,
        before: period.end,
    }))
}

/// The version that a transaction made: one sequence numbers transactions and versions alike.
fn txid(value: &str) -> Result<Which, Outcome> {
    value
        .parse()
        .map(|number| Which::Numbered(Sequence(number)))
        .map_err(|_| Outcome::bad_request("value", "`_txid` is a version number"))
}

fn period(name: &str, value: &str) -> Result<Period, Outcome> {
    let text = || format!("`{name}` is an instant, such as 2026-04-01T10:00:00Z, or a date");
    Period::parse(value).ok_or_else(|| Outcome::bad_request("value", text()))
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
