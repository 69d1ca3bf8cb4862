//! 6.5 OperationOutcome.

use super::{Host, patient};

#[tokio::test]
async fn an_issue_has_severity_code_and_diagnostics_and_the_outcome_an_id_equal_to_the_code() {
    let host = Host::start().await;
    let answer = host.get("/fhir/Patient/none").await;
    let json = answer.json();
    assert_eq!(answer.status, 404);
    assert_eq!(
        (&json["resourceType"], &json["id"]),
        (&"OperationOutcome".into(), &"not-found".into())
    );
    let issue = &json["issue"][0];
    assert_eq!(
        (&issue["severity"], &issue["code"]),
        (&"fatal".into(), &"not-found".into())
    );
    assert!(issue["diagnostics"].is_string());
    let text = json["text"]["div"].as_str().unwrap();
    assert!(
        text.starts_with("<div xmlns=\"http://www.w3.org/1999/xhtml\">"),
        "{text}"
    );
    host.stop().await;
}

#[tokio::test]
async fn a_validation_failure_is_422_with_the_path_of_the_element() {
    let host = Host::start().await;
    let body = r#"{"resourceType":"Patient","name":[{"family":"A"},{"family":7}]}"#;
    let answer = host.ask("POST /fhir/Patient", body).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(
        answer.json()["issue"][0]["expression"][0],
        "Patient.name[1].family"
    );
    host.stop().await;
}

#[tokio::test]
async fn the_media_type_is_fhir_json_and_json_is_accepted_both_ways() {
    let host = Host::start().await;
    for stated in ["application/fhir+json", "application/json"] {
        let headers = [("Content-Type", stated), ("Accept", stated)];
        let made = host.ask_with("POST /fhir/Patient", &headers, &patient("A")).await;
        assert_eq!((made.status, made.header("content-type")), (201, stated));
        let refused = host.ask_with("GET /fhir/Patient/none", &headers, "").await;
        assert_eq!((refused.status, refused.header("content-type")), (404, stated));
    }
    host.stop().await;
}
