//! The destinations' status, gathered from the store, from what runs here, and from the topics.

use serde_json::Value;

use crate::change::{ResourceKey, Timestamp};
use crate::log::LogError;
use crate::sql_table;
use crate::status::DestinationStatus;

use super::App;
use super::destination::DESTINATION;

/// All destinations, by id.
pub(super) async fn all(app: &App) -> Result<Vec<DestinationStatus>, LogError> {
    let mut all = Vec::new();
    for record in app.log.destinations().await? {
        // One that was deleted meanwhile is left out.
        all.extend(one(app, &record.id).await?);
    }
    Ok(all)
}

/// One destination; none when the store has no record of it.
pub(super) async fn one(app: &App, id: &str) -> Result<Option<DestinationStatus>, LogError> {
    let topic = topic_of(app, id).await?.unwrap_or_default();
    let live = app.deliveries.live(id);
    DestinationStatus::gather(&*app.log, id, &topic, live, Timestamp::now()).await
}

/// The id of the topic that a destination takes the changes of.
async fn topic_of(app: &App, id: &str) -> Result<Option<String>, LogError> {
    if let Some(view) = sql_table::view_of(id) {
        let view = app.definitions.views().by_name(view);
        return Ok(view.map(|view| sql_table::topic_id(&view.borrow().definition.resource)));
    }
    let Ok(key) = ResourceKey::new(DESTINATION, id) else {
        return Ok(None);
    };
    let resource = app.log.current(&key).await?;
    let resource = resource.and_then(|version| serde_json::from_slice::<Value>(&version.resource).ok());
    let url = resource.as_ref().and_then(|resource| resource["topic"].as_str());
    let topic = url.and_then(|url| app.definitions.topics().by_url(url));
    Ok(topic.map(|topic| topic.id.clone()))
}
