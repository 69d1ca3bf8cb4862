//! A view gains a column: the table follows where it may, and says what it lacks where it may not.

use lakefeed_tests::{Host, Judge, Site, destination};
use serde_json::{Value, json};

fn view(columns: &[&str]) -> Value {
    let column = |name: &&str| json!({ "name": name.to_lowercase(), "path": name });
    json!({ "resourceType": "ViewDefinition", "id": "drift", "name": "drift", "resource": "Patient", "status": "active",
        "select": [{ "column": columns.iter().map(column).collect::<Vec<_>>() }] })
}

fn started(more: &str) -> (Site, Host) {
    let site = Site::new("");
    site.write("drift.json", view(&["id", "gender"]).to_string());
    site.configure(&destination("patients", "Patient", "drift", more));
    let host = site.start();
    put(&host, "a");
    host.wait_until_delivered("patients");
    (site, host)
}

fn put(host: &Host, id: &str) {
    let body = json!({ "resourceType": "Patient", "id": id, "gender": "male", "birthDate": "1980-01-01" });
    host.put(&format!("Patient/{id}"), &body).expect(201);
}

/// A change of the view's definition, over HTTP.
fn edit(host: &Host, columns: &[&str]) {
    host.put("ViewDefinition/drift", &view(columns)).expect(200);
}

fn materialize(host: &Host) {
    let kind =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "type", "valueCode": "view" }] });
    host.post("ViewDefinition/drift/$materialize", &kind).expect(200);
}

#[test]
fn with_auto_evolve_a_new_column_is_added_and_older_rows_have_null_in_it() {
    let Some(judge) = Judge::find() else { return };
    let (site, host) = started("autoEvolve = true");
    edit(&host, &["id", "gender", "birthDate"]);
    materialize(&host);
    put(&host, "b");
    host.wait_until_delivered("patients");
    let rows = judge.query(
        &site.path("lake/patients"),
        "SELECT id, birthdate FROM t ORDER BY id",
    );
    assert_eq!(rows.text(), "a | \nb | 1980-01-01");
}

#[test]
fn an_edit_alone_changes_nothing_until_the_view_is_materialised_again() {
    let Some(judge) = Judge::find() else { return };
    let (site, host) = started("autoEvolve = true");
    edit(&host, &["id", "gender", "birthDate"]);
    put(&host, "b");
    host.wait_until_delivered("patients");
    let columns = judge.table(&site.path("lake/patients")).columns;
    assert!(
        !columns.iter().any(|(name, _)| name == "birthdate"),
        "{columns:?}"
    );
}

#[test]
fn without_auto_evolve_delivery_waits_and_names_the_column_and_nothing_is_lost() {
    let Some(judge) = Judge::find() else { return };
    let (site, host) = started("autoEvolve = false");
    edit(&host, &["id", "gender", "birthDate"]);
    materialize(&host);
    put(&host, "b");
    let said = lakefeed_tests::wait_for("the missing column to be named", || {
        let said = host.get("AidboxTopicDestination/patients/$status").text();
        said.contains("birthdate").then_some(said)
    });
    assert!(
        said.contains("DELIVERY-002") || said.contains("autoEvolve"),
        "{said}"
    );
    edit(&host, &["id", "gender"]);
    materialize(&host);
    assert!(host.stop().success());
    let host = site.start();
    host.wait_until_delivered("patients");
    assert_eq!(
        judge
            .query(&site.path("lake/patients"), "SELECT id FROM t ORDER BY id")
            .text(),
        "a\nb"
    );
}
