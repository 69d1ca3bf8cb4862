//! What a condition finds, in the store as the transaction so far will have left it.

use std::sync::Arc;

use url::form_urlencoded;

use crate::change::{Interaction, ResourceKey, Version};
use crate::intake::bundle::BundleRefusal;
use crate::intake::criteria::{Criteria, Way};
use crate::log::{Finding, LogError, Lookup};

use super::Around;
use super::overlay::Overlay;

/// The most ids that a condition names.
const MAX_IDS: usize = 100;

/// What a condition finds.
#[derive(Default)]
pub(super) struct Found {
    pub(super) key: Option<ResourceKey>,
    /// The version, unless the transaction makes it.
    pub(super) version: Option<Version>,
    pub(super) is_several: bool,
    /// What must still be found when the write happens.
    pub(super) finding: Option<Arc<Finding>>,
}

impl Found {
    fn of(mut found: Vec<(ResourceKey, Option<Version>)>, finding: Option<Arc<Finding>>) -> Self {
        let is_several = found.len() > 1;
        let (key, version) = found.pop().unzip();
        Self {
            key,
            version: version.flatten(),
            is_several,
            finding,
        }
    }
}

/// Looks a resource up in the store as the transaction so far will have left it.
pub(super) async fn find(
    around: &Around<'_>,
    overlay: &Overlay,
    name: &str,
    query: &str,
) -> Result<Result<Found, BundleRefusal>, LogError> {
    let query = query.rsplit_once('?').map_or(query, |(_, query)| query);
    let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let criteria = match Criteria::parse(name, &query) {
        Ok(criteria) => criteria,
        Err(error) => return Ok(Err(error.into())),
    };
    match criteria.way() {
        _ if criteria.is_empty() => Ok(Err(BundleRefusal::Criteria)),
        Way::Ids(ids) if ids.len() <= MAX_IDS => by_ids(around, overlay, &criteria, &ids).await.map(Ok),
        Way::Lookup(lookup) => look_up(around, overlay, lookup).await.map(Ok),
        Way::Ids(_) | Way::All => Ok(Err(BundleRefusal::Criteria)),
    }
}

async fn look_up(around: &Around<'_>, overlay: &Overlay, lookup: Lookup) -> Result<Found, LogError> {
    // Those that the transaction changes are not counted as they were.
    let stored = around.log.look_up(&lookup, overlay.len() + 2).await?;
    let untouched = stored
        .into_iter()
        .filter(|version| !overlay.touches(&version.key));
    let mut found: Vec<(ResourceKey, Option<Version>)> = untouched
        .map(|version| (version.key.clone(), Some(version)))
        .collect();
    found.extend(overlay.find(&lookup).into_iter().map(|key| (key, None)));
    let ids = found.iter().map(|(key, _)| key.id().to_owned()).collect();
    let finding = Arc::new(Finding { lookup, ids });
    Ok(Found::of(found, Some(finding)))
}

async fn by_ids(
    around: &Around<'_>,
    overlay: &Overlay,
    criteria: &Criteria,
    ids: &[String],
) -> Result<Found, LogError> {
    let mut found = Vec::new();
    for id in ids {
        let Ok(key) = ResourceKey::new(criteria.resource_type(), id) else {
            continue;
        };
        let is_touched = overlay.touches(&key);
        let version = match overlay.get(&key) {
            Some(made) => made,
            None => around.log.current(&key).await?,
        };
        let living = version.filter(|version| version.status.interaction() != Interaction::Delete);
        if let Some(version) = living.filter(|version| criteria.matches(version)) {
            found.push((key, (!is_touched).then_some(version)));
        }
    }
    Ok(Found::of(found, None))
}
