//! `GET /fhir/AidboxTopicDestination/{id}/$dead-letters`: the changes that were set aside, oldest first.
//!
//! What a remote said and the rows may quote patient data; they are answered only when they are asked for.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::log::DeadLetter;

use super::ask::Ask;
use super::outcome::Outcome;
use super::{App, destination, respond};

const DEFAULT_COUNT: usize = 50;
const MAX_COUNT: usize = 500;

/// A page: at most `_count` letters after the number `_after`, with `detail` and `rows` when `_detail=true`.
pub(super) async fn dead_letters(app: &App, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    if !matches!(ask.method, Method::GET | Method::HEAD) {
        return Err(Outcome::method_not_allowed("GET"));
    }
    destination::resource(app, id).await?;
    let after = number(ask, "_after")?.unwrap_or(0);
    let count = number(ask, "_count")?.map_or(DEFAULT_COUNT, |count| {
        usize::try_from(count).unwrap_or(MAX_COUNT).clamp(1, MAX_COUNT)
    });
    let with_detail = ask.parameter("_detail") == Some("true");
    let letters = app.log.dead_letters(id, after, count).await?;
    let mut list: Vec<Value> = letters
        .iter()
        .map(|letter| parameter(letter, with_detail))
        .collect();
    if let Some(last) = letters.last().filter(|_| letters.len() == count) {
        list.push(json!({ "name": "nextAfter", "valueDecimal": last.number }));
    }
    let answer = json!({ "resourceType": "Parameters", "parameter": list });
    Ok(respond::fhir_json(StatusCode::OK, &answer))
}

fn number(ask: &Ask, name: &str) -> Result<Option<u64>, Outcome> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| Outcome::bad_request("value", format!("`{name}` takes a whole number from 0")))
    };
    ask.parameter(name).map(read).transpose()
}

fn parameter(dead: &DeadLetter, with_detail: bool) -> Value {
    let letter = &dead.letter;
    let text = |name: &str, value: &str| json!({ "name": name, "valueString": value });
    let mut part = vec![
        json!({ "name": "number", "valueDecimal": dead.number }),
        json!({ "name": "timestamp", "valueDateTime": dead.at.to_string() }),
        text("code", &letter.code),
        text("message", &letter.message),
        json!({ "name": "resource", "valueReference": {
            "reference": format!("{}/_history/{}", letter.key, letter.version) } }),
        text("offset", &letter.offset.to_string()),
    ];
    part.extend(letter.column.as_deref().map(|column| text("column", column)));
    part.extend(
        letter
            .row
            .map(|row| json!({ "name": "row", "valueDecimal": row })),
    );
    if with_detail {
        part.extend(letter.detail.as_deref().map(|detail| text("detail", detail)));
        part.extend(letter.rows.as_deref().map(|rows| text("rows", rows)));
    }
    json!({ "name": "deadLetter", "part": part })
}
