//! 6.1, the row `patch`: JSON Patch, merge patch and FHIRPath patch.

use super::{Answer, Host, patient};

const PATH: &str = "PATCH /fhir/Patient/p";

impl Host {
    async fn patch(&self, media_type: &str, body: &str) -> Answer {
        self.ask_with(PATH, &[("Content-Type", media_type)], body).await
    }

    /// The family and the number of the versions of the Patient.
    async fn family(&self) -> String {
        let history = self.get("/fhir/Patient/p/_history").await.json();
        let newest = &history["entry"][0]["resource"]["name"][0]["family"];
        format!("{} {}", newest.as_str().unwrap_or("none"), history["total"])
    }
}

const REPLACE: &str = r#"[{"op":"replace","path":"/name/0/family","value":"Birch"}]"#;
const MERGE: &str = r#"{"name":[{"family":"Cedar"}]}"#;

#[tokio::test]
async fn patch_takes_json_patch_and_merge_patch_by_their_media_types() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    let answer = host.patch("application/json-patch+json", REPLACE).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["name"][0]["family"], "Birch");
    let version = answer.json()["meta"]["versionId"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("etag"), format!("W/\"{version}\""));
    assert_eq!(host.family().await, "Birch 2");
    let answer = host
        .patch("application/merge-patch+json; charset=utf-8", MERGE)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(host.family().await, "Cedar 3");
    host.stop().await;
}

/// A FHIRPath patch of one operation.
fn fhirpath(kind: &str, parts: &str) -> String {
    format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[{{"name":"type","valueCode":"{kind}"}},{parts}]}}]}}"#
    )
}

const RENAME: &str =
    r#"{"name":"path","valueString":"Patient.name[0].family"},{"name":"value","valueString":"Birch"}"#;

#[tokio::test]
async fn patch_takes_fhirpath_patch_as_parameters_of_any_json_media_type() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    let rename = fhirpath("replace", RENAME);
    let answer = host.patch("application/fhir+json", &rename).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["name"][0]["family"], "Birch");
    assert_eq!(host.family().await, "Birch 2");
    let answer = host
        .patch("application/json; charset=utf-8", &format!(" {rename}"))
        .await;
    assert_eq!(answer.status, 200, "nothing to change: {}", answer.text());
    assert_eq!(host.family().await, "Birch 2");
    let delete = fhirpath("delete", r#"{"name":"path","valueString":"Patient.birthDate"}"#);
    assert_eq!(host.patch("application/fhir+json", &delete).await.status, 200);
    assert_eq!(host.family().await, "Birch 2");
    // A merge patch says so, or is no Parameters.
    let answer = host.patch("application/merge-patch+json", &rename).await;
    assert_eq!(answer.outcome(), "422 business-rule Resource.resourceType");
    host.stop().await;
}

#[tokio::test]
async fn patch_refuses_a_fhirpath_patch_that_is_none_or_does_not_fit() {
    let host = Host::start().await;
    host.put_patient("p", "Secret").await;
    for (body, expect) in [
        (
            fhirpath("replace", r#"{"name":"path","valueString":"Patient."}"#),
            "400 structure",
        ),
        (fhirpath("remove", RENAME), "400 structure"),
        (
            fhirpath("replace", &RENAME.replace("[0]", "[7]")),
            "422 processing",
        ),
        (
            fhirpath("replace", &RENAME.replace("family", "famly")),
            "422 processing",
        ),
        (
            fhirpath(
                "replace",
                &RENAME.replace("valueString\":\"Birch", "valueBoolean\":\"true"),
            ),
            "422 processing",
        ),
        (
            fhirpath(
                "replace",
                r#"{"name":"path","valueString":"Patient.id"},{"name":"value","valueId":"q"}"#,
            ),
            "422 business-rule Resource.id",
        ),
        (
            fhirpath(
                "add",
                r#"{"name":"path","valueString":"Patient"},{"name":"name","valueString":"birthDate"},{"name":"value","valueDate":"yesterday"}"#,
            ),
            "422 value Patient.birthDate",
        ),
    ] {
        let answer = host.patch("application/fhir+json", &body).await;
        assert_eq!(answer.outcome(), expect, "{}", answer.text());
        assert!(!answer.text().contains("Secret"));
    }
    assert_eq!(host.family().await, "Secret 1");
    host.stop().await;
}

#[tokio::test]
async fn patch_takes_fhirpath_patch_of_a_definition_and_by_criteria() {
    let host = Host::start().await;
    host.put_identified("p", "1").await;
    let gender = r#"{"name":"path","valueString":"Patient"},{"name":"name","valueString":"gender"},{"name":"value","valueCode":"female"}"#;
    let answer = host
        .ask(
            "PATCH /fhir/Patient?identifier=urn:s%7C1",
            &fhirpath("add", gender),
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()["gender"].as_str()),
        (200, Some("female")),
        "{}",
        answer.text()
    );
    let view = r#"{"resourceType":"ViewDefinition","name":"v","status":"active","resource":"Patient","select":[{"column":[{"name":"id","path":"id"}]}]}"#;
    assert_eq!(host.ask("PUT /fhir/ViewDefinition/v", view).await.status, 201);
    let resource = |resource: &str| {
        fhirpath(
            "replace",
            &format!(
                r#"{{"name":"path","valueString":"ViewDefinition.resource"}},{{"name":"value","valueCode":"{resource}"}}"#
            ),
        )
    };
    let path = "PATCH /fhir/ViewDefinition/v";
    assert_eq!(host.ask(path, &resource("Patiend")).await.status, 422);
    assert_eq!(host.ask(path, &resource("Group")).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn patch_is_guessed_from_the_body_when_the_content_type_is_generic() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    assert_eq!(host.patch("application/json", REPLACE).await.status, 200);
    assert_eq!(host.family().await, "Birch 2");
    assert_eq!(
        host.patch("application/fhir+json", &format!(" \n{MERGE}"))
            .await
            .status,
        200
    );
    assert_eq!(host.family().await, "Cedar 3");
    host.stop().await;
}

#[tokio::test]
async fn patch_that_is_not_an_array_is_400_as_json_patch() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    for (media_type, body) in [
        ("application/json-patch+json", MERGE),
        ("application/json-patch+json", "7"),
        ("application/json-patch+json", r#"[{"op":"add"}]"#),
        ("application/json-patch+json", "[{]"),
        ("application/merge-patch+json", REPLACE),
        ("application/json", "\"text\""),
    ] {
        let answer = host.patch(media_type, body).await;
        assert_eq!(answer.outcome(), "400 structure", "{body}");
    }
    assert_eq!(host.family().await, "Ash 1");
    host.stop().await;
}

#[tokio::test]
async fn patch_of_another_kind_is_415_and_names_those_that_are_taken() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    for (media_type, body) in [
        ("application/xml-patch+xml", "<diff/>"),
        ("application/fhir+xml", "<Parameters/>"),
        ("text/plain", REPLACE),
    ] {
        let answer = host.patch(media_type, body).await;
        assert_eq!(answer.outcome(), "415 not-supported", "{media_type}");
        assert!(answer.text().contains("application/merge-patch+json"));
        assert_eq!(
            answer.header("accept-patch"),
            "application/json-patch+json, application/merge-patch+json, application/fhir+json"
        );
    }
    host.stop().await;
}

#[tokio::test]
async fn patch_that_changes_nothing_is_200_and_makes_no_version_and_no_event() {
    let host = Host::start().await;
    let version = host.put_patient("p", "Ash").await;
    let head = *host.log.head().borrow();
    for body in [
        "[]",
        r#"[{"op":"test","path":"/name/0/family","value":"Ash"}]"#,
        r#"[{"op":"replace","path":"/name/0/family","value":"Ash"}]"#,
        r#"{"name":[{"family":"Ash"}],"gender":null}"#,
    ] {
        let answer = host.patch("application/json", body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(answer.json()["meta"]["versionId"], version.as_str());
    }
    assert_eq!(host.family().await, "Ash 1");
    assert_eq!(*host.log.head().borrow(), head);
    host.stop().await;
}

#[tokio::test]
async fn patch_honours_if_match() {
    let host = Host::start().await;
    let version = host.put_patient("p", "Ash").await;
    let patch = async |tag: &str| {
        let headers = [("Content-Type", "application/json-patch+json"), ("If-Match", tag)];
        host.ask_with(PATH, &headers, REPLACE).await
    };
    assert_eq!(patch("W/\"999999\"").await.outcome(), "412 conflict");
    assert_eq!(patch(&version).await.status, 200);
    assert_eq!(patch(&version).await.outcome(), "412 conflict");
    assert_eq!(patch("*").await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn patches_that_race_are_all_applied() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    let patches = (0..8).map(|number| {
        let body = format!(
            r#"[{{"op":"test","path":"/name/0/family","value":"Ash"}},{{"op":"add","path":"/name/-","value":{{"family":"F{number}"}}}}]"#
        );
        let host = &host;
        async move { host.patch("application/json-patch+json", &body).await }
    });
    for answer in futures::future::join_all(patches).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let json = host.get("/fhir/Patient/p").await.json();
    assert_eq!(json["name"].as_array().unwrap().len(), 9);
    assert_eq!(host.family().await, "Ash 9");
    host.stop().await;
}

#[tokio::test]
async fn patch_result_is_checked_like_any_resource() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    let answer = host
        .patch("application/json", r#"{"birthDate":"yesterday"}"#)
        .await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    for (body, expect) in [
        (r#"{"id":"q"}"#, "422 business-rule Resource.id"),
        (
            r#"{"resourceType":"Group"}"#,
            "422 business-rule Resource.resourceType",
        ),
        (
            r#"{"meta":{"versionId":"0"}}"#,
            "422 business-rule Resource.meta.versionId",
        ),
        (r#"[{"op":"remove","path":"/gender"}]"#, "422 processing"),
        (
            r#"[{"op":"test","path":"/name/0/family","value":"Secret"}]"#,
            "422 processing",
        ),
    ] {
        let answer = host.patch("application/json", body).await;
        assert_eq!(answer.outcome(), expect, "{}", answer.text());
        assert!(!answer.text().contains("Secret"));
    }
    assert_eq!(host.family().await, "Ash 1");
    host.stop().await;
}

#[tokio::test]
async fn patch_leaves_the_digits_of_decimals_as_they_are() {
    let host = Host::start().await;
    let body = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},"valueQuantity":{"value":1.00}}"#;
    let made = host.ask("PUT /fhir/Observation/o", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let answer = host
        .ask("PATCH /fhir/Observation/o", r#"{"valueQuantity":{"unit":"kg"}}"#)
        .await;
    assert!(
        answer.text().contains(r#"{"value":1.00,"unit":"kg"}"#),
        "{}",
        answer.text()
    );
    let answer = host
        .ask(
            "PATCH /fhir/Observation/o",
            r#"[{"op":"replace","path":"/valueQuantity/value","value":2.500}]"#,
        )
        .await;
    assert!(
        answer.text().contains(r#"{"value":2.500,"unit":"kg"}"#),
        "{}",
        answer.text()
    );
    host.stop().await;
}

#[tokio::test]
async fn patch_sees_the_resource_as_it_is_answered() {
    let host = Host::start().await;
    host.put_patient("p", "Ash").await;
    let body = r#"[{"op":"test","path":"/meta/extension/0/url","value":"https://aidbox.app/ex/createdAt"},
        {"op":"add","path":"/meta/extension/-","value":{"url":"http://a","valueCode":"x"}}]"#;
    let answer = host.patch("application/json", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["meta"]["extension"].as_array().unwrap().len(), 2);
    host.stop().await;
}

#[tokio::test]
async fn patch_of_what_is_not_there_is_404_and_of_what_was_deleted_410() {
    let host = Host::start().await;
    assert_eq!(
        host.patch("application/json", REPLACE).await.outcome(),
        "404 not-found"
    );
    host.put_patient("p", "Ash").await;
    host.ask("DELETE /fhir/Patient/p", "").await;
    assert_eq!(
        host.patch("application/json", REPLACE).await.outcome(),
        "410 deleted"
    );
    host.stop().await;
}

#[tokio::test]
async fn patch_of_a_definition_goes_through_its_own_checks() {
    let host = Host::start().await;
    let topic = r#"{"resourceType":"AidboxSubscriptionTopic","url":"http://t","status":"active","trigger":[{"resource":"Patient"}]}"#;
    let made = host.ask("PUT /fhir/AidboxSubscriptionTopic/t", topic).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = "PATCH /fhir/AidboxSubscriptionTopic/t";
    let good = r#"[{"op":"add","path":"/trigger/0/fhirPathCriteria","value":"name.exists()"}]"#;
    let answer = host.ask(path, good).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    host.ask("PUT /fhir/Patient/none", r#"{"resourceType":"Patient"}"#)
        .await;
    host.put_patient("named", "Ash").await;
    assert_eq!(host.wanted().await, "- t");
    let bad = r#"[{"op":"replace","path":"/trigger/0/fhirPathCriteria","value":"name.exists("}]"#;
    let answer = host.ask(path, bad).await;
    assert!(
        answer.outcome().contains("trigger[0].fhirPathCriteria"),
        "{}",
        answer.text()
    );
    let view = r#"{"resourceType":"ViewDefinition","name":"v","status":"active","resource":"Patient","select":[{"column":[{"name":"id","path":"id"}]}]}"#;
    assert_eq!(host.ask("PUT /fhir/ViewDefinition/v", view).await.status, 201);
    let path = "PATCH /fhir/ViewDefinition/v";
    assert_eq!(host.ask(path, r#"{"resource":"Patiend"}"#).await.status, 422);
    assert_eq!(host.ask(path, r#"{"title":"Patients"}"#).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn conditional_patch_changes_the_one_that_is_found() {
    let host = Host::start().await;
    let line = "PATCH /fhir/Patient?identifier=urn:s%7C1";
    assert_eq!(host.ask(line, REPLACE).await.outcome(), "404 not-found");
    host.put_identified("p", "1").await;
    let answer = host.ask(line, r#"{"gender":"female"}"#).await;
    assert_eq!(
        (answer.status, answer.json()["gender"].as_str()),
        (200, Some("female"))
    );
    host.put_identified("q", "1").await;
    assert_eq!(host.ask(line, REPLACE).await.outcome(), "412 multiple-matches");
    assert_eq!(
        host.ask("PATCH /fhir/Patient?family=x", REPLACE).await.outcome(),
        "400 not-supported"
    );
    assert_eq!(
        host.ask("PATCH /fhir/Patient", &patient("x")).await.outcome(),
        "405 not-supported"
    );
    host.stop().await;
}
