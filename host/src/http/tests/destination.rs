//! 1.4 Lifecycle over HTTP, as far as it is decided before a target is looked at.

use std::sync::Arc;

use serde_json::json;

use super::Host;
use crate::change::{Body, Matched, ResourceKey};
use crate::log::{Ack, Action, NewDeadLetter, Precondition, Write};

#[tokio::test]
async fn put_and_patch_are_405_by_id_and_by_criteria() {
    let host = Host::start().await;
    for method in ["PUT", "PATCH"] {
        let answer = host
            .ask(&format!("{method} /fhir/AidboxTopicDestination/d"), "{}")
            .await;
        assert_eq!(answer.outcome(), "405 not-supported");
        assert_eq!(answer.header("allow"), "GET, DELETE");
        let answer = host
            .ask(
                &format!("{method} /fhir/AidboxTopicDestination?topic=http://t"),
                "{}",
            )
            .await;
        assert_eq!(answer.outcome(), "405 not-supported");
    }
    host.stop().await;
}

#[tokio::test]
async fn profile_and_parameter_violations_are_422_all_at_once() {
    let host = Host::start().await;
    let body = json!({
        "resourceType": "AidboxTopicDestination",
        "id": "d",
        "meta": {"profile": ["http://health-samurai.io/fhir/core/StructureDefinition/aidboxtopicdestination-dataLakehouseAtLeastOnceProfile"]},
        "topic": "http://nowhere",
        "kind": "data-lakehouse-at-least-once",
        "status": "off",
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
    for part in ["topic", "status", "parameter[0]", "parameter[1]", "parameter[2]"] {
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
async fn change_configuration_by_delete_and_post_where_the_delete_of_what_is_absent_is_204() {
    let host = Host::start().await;
    assert_eq!(
        host.ask("DELETE /fhir/AidboxTopicDestination/d", "").await.status,
        204
    );
    host.stop().await;
}

impl Host {
    /// The destination `d` of the topic `http://t`, without anybody who delivers to it.
    pub(super) async fn stored_destination(&self) {
        stored(self).await;
    }
}

async fn stored(host: &Host) {
    host.ask(
        "PUT /fhir/AidboxSubscriptionTopic/t",
        r#"{"resourceType":"AidboxSubscriptionTopic","url":"http://t","status":"active","trigger":[{"resource":"Patient"}]}"#,
    )
    .await;
    let body = r#"{"resourceType":"AidboxTopicDestination","topic":"http://t"}"#;
    let key = ResourceKey::new("AidboxTopicDestination", "d").unwrap();
    let write = Write {
        key,
        precondition: Precondition::None,
        action: Action::Put(Arc::new(Body::parse(body.as_bytes()).unwrap())),
        matcher: Arc::new(|_, _, _| Matched::default()),
        source: None,
        tokens: Vec::new(),
        finding: None,
    };
    host.log.write(vec![write]).await.unwrap();
    // A statement of its own: the place must not be borrowed while the store is waited for.
    let head = *host.log.head().borrow();
    host.log.create_destination("d", head).await.unwrap();
}

#[tokio::test]
async fn the_page_and_the_metrics_show_each_destination() {
    let host = Host::start().await;
    stored(&host).await;
    host.put_patient("a", "Ash").await;
    let page = host.get("/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains("<td>d</td>"), "{}", page.text());
    let metrics = host.get("/metrics").await.text();
    assert!(
        metrics.contains("aidbox_topic_destination_messages_queued{destination=\"d\"} 1\n"),
        "{metrics}"
    );
    host.stop().await;
}

#[tokio::test]
async fn delete_is_200_with_the_destination_first_and_204_after_that() {
    let host = Host::start().await;
    stored(&host).await;
    let first = host.ask("DELETE /fhir/AidboxTopicDestination/d", "").await;
    assert_eq!(
        (first.status, first.json()["topic"].as_str()),
        (200, Some("http://t"))
    );
    assert!(host.log.destination("d").await.unwrap().is_none());
    assert_eq!(
        host.ask("DELETE /fhir/AidboxTopicDestination/d", "").await.status,
        204
    );
    host.stop().await;
}

#[tokio::test]
async fn a_topic_whose_changes_are_taken_is_not_deleted() {
    let host = Host::start().await;
    stored(&host).await;
    let answer = host.ask("DELETE /fhir/AidboxSubscriptionTopic/t", "").await;
    assert_eq!(answer.outcome(), "409 conflict AidboxSubscriptionTopic.url");
    host.stop().await;
}

#[tokio::test]
async fn post_with_an_existing_id_is_409_and_with_if_none_exist_200_with_the_one_that_is_there() {
    let host = Host::start().await;
    stored(&host).await;
    let body = r#"{"resourceType":"AidboxTopicDestination","id":"d"}"#;
    let line = "POST /fhir/AidboxTopicDestination";
    assert_eq!(
        host.ask(line, body).await.outcome(),
        "409 conflict AidboxTopicDestination.id"
    );
    let again = host.ask_with(line, &[("If-None-Exist", "_id=d")], body).await;
    assert_eq!(
        (again.status, again.json()["topic"].as_str()),
        (200, Some("http://t"))
    );
    host.stop().await;
}

#[tokio::test]
async fn a_destination_is_paused_and_goes_on_by_request() {
    let host = Host::start().await;
    let path = "/fhir/AidboxTopicDestination/d";
    assert_eq!(
        host.ask(&format!("POST {path}/$pause"), "").await.outcome(),
        "404 not-found"
    );
    stored(&host).await;
    assert_eq!(host.get(&format!("{path}/$pause")).await.status, 405);
    let paused = host.ask(&format!("POST {path}/$pause"), "").await;
    assert_eq!(paused.status, 200, "{}", paused.text());
    assert!(
        paused
            .text()
            .contains(r#"{"name":"state","valueString":"paused"}"#),
        "{}",
        paused.text()
    );
    // It runs nowhere and is checked again: without plugins it cannot be started, and stays paused.
    let refused = host.ask(&format!("POST {path}/$resume"), "").await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let record = host.log.destination("d").await.unwrap().unwrap();
    assert_eq!(record.state, crate::log::DestinationState::Paused);
    host.stop().await;
}

#[tokio::test]
async fn dead_letters_come_in_pages_and_tell_what_they_hold_only_when_asked() {
    let host = Host::start().await;
    stored(&host).await;
    host.put_patient("a", "Ash").await;
    let (fence, _) = host.log.take_destination("d").await.unwrap();
    let through = *host.log.head().borrow();
    let letter = |code: &str| NewDeadLetter {
        offset: through,
        key: ResourceKey::new("Patient", "a").unwrap(),
        version: crate::change::Sequence(1),
        code: code.to_owned(),
        message: "the target refused the change".to_owned(),
        detail: Some("family Ash".to_owned()),
        row: Some(0),
        column: Some("family".to_owned()),
        rows: Some("[]".to_owned()),
    };
    let ack = Ack {
        through,
        dead_letters: vec![letter("T-1"), letter("T-2")],
        ..Ack::default()
    };
    host.log.ack("d", fence, ack).await.unwrap();
    let path = "/fhir/AidboxTopicDestination/d/$dead-letters";
    let first = host.get(&format!("{path}?_count=1")).await;
    assert!(
        first.text().contains("T-1") && !first.text().contains("Ash"),
        "{}",
        first.text()
    );
    let list = first.json()["parameter"].as_array().unwrap().clone();
    let next = list.last().unwrap()["valueDecimal"].clone();
    let second = host.get(&format!("{path}?_after={next}&_detail=true")).await;
    assert!(
        second.text().contains("T-2")
            && second.text().contains("family Ash")
            && !second.text().contains("T-1"),
        "{}",
        second.text()
    );
    assert_eq!(host.get(&format!("{path}?_after=x")).await.status, 400);
    let status = host.get("/fhir/AidboxTopicDestination/d/$status").await;
    assert!(
        status.text().contains("a change was set aside"),
        "{}",
        status.text()
    );
    host.stop().await;
}
