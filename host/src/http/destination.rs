//! AidboxTopicDestinations: checked to the target before they are answered, fixed once they are made.
//!
//! A create is one piece of work that goes to its end even when the client goes away: check, look at the target,
//! make the record, store the resource, start. A crash in between leaves at most a record without a resource,
//! which the next create of that id replaces.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::Value;

use crate::change::{Interaction, ResourceKey, Version};
use crate::definitions::Origin;
use crate::delivery::{BootstrapError, DestinationSpec};
use crate::intake;
use crate::log::{LogError, Precondition, Write, Written};

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::{App, conditional, overview, read, respond, whole, write};

/// The type's name.
pub(super) const DESTINATION: &str = "AidboxTopicDestination";

/// What a destination's address takes.
pub(super) const METHODS: &str = "GET, DELETE";

/// A create: 201 once the target was looked at and delivery has begun.
pub(super) async fn create(app: &Arc<App>, ask: &Ask) -> Result<Response, Outcome> {
    let body = write::checked(app, ask, DESTINATION).await?;
    if let Some(version) = conditional::existing(app, ask, DESTINATION).await? {
        return Ok(respond::resource(StatusCode::OK, &version));
    }
    let mut resource: Value = serde_json::from_slice(&ask.body).map_err(|_| Outcome::internal())?;
    let write = app.intake.create(body)?;
    resource["id"] = write.key.id().into();
    let app = Arc::clone(app);
    let version = whole(async move {
        let _turn = app.destination_turn.lock().await;
        refuse_taken(&app, &write.key).await?;
        let spec = app.definitions.check_destination(&resource, Origin::Request)?;
        app.deliveries
            .bootstrap(&spec)
            .await
            .map_err(|error| refused(&error, &resource))?;
        // The target may have taken minutes: topic and view are looked at again, and stay until it is stored.
        let _definitions = app.definition_turn.lock().await;
        let spec = app.definitions.check_destination(&resource, Origin::Request)?;
        begin(&app, spec, write).await
    });
    Ok(respond::created(ask, &version.await?))
}

/// A delete: delivery ends, what was not delivered is dropped, what was stays where it is.
pub(super) async fn delete(app: &Arc<App>, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    let write = app
        .intake
        .delete(intake::key(DESTINATION, id)?, write::precondition(ask)?);
    let (owned, id) = (Arc::clone(app), id.to_owned());
    let written = whole(async move {
        let _turn = owned.destination_turn.lock().await;
        let written = owned.write(write).await?;
        owned.deliveries.stop(&id).await;
        owned.definitions.forget_destination(&id).await?;
        Ok(written)
    });
    Ok(write::deleted(ask, &written.await?))
}

/// `$status`
pub(super) async fn status(app: &App, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    if !matches!(ask.method, Method::GET | Method::HEAD) {
        return Err(Outcome::method_not_allowed("GET"));
    }
    resource(app, id).await?;
    shown(app, id).await
}

/// `$pause`: delivery stops after the write under way, also over restarts; answers `$status`.
pub(super) async fn pause(app: &Arc<App>, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    if ask.method != Method::POST {
        return Err(Outcome::method_not_allowed("POST"));
    }
    resource(app, id).await?;
    let (owned, name) = (Arc::clone(app), id.to_owned());
    whole(async move {
        let _turn = owned.destination_turn.lock().await;
        Ok(owned.deliveries.pause(&name).await?)
    })
    .await?;
    shown(app, id).await
}

/// `$resume`: delivers again from where it stood, after a pause or a halt; answers `$status`.
pub(super) async fn resume(app: &Arc<App>, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    if ask.method != Method::POST {
        return Err(Outcome::method_not_allowed("POST"));
    }
    let stored = resource(app, id).await?;
    let (owned, name) = (Arc::clone(app), id.to_owned());
    whole(async move {
        let _turn = owned.destination_turn.lock().await;
        // One that could not be started with the host is checked again: what was missing may be here now.
        let spec = match owned.deliveries.live(&name) {
            Some(_) => None,
            None => {
                let resource = serde_json::from_slice(&stored.resource).map_err(|_| Outcome::internal())?;
                Some(owned.definitions.check_destination(&resource, Origin::Request)?)
            }
        };
        owned.deliveries.resume(&name).await?;
        match spec {
            Some(spec) => Ok(owned.deliveries.start(spec).await?),
            None => Ok(()),
        }
    })
    .await?;
    shown(app, id).await
}

/// The living resource of an id, or 404.
pub(super) async fn resource(app: &App, id: &str) -> Result<Version, Outcome> {
    let key = read::key(DESTINATION, id)?;
    living(app, &key).await?.ok_or_else(|| read::not_found(&key))
}

async fn shown(app: &App, id: &str) -> Result<Response, Outcome> {
    match overview::one(app, id).await? {
        Some(status) => Ok(respond::fhir_json(StatusCode::OK, &status.parameters())),
        // The resource without a record: it is not delivered to, which its creation never leaves so.
        None => Err(Outcome::internal()),
    }
}

async fn refuse_taken(app: &App, key: &ResourceKey) -> Result<(), Outcome> {
    match living(app, key).await? {
        None => Ok(()),
        Some(_) => {
            let issue = Issue::new("conflict", format!("{key} exists already; delete it first"));
            let place = format!("{DESTINATION}.id");
            Err(Outcome::of(StatusCode::CONFLICT, vec![issue.at(place)]))
        }
    }
}

async fn living(app: &App, key: &ResourceKey) -> Result<Option<Version>, LogError> {
    let current = app.log.current(key).await?;
    Ok(current.filter(|version| version.status.interaction() != Interaction::Delete))
}

/// Makes the record, stores the resource and starts delivery from here on; undoes all of it when a step fails.
async fn begin(app: &App, spec: DestinationSpec, write: Write) -> Result<Version, Outcome> {
    let key = write.key.clone();
    // What a create that crashed may have left.
    app.definitions.forget_destination(key.id()).await?;
    app.definitions.keep_identity(&spec).await?;
    let start = *app.log.head().borrow();
    app.log.create_destination(key.id(), start).await?;
    let begun = async {
        let written = write::commit(app, write).await?;
        app.deliveries.start(spec).await?;
        match written {
            Written::Version { version, .. } => Ok(version),
            Written::Nothing | Written::Unchanged(_) => Err(Outcome::internal()),
        }
    };
    match begun.await {
        Ok(version) => Ok(version),
        Err(outcome) => {
            undo(app, key).await;
            Err(outcome)
        }
    }
}

async fn undo(app: &App, key: ResourceKey) {
    let id = key.id().to_owned();
    app.deliveries.stop(&id).await;
    let deleted = app.write(app.intake.delete(key, Precondition::None)).await;
    let dropped = app.definitions.forget_destination(&id).await;
    if deleted.is_err() || dropped.is_err() {
        tracing::error!(destination = %id, "a destination that failed to start could not be removed; delete it");
    }
}

/// 422 at the parameter that the target did not like, or 503 when it may like it later.
fn refused(error: &BootstrapError, resource: &Value) -> Outcome {
    let is_retryable = matches!(
        error,
        BootstrapError::Target {
            is_retryable: true,
            ..
        }
    );
    let code = if is_retryable { "transient" } else { "processing" };
    let issue = Issue::new(code, error.to_string()).at(place_of(error.parameter(), resource));
    match is_retryable {
        true => Outcome::retry_later(vec![issue], 30),
        false => Outcome::unprocessable(vec![issue]),
    }
}

/// Where a destination's resource has a parameter.
fn place_of(parameter: &str, resource: &Value) -> String {
    let list = resource["parameter"].as_array();
    let index = list.and_then(|list| list.iter().position(|item| item["name"] == parameter));
    match index {
        Some(index) => format!("{DESTINATION}.parameter[{index}]"),
        None => format!("{DESTINATION}.parameter.where(name = '{parameter}')"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_issue_points_at_the_parameter_in_the_request() {
        let resource = json!({"parameter": [{"name": "batchSize"}, {"name": "tableName"}]});
        assert_eq!(
            place_of("tableName", &resource),
            "AidboxTopicDestination.parameter[1]"
        );
        assert_eq!(
            place_of("writeMode", &resource),
            "AidboxTopicDestination.parameter.where(name = 'writeMode')"
        );
    }
}
