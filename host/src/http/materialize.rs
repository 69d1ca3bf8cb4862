//! `$materialize`: makes a view usable by destinations.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::definitions::{MaterializeError, Materialized};

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::parameters::Parameters;
use super::{App, respond, view, whole};

/// Answers `$materialize` on the type or on one definition.
pub(super) async fn materialize(app: &Arc<App>, ask: &Ask, id: Option<&str>) -> Result<Response, Outcome> {
    if ask.method != Method::POST {
        return Err(Outcome::method_not_allowed("POST"));
    }
    let parameters = Parameters::of(app, ask, &["type", "viewReference", "viewResource"])?;
    let kind = kind(&parameters)?;
    let found = view::find(app, id, &parameters).await?;
    let app = Arc::clone(app);
    let made = whole(async move {
        let _turn = app.definition_turn.lock().await;
        let made = app.definitions.materialize(&found.resource, &kind).await;
        made.map_err(|error| refused(error, &found.place))
    });
    Ok(answer(&made.await?))
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

fn answer(made: &Materialized) -> Response {
    respond::fhir_json(
        StatusCode::OK,
        &json!({
            "resourceType": "Parameters",
            "parameter": [
                {"name": "viewName", "valueString": made.view_name},
                {"name": "viewType", "valueCode": made.view_type},
                {"name": "viewSchema", "valueString": made.view_schema},
            ],
        }),
    )
}

fn refused(error: MaterializeError, place: &str) -> Outcome {
    match error {
        MaterializeError::Log(error) => error.into(),
        MaterializeError::Refused(issues) => Outcome::unprocessable(
            issues
                .iter()
                .map(|issue| {
                    let below = issue.expression.strip_prefix(view::VIEW);
                    let expression =
                        below.map_or(issue.expression.clone(), |below| format!("{place}{below}"));
                    Issue::new(issue.code.as_str(), issue.diagnostics.clone()).at(expression)
                })
                .collect(),
        ),
    }
}
