//! Any bytes as a resource: what the strict check takes, another JSON reader takes too, and the views read it; and all ways
//! through the engine agree on everything else.
#![no_main]

use std::sync::{Arc, LazyLock};

use lakefeed_view::{CompileOptions, View, ViewDefinition, json, place, r4};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/differential/agree.rs"]
mod agree;

/// The views of the benches, with fast steps and without.
static VIEWS: LazyLock<Vec<[Arc<View>; 2]>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../benches/views/a_patient_flat.json"),
        include_str!("../../benches/views/b_observation_unnest.json"),
        include_str!("../../benches/views/c_patient_wide.json"),
    ];
    let view = |text: &str, fast_steps| {
        let definition = ViewDefinition::parse(text.as_bytes()).unwrap();
        let options = CompileOptions {
            fast_steps,
            ..CompileOptions::default()
        };
        Arc::new(View::compile(&definition, &options).unwrap())
    };
    texts.map(|text| [view(text, true), view(text, false)]).into()
});

fuzz_target!(|bytes: &[u8]| {
    let checked = json::check_resource(bytes, json::Limits::default());
    if checked.is_ok() {
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
        // A number may have more digits than a double takes, and is then kept as text.
        assert!(parsed.as_ref().map_or_else(
            |error| error.to_string().contains("out of range"),
            serde_json::Value::is_object
        ));
        assert!(json::top_level_members(bytes).count() <= bytes.len());
        drop(r4::check::check_resource(bytes, json::Limits::default(), &[]));
    }
    for views in VIEWS.iter() {
        let rows = agree::agreed(views, &views[0].default_types(), bytes);
        if checked.is_ok()
            && let Err(refused) = &rows
        {
            // What obeys the grammar is never said not to.
            let is_typed = refused.contains("has no `resourceType`") || !refused.contains("VIEW-101");
            assert!(is_typed, "{refused}");
        }
    }
    drop(place::Path::parse(&String::from_utf8_lossy(bytes)));
});
