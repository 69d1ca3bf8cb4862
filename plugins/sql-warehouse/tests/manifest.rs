//! The manifest says the same as the library.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails with it")]

use std::collections::BTreeSet;

use lakefeed_plugin_api::{Plugin, schemars};
use lakefeed_plugin_sql_warehouse::{Config, SqlWarehouse};
use serde_json::Value;

fn manifest() -> Value {
    toml::from_str(include_str!("../plugin.toml")).unwrap()
}

#[test]
fn the_manifest_names_the_plugin_as_the_library_does() {
    let manifest = manifest();
    assert_eq!(manifest["name"], SqlWarehouse::INFO.name);
    assert_eq!(manifest["version"], SqlWarehouse::INFO.version);
    assert_eq!(manifest["vendor"], SqlWarehouse::INFO.vendor);
    assert_eq!(manifest["license"], SqlWarehouse::INFO.license);
}

#[test]
fn the_manifest_declares_the_parameters_that_the_library_takes() {
    let taken = schemars::schema_for!(Config).to_value();
    let manifest = manifest();
    let parameters = &manifest["parameters"];
    let names = |schema: &Value| -> BTreeSet<String> {
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(names(&taken), names(parameters));
    let required = |schema: &Value| -> BTreeSet<String> {
        let list = schema["required"].as_array().unwrap();
        list.iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(required(&taken), required(parameters));
    for name in names(&taken) {
        let written = &parameters["properties"][&name];
        for mark in ["x-lakefeed-access", "x-lakefeed-secret", "minimum", "maximum"] {
            assert_eq!(
                taken["properties"][&name].get(mark),
                written.get(mark),
                "{mark} of {name}"
            );
        }
    }
}
