//! `$load` and `$import`: many resources at once, a line each.
//!
//! Lines that come with the request are taken as they arrive and never held together; a line that cannot be taken is
//! counted and listed with its number, and the rest is loaded. The answer is Aidbox's: a total, or a count of each type;
//! what was refused stands behind it.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::change::Timestamp;
use crate::intake::load::{self, Job, ListedLine, LoadOptions, LoadRefusal, SubmitError};
use crate::intake::ndjson::{ImportError, ImportSummary, Input};

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::route::Route;
use super::{App, respond};

/// How long a load of a place that the request names may take.
pub(super) const TIME: Duration = Duration::from_secs(24 * 3600);
/// Pieces of a body that wait to be read.
const PIECES: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    source: String,
    #[serde(default, rename = "strip-nulls")]
    strip_nulls: bool,
    merge: Option<Value>,
    record_changes: Option<bool>,
    invalid: Option<String>,
}

/// The type of a load whose lines come with the request; none when they do not.
pub(super) fn streamed_type<'r>(route: &'r Route, headers: &HeaderMap) -> Option<Option<&'r str>> {
    let resource_type = match route {
        Route::Load(resource_type) => resource_type.as_deref(),
        Route::Import(_) => None,
        _ => return None,
    };
    let stated = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = stated
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_lines = matches!(
        media_type.as_str(),
        "application/fhir+ndjson"
            | "application/ndjson"
            | "application/x-ndjson"
            | "application/gzip"
            | "application/x-gzip"
            | "application/octet-stream"
    );
    is_lines.then_some(resource_type)
}

/// Loads the lines of a body as they arrive; `patience` is how long nothing may come.
pub(super) async fn streamed(
    app: &App,
    ask: &Ask,
    resource_type: Option<&str>,
    body: Body,
    patience: Duration,
) -> Result<Response, Outcome> {
    only_post(ask)?;
    if !matches!(ask.header(&CONTENT_ENCODING), None | Some("gzip" | "identity")) {
        let text = "NDJSON is plain or gzip";
        return Err(Outcome::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-supported",
            text,
        ));
    }
    let options = LoadOptions {
        records_changes: ask.parameter("recordChanges") != Some("false"),
        on_invalid: load::on_invalid(ask.parameter("invalid"))?,
    };
    let (sender, receiver) = mpsc::channel(PIECES);
    let mut input = Input::arriving("the body", receiver);
    input.resource_type = resource_type.map(ToOwned::to_owned);
    let pieces = Box::pin(body.into_data_stream());
    let (loaded, ()) = tokio::join!(
        app.loads.load(input, options),
        load::forward(pieces, sender, patience)
    );
    answer(resource_type, &loaded?)
}

/// `$load` of a place that the request names: answered when all of it is durable.
pub(super) async fn load(app: &App, ask: &Ask, resource_type: Option<&str>) -> Result<Response, Outcome> {
    only_post(ask)?;
    ask.require_json()?;
    let written: Written = serde_json::from_slice(&ask.body).map_err(|_| LoadRefusal::Form)?;
    if written.strip_nulls {
        return Err(LoadRefusal::Unsupported("strip-nulls").into());
    }
    if written.merge.is_some_and(|merge| !merge.is_null()) {
        return Err(LoadRefusal::Unsupported("merge").into());
    }
    let options = LoadOptions {
        records_changes: written.record_changes.unwrap_or(true),
        on_invalid: load::on_invalid(written.invalid.as_deref())?,
    };
    let input = app.loads.open(&written.source, resource_type)?;
    answer(resource_type, &app.loads.load(input, options).await?)
}

/// `$import`: answered as soon as it is certain to be done.
pub(super) async fn import(app: &App, ask: &Ask, is_v2: bool) -> Result<Response, Outcome> {
    only_post(ask)?;
    ask.require_json()?;
    let job = app.loads.submit(Job::parse(&ask.body, Timestamp::now())?).await?;
    let place = match is_v2 {
        true => format!("{}/v2/$import/{}", ask.base, job.id),
        false => ask.url(&format!("BulkImportStatus/{}", job.id)),
    };
    let mut response = respond::fhir_json(StatusCode::OK, &job.to_json());
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(CONTENT_LOCATION, place);
    }
    Ok(response)
}

/// How far an import is.
pub(super) async fn status(app: &App, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    if !matches!(ask.method, Method::GET | Method::HEAD) {
        return Err(Outcome::method_not_allowed("GET"));
    }
    let none = || Outcome::not_found("there is no import of this id");
    let job = app.loads.status(id).await?.ok_or_else(none)?;
    Ok(respond::fhir_json(StatusCode::OK, &job.to_json()))
}

fn only_post(ask: &Ask) -> Result<(), Outcome> {
    match ask.method {
        Method::POST => Ok(()),
        _ => Err(Outcome::method_not_allowed("POST")),
    }
}

/// The counts; 422 when lines came and none could be taken.
fn answer(resource_type: Option<&str>, summary: &ImportSummary) -> Result<Response, Outcome> {
    let progress = summary.progress;
    if progress.imported == 0 && progress.refused > 0 {
        let lines = summary.bad_lines.iter().map(|bad| {
            let text = format!("line {}: {}", bad.line, bad.refusal);
            Issue::new("invalid", text)
        });
        return Err(Outcome::unprocessable(lines.collect()));
    }
    let mut answer = Map::new();
    match resource_type {
        Some(_) => drop(answer.insert("total".to_owned(), progress.imported.into())),
        None => answer.extend(
            summary
                .by_type
                .iter()
                .map(|(name, count)| (name.clone(), (*count).into())),
        ),
    }
    for (name, count) in [("refused", progress.refused), ("invalid", progress.invalid)] {
        if count > 0 {
            answer.insert(name.to_owned(), count.into());
        }
    }
    let lines: Vec<ListedLine> = summary.bad_lines.iter().map(ListedLine::of).collect();
    if !lines.is_empty() {
        answer.insert("lines".to_owned(), json!(lines));
    }
    let invalid: Vec<Value> = summary
        .invalid_lines
        .iter()
        .map(|invalid| {
            let problems: Vec<String> = invalid.issues.iter().map(ToString::to_string).collect();
            json!({"line": invalid.line, "problems": problems})
        })
        .collect();
    if !invalid.is_empty() {
        answer.insert("invalidLines".to_owned(), Value::Array(invalid));
    }
    Ok(respond::fhir_json(StatusCode::OK, &Value::Object(answer)))
}

impl From<LoadRefusal> for Outcome {
    fn from(refusal: LoadRefusal) -> Self {
        let (status, code) = match &refusal {
            LoadRefusal::Form => (StatusCode::BAD_REQUEST, "structure"),
            LoadRefusal::Place { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            LoadRefusal::Unsupported(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not-supported"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "value"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

impl From<SubmitError> for Outcome {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::Exists => Self::new(StatusCode::CONFLICT, "conflict", error.to_string()),
            SubmitError::Full => Self::unavailable("too many imports wait", 60),
            SubmitError::Log(error) => error.into(),
        }
    }
}

impl From<ImportError> for Outcome {
    fn from(error: ImportError) -> Self {
        use std::io::ErrorKind;
        let source = match error {
            ImportError::Log(error) => return error.into(),
            ImportError::Read { source, .. } => source,
            ImportError::NoFiles { .. } => return Self::internal(),
        };
        let (status, code) = match source.kind() {
            ErrorKind::FileTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-long"),
            ErrorKind::TimedOut => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            ErrorKind::NotFound => (StatusCode::UNPROCESSABLE_ENTITY, "not-found"),
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                (StatusCode::BAD_REQUEST, "structure")
            }
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "processing"),
        };
        let text = format!("what came before is stored; then: {source}");
        Self::new(status, code, text)
    }
}
