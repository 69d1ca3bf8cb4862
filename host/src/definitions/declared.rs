//! Definitions of the configuration file, stored as the resources that they stand for.
//!
//! At every start a declared topic, view or destination is compared with its stored resource and written when it
//! differs, so that history shows what was declared when. Views are materialised when their definition changed.
//! A declared destination may change how it is delivered, not where to: its offset counts what its table holds.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::views::{self, MaterializeError};
use super::{Definitions, LAKEHOUSE_KIND, LAKEHOUSE_PROFILE, Origin, parameter};
use crate::change::{Body, Interaction, Matched, ResourceKey, Version};
use crate::config::Config;
use crate::delivery::DestinationSpec;
use crate::issue::{Issue, IssueCode};
use crate::log::{Action, LogError, Precondition, Write, WriteError, Written};

/// The space of the store that remembers which destinations were declared.
pub(super) const SPACE: &str = "declared-destination";

/// The resource of a declared destination. Secrets are masked.
pub fn destination_resource(table: &Map<String, Value>) -> Value {
    let parameters: Vec<Value> = parameter::declared(table, "")
        .iter()
        .map(|given| parameter::to_fhir(&given.name, &given.value))
        .collect();
    json!({
        "resourceType": "AidboxTopicDestination",
        "id": table.get("id"),
        "meta": { "profile": [LAKEHOUSE_PROFILE] },
        "kind": LAKEHOUSE_KIND,
        "topic": table.get("topic"),
        "status": "active",
        "parameter": parameters,
    })
}

/// Whether two resources say the same, leaving aside what the store adds.
pub fn is_same(stored: &Value, declared: &Value) -> bool {
    let plain = |resource: &Value| {
        let mut plain = resource.clone();
        if let Some(meta) = plain.get_mut("meta").and_then(Value::as_object_mut) {
            meta.remove("versionId");
            meta.remove("lastUpdated");
        }
        if plain["meta"].as_object().is_some_and(Map::is_empty)
            && let Some(object) = plain.as_object_mut()
        {
            object.remove("meta");
        }
        plain
    };
    plain(stored) == plain(declared)
}

/// What declaring came to.
#[derive(Default)]
pub struct Declared {
    /// The destinations that are to be delivered to.
    pub destinations: Vec<DestinationSpec>,
    /// Ids of destinations that were declared once and are no longer.
    pub withdrawn: Vec<String>,
    /// What is wrong, by the configuration's keys.
    pub issues: Vec<Issue>,
}

impl Definitions {
    /// Stores what the configuration declares, as far as it is good. Destinations get a record that begins at the
    /// log's end when they are new.
    pub async fn declare(&self, config: &Config) -> Result<Declared, LogError> {
        let mut declared = Declared::default();
        for (index, topic) in config.topics.iter().enumerate() {
            self.declare_topic(topic, &format!("topic[{index}]"), &mut declared.issues)
                .await?;
        }
        for (index, view) in config.views.iter().enumerate() {
            self.declare_view(
                &view.id,
                &view.definition,
                &format!("view[{index}]"),
                &mut declared.issues,
            )
            .await?;
        }
        for (index, table) in config.destinations.iter().enumerate() {
            self.declare_destination(index, table, &mut declared).await?;
        }
        for (id, _) in self.log.all_kept(SPACE).await? {
            if !config
                .destinations
                .iter()
                .any(|table| table.get("id").and_then(Value::as_str) == Some(&id))
            {
                declared.withdrawn.push(id);
            }
        }
        Ok(declared)
    }

    async fn declare_topic(
        &self,
        topic: &Value,
        place: &str,
        issues: &mut Vec<Issue>,
    ) -> Result<(), LogError> {
        let parsed = match self.check_topic(topic) {
            Ok(parsed) => parsed,
            Err(found) => {
                issues.extend(
                    found
                        .into_iter()
                        .map(|issue| moved(issue, "AidboxSubscriptionTopic", place)),
                );
                return Ok(());
            }
        };
        let id = parsed.id.clone();
        if let Some((version, is_new)) = self.store("AidboxSubscriptionTopic", &id, topic).await? {
            self.topic_stored(parsed, &id, version.sequence.0, is_new);
        }
        Ok(())
    }

    async fn declare_view(
        &self,
        id: &str,
        definition: &Value,
        place: &str,
        issues: &mut Vec<Issue>,
    ) -> Result<(), LogError> {
        if let Err(found) = views::check(definition) {
            issues.extend(
                found
                    .into_iter()
                    .map(|issue| moved(issue, "ViewDefinition", place)),
            );
            return Ok(());
        }
        self.store("ViewDefinition", id, definition).await?;
        let name = definition["name"].as_str().unwrap_or_default();
        // Asked of the kept copy, since a crash may have come between the resource and the copy.
        if self.views.is_current(name, definition) {
            return Ok(());
        }
        match self.views.materialize(definition, "view").await {
            Ok(_) => Ok(()),
            Err(MaterializeError::Refused(found)) => {
                issues.extend(
                    found
                        .into_iter()
                        .map(|issue| moved(issue, "ViewDefinition", place)),
                );
                Ok(())
            }
            Err(MaterializeError::Log(error)) => Err(error),
        }
    }

    async fn declare_destination(
        &self,
        index: usize,
        table: &Map<String, Value>,
        declared: &mut Declared,
    ) -> Result<(), LogError> {
        let written = Value::Object(table.clone());
        let spec = match self.check_destination(&written, Origin::File(index)) {
            Ok(spec) => spec,
            Err(issues) => {
                declared.issues.extend(issues);
                return Ok(());
            }
        };
        let resource = destination_resource(table);
        if let Some(issue) = self.refuse_other_target(&spec, index).await? {
            declared.issues.push(issue);
            return Ok(());
        }
        // The record comes first: a resource without one would never be delivered to.
        if self.log.destination(&spec.id).await?.is_none() {
            let start = *self.log.head().borrow();
            self.keep_identity(&spec).await?;
            self.log.create_destination(&spec.id, start).await?;
        }
        self.log.put_kept(SPACE, &spec.id, b"").await?;
        self.store("AidboxTopicDestination", &spec.id, &resource).await?;
        declared.destinations.push(spec);
        Ok(())
    }

    async fn refuse_other_target(
        &self,
        spec: &DestinationSpec,
        index: usize,
    ) -> Result<Option<Issue>, LogError> {
        let changed = self.changed_identity(spec).await?;
        let Some(first) = changed.first() else {
            return Ok(None);
        };
        let place = format!("destination[{index}].{first}");
        Ok(Some(Issue::new(
            IssueCode::Conflict,
            place,
            goes_elsewhere(&spec.id, &changed),
        )))
    }

    /// Stores a declared resource unless the stored one says the same; tells the version that was made, and
    /// whether the resource is new.
    async fn store(
        &self,
        resource_type: &str,
        id: &str,
        resource: &Value,
    ) -> Result<Option<(Version, bool)>, LogError> {
        if let Some(stored) = self.living(resource_type, id).await?
            && serde_json::from_slice(&stored.resource).is_ok_and(|stored: Value| is_same(&stored, resource))
        {
            return Ok(None);
        }
        let damaged = || LogError::Unavailable {
            reason: format!("{resource_type} `{id}` cannot be stored"),
        };
        let body = Body::parse(resource.to_string().as_bytes()).map_err(|_| damaged())?;
        let write = Write {
            key: ResourceKey::new(resource_type, id).map_err(|_| damaged())?,
            precondition: Precondition::None,
            action: Action::Put(Arc::new(body)),
            matcher: Arc::new(|_, _, _| Matched::default()),
            source: None,
            tokens: Vec::new(),
            finding: None,
        };
        match self.log.write(vec![write]).await {
            Ok(written) => Ok(written.into_iter().find_map(|written| match written {
                Written::Version { version, interaction } => {
                    Some((version, interaction == Interaction::Create))
                }
                Written::Nothing | Written::Unchanged(_) => None,
            })),
            Err(WriteError::Log(error)) => Err(error),
            Err(WriteError::Refused { .. }) => Err(damaged()),
        }
    }

    pub(super) async fn living(&self, resource_type: &str, id: &str) -> Result<Option<Version>, LogError> {
        let Ok(key) = ResourceKey::new(resource_type, id) else {
            return Ok(None);
        };
        let current = self.log.current(&key).await?;
        Ok(current.filter(|version| version.status.interaction() != Interaction::Delete))
    }

    /// The destinations that were made over HTTP, each with its spec or what is wrong with it now.
    pub async fn made_by_request(
        &self,
        declared: &[DestinationSpec],
    ) -> Result<Vec<(String, Result<DestinationSpec, Vec<Issue>>)>, LogError> {
        let kept = self.log.all_kept(SPACE).await?;
        let is_declared =
            |id: &str| declared.iter().any(|spec| spec.id == id) || kept.iter().any(|(name, _)| name == id);
        let mut made = Vec::new();
        for (id, resource) in super::destination::stored(&*self.log).await? {
            if !is_declared(&id) {
                let checked = self.check_made(&resource).await?;
                made.push((id, checked));
            }
        }
        Ok(made)
    }

    async fn check_made(&self, resource: &Value) -> Result<Result<DestinationSpec, Vec<Issue>>, LogError> {
        let spec = match self.check_destination(resource, Origin::Request) {
            Ok(spec) => spec,
            Err(issues) => return Ok(Err(issues)),
        };
        let changed = self.changed_identity(&spec).await?;
        if changed.is_empty() {
            return Ok(Ok(spec));
        }
        let text = goes_elsewhere(&spec.id, &changed);
        Ok(Err(vec![Issue::new(
            IssueCode::Conflict,
            "AidboxTopicDestination.parameter",
            text,
        )]))
    }
}

fn goes_elsewhere(id: &str, changed: &[String]) -> String {
    format!(
        "`{}` differs from what destination `{id}` was made with, whose offset counts what its table holds; \
         put it back, give a new destination another id, or delete this one first: \
         DELETE /fhir/AidboxTopicDestination/{id}",
        changed.join("`, `")
    )
}

/// An issue of a resource, at the configuration's key that declares it.
fn moved(issue: Issue, resource_type: &str, place: &str) -> Issue {
    let expression = match issue.expression.strip_prefix(resource_type) {
        Some(rest) => format!("{place}{rest}"),
        None => place.to_owned(),
    };
    Issue { expression, ..issue }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(path: &str, batch: u64) -> Value {
        let table = json!({ "id": "d", "topic": "t", "tablePath": path, "batchSize": batch, "skipInitialExport": true });
        destination_resource(table.as_object().unwrap())
    }

    #[test]
    fn a_declared_destination_is_the_resource_that_a_client_would_post() {
        assert_eq!(
            declared("lake/p", 50)["parameter"],
            json!([
                { "name": "tablePath", "valueString": "lake/p" },
                { "name": "batchSize", "valueUnsignedInt": 50 },
                { "name": "skipInitialExport", "valueBoolean": true }
            ])
        );
    }

    #[test]
    fn what_the_store_adds_is_no_difference() {
        let mut stored = declared("a", 1);
        stored["meta"]["versionId"] = "7".into();
        stored["meta"]["lastUpdated"] = "2026-01-01T00:00:00Z".into();
        assert!(is_same(&stored, &declared("a", 1)));
        assert!(!is_same(&stored, &declared("a", 2)));
    }
}
