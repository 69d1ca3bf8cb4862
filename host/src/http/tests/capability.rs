//! 6.4 CapabilityStatement.

use serde_json::Value;

use super::Host;

#[tokio::test]
async fn the_capability_statement_has_what_r4_requires() {
    let host = Host::start().await;
    let json = host.get("/fhir/metadata").await.json();
    for member in ["status", "date", "kind", "fhirVersion", "format", "rest"] {
        assert!(!json[member].is_null(), "{member}");
    }
    let resources = json["rest"][0]["resource"].as_array().unwrap();
    let named = |name: &str| {
        resources
            .iter()
            .find(|resource| resource["type"] == name)
            .unwrap()
    };
    assert_eq!(named("Patient")["updateCreate"], true);
    assert_eq!(named("ViewDefinition")["operation"][0]["name"], "materialize");
    assert_eq!(named("AidboxTopicDestination")["updateCreate"], false);
    host.stop().await;
}

impl Host {
    /// What is said of a type.
    async fn capability(&self, resource_type: &str) -> Value {
        let json = self.get("/fhir/metadata").await.json();
        let resources = json["rest"][0]["resource"].as_array().unwrap().clone();
        let mut resources = resources.into_iter();
        resources
            .find(|resource| resource["type"] == resource_type)
            .unwrap()
    }
}

fn listed(list: &Value, member: &str) -> String {
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item[member].as_str().unwrap())
        .collect();
    names.join(" ")
}

#[tokio::test]
async fn mode_is_full_or_normative_and_there_is_no_terminology() {
    let host = Host::start().await;
    for mode in ["full", "normative"] {
        let answer = host.get(&format!("/fhir/metadata?mode={mode}")).await;
        assert_eq!(answer.json()["resourceType"], "CapabilityStatement");
    }
    let answer = host.get("/fhir/metadata?mode=terminology").await;
    assert_eq!(answer.outcome(), "400 not-supported");
    host.stop().await;
}

#[tokio::test]
async fn interactions_are_listed_per_type() {
    let host = Host::start().await;
    let patient = host.capability("Patient").await;
    assert_eq!(
        listed(&patient["interaction"], "code"),
        "create read vread update patch delete history-instance history-type search-type"
    );
    let destination = host.capability("AidboxTopicDestination").await;
    assert_eq!(
        listed(&destination["interaction"], "code"),
        "create read vread delete history-instance history-type search-type"
    );
    host.stop().await;
}

#[tokio::test]
async fn versioning_history_and_conditions_are_told() {
    let host = Host::start().await;
    let patient = host.capability("Patient").await;
    assert_eq!(patient["versioning"], "versioned-update");
    assert_eq!(patient["conditionalRead"], "full-support");
    assert_eq!(patient["conditionalDelete"], "single");
    for member in [
        "readHistory",
        "updateCreate",
        "conditionalCreate",
        "conditionalUpdate",
    ] {
        assert_eq!(patient[member], true, "{member}");
    }
    let destination = host.capability("AidboxTopicDestination").await;
    assert_eq!(
        (&destination["updateCreate"], &destination["conditionalUpdate"]),
        (&false.into(), &false.into())
    );
    host.stop().await;
}

#[tokio::test]
async fn patch_formats_search_parameters_and_operations_are_told() {
    let host = Host::start().await;
    let json = host.get("/fhir/metadata").await.json();
    assert_eq!(
        json["patchFormat"],
        serde_json::json!([
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/fhir+json"
        ])
    );
    let parameters = |resource: &Value| listed(&resource["searchParam"], "name");
    assert_eq!(
        parameters(&host.capability("Patient").await),
        "_id identifier _lastUpdated"
    );
    assert_eq!(
        listed(&host.capability("Patient").await["operation"], "name"),
        "changes"
    );
    let view = host.capability("ViewDefinition").await;
    assert_eq!(parameters(&view), "_id url name resource status _lastUpdated");
    assert_eq!(listed(&view["operation"], "name"), "materialize run changes");
    let destination = host.capability("AidboxTopicDestination").await;
    assert_eq!(parameters(&destination), "_id topic kind _lastUpdated");
    assert_eq!(
        listed(&destination["operation"], "name"),
        "status pause resume dead-letters changes"
    );
    host.stop().await;
}

#[tokio::test]
async fn what_is_told_of_a_type_is_what_it_does() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    for interaction in host.capability("Patient").await["interaction"]
        .as_array()
        .unwrap()
    {
        let (line, body) = match interaction["code"].as_str().unwrap() {
            "create" => ("POST /fhir/Patient", r#"{"resourceType":"Patient"}"#),
            "read" => ("GET /fhir/Patient/p", ""),
            "vread" => ("GET /fhir/Patient/p/_history/1", ""),
            "update" => ("PUT /fhir/Patient/p", r#"{"resourceType":"Patient"}"#),
            "patch" => ("PATCH /fhir/Patient/p", r#"{"active":true}"#),
            "delete" => ("DELETE /fhir/Patient/p", ""),
            "history-instance" => ("GET /fhir/Patient/p/_history", ""),
            "history-type" => ("GET /fhir/Patient/_history", ""),
            "search-type" => ("GET /fhir/Patient", ""),
            other => panic!("{other} is not known"),
        };
        let answer = host.ask(line, body).await;
        assert!(matches!(answer.status, 200 | 201), "{line}: {}", answer.text());
    }
    host.stop().await;
}
