//! What is wrong with a workspace or a destination when it is created: the request is refused, at the parameter, with
//! what to do; mended, the same request is taken and rows arrive.

use lakefeed_tests::Host;
use serde_json::{Value, json};

use super::place::{Mode, Parameters, Place, TABLE, in_both_modes, patient, put};

in_both_modes!(
    another_workspaces_number_is_refused_at_the_parameter,
    another_region_is_refused_at_the_parameter,
    a_warehouse_that_does_not_exist_is_refused_at_the_parameter,
    a_table_that_is_missing_and_may_not_be_made_is_refused_with_the_grant,
    a_table_that_is_missing_and_may_be_made_is_made,
    a_table_without_is_deleted_gets_it,
    a_table_that_demands_a_column_of_which_the_view_knows_nothing_is_refused_with_the_statement,
    a_wrong_secret_is_refused_and_shown_nowhere,
);

/// Asked for with these parameters, the destination is refused with 422 that names them.
fn refused(place: &Place, host: &Host, parameters: Parameters<'_>, words: &[&str]) {
    let issues = place.create(host, parameters).expect(422).issues();
    for word in words {
        assert!(issues.contains(word), "{word}: {issues}");
    }
    host.get("AidboxTopicDestination/patients").expect(404);
}

/// It is taken, and a patient arrives.
fn taken(place: &Place, host: &Host) {
    place.create(host, &[]).expect(201);
    put(host, &patient("p-1"));
    host.wait_until_delivered("patients");
    assert_eq!(place.counts(), (1, 1));
    let deleted = place.emulator.rows(&format!("SELECT is_deleted FROM {TABLE}"));
    assert_eq!(deleted, "0");
}

fn another_workspaces_number_is_refused_at_the_parameter(mode: Mode) {
    let place = Place::bare(mode);
    let host = place.start_without_destination();
    let words = ["databricksWorkspaceId", "number after `o=`"];
    refused(&place, &host, &[("databricksWorkspaceId", json!("999"))], &words);
    taken(&place, &host);
}

fn another_region_is_refused_at_the_parameter(mode: Mode) {
    let place = Place::bare(mode);
    let host = place.start_without_destination();
    let words = ["databricksRegion", "another region"];
    refused(&place, &host, &[("databricksRegion", json!("eu-west-1"))], &words);
    taken(&place, &host);
}

fn a_warehouse_that_does_not_exist_is_refused_at_the_parameter(mode: Mode) {
    let place = Place::bare(mode);
    let host = place.start_without_destination();
    let gone = [("databricksWarehouseId", json!("ffffffffffffffff"))];
    refused(&place, &host, &gone, &["databricksWarehouseId", "DBX-007"]);
    taken(&place, &host);
}

fn a_table_that_is_missing_and_may_not_be_made_is_refused_with_the_grant(mode: Mode) {
    let place = Place::bare(mode);
    let host = place.start_without_destination();
    place.emulator.sql(&format!("DROP TABLE {TABLE}"));
    refused(&place, &host, &[], &["CREATE TABLE", "aidbox_export.fhir"]);
    place
        .emulator
        .sql(&format!("CREATE TABLE {TABLE} (id STRING) USING DELTA"));
    refused(
        &place,
        &host,
        &[],
        &["GRANT SELECT ON TABLE", "GRANT MODIFY ON TABLE"],
    );
    place.grant();
    taken(&place, &host);
}

fn a_table_that_is_missing_and_may_be_made_is_made(mode: Mode) {
    let place = Place::bare(mode);
    let host = place.start_without_destination();
    place.emulator.sql(&format!("DROP TABLE {TABLE}"));
    let who = place.emulator.value("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID");
    place.emulator.sql(&format!(
        "GRANT CREATE TABLE ON SCHEMA aidbox_export.fhir TO `{who}`"
    ));
    if mode == Mode::Zerobus {
        // What a table's owner may do is not enough for the ingest service, which wants grants.
        refused(&place, &host, &[], &["MODIFY on table"]);
        place.grant();
    }
    taken(&place, &host);
}

fn a_table_without_is_deleted_gets_it(mode: Mode) {
    let place = Place::bare(mode);
    let host = place.start_without_destination();
    place.remake("id STRING, ts TIMESTAMP");
    let words = ["is_deleted", "autoEvolve", "DELIVERY-002"];
    refused(&place, &host, &[("autoEvolve", json!(false))], &words);
    taken(&place, &host);
    let columns = place.emulator.rows(&format!("DESCRIBE TABLE {TABLE}"));
    assert!(columns.contains("is_deleted | int"), "{columns}");
}

fn a_table_that_demands_a_column_of_which_the_view_knows_nothing_is_refused_with_the_statement(mode: Mode) {
    let place = Place::bare(mode);
    let host = place.start_without_destination();
    place.remake("id STRING, ts TIMESTAMP, tenant STRING NOT NULL, is_deleted INT");
    let statement = "ALTER TABLE `aidbox_export`.`fhir`.`patients` ALTER COLUMN `tenant` DROP NOT NULL";
    refused(&place, &host, &[], &["`tenant`", statement, "DELIVERY-003"]);
    place.remake("id STRING, ts TIMESTAMP, tenant STRING, is_deleted INT");
    taken(&place, &host);
}

fn a_wrong_secret_is_refused_and_shown_nowhere(mode: Mode) {
    let place = Place::bare(mode);
    place.start_without_destination().kill();
    let wrong = "wrong-secret-of-nobody";
    let mut command = place.command(&["run"]);
    command.env("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET", wrong);
    command.env("LAKEFEED_LOG", "trace");
    let host = Host::spawn(&place.site, command);
    host.wait_until_ready();
    let issues = place.create(&host, &[]).expect(422).issues();
    assert!(
        issues.contains("TOKEN-003") && issues.contains("secret is current"),
        "{issues}"
    );
    assert!(
        !issues.contains(wrong) && !host.log().contains(wrong),
        "the secret is shown"
    );
}

#[test]
fn a_default_storage_table_is_refused_by_the_ingest_service_at_the_first_row_and_told_how_to_mend() {
    let place = Place::new(Mode::Zerobus);
    place.emulator.set("default-storage", &json!({}));
    let host = place.start();
    put(&host, &patient("p-1"));
    let why = place.wait_until_halted(&host);
    assert!(
        why.contains("ZEROBUS-013") && why.contains("--storage-root"),
        "{why}"
    );
    assert!(host.log().contains("ZEROBUS-013"));
    place.emulator.clear("default-storage");
    place.resume(&host);
    host.wait_until_delivered("patients");
    assert_eq!(place.counts(), (1, 1));
}

#[test]
fn a_default_storage_table_is_nothing_to_a_warehouse() {
    let place = Place::new(Mode::Sql);
    place.emulator.set("default-storage", &json!({}));
    let host = place.start();
    put(&host, &patient("p-1"));
    host.wait_until_delivered("patients");
    assert_eq!(place.counts(), (1, 1));
}

#[test]
fn an_empty_400_of_the_ingest_service_is_a_wrong_address_and_says_so() {
    let place = Place::new(Mode::Zerobus);
    place.emulator.set("wrong-workspace", &json!({}));
    let host = place.start();
    for number in 0..3 {
        put(&host, &patient(&format!("p-{number}")));
    }
    let why = place.wait_until_halted(&host);
    for word in ["ZEROBUS-012", "databricksWorkspaceId", "databricksRegion"] {
        assert!(why.contains(word), "{why}");
    }
    let status = host.status("patients");
    assert_eq!(status["messagesQueued"].as_f64(), Some(3.0), "{status}");
    assert_eq!(status["deadLetters"].as_f64(), Some(0.0), "{status}");
    place.emulator.clear("wrong-workspace");
    place.resume(&host);
    host.wait_until_delivered("patients");
    assert_eq!(place.counts(), (3, 3));
}

#[test]
fn what_a_request_names_wrongly_is_told_before_the_workspace_is_asked() {
    for mode in [Mode::Zerobus, Mode::Sql] {
        let place = Place::bare(mode);
        let host = place.start_without_destination();
        place.emulator.forget_requests();
        let cases: [(&str, Value); 4] = [
            ("tableName", json!("fhir.patients")),
            ("databricksWarehouseId", json!("../../x")),
            ("databricksWorkspaceUrl", json!("https://evil.example")),
            ("databricksWorkspaceUrl", json!("not a url")),
        ];
        for (name, value) in cases {
            let issues = place.create(&host, &[(name, value)]).expect(422).issues();
            assert!(issues.contains(name), "{name}: {issues}");
        }
        assert_eq!(place.emulator.requests(), []);
    }
}
