//! 6.7 Bulk load.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Host};
use crate::change::Offset;
use crate::log::ReadBound;

const LINES: (&str, &str) = ("Content-Type", "application/fhir+ndjson");

fn patients(ids: std::ops::Range<usize>) -> String {
    ids.map(|id| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{id}\"}}\n"))
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

impl Host {
    async fn load_bytes(&self, path: &str, body: &[u8]) -> Answer {
        let mut text = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Encoding: gzip\r\n\
             Content-Type: application/fhir+ndjson\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        text.extend_from_slice(body);
        self.say(&text).await
    }

    /// How many changes there are, and how many of them some topic wanted.
    async fn wanted_changes(&self) -> (usize, usize) {
        let bound = ReadBound {
            changes: 100_000,
            bytes: usize::MAX,
            through: None,
        };
        let changes = self.log.changes(Offset::START, bound).await.unwrap();
        let patients = changes
            .iter()
            .filter(|change| change.version.key.resource_type() == "Patient");
        let patients: Vec<_> = patients.collect();
        let wanted = patients
            .iter()
            .filter(|change| !change.matched.topics.is_empty())
            .count();
        (patients.len(), wanted)
    }

    async fn wait_for_import(&self, path: &str) -> Value {
        loop {
            let status = self.get(path).await.json();
            if status["status"] == "done" {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn write_file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }
}

#[tokio::test]
async fn lines_that_come_with_the_request_are_loaded_plain_and_compressed() {
    let host = Host::start().await;
    let plain = host.ask_with("POST /fhir/$load", &[LINES], &patients(0..5)).await;
    assert_eq!((plain.status, plain.text()), (200, r#"{"Patient":5}"#.to_owned()));
    let typed = host
        .load_bytes("/fhir/Patient/$load", &gzip(patients(3..9).as_bytes()))
        .await;
    assert_eq!((typed.status, typed.text()), (200, r#"{"total":6}"#.to_owned()));
    let untyped = host
        .ask_with("POST /fhir/Patient/$load", &[LINES], "{\"id\":\"x\"}\n{}\n")
        .await;
    let json = untyped.json();
    assert_eq!(
        (&json["total"], &json["refused"], &json["lines"][0]["line"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(host.get("/fhir/Patient/x").await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn a_line_that_cannot_be_taken_is_listed_by_its_number_and_the_rest_is_loaded() {
    let host = Host::start().await;
    let bad = "{\"resourceType\":\"Patient\",\"id\":\"a\",\"nonsense\":1}\n";
    let text = format!("{}{bad}not json\n{}", patients(0..1), patients(1..2));
    let json = host.ask_with("POST /fhir/$load", &[LINES], &text).await.json();
    assert_eq!((&json["Patient"], &json["refused"]), (&json!(2), &json!(2)));
    assert_eq!(
        (&json["lines"][0]["line"], &json["lines"][1]["line"]),
        (&json!(2), &json!(3))
    );
    let reported = host
        .ask_with("POST /fhir/$load?invalid=report", &[LINES], bad)
        .await
        .json();
    assert_eq!(
        (&reported["Patient"], &reported["invalid"]),
        (&json!(1), &json!(1))
    );
    let nothing = host
        .ask_with("POST /fhir/$load", &[LINES], "nothing\nnothing\n")
        .await;
    assert_eq!(nothing.outcome(), "422 invalid");
    host.stop().await;
}

#[tokio::test]
async fn a_body_larger_than_any_bound_of_bodies_is_loaded_as_it_arrives() {
    let host = Host::start_with(crate::http::Settings {
        limits: crate::http::Limits {
            max_body_bytes: 1000,
            ..crate::http::Limits::default()
        },
        ..crate::http::Settings::default()
    })
    .await;
    let answer = host
        .ask_with("POST /fhir/$load", &[LINES], &patients(0..5000))
        .await;
    assert_eq!(answer.text(), r#"{"Patient":5000}"#);
    host.stop().await;
}

#[tokio::test]
async fn what_expands_without_end_or_ends_early_is_refused() {
    let host = Host::start().await;
    let bomb = gzip(&vec![b'0'; 4 * 1024 * 1024]);
    assert_eq!(
        host.load_bytes("/fhir/$load", &bomb).await.outcome(),
        "413 too-long"
    );
    let mut cut = gzip(patients(0..10).as_bytes());
    cut.truncate(cut.len() - 6);
    assert_eq!(
        host.load_bytes("/fhir/$load", &cut).await.outcome(),
        "400 structure"
    );
    host.stop().await;
}

#[tokio::test]
async fn a_load_records_changes_unless_it_is_told_not_to() {
    let host = Host::start().await;
    let topic = |id: &str| {
        json!({"resourceType": "AidboxSubscriptionTopic", "id": id, "url": format!("http://{id}"), "status": "active",
            "trigger": [{"resource": "Patient"}]})
        .to_string()
    };
    host.ask("POST /fhir/AidboxSubscriptionTopic", &topic("t")).await;
    host.ask_with("POST /fhir/$load", &[LINES], &patients(0..3)).await;
    assert_eq!(host.wanted_changes().await, (3, 3));
    host.ask_with("POST /fhir/$load?recordChanges=false", &[LINES], &patients(0..3))
        .await;
    assert_eq!(host.wanted_changes().await, (6, 3));
    host.stop().await;
}

#[tokio::test]
async fn a_place_that_a_request_may_name_is_loaded_and_another_is_not() {
    let host = Host::start().await;
    host.write_file("p.ndjson.gz", gzip(patients(0..4).as_bytes()));
    let load = async |body: Value| host.ask("POST /fhir/$load", &body.to_string()).await;
    assert_eq!(
        load(json!({"source": "p.ndjson.gz", "update": true}))
            .await
            .text(),
        r#"{"Patient":4}"#
    );
    assert_eq!(
        load(json!({"source": "/etc/passwd"})).await.outcome(),
        "403 forbidden"
    );
    assert_eq!(
        load(json!({"source": "gone.ndjson"})).await.outcome(),
        "422 not-found"
    );
    assert_eq!(
        load(json!({"source": "p.ndjson.gz", "merge": {}}))
            .await
            .outcome(),
        "422 not-supported"
    );
    assert_eq!(load(json!({})).await.outcome(), "400 structure");
    assert_eq!(host.get("/fhir/$load").await.outcome(), "405 not-supported");
    assert_eq!(
        host.ask("POST /fhir/Nothing/$load", "{}").await.outcome(),
        "404 not-found"
    );
    host.stop().await;
}

#[tokio::test]
async fn an_import_is_answered_at_once_and_says_how_far_it_is() {
    let host = Host::start().await;
    host.write_file("a.ndjson", patients(0..3000));
    host.write_file("b.ndjson", "{\"id\":\"x\"}\nnonsense\n");
    let import = json!({"id": "first", "contentEncoding": "plain", "inputs": [
        {"resourceType": "Patient", "url": "a.ndjson"}, {"resourceType": "Patient", "url": "b.ndjson"}]});
    let answer = host.ask("POST /fhir/$import", &import.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("content-location"),
        "http://localhost/fhir/BulkImportStatus/first"
    );
    let again = host.ask("POST /v2/fhir/$import", &import.to_string()).await;
    assert_eq!(again.outcome(), "409 conflict");
    let status = host.wait_for_import("/fhir/BulkImportStatus/first").await;
    assert_eq!(status["outcome"], "succeeded");
    assert_eq!(
        (
            &status["inputs"][0]["total"],
            &status["inputs"][0]["stored"]["Patient"]
        ),
        (&json!(3000), &json!(3000))
    );
    let second = &status["inputs"][1];
    assert_eq!(
        (&second["total"], &second["refused"], &second["lines"][0]["line"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(host.get("/v2/$import/first").await.json(), status);
    assert_eq!(host.get("/v2/$import/none").await.outcome(), "404 not-found");
    let forbidden = json!({"inputs": [{"url": "/etc/passwd"}]}).to_string();
    assert_eq!(
        host.ask("POST /v2/fhir/$import", &forbidden).await.outcome(),
        "403 forbidden"
    );
    host.stop().await;
}

#[tokio::test]
async fn an_import_reads_what_another_server_serves() {
    let host = Host::start().await;
    host.ask_with("POST /fhir/$load", &[LINES], &patients(0..1)).await;
    // What the host serves itself is not NDJSON of resources with ids, but it is served.
    let url = format!("http://127.0.0.1:{}/nothing", host.address.port());
    let import = json!({"id": "a", "allowedRetryCount": 0, "inputs": [{"url": url}]}).to_string();
    host.ask("POST /v2/fhir/$import", &import).await;
    let status = host.wait_for_import("/v2/$import/a").await;
    assert_eq!(
        (&status["outcome"], &status["inputs"][0]["status"]),
        (&json!("failed"), &json!("failed"))
    );
    let problem = status["inputs"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("the server answers 404"), "{problem}");
    let one = format!("http://127.0.0.1:{}/fhir/Patient/p0", host.address.port());
    let load = host
        .ask("POST /fhir/$load", &json!({"source": one}).to_string())
        .await;
    assert_eq!(load.text(), r#"{"Patient":1}"#);
    host.stop().await;
}
