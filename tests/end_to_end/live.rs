//! A change becomes a row, and a row says what the change was.

use lakefeed_tests::{Judge, Site, destination, views};
use serde_json::{Value, json};

/// A patient with an official name.
fn patient(id: &str, gender: &str, family: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "gender": gender, "birthDate": "1980-02-29",
        "name": [{ "use": "official", "family": family, "given": ["Ada", "B."] }] })
}

fn last_updated(resource: &Value) -> String {
    resource["meta"]["lastUpdated"].as_str().unwrap().to_owned()
}

#[test]
fn created_updated_twice_and_deleted_is_four_rows_the_last_marked_as_deleted() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let host = site.start();
    host.put("Patient/p-1", &patient("p-1", "male", "Smith"))
        .expect(201);
    host.put("Patient/p-1", &patient("p-1", "male", "Smith-Jones"))
        .expect(200);
    host.put("Patient/p-1", &patient("p-1", "other", "Smith-Jones"))
        .expect(200);
    host.delete("Patient/p-1").expect(200);
    host.wait_until_delivered("patients");
    let rows = judge.query(
        &site.path("lake/patients"),
        "SELECT id, gender, birth_date, family_name, given_name, is_deleted FROM t ORDER BY ts",
    );
    assert_eq!(
        rows.text(),
        "p-1 | male | 1980-02-29 | Smith | Ada B. | 0\n\
         p-1 | male | 1980-02-29 | Smith-Jones | Ada B. | 0\n\
         p-1 | other | 1980-02-29 | Smith-Jones | Ada B. | 0\n\
         p-1 | other | 1980-02-29 | Smith-Jones | Ada B. | 1"
    );
}

#[test]
fn the_columns_have_the_types_of_the_elements_without_being_told() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let host = site.start();
    host.put("Patient/p-1", &patient("p-1", "male", "Smith"))
        .expect(201);
    host.wait_until_delivered("patients");
    let columns = judge.table(&site.path("lake/patients")).columns;
    let text: Vec<String> = columns
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    assert_eq!(
        text,
        [
            "id VARCHAR",
            "ts TIMESTAMP WITH TIME ZONE",
            "cts TIMESTAMP WITH TIME ZONE",
            "gender VARCHAR",
            "birth_date DATE",
            "family_name VARCHAR",
            "given_name VARCHAR",
            "is_deleted INTEGER"
        ]
    );
}

#[test]
fn a_row_bears_the_time_of_its_version_and_the_time_of_the_first() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let host = site.start();
    let first = host
        .put("Patient/p-1", &patient("p-1", "male", "Smith"))
        .expect(201)
        .json();
    let second = host
        .put("Patient/p-1", &patient("p-1", "male", "Jones"))
        .expect(200)
        .json();
    let deleted = host.delete("Patient/p-1").expect(200).json();
    host.wait_until_delivered("patients");
    let sql = "SELECT strftime(ts, '%Y-%m-%dT%H:%M:%S.%fZ'), strftime(cts, '%Y-%m-%dT%H:%M:%S.%fZ') FROM t ORDER BY ts";
    let rows = judge.query(&site.path("lake/patients"), sql);
    let created = last_updated(&first);
    let expected: Vec<String> = [&first, &second, &deleted]
        .map(|version| format!("{} | {created}", last_updated(version)))
        .into();
    assert_eq!(rows.text(), expected.join("\n"));
}

#[test]
fn a_patient_without_an_official_name_has_no_row_until_it_is_deleted() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let host = site.start();
    host.put(
        "Patient/p-1",
        &json!({ "resourceType": "Patient", "id": "p-1", "gender": "female" }),
    )
    .expect(201);
    host.delete("Patient/p-1").expect(200);
    host.wait_until_delivered("patients");
    let rows = judge.query(
        &site.path("lake/patients"),
        "SELECT id, gender, family_name, is_deleted FROM t",
    );
    assert_eq!(rows.text(), "p-1 | female |  | 1");
}

#[test]
fn a_deleted_patient_comes_back_as_a_new_row() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let host = site.start();
    host.put("Patient/p-1", &patient("p-1", "male", "Smith"))
        .expect(201);
    host.delete("Patient/p-1").expect(200);
    host.delete("Patient/p-1").expect(204);
    host.get("Patient/p-1").expect(410);
    host.put("Patient/p-1", &patient("p-1", "male", "Smith"))
        .expect(201);
    host.wait_until_delivered("patients");
    let rows = judge.query(
        &site.path("lake/patients"),
        "SELECT is_deleted FROM t ORDER BY ts",
    );
    assert_eq!(rows.text(), "0\n1\n0");
}

#[test]
fn destinations_take_only_what_their_topic_wants_and_do_not_hold_each_other_up() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::new("");
    site.write("patient_flat.json", views::PATIENT_FLAT);
    site.write("patient_version.json", views::PATIENT_VERSION);
    let all = destination("all", "Patient", "patient_version", "");
    let few = destination("few", "Patient", "patient_flat", "").replace(
        "resource = \"Patient\"",
        "resource = \"Patient\", supportedInteraction = [\"update\"], fhirPathCriteria = \"%current.gender != %previous.gender\"",
    );
    site.configure(&format!("{all}{few}"));
    let host = site.start();
    host.put("Patient/p-1", &patient("p-1", "male", "Smith"))
        .expect(201);
    host.put("Patient/p-1", &patient("p-1", "male", "Jones"))
        .expect(200);
    host.put("Patient/p-1", &patient("p-1", "female", "Jones"))
        .expect(200);
    host.wait_until_delivered("all");
    host.wait_until_delivered("few");
    assert_eq!(judge.number(&site.path("lake/all"), "SELECT count(*) FROM t"), 3);
    let rows = judge.query(&site.path("lake/few"), "SELECT gender, family_name FROM t");
    assert_eq!(rows.text(), "female | Jones");
}

#[test]
fn what_was_imported_before_the_host_ran_is_delivered_when_it_runs() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let generator = lakefeed_sample_data::Generator::new(3);
    let path = site.write_ndjson("data/Patient.ndjson", generator.patients(2_000));
    let ended = site
        .run(&["import", path.to_str().unwrap(), "--json"])
        .succeeded();
    assert_eq!(ended.json()["imported"], 2_000);
    let host = site.start();
    let status = host.wait_until_delivered("patients");
    assert_eq!(status["messagesDelivered"].as_f64(), Some(2_000.0));
    let official = generator
        .patients(2_000)
        .filter(|patient| patient["name"][0]["use"] == "official")
        .count();
    let rows = judge.number(&site.path("lake/patients"), "SELECT count(DISTINCT id) FROM t");
    assert_eq!(rows, official as u64);
}

#[test]
fn the_file_plugin_takes_the_same_rows() {
    let site = Site::new("");
    site.write("patient_flat.json", views::PATIENT_FLAT);
    let config = destination("patients", "Patient", "patient_flat", "path = \"rows.ndjson\"");
    site.configure(
        &config
            .replace("external-direct", "ndjson")
            .replace("tablePath = \"lake/patients\"", ""),
    );
    let host = site.start();
    host.put("Patient/p-1", &patient("p-1", "male", "Smith"))
        .expect(201);
    host.delete("Patient/p-1").expect(200);
    host.wait_until_delivered("patients");
    let text = std::fs::read_to_string(site.path("rows.ndjson")).unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row["family_name"].clone(), row["is_deleted"].clone()))
        .collect();
    assert_eq!(seen, [(json!("Smith"), json!(0)), (json!("Smith"), json!(1))]);
}

#[test]
fn sigterm_stops_the_host_and_loses_nothing() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let host = site.start();
    for number in 0..50 {
        let id = format!("p-{number}");
        host.put(&format!("Patient/{id}"), &patient(&id, "male", "Smith"))
            .expect(201);
    }
    assert!(host.stop().success());
    let host = site.start();
    host.wait_until_delivered("patients");
    let counts = judge.query(
        &site.path("lake/patients"),
        "SELECT count(*), count(DISTINCT id) FROM t",
    );
    assert_eq!(counts.text(), "50 | 50");
}
