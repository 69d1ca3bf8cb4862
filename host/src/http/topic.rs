//! AidboxSubscriptionTopics: checked before they are stored, in use as soon as they are.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::change::{Interaction, Version};
use crate::intake;
use crate::log::Written;

use super::ask::Ask;
use super::outcome::{Issue, Outcome};
use super::{App, conditional, respond, whole, write};

/// The type's name.
pub(super) const TOPIC: &str = "AidboxSubscriptionTopic";

/// A create, refused with all that is wrong with the topic.
pub(super) async fn create(app: &Arc<App>, ask: &Ask) -> Result<Response, Outcome> {
    let body = write::checked(app, ask, TOPIC).await?;
    if let Some(version) = conditional::existing(app, ask, TOPIC).await? {
        return Ok(respond::resource(StatusCode::OK, &version));
    }
    let write = app.intake.create(body)?;
    let (version, _) = put(app, ask, write).await?;
    Ok(respond::created(ask, &version))
}

/// An update: the changes written after it are matched by the new definition, those before it by the old one.
pub(super) async fn update(app: &Arc<App>, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    let body = write::checked(app, ask, TOPIC).await?;
    let write = app.intake.update(id, body, write::precondition(ask)?)?;
    let (version, interaction) = put(app, ask, write).await?;
    Ok(write::updated(ask, &version, interaction))
}

/// A delete, refused while destinations take the topic's changes.
pub(super) async fn delete(app: &Arc<App>, ask: &Ask, id: &str) -> Result<Response, Outcome> {
    let write = app
        .intake
        .delete(intake::key(TOPIC, id)?, write::precondition(ask)?);
    let (owned, id) = (Arc::clone(app), id.to_owned());
    let written = whole(async move {
        let _turn = owned.definition_turn.lock().await;
        if let Some(topic) = owned.definitions.topics().by_id(&id) {
            let users = owned.definitions.destinations_of_topic(&topic.url).await?;
            refuse_in_use(&users)?;
        }
        let written = owned.write(write).await?;
        owned.definitions.topic_deleted(&id);
        Ok(written)
    });
    Ok(write::deleted(ask, &written.await?))
}

async fn put(app: &Arc<App>, ask: &Ask, write: crate::log::Write) -> Result<(Version, Interaction), Outcome> {
    let mut resource: Value = serde_json::from_slice(&ask.body).map_err(|_| Outcome::internal())?;
    resource["id"] = write.key.id().into();
    let app = Arc::clone(app);
    whole(async move {
        let _turn = app.definition_turn.lock().await;
        let topic = app.definitions.check_topic(&resource)?;
        if let Some(old) = app
            .definitions
            .topics()
            .by_id(&topic.id)
            .filter(|old| old.url != topic.url)
        {
            // Destinations name a topic by its url.
            refuse_in_use(&app.definitions.destinations_of_topic(&old.url).await?)?;
        }
        match write::commit(&app, write).await? {
            Written::Version { version, interaction } => {
                let is_new = interaction == Interaction::Create;
                let id = version.key.id();
                app.definitions
                    .topic_stored(topic, id, version.sequence.0, is_new);
                Ok((version, interaction))
            }
            Written::Nothing | Written::Unchanged(_) => Err(Outcome::internal()),
        }
    })
    .await
}

/// 409 for a topic that destinations take the changes of.
pub(super) fn refuse_in_use(users: &[String]) -> Result<(), Outcome> {
    if users.is_empty() {
        return Ok(());
    }
    let text = format!(
        "destinations take this topic's changes: {}; delete them first",
        users.join(", ")
    );
    let issue = Issue::new("conflict", text).at("AidboxSubscriptionTopic.url");
    Err(Outcome::of(StatusCode::CONFLICT, vec![issue]))
}
