//! A change that cannot become rows is set aside alone; everything around it is delivered.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use lakefeed_tests::{Host, Judge, Site, destination, program_folder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A view that refuses a patient with two family names.
const ONE_FAMILY: &str = r#"{ "resourceType": "ViewDefinition", "name": "one_family", "resource": "Patient", "status": "active",
  "select": [ { "column": [ { "name": "id", "path": "id" }, { "name": "family", "path": "name.family" } ] } ] }"#;

fn put(host: &Host, id: &str, families: &[&str]) {
    let names: Vec<Value> = families
        .iter()
        .map(|family| json!({ "family": family }))
        .collect();
    let body = json!({ "resourceType": "Patient", "id": id, "name": names });
    host.put(&format!("Patient/{id}"), &body).expect(201);
}

#[test]
fn a_change_that_the_view_refuses_is_a_dead_letter_and_its_neighbours_are_rows() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::new("");
    site.write("one_family.json", ONE_FAMILY);
    site.configure(&destination("patients", "Patient", "one_family", ""));
    let host = site.start();
    put(&host, "a", &["Smith"]);
    put(&host, "b", &["Geheim", "Zwei"]);
    put(&host, "c", &["Jones"]);
    host.wait_until_delivered("patients");
    let rows = judge.query(
        &site.path("lake/patients"),
        "SELECT id, family FROM t ORDER BY id",
    );
    assert_eq!(rows.text(), "a | Smith\nc | Jones");
    let said = host.get("AidboxTopicDestination/patients/$status").text();
    assert!(said.contains("deadLetters"), "{said}");
    assert!(
        !said.contains("Geheim") && !host.log().contains("Geheim"),
        "patient data is nobody's to see"
    );
    host.kill();
    let host = site.start();
    host.wait_until_delivered("patients");
    assert_eq!(
        judge.number(&site.path("lake/patients"), "SELECT count(*) FROM t"),
        2
    );
}

/// Lays the plugin that misbehaves as it is told into a site, as an operator would.
fn install_faulty(site: &Site) {
    let library = ["libfaulty_plugin.so", "deps/libfaulty_plugin.so"].map(|name| program_folder().join(name));
    let library = library
        .iter()
        .find(|path| path.is_file())
        .expect("build the workspace first (make test does)");
    let bytes = fs::read(library).unwrap();
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let template = lakefeed_tests::checkout().join("tests/plugins/faulty/plugin.toml");
    let manifest = fs::read_to_string(template)
        .unwrap()
        .replace("sha256 = \"\"", &format!("sha256 = \"{hash}\""));
    site.write("own/faulty/plugin.toml", manifest);
    let copy = site.write("own/faulty/libfaulty_plugin.so", &bytes);
    for path in [copy, site.path("own/faulty/plugin.toml")] {
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }
    for path in ["own", "own/faulty"] {
        fs::set_permissions(site.path(path), Permissions::from_mode(0o755)).unwrap();
    }
}

/// A site whose destination is written by that plugin, with its parameters.
fn faulty(parameters: &str) -> Site {
    let site = Site::new("");
    install_faulty(&site);
    site.write("one_family.json", ONE_FAMILY);
    let more = format!("path = \"rows.ndjson\"\n{parameters}");
    let config = destination("patients", "Patient", "one_family", &more);
    let config = config
        .replace("external-direct", "faulty")
        .replace("tablePath = \"lake/patients\"", "");
    site.configure(&format!("[plugins]\ndirs = [\"own\"]\ntrust = \"any\"\n{config}"));
    site
}

/// The ids in the plugin's file, in order.
fn written(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(site.path("rows.ndjson")).unwrap_or_default();
    let id = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    text.lines().map(id).collect()
}

#[test]
fn a_batch_that_is_refused_without_a_row_is_cut_down_to_the_change_at_fault() {
    let site = faulty("fault = \"refuse-unnamed\"\nrefuse_column = \"family\"\nrefuse_value = \"Poison\"");
    let host = site.start();
    let ids: Vec<String> = (0..40).map(|number| format!("p-{number:02}")).collect();
    for id in &ids {
        put(&host, id, &[if id == "p-23" { "Poison" } else { "Smith" }]);
    }
    host.wait_until_delivered("patients");
    let rows = written(&site);
    let expected: Vec<String> = ids.into_iter().filter(|id| id != "p-23").collect();
    assert_eq!(rows, expected, "in order, each once, without the refused one");
    let said = host.get("AidboxTopicDestination/patients/$status").text();
    assert!(said.contains("deadLetters"), "{said}");
}

#[test]
fn a_target_that_refuses_everything_halts_the_destination_instead_of_filling_the_dead_letters() {
    let site = faulty("fault = \"refuse-unnamed\"\nrefuse_column = \"family\"\nrefuse_value = \"Smith\"");
    let host = site.start();
    for number in 0..200 {
        put(&host, &format!("p-{number:03}"), &["Smith"]);
    }
    lakefeed_tests::wait_for("the brake", || {
        let said = host.get("AidboxTopicDestination/patients/$status").text();
        said.contains("DELIVERY-010").then_some(())
    });
    assert!(
        host.status("patients")["messagesQueued"].as_f64() > Some(0.0),
        "the rest is kept"
    );
}

#[test]
fn a_panic_in_a_plugin_is_tried_again_and_the_host_stays_up() {
    let site = faulty("fault = \"panic\"\ntimes = 1");
    let host = site.start();
    put(&host, "a", &["Smith"]);
    host.wait_until_delivered("patients");
    assert_eq!(written(&site), ["a"]);
    host.get("/health").expect(200);
}

#[test]
fn a_target_that_is_away_is_tried_again_and_everything_arrives() {
    let site = faulty("fault = \"unavailable\"\ntimes = 2");
    let host = site.start();
    for id in ["a", "b", "c"] {
        put(&host, id, &["Smith"]);
    }
    host.wait_until_delivered("patients");
    assert_eq!(written(&site), ["a", "b", "c"]);
    let attempts = host.status("patients")["messagesDeliveryAttempts"].as_f64();
    assert!(attempts > Some(3.0), "{attempts:?}");
}

#[test]
fn a_plugin_that_never_answers_holds_up_nobody_else() {
    let site = faulty("fault = \"never\"");
    let config = fs::read_to_string(site.path("lakefeed.toml")).unwrap();
    let other = destination("others", "Patient", "one_family", "");
    let (other, _) = other.split_at(other.find("[[view]]").unwrap());
    let target = "\n[[destination]]\nid = \"others\"\ntopic = \"http://example.org/topics/others\"\nviewDefinition = \"one_family\"\n\
         batchSize = 500\nsendIntervalMs = 50\nskipInitialExport = true\nwriteMode = \"ndjson\"\npath = \"others.ndjson\"\n";
    fs::write(site.path("lakefeed.toml"), format!("{config}{other}{target}")).unwrap();
    let host = site.start();
    put(&host, "a", &["Smith"]);
    host.wait_until_delivered("others");
    assert!(
        fs::read_to_string(site.path("others.ndjson"))
            .unwrap()
            .contains("Smith")
    );
    assert!(host.stop().success(), "and it still stops");
}
