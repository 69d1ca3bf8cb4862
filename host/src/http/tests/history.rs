//! 6.1, the row `history`: of an instance and of a type, not of the system.

use serde_json::Value;

use super::Host;

impl Host {
    /// What the pages of a history hold, from its first on: the method, the id and the family of each entry.
    async fn told(&self, path: &str) -> Vec<String> {
        let mut told = Vec::new();
        let mut next = path.to_owned();
        while !next.is_empty() {
            let page = self.get(next.trim_start_matches("http://localhost")).await.json();
            assert_eq!(page["type"], "history");
            let entries = page["entry"].as_array().cloned().unwrap_or_default();
            told.extend(entries.iter().map(entry));
            let links = page["link"].as_array().unwrap();
            let link = links.iter().find(|link| link["relation"] == "next");
            next = link.map_or(String::new(), |link| link["url"].as_str().unwrap().to_owned());
        }
        told
    }
}

fn entry(entry: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    format!(
        "{} {} {}",
        text(&entry["request"]["method"]),
        text(&entry["resource"]["id"]),
        text(&entry["resource"]["name"][0]["family"])
    )
}

#[tokio::test]
async fn history_of_a_type_is_newest_first_in_pages() {
    let host = Host::start().await;
    assert_eq!(host.told("/fhir/Patient/_history").await.len(), 0);
    host.put_patient("a", "Ash").await;
    host.put_patient("b", "Birch").await;
    host.put_patient("a", "Cedar").await;
    host.ask(
        "PUT /fhir/Basic/x",
        r#"{"resourceType":"Basic","code":{"text":"x"}}"#,
    )
    .await;
    host.ask("DELETE /fhir/Patient/b", "").await;
    let expect = ["DELETE b Birch", "PUT a Cedar", "POST b Birch", "POST a Ash"];
    for path in [
        "/fhir/Patient/_history",
        "/fhir/Patient/_history?_count=1",
        "/fhir/Patient/_history?_count=3",
    ] {
        assert_eq!(host.told(path).await, expect, "{path}");
    }
    host.stop().await;
}

#[tokio::test]
async fn history_begins_at_since() {
    let host = Host::start().await;
    host.put_patient("a", "Ash").await;
    host.put_patient("a", "Birch").await;
    host.put_patient("b", "Cedar").await;
    let history = host.get("/fhir/Patient/a/_history").await.json();
    let since = history["entry"][0]["resource"]["meta"]["lastUpdated"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        host.told(&format!("/fhir/Patient/a/_history?_since={since}"))
            .await,
        ["PUT a Birch"]
    );
    assert_eq!(
        host.told(&format!("/fhir/Patient/_history?_count=1&_since={since}"))
            .await,
        ["POST b Cedar", "PUT a Birch"]
    );
    assert_eq!(host.told("/fhir/Patient/_history?_since=2999").await.len(), 0);
    assert_eq!(host.told("/fhir/Patient/_history?_since=2000-01").await.len(), 3);
    for query in [
        "_since=yesterday",
        "_at=now",
        "_at=",
        "_txid=x",
        "_txid=-1",
        "_at=2026&_txid=7",
        "_at=2026&_at=2027",
        "_count=x",
        "_sort=_lastUpdated",
    ] {
        let answer = host.get(&format!("/fhir/Patient/_history?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    host.stop().await;
}

impl Host {
    /// When the newest version of a patient was made.
    async fn last_updated(&self, id: &str) -> String {
        let json = self.get(&format!("/fhir/Patient/{id}")).await.json();
        json["meta"]["lastUpdated"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn history_at_holds_the_versions_that_were_current_then() {
    let host = Host::start().await;
    host.put_patient("a", "Ash").await;
    host.put_patient("b", "Birch").await;
    host.put_patient("a", "Cedar").await;
    let at = host.last_updated("a").await;
    host.ask("DELETE /fhir/Patient/a", "").await;
    host.put_patient("b", "Dogwood").await;
    let told = async |path: &str, at: &str| host.told(&format!("/fhir/Patient{path}_at={at}")).await;
    assert_eq!(told("/a/_history?", &at).await, ["PUT a Cedar"]);
    let of_type = ["PUT a Cedar", "POST b Birch"];
    assert_eq!(told("/_history?", &at).await, of_type);
    assert_eq!(told("/_history?_count=1&", &at).await, of_type);
    let offset = at.replace('Z', "%2B00:00");
    assert_eq!(told("/_history?", &offset).await, of_type);
    assert_eq!(told("/a/_history?", "2000").await.len(), 0);
    assert_eq!(told("/_history?", "2000-01").await.len(), 0);
    // The delete is current from then on.
    assert_eq!(told("/a/_history?", "2999").await, ["DELETE a Cedar"]);
    assert_eq!(
        told("/_history?", "2999").await,
        ["PUT b Dogwood", "DELETE a Cedar"]
    );
    let year = &at[..4];
    assert_eq!(told("/a/_history?_count=1&", year).await.len(), 3);
    assert_eq!(told("/_history?_count=2&", year).await.len(), 5);
    assert_eq!(
        host.get(&format!("/fhir/Patient/nobody/_history?_at={at}"))
            .await
            .status,
        404
    );
    host.stop().await;
}

#[tokio::test]
async fn history_of_a_txid_is_the_version_that_it_made() {
    let host = Host::start().await;
    let first = host.put_patient("a", "Ash").await;
    let other = host.put_patient("b", "Birch").await;
    host.put_patient("a", "Cedar").await;
    let told = async |path: &str, txid: &str| host.told(&format!("/fhir{path}/_history?_txid={txid}")).await;
    assert_eq!(told("/Patient/a", &first).await, ["POST a Ash"]);
    assert_eq!(told("/Patient", &other).await, ["POST b Birch"]);
    assert_eq!(told("/Patient/a", &other).await.len(), 0);
    assert_eq!(told("/Observation", &other).await.len(), 0);
    assert_eq!(told("/Patient", "999").await.len(), 0);
    host.stop().await;
}

#[tokio::test]
async fn history_of_the_system_is_not_offered_and_says_what_is() {
    let host = Host::start().await;
    let answer = host.get("/fhir/_history").await;
    assert_eq!(answer.outcome(), "404 not-supported");
    assert!(
        answer.text().contains("/fhir/Patient/_history"),
        "{}",
        answer.text()
    );
    assert_eq!(
        host.ask("DELETE /fhir/Patient/_history", "").await.outcome(),
        "405 not-supported"
    );
    assert_eq!(
        host.get("/fhir/Patiend/_history").await.outcome(),
        "404 not-found"
    );
    host.stop().await;
}

#[tokio::test]
async fn history_of_an_instance_is_newest_first_in_pages_and_its_deleted_entry_has_the_resource() {
    let host = Host::start().await;
    assert_eq!(
        host.get("/fhir/Patient/p-1/_history").await.outcome(),
        "404 not-found"
    );
    host.put_patient("p-1", "Ash").await;
    host.put_patient("p-1", "Birch").await;
    host.ask("DELETE /fhir/Patient/p-1", "").await;
    host.put_patient("p-1", "Cedar").await;
    let mut seen = String::new();
    let mut next = "http://localhost/fhir/Patient/p-1/_history?_count=3".to_owned();
    while !next.is_empty() {
        let json = host
            .get(next.strip_prefix("http://localhost").unwrap())
            .await
            .json();
        assert_eq!(
            (json["type"].as_str(), json["total"].as_u64()),
            (Some("history"), Some(4))
        );
        for entry in json["entry"].as_array().unwrap() {
            let family = entry["resource"]["name"][0]["family"].as_str().unwrap();
            let (method, status) = (&entry["request"]["method"], &entry["response"]["status"]);
            seen.push_str(&format!(
                "{} {} {family}\n",
                method.as_str().unwrap(),
                status.as_str().unwrap()
            ));
        }
        let links = json["link"].as_array().unwrap();
        let link = links.iter().find(|link| link["relation"] == "next");
        next = link.map_or(String::new(), |link| link["url"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        seen,
        "PUT 201 Cedar\nDELETE 200 Birch\nPUT 200 Birch\nPOST 201 Ash\n"
    );
    host.stop().await;
}
