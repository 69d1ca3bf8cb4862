//! 2. AidboxSubscriptionTopic: `resolve()` in a trigger's criteria.

use serde_json::{Value, json};

use super::Host;

const ACTIVE: &str = "subject.resolve().ofType(Patient).active = true";

impl Host {
    /// Starts with the topic `t` on Encounters.
    async fn with_criteria(criteria: &str) -> Self {
        let host = Self::start().await;
        host.put_criteria(criteria).await;
        host
    }

    async fn put_criteria(&self, criteria: &str) {
        let topic = json!({
            "resourceType": "AidboxSubscriptionTopic", "url": "http://t", "status": "active",
            "trigger": [{"resource": "Encounter", "fhirPathCriteria": criteria}],
        });
        let answer = self
            .ask("PUT /fhir/AidboxSubscriptionTopic/t", &topic.to_string())
            .await;
        assert!(answer.status < 300, "{}", answer.text());
    }

    async fn put(&self, resource: &Value) {
        let path = format!(
            "PUT /fhir/{}/{}",
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap()
        );
        let answer = self.ask(&path, &resource.to_string()).await;
        assert!(answer.status < 300, "{}", answer.text());
    }

    async fn transact(&self, resources: &[Value]) {
        let entry = |resource: &Value| {
            let url = format!(
                "{}/{}",
                resource["resourceType"].as_str().unwrap(),
                resource["id"].as_str().unwrap()
            );
            json!({"request": {"method": "PUT", "url": url}, "resource": resource})
        };
        let entries: Vec<Value> = resources.iter().map(entry).collect();
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        let answer = self.ask("POST /fhir", &bundle.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn encounters(&self) -> String {
        self.wanted_of("Encounter").await
    }
}

fn patient(id: &str, active: bool) -> Value {
    json!({"resourceType": "Patient", "id": id, "active": active})
}

fn encounter(id: &str, subject: &Value) -> Value {
    json!({
        "resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": "AMB"}, "subject": subject,
    })
}

fn of(patient: &str) -> Value {
    json!({"reference": format!("Patient/{patient}")})
}

#[tokio::test]
async fn resolve_reads_the_other_resource_as_it_stands_when_the_change_is_written() {
    let host = Host::with_criteria(ACTIVE).await;
    host.put(&encounter("e", &of("p"))).await;
    host.put(&patient("p", true)).await;
    host.put(&encounter("e", &of("p"))).await;
    host.put(&patient("p", false)).await;
    host.put(&encounter("e", &of("p"))).await;
    host.put(&patient("p", true)).await;
    // What the Patient became since changes nothing about what was decided.
    assert_eq!(host.encounters().await, "- t -");
    host.stop().await;
}

#[tokio::test]
async fn resolve_to_what_is_elsewhere_or_deleted_or_only_named_is_empty() {
    let host = Host::with_criteria("subject.resolve().exists()").await;
    host.put(&patient("gone", true)).await;
    host.put(&patient("here", true)).await;
    host.ask("DELETE /fhir/Patient/gone", "").await;
    for subject in [
        of("here"),
        of("gone"),
        of("never"),
        json!({"reference": "https://a.example/fhir/Patient/here"}),
        json!({"reference": "urn:uuid:5b0e2a94-6c4c-4c53-8f2c-d5b0c0a1b2c3"}),
        json!({"identifier": {"value": "here"}}),
        json!({"reference": "Patient/here/_history/1"}),
    ] {
        host.put(&encounter("e", &subject)).await;
    }
    assert_eq!(host.encounters().await, "t - - - - - t");
    host.stop().await;
}

#[tokio::test]
async fn resolve_of_the_previous_version_reads_what_that_one_referred_to() {
    let host = Host::with_criteria(
        "%current.subject.resolve().active = true and %previous.subject.resolve().active = false",
    )
    .await;
    host.put(&patient("a", false)).await;
    host.put(&patient("b", true)).await;
    for subject in ["a", "b", "b", "a"] {
        host.put(&encounter("e", &of(subject))).await;
    }
    assert_eq!(host.encounters().await, "- t - -");
    host.stop().await;
}

#[tokio::test]
async fn resolve_sees_what_the_same_transaction_writes_in_whichever_order() {
    let host = Host::with_criteria(ACTIVE).await;
    host.put(&patient("p", false)).await;
    host.transact(&[
        encounter("before", &of("p")),
        encounter("other", &of("q")),
        patient("p", true),
        patient("q", false),
        encounter("after", &of("p")),
    ])
    .await;
    assert_eq!(host.encounters().await, "t - t");
    host.transact(&[patient("p", false), encounter("after", &of("p"))])
        .await;
    assert_eq!(host.encounters().await, "t - t -");
    host.stop().await;
}

#[tokio::test]
async fn resolve_on_a_delete_whose_patient_is_gone_is_empty_and_no_error() {
    let host = Host::with_criteria("subject.resolve().empty()").await;
    host.put(&patient("p", true)).await;
    host.put(&encounter("e", &of("p"))).await;
    host.ask("DELETE /fhir/Patient/p", "").await;
    let deleted = host.ask("DELETE /fhir/Encounter/e", "").await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    assert_eq!(host.encounters().await, "- t");
    host.stop().await;
}

#[tokio::test]
async fn resolve_finds_contained_resources_and_goes_on_over_three_references() {
    let host = Host::with_criteria(
        "subject.resolve().ofType(Patient).managingOrganization.resolve().partOf.resolve().name = 'Trust'",
    )
    .await;
    host.put(&json!({"resourceType": "Organization", "id": "top", "name": "Trust"}))
        .await;
    let part = json!({"reference": "Organization/top"});
    host.put(&json!({"resourceType": "Organization", "id": "o", "name": "Clinic", "partOf": part}))
        .await;
    let mut patient = patient("p", true);
    patient["managingOrganization"] = json!({"reference": "Organization/o"});
    host.put(&patient).await;
    host.put(&encounter("e", &of("p"))).await;
    host.put_criteria("serviceProvider.resolve().name = 'Ward'").await;
    let mut encounter = encounter("e", &of("p"));
    encounter["serviceProvider"] = json!({"reference": "#ward"});
    encounter["contained"] = json!([{"resourceType": "Organization", "id": "ward", "name": "Ward"}]);
    host.put(&encounter).await;
    assert_eq!(host.encounters().await, "t t");
    host.stop().await;
}

#[tokio::test]
async fn resolve_while_the_patient_changes_is_always_decided_and_never_an_error() {
    let host = Host::with_criteria(ACTIVE).await;
    host.put(&patient("p", true)).await;
    let changing = async {
        for number in 0..40 {
            host.put(&patient("p", number % 2 == 0)).await;
        }
    };
    let writing = async |name: &str| {
        for number in 0..20 {
            host.put(&encounter(&format!("{name}{number}"), &of("p"))).await;
        }
    };
    futures::join!(changing, writing("a"), writing("b"), writing("c"));
    let bound = crate::log::ReadBound {
        changes: 1_000,
        bytes: usize::MAX,
        through: None,
    };
    let changes = host
        .log
        .changes(crate::change::Offset::START, bound)
        .await
        .unwrap();
    let topic = &changes[0];
    assert_eq!(topic.version.key.resource_type(), "AidboxSubscriptionTopic");
    for change in &changes[1..] {
        assert!(
            change.matched.topics_known >= topic.version.sequence.0,
            "{change:?}"
        );
    }
    assert_eq!(host.encounters().await.split(' ').count(), 60);
    host.stop().await;
}

#[tokio::test]
async fn resolve_on_loaded_lines_is_decided_with_them() {
    let host = Host::with_criteria(ACTIVE).await;
    host.put(&patient("odd", false)).await;
    host.put(&patient("even", true)).await;
    let line = |number: usize| {
        let patient = if number.is_multiple_of(2) { "even" } else { "odd" };
        encounter(&format!("e{number}"), &of(patient)).to_string()
    };
    let lines: Vec<String> = (0..300).map(line).collect();
    let ndjson = [("content-type", "application/fhir+ndjson")];
    let answer = host
        .ask_with("POST /fhir/$load", &ndjson, &lines.join("\n"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let wanted = host.encounters().await;
    assert_eq!(wanted.split(' ').filter(|topics| *topics == "t").count(), 150);
    host.stop().await;
}

#[tokio::test]
async fn resolve_that_leads_nowhere_sensible_is_422_with_what_to_write() {
    let host = Host::start().await;
    for (criteria, words) in [
        ("subject.resolve().gendr = 'x'", "did you mean `gender`"),
        ("status.resolve().exists()", "call it on a reference"),
        (
            "reasonReference.resolve().subject.resolve().onsett",
            "is no element",
        ),
        (
            "extension.value.ofType(Reference).resolve().name",
            "write `.ofType(Patient)`",
        ),
        (
            "partOf.resolve().partOf.resolve().partOf.resolve().partOf.resolve().exists()",
            "at most 3 references",
        ),
    ] {
        let topic = json!({
            "resourceType": "AidboxSubscriptionTopic", "url": "http://t", "status": "active",
            "trigger": [{"resource": "Encounter", "fhirPathCriteria": criteria}],
        });
        let answer = host
            .ask("POST /fhir/AidboxSubscriptionTopic", &topic.to_string())
            .await;
        assert_eq!(
            answer.outcome(),
            "422 value AidboxSubscriptionTopic.trigger[0].fhirPathCriteria"
        );
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    host.stop().await;
}

#[tokio::test]
async fn resolve_in_a_view_is_refused_since_a_view_sees_one_resource() {
    let host = Host::start().await;
    let view = json!({
        "resourceType": "ViewDefinition", "name": "v", "status": "active", "resource": "Encounter",
        "select": [{"column": [{"name": "id", "path": "id"}, {"name": "g", "path": "subject.resolve().id"}]}],
    });
    let answer = host.ask("POST /fhir/ViewDefinition", &view.to_string()).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(
        answer.text().contains("a view sees one resource"),
        "{}",
        answer.text()
    );
    host.stop().await;
}
