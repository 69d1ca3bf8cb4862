//! Definitions of the configuration file, stored as the resources that they stand for.
//!
//! At every start a declared topic, view or destination is compared with its stored resource and written when it
//! differs, so that history shows what was declared when. Views are materialised when their definition changed.
//! A declared destination may change how it is delivered, not where to: its offset counts what its table holds.

use serde_json::{Map, Value, json};

use super::{LAKEHOUSE_KIND, LAKEHOUSE_PROFILE, parameter};

/// The parameters that say where a destination's rows go and what they are; a change of one makes another
/// destination.
pub const IDENTITY: [&str; 6] = [
    "topic",
    "viewDefinition",
    "tableName",
    "tablePath",
    "writeMode",
    "writer",
];

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

/// Which of the identity's members differ between two resources of a destination.
pub fn changed_identity(stored: &Value, declared: &Value) -> Vec<&'static str> {
    let value = |resource: &Value, name: &str| -> Value {
        if name == "topic" {
            return resource["topic"].clone();
        }
        let parameters = resource["parameter"].as_array().cloned().unwrap_or_default();
        parameters
            .into_iter()
            .find(|parameter| parameter["name"] == name)
            .unwrap_or_default()
    };
    IDENTITY
        .into_iter()
        .filter(|name| value(stored, name) != value(declared, name))
        .collect()
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
    fn how_a_destination_is_delivered_may_change_and_where_to_may_not() {
        assert!(changed_identity(&declared("a", 1), &declared("a", 2)).is_empty());
        assert_eq!(
            changed_identity(&declared("a", 1), &declared("b", 1)),
            ["tablePath"]
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
