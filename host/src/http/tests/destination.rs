//! 1.4 Lifecycle over HTTP, as far as it is decided before a target is looked at.

use serde_json::json;

use super::Host;

#[tokio::test]
async fn put_and_patch_are_405() {
    let host = Host::start().await;
    for method in ["PUT", "PATCH"] {
        let answer = host
            .ask(&format!("{method} /fhir/AidboxTopicDestination/d"), "{}")
            .await;
        assert_eq!(answer.outcome(), "405 not-supported");
        assert_eq!(answer.header("allow"), "GET, DELETE");
    }
    host.stop().await;
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_destination_is_said_at_once() {
    let host = Host::start().await;
    let body = json!({
        "resourceType": "AidboxTopicDestination",
        "id": "d",
        "meta": {"profile": ["http://health-samurai.io/fhir/core/StructureDefinition/aidboxtopicdestination-dataLakehouseAtLeastOnceProfile"]},
        "topic": "http://nowhere",
        "kind": "data-lakehouse-at-least-once",
        "parameter": [
            {"name": "viewDefinition", "valueString": "nothing"},
            {"name": "batchSize", "valueString": "many"},
            {"name": "writeMode", "valueString": "by-pigeon"},
        ],
    });
    let answer = host
        .ask("POST /fhir/AidboxTopicDestination", &body.to_string())
        .await;
    let issues = answer.json()["issue"].as_array().unwrap().clone();
    let places: Vec<&str> = issues
        .iter()
        .map(|issue| issue["expression"][0].as_str().unwrap())
        .collect();
    assert_eq!(answer.status, 422, "{}", answer.text());
    for part in ["topic", "parameter[0]", "parameter[1]", "parameter[2]"] {
        assert!(
            places.iter().any(|place| place.contains(part)),
            "{part}: {}",
            answer.text()
        );
    }
    assert!(answer.text().contains("skipInitialExport"), "{}", answer.text());
    assert_eq!(host.get("/fhir/AidboxTopicDestination/d").await.status, 404);
    host.stop().await;
}

#[tokio::test]
async fn a_delete_of_what_is_not_there_is_204_so_that_delete_and_post_can_be_run_again() {
    let host = Host::start().await;
    assert_eq!(
        host.ask("DELETE /fhir/AidboxTopicDestination/d", "").await.status,
        204
    );
    host.stop().await;
}
