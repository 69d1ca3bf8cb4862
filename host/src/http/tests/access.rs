//! 6.6 Auth: HTTP Basic clients, bearer tokens, and this machine only without any clients.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;

use super::{Answer, Host};
use crate::config::ClientAccess;
use crate::http::{Access, Client, HttpError, Settings};

fn with_clients() -> Settings {
    Settings {
        access: Access::of(vec![Client::new("ops", "hush")]),
        ..Settings::default()
    }
}

#[tokio::test]
async fn http_basic_with_a_clients_name_and_secret_and_401_without() {
    let host = Host::start_with(with_clients()).await;
    let answer = host.get("/fhir/Patient").await;
    assert_eq!(answer.outcome(), "401 login");
    assert!(answer.header("www-authenticate").starts_with("Basic realm="));
    let basic = format!("Basic {}", STANDARD.encode("ops:hush"));
    let answer = host
        .ask_with("GET /fhir/Patient", &[("Authorization", &basic)], "")
        .await;
    assert_eq!(answer.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn wrong_credentials_and_other_schemes_are_401() {
    let host = Host::start_with(with_clients()).await;
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    for credentials in [
        basic("ops:wrong"),
        basic("other:hush"),
        basic("ops"),
        "Bearer hush".to_owned(),
        "Basic not-base64!".to_owned(),
    ] {
        let answer = host
            .ask_with("GET /fhir/Patient", &[("Authorization", &credentials)], "")
            .await;
        assert_eq!(answer.outcome(), "401 login", "{credentials}");
    }
    host.stop().await;
}

/// Asks for a token with a form.
async fn ask_for_token(host: &Host, headers: &[(&str, &str)], form: &str) -> Answer {
    let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    host.ask_with("POST /auth/token", &all, form).await
}

const WITH_SECRET: &str = "grant_type=client_credentials&client_id=ops&client_secret=hush";

#[tokio::test]
async fn bearer_token_for_a_clients_name_and_secret_in_a_form_in_json_or_by_basic() {
    let host = Host::start_with(with_clients()).await;
    let json = r#"{"grant_type":"client_credentials","client_id":"ops","client_secret":"hush"}"#;
    let basic = format!("Basic {}", STANDARD.encode("ops:hush"));
    for answer in [
        ask_for_token(&host, &[], WITH_SECRET).await,
        host.ask_with("POST /auth/token", &[("Content-Type", "application/json")], json)
            .await,
        ask_for_token(
            &host,
            &[("Authorization", &basic)],
            "grant_type=client_credentials&scope=x",
        )
        .await,
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-type"), "application/json");
        let token = answer.json();
        assert_eq!(
            (&token["token_type"], &token["expires_in"]),
            (&"Bearer".into(), &3600.into())
        );
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        for line in ["GET /fhir/Patient", "GET /metrics", "GET /fhir/metadata"] {
            let answer = host.ask_with(line, &[("Authorization", &bearer)], "").await;
            assert_eq!(answer.status, 200, "{line}");
        }
        let changed = format!("{bearer}A");
        let answer = host
            .ask_with("GET /fhir/Patient", &[("Authorization", &changed)], "")
            .await;
        assert_eq!(answer.outcome(), "401 login");
    }
    host.stop().await;
}

#[tokio::test]
async fn bearer_token_is_refused_as_oauth_has_it() {
    let host = Host::start_with(with_clients()).await;
    let basic = format!("Basic {}", STANDARD.encode("ops:hush"));
    let basic = ("Authorization", basic.as_str());
    for (headers, form, expect) in [
        (
            &[][..],
            "grant_type=client_credentials&client_id=ops&client_secret=no",
            "401 invalid_client",
        ),
        (
            &[],
            "grant_type=client_credentials&client_id=x&client_secret=hush",
            "401 invalid_client",
        ),
        (&[], "grant_type=client_credentials", "401 invalid_client"),
        (
            &[],
            "grant_type=password&username=ops&password=hush",
            "400 unsupported_grant_type",
        ),
        (&[], "client_id=ops&client_secret=hush", "400 invalid_request"),
        (&[], "", "400 invalid_request"),
        (
            &[],
            "grant_type=client_credentials&client_id=a&client_id=b",
            "400 invalid_request",
        ),
        (&[basic], WITH_SECRET, "400 invalid_request"),
        (
            &[("Content-Type", "text/plain")],
            WITH_SECRET,
            "400 invalid_request",
        ),
    ] {
        let answer = match headers {
            [("Content-Type", _)] => host.ask_with("POST /auth/token", headers, form).await,
            headers => ask_for_token(&host, headers, form).await,
        };
        let json = answer.json();
        assert_eq!(
            format!("{} {}", answer.status, json["error"].as_str().unwrap()),
            expect,
            "{form}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("www-authenticate").is_empty(), answer.status == 400);
        assert!(!answer.text().contains("hush"), "{}", answer.text());
    }
    assert_eq!(host.get("/auth/token").await.outcome(), "405 not-supported");
    let long = format!("{WITH_SECRET}&x={}", "x".repeat(17 << 10));
    assert_eq!(ask_for_token(&host, &[], &long).await.outcome(), "413 too-long");
    host.stop().await;
}

#[tokio::test]
async fn bearer_token_ends_with_the_host() {
    let host = Host::start_with(with_clients()).await;
    let token = ask_for_token(&host, &[], WITH_SECRET).await.json()["access_token"].clone();
    host.stop().await;
    let host = Host::start_with(with_clients()).await;
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let answer = host
        .ask_with("GET /fhir/Patient", &[("Authorization", &bearer)], "")
        .await;
    assert_eq!(answer.outcome(), "401 login");
    assert!(answer.text().contains("POST /auth/token"));
    host.stop().await;
}

#[tokio::test]
async fn bearer_token_is_not_to_be_had_where_nobody_needs_one() {
    let host = Host::start().await;
    let answer = ask_for_token(&host, &[], WITH_SECRET).await;
    assert_eq!(answer.outcome(), "404 not-found");
    host.stop().await;
}

impl Host {
    /// Asks as the client whose secret is its name.
    async fn ask_as(&self, client: &str, line: &str, body: &str) -> Answer {
        let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{client}")));
        self.ask_with(line, &[("Authorization", &basic)], body).await
    }
}

/// A client of each access, named as it.
async fn with_each_access() -> Host {
    let each = [ClientAccess::Read, ClientAccess::Resources, ClientAccess::All];
    let client = |access: ClientAccess| Client::new(access.as_str(), access.as_str()).with_access(access);
    Host::start_with(Settings {
        access: Access::of(each.map(client).to_vec()),
        ..Settings::default()
    })
    .await
}

const VIEW: &str = r#"{"resourceType":"ViewDefinition","id":"v","name":"v","resource":"Patient","status":"active",
    "select":[{"column":[{"name":"id","path":"id"}]}]}"#;

#[tokio::test]
async fn forbidden_is_403_and_says_which_access_it_takes() {
    let host = with_each_access().await;
    let patient = super::patient("Ash");
    for (line, body, needed) in [
        ("PUT /fhir/Patient/a", patient.as_str(), "resources"),
        ("GET /fhir/Patient/a", "", "read"),
        ("GET /fhir/Patient", "", "read"),
        ("GET /fhir/Patient/$changes", "", "read"),
        ("GET /metrics", "", "read"),
        ("POST /fhir/Patient/$load", "", "resources"),
        ("PUT /fhir/ViewDefinition/v", VIEW, "all"),
        ("GET /fhir/ViewDefinition/v", "", "read"),
        ("GET /fhir/ViewDefinition/v/$run", "", "read"),
        ("POST /fhir/ViewDefinition/v/$materialize", "", "all"),
        ("POST /fhir/AidboxTopicDestination/x/$pause", "", "all"),
        ("PUT /ingest/hapi/Patient/h", patient.as_str(), "resources"),
        ("DELETE /fhir/Patient/a", "", "resources"),
    ] {
        let order = ["read", "resources", "all"];
        let rank = |access: &str| order.iter().position(|known| *known == access);
        for client in order {
            let answer = host.ask_as(client, line, body).await;
            let is_allowed = rank(client) >= rank(needed);
            assert_eq!(
                answer.status != 403,
                is_allowed,
                "{client} {line}: {}",
                answer.text()
            );
            if !is_allowed {
                assert_eq!(answer.outcome(), "403 forbidden");
                let told = format!("needs \\\"{needed}\\\"");
                assert!(answer.text().contains(&told), "{}", answer.text());
            }
        }
    }
    host.stop().await;
}

fn bundle(kind: &str, entries: &[(&str, &str, &str)]) -> String {
    let entry = |(method, url, resource): &(&str, &str, &str)| {
        let resource = match resource.is_empty() {
            true => String::new(),
            false => format!(r#","resource":{resource}"#),
        };
        format!(r#"{{"request":{{"method":"{method}","url":"{url}"}}{resource}}}"#)
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#,
        entries.join(",")
    )
}

#[tokio::test]
async fn forbidden_entries_of_a_batch_are_403_and_the_others_are_done() {
    let host = with_each_access().await;
    let patient = super::patient("Ash");
    let entries = [
        ("GET", "Patient", ""),
        ("POST", "Patient", &*patient),
        ("PUT", "ViewDefinition/v", VIEW),
    ];
    for (client, expect) in [
        ("read", ["200", "403", "403"]),
        ("resources", ["200", "201", "403"]),
        ("all", ["200", "201", "201"]),
    ] {
        let answer = host
            .ask_as(client, "POST /fhir", &bundle("batch", &entries))
            .await
            .json();
        let statuses = answer["entry"].as_array().unwrap().iter();
        let statuses: Vec<&str> = statuses
            .map(|entry| entry["response"]["status"].as_str().unwrap())
            .collect();
        assert_eq!(statuses, expect, "{client}");
    }
    let collection = r#"{"resourceType":"Bundle","type":"collection","entry":[
        {"resource":{"resourceType":"Patient","id":"c"}}]}"#;
    let answer = host.ask_as("read", "POST /fhir", collection).await.json();
    assert_eq!(answer["entry"][0]["response"]["status"], "403");
    host.stop().await;
}

#[tokio::test]
async fn forbidden_entries_refuse_a_transaction_as_a_whole() {
    let host = with_each_access().await;
    let patient = super::patient("Ash");
    let transaction = |last: (&str, &str, &str)| {
        let entries = [("GET", "Patient", ""), ("PUT", "Patient/a", &*patient), last];
        bundle("transaction", &entries)
    };
    let topic_deleted = transaction(("DELETE", "AidboxSubscriptionTopic/t", ""));
    let view = transaction(("PUT", "/fhir/ViewDefinition/v/", VIEW));
    let encoded = transaction(("PUT", "View%44efinition/v", VIEW));
    for (client, text, place) in [
        ("read", &view, "Bundle.entry[1].request"),
        ("resources", &view, "Bundle.entry[2].request"),
        ("resources", &encoded, "Bundle.entry[2].request"),
        ("resources", &topic_deleted, "Bundle.entry[2].request"),
    ] {
        let answer = host.ask_as(client, "POST /fhir", text).await;
        assert_eq!(answer.outcome(), format!("403 forbidden {place}"), "{client}");
        let read = host.ask_as("all", "GET /fhir/Patient/a", "").await;
        assert_eq!(read.status, 404);
    }
    let reads = bundle("transaction", &[("GET", "Patient", "")]);
    assert_eq!(host.ask_as("read", "POST /fhir", &reads).await.status, 200);
    let resources = transaction(("DELETE", "Patient/b", ""));
    assert_eq!(
        host.ask_as("resources", "POST /fhir", &resources).await.status,
        200
    );
    assert_eq!(host.ask_as("all", "POST /fhir", &view).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn forbidden_feeds_are_403_at_whatever_address_they_are_sent_to() {
    let host = with_each_access().await;
    let notification = r#"{"resourceType":"Bundle","type":"history","entry":[{"resource":
        {"resourceType":"Parameters","parameter":[{"name":"subscription","valueReference":{"reference":"Subscription/s"}},
        {"name":"status","valueCode":"active"},{"name":"type","valueCode":"heartbeat"}]}}]}"#;
    for line in ["POST /fhir", "POST /ingest/bundle"] {
        let refused = host.ask_as("read", line, notification).await;
        assert_eq!(refused.outcome(), "403 forbidden", "{line}");
        let taken = host.ask_as("resources", line, notification).await;
        assert_eq!(taken.status, 200, "{line}: {}", taken.text());
    }
    host.stop().await;
}

#[tokio::test]
async fn a_bearer_token_may_do_what_its_client_may() {
    let host = with_each_access().await;
    let form = "grant_type=client_credentials&client_id=read&client_secret=read";
    let token = ask_for_token(&host, &[], form).await.json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let bearer = [("Authorization", bearer.as_str())];
    assert_eq!(host.ask_with("GET /fhir/Patient", &bearer, "").await.status, 200);
    let write = host
        .ask_with("PUT /fhir/Patient/a", &bearer, &super::patient("Ash"))
        .await;
    assert_eq!(write.outcome(), "403 forbidden");
    host.stop().await;
}

#[tokio::test]
async fn the_health_check_asks_for_no_credentials() {
    let host = Host::start_with(with_clients()).await;
    assert_eq!(host.get("/health").await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn a_web_page_elsewhere_cannot_reach_a_server_without_credentials() {
    let host = Host::start().await;
    let rebound = b"GET /fhir/Patient HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(host.say(rebound).await.outcome(), "403 forbidden");
    let crossing = host
        .ask_with("GET /fhir/Patient", &[("Origin", "https://evil.example")], "")
        .await;
    assert_eq!(crossing.outcome(), "403 forbidden");
    host.stop().await;
}

#[tokio::test]
async fn without_clients_a_listener_that_all_can_reach_is_refused() {
    let host = Host::start().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let app =
        std::sync::Arc::new(super::app(host.log.clone(), host.folder.path(), &Settings::default()).await);
    let served = crate::http::serve(listener, app, Settings::default(), host.shutdown.clone()).await;
    assert!(matches!(served, Err(HttpError::Open { .. })));
    host.stop().await;
}
