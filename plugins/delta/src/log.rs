//! The Delta log as this plugin reads and writes it: one JSON object a line, a file a version.
//!
//! Only what an append needs is read; everything else passes by. What is changed (a table's metadata, to add columns)
//! is changed in place, so that members that this plugin does not know stay as they are.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::Utc;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::schema::{DeltaField, DeltaSchema};

/// What the table demands of readers and writers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i32,
    pub(crate) min_writer_version: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reader_features: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) writer_features: Option<Vec<String>>,
}

impl Protocol {
    /// What a table that is made here demands: what every reader and writer can do.
    pub(crate) fn simplest() -> Self {
        Self {
            min_reader_version: 1,
            min_writer_version: 2,
            reader_features: None,
            writer_features: None,
        }
    }
}

/// The table's id, schema and properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    raw: Value,
    pub(crate) schema: DeltaSchema,
    pub(crate) partition_columns: Vec<String>,
    pub(crate) configuration: BTreeMap<String, String>,
}

impl Metadata {
    /// A new table's.
    pub(crate) fn new(schema: DeltaSchema, comment: &str) -> Result<Self, serde_json::Error> {
        let comment = (!comment.is_empty()).then_some(comment);
        Self::parse(json!({
            "id": uuid::Uuid::new_v4().to_string(),
            "name": null,
            "description": comment,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": serde_json::to_string(&schema)?,
            "partitionColumns": [],
            "configuration": {},
            "createdTime": Utc::now().timestamp_millis(),
        }))
    }

    /// Reads the action's members.
    pub(crate) fn parse(raw: Value) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Read {
            schema_string: String,
            #[serde(default)]
            partition_columns: Vec<String>,
            #[serde(default)]
            configuration: BTreeMap<String, Option<String>>,
        }
        let read = Read::deserialize(&raw)?;
        let configuration = read.configuration.into_iter();
        Ok(Self {
            schema: serde_json::from_str(&read.schema_string)?,
            partition_columns: read.partition_columns,
            configuration: configuration
                .filter_map(|(key, value)| Some((key, value?)))
                .collect(),
            raw,
        })
    }

    /// The same table with further columns at the end.
    pub(crate) fn with_columns(&self, added: &[DeltaField]) -> Result<Self, serde_json::Error> {
        let mut changed = self.clone();
        changed.schema.fields.extend_from_slice(added);
        changed.raw["schemaString"] = serde_json::to_string(&changed.schema)?.into();
        Ok(changed)
    }

    /// A property of the table.
    pub(crate) fn property(&self, key: &str) -> Option<&str> {
        self.configuration.get(key).map(String::as_str)
    }

    /// The table's id.
    pub(crate) fn id(&self) -> &str {
        self.raw.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// The action, as a line of the log.
    pub(crate) fn line(&self) -> Value {
        json!({"metaData": self.raw})
    }
}

/// What an application last did to the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transaction {
    pub(crate) app_id: String,
    pub(crate) version: i64,
    pub(crate) last_updated: Option<i64>,
}

/// The offsets of a batch's first and last change, as its commit tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Offsets {
    #[serde(rename = "lakefeed.firstOffset")]
    pub(crate) first: u64,
    #[serde(rename = "lakefeed.lastOffset")]
    pub(crate) last: u64,
}

impl Offsets {
    /// Tells them in the line that [`commit_info`] made.
    pub(crate) fn add_to(self, info: &mut Value) {
        info["commitInfo"]["lakefeed.firstOffset"] = self.first.into();
        info["commitInfo"]["lakefeed.lastOffset"] = self.last.into();
    }

    /// Those of a `commitInfo`; none if it tells none.
    fn read(info: &Value) -> Option<Self> {
        Self::deserialize(info).ok()
    }
}

/// One line of a commit, as far as it concerns this plugin.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Line {
    pub(crate) commit_info: Option<Value>,
    pub(crate) add: Option<serde::de::IgnoredAny>,
    pub(crate) remove: Option<serde::de::IgnoredAny>,
    pub(crate) meta_data: Option<Value>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) txn: Option<Transaction>,
}

/// The lines of a commit.
pub(crate) fn parse(commit: &[u8]) -> Result<Vec<Line>, serde_json::Error> {
    serde_json::Deserializer::from_slice(commit).into_iter().collect()
}

/// Whether the lines commit that transaction, and if so, the offsets that they tell.
pub(crate) fn offsets_of(lines: &[Line], application: &str, number: i64) -> Option<Option<Offsets>> {
    let is_its = |txn: &Transaction| txn.app_id == application && txn.version == number;
    lines
        .iter()
        .any(|line| line.txn.as_ref().is_some_and(is_its))
        .then(|| {
            lines
                .iter()
                .find_map(|line| Offsets::read(line.commit_info.as_ref()?))
        })
}

/// Where the commit of that version lies.
pub(crate) fn commit_path(version: u64) -> Path {
    Path::from(format!("_delta_log/{version:020}.json"))
}

/// The lines as the bytes of a commit.
pub(crate) fn to_bytes(lines: &[Value]) -> Bytes {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    lines.join("\n").into()
}

/// The line that tells readers of the table's history what was done.
pub(crate) fn commit_info(operation: &str, parameters: Value, metrics: Value) -> Value {
    json!({"commitInfo": {
        "timestamp": Utc::now().timestamp_millis(),
        "operation": operation,
        "operationParameters": parameters,
        "operationMetrics": metrics,
        "isBlindAppend": operation == "WRITE",
        "engineInfo": concat!("lakefeed/", env!("CARGO_PKG_VERSION")),
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_stays_when_columns_are_added() {
        let raw = json!({
            "id": "x", "futureMember": [1, 2], "partitionColumns": [], "configuration": {"a": "b", "n": null},
            "schemaString": r#"{"type":"struct","fields":[{"name":"a","type":"decimal(9,2)","nullable":false,"metadata":{"k":1}}]}"#,
        });
        let metadata = Metadata::parse(raw).unwrap();
        let column = DeltaField::new("b", "int32".parse().unwrap());
        let changed = metadata.with_columns(&[column]).unwrap().line();
        assert_eq!(changed["metaData"]["futureMember"], json!([1, 2]));
        assert_eq!(changed["metaData"]["configuration"], json!({"a": "b", "n": null}));
        let schema: Value =
            serde_json::from_str(changed["metaData"]["schemaString"].as_str().unwrap()).unwrap();
        assert_eq!(
            schema["fields"][0],
            json!({"name": "a", "type": "decimal(9,2)", "nullable": false, "metadata": {"k": 1}})
        );
        assert_eq!(schema["fields"][1]["type"], "integer");
    }

    #[test]
    fn the_offsets_of_a_commit_are_read_back_and_missed_where_another_version_wrote_none() {
        let offsets = Offsets { first: 3, last: 9 };
        let mut info = commit_info("WRITE", json!({}), json!({}));
        let txn = json!({"txn": {"appId": "a", "version": 3}});
        let read = |lines: &[Value]| offsets_of(&parse(&to_bytes(lines)).unwrap(), "a", 3);
        assert_eq!(read(&[info.clone(), txn.clone()]), Some(None));
        assert_eq!(read(&[info.clone()]), None);
        offsets.add_to(&mut info);
        assert_eq!(read(&[info, txn]), Some(Some(offsets)));
    }

    #[test]
    fn lines_of_later_formats_pass_by() {
        let commit = b"{\"commitInfo\":{}}\n{\"domainMetadata\":{\"x\":1}}\n{\"add\":{\"path\":\"p\"}}\n\n{\"txn\":{\"appId\":\"a\",\"version\":3}}\n";
        let lines = parse(commit).unwrap();
        assert_eq!(lines.iter().filter(|line| line.add.is_some()).count(), 1);
        assert_eq!(lines[3].txn.as_ref().unwrap().version, 3);
    }
}
