//! What the file declares, how it is checked, and what becomes of an edit.

use lakefeed_tests::{Judge, Site, destination, views};
use serde_json::json;

fn configured(config: &str) -> Site {
    let site = Site::new(config);
    site.write("patient_flat.json", views::PATIENT_FLAT);
    site.write("patient_version.json", views::PATIENT_VERSION);
    site
}

#[test]
fn check_says_what_there_is_and_that_all_is_well() {
    let site = configured(&destination("patients", "Patient", "patient_flat", ""));
    let report = site.run(&["check", "--json"]).succeeded().json();
    assert_eq!(report["ok"], true, "{report}");
    assert!(!site.path("lakefeed.db").exists(), "check needs no store");
    assert!(!site.path("lake").exists(), "check touches no table");
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_may_be_meant() {
    let site = Site::new("");
    site.write(
        "lakefeed.toml",
        "[http]\nlisten = \"127.0.0.1:1\"\nlisen = \"x\"\n",
    );
    let said = site.run(&["check"]).refused();
    assert!(
        said.contains("lisen") && said.contains("listen") && said.contains('3'),
        "{said}"
    );
}

#[test]
fn every_mistake_of_a_destination_is_named_at_once() {
    let config = destination("patients", "Patient", "patient_flat", "tabelName = \"x\"");
    let site = configured(
        &config.replace("batchSize = 500", "batchSize = \"many\"").replace(
            "viewDefinition = \"patient_flat\"",
            "viewDefinition = \"patient_falt\"",
        ),
    );
    let ended = site.run(&["check"]);
    assert_ne!(ended.code, Some(0));
    let said = format!("{}{}", ended.stdout, ended.stderr);
    for expected in ["tabelName", "batchSize", "patient_flat"] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
}

#[test]
fn without_clients_the_host_listens_on_loopback_only() {
    let site = Site::new("");
    site.write("lakefeed.toml", "[http]\nlisten = \"0.0.0.0:20999\"\n");
    let said = site.run(&["run"]).refused();
    assert!(said.contains("loopback"), "{said}");
}

#[test]
fn declared_definitions_are_resources_that_a_client_can_read() {
    let site = configured(&destination("patients", "Patient", "patient_flat", ""));
    let host = site.start();
    assert_eq!(
        host.get("AidboxTopicDestination/patients").expect(200).json()["kind"],
        "data-lakehouse-at-least-once"
    );
    assert_eq!(
        host.get("ViewDefinition/patient-flat").expect(200).json()["name"],
        "patient_flat"
    );
    assert_eq!(
        host.get("AidboxSubscriptionTopic/patients").expect(200).json()["status"],
        "active"
    );
}

#[test]
fn a_restart_with_the_same_file_changes_nothing() {
    let site = configured(&destination("patients", "Patient", "patient_flat", ""));
    let version = |host: &lakefeed_tests::Host| {
        [
            "AidboxTopicDestination/patients",
            "ViewDefinition/patient-flat",
            "AidboxSubscriptionTopic/patients",
        ]
        .map(|path| host.get(path).expect(200).json()["meta"]["versionId"].clone())
    };
    let host = site.start();
    let before = version(&host);
    assert!(host.stop().success());
    assert_eq!(version(&site.start()), before);
}

#[test]
fn an_edited_batch_size_is_taken_up_and_the_offset_stays() {
    let Some(judge) = Judge::find() else { return };
    let config = destination("patients", "Patient", "patient_version", "");
    let site = configured(&config);
    let host = site.start();
    host.put("Patient/a", &json!({ "resourceType": "Patient", "id": "a" }))
        .expect(201);
    host.wait_until_delivered("patients");
    assert!(host.stop().success());
    site.configure(&config.replace("batchSize = 500", "batchSize = 7"));
    let host = site.start();
    host.put("Patient/b", &json!({ "resourceType": "Patient", "id": "b" }))
        .expect(201);
    host.wait_until_delivered("patients");
    let stored = host.get("AidboxTopicDestination/patients").expect(200).text();
    assert!(stored.contains("\"valueUnsignedInt\":7"), "{stored}");
    assert_eq!(
        judge
            .query(&site.path("lake/patients"), "SELECT id FROM t ORDER BY id")
            .text(),
        "a\nb"
    );
}

#[test]
fn a_declared_destination_may_not_be_pointed_at_another_table() {
    let config = destination("patients", "Patient", "patient_version", "");
    let site = configured(&config);
    assert!(site.start().stop().success());
    site.configure(&config.replace("lake/patients", "lake/others"));
    let said = site.run(&["run"]).refused();
    assert!(said.contains("tablePath"), "{said}");
}

#[test]
fn a_default_may_not_move_a_destination_to_another_table_either() {
    let config = destination("patients", "Patient", "patient_version", "");
    let with_default = |path: &str| {
        let rest = config.replace("tablePath = \"lake/patients\"", "");
        format!("[defaults]\ntablePath = \"{path}\"\n\n{rest}")
    };
    let site = configured(&with_default("lake/one"));
    assert!(site.start().stop().success());
    site.configure(&with_default("lake/two"));
    let said = site.run(&["run"]).refused();
    assert!(said.contains("`tablePath` differs"), "{said}");
    assert!(!site.path("lake/two").exists(), "the other table is not touched");
}

#[test]
fn a_destination_made_again_after_it_was_withdrawn_and_deleted_is_delivered_after_a_restart() {
    let config = destination("patients", "Patient", "patient_version", "");
    let site = configured(&config);
    let host = site.start();
    let mut resource = host.get("AidboxTopicDestination/patients").expect(200).json();
    assert!(host.stop().success());

    let without = config.split("[[destination]]").next().unwrap();
    site.configure(without);
    let host = site.start();
    host.delete("AidboxTopicDestination/patients").expect(200);
    resource.as_object_mut().unwrap().remove("meta");
    host.post("AidboxTopicDestination", &resource).expect(201);
    assert!(host.stop().success());

    let host = site.start();
    host.put("Patient/a", &json!({ "resourceType": "Patient", "id": "a" }))
        .expect(201);
    let status = host.wait_until_delivered("patients");
    assert_eq!(status["messagesDelivered"], 1, "{status}");
}

#[test]
fn a_view_that_destinations_use_stays_a_view() {
    let site = configured(&destination("patients", "Patient", "patient_version", ""));
    let host = site.start();
    let as_table = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "type", "valueCode": "table" } ] });
    let said = host
        .post("ViewDefinition/patient-version/$materialize", &as_table)
        .expect(422)
        .text();
    assert!(said.contains("destinations use this view: patients"), "{said}");
    assert!(host.stop().success());
    assert!(site.start().stop().success());
}

#[test]
fn a_topic_in_use_keeps_its_url() {
    let site = configured(&destination("patients", "Patient", "patient_version", ""));
    let host = site.start();
    let mut topic = host.get("AidboxSubscriptionTopic/patients").expect(200).json();
    topic["url"] = "http://example.org/topics/renamed".into();
    let said = host
        .put("AidboxSubscriptionTopic/patients", &topic)
        .expect(409)
        .text();
    assert!(
        said.contains("destinations take this topic's changes: patients"),
        "{said}"
    );
}

#[test]
fn a_view_over_a_type_that_the_topic_never_sends_is_refused() {
    let site = configured(&destination("patients", "Observation", "patient_version", ""));
    let said = site.run(&["run"]).refused();
    assert!(said.contains("the view is over Patient"), "{said}");
}

#[test]
fn the_file_and_its_defaults_may_not_point_a_destination_at_the_host_s_own_files() {
    let config = destination("patients", "Patient", "patient_version", "");
    for own in [
        ".",
        "lakefeed.db",
        "lakefeed.db-wal",
        "lakefeed.toml",
        ".lakefeed/x",
    ] {
        let site = configured(&config.replace("lake/patients", own));
        let said = site.run(&["run"]).refused();
        assert!(
            said.contains("`tablePath`") && said.contains("; name "),
            "{own}: {said}"
        );
    }
    let defaults = "[defaults]\ntablePath = \"lakefeed.db\"\n\n";
    let site = configured(&format!(
        "{defaults}{}",
        config.replace("tablePath = \"lake/patients\"", "")
    ));
    let said = site.run(&["run"]).refused();
    assert!(said.contains("lakefeed's store"), "{said}");
}

#[test]
fn schema_prints_what_the_file_may_hold() {
    let schema = Site::new("").run(&["schema"]).succeeded().json();
    assert!(
        schema["properties"]["http"].is_object() && schema["properties"]["destination"].is_object(),
        "{schema}"
    );
}

#[test]
fn every_command_has_help() {
    let site = Site::new("");
    let commands: [&[&str]; 13] = [
        &[],
        &["run"],
        &["check"],
        &["status"],
        &["import"],
        &["views"],
        &["views", "compile"],
        &["views", "run"],
        &["plugins", "list"],
        &["plugins", "inspect"],
        &["plugins", "stage"],
        &["backup"],
        &["restore"],
    ];
    for command in commands {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let text = site.run(&arguments).succeeded().stdout;
        assert!(text.contains("--config") && text.contains("--json"), "{text}");
    }
}

#[test]
fn status_tells_of_destinations_beside_a_running_host_and_without_one() {
    let site = configured(&destination("patients", "Patient", "patient_version", ""));
    let host = site.start();
    host.put("Patient/a", &json!({ "resourceType": "Patient", "id": "a" }))
        .expect(201);
    host.wait_until_delivered("patients");
    let beside = site.run(&["status", "patients", "--json"]).succeeded().stdout;
    assert!(beside.contains("patients"), "{beside}");
    assert!(host.stop().success());
    site.run(&["status"]).succeeded();
    let said = site.run(&["status", "nobody"]).refused();
    assert!(said.contains("nobody"), "{said}");
}

#[test]
fn http_basic_lets_in_whom_the_file_names() {
    let site = Site::new("");
    let file = std::fs::read_to_string(site.path("lakefeed.toml")).unwrap();
    let clients = "clients = [{ name = \"ops\", secret = { file = \"secret\" } }]\n";
    site.write(
        "lakefeed.toml",
        file.replace("[store]", &format!("{clients}\n[store]")),
    );
    site.write("secret", "open sesame\n");
    let host = site.start();
    host.get("Patient").expect(401);
    let signed = |credentials: &str| {
        let header = format!("Basic {credentials}");
        host.send(
            reqwest::Method::GET,
            "Patient",
            &[("authorization", &header)],
            Vec::new(),
        )
    };
    signed("b3BzOm9wZW4gc2VzYW1l").expect(200);
    signed("b3BzOndyb25n").expect(401);
}

#[test]
fn a_client_does_what_its_access_says_by_http_basic_and_with_a_token() {
    let site = Site::new("");
    let file = std::fs::read_to_string(site.path("lakefeed.toml")).unwrap();
    let clients = "clients = [{ name = \"bi\", secret = { file = \"secret\" }, access = \"read\" }]\n";
    site.write(
        "lakefeed.toml",
        file.replace("[store]", &format!("{clients}\n[store]")),
    );
    site.write("secret", "open sesame\n");
    let host = site.start();
    let send = |method, path, headers: &[(&str, &str)], body: &str| {
        host.send(method, path, headers, body.as_bytes().to_vec())
    };
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let asked = "grant_type=client_credentials&client_id=bi&client_secret=open+sesame";
    let token = send(reqwest::Method::POST, "/auth/token", &form, asked).expect(200);
    let token = format!("Bearer {}", token.json()["access_token"].as_str().unwrap());
    for credentials in ["Basic Ymk6b3BlbiBzZXNhbWU=", &token] {
        let headers = [
            ("authorization", credentials),
            ("content-type", "application/fhir+json"),
        ];
        send(reqwest::Method::GET, "Patient", &headers, "").expect(200);
        let patient = r#"{"resourceType":"Patient","id":"a"}"#;
        let refused = send(reqwest::Method::PUT, "Patient/a", &headers, patient).expect(403);
        assert!(refused.issues().contains("\"resources\""), "{}", refused.issues());
    }
}
