//! 6.8 Aidbox polling feed: `GET /{Type}/$changes?version=n`.

use serde_json::Value;

use super::{Answer, Host};

impl Host {
    async fn poll(&self, query: &str) -> Answer {
        self.get(&format!("/fhir/Patient/$changes{query}")).await
    }

    /// The version to begin with.
    async fn version(&self) -> Value {
        let answer = self.poll("").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["version"].clone()
    }
}

impl Answer {
    /// The changes of an answer: the event, the id and the family of each.
    fn changes(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text());
        let json = self.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let changes = json["changes"].as_array().unwrap().iter();
        changes
            .map(|change| {
                let resource = &change["resource"];
                assert_eq!(resource["resourceType"], "Patient");
                format!(
                    "{} {} {}",
                    text(&change["event"]),
                    text(&resource["id"]),
                    text(&resource["name"][0]["family"])
                )
            })
            .collect()
    }
}

#[tokio::test]
async fn changes_since_a_version_are_given_in_the_order_of_their_commits() {
    let host = Host::start().await;
    host.put_patient("early", "Ash").await;
    let begun = host.poll("").await;
    assert_eq!(begun.json()["changes"], Value::Null);
    let version = host.version().await;
    host.put_patient("a", "Birch").await;
    host.put_patient("a", "Cedar").await;
    host.ask("DELETE /fhir/Patient/a", "").await;
    host.put_patient("a", "Dogwood").await;
    let basic = r#"{"resourceType":"Basic","code":{"text":"x"}}"#;
    host.ask("PUT /fhir/Basic/x", basic).await;
    host.put_patient("early", "Elm").await;
    let answer = host.poll(&format!("?version={version}")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        answer.changes(),
        [
            "created a Birch",
            "updated a Cedar",
            "deleted a Cedar",
            "created a Dogwood",
            "updated early Elm"
        ]
    );
    let next = answer.json()["version"].clone();
    assert!(next.as_u64() > version.as_u64());
    let nothing = host.poll(&format!("?version={next}")).await;
    assert_eq!((nothing.status, nothing.text().as_str()), (304, ""));
    host.stop().await;
}

#[tokio::test]
async fn changes_are_paged_by_count_and_each_is_given_once() {
    let host = Host::start().await;
    for number in 0..7 {
        host.put_patient(&format!("p{number}"), "X").await;
    }
    let (mut version, mut seen, mut polls) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let answer = host.poll(&format!("?version={version}&_count=3")).await;
        if answer.status == 304 {
            break;
        }
        polls += 1;
        seen.extend(answer.changes());
        version = answer.json()["version"].to_string();
    }
    let expect: Vec<String> = (0..7).map(|number| format!("created p{number} X")).collect();
    assert_eq!((seen, polls), (expect, 3));
    host.stop().await;
}

#[tokio::test]
async fn changes_of_other_types_move_the_version_on_without_changes() {
    let host = Host::start().await;
    let version = host.version().await;
    let basic = r#"{"resourceType":"Basic","code":{"text":"x"}}"#;
    host.ask("PUT /fhir/Basic/x", basic).await;
    let answer = host.poll(&format!("?version={version}")).await;
    assert_eq!(answer.changes(), Vec::<String>::new());
    let next = answer.json()["version"].clone();
    assert_ne!(next, version);
    assert_eq!(host.poll(&format!("?version={next}")).await.status, 304);
    host.put_patient("a", "Ash").await;
    let answer = host.poll(&format!("?version={next}")).await;
    assert_eq!(answer.changes(), ["created a Ash"]);
    host.stop().await;
}

#[tokio::test]
async fn changes_keep_the_digits_of_numbers_and_the_meta_of_the_version() {
    let host = Host::start().await;
    let text = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.500}}"#;
    host.ask("PUT /fhir/Observation/o", text).await;
    let answer = host.get("/fhir/Observation/$changes?version=0").await;
    assert!(answer.text().contains(r#""value":1.500"#), "{}", answer.text());
    let read = host.get("/fhir/Observation/o").await.json();
    assert_eq!(answer.json()["changes"][0]["resource"], read);
    host.stop().await;
}

#[tokio::test]
async fn changes_since_what_is_no_version_of_the_store_are_refused() {
    let host = Host::start().await;
    host.put_patient("a", "Ash").await;
    for query in [
        "?version=x",
        "?version=",
        "?version=-1",
        "?version=1-2-3",
        "?version=999",
        "?version=7-1",
        "?version=0&_count=x",
    ] {
        assert_eq!(host.poll(query).await.outcome(), "400 value", "{query}");
    }
    let unknown = host.poll("?version=0&omit-resources=true").await;
    assert_eq!(unknown.outcome(), "400 not-supported");
    let posted = host.ask("POST /fhir/Patient/$changes", "{}").await;
    assert_eq!(posted.outcome(), "405 not-supported");
    assert_eq!(
        host.get("/fhir/Patiend/$changes").await.outcome(),
        "404 not-found"
    );
    assert_eq!(
        host.get("/fhir/Patient/a/$changes").await.outcome(),
        "404 not-found"
    );
    host.stop().await;
}

#[tokio::test]
async fn changes_are_an_entry_of_a_batch() {
    let host = Host::start().await;
    host.put_patient("a", "Ash").await;
    let batch = r#"{"resourceType":"Bundle","type":"batch","entry":[
        {"request":{"method":"GET","url":"Patient/$changes?version=0"}}]}"#;
    let answer = host.ask("POST /fhir", batch).await.json();
    let entry = &answer["entry"][0];
    assert_eq!(entry["response"]["status"], "200");
    assert_eq!(entry["resource"]["changes"][0]["event"], "created");
    host.stop().await;
}
