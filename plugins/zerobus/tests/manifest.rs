//! The manifest says the same as the library.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails with it")]

use std::collections::BTreeSet;

use lakefeed_plugin_api::{Plugin, schemars};
use lakefeed_plugin_zerobus::{Config, Zerobus};
use serde_json::Value;

fn manifest() -> Value {
    toml::from_str(include_str!("../plugin.toml")).unwrap()
}

#[test]
fn the_manifest_names_the_plugin_as_the_library_does() {
    let manifest = manifest();
    assert_eq!(manifest["name"], Zerobus::INFO.name);
    assert_eq!(manifest["version"], Zerobus::INFO.version);
    assert_eq!(manifest["vendor"], Zerobus::INFO.vendor);
    assert_eq!(manifest["license"], Zerobus::INFO.license);
}

#[test]
fn the_manifest_declares_the_parameters_and_settings_that_the_library_takes() {
    let taken = schemars::schema_for!(Config).to_value();
    let manifest = manifest();
    let (parameters, settings) = (&manifest["parameters"], &manifest["settings"]);
    let names = |schema: &Value| -> BTreeSet<String> {
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let declared: BTreeSet<String> = names(parameters).union(&names(settings)).cloned().collect();
    assert_eq!(names(&taken), declared);
    let required = |schema: &Value| -> BTreeSet<String> {
        let list = schema["required"].as_array().unwrap();
        list.iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(required(&taken), required(parameters));
    for name in declared {
        let written = [parameters, settings].map(|schema| schema["properties"].get(&name).cloned());
        let written = written.into_iter().flatten().next().unwrap();
        for mark in ["x-lakefeed-access", "x-lakefeed-secret", "minimum", "maximum"] {
            assert_eq!(
                taken["properties"][&name].get(mark),
                written.get(mark),
                "{mark} of {name}"
            );
        }
    }
}
