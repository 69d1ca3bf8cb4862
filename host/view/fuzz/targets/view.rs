//! Any bytes as a ViewDefinition: it compiles or is refused with reasons, and what compiles can be explained and run.
#![no_main]

use std::sync::Arc;

use lakefeed_view::{CompileOptions, ResourceMeta, RowOptions, View, ViewDefinition};
use libfuzzer_sys::fuzz_target;

#[path = "../resources.rs"]
mod resources;

fuzz_target!(|bytes: &[u8]| {
    let definition = match ViewDefinition::parse(bytes) {
        Ok(definition) => definition,
        Err(errors) => return assert!(!errors.to_string().is_empty()),
    };
    let view = match View::compile(&definition, &CompileOptions::default()) {
        Ok(view) => Arc::new(view),
        Err(errors) => return assert!(!errors.to_string().is_empty()),
    };
    assert!(!view.explain().to_string().is_empty());
    let options = RowOptions {
        // A view may multiply rows; that it is stopped is enough.
        max_rows_per_resource: 1000,
        ..RowOptions::default()
    };
    let mut rows = view.rows(&view.default_types(), options).unwrap();
    for resource in resources::RESOURCES {
        match rows.append(resource.as_bytes(), &ResourceMeta::default()) {
            Ok(_) => {}
            Err(refused) => assert!(!refused.to_string().is_empty()),
        }
    }
    let rows_held = rows.rows();
    assert_eq!(rows.finish().unwrap().num_rows(), rows_held);
});
