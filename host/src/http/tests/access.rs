//! 6.6 Auth: HTTP Basic clients, and this machine only without any.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;

use super::Host;
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
