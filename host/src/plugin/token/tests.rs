//! The broker against a token endpoint on loopback that counts what it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use lakefeed_plugin_api::{Category, Retry, TokenRequest};

use super::*;

/// What the endpoint does, by the number of the question.
type Answers = Arc<dyn Fn(u64, &str, &HeaderMap) -> (StatusCode, String) + Send + Sync>;

#[derive(Clone)]
struct Endpoint {
    asked: Arc<AtomicU64>,
    answers: Answers,
}

struct Served {
    broker: Arc<TokenBroker>,
    server: String,
    asked: Arc<AtomicU64>,
    now: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

async fn serve(
    answers: impl Fn(u64, &str, &HeaderMap) -> (StatusCode, String) + Send + Sync + 'static,
) -> Served {
    let asked = Arc::new(AtomicU64::new(0));
    let endpoint = Endpoint {
        asked: Arc::clone(&asked),
        answers: Arc::new(answers),
    };
    let answer = |State(endpoint): State<Endpoint>, headers: HeaderMap, body: String| async move {
        let number = endpoint.asked.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        (endpoint.answers)(number, &body, &headers)
    };
    let app = Router::new()
        .route("/oidc/v1/token", post(answer))
        .with_state(endpoint);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        SecretReference::File(path.display().to_string())
    };
    let now = Arc::new(AtomicU64::new(1_000_000));
    let clock = Arc::clone(&now);
    let settings = TokenSettings {
        hosts: vec![address.to_string()],
        client_id: file("id", "sp-1\n"),
        client_secret: file("secret", "s3cr3t\n"),
    };
    Served {
        broker: Arc::new(TokenBroker::with_clock(
            settings,
            Arc::new(move || clock.load(Ordering::SeqCst)),
        )),
        server: format!("http://{address}"),
        asked,
        now,
        _folder: folder,
    }
}

impl Served {
    fn request(&self, table: &str) -> TokenRequest {
        TokenRequest {
            server: self.server.clone(),
            resource: table.to_owned(),
            ..TokenRequest::default()
        }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

fn good(number: u64) -> (StatusCode, String) {
    (
        StatusCode::OK,
        format!(r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":"3600"}}"#),
    )
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_fetch_and_each_table_has_its_own() {
    let served = serve(|number, _, headers| {
        assert_eq!(headers["authorization"], "Basic c3AtMTpzM2NyM3Q=");
        good(number)
    })
    .await;
    let request = served.request("a");
    let (one, two) = tokio::join!(served.broker.token(&request), served.broker.token(&request));
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(served.asked(), 1);
    served.broker.token(&served.request("b")).await.unwrap();
    assert_eq!(served.asked(), 2);
}

#[tokio::test]
async fn an_hour_of_traffic_to_one_table_takes_one_token() {
    let served = serve(|number, _, _| good(number)).await;
    let request = served.request("a");
    for _ in 0..(54 * 60) {
        served.broker.token(&request).await.unwrap();
        served.now.fetch_add(1_000, Ordering::SeqCst);
    }
    assert_eq!(served.asked(), 1);
    served.now.fetch_add(2 * 60_000, Ordering::SeqCst);
    let token = served.broker.token(&request).await.unwrap();
    assert_eq!((served.asked(), token.bearer.reveal()), (2, "t2"));
}

#[tokio::test]
async fn a_day_of_traffic_to_one_table_takes_a_token_for_each_fifty_five_minutes() {
    let served = serve(|number, _, _| good(number)).await;
    let request = served.request("a");
    for _ in 0..(24 * 60 * 6) {
        let token = served.broker.token(&request).await.unwrap();
        let left = token.expires_at_ms.unwrap() - served.now.load(Ordering::SeqCst);
        assert!(left > REFRESH_BEFORE_MS, "{left} ms left");
        served.now.fetch_add(10_000, Ordering::SeqCst);
    }
    // 24 hours of 60 minutes are 26 times 55 and a rest.
    assert_eq!(served.asked(), 27);
}

#[tokio::test]
async fn a_token_that_was_refused_is_forgotten_once_for_all_who_hold_it() {
    let served = serve(|number, _, _| good(number)).await;
    let request = served.request("a");
    served.broker.token(&request).await.unwrap();
    served.now.fetch_add(60_000, Ordering::SeqCst);
    served.broker.invalidate(&request);
    assert_eq!(served.broker.token(&request).await.unwrap().bearer.reveal(), "t2");
    served.broker.invalidate(&request);
    assert_eq!(served.broker.token(&request).await.unwrap().bearer.reveal(), "t2");
}

#[tokio::test]
async fn a_missing_grant_is_named_with_its_object() {
    let served = serve(|number, body, _| {
        let modify = body.contains("MODIFY");
        match modify {
            true => (
                StatusCode::UNAUTHORIZED,
                r#"{"error":"invalid_authorization_details","error_description":"User is not authorized"}"#
                    .to_owned(),
            ),
            false => good(number),
        }
    })
    .await;
    let request = TokenRequest {
        authorization_details:
            r#"[{"object_type":"SCHEMA","object_full_path":"c.s","privileges":["USE SCHEMA"]},
            {"object_type":"TABLE","object_full_path":"c.s.t","privileges":["SELECT","MODIFY"]}]"#
                .to_owned(),
        ..served.request("a")
    };
    let error = served.broker.token(&request).await.unwrap_err();
    assert_eq!(
        (error.category, error.code.as_str()),
        (Category::AuthDenied, "TOKEN-004")
    );
    assert_eq!(
        error.message,
        "the service principal lacks MODIFY on table `c.s.t`, or that object is missing"
    );
    assert!(error.hint.contains("`sp-1`"));
}

#[tokio::test]
async fn refusals_are_final_and_failures_are_not() {
    let check = |status: u16, body: &'static str, expect: (&'static str, Retry)| async move {
        let served = serve(move |_, _, _| (StatusCode::from_u16(status).unwrap(), body.to_owned())).await;
        let error = served.broker.token(&served.request("a")).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.retry), expect, "{status} {body}");
        assert!(!error.to_string().contains("s3cr3t"));
    };
    check(401, r#"{"error":"invalid_client"}"#, ("TOKEN-003", Retry::Never)).await;
    check(403, r#"{"error":"access_denied"}"#, ("TOKEN-005", Retry::Never)).await;
    check(500, "<html>", ("TOKEN-006", Retry::Backoff)).await;
    check(429, "", ("TOKEN-006", Retry::Backoff)).await;
    check(200, "{}", ("TOKEN-007", Retry::Backoff)).await;
}

#[tokio::test]
async fn a_host_that_is_not_listed_and_a_secret_that_is_not_set_are_said() {
    let served = serve(|number, _, _| good(number)).await;
    let elsewhere = TokenRequest {
        server: "https://evil.example".to_owned(),
        ..TokenRequest::default()
    };
    assert_eq!(
        served.broker.token(&elsewhere).await.unwrap_err().code,
        "TOKEN-001"
    );
    let settings = TokenSettings {
        hosts: vec![served.server.clone()],
        client_id: SecretReference::Env("LAKEFEED_TEST_NO_SUCH_VARIABLE".to_owned()),
        ..TokenSettings::default()
    };
    let error = TokenBroker::new(settings)
        .token(&served.request("a"))
        .await
        .unwrap_err();
    assert_eq!((error.code.as_str(), served.asked()), ("TOKEN-002", 0));
}
