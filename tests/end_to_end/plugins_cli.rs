//! `lakefeed plugins`: manifests are read, and no code runs.

use lakefeed_tests::{Site, checkout};

#[test]
fn staged_plugins_are_found_and_trusted_without_any_configuration() {
    let site = Site::new("");
    let list = site.run(&["plugins", "list", "--json"]).succeeded().json();
    let names: Vec<&str> = list["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plugin| plugin["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"delta") && names.contains(&"ndjson"), "{list}");
    assert_eq!(list["refused"], serde_json::json!([]));
}

#[test]
fn inspect_shows_what_a_plugin_offers_and_takes() {
    let site = Site::new("");
    let text = site.run(&["plugins", "inspect", "delta"]).succeeded().stdout;
    for expected in ["external-direct", "tablePath", "lakefeed.writer/0", "sha256"] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

#[test]
fn a_plugin_that_is_not_there_is_an_error_that_says_so() {
    let said = Site::new("").run(&["plugins", "inspect", "detla"]).refused();
    assert!(said.contains("PLUGIN-031"), "{said}");
}

#[test]
fn staging_again_changes_nothing() {
    let site = Site::new("");
    let mut stage = site.command(&["plugins", "stage", "--json"]);
    let ended = lakefeed_tests::Ended::of(stage.current_dir(checkout())).succeeded();
    let staged = ended.json()["staged"].as_array().unwrap().clone();
    assert!(
        staged.iter().all(|plugin| plugin["changed"] == false),
        "{staged:?}"
    );
}

#[test]
fn staging_outside_the_checkout_says_where_to_go() {
    let site = Site::new("");
    let mut stage = site.command(&["plugins", "stage"]);
    let said = lakefeed_tests::Ended::of(stage.current_dir("/")).refused();
    assert!(said.contains("PLUGIN-036") && said.contains("checkout"), "{said}");
}
