//! Whether this writer may append to a table, by what the table's protocol and properties demand of writers.
//!
//! Appending is the simplest thing one can do to a Delta table, so most of what a table can demand does not concern it;
//! what does, and is not kept here, refuses the table by name.

use crate::DeltaError;
use crate::log::{Metadata, Protocol};
use crate::schema::DeltaField;

/// Features that ask nothing of an append, or nothing until a property or a column uses them.
const HARMLESS: [&str; 9] = [
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "columnMapping",
    "domainMetadata",
    "generatedColumns",
    "invariants",
    "timestampNtz",
    "vacuumProtocolCheck",
];

/// Marks on a column that a writer has to obey, and the feature that each belongs to.
const COLUMN_MARKS: [(&str, &str); 4] = [
    ("delta.invariants", "invariants"),
    ("delta.generationExpression", "generatedColumns"),
    ("delta.identity.start", "identityColumns"),
    ("CURRENT_DEFAULT", "allowColumnDefaults"),
];

/// Refuses a table that demands more than this writer does.
pub(crate) fn check(protocol: &Protocol, metadata: &Metadata) -> Result<(), DeltaError> {
    let mut found = Vec::new();
    if protocol.min_reader_version > 3 {
        found.push(format!("readerVersion {}", protocol.min_reader_version));
    }
    if protocol.min_writer_version > 7 {
        found.push(format!("writerVersion {}", protocol.min_writer_version));
    }
    let named = protocol
        .reader_features
        .iter()
        .chain(&protocol.writer_features)
        .flatten();
    found.extend(
        named
            .filter(|feature| !HARMLESS.contains(&feature.as_str()))
            .cloned(),
    );
    found.extend(in_use(metadata));
    found.sort();
    found.dedup();
    if !found.is_empty() {
        return Err(DeltaError::Feature { features: found });
    }
    match metadata.partition_columns.as_slice() {
        [] => Ok(()),
        columns => Err(DeltaError::Partitioned {
            columns: columns.to_vec(),
        }),
    }
}

/// The features that the table's properties and columns put to use, whatever the protocol's version.
fn in_use(metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    let mode = metadata.property("delta.columnMapping.mode");
    if mode.is_some_and(|mode| mode != "none") {
        found.push("columnMapping".into());
    }
    if metadata
        .configuration
        .keys()
        .any(|key| key.starts_with("delta.constraints."))
    {
        found.push("checkConstraints".into());
    }
    let marked = |field: &DeltaField| {
        let marks = COLUMN_MARKS
            .iter()
            .filter(|(mark, _)| field.metadata.contains_key(*mark));
        marks
            .map(|(_, feature)| (*feature).to_owned())
            .collect::<Vec<_>>()
    };
    found.extend(metadata.schema.fields.iter().flat_map(marked));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(
        protocol: serde_json::Value,
        configuration: serde_json::Value,
        field: serde_json::Value,
    ) -> String {
        let protocol: Protocol = serde_json::from_value(protocol).unwrap();
        let schema = json!({"type": "struct", "fields": [
            {"name": "a", "type": "string", "nullable": true, "metadata": field}]});
        let metadata = json!({"id": "x", "partitionColumns": [], "configuration": configuration,
            "schemaString": schema.to_string()});
        let metadata = Metadata::parse(metadata).unwrap();
        check(&protocol, &metadata).map_or_else(|error| error.to_string(), |()| "fine".into())
    }

    #[test]
    fn harmless_features_pass_and_others_are_refused_by_name() {
        let check = |reader: i32, writer: i32, features: &[&str], expect: &str| {
            let protocol = json!({"minReaderVersion": reader, "minWriterVersion": writer,
                "readerFeatures": null, "writerFeatures": features});
            let answer = verdict(protocol, json!({}), json!({}));
            assert!(answer.contains(expect), "{features:?}: {answer}");
        };
        check(1, 2, &[], "fine");
        check(2, 6, &[], "fine");
        check(3, 7, &["appendOnly", "invariants", "timestampNtz"], "fine");
        check(3, 7, &["deletionVectors"], "uses `deletionVectors`");
        check(1, 7, &["rowTracking", "domainMetadata"], "uses `rowTracking`,");
        check(4, 8, &[], "`readerVersion 4`, `writerVersion 8`");
    }

    #[test]
    fn features_in_use_are_refused_at_any_version() {
        let protocol = || json!({"minReaderVersion": 2, "minWriterVersion": 5});
        let check = |configuration, field, expect: &str| {
            let answer = verdict(protocol(), configuration, field);
            assert!(answer.contains(expect), "{answer}");
        };
        check(
            json!({"delta.columnMapping.mode": "name"}),
            json!({}),
            "columnMapping",
        );
        check(json!({"delta.columnMapping.mode": "none"}), json!({}), "fine");
        check(
            json!({"delta.constraints.c": "a > 0"}),
            json!({}),
            "checkConstraints",
        );
        check(json!({}), json!({"delta.invariants": "…"}), "invariants");
        check(
            json!({}),
            json!({"delta.generationExpression": "…"}),
            "generatedColumns",
        );
    }
}
