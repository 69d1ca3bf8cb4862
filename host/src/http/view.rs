//! ViewDefinitions: kept only when the engine takes them, and found for the operations on them.

use std::sync::Arc;

use axum::response::Response;
use lakefeed_view::{CompileOptions, View, ViewDefinition, ViewErrors};
use serde_json::Value;

use crate::change::Interaction;

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::parameters::Parameters;
use super::{App, read, write};

/// The type's name.
pub(super) const VIEW: &str = "ViewDefinition";

/// A create, refused with all that is wrong with the definition.
pub(super) async fn create(app: &App, ask: &Ask) -> Result<Response, Outcome> {
    check(ask)?;
    write::create(app, ask, VIEW).await
}

/// An update, refused likewise. What was materialised stays as it is.
pub(super) async fn update(app: &App, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    check(ask)?;
    write::update(app, ask, VIEW, id).await
}

/// A definition that an operation works on.
#[derive(Debug)]
pub(super) struct Found {
    /// The resource.
    pub(super) resource: Value,
    /// Where the request has it, for the paths of issues.
    pub(super) place: String,
}

/// The definition that a request names: by the path, by `viewReference` or by `viewResource`; exactly one.
pub(super) async fn find(app: &App, id: Option<&str>, parameters: &Parameters) -> Result<Found, Outcome> {
    let (reference, resource) = (parameters.get("viewReference"), parameters.get("viewResource"));
    match (id, reference, resource) {
        (Some(id), None, None) => stored(app, id)
            .await?
            .ok_or_else(|| Outcome::not_found(format!("there is no {VIEW} of this id"))),
        (None, Some(reference), None) => {
            let id = reference
                .value
                .as_deref()
                .and_then(|text| text.strip_prefix("ViewDefinition/"));
            let id = id.ok_or_else(|| reference.refuse("value", "write `ViewDefinition/` and the id"))?;
            let found = stored(app, id).await?;
            found.ok_or_else(|| reference.refuse("not-found", "there is no such ViewDefinition"))
        }
        (None, None, Some(parameter)) => {
            let text = parameter.resource.as_ref();
            let text = text.ok_or_else(|| parameter.refuse("required", "the view is its `resource`"))?;
            Ok(Found {
                resource: parse(text)?,
                place: format!("{}.resource", parameter.place),
            })
        }
        _ => {
            let text = "name the view once: in the path, as `viewReference` or as `viewResource`";
            Err(Outcome::unprocessable(vec![
                Issue::new("required", text).at("Parameters.parameter"),
            ]))
        }
    }
}

async fn stored(app: &App, id: &str) -> Result<Option<Found>, Outcome> {
    let Ok(key) = read::key(VIEW, id) else {
        return Ok(None);
    };
    let current = app.log.current(&key).await?;
    let living = current.filter(|version| version.status.interaction() != Interaction::Delete);
    living
        .map(|version| {
            Ok(Found {
                resource: parse(&version.resource)?,
                place: VIEW.to_owned(),
            })
        })
        .transpose()
}

/// Compiles a definition, or says all that is wrong with it, with paths below `place`.
pub(super) fn compile(found: &Found) -> Result<Arc<View>, Outcome> {
    let definition = ViewDefinition::from_value(&found.resource)
        .and_then(|definition| View::compile(&definition, &CompileOptions::default()));
    definition
        .map(Arc::new)
        .map_err(|errors| Outcome::unprocessable(issues(&errors, &found.place)))
}

fn check(ask: &Ask) -> Result<(), Outcome> {
    ask.require_json()?;
    // What is not JSON or not a ViewDefinition at all is refused by the write, in its own words.
    match serde_json::from_slice::<Value>(&ask.body) {
        Ok(resource) if resource["resourceType"] == VIEW => compile(&Found {
            resource,
            place: VIEW.to_owned(),
        })
        .map(drop),
        _ => Ok(()),
    }
}

fn parse(text: &[u8]) -> Result<Value, Outcome> {
    serde_json::from_slice(text).map_err(|_| Outcome::internal())
}

/// The engine's errors, their paths moved from `ViewDefinition` to `place`.
fn issues(errors: &ViewErrors, place: &str) -> Vec<Issue> {
    errors
        .errors
        .iter()
        .map(|error| {
            let column = error
                .column
                .map(|column| format!("character {column}: "))
                .unwrap_or_default();
            let text = format!("{column}{}; {} [{}]", error.problem, error.remedy, error.code);
            let location = error.location.strip_prefix(VIEW).unwrap_or(&error.location);
            Issue::new("value", text).at(format!("{place}{location}"))
        })
        .collect()
}
