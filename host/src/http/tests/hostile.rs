//! Bad input and hostile clients: each gets its answer or loses its connection, and the next client is served.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Host, patient};
use crate::http::{Limits, Settings};

fn impatient() -> Settings {
    Settings {
        limits: Limits {
            header_timeout: Duration::from_millis(200),
            body_timeout: Duration::from_millis(200),
            ..Limits::default()
        },
        ..Settings::default()
    }
}

async fn assert_serves(host: &Host) {
    assert_eq!(host.get("/fhir/metadata").await.status, 200);
}

async fn put(host: &Host, body: &str) -> String {
    host.ask("PUT /fhir/Patient/p", body).await.outcome()
}

#[tokio::test]
async fn half_a_request_loses_its_connection() {
    let host = Host::start_with(impatient()).await;
    let mut stream = host.connect().await;
    stream
        .write_all(b"GET /fhir/Patient HTTP/1.1\r\nHos")
        .await
        .unwrap();
    let mut rest = Vec::new();
    // Ends when the server closes, with or without a last word.
    stream.read_to_end(&mut rest).await.ok();
    assert_serves(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn a_body_that_trickles_is_answered_408() {
    let host = Host::start_with(impatient()).await;
    let mut stream = host.connect().await;
    let head = "PUT /fhir/Patient/p HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_serves(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn loads_that_trickle_are_in_no_other_requests_way() {
    let limits = Limits {
        max_requests: 1,
        max_loads: 1,
        ..Limits::default()
    };
    let host = Host::start_with(Settings {
        limits,
        ..Settings::default()
    })
    .await;
    let load = "POST /fhir/$load HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Type: application/fhir+ndjson\r\nContent-Length: 1000\r\n\r\n{";
    let mut trickling = host.connect().await;
    trickling.write_all(load.as_bytes()).await.unwrap();
    // Once the first one is being read there is no room for another.
    let second = "POST /fhir/$load HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Type: application/fhir+ndjson\r\nContent-Length: 0\r\n\r\n";
    while host.say(second.as_bytes()).await.status != 503 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_serves(&host).await;
    host.put_patient("p", "Ash").await;
    drop(trickling);
    host.stop().await;
}

#[tokio::test]
async fn a_bomb_of_headers_is_refused() {
    let host = Host::start().await;
    let large = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    assert_eq!(host.say(large.as_bytes()).await.status, 431);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n",
        "x".repeat(33_000)
    );
    assert_eq!(host.say(long.as_bytes()).await.outcome(), "431 too-long");
    let many = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        "X: y\r\n".repeat(500)
    );
    assert_eq!(host.say(many.as_bytes()).await.status, 431);
    assert_serves(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn a_resource_of_50_mb_is_answered_413_before_it_is_sent() {
    let host = Host::start().await;
    let head = "PUT /fhir/Patient/p HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 50000000\r\n\r\n";
    assert_eq!(host.say(head.as_bytes()).await.outcome(), "413 too-long");
    assert_serves(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn a_resource_that_does_not_say_its_size_is_cut_off_at_the_limit() {
    let settings = Settings {
        limits: Limits {
            max_body_bytes: 10_000,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let host = Host::start_with(settings).await;
    let mut text = b"PUT /fhir/Patient/p HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..20 {
        text.extend_from_slice(format!("3e8\r\n{}\r\n", "x".repeat(1000)).as_bytes());
    }
    assert_eq!(host.say(&text).await.outcome(), "413 too-long");
    host.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back() {
    let settings = Settings {
        limits: Limits {
            max_connections: 1,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let host = Host::start_with(settings).await;
    let mut first = host.connect().await;
    first
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut start = [0; 12];
    first.read_exact(&mut start).await.unwrap();
    let turned_away = host.get("/health").await;
    assert_eq!(turned_away.outcome(), "503 throttled");
    assert_eq!(turned_away.header("retry-after"), "5");
    drop(first);
    host.stop().await;
}

#[tokio::test]
async fn json_that_is_broken_too_deep_or_says_a_thing_twice_is_400() {
    let host = Host::start().await;
    let deep = format!(
        r#"{{"resourceType":"Patient","a":{}1{}}}"#,
        "[".repeat(100),
        "]".repeat(100)
    );
    assert!(put(&host, &deep).await.starts_with("400 structure"));
    for text in [
        r#"{"resourceType":"Patient""#,
        r#"{"resourceType":"Patient","active":true,"active":false}"#,
        r#"{"resourceType":"Patient","language":"a\u0000b"}"#,
        r#"[]"#,
        r#"{"resourceType":"Patient"} x"#,
    ] {
        assert!(put(&host, text).await.starts_with("400 structure"), "{text}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_400_and_nothing_is_stored() {
    let host = Host::start().await;
    let mut text = b"PUT /fhir/Patient/p HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Type: application/json\r\nContent-Length: 44\r\n\r\n"
        .to_vec();
    text.extend_from_slice(b"{\"resourceType\":\"Patient\",\"language\":\"\xff\xfe\xff\xfe\"}");
    let answer = host.say(&text).await;
    assert!(answer.outcome().starts_with("400 structure"));
    assert_eq!(host.get("/fhir/Patient/p").await.status, 404);
    host.stop().await;
}

#[tokio::test]
async fn an_id_with_a_slash_is_422_at_its_element() {
    let host = Host::start().await;
    let body = r#"{"resourceType":"Patient","id":"a/b"}"#;
    assert_eq!(
        host.ask("POST /fhir/Patient", body).await.outcome(),
        "422 value Patient.id"
    );
    let put = host.ask("PUT /fhir/Patient/a%2Fb", &patient("A")).await;
    assert_eq!(put.outcome(), "422 value Patient.id");
    host.stop().await;
}

#[tokio::test]
async fn an_answer_never_repeats_what_was_sent() {
    let host = Host::start().await;
    for body in [
        r#"{"resourceType":"Patient","id":"Jane Doe"}"#,
        r#"{"resourceType":"Jane Doe"}"#,
        r#"{"resourceType":"Patient","name":Jane Doe}"#,
    ] {
        let answer = host.ask("POST /fhir/Patient", body).await;
        assert!(
            answer.status >= 400 && !answer.text().contains("Jane"),
            "{}",
            answer.text()
        );
    }
    host.stop().await;
}

#[tokio::test]
async fn stopping_finishes_the_request_under_way() {
    let host = Host::start().await;
    let mut stream = host.connect().await;
    let body = patient("Ash");
    let head = format!(
        "PUT /fhir/Patient/p HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..10]).await.unwrap();
    assert_serves(&host).await;
    host.shutdown.cancel();
    stream.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
    host.stop().await;
}
