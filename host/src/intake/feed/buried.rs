//! Deletes of resources that are not here, remembered: what was sent before such a delete and comes after it must not
//! bring the resource to life.
//!
//! The log keeps no version of a delete that found nothing. So the delete's source is kept beside it, one small value
//! for a resource that was deleted before it came, and asked when a resource would come to be or come back.

use serde::{Deserialize, Serialize};

use crate::change::{Interaction, ResourceKey, Source, Timestamp};
use crate::log::{Action, Log, LogError, Write};

/// The space of the store where such deletes are kept.
const SPACE: &str = "feed-deleted";

#[derive(Serialize, Deserialize)]
struct Kept {
    version: Option<String>,
    last_updated: Option<i64>,
}

/// Whether a write would bring back a resource that its source deleted later.
pub(super) async fn is_buried(log: &dyn Log, write: &Write) -> Result<bool, LogError> {
    let (Action::Put(_), Some(source)) = (&write.action, &write.source) else {
        return Ok(false);
    };
    let current = log.current(&write.key).await?;
    if current.is_some_and(|version| version.status.interaction() != Interaction::Delete) {
        return Ok(false);
    }
    let buried = kept(log, &write.key).await?;
    Ok(buried.is_some_and(|buried| !source.supersedes(&buried)))
}

/// Remembers a delete that found nothing.
pub(super) async fn bury(log: &dyn Log, key: &ResourceKey, source: &Source) -> Result<(), LogError> {
    let before = kept(log, key).await?;
    if before.is_some_and(|before| !source.supersedes(&before)) {
        return Ok(());
    }
    let value = Kept {
        version: source.version.clone(),
        last_updated: source.last_updated.map(|time| time.0),
    };
    let value = serde_json::to_vec(&value).unwrap_or_default();
    log.put_kept(SPACE, &key.to_string(), &value).await
}

async fn kept(log: &dyn Log, key: &ResourceKey) -> Result<Option<Source>, LogError> {
    let value = log.kept(SPACE, &key.to_string()).await?;
    let kept = value.and_then(|value| serde_json::from_slice::<Kept>(&value).ok());
    Ok(kept.map(|kept| Source {
        version: kept.version,
        last_updated: kept.last_updated.map(Timestamp),
    }))
}
