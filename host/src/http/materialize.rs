//! `$materialize`: makes a view usable by destinations and, where the store is PostgreSQL, readable in SQL.
//!
//! `POST` materialises. Where SQL users have views, `GET` says how theirs stands and `DELETE` takes it away.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::definitions::{MaterializeError, Materialized};
use crate::delivery::MaterializedView;
use crate::sql_table::{SqlTableError, SqlTables, SqlView};

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::parameters::Parameters;
use super::view::{Found, VIEW};
use super::{App, respond, view, whole};

/// How long an answer waits for the rows of what is stored already. A small store has them there by then.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers `$materialize` on the type or on one definition.
pub(super) async fn materialize(app: &Arc<App>, ask: &Ask, id: Option<&str>) -> Result<Response, Outcome> {
    match (&ask.method, &app.sql_tables, id) {
        (&Method::POST, _, _) => make(app, ask, id).await,
        (&Method::GET | &Method::HEAD, Some(tables), Some(id)) => show(app, tables, id).await,
        (&Method::DELETE, Some(tables), Some(id)) => take_away(app, tables, id).await,
        (_, Some(_), Some(_)) => Err(Outcome::method_not_allowed("GET, POST, DELETE")),
        _ => Err(Outcome::method_not_allowed("POST")),
    }
}

async fn make(app: &Arc<App>, ask: &Ask, id: Option<&str>) -> Result<Response, Outcome> {
    let parameters = Parameters::of(app, ask, &["type", "viewReference", "viewResource"])?;
    let kind = kind(&parameters)?;
    let found = view::find(app, id, &parameters).await?;
    let owned = Arc::clone(app);
    let made = whole(async move {
        let _turn = owned.definition_turn.lock().await;
        make_at(&owned, &found, &kind).await
    });
    let made = made.await?;
    let mut answer = parameters_of(&made);
    if let Some(tables) = &app.sql_tables {
        let newest = newest(app, name_of(&made))?;
        let status = tables.wait_until_current(&newest, PATIENCE).await;
        answer.extend(status_parameters(&status.map_err(of_table)?));
    }
    Ok(parameters_answer(&answer))
}

/// Materialises a view in the state that its definition is in now.
async fn make_at(app: &App, found: &Found, kind: &str) -> Result<Materialized, Outcome> {
    if let Some(tables) = &app.sql_tables {
        let compiled = view::compile(found)?;
        let checked = tables.check(compiled.name().unwrap_or_default(), &compiled).await;
        checked.map_err(|error| table_refused(error, &found.place))?;
    }
    let made = app.definitions.materialize(&found.resource, kind).await;
    let made = made.map_err(|error| refused(error, &found.place))?;
    if let Some(tables) = &app.sql_tables {
        let kept = tables.keep(&newest(app, name_of(&made))?).await;
        kept.map_err(|error| table_refused(error, &found.place))?;
    }
    Ok(made)
}

/// How the view of SQL users stands.
async fn show(app: &App, tables: &SqlTables, id: &str) -> Result<Response, Outcome> {
    let (newest, made) = materialized(app, id).await?;
    let status = tables.status(&newest).await.map_err(of_table)?;
    let mut answer = parameters_of(&made);
    answer.extend(status_parameters(&status));
    Ok(parameters_answer(&answer))
}

/// Takes the view of SQL users away. Destinations keep theirs.
async fn take_away(app: &Arc<App>, tables: &SqlTables, id: &str) -> Result<Response, Outcome> {
    let (newest, _) = materialized(app, id).await?;
    let (owned, tables) = (Arc::clone(app), tables.clone());
    whole(async move {
        let _turn = owned.definition_turn.lock().await;
        tables.drop_view(&newest.name).await.map_err(of_table)
    })
    .await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// The view that a definition was materialised as.
async fn materialized(app: &App, id: &str) -> Result<(Arc<MaterializedView>, Materialized), Outcome> {
    let found = view::find(app, Some(id), &Parameters::default()).await?;
    let name = found.resource["name"].as_str().unwrap_or_default();
    let (newest, made) = (newest(app, name), app.definitions.views().materialized(name));
    match (newest, made) {
        (Ok(newest), Some(made)) => Ok((newest, made)),
        _ => Err(Outcome::not_found("the view is not materialised")),
    }
}

fn newest(app: &App, name: &str) -> Result<Arc<MaterializedView>, Outcome> {
    let newest = app.definitions.views().by_name(name);
    let newest = newest.map(|receiver| Arc::clone(&receiver.borrow()));
    newest.ok_or_else(Outcome::internal)
}

fn kind(parameters: &Parameters) -> Result<String, Outcome> {
    let Some(kind) = parameters.get("type") else {
        let text = "`type` is required: view, materialized-view or table";
        return Err(Outcome::unprocessable(vec![
            Issue::new("required", text).at("Parameters.parameter"),
        ]));
    };
    match kind.value.as_deref() {
        Some(value @ ("view" | "materialized-view" | "table")) => Ok(value.to_owned()),
        _ => Err(kind.refuse("value", "Invalid materialization type")),
    }
}

fn name_of(made: &Materialized) -> &str {
    let name = made.view_name.strip_prefix(&made.view_schema);
    name.and_then(|name| name.strip_prefix('.')).unwrap_or_default()
}

fn parameters_of(made: &Materialized) -> Vec<Value> {
    vec![
        json!({"name": "viewName", "valueString": made.view_name}),
        json!({"name": "viewType", "valueCode": made.view_type}),
        json!({"name": "viewSchema", "valueString": made.view_schema}),
    ]
}

fn status_parameters(status: &SqlView) -> Vec<Value> {
    let mut parameters = vec![
        json!({"name": "viewStatus", "valueCode": status.state.as_str()}),
        json!({"name": "changesWaiting", "valueDecimal": status.waiting}),
        json!({"name": "lagSeconds", "valueDecimal": status.lag_seconds}),
        json!({"name": "changesRefused", "valueDecimal": status.refused}),
    ];
    if let Some(reason) = &status.reason {
        parameters.push(json!({"name": "reason", "valueString": reason}));
    }
    parameters
}

fn parameters_answer(parameters: &[Value]) -> Response {
    respond::fhir_json(
        StatusCode::OK,
        &json!({"resourceType": "Parameters", "parameter": parameters}),
    )
}

fn refused(error: MaterializeError, place: &str) -> Outcome {
    match error {
        MaterializeError::Log(error) => error.into(),
        MaterializeError::Refused(issues) => Outcome::unprocessable(
            issues
                .iter()
                .map(|issue| {
                    let below = issue.expression.strip_prefix(VIEW);
                    let expression =
                        below.map_or(issue.expression.clone(), |below| format!("{place}{below}"));
                    Issue::new(issue.code.as_str(), issue.diagnostics.clone()).at(expression)
                })
                .collect(),
        ),
    }
}

/// 422 at the view's name or at its columns.
fn table_refused(error: SqlTableError, place: &str) -> Outcome {
    let (code, element) = match &error {
        SqlTableError::Taken { .. } => ("conflict", ".name"),
        SqlTableError::LongName { what: "view", .. } => ("value", ".name"),
        SqlTableError::LongName { .. }
        | SqlTableError::SystemColumn { .. }
        | SqlTableError::TooManyColumns { .. } => ("value", ".select"),
        _ => return of_table(error),
    };
    Outcome::unprocessable(vec![
        Issue::new(code, error.to_string()).at(format!("{place}{element}")),
    ])
}

/// 503 when it may be had later, 409 when something is in the way.
fn of_table(error: SqlTableError) -> Outcome {
    match error {
        SqlTableError::Log(error) => error.into(),
        error if error.is_retryable() => {
            Outcome::retry_later(vec![Issue::new("transient", error.to_string())], 5)
        }
        error => Outcome::new(StatusCode::CONFLICT, "conflict", error.to_string()),
    }
}
