//! 6.3 Search minimum.

use serde_json::Value;

use super::{Answer, Host};

impl Answer {
    /// The ids on a page of a search.
    fn ids(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        let json = self.json();
        assert_eq!(json["type"], "searchset");
        let entries = json["entry"].as_array().cloned().unwrap_or_default();
        let ids: Vec<&str> = entries
            .iter()
            .map(|entry| entry["resource"]["id"].as_str().unwrap())
            .collect();
        ids.join(" ")
    }

    fn next(&self) -> Option<String> {
        let json = self.json();
        let links = json["link"].as_array().unwrap();
        let next = links.iter().find(|link| link["relation"] == "next")?;
        let url = next["url"].as_str().unwrap();
        Some(url.strip_prefix("http://localhost").unwrap().to_owned())
    }
}

impl Host {
    async fn find(&self, query: &str) -> String {
        self.get(&format!("/fhir/Patient?{query}")).await.ids()
    }

    /// The pages that a search answers, one line each.
    async fn pages(&self, query: &str) -> Vec<String> {
        let mut pages = Vec::new();
        let mut next = Some(format!("/fhir/Patient?{query}"));
        while let Some(path) = next {
            let page = self.get(&path).await;
            pages.push(page.ids());
            next = page.next();
        }
        pages
    }

    /// Patients a to e, written in another order than by id; and the times of their last updates.
    async fn written_in_turn(&self) -> Vec<String> {
        let mut times = Vec::new();
        for id in ["c", "a", "e", "b", "d"] {
            self.put_patient(id, "X").await;
            let json = self.get(&format!("/fhir/Patient/{id}")).await.json();
            times.push(json["meta"]["lastUpdated"].as_str().unwrap().to_owned());
        }
        times
    }
}

#[tokio::test]
async fn search_answers_a_searchset_with_total_links_and_the_living() {
    let host = Host::start().await;
    for id in ["a", "b", "c", "d"] {
        host.put_patient(id, "X").await;
    }
    host.ask("DELETE /fhir/Patient/b", "").await;
    let page = host.get("/fhir/Patient?_count=2").await;
    assert_eq!(page.ids(), "a c");
    let json = page.json();
    assert_eq!(json["total"], 3);
    assert_eq!(json["entry"][0]["search"]["mode"], "match");
    assert_eq!(json["entry"][0]["fullUrl"], "http://localhost/fhir/Patient/a");
    let relations: Vec<&Value> = json["link"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| &link["relation"])
        .collect();
    assert_eq!(relations, ["self", "first", "next"]);
    assert_eq!(host.get(&page.next().unwrap()).await.ids(), "d");
    host.stop().await;
}

#[tokio::test]
async fn search_by_id_and_by_identifier() {
    let host = Host::start().await;
    for (id, value) in [("a", "1"), ("b", "2"), ("c", "1")] {
        host.put_identified(id, value).await;
    }
    for (query, expect) in [
        ("_id=c,b,x", "b c"),
        ("_id=a,b&_id=b,c", "b"),
        ("identifier=1", "a c"),
        ("identifier=urn:s%7C1", "a c"),
        ("identifier=urn:other%7C1", ""),
        ("identifier=%7C1", ""),
        ("identifier=2,1", "a b c"),
        ("identifier=1&identifier=2", ""),
        ("identifier=1&_id=c", "c"),
        ("identifier=1&_sort=-_lastUpdated", "c a"),
    ] {
        assert_eq!(host.find(query).await, expect, "{query}");
    }
    assert_eq!(host.pages("identifier=2,1&_count=2").await, ["a b", "c"]);
    assert_eq!(
        host.get("/fhir/Patient?identifier=1&_count=1").await.json()["total"],
        2
    );
    host.stop().await;
}

#[tokio::test]
async fn search_by_last_updated_takes_dates_of_any_precision_and_all_prefixes() {
    let host = Host::start().await;
    let times = host.written_in_turn().await;
    for (prefix, expect) in [
        ("", "e"),
        ("eq", "e"),
        ("gt", "b d"),
        ("ge", "b d e"),
        ("lt", "a c"),
        ("le", "a c e"),
        ("sa", "b d"),
        ("eb", "a c"),
    ] {
        let query = format!("_lastUpdated={prefix}{}", times[2]);
        assert_eq!(host.find(&query).await, expect, "{query}");
    }
    let between = format!("_lastUpdated=gt{}&_lastUpdated=lt{}", times[0], times[4]);
    assert_eq!(host.find(&between).await, "a b e");
    let year = &times[0][..4];
    assert_eq!(host.find(&format!("_lastUpdated=gt{year}")).await, "");
    assert_eq!(host.find(&format!("_lastUpdated=ge{year}&_id=a")).await, "a");
    assert_eq!(host.find("_lastUpdated=lt2000-01").await, "");
    host.stop().await;
}

#[tokio::test]
async fn sort_is_by_id_or_by_last_updated_either_way() {
    let host = Host::start().await;
    host.written_in_turn().await;
    for (query, expect) in [
        ("_sort=_id", "a b c d e"),
        ("_sort=_lastUpdated", "c a e b d"),
        ("_sort=-_lastUpdated", "d b e a c"),
    ] {
        assert_eq!(host.find(query).await, expect, "{query}");
        let pages = host.pages(&format!("{query}&_count=2")).await;
        assert_eq!(pages.join(" "), expect, "{query}");
        assert_eq!(pages.len(), 3);
    }
    host.stop().await;
}

#[tokio::test]
async fn paging_by_next_links_is_not_shifted_by_what_is_written_meanwhile() {
    let host = Host::start().await;
    host.written_in_turn().await;
    for (query, first, rest) in [("_sort=_id", "a b", "c d"), ("_sort=-_lastUpdated", "d b", "e a")] {
        let page = host.get(&format!("/fhir/Patient?{query}&_count=2")).await;
        assert_eq!(page.ids(), first, "{query}");
        host.put_patient("0", "New").await;
        let next = host.get(&page.next().unwrap()).await;
        assert_eq!(next.ids(), rest, "{query}");
        host.ask("DELETE /fhir/Patient/0", "").await;
    }
    host.stop().await;
}

#[tokio::test]
async fn paging_by_page_number() {
    let host = Host::start().await;
    host.written_in_turn().await;
    for (query, expect) in [
        ("_count=2&_page=1", "a b"),
        ("_count=2&_page=2", "c d"),
        ("_count=2&_page=3", "e"),
        ("_count=2&_page=4", ""),
        ("_count=2&_page=2&_sort=_lastUpdated", "e b"),
    ] {
        assert_eq!(host.find(query).await, expect, "{query}");
    }
    assert_eq!(host.pages("_count=2&_page=2").await, ["c d", "e"]);
    let far = host.get("/fhir/Patient?_count=1000&_page=1000").await;
    assert_eq!(far.outcome(), "400 too-costly");
    host.stop().await;
}

#[tokio::test]
async fn elements_leaves_parts_and_tags_them() {
    let host = Host::start().await;
    let body = r#"{"resourceType":"Patient","active":true,"gender":"female","birthDate":"2000-01-01"}"#;
    host.ask("PUT /fhir/Patient/p", body).await;
    let json = host
        .get("/fhir/Patient?_elements=gender,Patient.active")
        .await
        .json();
    let resource = &json["entry"][0]["resource"];
    assert_eq!(
        (&resource["gender"], &resource["active"]),
        (&"female".into(), &true.into())
    );
    assert!(resource["birthDate"].is_null());
    assert_eq!(resource["id"], "p");
    assert_eq!(resource["meta"]["tag"][0]["code"], "SUBSETTED");
    host.stop().await;
}

#[tokio::test]
async fn total_and_summary_say_how_many_or_leave_it_out() {
    let host = Host::start().await;
    host.written_in_turn().await;
    for query in ["_summary=count", "_count=0", "_summary=count&_total=none"] {
        let json = host.get(&format!("/fhir/Patient?{query}")).await.json();
        assert_eq!(
            (&json["total"], &json["entry"]),
            (&5.into(), &Value::Null),
            "{query}"
        );
    }
    let json = host.get("/fhir/Patient?_total=none").await.json();
    assert!(json["total"].is_null());
    assert_eq!(json["entry"].as_array().unwrap().len(), 5);
    assert_eq!(host.get("/fhir/Patient?_total=accurate").await.json()["total"], 5);
    host.stop().await;
}

#[tokio::test]
async fn search_by_post_takes_the_form_and_the_query() {
    let host = Host::start().await;
    host.written_in_turn().await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let posted = host
        .ask_with(
            "POST /fhir/Patient/_search?_sort=-_lastUpdated",
            &form,
            "_id=c,d,e",
        )
        .await;
    assert_eq!(posted.ids(), "d e c");
    let json = host.ask("POST /fhir/Patient/_search", "{}").await;
    assert_eq!(json.outcome(), "415 not-supported");
    assert_eq!(
        host.get("/fhir/Patient/_search").await.outcome(),
        "405 not-supported"
    );
    host.stop().await;
}

#[tokio::test]
async fn an_unsupported_parameter_is_a_clear_error_and_not_ignored() {
    let host = Host::start().await;
    for query in [
        "family=Secret",
        "_include=Patient:x",
        "_has:Observation:patient:code=Secret",
        "url=Secret",
    ] {
        let answer = host.get(&format!("/fhir/Patient?{query}")).await;
        assert_eq!(answer.outcome(), "400 not-supported", "{query}");
        assert!(!answer.text().contains("Secret"));
        assert!(answer.text().contains("_lastUpdated"), "{}", answer.text());
    }
    host.stop().await;
}

#[tokio::test]
async fn more_values_than_are_looked_for_at_once_are_refused() {
    let host = Host::start().await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    for (name, most) in [("_id", 1000), ("identifier", 100)] {
        let query = |count: usize| format!("{name}={}", vec!["x"; count].join(","));
        let line = "POST /fhir/Patient/_search";
        assert_eq!(
            host.ask_with(line, &form, &query(most)).await.status,
            200,
            "{name}"
        );
        let answer = host.ask_with(line, &form, &query(most + 1)).await;
        assert_eq!(answer.outcome(), "400 too-costly", "{name}");
    }
    host.stop().await;
}

#[tokio::test]
async fn topics_by_url_destinations_by_topic_and_views_by_url_name_and_id() {
    let host = Host::start().await;
    let topic = |url: &str| {
        format!(
            r#"{{"resourceType":"AidboxSubscriptionTopic","url":"{url}","status":"active","trigger":[{{"resource":"Patient"}}]}}"#
        )
    };
    host.ask("PUT /fhir/AidboxSubscriptionTopic/a", &topic("http://a"))
        .await;
    host.ask("PUT /fhir/AidboxSubscriptionTopic/b", &topic("http://b"))
        .await;
    let view = r#"{"resourceType":"ViewDefinition","url":"http://v","name":"flat","status":"active","resource":"Patient","select":[{"column":[{"name":"id","path":"id"}]}]}"#;
    host.ask("PUT /fhir/ViewDefinition/v", view).await;
    host.stored_destination().await;
    for (query, expect) in [
        ("AidboxSubscriptionTopic?url=http://b", "b"),
        ("AidboxSubscriptionTopic?url=http://b&status=draft", ""),
        ("AidboxTopicDestination?topic=http://t", "d"),
        ("AidboxTopicDestination?topic=http://other", ""),
        ("ViewDefinition?url=http://v", "v"),
        ("ViewDefinition?name=flat", "v"),
        ("ViewDefinition?name=other", ""),
        ("ViewDefinition?_id=v&resource=Patient", "v"),
    ] {
        assert_eq!(host.get(&format!("/fhir/{query}")).await.ids(), expect, "{query}");
    }
    host.stop().await;
}
