//! What makes a destination this one: where its rows go and what they are.
//!
//! A destination's offset counts what its table holds. So the target that was in force when the destination was
//! made, defaults and absolute paths included, is kept beside it; a start that would send the rows elsewhere is
//! refused instead of going on from an offset that means another table.

use serde_json::{Map, Value};

use super::{Definitions, declared};
use crate::delivery::{DestinationSpec, Place};
use crate::log::LogError;

/// The space of the store where identities are kept.
const SPACE: &str = "destination-identity";

impl Definitions {
    /// Remembers where a new destination's rows go.
    pub async fn keep_identity(&self, spec: &DestinationSpec) -> Result<(), LogError> {
        let bytes = Value::Object(self.identity(spec)).to_string();
        self.log.put_kept(SPACE, &spec.id, bytes.as_bytes()).await
    }

    /// The parameters by which a destination would go elsewhere than when it was made; none for one whose
    /// identity was never kept.
    pub(super) async fn changed_identity(&self, spec: &DestinationSpec) -> Result<Vec<String>, LogError> {
        let Some(kept) = self.log.kept(SPACE, &spec.id).await? else {
            return Ok(Vec::new());
        };
        let kept: Map<String, Value> = serde_json::from_slice(&kept).unwrap_or_default();
        let now = self.identity(spec);
        Ok(kept
            .into_iter()
            .filter(|(name, value)| now.get(name) != Some(value))
            .map(|(name, _)| name)
            .collect())
    }

    /// Removes a destination's record with all that is remembered of it.
    pub async fn forget_destination(&self, id: &str) -> Result<(), LogError> {
        self.log.drop_destination(id).await?;
        self.log.drop_kept(SPACE, id).await?;
        self.log.drop_kept(declared::SPACE, id).await
    }

    fn identity(&self, spec: &DestinationSpec) -> Map<String, Value> {
        let mut identity = Map::new();
        let Place::Plugins(target) = &spec.target.place else {
            return identity;
        };
        let mut put = |name: &str, value: &str| drop(identity.insert(name.to_owned(), value.into()));
        put("topic", &spec.topic);
        put("viewDefinition", &spec.view.borrow().name);
        put("writer", &target.writer.plugin);
        put("tableName", &target.table.name);
        put("tablePath", &target.table.location);
        for marker in self.plugins.markers() {
            if let [name] = marker.path.as_slice()
                && marker.access.is_some()
                && let Some(value) = target.writer.config.get(name).and_then(Value::as_str)
            {
                put(name, value);
            }
        }
        identity
    }
}
