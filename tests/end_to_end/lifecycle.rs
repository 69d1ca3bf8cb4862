//! 1.4 Lifecycle over HTTP: a test a row, with a real target behind the destination.

use lakefeed_tests::{Host, Judge, Site};
use reqwest::Method;
use serde_json::{Value, json};

use crate::aidbox::{destination, prepared};

const PATH: &str = "AidboxTopicDestination";

fn patient(host: &Host, id: &str) {
    let body =
        json!({ "resourceType": "Patient", "id": id, "name": [{ "use": "official", "family": "Ash" }] });
    host.put(&format!("Patient/{id}"), &body).expect(201);
}

/// The ids of the rows of a table, in order, each once.
fn ids(judge: &Judge, site: &Site, table: &str) -> String {
    let rows = judge.query(&site.path(table), "SELECT DISTINCT id FROM t ORDER BY id");
    rows.text().replace('\n', " ")
}

/// The walkthrough's destination under another id, into another table.
fn another(id: &str, table: &str) -> Value {
    let mut other = destination();
    other["id"] = id.into();
    other["parameter"][1]["valueString"] = table.into();
    other
}

fn send(
    host: &Host,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> lakefeed_tests::Answer {
    let mut all = vec![("content-type", "application/fhir+json")];
    all.extend(headers);
    host.send(method, path, &all, body.to_string().into_bytes())
}

#[test]
fn post_is_201_once_the_target_was_looked_at() {
    let site = Site::new("");
    let host = prepared(&site);
    let made = host.post(PATH, &destination()).expect(201);
    assert!(
        made.header("location")
            .contains("/fhir/AidboxTopicDestination/patient-lake/_history/")
    );
    assert_eq!(made.json()["topic"], destination()["topic"]);
    // The table is there already, without a row.
    assert!(site.path("lake/patients/_delta_log").is_dir());
    assert_eq!(host.status("patient-lake")["status"], "active");
}

#[test]
fn post_with_an_existing_id_is_409() {
    let site = Site::new("");
    let host = prepared(&site);
    host.post(PATH, &destination()).expect(201);
    let issues = host.post(PATH, &destination()).expect(409).issues();
    assert!(issues.contains("AidboxTopicDestination.id"), "{issues}");
}

#[test]
fn post_with_if_none_exist_by_id_is_200_with_the_existing_one_and_makes_no_sender() {
    let site = Site::new("");
    let host = prepared(&site);
    let post = || {
        send(
            &host,
            Method::POST,
            PATH,
            &[("if-none-exist", "_id=patient-lake")],
            &destination(),
        )
    };
    let made = post().expect(201).json();
    let before = host.status("patient-lake");
    let again = post().expect(200).json();
    assert_eq!(again["meta"]["versionId"], made["meta"]["versionId"]);
    let after = host.status("patient-lake");
    for member in ["startTimestamp", "generation", "offset"] {
        assert_eq!(after[member], before[member], "{member}");
    }
    let by_topic = format!("{PATH}?topic={}", destination()["topic"].as_str().unwrap());
    send(
        &host,
        Method::POST,
        &by_topic,
        &[],
        &another("other", "lake/other"),
    )
    .expect(200);
    host.get(&format!("{PATH}/other")).expect(404);
}

#[test]
fn put_and_patch_are_405_and_change_nothing() {
    let site = Site::new("");
    let host = prepared(&site);
    let made = host.post(PATH, &destination()).expect(201).json();
    let path = format!("{PATH}/patient-lake");
    host.put(&path, &destination()).expect(405);
    for body in [
        json!([]),
        json!({ "status": "active" }),
        json!({ "resourceType": "Parameters" }),
    ] {
        send(&host, Method::PATCH, &path, &[], &body).expect(405);
    }
    send(
        &host,
        Method::PUT,
        &format!("{PATH}?_id=patient-lake"),
        &[],
        &destination(),
    )
    .expect(405);
    assert_eq!(
        host.get(&path).expect(200).json()["meta"]["versionId"],
        made["meta"]["versionId"]
    );
}

#[test]
fn change_configuration_by_delete_and_post() {
    let site = Site::new("");
    let host = prepared(&site);
    let path = format!("{PATH}/patient-lake");
    for batch_size in [50, 7] {
        let mut changed = destination();
        let parameters = changed["parameter"].as_array_mut().unwrap();
        let batch = parameters
            .iter_mut()
            .find(|parameter| parameter["name"] == "batchSize");
        batch.unwrap()["valueUnsignedInt"] = batch_size.into();
        let deleted = host.delete(&path);
        assert!(matches!(deleted.status, 200 | 204), "{}", deleted.text());
        host.post(PATH, &changed).expect(201);
        let stored = host.get(&path).expect(200).json();
        assert_eq!(stored["parameter"], changed["parameter"]);
    }
}

/// Posts a bundle, and the statuses of its entries.
fn bundle(host: &Host, kind: &str, entries: Value) -> Vec<String> {
    let body = json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
    let answer = host.post("/fhir", &body).expect(200).json();
    let entries = answer["entry"].as_array().unwrap().iter();
    let status = |entry: &Value| entry["response"]["status"].as_str().unwrap().to_owned();
    entries.map(status).collect()
}

#[test]
fn put_and_patch_are_405_inside_bundles_as_well() {
    let site = Site::new("");
    let host = prepared(&site);
    let made = host.post(PATH, &destination()).expect(201).json();
    let path = format!("{PATH}/patient-lake");
    let put = json!([{ "request": { "method": "PUT", "url": path }, "resource": destination() }]);
    assert_eq!(bundle(&host, "batch", put.clone()), ["405"]);
    let transaction = json!({ "resourceType": "Bundle", "type": "transaction", "entry": put });
    let refused = host.post("/fhir", &transaction);
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    assert_eq!(host.get(&path).expect(200).json()["meta"], made["meta"]);
}

#[test]
fn change_configuration_by_a_batch_of_delete_and_post_that_can_be_run_again() {
    let site = Site::new("");
    let host = prepared(&site);
    let entries = json!([
        { "request": { "method": "DELETE", "url": format!("{PATH}/patient-lake") } },
        { "request": { "method": "POST", "url": PATH }, "resource": destination() } ]);
    assert_eq!(bundle(&host, "batch", entries.clone()), ["204", "201"]);
    assert_eq!(bundle(&host, "batch", entries), ["200", "201"]);
    assert_eq!(host.status("patient-lake")["status"], "active");
}

#[test]
fn post_with_if_none_exist_in_a_batch_can_be_run_again() {
    let site = Site::new("");
    let host = prepared(&site);
    let request = json!({ "method": "POST", "url": PATH, "ifNoneExist": "_id=patient-lake" });
    let entries = json!([{ "request": request, "resource": destination() }]);
    assert_eq!(bundle(&host, "batch", entries.clone()), ["201"]);
    assert_eq!(bundle(&host, "batch", entries), ["200"]);
}

#[test]
fn delete_stops_the_sender_drops_what_waits_and_leaves_what_was_delivered() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::new("");
    let host = prepared(&site);
    let path = format!("{PATH}/patient-lake");
    host.post(PATH, &destination()).expect(201);
    patient(&host, "delivered");
    host.wait_until_delivered("patient-lake");
    host.post(
        &format!("{path}/$pause"),
        &json!({ "resourceType": "Parameters" }),
    )
    .expect(200);
    patient(&host, "queued");
    assert_eq!(host.status("patient-lake")["messagesQueued"].as_f64(), Some(1.0));
    let deleted = host.delete(&path).expect(200).json();
    assert_eq!(
        (&deleted["resourceType"], &deleted["id"]),
        (&PATH.into(), &"patient-lake".into())
    );
    host.delete(&path).expect(204);
    host.get(&format!("{path}/$status")).expect(404);
    assert_eq!(ids(&judge, &site, "lake/patients"), "delivered");
}

#[test]
fn re_create_of_a_destination_goes_on_from_then_in_the_same_table() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::new("");
    let host = prepared(&site);
    host.post(PATH, &destination()).expect(201);
    patient(&host, "first");
    host.wait_until_delivered("patient-lake");
    host.delete(&format!("{PATH}/patient-lake")).expect(200);
    patient(&host, "between");
    host.post(PATH, &destination()).expect(201);
    patient(&host, "second");
    let status = host.wait_until_delivered("patient-lake");
    assert_eq!(status["messagesDelivered"].as_f64(), Some(1.0));
    assert_eq!(ids(&judge, &site, "lake/patients"), "first second");
    assert_eq!(
        judge.number(&site.path("lake/patients"), "SELECT count(*) FROM t"),
        2
    );
}

#[test]
fn several_destinations_on_one_topic_have_a_queue_a_writer_and_a_status_each() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::new("");
    let host = prepared(&site);
    host.post(PATH, &another("one", "lake/one")).expect(201);
    host.post(PATH, &another("other", "lake/other")).expect(201);
    host.post(
        &format!("{PATH}/other/$pause"),
        &json!({ "resourceType": "Parameters" }),
    )
    .expect(200);
    patient(&host, "p");
    let one = host.wait_until_delivered("one");
    let other = host.status("other");
    let counted = |status: &Value| {
        (
            status["messagesDelivered"].as_f64(),
            status["messagesQueued"].as_f64(),
        )
    };
    assert_eq!(counted(&one), (Some(1.0), Some(0.0)));
    assert_eq!(counted(&other), (Some(0.0), Some(1.0)));
    host.post(
        &format!("{PATH}/other/$resume"),
        &json!({ "resourceType": "Parameters" }),
    )
    .expect(200);
    host.wait_until_delivered("other");
    assert_eq!(ids(&judge, &site, "lake/one"), "p");
    assert_eq!(ids(&judge, &site, "lake/other"), "p");
}

#[test]
fn profile_or_parameter_violation_is_422_at_its_element() {
    let site = Site::new("");
    let host = prepared(&site);
    let check = |change: fn(&mut Value), place: &str| {
        let mut bad = destination();
        change(&mut bad);
        let issues = host.post(PATH, &bad).expect(422).issues();
        assert!(issues.contains(place), "{place} is not in:\n{issues}");
        host.get(&format!("{PATH}/patient-lake")).expect(404);
    };
    check(
        |bad| bad["kind"] = "data-lakehouse".into(),
        "AidboxTopicDestination.kind",
    );
    check(
        |bad| bad["parameter"][3] = json!({ "name": "batchSize", "valueString": "50" }),
        "AidboxTopicDestination.parameter[3]",
    );
    check(
        |bad| bad["parameter"][3] = json!({ "name": "batchSise", "valueUnsignedInt": 50 }),
        "AidboxTopicDestination.parameter[3]",
    );
    check(
        |bad| drop(bad["parameter"].as_array_mut().unwrap().remove(2)),
        "viewDefinition",
    );
}

#[test]
fn topic_url_that_is_unknown_is_422_at_the_topic() {
    let site = Site::new("");
    let host = prepared(&site);
    let mut bad = destination();
    bad["topic"] = "http://example.org/no-such-topic".into();
    let issues = host.post(PATH, &bad).expect(422).issues();
    assert!(issues.contains("AidboxTopicDestination.topic"), "{issues}");
}

#[test]
fn bootstrap_failure_is_an_outcome_at_the_parameter_and_leaves_nothing() {
    let site = Site::new("");
    let host = prepared(&site);
    // Something else is where the table should be.
    site.write("lake/patients", "not a table");
    let answer = host.post(PATH, &destination());
    assert!(matches!(answer.status, 422 | 503), "{}", answer.text());
    let issues = answer.issues();
    assert!(issues.contains("AidboxTopicDestination.parameter[1]"), "{issues}");
    host.get(&format!("{PATH}/patient-lake")).expect(404);
    host.get(&format!("{PATH}/patient-lake/$status")).expect(404);
    std::fs::remove_file(site.path("lake/patients")).unwrap();
    host.post(PATH, &destination()).expect(201);
}
