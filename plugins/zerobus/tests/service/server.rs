//! The service: a table in the catalog, and inserts that are answered in the order of a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use lakefeed_plugin_api::{Plugin, Secret, Token};
use lakefeed_plugin_testkit::FakeHost;
use lakefeed_plugin_zerobus::{Config, Zerobus};
use serde_json::{Value, json};

pub(crate) const TABLE: &str = "aidbox_export.fhir.patients";

/// One answer of the script.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: json!({"error_code": code, "message": message}).to_string(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    script: VecDeque<Answer>,
    /// Rows of the requests that were answered well, in the order in which they came.
    pub(crate) rows: Vec<Value>,
    pub(crate) requests: usize,
    pub(crate) tokens: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) address: String,
    pub(crate) host: FakeHost,
}

impl Service {
    /// A service whose first inserts are answered so; those after them well.
    pub(crate) async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            script: script.into_iter().collect(),
            ..Seen::default()
        }));
        let app = Router::new()
            .route("/api/2.1/unity-catalog/tables/{name}", get(table))
            .route("/zerobus/v1/tables/{name}/insert", post(insert))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let host = FakeHost::new();
        for number in 1..=4 {
            host.add_token(Token {
                bearer: Secret::new(format!("t{number}")),
                expires_at_ms: None,
            });
        }
        Self { seen, address, host }
    }

    /// An instance that writes there.
    pub(crate) fn zerobus(&self, changes: Value) -> Zerobus {
        let mut config = json!({
            "databricksWorkspaceUrl": self.address,
            "databricksWorkspaceId": "1234567890123456",
            "databricksRegion": "us-east-1",
            "databricksWarehouseId": "0123456789abcdef",
            "tableName": TABLE,
            "endpoint": self.address,
        });
        for (name, value) in changes.as_object().unwrap() {
            config[name] = value.clone();
        }
        let config: Config = serde_json::from_value(config).unwrap();
        Zerobus::create(config, self.host.host()).unwrap()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.rows
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn table(Path(name): Path<String>) -> Response {
    if name != TABLE {
        return (
            StatusCode::NOT_FOUND,
            r#"{"error_code":"TABLE_DOES_NOT_EXIST","message":""}"#,
        )
            .into_response();
    }
    let table = json!({"name": "patients", "table_type": "MANAGED", "data_source_format": "DELTA", "table_id": "1",
        "columns": [{"name": "id", "type_text": "string"}]});
    table.to_string().into_response()
}

async fn insert(
    State(seen): State<Arc<Mutex<Seen>>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut seen = seen.lock().unwrap();
    seen.requests += 1;
    let bearer = headers["authorization"]
        .to_str()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap()
        .to_owned();
    seen.tokens.push(bearer);
    assert_eq!(name, TABLE);
    assert_eq!(headers["content-type"], "application/json");
    assert!(body.len() <= 10 << 20);
    let rows: Vec<Value> = serde_json::from_slice(&body).unwrap();
    assert!(!rows.is_empty());
    if let Some(answer) = seen.script.pop_front()
        && answer.status != 200
    {
        let mut response = (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response();
        for (name, value) in answer.headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    }
    seen.rows.extend(rows);
    "{}".into_response()
}
