//! 7 Change feeds, and 1.11 the webhook notification.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Host};
use crate::config::FeedKind;
use crate::http::{Feed, Settings};

impl Host {
    async fn notify(&self, kind: &str, status: Value, entries: Vec<Value>) -> Answer {
        let mut all = vec![json!({"resource": status})];
        all.extend(entries);
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": all});
        self.ask("POST /ingest/bundle", &bundle.to_string()).await
    }

    /// The family of a Patient, or the status when there is none.
    async fn family_of(&self, id: &str) -> String {
        let answer = self.get(&format!("/fhir/Patient/{id}")).await;
        match answer.status {
            200 => answer.json()["name"][0]["family"].as_str().unwrap().to_owned(),
            status => status.to_string(),
        }
    }

    async fn count_versions(&self, id: &str) -> usize {
        let history = self.get(&format!("/fhir/Patient/{id}/_history")).await;
        history.json()["entry"].as_array().map_or(0, Vec::len)
    }
}

/// What an answer says, a line an issue.
fn said(answer: &Answer) -> String {
    let json = answer.json();
    assert_eq!(
        (answer.status, &json["resourceType"]),
        (200, &json!("OperationOutcome")),
        "{json}"
    );
    let issues = json["issue"].as_array().unwrap().iter();
    let text = |issue: &Value| {
        let text = issue["diagnostics"].as_str().unwrap();
        let short = text.split([';', ',']).next().unwrap();
        match issue["severity"].as_str().unwrap() {
            "information" => text.to_owned(),
            severity => format!("{severity}: {short}"),
        }
    };
    issues.map(text).collect::<Vec<_>>().join("\n")
}

fn version(id: &str, family: &str, version: u32) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": family}],
        "meta": {"versionId": version.to_string(), "lastUpdated": format!("2026-01-01T00:00:{version:02}Z")}})
}

fn put(id: &str, family: &str, number: u32) -> Value {
    json!({"fullUrl": format!("http://source/fhir/Patient/{id}"), "resource": version(id, family, number),
        "request": {"method": "PUT", "url": format!("Patient/{id}")}, "response": {"status": "200"}})
}

fn delete(id: &str) -> Value {
    json!({"fullUrl": format!("http://source/fhir/Patient/{id}"),
        "request": {"method": "DELETE", "url": format!("Patient/{id}")}, "response": {"status": "204"}})
}

fn aidbox(numbers: &[u64]) -> Value {
    let events = numbers
        .iter()
        .map(|number| json!({"eventNumber": number, "timestamp": "2026-01-01T00:00:30Z"}));
    json!({"resourceType": "AidboxSubscriptionStatus", "status": "active", "type": "event-notification",
        "topic": "http://t", "topic-destination": {"reference": "AidboxTopicDestination/d"},
        "notificationEvent": events.collect::<Vec<_>>()})
}

fn r5(kind: &str, since_start: u64, numbers: &[u64]) -> Value {
    let events = numbers
        .iter()
        .map(|number| json!({"eventNumber": number.to_string()}));
    json!({"resourceType": "SubscriptionStatus", "status": "active", "type": kind, "topic": "http://t",
        "subscription": {"reference": "Subscription/s"}, "eventsSinceSubscriptionStart": since_start.to_string(),
        "notificationEvent": events.collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_redelivery_changes_nothing_and_an_older_version_never_overwrites_a_newer() {
    let host = Host::start().await;
    let send = async |number, entry| said(&host.notify("history", aidbox(&[number]), vec![entry]).await);
    assert_eq!(send(1, put("p", "Ash", 1)).await, "1 stored, 0 unchanged");
    assert_eq!(send(1, put("p", "Ash", 1)).await, "0 stored, 1 unchanged");
    assert_eq!(
        send(3, put("p", "Cedar", 3)).await,
        "1 stored, 0 unchanged\nwarning: events 2 to 2 of the subscription did not come"
    );
    assert_eq!(send(2, put("p", "Birch", 2)).await, "0 stored, 1 unchanged");
    assert_eq!(
        (host.family_of("p").await.as_str(), host.count_versions("p").await),
        ("Cedar", 2)
    );
    let metrics = host.get("/metrics").await.text();
    for line in [
        "lakefeed_feed_stored_total 2",
        "lakefeed_feed_unchanged_total 2",
        "lakefeed_feed_missed_total 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    host.stop().await;
}

#[tokio::test]
async fn what_was_written_here_or_loaded_is_not_overwritten_by_what_is_late() {
    let host = Host::start().await;
    let send = async |number, entry| said(&host.notify("history", aidbox(&[number]), vec![entry]).await);
    assert_eq!(send(1, put("p", "Ash", 5)).await, "1 stored, 0 unchanged");
    host.put_patient("p", "Here").await;
    for late in [3, 5] {
        assert_eq!(send(1, put("p", "Late", late)).await, "0 stored, 1 unchanged");
    }
    assert_eq!(host.family_of("p").await, "Here");
    assert_eq!(send(2, put("p", "Birch", 6)).await, "1 stored, 0 unchanged");
    let line = version("q", "Loaded", 10).to_string();
    let typed = [("content-type", "application/fhir+ndjson")];
    let loaded = host.ask_with("POST /fhir/$load", &typed, &line).await;
    assert_eq!(loaded.status, 200, "{}", loaded.text());
    assert_eq!(send(3, put("q", "Late", 9)).await, "0 stored, 1 unchanged");
    assert_eq!(host.family_of("q").await, "Loaded");
    assert_eq!(send(4, put("q", "Cedar", 11)).await, "1 stored, 0 unchanged");
    host.stop().await;
}

#[tokio::test]
async fn a_delete_is_told_by_its_method_or_its_action_and_is_not_undone_by_what_is_late() {
    let host = Host::start().await;
    let sent = vec![put("p", "Ash", 1), put("q", "Ash", 1)];
    host.notify("history", aidbox(&[1]), sent).await;
    let mut with_action = put("q", "Ash", 2);
    with_action["extension"] = json!([{"url": "http://hl7.org/StructureDefinition/bundle-entryActionCode",
        "valueCode": "delete"}]);
    host.notify("history", aidbox(&[2]), vec![delete("p"), with_action])
        .await;
    assert_eq!(
        (host.family_of("p").await, host.family_of("q").await),
        ("410".into(), "410".into())
    );
    let late = vec![put("p", "Birch", 2), put("q", "Ash", 1)];
    assert_eq!(
        said(&host.notify("history", aidbox(&[2]), late).await),
        "0 stored, 2 unchanged"
    );
    assert_eq!(
        (host.family_of("p").await, host.family_of("q").await),
        ("410".into(), "410".into())
    );
    host.stop().await;
}

#[tokio::test]
async fn a_delete_that_comes_before_its_resource_is_not_forgotten() {
    let host = Host::start().await;
    host.notify("history", aidbox(&[1]), vec![delete("p")]).await;
    let mut known = delete("q");
    known["response"]["etag"] = json!("W/\"2\"");
    host.notify("history", aidbox(&[2]), vec![known]).await;
    let late = vec![put("p", "Ash", 1), put("q", "Ash", 1)];
    assert_eq!(
        said(&host.notify("history", aidbox(&[3]), late).await),
        "0 stored, 2 unchanged"
    );
    let newer = vec![put("q", "Birch", 3)];
    assert_eq!(
        said(&host.notify("history", aidbox(&[4]), newer).await),
        "1 stored, 0 unchanged"
    );
    assert_eq!(
        (host.family_of("p").await, host.family_of("q").await),
        ("404".into(), "Birch".into())
    );
    host.stop().await;
}

#[tokio::test]
async fn handshakes_and_heartbeats_of_every_version_are_accepted() {
    let host = Host::start().await;
    let kind = "subscription-notification";
    assert_eq!(
        said(&host.notify(kind, r5("handshake", 0, &[]), Vec::new()).await),
        "0 stored, 0 unchanged"
    );
    let one = host
        .notify(kind, r5("event-notification", 1, &[1]), vec![put("p", "Ash", 1)])
        .await;
    assert_eq!(said(&one), "1 stored, 0 unchanged");
    assert_eq!(
        said(&host.notify(kind, r5("heartbeat", 1, &[]), Vec::new()).await),
        "0 stored, 0 unchanged"
    );
    let text = said(&host.notify("history", r5("heartbeat", 3, &[]), Vec::new()).await);
    assert!(
        text.contains("warning: events 2 to 3 of the subscription did not come"),
        "{text}"
    );
    let r4 = json!({"resourceType": "Parameters", "parameter": [
        {"name": "subscription", "valueReference": {"reference": "Subscription/r4"}},
        {"name": "type", "valueCode": "handshake"}, {"name": "status", "valueCode": "requested"}]});
    assert_eq!(
        said(&host.notify("history", r4, Vec::new()).await),
        "0 stored, 0 unchanged"
    );
    host.stop().await;
}

#[tokio::test]
async fn what_comes_without_its_content_is_reported_as_not_fetched() {
    let host = Host::start().await;
    let bare =
        json!({"fullUrl": "http://source/fhir/Patient/p", "request": {"method": "PUT", "url": "Patient/p"}});
    let text = said(&host.notify("history", aidbox(&[1]), vec![bare]).await);
    assert_eq!(
        text,
        "0 stored, 0 unchanged\nwarning: 1 events name resources without their content"
    );
    let empty = said(&host.notify("history", aidbox(&[2]), Vec::new()).await);
    assert!(empty.contains("warning: 1 events"), "{empty}");
    assert!(
        host.get("/metrics")
            .await
            .text()
            .contains("lakefeed_feed_unfetched_total 2")
    );
    assert_eq!(host.family_of("p").await, "404");
    host.stop().await;
}

#[tokio::test]
async fn a_delivery_with_one_bad_resource_is_refused_whole_so_that_it_is_sent_again() {
    let host = Host::start().await;
    let mut bad = put("q", "Ash", 1);
    bad["resource"]["resourceType"] = json!("Pateint");
    let answer = host
        .notify("history", aidbox(&[1]), vec![put("p", "Ash", 1), bad])
        .await;
    assert_eq!(
        answer.outcome(),
        "422 not-supported Bundle.entry[2].resource.resourceType"
    );
    let definition = json!({"resource": {"resourceType": "AidboxTopicDestination", "id": "d"},
        "request": {"method": "PUT", "url": "AidboxTopicDestination/d"}});
    let answer = host.notify("history", aidbox(&[1]), vec![definition]).await;
    assert_eq!(answer.outcome(), "422 business-rule Bundle.entry[1].resource");
    assert_eq!(host.family_of("p").await, "404");
    host.stop().await;
}

#[tokio::test]
async fn a_notification_is_taken_at_the_front_door_and_a_plain_history_is_not() {
    let host = Host::start().await;
    let bundle = |entries: Vec<Value>| {
        json!({"resourceType": "Bundle", "type": "history", "entry": entries}).to_string()
    };
    let status = json!({"resource": aidbox(&[1])});
    let answer = host
        .ask("POST /fhir", &bundle(vec![status, put("p", "Ash", 1)]))
        .await;
    assert_eq!(said(&answer), "1 stored, 0 unchanged");
    let history = bundle(vec![put("p", "Cedar", 3), put("p", "Birch", 2)]);
    assert_eq!(
        host.ask("POST /fhir", &history).await.outcome(),
        "422 not-supported Bundle"
    );
    assert_eq!(
        said(&host.ask("POST /ingest/bundle", &history).await),
        "2 stored, 0 unchanged"
    );
    assert_eq!(host.family_of("p").await, "Cedar");
    host.stop().await;
}

#[tokio::test]
async fn hapi_puts_deletes_and_posts_bundles() {
    let host = Host::start().await;
    let put_to = async |id: &str, number| {
        let line = format!("PUT /ingest/hapi/Patient/{id}");
        said(&host.ask(&line, &version(id, "Ash", number).to_string()).await)
    };
    assert_eq!(put_to("p", 2).await, "1 stored, 0 unchanged");
    assert_eq!(put_to("p", 2).await, "0 stored, 1 unchanged");
    assert_eq!(put_to("p", 1).await, "0 stored, 1 unchanged");
    assert_eq!(
        said(&host.ask("DELETE /ingest/hapi/Patient/p", "").await),
        "1 stored, 0 unchanged"
    );
    assert_eq!(
        said(&host.ask("DELETE /ingest/hapi/Patient/p", "").await),
        "0 stored, 1 unchanged"
    );
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [put("a", "Ash", 1), put("b", "Ash", 1)]});
    assert_eq!(
        said(&host.ask("POST /ingest/hapi", &bundle.to_string()).await),
        "2 stored, 0 unchanged"
    );
    let other = host
        .ask("PUT /ingest/hapi/Patient/x", &version("y", "Ash", 1).to_string())
        .await;
    assert_eq!(other.outcome(), "400 invalid Resource");
    assert_eq!(host.ask("POST /ingest/hapi", "").await.outcome(), "400 required");
    assert_eq!(
        host.get("/ingest/hapi/Patient/a").await.outcome(),
        "405 not-supported"
    );
    assert_eq!(host.get("/ingest/nothing").await.outcome(), "404 not-found");
    host.stop().await;
}

#[tokio::test]
async fn medplum_sends_resources_and_names_what_was_deleted() {
    let host = Host::start().await;
    let body = version("p", "Ash", 1).to_string();
    let headers = [("X-Medplum-Interaction", "create")];
    let send = async || said(&host.ask_with("POST /ingest/medplum", &headers, &body).await);
    assert_eq!(send().await, "1 stored, 0 unchanged");
    assert_eq!(send().await, "0 stored, 1 unchanged");
    let deleted = [
        ("X-Medplum-Interaction", "delete"),
        ("X-Medplum-Deleted-Resource", "Patient/p"),
    ];
    assert_eq!(
        said(&host.ask_with("POST /ingest/medplum", &deleted, "{}").await),
        "1 stored, 0 unchanged"
    );
    assert_eq!(send().await, "0 stored, 1 unchanged");
    assert_eq!(host.family_of("p").await, "410");
    let unnamed = host.ask_with("POST /ingest/medplum", &deleted[..1], "{}").await;
    assert_eq!(unnamed.outcome(), "400 required");
    host.stop().await;
}

#[tokio::test]
async fn a_signed_feed_refuses_what_is_not_signed_with_its_secret() {
    let mut settings = Settings::default();
    let feed = Feed {
        kind: FeedKind::Medplum,
        secret: Some(Arc::from("Jefe")),
    };
    settings.feeds.insert("clinic".to_owned(), feed);
    let host = Host::start_with(settings).await;
    let body = r#"{"resourceType":"Patient","id":"p"}"#;
    let send = async |signature: &str| {
        host.ask_with("POST /ingest/clinic", &[("X-Signature", signature)], body)
            .await
    };
    // printf BODY | openssl dgst -sha256 -hmac Jefe
    let right = "be427894401822a94e029afb46ebedae4d54fec9773254050e14ca5c76f970ff";
    assert_eq!(send(right).await.status, 200);
    assert_eq!(
        send(&right.replace(&right[..1], "x")).await.outcome(),
        "403 forbidden"
    );
    assert_eq!(send("").await.outcome(), "403 forbidden");
    assert_eq!(host.count_versions("p").await, 1);
    host.stop().await;
}

#[tokio::test]
async fn a_resource_without_version_and_time_is_stored_when_it_differs() {
    let host = Host::start().await;
    let send = async |family: &str| {
        let body = json!({"resourceType": "Patient", "id": "p", "name": [{"family": family}]});
        said(&host.ask("PUT /ingest/hapi/Patient/p", &body.to_string()).await)
    };
    assert_eq!(send("Ash").await, "1 stored, 0 unchanged");
    assert_eq!(send("Ash").await, "0 stored, 1 unchanged");
    assert_eq!(send("Birch").await, "1 stored, 0 unchanged");
    host.stop().await;
}
