//! Columns that somebody renames or drops under a destination that runs.

use std::time::{Duration, Instant};

use lakefeed_tests::{Host, views};
use serde_json::{Value, json};

use super::place::{Mode, Place, TABLE, in_both_modes, patient, put, put_many};

in_both_modes!(
    a_column_that_is_dropped_under_us_is_added_again_and_no_row_is_lost,
    a_column_that_is_renamed_under_us_halts_with_the_statement_that_undoes_it,
    a_column_that_is_renamed_beyond_recognition_is_added_again,
    a_column_whose_type_is_another_under_us_halts_and_both_types_are_named,
    a_column_more_in_the_view_is_added_once_however_late_the_service_learns_of_it,
);

/// Changes the table as somebody else would, who has it map columns by name so that it may.
fn alter(place: &Place, statements: &[&str]) {
    place.emulator.flush();
    let map = "SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')";
    for statement in [&[map][..], statements].concat() {
        place.emulator.sql(&format!("ALTER TABLE {TABLE} {statement}"));
    }
}

fn running(mode: Mode) -> (Place, Host) {
    let place = Place::new(mode);
    let host = place.start();
    put(&host, &patient("a"));
    host.wait_until_delivered("patients");
    (place, host)
}

fn a_column_that_is_dropped_under_us_is_added_again_and_no_row_is_lost(mode: Mode) {
    let (place, host) = running(mode);
    alter(&place, &["DROP COLUMN birth_date"]);
    put(&host, &patient("b"));
    put(&host, &patient("c"));
    host.wait_until_delivered("patients");
    let rows = place
        .emulator
        .rows(&format!("SELECT id, gender, birth_date FROM {TABLE} ORDER BY id"));
    assert_eq!(
        rows,
        "a | female | \nb | female | 1980-02-29\nc | female | 1980-02-29"
    );
    let status = host.status("patients");
    for name in ["deadLetters", "possibleDuplicates"] {
        assert_eq!(status[name].as_f64(), Some(0.0), "{name}: {status}");
    }
    assert!(host.log().contains("added columns to the table"));
}

fn a_column_that_is_renamed_under_us_halts_with_the_statement_that_undoes_it(mode: Mode) {
    let (place, host) = running(mode);
    alter(&place, &["RENAME COLUMN birth_date TO birthdate"]);
    for id in ["b", "c"] {
        put(&host, &patient(id));
    }
    let why = place.wait_until_halted(&host);
    let undo = "ALTER TABLE `aidbox_export`.`fhir`.`patients` RENAME COLUMN `birthdate` TO `birth_date`";
    for word in ["DELIVERY-003", "`birthdate`", undo, "$resume"] {
        assert!(why.contains(word), "{why}");
    }
    assert!(host.log().contains("DELIVERY-003"));
    let status = host.status("patients");
    assert_eq!(status["messagesQueued"].as_f64(), Some(2.0), "{status}");
    assert_eq!(status["deadLetters"].as_f64(), Some(0.0), "{status}");
    // What is printed mends it, word for word.
    place.emulator.sql(undo);
    place.resume(&host);
    host.wait_until_delivered("patients");
    let rows = place
        .emulator
        .rows(&format!("SELECT id, birth_date FROM {TABLE} ORDER BY id"));
    assert_eq!(rows, "a | 1980-02-29\nb | 1980-02-29\nc | 1980-02-29");
}

fn a_column_that_is_renamed_beyond_recognition_is_added_again(mode: Mode) {
    let (place, host) = running(mode);
    alter(&place, &["RENAME COLUMN gender TO sex"]);
    put(&host, &patient("b"));
    host.wait_until_delivered("patients");
    let rows = place
        .emulator
        .rows(&format!("SELECT id, sex, gender FROM {TABLE} ORDER BY id"));
    assert_eq!(rows, "a | female | \nb |  | female");
}

fn a_column_whose_type_is_another_under_us_halts_and_both_types_are_named(mode: Mode) {
    let (place, host) = running(mode);
    alter(&place, &["DROP COLUMN gender", "ADD COLUMNS (gender INT)"]);
    for number in 0..5 {
        put(&host, &patient(&format!("b-{number}")));
    }
    let why = place.wait_until_halted(&host);
    for word in ["`gender`", "the table has INT, the view gives STRING", "$resume"] {
        assert!(why.contains(word), "{why}");
    }
    let status = host.status("patients");
    for counter in ["deadLetters", "possibleDuplicates"] {
        assert_eq!(status[counter].as_f64(), Some(0.0), "{status}");
    }
    alter(&place, &["DROP COLUMN gender", "ADD COLUMNS (gender STRING)"]);
    place.resume(&host);
    host.wait_until_delivered("patients");
    assert_eq!(filled(&place), "6 | 6 | 5");
}

/// Rows, patients and how many have a gender.
fn filled(place: &Place) -> String {
    let counts = format!("SELECT count(*), count(DISTINCT id), count(gender) FROM {TABLE}");
    place.emulator.rows(&counts)
}

/// The view with a column more, materialised.
fn widen(host: &Host, name: &str) {
    let mut view: Value = serde_json::from_str(views::PATIENT_FLAT).unwrap();
    let columns = view["select"][0]["column"].as_array_mut().unwrap();
    columns.push(json!({ "name": name, "path": "meta.versionId" }));
    host.put("ViewDefinition/patient-flat", &view).expect(200);
    let kind =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "type", "valueCode": "view" }] });
    host.post("ViewDefinition/patient-flat/$materialize", &kind)
        .expect(200);
}

fn a_column_more_in_the_view_is_added_once_however_late_the_service_learns_of_it(mode: Mode) {
    let place = Place::bare(mode);
    let host = place.start();
    let view: Value = serde_json::from_str(views::PATIENT_FLAT).unwrap();
    host.post("ViewDefinition", &view).expect(201);
    let topic = json!({ "resourceType": "AidboxSubscriptionTopic", "id": "patients", "url": super::place::TOPIC,
        "status": "active", "trigger": [{ "resource": "Patient" }] });
    host.post("AidboxSubscriptionTopic", &topic).expect(201);
    let kind =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "type", "valueCode": "view" }] });
    host.post("ViewDefinition/patient-flat/$materialize", &kind)
        .expect(200);
    place.create(&host, &[]).expect(201);
    put_many(&host, "a", 0..50);
    host.wait_until_delivered("patients");
    let late = Duration::from_secs(4);
    let milliseconds = u64::try_from(late.as_millis()).unwrap();
    place
        .emulator
        .set("schema-cache-delay", &json!({ "milliseconds": milliseconds }));
    let begun = Instant::now();
    widen(&host, "txid");
    put_many(&host, "b", 0..120);
    host.wait_until_delivered("patients");
    if mode == Mode::Zerobus {
        assert!(
            begun.elapsed() > late - Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
    let rows = format!(
        "SELECT substr(id, 1, 1), count(*), count(DISTINCT id), count(txid) FROM {TABLE} GROUP BY 1 ORDER BY 1"
    );
    assert_eq!(place.emulator.rows(&rows), "a | 50 | 50 | 0\nb | 120 | 120 | 120");
    assert_eq!(place.emulator.count("statements:ALTER"), 1);
    let status = host.status("patients");
    for name in ["deadLetters", "possibleDuplicates"] {
        assert_eq!(status[name].as_f64(), Some(0.0), "{name}: {status}");
    }
}
