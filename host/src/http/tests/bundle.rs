//! 6.2 Bundles.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Answer, Host};
use crate::change::Offset;
use crate::http::{Limits, Settings};
use crate::log::ReadBound;

impl Host {
    async fn bundle(&self, kind: &str, entries: Vec<Value>) -> Answer {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
        self.ask("POST /fhir", &bundle.to_string()).await
    }

    /// Every change in the log, in order: `Patient/p-1 update`.
    async fn changes(&self) -> Vec<String> {
        let bound = ReadBound {
            changes: 100_000,
            bytes: usize::MAX,
            through: None,
        };
        let changes = self.log.changes(Offset::START, bound).await.unwrap();
        let text = |change: &crate::change::Change| {
            format!("{} {:?}", change.version.key, change.interaction()).to_lowercase()
        };
        changes.iter().map(text).collect()
    }
}

fn entry(method: &str, url: &str, resource: Value) -> Value {
    json!({"request": {"method": method, "url": url}, "resource": resource})
}

fn bare(method: &str, url: &str) -> Value {
    json!({"request": {"method": method, "url": url}})
}

fn patient(id: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]})
}

fn identified(value: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": value}]})
}

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}})
}

/// The status of each entry.
fn statuses(answer: &Answer) -> String {
    let json = answer.json();
    assert_eq!(answer.status, 200, "{json}");
    let entries = json["entry"].as_array().unwrap();
    let status = |entry: &Value| entry["response"]["status"].as_str().unwrap().to_owned();
    entries.iter().map(status).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_transaction_is_done_in_document_order_and_keeps_each_version_of_a_resource() {
    let host = Host::start().await;
    let answer = host
        .bundle(
            "transaction",
            vec![
                entry("PUT", "Patient/p", patient("p", "Ash")),
                entry("PUT", "Patient/p", patient("p", "Birch")),
                bare("DELETE", "Patient/p"),
                entry("PUT", "/fhir/Patient/p", patient("p", "Cedar")),
                bare("DELETE", "Patient/q"),
                bare("GET", "Patient/p"),
            ],
        )
        .await;
    assert_eq!(statuses(&answer), "201 200 200 201 204 200");
    let json = answer.json();
    assert_eq!(json["type"], "transaction-response");
    let version = json["entry"][3]["resource"]["meta"]["versionId"]
        .as_str()
        .unwrap();
    let response = &json["entry"][3]["response"];
    assert_eq!(response["etag"], format!("W/\"{version}\""));
    assert_eq!(
        response["location"],
        format!("http://localhost/fhir/Patient/p/_history/{version}")
    );
    assert_eq!(
        response["lastModified"],
        json["entry"][3]["resource"]["meta"]["lastUpdated"]
    );
    assert_eq!(json["entry"][5]["resource"]["name"][0]["family"], "Cedar");
    let expect =
        ["create", "update", "delete", "create"].map(|interaction| format!("patient/p {interaction}"));
    assert_eq!(host.changes().await, expect);
    host.stop().await;
}

#[tokio::test]
async fn a_transaction_with_one_bad_entry_writes_nothing_and_says_which() {
    let host = Host::start().await;
    host.put_patient("old", "Ash").await;
    let good = entry("PUT", "Patient/new", patient("new", "Ash"));
    let with_version = json!({"request": {"method": "PUT", "url": "Patient/old", "ifMatch": "W/\"999\""},
        "resource": patient("old", "Birch")});
    for (bad, expect) in [
        (
            entry(
                "PUT",
                "Patient/x",
                json!({"resourceType": "Patient", "id": "a b"}),
            ),
            "422 value Bundle.entry[1].resource.id",
        ),
        (
            entry("PUT", "Patient/x", observation("Patient/old")),
            "422 invalid Bundle.entry[1].resource.resourceType",
        ),
        (
            entry("POST", "Patient", patient("old", "Birch")),
            "409 conflict Bundle.entry[1].resource.id",
        ),
        (with_version, "412 conflict Bundle.entry[1].request.ifMatch"),
        (bare("PUT", "Patient/x"), "400 required Bundle.entry[1].resource"),
        (bare("PUT", "Patient"), "400 value Bundle.entry[1].request.url"),
        (
            bare("TRACE", "Patient/x"),
            "400 value Bundle.entry[1].request.method",
        ),
        (
            bare("GET", "http://elsewhere/fhir/Patient/x"),
            "400 value Bundle.entry[1].request.url",
        ),
        (json!({}), "400 required Bundle.entry[1].request"),
        (json!({"request": 1}), "400 structure Bundle.entry[1]"),
        (
            entry("PATCH", "Patient/none", json!({"active": true})),
            "404 not-found Bundle.entry[1].request.url",
        ),
    ] {
        let answer = host.bundle("transaction", vec![good.clone(), bad.clone()]).await;
        assert_eq!(answer.outcome(), expect, "{bad}");
    }
    assert_eq!(host.changes().await, ["patient/old create"]);
    host.stop().await;
}

#[tokio::test]
async fn references_to_entries_are_resolved_whichever_way_they_are_written() {
    let host = Host::start().await;
    let mut mother = entry("POST", "Patient", json!({"resourceType": "Patient"}));
    mother["fullUrl"] = json!("urn:uuid:6f0b0d7e-0000-4000-8000-000000000001");
    let mut child = entry(
        "POST",
        "Patient",
        json!({"resourceType": "Patient",
            "link": [{"type": "seealso", "other": {"reference": "urn:uuid:6f0b0d7e-0000-4000-8000-000000000001"}}],
            "extension": [{"url": "x", "valueUri": "urn:uuid:6f0b0d7e-0000-4000-8000-000000000001"},
                {"url": "x", "valueString": "urn:uuid:6f0b0d7e-0000-4000-8000-000000000001"}]}),
    );
    child["fullUrl"] = json!("http://sender/fhir/Patient/7");
    let mut seen = entry("POST", "Observation", observation("Patient/7"));
    seen["fullUrl"] = json!("http://sender/fhir/Observation/1");
    let absolute = entry(
        "POST",
        "Observation",
        observation("http://sender/fhir/Patient/7/_history/3"),
    );
    let other = entry("POST", "Observation", observation("Patient/7"));
    let answer = host
        .bundle("transaction", vec![seen, absolute, other, child, mother])
        .await;
    assert_eq!(statuses(&answer), "201 201 201 201 201");
    let json = answer.json();
    let name = |index: usize| {
        format!(
            "Patient/{}",
            json["entry"][index]["resource"]["id"].as_str().unwrap()
        )
    };
    let subject = |index: usize| json["entry"][index]["resource"]["subject"]["reference"].clone();
    assert_eq!(subject(0), name(3));
    assert_eq!(subject(1), name(3));
    // A relative reference in an entry that is called nothing means what the server has.
    assert_eq!(subject(2), "Patient/7");
    let child = &json["entry"][3]["resource"];
    assert_eq!(child["link"][0]["other"]["reference"], name(4));
    assert_eq!(child["extension"][0]["valueUri"], name(4));
    assert_eq!(
        child["extension"][1]["valueString"],
        "urn:uuid:6f0b0d7e-0000-4000-8000-000000000001"
    );
    host.stop().await;
}

#[tokio::test]
async fn a_reference_by_condition_finds_one_resource_or_the_transaction_fails() {
    let host = Host::start().await;
    host.ask("PUT /fhir/Patient/old", &identified("1").to_string())
        .await;
    let refer = |condition: &str| entry("POST", "Observation", observation(condition));
    let made = || entry("POST", "Patient", identified("2"));
    let answer = host
        .bundle(
            "transaction",
            vec![
                refer("Patient?identifier=urn:s|1"),
                refer("Patient?identifier=urn:s|2"),
                made(),
            ],
        )
        .await;
    assert_eq!(statuses(&answer), "201 201 201");
    let json = answer.json();
    let subject = |index: usize| json["entry"][index]["resource"]["subject"]["reference"].clone();
    assert_eq!(subject(0), "Patient/old");
    assert_eq!(
        subject(1),
        format!("Patient/{}", json["entry"][2]["resource"]["id"].as_str().unwrap())
    );
    let place = "Bundle.entry[0].resource.subject.reference";
    for (condition, expect) in [
        ("Patient?identifier=urn:s|3", "412 not-found"),
        ("Patient?identifier=urn:s|2", "412 multiple-matches"),
        ("Patient?name=x", "400 not-supported"),
    ] {
        let answer = host.bundle("transaction", vec![refer(condition), made()]).await;
        assert_eq!(answer.outcome(), format!("{expect} {place}"), "{condition}");
    }
    host.stop().await;
}

#[tokio::test]
async fn conditions_see_what_the_entries_before_them_do() {
    let host = Host::start().await;
    let mut create = entry("POST", "Patient", identified("1"));
    create["request"]["ifNoneExist"] = json!("identifier=urn:s|1");
    create["fullUrl"] = json!("urn:uuid:6f0b0d7e-0000-4000-8000-000000000001");
    let refer = entry(
        "POST",
        "Observation",
        observation("urn:uuid:6f0b0d7e-0000-4000-8000-000000000001"),
    );
    let update = entry("PUT", "Patient?identifier=urn:s|1", identified("1"));
    let delete = || bare("DELETE", "Patient?identifier=urn:s|1");
    let entries = vec![
        create.clone(),
        create.clone(),
        refer,
        update,
        delete(),
        delete(),
        create,
    ];
    let answer = host.bundle("transaction", entries.clone()).await;
    assert_eq!(statuses(&answer), "201 200 201 200 200 204 201");
    let json = answer.json();
    let id = |index: usize| json["entry"][index]["resource"]["id"].clone();
    assert_eq!((id(0), id(0)), (id(1), id(3)));
    assert_ne!(id(0), id(6));
    let again = host.bundle("transaction", entries).await;
    assert_eq!(statuses(&again), "200 200 201 200 200 204 201");
    host.stop().await;
}

#[tokio::test]
async fn patches_in_a_transaction_follow_each_other() {
    let host = Host::start().await;
    let operations = json!([{"op": "add", "path": "/active", "value": true}]);
    let binary = json!({"resourceType": "Binary", "contentType": "application/json-patch+json",
        "data": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2dlbmRlciIsInZhbHVlIjoibWFsZSJ9XQ=="});
    let answer = host
        .bundle(
            "transaction",
            vec![
                entry("PUT", "Patient/p", patient("p", "Ash")),
                entry("PATCH", "Patient/p", operations.clone()),
                entry("PATCH", "Patient/p", binary),
                entry("PATCH", "Patient/p", json!({"name": null})),
                entry("PATCH", "Patient/p", operations),
            ],
        )
        .await;
    assert_eq!(statuses(&answer), "201 200 200 200 200");
    let last = answer.json()["entry"][4]["resource"].clone();
    assert_eq!(
        (&last["active"], &last["gender"], &last["name"]),
        (&json!(true), &json!("male"), &json!(null))
    );
    assert_eq!(
        host.changes().await.len(),
        4,
        "a patch without effect makes no version"
    );
    host.stop().await;
}

/// A FHIRPath patch that adds an element to a Patient.
fn added(name: &str, key: &str, value: &str) -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": name},
        {"name": "value", (key): value},
    ]}]})
}

#[tokio::test]
async fn parameters_in_a_patch_entry_are_a_fhirpath_patch_alone_or_in_a_binary() {
    let host = Host::start().await;
    let gender = added("gender", "valueCode", "male");
    let binary = json!({"resourceType": "Binary", "contentType": "application/fhir+json; charset=utf-8",
        "data": STANDARD.encode(added("birthDate", "valueDate", "1970-01-01").to_string())});
    for (kind, id) in [("batch", "b"), ("transaction", "t")] {
        let url = format!("Patient/{id}");
        let entries = vec![
            entry("PUT", &url, patient(id, "Ash")),
            entry("PATCH", &url, gender.clone()),
            entry("PATCH", &url, binary.clone()),
            bare("GET", &url),
        ];
        let answer = host.bundle(kind, entries).await;
        assert_eq!(statuses(&answer), "201 200 200 200", "{kind}");
        let last = answer.json()["entry"][3]["resource"].clone();
        assert_eq!(
            (&last["gender"], &last["birthDate"]),
            (&json!("male"), &json!("1970-01-01"))
        );
    }
    let again = vec![entry("PATCH", "Patient/t", gender.clone())];
    assert_eq!(
        host.bundle("transaction", again.clone()).await.outcome(),
        "422 processing Bundle.entry[0].resource"
    );
    assert_eq!(statuses(&host.bundle("batch", again).await), "422");
    assert_eq!(host.changes().await.len(), 6);
    host.stop().await;
}

#[tokio::test]
async fn what_cannot_be_undone_is_no_part_of_a_transaction() {
    let host = Host::start().await;
    let destination = json!({"resourceType": "AidboxTopicDestination", "id": "d"});
    let place = "Bundle.entry[0].request.url";
    for (refused, expect) in [
        (
            entry("POST", "AidboxTopicDestination", destination.clone()),
            "422 not-supported",
        ),
        (bare("DELETE", "AidboxTopicDestination/d"), "422 not-supported"),
        (
            entry("PUT", "AidboxTopicDestination/d", destination.clone()),
            "405 not-supported",
        ),
        (
            entry("PATCH", "AidboxTopicDestination/d", json!({})),
            "405 not-supported",
        ),
        (bare("POST", "ViewDefinition/v/$materialize"), "422 not-supported"),
    ] {
        let answer = host.bundle("transaction", vec![refused]).await;
        assert_eq!(answer.outcome(), format!("{expect} {place}"));
    }
    let batch = vec![
        entry("PUT", "AidboxTopicDestination/d", destination.clone()),
        entry("PATCH", "AidboxTopicDestination/d", json!({})),
        bare("DELETE", "AidboxTopicDestination/d"),
        entry("POST", "AidboxTopicDestination", destination),
    ];
    assert_eq!(statuses(&host.bundle("batch", batch).await), "405 405 204 422");
    host.stop().await;
}

fn topic(id: &str, url: &str) -> Value {
    json!({"resourceType": "AidboxSubscriptionTopic", "id": id, "url": url, "status": "active",
        "trigger": [{"resource": "Patient"}]})
}

#[tokio::test]
async fn topics_and_views_in_a_bundle_pass_their_own_checks() {
    let host = Host::start().await;
    let view = json!({"resourceType": "ViewDefinition", "name": "v", "resource": "Patient", "status": "active",
        "select": [{"column": [{"name": "id", "path": "id"}]}]});
    let mut broken = view.clone();
    broken["select"][0]["column"][0]["path"] = json!("nonsense");
    let bad_view = host
        .bundle("transaction", vec![entry("PUT", "ViewDefinition/v", broken)])
        .await;
    assert!(
        bad_view
            .outcome()
            .starts_with("422 value Bundle.entry[0].resource.select[0]"),
        "{}",
        bad_view.outcome()
    );
    let twice = vec![
        entry("PUT", "AidboxSubscriptionTopic/a", topic("a", "http://t")),
        entry("PUT", "AidboxSubscriptionTopic/b", topic("b", "http://t")),
    ];
    assert_eq!(
        host.bundle("transaction", twice.clone()).await.outcome(),
        "422 conflict Bundle.entry[1].resource.url"
    );
    assert_eq!(statuses(&host.bundle("batch", twice).await), "201 422");
    let both = vec![
        entry("PUT", "ViewDefinition/v", view),
        entry("PUT", "AidboxSubscriptionTopic/c", topic("c", "http://c")),
    ];
    assert_eq!(statuses(&host.bundle("transaction", both).await), "201 201");
    host.put_patient("p", "Ash").await;
    let bound = ReadBound {
        changes: 100,
        bytes: usize::MAX,
        through: None,
    };
    let changes = host.log.changes(Offset::START, bound).await.unwrap();
    let mut wanted = changes.last().unwrap().matched.topics.clone();
    wanted.sort();
    assert_eq!(wanted, ["a", "c"]);
    host.stop().await;
}

#[tokio::test]
async fn each_entry_of_a_batch_is_answered_for_itself() {
    let host = Host::start().await;
    let view = json!({"resourceType": "ViewDefinition", "id": "v", "name": "v", "resource": "Patient",
        "status": "active", "select": [{"column": [{"name": "id", "path": "id"}]}]});
    let parameters =
        json!({"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": "view"}]});
    let mut create = entry("POST", "Patient", identified("1"));
    create["request"]["ifNoneExist"] = json!("identifier=urn:s|1");
    let answer = host
        .bundle(
            "batch",
            vec![
                entry("PUT", "Patient/p", patient("p", "Ash")),
                entry("PUT", "Patient/p", patient("p", "Birch")),
                entry("PUT", "Patient/bad", observation("Patient/p")),
                bare("GET", "Patient/none"),
                create.clone(),
                create,
                entry("POST", "ViewDefinition", view),
                entry("POST", "ViewDefinition/v/$materialize", parameters),
                bare("GET", "Patient?_id=p"),
                json!({"request": {"method": "PUT", "url": "Patient/p", "ifMatch": "W/\"1\""},
                    "resource": patient("p", "Cedar")}),
                bare("GET", "Patient/p/_history"),
                bare("POST", "http://elsewhere/fhir/Patient"),
                bare("POST", ""),
            ],
        )
        .await;
    assert_eq!(
        statuses(&answer),
        "201 200 422 404 201 200 201 200 200 412 200 400 400"
    );
    let json = answer.json();
    assert_eq!(json["type"], "batch-response");
    let issue = &json["entry"][2]["response"]["outcome"]["issue"][0];
    assert_eq!(issue["expression"][0], "Bundle.entry[2].resource.resourceType");
    assert_eq!(
        json["entry"][8]["resource"]["entry"][0]["resource"]["name"][0]["family"],
        "Birch"
    );
    assert_eq!(json["entry"][7]["resource"]["resourceType"], "Parameters");
    host.stop().await;
}

#[tokio::test]
async fn references_between_the_entries_of_a_batch_stay_as_they_are() {
    let host = Host::start().await;
    let mut mother = entry("POST", "Patient", json!({"resourceType": "Patient"}));
    mother["fullUrl"] = json!("urn:uuid:6f0b0d7e-0000-4000-8000-000000000001");
    let refer = entry(
        "POST",
        "Observation",
        observation("urn:uuid:6f0b0d7e-0000-4000-8000-000000000001"),
    );
    let answer = host.bundle("batch", vec![mother, refer]).await;
    assert_eq!(
        answer.json()["entry"][1]["resource"]["subject"]["reference"],
        "urn:uuid:6f0b0d7e-0000-4000-8000-000000000001"
    );
    host.stop().await;
}

#[tokio::test]
async fn a_collection_puts_each_resource_under_its_id() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    let answer = host
        .bundle(
            "collection",
            vec![
                json!({"resource": patient("p", "Birch")}),
                json!({"resource": {"resourceType": "Patient"}}),
                json!({}),
            ],
        )
        .await;
    assert_eq!(statuses(&answer), "200 400 400");
    assert_eq!(host.changes().await, ["patient/p create", "patient/p update"]);
    host.stop().await;
}

#[tokio::test]
async fn a_bundle_that_asks_for_nothing_or_for_too_much_is_refused() {
    let settings = Settings {
        limits: Limits {
            max_bundle_entries: 2,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let host = Host::start_with(settings).await;
    for kind in ["searchset", "document", "message", ""] {
        assert_eq!(
            host.bundle(kind, Vec::new()).await.outcome(),
            "422 not-supported Bundle",
            "{kind}"
        );
    }
    let three = (0..3).map(|_| bare("GET", "Patient")).collect();
    assert_eq!(host.bundle("batch", three).await.outcome(), "413 too-long Bundle");
    let post = async |text: &str| host.ask("POST /fhir", text).await.outcome();
    assert_eq!(
        post(r#"{"resourceType":"Patient"}"#).await,
        "422 structure Bundle"
    );
    assert_eq!(
        post(r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"a":1,"a":2}}]}"#).await,
        "400 structure Bundle.entry[0].resource.a"
    );
    assert_eq!(host.get("/fhir").await.outcome(), "405 not-supported");
    host.stop().await;
}

#[tokio::test]
async fn a_transaction_answers_as_much_as_the_client_prefers() {
    let host = Host::start().await;
    let bundle = json!({"resourceType": "Bundle", "type": "transaction",
        "entry": [entry("PUT", "Patient/p", patient("p", "Ash"))]});
    let prefer = async |what: &str| {
        let headers = [("Prefer", what)];
        host.ask_with("POST /fhir", &headers, &bundle.to_string())
            .await
            .json()["entry"][0]
            .clone()
    };
    assert_eq!(prefer("return=minimal").await["resource"], json!(null));
    let outcome = prefer("return=OperationOutcome").await;
    assert_eq!(
        outcome["response"]["outcome"]["issue"][0]["severity"],
        "information"
    );
    assert_eq!(prefer("return=representation").await["resource"]["id"], "p");
    host.stop().await;
}

#[tokio::test]
async fn conditional_creates_in_transactions_that_race_make_one_resource() {
    let host = Host::start().await;
    let mut create = entry("POST", "Patient", identified("1"));
    create["request"]["ifNoneExist"] = json!("identifier=urn:s|1");
    let racing = (0..8).map(|_| host.bundle("transaction", vec![create.clone()]));
    let answers = futures::future::join_all(racing).await;
    let created = answers.iter().filter(|answer| statuses(answer) == "201").count();
    assert_eq!((created, host.changes().await.len()), (1, 1));
    host.stop().await;
}

#[tokio::test]
async fn a_large_batch_and_a_large_transaction_are_done_whole() {
    let host = Host::start().await;
    for kind in ["batch", "transaction"] {
        let entries = (0..3000).map(|n| {
            let id = format!("{kind}-{n}");
            entry("PUT", &format!("Patient/{id}"), patient(&id, "Ash"))
        });
        let answer = host.bundle(kind, entries.collect()).await;
        assert!(statuses(&answer).split(' ').all(|status| status == "201"));
    }
    assert_eq!(host.changes().await.len(), 6000);
    host.stop().await;
}
