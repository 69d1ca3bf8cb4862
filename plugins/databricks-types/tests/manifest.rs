//! The manifest says the same as the library.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails with it")]

use lakefeed_plugin_api::{Plugin, SchemaMapper, ViewColumn, ViewSchema};
use lakefeed_plugin_databricks_types::{Config, DatabricksTypes};
use lakefeed_plugin_testkit::FakeHost;
use serde_json::Value;

#[test]
fn the_manifest_names_the_plugin_as_the_library_does() {
    let manifest: Value = toml::from_str(include_str!("../plugin.toml")).unwrap();
    assert_eq!(manifest["name"], DatabricksTypes::INFO.name);
    assert_eq!(manifest["version"], DatabricksTypes::INFO.version);
    assert_eq!(manifest["vendor"], DatabricksTypes::INFO.vendor);
    assert_eq!(manifest["license"], DatabricksTypes::INFO.license);
}

#[test]
fn an_instance_maps_a_view_column_by_column() {
    let mapper = DatabricksTypes::create(Config {}, FakeHost::new().host()).unwrap();
    let column = |name: &str, fhir_type: &str| ViewColumn {
        name: name.into(),
        fhir_type: fhir_type.into(),
        ..ViewColumn::default()
    };
    let view = ViewSchema {
        view: "patient_flat".into(),
        columns: vec![
            column("id", "id"),
            column("birth_date", "date"),
            column("is_deleted", ""),
        ],
    };
    let mapped = mapper.map(&view).unwrap();
    let types: Vec<&str> = mapped
        .columns
        .iter()
        .map(|column| column.sql_type.as_str())
        .collect();
    assert_eq!(types, ["STRING", "DATE", "INT"]);
}
