//! Create, update and delete of resources that carry no meaning for this host.

use axum::http::StatusCode;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::response::Response;
use bytes::Bytes;

use crate::change::{Body, Interaction, ResourceKey, Version};
use crate::intake;
use crate::log::{Precondition, Refused, Write, WriteError, Written};

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::{App, conditional, respond};

/// Bodies from this size on are checked outside the threads that answer requests.
const LARGE: usize = 256 * 1024;

/// A create: 201, or 409 when its id is taken.
pub(super) async fn create(app: &App, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    let body = checked(app, ask, resource_type).await?;
    if let Some(criteria) = conditional::of_create(ask, resource_type)? {
        return conditional::create(app, ask, &criteria, body).await;
    }
    let write = app.intake.create(body)?;
    match commit(app, write).await? {
        Written::Version { version, .. } => Ok(respond::created(ask, &version)),
        Written::Nothing | Written::Unchanged(_) => Err(Outcome::internal()),
    }
}

/// An update, or a create under the client's id: 200 or 201.
pub(super) async fn update(app: &App, ask: &Ask, resource_type: &str, id: &str) -> Result<Response, Outcome> {
    let body = checked(app, ask, resource_type).await?;
    let write = app.intake.update(id, body, precondition(ask)?)?;
    match app.write(write).await? {
        Written::Version { version, interaction } => Ok(updated(ask, &version, interaction)),
        Written::Nothing | Written::Unchanged(_) => Err(Outcome::internal()),
    }
}

/// A delete: 200 with what was deleted, 204 when nothing was there or `_no-content=true` asks for it.
pub(super) async fn delete(app: &App, ask: &Ask, resource_type: &str, id: &str) -> Result<Response, Outcome> {
    let key = intake::key(resource_type, id)?;
    let write = app.intake.delete(key, precondition(ask)?);
    Ok(deleted(ask, &app.write(write).await?))
}

/// The body of a create or update, checked.
pub(super) async fn checked(app: &App, ask: &Ask, resource_type: &str) -> Result<Body, Outcome> {
    ask.require_json()?;
    check(app, &ask.body, resource_type).await
}

/// A resource's text, checked.
pub(super) async fn check(app: &App, text: &Bytes, resource_type: &str) -> Result<Body, Outcome> {
    if text.len() < LARGE {
        return Ok(app.intake.check(Some(resource_type), text)?);
    }
    let (intake, text, name) = (app.intake.clone(), text.clone(), resource_type.to_owned());
    let checked = tokio::task::spawn_blocking(move || intake.check(Some(&name), &text)).await;
    Ok(checked.map_err(|_| Outcome::internal())??)
}

/// What `If-Match` and `If-None-Match` ask for.
pub(super) fn precondition(ask: &Ask) -> Result<Precondition, Outcome> {
    if let Some(value) = ask.header(&IF_MATCH) {
        return intake::if_match(value).ok_or_else(|| {
            Outcome::bad_request(
                "value",
                "`If-Match` takes one version, as `W/\"7\"` or `7`, or `*`",
            )
        });
    }
    match ask.header(&IF_NONE_MATCH) {
        Some(value) => intake::if_none_match(value)
            .ok_or_else(|| Outcome::bad_request("value", "on a write `If-None-Match` takes only `*`")),
        None => Ok(Precondition::None),
    }
}

/// The answer to an update.
pub(super) fn updated(ask: &Ask, version: &Version, interaction: Interaction) -> Response {
    match interaction {
        Interaction::Create => respond::created(ask, version),
        _ => respond::written(ask, StatusCode::OK, version),
    }
}

/// The answer to a delete.
pub(super) fn deleted(ask: &Ask, written: &Written) -> Response {
    match written {
        Written::Version { version, .. } if !ask.is_set("_no-content") => {
            respond::written(ask, StatusCode::OK, version)
        }
        Written::Version { version, .. } => {
            respond::with_version(respond::empty(StatusCode::NO_CONTENT), version)
        }
        Written::Nothing | Written::Unchanged(_) => respond::empty(StatusCode::NO_CONTENT),
    }
}

/// Writes a create; a taken id is a conflict.
pub(super) async fn commit(app: &App, write: Write) -> Result<Written, Outcome> {
    let key = write.key.clone();
    app.write(write)
        .await
        .map_err(|error| refused_create(error, &key))
}

/// Why a create was not done; a taken id is a conflict.
pub(super) fn refused_create(error: WriteError, key: &ResourceKey) -> Outcome {
    match error {
        WriteError::Refused {
            refused: Refused::Exists(_),
            ..
        } => {
            let issue = Issue::new("conflict", format!("{key} exists already"));
            let expression = format!("{}.id", key.resource_type());
            Outcome::of(StatusCode::CONFLICT, vec![issue.at(expression)])
        }
        other => other.into(),
    }
}
