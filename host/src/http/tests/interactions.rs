//! 6.1 Instance interactions; patches, conditional requests and histories have modules of their own.

use super::{Host, patient};

#[tokio::test]
async fn create_answers_201_with_the_resource_and_its_headers() {
    let host = Host::start().await;
    let answer = host.ask("POST /fhir/Patient", &patient("Ash")).await;
    assert_eq!(answer.status, 201);
    let json = answer.json();
    let (id, version) = (
        json["id"].as_str().unwrap(),
        json["meta"]["versionId"].as_str().unwrap(),
    );
    let location = format!("http://localhost/fhir/Patient/{id}/_history/{version}");
    assert_eq!(answer.header("location"), location);
    assert_eq!(answer.header("etag"), format!("W/\"{version}\""));
    assert!(answer.header("last-modified").ends_with(" GMT"));
    assert_eq!(answer.header("content-type"), "application/fhir+json");
    assert_eq!(
        json["meta"]["extension"][0]["url"],
        "https://aidbox.app/ex/createdAt"
    );
    assert_eq!(
        json["meta"]["extension"][0]["valueInstant"],
        json["meta"]["lastUpdated"]
    );
    host.stop().await;
}

#[tokio::test]
async fn create_honours_the_id_it_brings_and_is_409_when_it_is_taken() {
    let host = Host::start().await;
    let body = r#"{"resourceType":"Patient","id":"p-1"}"#;
    assert_eq!(host.ask("POST /fhir/Patient", body).await.json()["id"], "p-1");
    assert_eq!(
        host.ask("POST /fhir/Patient", body).await.outcome(),
        "409 conflict Patient.id"
    );
    host.stop().await;
}

#[tokio::test]
async fn read_is_200_404_when_there_never_was_one_and_410_after_a_delete() {
    let host = Host::start().await;
    assert_eq!(host.get("/fhir/Patient/p-1").await.outcome(), "404 not-found");
    host.put_patient("p-1", "Ash").await;
    let answer = host.get("/fhir/Patient/p-1").await;
    assert_eq!(
        (answer.status, answer.json()["name"][0]["family"].as_str()),
        (200, Some("Ash"))
    );
    host.ask("DELETE /fhir/Patient/p-1", "").await;
    assert_eq!(host.get("/fhir/Patient/p-1").await.outcome(), "410 deleted");
    assert_eq!(host.get("/fhir/Patient/a%2Fb").await.outcome(), "404 not-found");
    host.stop().await;
}

#[tokio::test]
async fn read_of_what_the_client_has_is_304() {
    let host = Host::start().await;
    let version = host.put_patient("p-1", "Ash").await;
    let read = async |name: &str, value: String| {
        host.ask_with("GET /fhir/Patient/p-1", &[(name, value.as_str())], "")
            .await
    };
    let known = read("If-None-Match", format!("W/\"{version}\"")).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), format!("W/\"{version}\""));
    assert_eq!(read("If-None-Match", "W/\"0\"".to_owned()).await.status, 200);
    let date = host
        .get("/fhir/Patient/p-1")
        .await
        .header("last-modified")
        .to_owned();
    assert_eq!(read("If-Modified-Since", date).await.status, 304);
    let before = "Mon, 01 Jan 2001 00:00:00 GMT".to_owned();
    assert_eq!(read("If-Modified-Since", before).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn vread_answers_each_version_and_is_410_for_the_deleted_one() {
    let host = Host::start().await;
    let first = host.put_patient("p-1", "Ash").await;
    host.put_patient("p-1", "Birch").await;
    let deleted = host.ask("DELETE /fhir/Patient/p-1", "").await.json()["meta"]["versionId"].clone();
    let path = |version: &str| format!("/fhir/Patient/p-1/_history/{version}");
    let old = host.get(&path(&first)).await;
    assert_eq!(
        (old.status, old.json()["name"][0]["family"].as_str()),
        (200, Some("Ash"))
    );
    assert_eq!(
        host.get(&path(deleted.as_str().unwrap())).await.outcome(),
        "410 deleted"
    );
    assert_eq!(host.get(&path("999999")).await.outcome(), "404 not-found");
    assert_eq!(host.get(&path("x")).await.outcome(), "404 not-found");
    host.stop().await;
}

#[tokio::test]
async fn update_is_201_then_200_and_ignores_the_id_in_the_body() {
    let host = Host::start().await;
    let body = r#"{"resourceType":"Patient","id":"other"}"#;
    let first = host.ask("PUT /fhir/Patient/p-1", body).await;
    assert_eq!((first.status, first.json()["id"].as_str()), (201, Some("p-1")));
    assert!(
        first
            .header("location")
            .starts_with("http://localhost/fhir/Patient/p-1/_history/")
    );
    let second = host.ask("PUT /fhir/Patient/p-1", body).await;
    assert_eq!((second.status, second.header("location")), (200, ""));
    host.stop().await;
}

#[tokio::test]
async fn update_takes_if_match_as_a_tag_or_a_bare_number_and_is_412_when_it_is_another() {
    let host = Host::start().await;
    let version = host.put_patient("p-1", "Ash").await;
    let put = async |value: String| {
        host.ask_with(
            "PUT /fhir/Patient/p-1",
            &[("If-Match", value.as_str())],
            &patient("B"),
        )
        .await
    };
    let second = put(format!("W/\"{version}\"")).await;
    assert_eq!(second.status, 200);
    let second = second.json()["meta"]["versionId"].as_str().unwrap().to_owned();
    assert_eq!(put(version).await.outcome(), "412 conflict");
    assert_eq!(put(second).await.status, 200);
    assert_eq!(put("*".to_owned()).await.status, 200);
    assert_eq!(put("\"1\", \"2\"".to_owned()).await.outcome(), "400 value");
    host.stop().await;
}

#[tokio::test]
async fn update_with_if_match_star_is_update_only_and_with_if_none_match_star_create_only() {
    let host = Host::start().await;
    let put = async |name: &str| {
        host.ask_with("PUT /fhir/Patient/p-1", &[(name, "*")], &patient("A"))
            .await
    };
    assert_eq!(put("If-Match").await.outcome(), "412 conflict");
    assert_eq!(put("If-None-Match").await.status, 201);
    assert_eq!(put("If-None-Match").await.outcome(), "412 conflict");
    host.stop().await;
}

#[tokio::test]
async fn delete_is_200_with_the_resource_first_and_204_after_that() {
    let host = Host::start().await;
    host.put_patient("p-1", "Ash").await;
    let first = host.ask("DELETE /fhir/Patient/p-1", "").await;
    assert_eq!(
        (first.status, first.json()["name"][0]["family"].as_str()),
        (200, Some("Ash"))
    );
    let again = host.ask("DELETE /fhir/Patient/p-1", "").await;
    assert_eq!((again.status, again.body.len()), (204, 0));
    assert_eq!(host.ask("DELETE /fhir/Patient/never", "").await.status, 204);
    host.put_patient("p-2", "Ash").await;
    assert_eq!(
        host.ask("DELETE /fhir/Patient/p-2?_no-content=true", "")
            .await
            .status,
        204
    );
    host.stop().await;
}

#[tokio::test]
async fn delete_honours_if_match() {
    let host = Host::start().await;
    let version = host.put_patient("p-1", "Ash").await;
    let wrong = host
        .ask_with("DELETE /fhir/Patient/p-1", &[("If-Match", "1000000")], "")
        .await;
    assert_eq!(wrong.outcome(), "412 conflict");
    let right = host
        .ask_with("DELETE /fhir/Patient/p-1", &[("If-Match", &version)], "")
        .await;
    assert_eq!(right.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn delete_is_undone_by_a_put() {
    let host = Host::start().await;
    host.put_patient("p-1", "Ash").await;
    host.ask("DELETE /fhir/Patient/p-1", "").await;
    assert_eq!(
        host.ask("PUT /fhir/Patient/p-1", &patient("Back")).await.status,
        201
    );
    assert_eq!(host.get("/fhir/Patient/p-1").await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn created_at_is_not_gathered_when_what_was_read_is_put_back() {
    let host = Host::start().await;
    host.put_patient("p-1", "Ash").await;
    for _ in 0..2 {
        let text = host.get("/fhir/Patient/p-1").await.text();
        host.ask("PUT /fhir/Patient/p-1", &text).await;
    }
    let json = host.get("/fhir/Patient/p-1").await.json();
    assert_eq!(json["meta"]["extension"].as_array().unwrap().len(), 1);
    host.stop().await;
}

#[tokio::test]
async fn the_digits_of_a_decimal_come_back_as_they_were_sent() {
    let host = Host::start().await;
    let body = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.500}}"#;
    assert!(
        host.ask("PUT /fhir/Observation/o", body)
            .await
            .text()
            .contains("1.500")
    );
    host.stop().await;
}

#[tokio::test]
async fn a_resource_that_r4_does_not_allow_is_422_with_every_place_and_is_not_stored() {
    let host = Host::start().await;
    let body = r#"{"resourceType":"Patient","id":"p","nme":1,"birthDate":"Secret","contact":[{"gender":["Secret"]}]}"#;
    for request in ["PUT /fhir/Patient/p", "POST /fhir/Patient"] {
        let answer = host.ask(request, body).await;
        assert_eq!(answer.outcome(), "422 structure Patient.nme");
        let issues = answer.json()["issue"].clone();
        let places: Vec<_> = (0..3).map(|at| issues[at]["expression"][0].clone()).collect();
        assert_eq!(
            places,
            ["Patient.nme", "Patient.birthDate", "Patient.contact[0].gender"]
        );
        assert_eq!(
            (&issues[1]["code"], &issues[3]),
            (&"value".into(), &serde_json::Value::Null)
        );
        assert!(!answer.text().contains("Secret"), "{}", answer.text());
    }
    assert_eq!(host.get("/fhir/Patient/p").await.status, 404);
    let missing = host
        .ask(
            "POST /fhir/Observation",
            r#"{"resourceType":"Observation","status":"final"}"#,
        )
        .await;
    assert_eq!(missing.outcome(), "422 required Observation.code");
    host.stop().await;
}

#[tokio::test]
async fn unknown_type_is_404_in_the_path_and_422_in_the_body() {
    let host = Host::start().await;
    assert_eq!(host.get("/fhir/Patiend").await.outcome(), "404 not-found");
    assert!(
        host.get("/fhir/Patiend")
            .await
            .text()
            .contains("did you mean `Patient`")
    );
    assert_eq!(host.ask("POST /fhir/Foo", "{}").await.outcome(), "404 not-found");
    let other = host
        .ask("POST /fhir/Patient", r#"{"resourceType":"Encounter"}"#)
        .await;
    assert_eq!(other.outcome(), "422 invalid Patient.resourceType");
    let none = host.ask("POST /fhir/Patient", r#"{"resourceType":7}"#).await;
    assert!(none.outcome().ends_with("resourceType"), "{}", none.text());
    // A body that names no type is of the path's.
    assert_eq!(host.ask("POST /fhir/Patient", "{}").await.status, 201);
    host.stop().await;
}

#[tokio::test]
async fn bad_media_type_is_415_and_one_that_is_not_answered_406() {
    let host = Host::start().await;
    for stated in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/fhir+xml",
    ] {
        let answer = host
            .ask_with("POST /fhir/Patient", &[("Content-Type", stated)], &patient("A"))
            .await;
        assert_eq!(answer.outcome(), "415 not-supported", "{stated}");
    }
    let xml = host
        .ask_with("GET /fhir/Patient", &[("Accept", "application/fhir+xml")], "")
        .await;
    assert_eq!(xml.outcome(), "406 not-supported");
    let json = host
        .ask_with("GET /fhir/Patient", &[("Accept", "application/json")], "")
        .await;
    assert_eq!(json.header("content-type"), "application/json");
    host.stop().await;
}

#[tokio::test]
async fn a_method_that_a_path_has_not_is_405_with_those_it_has() {
    let host = Host::start().await;
    for (line, allowed) in [
        ("TRACE /fhir/Patient", "GET, POST, PUT, PATCH, DELETE"),
        ("POST /fhir/Patient/p-1", "GET, PUT, PATCH, DELETE"),
        ("POST /fhir/Patient/p-1/_history", "GET"),
        ("DELETE /health", "GET"),
    ] {
        let answer = host.ask(line, "").await;
        assert_eq!(answer.outcome(), "405 not-supported", "{line}");
        assert_eq!(answer.header("allow"), allowed, "{line}");
    }
    host.stop().await;
}

#[tokio::test]
async fn two_url_roots_of_which_the_fhir_one_is_served_and_the_other_is_told() {
    let host = Host::start().await;
    for path in ["/nowhere", "/fhir/Patient/_tags", "/fhir/Patient/1/2/3/4"] {
        assert_eq!(host.get(path).await.outcome(), "404 not-found", "{path}");
    }
    assert!(
        host.get("/Patient/1")
            .await
            .text()
            .contains("put `/fhir` before the path")
    );
    host.stop().await;
}

#[tokio::test]
async fn a_head_has_the_headers_of_a_get_and_no_body() {
    let host = Host::start().await;
    let version = host.put_patient("p-1", "Ash").await;
    let answer = host.ask("HEAD /fhir/Patient/p-1", "").await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("etag"), format!("W/\"{version}\""));
    host.stop().await;
}

#[tokio::test]
async fn the_health_check_passes_while_the_store_answers() {
    let host = Host::start().await;
    let json = host.get("/health").await.json();
    assert_eq!(json["status"], "pass");
    assert!(json["checks"]["db:responseTime"].is_array());
    host.stop().await;
}

#[tokio::test]
async fn vread_of_a_version_that_was_never_made_is_404_by_its_number() {
    let host = Host::start().await;
    host.put_patient("p-1", "Ash").await;
    let answer = host.get("/fhir/Patient/p-1/_history/999").await;
    assert_eq!(answer.outcome(), "404 not-found");
    assert!(
        answer.text().contains("Patient/p-1 has no version 999"),
        "{}",
        answer.text()
    );
    host.stop().await;
}

#[tokio::test]
async fn a_method_that_the_root_has_not_is_405_with_the_header_that_a_405_has() {
    let host = Host::start().await;
    let answer = host.ask("PUT /fhir", "{}").await;
    assert_eq!(answer.outcome(), "405 not-supported");
    assert_eq!(answer.header("allow"), "POST");
    host.stop().await;
}

#[tokio::test]
async fn bad_json_is_400() {
    let host = Host::start().await;
    for body in [
        "{",
        "[]",
        "7",
        r#"{"resourceType":"Patient",}"#,
        r#"{"resourceType":"Patient","id":"a","id":"b"}"#,
    ] {
        for line in ["POST /fhir/Patient", "PUT /fhir/Patient/p"] {
            let answer = host.ask(line, body).await;
            assert!(
                answer.outcome().starts_with("400 structure"),
                "{line} {body}: {}",
                answer.text()
            );
        }
    }
    host.stop().await;
}

#[tokio::test]
async fn version_id_is_a_text_of_one_sequence_for_all_and_last_updated_has_microseconds() {
    let host = Host::start().await;
    let first: u64 = host.put_patient("a", "Ash").await.parse().unwrap();
    host.put_patient("b", "Birch").await;
    let second: u64 = host.put_patient("a", "Cedar").await.parse().unwrap();
    assert!(second > first + 1);
    let json = host.get("/fhir/Patient/a").await.json();
    let updated = json["meta"]["lastUpdated"].as_str().unwrap();
    assert_eq!(
        (updated.len(), updated.ends_with('Z')),
        ("2026-04-01T10:00:00.000000Z".len(), true)
    );
    let made = json["meta"]["extension"][0]["valueInstant"].as_str().unwrap();
    assert!(made < updated);
    host.stop().await;
}

#[tokio::test]
async fn isolation_is_always_serializable_whatever_level_is_asked_for() {
    let host = Host::start().await;
    let version = host.put_patient("p", "Ash").await;
    let level = ("x-max-isolation-level", "read-committed");
    let put = async || {
        let headers = [level, ("If-Match", version.as_str())];
        host.ask_with("PUT /fhir/Patient/p", &headers, &patient("Birch"))
            .await
            .status
    };
    let mut statuses = [put().await, put().await];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    host.stop().await;
}
