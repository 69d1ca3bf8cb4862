//! 2. AidboxSubscriptionTopic.

use serde_json::{Value, json};

use super::{Answer, Host};
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
        self.wanted_of("Patient").await
    }

    /// The same for another type.
    pub(super) async fn wanted_of(&self, resource_type: &str) -> String {
        let bound = ReadBound {
            changes: 1000,
            bytes: usize::MAX,
            through: None,
        };
        let changes = self.log.changes(Offset::START, bound).await.unwrap();
        let of_type = changes
            .iter()
            .filter(|change| change.version.key.resource_type() == resource_type);
        let words: Vec<String> = of_type
            .map(|change| match change.matched.topics.is_empty() {
                true => "-".to_owned(),
                false => change.matched.topics.join("+"),
            })
            .collect();
        words.join(" ")
    }
}

#[tokio::test]
async fn put_is_allowed_and_reloads_the_topic_for_what_is_written_after_it() {
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
async fn malformed_criteria_are_422_at_their_element_when_they_are_saved() {
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
async fn url_and_status_are_required_and_everything_that_is_wrong_is_said_at_once() {
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
async fn url_is_the_join_key_of_one_topic_and_searchable() {
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

/// Which changes of a Patient a topic with these triggers wants: its create, an update, its delete, its return.
async fn told(triggers: Value) -> String {
    let host = Host::start().await;
    host.with_topic(json!({"trigger": triggers})).await;
    host.put_patient("p", "Ash").await;
    host.put_patient("p", "Birch").await;
    host.ask("DELETE /fhir/Patient/p", "").await;
    host.put_patient("p", "Cedar").await;
    let wanted = host.wanted().await;
    host.stop().await;
    wanted
}

/// The same for one trigger on Patients with a criterion.
async fn fires(criteria: &str) -> String {
    told(json!([{"resource": "Patient", "fhirPathCriteria": criteria}])).await
}

impl Host {
    /// Makes the topic `t`, active and for all of Patient but for what `more` says.
    async fn with_topic(&self, more: Value) {
        let made = self.put_topic(more).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }

    async fn put_topic(&self, more: Value) -> Answer {
        let mut topic = json!({
            "resourceType": "AidboxSubscriptionTopic",
            "url": "http://t",
            "status": "active",
            "trigger": [{"resource": "Patient"}],
        });
        let members = topic.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        self.ask(PATH, &topic.to_string()).await
    }
}

#[tokio::test]
async fn status_other_than_active_wants_nothing() {
    for (status, expect) in [
        ("active", "t"),
        ("draft", "-"),
        ("retired", "-"),
        ("unknown", "-"),
    ] {
        let host = Host::start().await;
        host.with_topic(json!({"status": status})).await;
        host.put_patient("p", "Ash").await;
        assert_eq!(host.wanted().await, expect, "{status}");
        host.stop().await;
    }
}

#[tokio::test]
async fn trigger_of_several_types_fires_when_any_of_them_matches() {
    let several = json!([
        {"resource": "Encounter"},
        {"resource": "Patient", "supportedInteraction": ["delete"]},
        {"resource": "Patient", "fhirPathCriteria": "name.family = 'Ash'"},
    ]);
    assert_eq!(told(several).await, "t - t -");
    assert_eq!(told(json!([])).await, "- - - -");
}

#[tokio::test]
async fn trigger_resource_is_the_plain_name_of_a_type() {
    assert_eq!(told(json!([{"resource": "Encounter"}])).await, "- - - -");
    let host = Host::start().await;
    for wrong in ["Patiend", "http://hl7.org/fhir/StructureDefinition/Nothing"] {
        let answer = host.put_topic(json!({"trigger": [{"resource": wrong}]})).await;
        assert!(
            answer.outcome().ends_with("trigger[0].resource"),
            "{}",
            answer.text()
        );
    }
    host.stop().await;
}

#[tokio::test]
async fn trigger_supported_interaction_is_all_three_when_it_is_left_out() {
    assert_eq!(told(json!([{"resource": "Patient"}])).await, "t t t t");
    for (interaction, expect) in [
        ("create", "t - - t"),
        ("update", "- t - -"),
        ("delete", "- - t -"),
    ] {
        let trigger = json!([{"resource": "Patient", "supportedInteraction": [interaction]}]);
        assert_eq!(told(trigger).await, expect, "{interaction}");
    }
}

#[tokio::test]
async fn trigger_criteria_that_are_left_out_let_every_change_fire() {
    assert_eq!(told(json!([{"resource": "Patient"}])).await, "t t t t");
    assert_eq!(fires("name.family = 'Birch'").await, "- t t -");
}

#[tokio::test]
async fn trigger_description_and_can_filter_by_are_taken_at_the_trigger_and_at_the_root() {
    let filter = json!([{
        "filterParameter": "patient",
        "comparator": ["eq"],
        "filterDefinitionFhirPathExpression": "%current.id",
    }]);
    let trigger = json!([{"resource": "Patient", "description": "all", "canFilterBy": filter}]);
    assert_eq!(told(trigger).await, "t t t t");
    let host = Host::start().await;
    host.with_topic(json!({"canFilterBy": filter})).await;
    host.stop().await;
}

#[tokio::test]
async fn metadata_elements_are_taken_and_given_back() {
    let host = Host::start().await;
    let metadata = json!({
        "name": "t", "title": "T", "version": "1", "identifier": [{"value": "i"}], "experimental": true,
        "date": "2026-04-01", "publisher": "p", "description": "d", "purpose": "why", "copyright": "c",
        "approvalDate": "2026-04-01", "lastReviewDate": "2026-04-01", "effectivePeriod": {"start": "2026"},
    });
    host.with_topic(metadata.clone()).await;
    let read = host.get("/fhir/AidboxSubscriptionTopic/t").await.json();
    for (name, value) in metadata.as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    host.stop().await;
}

#[tokio::test]
async fn query_criteria_event_trigger_and_notification_shape_are_refused() {
    let host = Host::start().await;
    for member in ["eventTrigger", "notificationShape", "queryCriteria"] {
        let answer = host.put_topic(json!({member: [{}]})).await;
        assert!(
            answer
                .outcome()
                .ends_with(&format!("AidboxSubscriptionTopic.{member}")),
            "{}",
            answer.text()
        );
    }
    let trigger = json!([{"resource": "Patient", "queryCriteria": {"current": "active=true"}}]);
    let answer = host.put_topic(json!({"trigger": trigger})).await;
    assert!(
        answer.outcome().ends_with("trigger[0].queryCriteria"),
        "{}",
        answer.text()
    );
    host.stop().await;
}

#[tokio::test]
async fn current_is_the_new_version_and_empty_on_a_delete() {
    assert_eq!(fires("%current.name.family = 'Ash'").await, "t - - -");
    assert_eq!(fires("%current.exists()").await, "t t - t");
}

#[tokio::test]
async fn previous_is_empty_on_a_create_and_the_old_version_else() {
    assert_eq!(fires("%previous.exists()").await.split(' ').next(), Some("-"));
    assert_eq!(fires("%previous.name.family = 'Ash'").await, "- t - -");
    assert_eq!(
        fires("%previous.name.family = 'Birch' and %current.empty()").await,
        "- - t -"
    );
}

#[tokio::test]
async fn bare_path_is_the_new_version_and_on_a_delete_the_deleted_one() {
    assert_eq!(fires("name.exists()").await, "t t t t");
    assert_eq!(fires("name.family = 'Birch'").await, "- t t -");
}

#[tokio::test]
async fn empty_is_not_true_in_three_valued_logic_so_the_defensive_form_is_needed_on_create() {
    let bare = "%current.name.family = 'Ash' and %previous.name.family != 'Ash'";
    assert_eq!(fires(bare).await, "- - - -");
    let defensive = "%current.name.family = 'Ash' and (%previous.empty() or %previous.name.family != 'Ash')";
    assert_eq!(fires(defensive).await, "t - - -");
}

#[tokio::test]
async fn result_must_be_true_and_empty_does_not_fire() {
    assert_eq!(fires("true").await, "t t t t");
    assert_eq!(fires("false").await, "- - - -");
    assert_eq!(fires("{}").await, "- - - -");
    assert_eq!(fires("name.family").await, "t t t t");
}

#[tokio::test]
async fn create_by_put_with_a_new_id_and_a_recreate_are_creates() {
    let trigger = json!([{"resource": "Patient", "supportedInteraction": ["create"]}]);
    assert_eq!(told(trigger).await, "t - - t");
}

#[tokio::test]
async fn conditional_delete_of_many_is_one_change_a_resource() {
    let host = Host::start().await;
    for id in ["a", "b", "c"] {
        host.put_identified(id, "1").await;
    }
    host.with_topic(json!({})).await;
    let remove = [("x-conditional-delete", "remove-all")];
    host.ask_with("DELETE /fhir/Patient?identifier=1", &remove, "")
        .await;
    assert_eq!(host.wanted().await, "- - - t t t");
    host.stop().await;
}

#[tokio::test]
async fn transaction_bundle_is_one_change_a_version_it_makes() {
    let host = Host::start().await;
    host.with_topic(json!({})).await;
    let put = |id: &str, active: bool| {
        let resource = json!({"resourceType": "Patient", "id": id, "active": active});
        json!({"request": {"method": "PUT", "url": format!("Patient/{id}")}, "resource": resource})
    };
    let bundle = json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [put("a", true), put("b", true), put("a", false)],
    });
    let answer = host.ask("POST /fhir", &bundle.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(host.wanted().await, "t t t");
    host.stop().await;
}

#[tokio::test]
async fn patch_that_changes_nothing_is_no_change_and_any_other_is_an_update() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    host.with_topic(json!({"trigger": [{"resource": "Patient", "supportedInteraction": ["update"]}]}))
        .await;
    host.ask("PATCH /fhir/Patient/p", r#"{"name":[{"family":"Ash"}]}"#)
        .await;
    assert_eq!(host.wanted().await, "-");
    host.ask("PATCH /fhir/Patient/p", r#"{"active":true}"#).await;
    assert_eq!(host.wanted().await, "- t");
    host.stop().await;
}
