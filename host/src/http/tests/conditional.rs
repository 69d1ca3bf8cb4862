//! 6.1, the rows `conditional create`, `conditional update` and `conditional delete`.

use serde_json::Value;

use super::{Answer, Host};

fn identified(value: &str, family: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","identifier":[{{"system":"urn:s","value":"{value}"}}],"name":[{{"family":"{family}"}}]}}"#
    )
}

impl Host {
    /// Puts a Patient with the identifier `urn:s|value`.
    pub(super) async fn put_identified(&self, id: &str, value: &str) {
        let answer = self
            .ask(&format!("PUT /fhir/Patient/{id}"), &identified(value, "Ash"))
            .await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    async fn create_if_none(&self, search: &str, body: &str) -> Answer {
        self.ask_with("POST /fhir/Patient", &[("If-None-Exist", search)], body)
            .await
    }

    async fn patients(&self) -> u64 {
        self.get("/fhir/Patient?_count=0").await.json()["total"]
            .as_u64()
            .unwrap()
    }
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn conditional_create_is_201_for_none_200_with_nothing_done_for_one_and_412_for_many() {
    let host = Host::start().await;
    let search = "identifier=urn:s|1";
    let first = host.create_if_none(search, &identified("1", "Ash")).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(
        first.header("location"),
        format!(
            "http://localhost/fhir/Patient/{}/_history/{}",
            id(&first),
            first.json()["meta"]["versionId"].as_str().unwrap()
        )
    );
    for search in [
        search,
        "identifier=1",
        "Patient?identifier=urn:s%7C1",
        "http://localhost/fhir/Patient?identifier=urn:s%7C1",
    ] {
        let again = host.create_if_none(search, &identified("1", "Birch")).await;
        assert_eq!((again.status, id(&again)), (200, id(&first)), "{search}");
        assert_eq!(again.json()["name"][0]["family"], "Ash");
    }
    host.put_identified("other", "1").await;
    let many = host.create_if_none(search, &identified("1", "Cedar")).await;
    assert_eq!(many.outcome(), "412 multiple-matches");
    assert_eq!(host.patients().await, 2);
    host.stop().await;
}

#[tokio::test]
async fn conditional_create_takes_its_criteria_from_the_query_as_well() {
    let host = Host::start().await;
    let line = "POST /fhir/Patient?identifier=urn:s%7C1";
    assert_eq!(host.ask(line, &identified("1", "Ash")).await.status, 201);
    assert_eq!(host.ask(line, &identified("1", "Birch")).await.status, 200);
    assert_eq!(
        host.ask("POST /fhir/Patient?_format=json", &identified("1", "Cedar"))
            .await
            .status,
        201
    );
    host.stop().await;
}

#[tokio::test]
async fn conditional_create_by_id_answers_the_one_that_exists() {
    let host = Host::start().await;
    let version = host.put_patient("p-1", "Ash").await;
    let body = |id: &str| format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
    let answer = host.create_if_none("_id=p-1", &body("p-1")).await;
    assert_eq!((answer.status, id(&answer)), (200, "p-1".to_owned()));
    assert_eq!(answer.json()["meta"]["versionId"], version.as_str());
    assert_eq!(host.create_if_none("_id=p-2", &body("p-2")).await.status, 201);
    assert_eq!(
        host.create_if_none("_id=p-3", &body("p-2")).await.outcome(),
        "409 conflict Patient.id"
    );
    host.stop().await;
}

#[tokio::test]
async fn conditional_create_does_not_take_the_deleted_for_existing() {
    let host = Host::start().await;
    host.put_identified("p", "1").await;
    host.ask("DELETE /fhir/Patient/p", "").await;
    let answer = host
        .create_if_none("identifier=urn:s|1", &identified("1", "New"))
        .await;
    assert_eq!(answer.status, 201);
    host.stop().await;
}

#[tokio::test]
async fn conditional_create_of_many_at_once_creates_one() {
    let host = Host::start().await;
    let calls = (0..8).map(|number| {
        let (host, body) = (&host, identified("1", &format!("F{number}")));
        async move { host.create_if_none("identifier=urn:s|1", &body).await }
    });
    let answers = futures::future::join_all(calls).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let existing = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, existing), (1, 7));
    let ids: std::collections::BTreeSet<String> = answers.iter().map(id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(host.patients().await, 1);
    host.stop().await;
}

#[tokio::test]
async fn criteria_that_are_not_known_are_400_and_never_ignored() {
    let host = Host::start().await;
    host.put_identified("p", "1").await;
    for query in [
        "name=Secret",
        "identifier=urn:s%7C",
        "_id=",
        "_lastUpdated=gt2020",
        "identifier=1&gender=female",
        "identifier=1,2",
        "Identifier=1",
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let body = if method == "DELETE" {
                String::new()
            } else {
                identified("1", "B")
            };
            let answer = host.ask(&format!("{method} /fhir/Patient?{query}"), &body).await;
            assert_eq!(answer.status, 400, "{method} {query}: {}", answer.text());
            assert!(!answer.text().contains("Secret"));
        }
        let answer = host.create_if_none(query, &identified("1", "B")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_eq!(host.create_if_none("", &identified("1", "B")).await.status, 400);
    assert_eq!(
        host.create_if_none("_format=json", &identified("1", "B"))
            .await
            .status,
        400
    );
    assert_eq!(host.patients().await, 1);
    host.stop().await;
}

#[tokio::test]
async fn conditional_update_creates_for_none_updates_one_and_is_412_for_many() {
    let host = Host::start().await;
    let line = "PUT /fhir/Patient?identifier=urn:s%7C1";
    let first = host.ask(line, &identified("1", "Ash")).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert!(first.header("location").contains("/fhir/Patient/"));
    let second = host.ask(line, &identified("1", "Birch")).await;
    assert_eq!((second.status, id(&second)), (200, id(&first)));
    assert_eq!(second.json()["name"][0]["family"], "Birch");
    host.put_identified("other", "1").await;
    assert_eq!(
        host.ask(line, &identified("1", "Cedar")).await.outcome(),
        "412 multiple-matches"
    );
    host.stop().await;
}

#[tokio::test]
async fn conditional_update_uses_the_id_in_the_body_when_it_creates_and_ignores_it_else() {
    let host = Host::start().await;
    let line = "PUT /fhir/Patient?identifier=urn:s%7C1";
    let body = |id: &str| {
        let text = identified("1", "Ash");
        text.replacen('{', &format!("{{\"id\":\"{id}\","), 1)
    };
    let first = host.ask(line, &body("mine")).await;
    assert_eq!((first.status, id(&first)), (201, "mine".to_owned()));
    let second = host.ask(line, &body("other")).await;
    assert_eq!((second.status, id(&second)), (200, "mine".to_owned()));
    host.put_patient("taken", "Ash").await;
    let taken = host
        .ask("PUT /fhir/Patient?identifier=urn:s%7C2", &body("taken"))
        .await;
    assert_eq!(taken.outcome(), "409 conflict Patient.id");
    host.stop().await;
}

#[tokio::test]
async fn conditional_update_honours_if_match() {
    let host = Host::start().await;
    let put = async |tag: &str| {
        host.ask_with(
            "PUT /fhir/Patient?identifier=urn:s%7C1",
            &[("If-Match", tag)],
            &identified("1", "Ash"),
        )
        .await
    };
    assert_eq!(put("*").await.outcome(), "412 conflict");
    host.put_identified("p", "1").await;
    assert_eq!(put("*").await.status, 200);
    assert_eq!(put("1000000").await.outcome(), "412 conflict");
    host.stop().await;
}

#[tokio::test]
async fn conditional_update_of_many_at_once_creates_one_and_updates_it() {
    let host = Host::start().await;
    let calls = (0..6).map(|number| {
        let (host, body) = (&host, identified("1", &format!("F{number}")));
        async move { host.ask("PUT /fhir/Patient?identifier=urn:s%7C1", &body).await }
    });
    let answers = futures::future::join_all(calls).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let updated = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, updated, host.patients().await), (1, 5, 1));
    host.stop().await;
}

#[tokio::test]
async fn conditional_delete_is_204_for_none_deletes_one_and_is_412_for_many() {
    let host = Host::start().await;
    let line = "DELETE /fhir/Patient?identifier=urn:s%7C1";
    assert_eq!(host.ask(line, "").await.status, 204);
    host.put_identified("a", "1").await;
    let deleted = host.ask(line, "").await;
    assert_eq!((deleted.status, id(&deleted)), (200, "a".to_owned()));
    assert_eq!(host.get("/fhir/Patient/a").await.status, 410);
    host.put_identified("a", "1").await;
    host.put_identified("b", "1").await;
    assert_eq!(host.ask(line, "").await.outcome(), "412 multiple-matches");
    assert_eq!(host.patients().await, 2);
    host.stop().await;
}

#[tokio::test]
async fn conditional_delete_with_remove_all_deletes_all_that_are_found_at_once() {
    let host = Host::start().await;
    for id in ["a", "b", "c"] {
        host.put_identified(id, "1").await;
    }
    host.put_identified("other", "2").await;
    let remove = [("x-conditional-delete", "remove-all")];
    let line = "DELETE /fhir/Patient?identifier=urn:s%7C1";
    let deleted = host.ask_with(line, &remove, "").await;
    assert_eq!(deleted.outcome(), "200 informational");
    assert!(deleted.text().contains("3 resources were deleted"));
    assert_eq!(host.patients().await, 1);
    assert_eq!(host.ask_with(line, &remove, "").await.status, 204);
    let one = host
        .ask_with("DELETE /fhir/Patient?identifier=2", &remove, "")
        .await;
    assert_eq!((one.status, id(&one)), (200, "other".to_owned()));
    host.stop().await;
}

#[tokio::test]
async fn conditional_delete_of_a_whole_type_is_405() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    for line in [
        "DELETE /fhir/Patient",
        "DELETE /fhir/Patient?_format=json",
        "PUT /fhir/Patient",
    ] {
        let answer = host.ask(line, "").await;
        assert_eq!(answer.outcome(), "405 not-supported", "{line}");
        assert!(answer.text().contains("criteria"), "{}", answer.text());
    }
    assert_eq!(host.patients().await, 1);
    host.stop().await;
}

#[tokio::test]
async fn definitions_are_found_by_their_own_members() {
    let host = Host::start().await;
    let topic = |url: &str, status: &str| {
        format!(
            r#"{{"resourceType":"AidboxSubscriptionTopic","url":"{url}","status":"{status}","trigger":[{{"resource":"Patient"}}]}}"#
        )
    };
    let line = "PUT /fhir/AidboxSubscriptionTopic?url=http://t";
    let made = host.ask(line, &topic("http://t", "active")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let updated = host.ask(line, &topic("http://t", "draft")).await;
    assert_eq!((updated.status, id(&updated)), (200, id(&made)));
    let headers = [("If-None-Exist", "url=http://t")];
    let post = "POST /fhir/AidboxSubscriptionTopic";
    let existing = host.ask_with(post, &headers, &topic("http://t", "active")).await;
    assert_eq!((existing.status, id(&existing)), (200, id(&made)));
    let deleted = host
        .ask("DELETE /fhir/AidboxSubscriptionTopic?url=http://t", "")
        .await;
    assert_eq!((deleted.status, id(&deleted)), (200, id(&made)));
    let calls = (0..6).map(|_| host.ask_with(post, &headers, VIEWLESS));
    let statuses: Vec<u16> = futures::future::join_all(calls)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    host.stop().await;
}

const VIEWLESS: &str = r#"{"resourceType":"AidboxSubscriptionTopic","url":"http://t","status":"active","trigger":[{"resource":"Patient"}]}"#;

#[tokio::test]
async fn prefer_says_how_much_a_write_answers() {
    let host = Host::start().await;
    let put = async |prefer: &str| {
        host.ask_with(
            "PUT /fhir/Patient/p",
            &[("Prefer", prefer)],
            &identified("1", "Ash"),
        )
        .await
    };
    let minimal = put("return=minimal").await;
    assert_eq!((minimal.status, minimal.body.len()), (201, 0));
    assert!(minimal.header("location").contains("/fhir/Patient/p/_history/"));
    assert!(minimal.header("etag").starts_with("W/"));
    let outcome = put("respond-async, return=OperationOutcome").await;
    assert_eq!(outcome.outcome(), "200 informational");
    for prefer in ["return=representation", "handling=strict", "nonsense"] {
        let whole: Value = put(prefer).await.json();
        assert_eq!(whole["resourceType"], "Patient", "{prefer}");
    }
    let delete = host
        .ask_with("DELETE /fhir/Patient/p", &[("Prefer", "return=minimal")], "")
        .await;
    assert_eq!((delete.status, delete.body.len()), (200, 0));
    host.stop().await;
}
