//! The manifest says the same as the library.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails with it, and says by name what it skips"
)]

use std::collections::BTreeSet;

use lakefeed_plugin_api::{Plugin, schemars};
use lakefeed_plugin_delta::{Config, Delta};
use serde_json::Value;

const MANIFEST: &str = include_str!("../plugin.toml");

fn manifest() -> Value {
    toml::from_str(MANIFEST).unwrap()
}

#[test]
fn the_manifest_names_the_plugin_as_the_library_does() {
    let manifest = manifest();
    assert_eq!(manifest["name"], Delta::INFO.name);
    assert_eq!(manifest["version"], Delta::INFO.version);
    assert_eq!(manifest["vendor"], Delta::INFO.vendor);
    assert_eq!(manifest["license"], Delta::INFO.license);
}

#[test]
fn the_manifest_declares_the_parameters_that_the_library_takes() {
    let taken = schemars::schema_for!(Config).to_value();
    let declared = &manifest()["parameters"];
    let names = |schema: &Value| -> BTreeSet<String> {
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(names(&taken), names(declared));
    assert_eq!(taken["required"], declared["required"]);
    assert_eq!(declared["additionalProperties"], false);
    for name in names(&taken) {
        for mark in [
            "x-lakefeed-access",
            "x-lakefeed-secret",
            "default",
            "minimum",
            "maximum",
        ] {
            let marks = [&taken, declared].map(|schema| schema["properties"][&name].get(mark).cloned());
            if mark != "default" || marks[1].is_some() {
                assert_eq!(marks[0], marks[1], "{mark} of {name}");
            }
        }
    }
}
