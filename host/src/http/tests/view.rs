//! 3.3 Operations on ViewDefinitions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Answer, Host};

fn definition(path: &str) -> Value {
    json!({
        "resourceType": "ViewDefinition",
        "name": "patient_flat",
        "status": "active",
        "resource": "Patient",
        "select": [{"column": [{"name": "id", "path": "getResourceKey()"}, {"name": "family", "path": path}]}],
    })
}

fn parameters(list: Value) -> String {
    json!({"resourceType": "Parameters", "parameter": list}).to_string()
}

const FAMILY: &str = "name.first().family";

impl Host {
    async fn with_view() -> Self {
        let host = Self::start().await;
        let put = host
            .ask("PUT /fhir/ViewDefinition/v", &definition(FAMILY).to_string())
            .await;
        assert_eq!(put.status, 201, "{}", put.text());
        host
    }

    async fn run(&self, query: &str, accept: &str) -> Answer {
        let line = format!("GET /fhir/ViewDefinition/v/$run{query}");
        self.ask_with(&line, &[("Accept", accept)], "").await
    }

    async fn materialize(&self, path: &str, list: Value) -> Answer {
        self.ask(
            &format!("POST /fhir/ViewDefinition/{path}$materialize"),
            &parameters(list),
        )
        .await
    }
}

#[tokio::test]
async fn a_view_that_does_not_compile_is_422_at_its_path() {
    let host = Host::start().await;
    let body = definition("nme.family").to_string();
    let answer = host.ask("POST /fhir/ViewDefinition", &body).await;
    assert_eq!(
        answer.outcome(),
        "422 value ViewDefinition.select[0].column[1].path"
    );
    host.stop().await;
}

#[tokio::test]
async fn materialize_answers_the_name_the_type_and_the_schema() {
    let host = Host::with_view().await;
    let answer = host
        .materialize("v/", json!([{"name": "type", "valueCode": "view"}]))
        .await;
    assert_eq!(
        (answer.status, answer.json()["parameter"].to_string()),
        (
            200,
            concat!(
                r#"[{"name":"viewName","valueString":"sof.patient_flat"},{"name":"viewType","valueCode":"view"},"#,
                r#"{"name":"viewSchema","valueString":"sof"}]"#
            )
            .to_owned()
        )
    );
    let by_reference = json!([
        {"name": "type", "valueCode": "table"},
        {"name": "viewReference", "valueReference": {"reference": "ViewDefinition/v"}},
    ]);
    assert_eq!(host.materialize("", by_reference).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn materialize_refuses_a_type_that_there_is_not_and_a_view_named_twice_or_never() {
    let host = Host::with_view().await;
    let bad = host
        .materialize("v/", json!([{"name": "type", "valueCode": "index"}]))
        .await;
    assert_eq!(bad.outcome(), "422 value Parameters.parameter[0]");
    assert_eq!(bad.json()["issue"][0]["severity"], "fatal");
    assert_eq!(
        bad.json()["issue"][0]["diagnostics"],
        "Invalid materialization type"
    );
    let kind = json!({"name": "type", "valueCode": "view"});
    let resource = json!({"name": "viewResource", "resource": definition(FAMILY)});
    assert_eq!(host.materialize("", json!([kind])).await.status, 422);
    assert_eq!(host.materialize("v/", json!([kind, resource])).await.status, 422);
    assert_eq!(
        host.materialize("gone/", json!([kind])).await.outcome(),
        "404 not-found"
    );
    host.stop().await;
}

#[tokio::test]
async fn an_issue_of_a_view_in_the_request_points_into_the_request() {
    let host = Host::start().await;
    let list = json!([{"name": "viewResource", "resource": definition("nme.family")}]);
    let answer = host
        .ask("POST /fhir/ViewDefinition/$run", &parameters(list))
        .await;
    assert_eq!(
        answer.outcome(),
        "422 value Parameters.parameter[0].resource.select[0].column[1].path"
    );
    host.stop().await;
}

#[tokio::test]
async fn run_answers_the_rows_raw_when_their_media_type_is_accepted_and_else_a_binary() {
    let host = Host::with_view().await;
    host.put_patient("a", "Ash").await;
    host.put_patient("b", "Birch").await;
    let rows = "{\"id\":\"a\",\"family\":\"Ash\"}\n{\"id\":\"b\",\"family\":\"Birch\"}\n";
    let raw = host.run("?_format=ndjson", "application/x-ndjson").await;
    assert_eq!(
        (raw.text().as_str(), raw.header("content-type")),
        (rows, "application/x-ndjson")
    );
    let wrapped = host.run("?_format=ndjson", "application/fhir+json").await.json();
    assert_eq!(wrapped["resourceType"], "Binary");
    assert_eq!(
        STANDARD.decode(wrapped["data"].as_str().unwrap()).unwrap(),
        rows.as_bytes()
    );
    assert_eq!(
        host.run("", "text/csv").await.text(),
        "id,family\na,Ash\nb,Birch\n"
    );
    assert_eq!(
        host.run("", "application/json").await.json()[1]["family"],
        "Birch"
    );
    assert!(
        host.run("", "application/vnd.apache.parquet")
            .await
            .body
            .starts_with(b"PAR1")
    );
    assert_eq!(
        host.run("?_format=xml", "*/*").await.outcome(),
        "422 value _format"
    );
    host.stop().await;
}

#[tokio::test]
async fn run_takes_a_limit_a_patient_and_a_time() {
    let host = Host::with_view().await;
    host.put_patient("a", "Ash").await;
    host.put_patient("b", "Birch").await;
    let csv = async |query: &str| host.run(query, "text/csv").await.text();
    assert_eq!(csv("?_limit=1").await, "id,family\na,Ash\n");
    assert_eq!(csv("?_limit=0").await, "id,family\n");
    assert_eq!(csv("?patient=Patient/b").await, "id,family\nb,Birch\n");
    assert_eq!(csv("?_since=2999-01-01T00:00:00Z").await, "id,family\n");
    assert_eq!(
        host.run("?_since=then", "text/csv").await.outcome(),
        "422 value _since"
    );
    assert_eq!(
        host.run("?group=g", "text/csv").await.outcome(),
        "422 not-supported group"
    );
    host.stop().await;
}

#[tokio::test]
async fn run_with_resources_does_not_look_at_what_is_stored() {
    let host = Host::with_view().await;
    host.put_patient("stored", "Ash").await;
    let list = json!([
        {"name": "resource", "resource": {"resourceType": "Patient", "id": "given", "name": [{"family": "Elm"}]}},
        {"name": "_format", "valueCode": "csv"},
    ]);
    let line = "POST /fhir/ViewDefinition/v/$run";
    let answer = host
        .ask_with(line, &[("Accept", "text/csv")], &parameters(list))
        .await;
    assert_eq!(answer.text(), "id,family\ngiven,Elm\n");
    host.stop().await;
}
