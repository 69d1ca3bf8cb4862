//! The product's own walkthrough against the workspace of its set-up: every request as its document has it, but for
//! `skipInitialExport`.

use lakefeed_test_postgres::Server;
use lakefeed_tests::{Host, Judge, Site, views};
use serde_json::{Value, json};

use super::place::{Mode, Place, TABLE};

const PROFILE: &str = "http://health-samurai.io/fhir/core/StructureDefinition/aidboxtopicdestination-dataLakehouseAtLeastOnceProfile";
const URL: &str = "http://example.org/subscriptions/patient-updates";
const DESTINATION: &str = "patient-databricks";

fn topic() -> Value {
    json!({ "resourceType": "AidboxSubscriptionTopic", "url": URL, "status": "active", "trigger": [
        { "resource": "Patient", "supportedInteraction": ["create", "update", "delete"], "fhirPathCriteria": "name.exists()" } ] })
}

/// The document's destination; its body is the same for both modes.
fn destination(place: &Place) -> Value {
    let value = |name: &str| place.emulator.value(name).to_owned();
    json!({ "resourceType": "AidboxTopicDestination", "id": DESTINATION, "topic": URL,
        "kind": "data-lakehouse-at-least-once", "meta": { "profile": [PROFILE] },
        "parameter": [
            { "name": "writeMode", "valueString": place.mode.name() },
            { "name": "databricksWorkspaceUrl", "valueString": place.emulator.url() },
            { "name": "databricksWorkspaceId", "valueString": value("WORKSPACE_ID") },
            { "name": "databricksRegion", "valueString": value("DATABRICKS_REGION") },
            { "name": "tableName", "valueString": TABLE },
            { "name": "databricksWarehouseId", "valueString": value("WAREHOUSE_ID") },
            { "name": "awsRegion", "valueString": "us-east-1" },
            { "name": "stagingTablePath", "valueString": "s3://lakefeed-staging/staging/patients/" },
            { "name": "viewDefinition", "valueString": "patient_flat" },
            { "name": "batchSize", "valueUnsignedInt": 50 },
            { "name": "sendIntervalMs", "valueUnsignedInt": 100 },
            { "name": "initialExportChunkCount", "valueUnsignedInt": 1 },
            { "name": "skipInitialExport", "valueBoolean": true } ] })
}

/// Topic, view, `$materialize`; the view.
fn prepare(host: &Host) -> Value {
    host.post("AidboxSubscriptionTopic", &topic()).expect(201);
    let mut view: Value = serde_json::from_str(views::PATIENT_FLAT).unwrap();
    view["id"] = "patient-flat".into();
    host.post("ViewDefinition", &view).expect(201);
    materialize(host);
    view
}

fn materialize(host: &Host) {
    let kind =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "type", "valueCode": "view" }] });
    host.post("ViewDefinition/patient-flat/$materialize", &kind)
        .expect(200);
}

fn smith(gender: &str, family: &str) -> Value {
    json!({ "resourceType": "Patient", "id": "p-1", "gender": gender, "birthDate": "1990-01-15",
        "name": [{ "use": "official", "family": family, "given": ["John"] }] })
}

/// When each version of a patient was made and its number, the oldest first.
fn versions(host: &Host, id: &str) -> Vec<(String, String)> {
    let history = host.get(&format!("Patient/{id}/_history")).expect(200).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut all: Vec<(String, String)> = history["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["resource"]["meta"])
        .map(|meta| (text(&meta["lastUpdated"]), text(&meta["versionId"])))
        .collect();
    all.reverse();
    all
}

/// Created, updated twice, deleted: four rows, each with the time of its version.
fn four_rows(place: &Place, host: &Host) {
    host.post("Patient", &smith("male", "Smith")).expect(201);
    for (gender, family) in [("male", "Smith-Jones"), ("other", "Smith-Jones")] {
        host.put("Patient/p-1", &smith(gender, family)).expect(200);
    }
    host.wait_until_delivered(DESTINATION);
    let latest = format!(
        "SELECT * EXCEPT(rn) FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS rn FROM {TABLE}) \
         WHERE rn = 1 AND is_deleted = 0"
    );
    let alive = place.emulator.rows(&latest);
    assert!(
        alive.starts_with("p-1 | ") && alive.contains("| other |"),
        "{alive}"
    );
    assert_eq!(alive.lines().count(), 1);
    host.delete("Patient/p-1").expect(200);
    host.wait_until_delivered(DESTINATION);
    let rows = place.emulator.rows(&format!(
        "SELECT id, gender, birth_date, family_name, given_name, is_deleted FROM {TABLE} ORDER BY ts"
    ));
    assert_eq!(
        rows,
        "p-1 | male | 1990-01-15 | Smith | John | 0\n\
         p-1 | male | 1990-01-15 | Smith-Jones | John | 0\n\
         p-1 | other | 1990-01-15 | Smith-Jones | John | 0\n\
         p-1 | other | 1990-01-15 | Smith-Jones | John | 1"
    );
    assert_eq!(
        place.emulator.rows(&latest),
        "",
        "a deleted patient has no latest state"
    );
    times_are_exact(place, host);
}

/// By a reader that shares no code with the emulator, to the microsecond.
fn times_are_exact(place: &Place, host: &Host) {
    let Some(judge) = Judge::find() else { return };
    let format = "%Y-%m-%dT%H:%M:%S.%fZ";
    let read = judge.query(
        &place.emulator.table_folder(TABLE),
        &format!("SELECT strftime(ts, '{format}'), cts = min(ts) OVER () FROM t ORDER BY ts"),
    );
    let times: Vec<&str> = read.rows.iter().filter_map(|row| row[0].as_deref()).collect();
    let versions = versions(host, "p-1");
    let expected: Vec<&str> = versions.iter().map(|(time, _)| time.as_str()).collect();
    assert_eq!(times, expected);
    assert!(
        read.rows.iter().all(|row| row[1].as_deref() == Some("True")),
        "{read:?}"
    );
}

/// The documented members, their order, their types and their values.
fn status_is_exact(host: &Host) {
    let answer = host
        .get(&format!("AidboxTopicDestination/{DESTINATION}/$status"))
        .expect(200);
    let mut told = answer.json();
    let documented: Vec<Value> = told["parameter"].as_array_mut().unwrap().drain(..7).collect();
    let started = documented[1]["valueDateTime"].as_str().unwrap().to_owned();
    assert!(started.starts_with("20") && started.ends_with('Z'), "{started}");
    let count = |name: &str, value: u64| json!({ "name": name, "valueDecimal": value });
    assert_eq!(
        documented,
        [
            json!({ "name": "status", "valueString": "active" }),
            json!({ "name": "startTimestamp", "valueDateTime": started }),
            count("messagesDelivered", 4),
            count("messagesDeliveryAttempts", 4),
            count("messagesInProcess", 0),
            count("messagesQueued", 0),
            json!({ "name": "initialExportStatus", "valueString": "skipped" }),
        ]
    );
    let status = host.status(DESTINATION);
    for (name, value) in [
        ("deadLetters", 0.0),
        ("possibleDuplicates", 0.0),
        ("rowsDelivered", 4.0),
    ] {
        assert_eq!(status[name].as_f64(), Some(value), "{name}: {status}");
    }
}

/// A column more in the view: the table gets it at the next write, older rows have null in it.
fn a_new_column_heals(place: &Place, host: &Host, mut view: Value) {
    let columns = view["select"][0]["column"].as_array_mut().unwrap();
    columns.push(json!({ "name": "txid", "path": "meta.versionId" }));
    host.put("ViewDefinition/patient-flat", &view).expect(200);
    materialize(host);
    let mut second = smith("female", "Ash");
    second["id"] = "p-2".into();
    host.put("Patient/p-2", &second).expect(201);
    host.delete("Patient/p-2").expect(200);
    host.wait_until_delivered(DESTINATION);
    let rows = place
        .emulator
        .rows(&format!("SELECT id, txid, is_deleted FROM {TABLE} ORDER BY ts"));
    let numbers = versions(host, "p-2");
    let expected = format!(
        "p-1 |  | 0\np-1 |  | 0\np-1 |  | 0\np-1 |  | 1\np-2 | {} | 0\np-2 | {} | 1",
        numbers[0].1, numbers[1].1
    );
    assert_eq!(rows, expected);
    let status = host.status(DESTINATION);
    assert_eq!(status["messagesDelivered"].as_f64(), Some(6.0), "{status}");
    assert_eq!(status["possibleDuplicates"].as_f64(), Some(0.0), "{status}");
}

/// Deleted, it is gone, and what it delivered stays.
fn deleting_it_stops_it(place: &Place, host: &Host) {
    let path = format!("AidboxTopicDestination/{DESTINATION}");
    assert_eq!(host.delete(&path).expect(200).json()["id"], DESTINATION);
    host.delete(&path).expect(204);
    let before = place.counts();
    let mut late = smith("male", "Late");
    late["id"] = "p-3".into();
    host.put("Patient/p-3", &late).expect(201);
    place.emulator.forget_requests();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(place.counts(), before);
    let is_live = |request: &lakefeed_tests::Request| request.path.contains("/zerobus/");
    assert!(!place.emulator.requests().iter().any(is_live));
}

fn walk(mode: Mode, site: Site) {
    let place = Place::on(mode, site);
    let host = place.start();
    let view = prepare(&host);
    let made = host
        .post("AidboxTopicDestination", &destination(&place))
        .expect(201)
        .json();
    assert_eq!(made["parameter"], destination(&place)["parameter"]);
    let statements = place.emulator.count("statements:INSERT");
    four_rows(&place, &host);
    status_is_exact(&host);
    let inserts = place.emulator.count("statements:INSERT") - statements;
    match mode {
        Mode::Zerobus => assert_eq!(inserts, 0, "live writes never touch the warehouse"),
        Mode::Sql => assert_eq!(place.emulator.count("zerobus-requests"), 0),
    }
    a_new_column_heals(&place, &host, view);
    deleting_it_stops_it(&place, &host);
    assert!(host.stop().success());
}

#[test]
fn the_walkthrough_by_the_ingest_service() {
    walk(Mode::Zerobus, Site::new(""));
}

#[test]
fn the_walkthrough_by_a_warehouse() {
    walk(Mode::Sql, Site::new(""));
}

#[test]
fn the_walkthrough_by_the_ingest_service_over_postgresql() {
    let Some(server) = Server::shared() else {
        return lakefeed_test_postgres::skipped();
    };
    walk(Mode::Zerobus, Site::on_store(&server.url(&server.database())));
}

#[test]
fn the_walkthrough_by_a_warehouse_over_postgresql() {
    let Some(server) = Server::shared() else {
        return lakefeed_test_postgres::skipped();
    };
    walk(Mode::Sql, Site::on_store(&server.url(&server.database())));
}

#[test]
fn a_destination_without_a_write_mode_is_written_by_the_ingest_service() {
    let place = Place::bare(Mode::Zerobus);
    let host = place.start();
    prepare(&host);
    let mut bare = destination(&place);
    bare["parameter"].as_array_mut().unwrap().remove(0);
    host.post("AidboxTopicDestination", &bare).expect(201);
    host.post("Patient", &smith("male", "Smith")).expect(201);
    host.wait_until_delivered(DESTINATION);
    assert_eq!(place.counts(), (1, 1));
    assert_eq!(place.emulator.count("zerobus-rows"), 1);
}
