//! Which entries of a batch may be worked on side by side.
//!
//! Entries that name one resource, or that look for one by the same condition, make a lane: they are done one after
//! the other, in document order. Lanes are independent of each other, so that thousands of small writes can share a
//! commit. What may depend on everything before it, or be depended on by everything after it, stands alone: a
//! search, an operation, a topic, a view, a destination.

use std::collections::HashMap;

use serde::Deserialize;

use super::Entry;
use super::request::{Address, Method, address};
use crate::intake::OWN_TYPES;

/// A part of a batch; the parts are done one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// One entry, by its index.
    Alone(usize),
    /// Entries by their indexes: the inner lists side by side, each in its order.
    Together(Vec<Vec<usize>>),
}

/// Whom an entry has to wait for.
#[derive(Debug, PartialEq, Eq)]
enum Lane {
    Alone,
    Free,
    Of(String),
}

/// Cuts a batch into parts. `base` is the server's own address.
pub fn parts(entries: &[Entry], base: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut open = Open::default();
    for (index, entry) in entries.iter().enumerate() {
        match lane(entry, base) {
            Lane::Alone => {
                open.close(&mut parts);
                parts.push(Part::Alone(index));
            }
            Lane::Free => open.lanes.push(vec![index]),
            Lane::Of(name) => open.add(name, index),
        }
    }
    open.close(&mut parts);
    parts
}

/// The lanes of the part that is being made.
#[derive(Default)]
struct Open {
    lanes: Vec<Vec<usize>>,
    by_name: HashMap<String, usize>,
}

impl Open {
    fn add(&mut self, name: String, index: usize) {
        let next = self.lanes.len();
        let at = *self.by_name.entry(name).or_insert(next);
        match self.lanes.get_mut(at) {
            Some(lane) => lane.push(index),
            None => self.lanes.push(vec![index]),
        }
    }

    fn close(&mut self, parts: &mut Vec<Part>) {
        self.by_name.clear();
        if !self.lanes.is_empty() {
            parts.push(Part::Together(std::mem::take(&mut self.lanes)));
        }
    }
}

fn lane(entry: &Entry, base: &str) -> Lane {
    let Some(request) = &entry.request else {
        return Lane::Free;
    };
    let (Ok(method), Some(path)) = (Method::of(&request.method), request.path(base)) else {
        // Refused, whenever it is looked at.
        return Lane::Free;
    };
    match (method, address(path)) {
        (_, Address::Type(name) | Address::Search(name, _) | Address::Instance(name, _))
            if method != Method::Get && OWN_TYPES.contains(&name.as_str()) =>
        {
            Lane::Alone
        }
        (_, Address::Instance(name, id)) => Lane::Of(format!("{name}/{id}")),
        (Method::Post, Address::Type(name)) => match (&request.if_none_exist, id_of(entry)) {
            (Some(query), _) => {
                let query = query.split_once('?').map_or(query.as_str(), |(_, query)| query);
                Lane::Of(format!("{name}?{query}"))
            }
            (None, Some(id)) => Lane::Of(format!("{name}/{id}")),
            (None, None) => Lane::Free,
        },
        (Method::Put | Method::Patch | Method::Delete | Method::Post, Address::Search(name, query)) => {
            Lane::Of(format!("{name}?{query}"))
        }
        _ => Lane::Alone,
    }
}

fn id_of(entry: &Entry) -> Option<String> {
    #[derive(Deserialize)]
    struct Identified {
        id: Option<String>,
    }
    let resource = entry.resource.as_deref()?;
    serde_json::from_slice::<Identified>(resource).ok()?.id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::bundle::Request;

    fn check(lines: &[&str], expect: &str) {
        let entry = |line: &&str| {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            Entry {
                request: Some(Request {
                    method: word(),
                    url: word(),
                    if_none_exist: Some(word()).filter(|word| !word.is_empty()),
                    ..Request::default()
                }),
                ..Entry::default()
            }
        };
        let entries: Vec<Entry> = lines.iter().map(entry).collect();
        let text = |part: &Part| match part {
            Part::Alone(index) => format!("{index}"),
            Part::Together(lanes) => format!("{lanes:?}"),
        };
        let found: Vec<String> = parts(&entries, "http://h").iter().map(text).collect();
        assert_eq!(found.join(" "), expect, "{lines:?}");
    }

    #[test]
    fn entries_of_one_resource_keep_their_order_and_others_do_not_wait() {
        check(
            &[
                "PUT Patient/1",
                "PUT Patient/2",
                "DELETE Patient/1",
                "POST Patient",
            ],
            "[[0, 2], [1], [3]]",
        );
        check(
            &["PUT /fhir/Patient/1", "PUT http://h/fhir/Patient/1"],
            "[[0, 1]]",
        );
        check(
            &[
                "POST Patient identifier=1",
                "PUT Patient?identifier=1",
                "POST Patient Patient?identifier=2",
            ],
            "[[0, 1], [2]]",
        );
    }

    #[test]
    fn what_others_may_depend_on_stands_alone() {
        check(
            &[
                "PUT Patient/1",
                "PUT ViewDefinition/v",
                "POST ViewDefinition/v/$materialize",
                "PUT Patient/1",
                "GET Patient?_id=1",
                "GET Patient/1",
                "GET ViewDefinition/v",
            ],
            "[[0]] 1 2 [[3]] 4 [[5], [6]]",
        );
    }
}
