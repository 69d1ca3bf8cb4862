//! `$run`: a view's rows, of resources in the request or of stored ones.

use std::sync::Arc;

use axum::http::header::ACCEPT;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lakefeed_view::{ResourceMeta, View};
use serde_json::json;

use crate::change::{Body, Timestamp, Version};
use crate::log::{Place, Search};

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::parameters::Parameters;
use super::patient::PatientFilter;
use super::rows::{Format, Rows, RowsError};
use super::{App, respond, view};

const KNOWN: [&str; 10] = [
    "viewReference",
    "viewResource",
    "resource",
    "patient",
    "group",
    "_since",
    "_format",
    "_limit",
    "header",
    "_pretty",
];

/// Resources that are read and flattened at a time.
const PAGE: usize = 200;

/// Answers `$run` on the type or on one definition.
pub(super) async fn run(app: &App, ask: &Ask, id: Option<&str>) -> Result<Response, Outcome> {
    if !matches!(ask.method, Method::GET | Method::HEAD | Method::POST) {
        return Err(Outcome::method_not_allowed("GET, POST"));
    }
    let parameters = Parameters::of(app, ask, &KNOWN)?;
    let wanted = Wanted::of(ask, &parameters)?;
    let found = view::find(app, id, &parameters).await?;
    let compiled = tokio::task::spawn_blocking(move || view::compile(&found)).await;
    let compiled = compiled.map_err(|_| Outcome::internal())??;
    let rows = Rows::new(
        &compiled,
        wanted.format,
        wanted.limit,
        wanted.has_header,
        app.max_run_bytes,
    )?;
    let rows = match parameters.get("resource") {
        Some(_) => given(rows, &parameters, &wanted).await?,
        None => stored(app, &compiled, rows, &wanted).await?,
    };
    Ok(answer(&wanted, rows.finish()?))
}

/// What the rows are made of and how they are answered.
struct Wanted {
    format: Format,
    /// Whether the rows are the answer itself, not wrapped in a Binary.
    is_raw: bool,
    limit: Option<usize>,
    since: Option<Timestamp>,
    patient: Option<PatientFilter>,
    has_header: bool,
}

impl Wanted {
    fn of(ask: &Ask, parameters: &Parameters) -> Result<Self, Outcome> {
        if let Some(group) = parameters.get("group") {
            return Err(group.refuse("not-supported", "`group` is not supported; name a `patient`"));
        }
        let accept = ask.header(&ACCEPT).unwrap_or_default();
        let accept = accept.split([',', ';']).next().unwrap_or_default().trim();
        let asked = match parameters.get("_format") {
            Some(format) => Some(
                Format::of(format.value.as_deref().unwrap_or_default())
                    .ok_or_else(|| format.refuse("value", "`_format` is json, ndjson, csv or parquet"))?,
            ),
            None => Format::of(accept),
        };
        let format = asked.unwrap_or(Format::Json);
        Ok(Self {
            format,
            is_raw: accept.contains('/') && Format::of(accept) == Some(format),
            limit: parameters.get("_limit").map(|limit| limit.count()).transpose()?,
            since: parameters.get("_since").map(|since| since.time()).transpose()?,
            patient: parameters
                .get("patient")
                .map(|patient| {
                    let text = patient.value.as_deref().unwrap_or_default();
                    PatientFilter::of(text)
                        .ok_or_else(|| patient.refuse("value", "write `Patient/` and the id"))
                })
                .transpose()?,
            has_header: parameters.text("header") != Some("false"),
        })
    }
}

/// Flattens the resources of the request; what is stored is not looked at.
async fn given(rows: Rows, parameters: &Parameters, wanted: &Wanted) -> Result<Rows, Outcome> {
    let mut page = Vec::new();
    for parameter in parameters.all("resource") {
        let text = parameter.resource.clone();
        let text = text.ok_or_else(|| parameter.refuse("required", "the resource is its `resource`"))?;
        let meta = meta_of_text(&text);
        if wanted.wants(&text, Timestamp(meta.ts)) {
            page.push((text, meta, format!("{}.resource", parameter.place)));
        }
    }
    append(rows, page).await
}

/// Flattens what is stored, page by page, until the limit is met.
async fn stored(app: &App, view: &Arc<View>, mut rows: Rows, wanted: &Wanted) -> Result<Rows, Outcome> {
    let mut search = Search {
        resource_type: view.resource().to_owned(),
        updated_from: wanted.since,
        count: PAGE,
        ..Search::default()
    };
    while !rows.is_full() {
        let versions = app.log.search(&search).await?;
        let Some(last) = versions.last() else { break };
        search.after = Some(Place::of(last));
        let page = versions
            .into_iter()
            .filter(|version| wanted.wants(&version.resource, version.last_updated))
            .map(|version| {
                let meta = meta_of(&version);
                (version.resource, meta, version.key.to_string())
            })
            .collect();
        rows = append(rows, page).await?;
    }
    Ok(rows)
}

async fn append(mut rows: Rows, page: Vec<(Bytes, ResourceMeta, String)>) -> Result<Rows, Outcome> {
    let appended = tokio::task::spawn_blocking(move || {
        for (text, meta, place) in &page {
            rows.append(text, meta).map_err(|error| refused(error, place))?;
        }
        Ok(rows)
    });
    appended.await.map_err(|_| Outcome::internal())?
}

fn refused(error: RowsError, place: &str) -> Outcome {
    match error {
        RowsError::Row(error) => {
            Outcome::unprocessable(vec![Issue::new("processing", error.to_string()).at(place)])
        }
        other => other.into(),
    }
}

impl Wanted {
    fn wants(&self, resource: &[u8], last_updated: Timestamp) -> bool {
        self.since.is_none_or(|since| last_updated >= since)
            && self
                .patient
                .as_ref()
                .is_none_or(|patient| patient.matches(resource))
    }
}

fn meta_of(version: &Version) -> ResourceMeta {
    ResourceMeta {
        ts: version.last_updated.0,
        cts: version.created_at.0,
        status: version.status.as_str().to_owned(),
        txid: i64::try_from(version.sequence.0).unwrap_or(i64::MAX),
        deleted: false,
    }
}

/// What a resource says of its own version.
fn meta_of_text(text: &[u8]) -> ResourceMeta {
    let body = Body::parse(text).ok();
    let time = body
        .as_ref()
        .and_then(Body::last_updated)
        .and_then(Timestamp::parse);
    let version = body
        .as_ref()
        .and_then(Body::version_id)
        .and_then(|text| text.parse().ok());
    ResourceMeta {
        ts: time.unwrap_or_default().0,
        cts: time.unwrap_or_default().0,
        status: "created".to_owned(),
        txid: version.unwrap_or(0),
        deleted: false,
    }
}

fn answer(wanted: &Wanted, rows: Vec<u8>) -> Response {
    let media_type = wanted.format.media_type();
    if wanted.is_raw {
        return respond::typed(StatusCode::OK, media_type, rows);
    }
    let binary = json!({
        "resourceType": "Binary",
        "contentType": media_type,
        "data": STANDARD.encode(rows),
    });
    respond::fhir_json(StatusCode::OK, &binary)
}
