//! What a search asks for, read from its query.

use crate::change::Timestamp;
use crate::intake::criteria::Criteria;
use crate::log::{Place, SearchOrder};

use super::super::ask::encode;
use super::super::outcome::Outcome;
use super::super::period::Period;
use super::{COUNT, count_of, is_about_the_answer};

/// The parameters that every type's search takes beside its criteria.
const GENERAL: &str = "_lastUpdated, _sort, _count, _page, _total, _summary, _elements";

/// A search that was understood whole.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// What the resources must be like.
    pub(super) criteria: Criteria,
    /// When they were last updated.
    pub(super) updated: Span,
    /// In which order they come.
    pub(super) order: SearchOrder,
    /// Which page of them.
    pub(super) page: Page,
    /// How many of them are on a page.
    pub(super) count: usize,
    /// Whether it is told how many there are altogether.
    pub(super) has_total: bool,
    /// Whether nothing else is told.
    pub(super) is_count: bool,
    /// These elements of them only.
    pub(super) elements: Option<Vec<String>>,
    /// The parameters beside the criteria that a link to another page needs, as they came.
    kept: Vec<(&'static str, String)>,
}

/// From a point in time, included, to another, not included; without bounds where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
}

/// A page of what is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// By its number, from 1.
    Number(usize),
    /// By the last resource of the page before; what is written between the two does not shift it.
    After(Place),
}

impl Wanted {
    /// Reads a query, all of it.
    pub(super) fn of(resource_type: &str, query: &[(String, String)]) -> Result<Self, Outcome> {
        let mut wanted = Self {
            criteria: Criteria::all(resource_type),
            updated: Span::default(),
            order: SearchOrder::Id,
            page: Page::Number(1),
            count: COUNT,
            has_total: true,
            is_count: false,
            elements: None,
            kept: Vec::new(),
        };
        for (name, value) in query {
            wanted.take(name, value)?;
        }
        Ok(wanted)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Outcome> {
        match name {
            "_lastUpdated" => {
                self.updated.narrow(value)?;
                self.keep("_lastUpdated", value);
            }
            "_sort" => {
                self.order = order(value)?;
                self.keep("_sort", value);
            }
            "_count" => self.count = count_of(value)?,
            "_page" => self.page = Page::Number(number(value)?),
            "_after" => self.page = Page::After(place(value)?),
            "_total" => {
                self.has_total = has_total(value)?;
                self.keep("_total", value);
            }
            "_summary" => self.is_count = is_count(value)?,
            "_elements" => {
                self.elements = Some(elements(self.criteria.resource_type(), value)?);
                self.keep("_elements", value);
            }
            name if is_about_the_answer(name) => {}
            name => {
                if !self.criteria.take(name, value)? {
                    let text = format!("{}; and always: {GENERAL}", self.criteria.unsupported());
                    return Err(Outcome::bad_request("not-supported", text));
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, name: &'static str, value: &str) {
        self.kept.push((name, value.to_owned()));
    }

    /// The query that leads to this search's first page.
    pub(super) fn query(&self) -> String {
        let mut query = format!("_count={}", self.count);
        if self.is_count {
            query.push_str("&_summary=count");
        }
        for (name, value) in self.criteria.query().iter().chain(&self.kept) {
            query.push_str(&format!("&{name}={}", encode(value)));
        }
        query
    }

    /// What leads from the first page to this one.
    pub(super) fn here(&self) -> String {
        match &self.page {
            Page::Number(1) => String::new(),
            Page::Number(number) => format!("&_page={number}"),
            Page::After(place) => behind(place),
        }
    }
}

/// What leads from the first page to the one behind a place.
pub(super) fn behind(place: &Place) -> String {
    format!("&_after={}:{}", place.last_updated.0, place.id)
}

impl Span {
    /// Adds what a `_lastUpdated` says; all of them must hold.
    fn narrow(&mut self, value: &str) -> Result<(), Outcome> {
        let (prefix, text) = match value.get(..2) {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_lowercase()) => value.split_at(2),
            _ => ("eq", value),
        };
        let form = || {
            let text = "`_lastUpdated` takes one date or time, such as 2026-04 or 2026-04-01T10:00:00Z, behind eq, gt, ge, lt, le, sa or eb";
            Outcome::bad_request("value", text)
        };
        let period = Period::parse(text).ok_or_else(form)?;
        let (from, before) = match prefix {
            "eq" => (Some(period.start), Some(period.end)),
            "gt" | "sa" => (Some(period.end), None),
            "ge" => (Some(period.start), None),
            "lt" | "eb" => (None, Some(period.start)),
            "le" => (None, Some(period.end)),
            _ => return Err(form()),
        };
        self.from = self.from.max(from);
        self.before = match (self.before, before) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Ok(())
    }

    /// Whether a time lies in it.
    pub(super) fn contains(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time) && self.before.is_none_or(|before| time < before)
    }
}

fn order(value: &str) -> Result<SearchOrder, Outcome> {
    match value {
        "_id" => Ok(SearchOrder::Id),
        "_lastUpdated" => Ok(SearchOrder::OldestFirst),
        "-_lastUpdated" => Ok(SearchOrder::NewestFirst),
        _ => {
            let text = "`_sort` takes `_id`, `_lastUpdated` or `-_lastUpdated`";
            Err(Outcome::bad_request("not-supported", text))
        }
    }
}

fn number(value: &str) -> Result<usize, Outcome> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Outcome::bad_request("value", "`_page` is a whole number from 1"))
}

fn place(value: &str) -> Result<Place, Outcome> {
    let parsed = value.split_once(':').and_then(|(micros, id)| {
        Some(Place {
            id: id.to_owned(),
            last_updated: Timestamp(micros.parse().ok()?),
        })
    });
    parsed.ok_or_else(|| Outcome::bad_request("value", "`_after` is what the link to the next page holds"))
}

fn has_total(value: &str) -> Result<bool, Outcome> {
    match value {
        "none" => Ok(false),
        "estimate" | "accurate" => Ok(true),
        _ => Err(Outcome::bad_request(
            "value",
            "`_total` takes `none`, `estimate` or `accurate`",
        )),
    }
}

fn is_count(value: &str) -> Result<bool, Outcome> {
    match value {
        "count" => Ok(true),
        "false" => Ok(false),
        _ => Err(Outcome::bad_request(
            "not-supported",
            "`_summary` takes `count` or `false`; for parts of resources use `_elements`",
        )),
    }
}

/// The names of elements, with or without the type before them.
fn elements(resource_type: &str, value: &str) -> Result<Vec<String>, Outcome> {
    let prefix = format!("{resource_type}.");
    let names = value
        .split(',')
        .map(|name| name.trim().strip_prefix(&prefix).unwrap_or(name.trim()));
    let names: Vec<String> = names.map(str::to_owned).collect();
    let is_name = |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match names.iter().all(is_name) {
        true => Ok(names),
        false => Err(Outcome::bad_request(
            "value",
            "`_elements` takes names of a resource's own elements, with commas between them",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ask::parse_query;
    use super::*;

    fn check(resource_type: &str, query: &str, expect: &str) {
        let wanted = Wanted::of(resource_type, &parse_query(query.as_bytes()));
        let text = wanted.map_or_else(
            |outcome| outcome.status().to_string(),
            |wanted| wanted.query() + &wanted.here(),
        );
        assert_eq!(text, expect, "{query}");
    }

    #[test]
    fn a_search_is_understood_or_refused_whole() {
        check("Patient", "", "_count=100");
        check("Patient", "_id=a,b&_count=2", "_count=2&_id=a,b");
        check("Patient", "_id=a,b&_id=b,c", "_count=100&_id=b");
        check("Patient", "_id=Patient/a", "_count=100&_id=a");
        check("Patient", "_count=99999", "_count=1000");
        check("Patient", "identifier=s|1", "_count=100&identifier=s%7C1");
        check(
            "Patient",
            "_sort=-_lastUpdated&_lastUpdated=ge2026&_lastUpdated=lt2027&_elements=name,Patient.id&_total=none",
            "_count=100&_sort=-_lastUpdated&_lastUpdated=ge2026&_lastUpdated=lt2027&_elements=name,Patient.id&_total=none",
        );
        check(
            "Patient",
            "_page=3&_summary=count",
            "_count=100&_summary=count&_page=3",
        );
        check("Patient", "_after=17:p", "_count=100&_after=17:p");
        check(
            "AidboxSubscriptionTopic",
            "url=http://a/b",
            "_count=100&url=http:%2F%2Fa%2Fb",
        );
        check("AidboxTopicDestination", "topic=t", "_count=100&topic=t");
        for wrong in [
            "_count=-1",
            "name=Smith",
            "url=x",
            "_sort=name",
            "_sort=-_id",
            "_page=0",
            "_after=x",
            "_total=some",
            "_summary=true",
            "_elements=name.family",
            "_elements=",
            "_lastUpdated=ne2026",
            "_lastUpdated=ap2026",
            "_lastUpdated=gt",
            "_lastUpdated=2026,2027",
            "identifier=",
            "_include=x",
            "_has:x=y",
        ] {
            check("Patient", wrong, "400 Bad Request");
        }
    }

    #[test]
    fn a_date_without_a_time_means_all_of_it() {
        let check = |query: &str, time: &str, expect: bool| {
            let wanted = Wanted::of("Patient", &parse_query(query.as_bytes())).unwrap();
            let time = Timestamp::parse(time).unwrap();
            assert_eq!(wanted.updated.contains(time), expect, "{query} {time}");
        };
        let (before, first, last, after) = (
            "2026-03-31T23:59:59.999999Z",
            "2026-04-01T00:00:00Z",
            "2026-04-30T23:59:59.999999Z",
            "2026-05-01T00:00:00Z",
        );
        for (prefix, expect) in [
            ("", [false, true, true, false]),
            ("eq", [false, true, true, false]),
            ("gt", [false, false, false, true]),
            ("sa", [false, false, false, true]),
            ("ge", [false, true, true, true]),
            ("lt", [true, false, false, false]),
            ("eb", [true, false, false, false]),
            ("le", [true, true, true, false]),
        ] {
            for (time, expect) in [before, first, last, after].iter().zip(expect) {
                check(&format!("_lastUpdated={prefix}2026-04"), time, expect);
            }
        }
        let both = "_lastUpdated=ge2026-04-10&_lastUpdated=le2026-04-20";
        check(both, "2026-04-09T00:00:00Z", false);
        check(both, "2026-04-15T00:00:00Z", true);
        check(both, "2026-04-21T00:00:00Z", false);
    }
}
