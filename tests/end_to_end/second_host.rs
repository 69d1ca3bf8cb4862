//! A store has one host.

use lakefeed_tests::Site;
use serde_json::json;

#[test]
fn a_second_host_on_the_same_store_says_so_and_the_first_goes_on() {
    let site = Site::patients();
    let host = site.start();
    let config = std::fs::read_to_string(site.path("lakefeed.toml")).unwrap();
    let other = Site::new("");
    site.write(
        "second.toml",
        config.replace(&site.port().to_string(), &other.port().to_string()),
    );
    let said = site.run(&["run", "--config", "second.toml"]).refused();
    assert!(said.contains("LOG-001"), "{said}");
    host.put("Patient/p-1", &json!({ "resourceType": "Patient", "id": "p-1" }))
        .expect(201);
}

#[test]
fn an_import_into_a_store_that_a_host_holds_is_refused() {
    let site = Site::patients();
    let host = site.start();
    let file = site.write(
        "Patient.ndjson",
        "{\"resourceType\":\"Patient\",\"id\":\"p-1\"}\n",
    );
    let said = site.run(&["import", file.to_str().unwrap()]).refused();
    assert!(said.contains("LOG-001"), "{said}");
    host.get("Patient/p-1").expect(404);
}

#[test]
fn a_killed_host_leaves_no_lock_behind() {
    let site = Site::patients();
    site.start().kill();
    site.start().get("/health").expect(200);
}
