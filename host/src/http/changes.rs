//! `GET /fhir/T/$changes`: what became of a type's resources, for those who poll.
//!
//! A poll names the version that the one before it was answered, and is given what was committed since, in the order of
//! the log. That version is a place in the log, not the number of a resource's version: of transactions that commit side by
//! side a later number can be there first, and who remembered the highest number seen would miss the others. Where one
//! writer makes the two the same the version is a number, else a text.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::change::{Change, Interaction, Offset};
use crate::intake::created_at;
use crate::log::ReadBound;

use super::ask::Ask;
use super::outcome::Outcome;
use super::search::{COUNT, count_of, is_about_the_answer};
use super::{App, JSON, respond};

/// The most bytes of resources in an answer, but for the first one.
const BYTES: usize = 16 << 20;

/// Answers a poll: 304 when nothing was committed since, else the changes of the type, of which there may be none.
pub(super) async fn changes(app: &App, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    if !matches!(ask.method, Method::GET | Method::HEAD) {
        return Err(Outcome::method_not_allowed("GET"));
    }
    let poll = Poll::of(ask)?;
    // Nothing can appear up to here any more.
    let head = *app.log.head().borrow();
    let Some(after) = poll.after else {
        return Ok(json(json!({"version": version(head)}).to_string()));
    };
    refuse_strange(after, head)?;
    if after == head {
        return Ok(respond::empty(StatusCode::NOT_MODIFIED));
    }
    let bound = ReadBound {
        changes: poll.count,
        bytes: BYTES,
        through: Some(head),
    };
    let read = app.log.type_changes(resource_type, after, bound).await?;
    Ok(json(answer(read.reached, &read.changes)))
}

/// What a poll asks for.
struct Poll {
    /// Where the one before it ended; none for the first.
    after: Option<Offset>,
    count: usize,
}

impl Poll {
    fn of(ask: &Ask) -> Result<Self, Outcome> {
        let mut poll = Self {
            after: None,
            count: COUNT,
        };
        for (name, value) in &ask.query {
            match name.as_str() {
                "version" => {
                    let text =
                        "`version` is what an answer of `$changes` said; without one the answer says it";
                    let after = place(value).ok_or_else(|| Outcome::bad_request("value", text))?;
                    poll.after = Some(after);
                }
                "_count" => poll.count = count_of(value)?.max(1),
                name if is_about_the_answer(name) => {}
                _ => {
                    let text = "`$changes` takes only `version` and `_count`";
                    return Err(Outcome::bad_request("not-supported", text));
                }
            }
        }
        Ok(poll)
    }
}

/// Refuses a version that this store did not give out. To answer that there is nothing new would be no kindness: who
/// polls a store that was restored or replaced would wait in silence, and miss what comes until it has caught up.
fn refuse_strange(after: Offset, head: Offset) -> Result<(), Outcome> {
    let is_number_of_a_version = after.transaction == 0 && after != Offset::START && head.transaction > 0;
    if after <= head && !is_number_of_a_version {
        return Ok(());
    }
    let text = "this store did not give out this `version`; begin again: ask for `$changes` without one, \
                and read what there is by a search";
    Err(Outcome::bad_request("value", text))
}

/// A place in the log as clients see it.
fn version(place: Offset) -> Value {
    match place.transaction {
        0 => place.sequence.into(),
        transaction => format!("{transaction}-{}", place.sequence).into(),
    }
}

fn place(text: &str) -> Option<Offset> {
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok())?
    };
    let (transaction, sequence) = match text.split_once('-') {
        Some((transaction, sequence)) => (number(transaction)?, number(sequence)?),
        None => (0, number(text)?),
    };
    Some(Offset {
        transaction,
        sequence,
    })
}

/// The answer as text: resources stand in it as they are stored, to the digit.
fn answer(reached: Offset, changes: &[Change]) -> Vec<u8> {
    let bytes: usize = changes
        .iter()
        .map(|change| change.version.resource.len() + 100)
        .sum();
    let mut text = Vec::with_capacity(bytes + 100);
    text.extend_from_slice(format!("{{\"version\":{},\"changes\":[", version(reached)).as_bytes());
    for (index, change) in changes.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        let event = match change.interaction() {
            Interaction::Create => "created",
            Interaction::Update => "updated",
            Interaction::Delete => "deleted",
        };
        text.extend_from_slice(format!("{{\"event\":\"{event}\",\"resource\":").as_bytes());
        let made = &change.version;
        text.extend_from_slice(&created_at::inject(&made.resource, made.created_at));
        text.push(b'}');
    }
    text.extend_from_slice(b"]}");
    text
}

fn json(body: impl Into<bytes::Bytes>) -> Response {
    respond::typed(StatusCode::OK, JSON, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(transaction: u64, sequence: u64) -> Offset {
        Offset {
            transaction,
            sequence,
        }
    }

    #[test]
    fn a_version_is_read_back_as_it_was_given_out() {
        for (place, text) in [
            (Offset::START, "0"),
            (offset(0, 17), "17"),
            (offset(571, 1_234), "\"571-1234\""),
        ] {
            assert_eq!(version(place).to_string(), text);
            assert_eq!(super::place(text.trim_matches('"')), Some(place));
        }
        for strange in [
            "",
            "-",
            "1-",
            "-1",
            "+1",
            " 1",
            "1-2-3",
            "x",
            "1.0",
            "99999999999999999999",
        ] {
            assert_eq!(super::place(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_version_that_the_store_did_not_give_out_is_refused() {
        let check = |after: Offset, head: Offset, is_taken: bool| {
            assert_eq!(refuse_strange(after, head).is_ok(), is_taken, "{after} at {head}");
        };
        check(Offset::START, Offset::START, true);
        check(offset(0, 7), offset(0, 7), true);
        check(offset(0, 8), offset(0, 7), false);
        check(offset(5, 1), offset(0, 7), false);
        check(Offset::START, offset(700, 7), true);
        check(offset(700, 6), offset(700, 7), true);
        check(offset(700, 8), offset(700, 7), false);
        // A resource's version number is no place in a log of several writers.
        check(offset(0, 7), offset(700, 7), false);
    }
}
