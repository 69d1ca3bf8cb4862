//! Any text as an expression: it compiles or is refused with reasons, and the fast steps give what the interpreter gives.
#![no_main]

use std::sync::Arc;

use lakefeed_view::{CompileOptions, Criterion, View, ViewDefinition};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/differential/agree.rs"]
mod agree;
#[path = "../resources.rs"]
mod resources;

fuzz_target!(|expression: &str| {
    drop(Criterion::compile(expression, "Patient"));
    for resource_type in ["Patient", "Observation"] {
        let text = serde_json::json!({"resource": resource_type, "select": [
            {"column": [{"name": "plain", "path": expression}]},
            {"column": [{"name": "list", "path": expression, "collection": true}]},
            {"forEachOrNull": expression, "column": [{"name": "number", "path": "%rowIndex"}]},
        ]});
        let definition = ViewDefinition::parse(text.to_string().as_bytes()).unwrap();
        let compile = |fast_steps| {
            let options = CompileOptions {
                fast_steps,
                ..CompileOptions::default()
            };
            View::compile(&definition, &options).map(Arc::new)
        };
        let (fast, general) = match (compile(true), compile(false)) {
            (Ok(fast), Ok(general)) => (fast, general),
            (Err(one), Err(other)) => {
                assert_eq!(one.to_string(), other.to_string());
                continue;
            }
            _ => panic!("{expression} compiles with fast steps or without, and not with both"),
        };
        let views = [fast, general];
        for resource in resources::RESOURCES {
            drop(agree::agreed(
                &views,
                &views[0].default_types(),
                resource.as_bytes(),
            ));
        }
    }
});
