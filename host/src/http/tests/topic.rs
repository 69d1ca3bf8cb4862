//! 2. AidboxSubscriptionTopic.

use serde_json::json;

use super::Host;
use crate::change::{Offset, ResourceKey};
use crate::log::ReadBound;

fn topic(url: &str, criteria: &str) -> String {
    json!({
        "resourceType": "AidboxSubscriptionTopic",
        "url": url,
        "status": "active",
        "trigger": [{"resource": "Patient", "fhirPathCriteria": criteria}],
    })
    .to_string()
}

const PATH: &str = "PUT /fhir/AidboxSubscriptionTopic/t";

impl Host {
    /// The topics that wanted each change of a Patient, in order: `t`, or `-` for none.
    pub(super) async fn wanted(&self) -> String {
        let bound = ReadBound {
            changes: 1000,
            bytes: usize::MAX,
            through: None,
        };
        let changes = self.log.changes(Offset::START, bound).await.unwrap();
        let patients = changes
            .iter()
            .filter(|change| change.version.key.resource_type() == "Patient");
        let words: Vec<String> = patients
            .map(|change| match change.matched.topics.is_empty() {
                true => "-".to_owned(),
                false => change.matched.topics.join("+"),
            })
            .collect();
        words.join(" ")
    }
}

#[tokio::test]
async fn a_topic_matches_what_is_written_after_it_and_a_put_reloads_it() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    let made = host.ask(PATH, &topic("http://t", "name.exists()")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    host.put_patient("p", "Birch").await;
    assert_eq!(
        host.ask(PATH, &topic("http://t", "name.empty()")).await.status,
        200
    );
    host.put_patient("p", "Cedar").await;
    assert_eq!(
        host.ask("DELETE /fhir/AidboxSubscriptionTopic/t", "")
            .await
            .status,
        200
    );
    host.put_patient("p", "Date").await;
    assert_eq!(host.wanted().await, "- t - -");
    host.stop().await;
}

#[tokio::test]
async fn a_malformed_criterion_is_422_at_its_element() {
    let host = Host::start().await;
    let answer = host
        .ask(
            "POST /fhir/AidboxSubscriptionTopic",
            &topic("http://t", "name.exists("),
        )
        .await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(
        answer.outcome().contains("trigger[0].fhirPathCriteria"),
        "{}",
        answer.outcome()
    );
    let key = ResourceKey::new("AidboxSubscriptionTopic", "t").unwrap();
    assert!(host.log.current(&key).await.unwrap().is_none());
    host.stop().await;
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_topic_is_said_at_once() {
    let host = Host::start().await;
    let body = json!({"resourceType": "AidboxSubscriptionTopic", "trigger": [{"resource": "Patiend"}]});
    let answer = host
        .ask("POST /fhir/AidboxSubscriptionTopic", &body.to_string())
        .await;
    let issues = answer.json()["issue"].as_array().unwrap().len();
    assert_eq!((answer.status, issues), (422, 3), "{}", answer.text());
    host.stop().await;
}

#[tokio::test]
async fn a_url_belongs_to_one_topic_and_finds_it() {
    let host = Host::start().await;
    host.ask(PATH, &topic("http://t/1", "true")).await;
    let other = host
        .ask(
            "PUT /fhir/AidboxSubscriptionTopic/u",
            &topic("http://t/1", "true"),
        )
        .await;
    assert_eq!(other.outcome(), "422 conflict AidboxSubscriptionTopic.url");
    let found = host
        .get("/fhir/AidboxSubscriptionTopic?url=http://t/1")
        .await
        .json();
    assert_eq!(
        (
            found["total"].as_u64(),
            found["entry"][0]["resource"]["id"].as_str()
        ),
        (Some(1), Some("t"))
    );
    assert_eq!(
        host.get("/fhir/AidboxSubscriptionTopic?url=http://x")
            .await
            .json()["total"],
        0
    );
    host.stop().await;
}
