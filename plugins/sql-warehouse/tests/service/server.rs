//! The workspace: statements that are answered by a function of the test's, and temporary credentials.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use lakefeed_plugin_api::{Plugin, Secret, Token};
use lakefeed_plugin_sql_warehouse::{Config, SqlWarehouse};
use lakefeed_plugin_testkit::FakeHost;
use serde_json::{Value, json};

use crate::collect::Group;

pub(crate) const TABLE: &str = "aidbox_export.fhir.patients";

/// What a statement is answered with, by its text and how many came before.
type Script = Box<dyn Fn(usize, &str) -> (u16, Value) + Send + Sync>;

struct Shared {
    script: Script,
    /// Whether Apache Spark is to judge what comes.
    is_watched: bool,
    /// The statements, in the order in which they came.
    statements: Mutex<Vec<String>>,
    /// `get ID` and `cancel ID`.
    others: Mutex<Vec<String>>,
    /// How a statement looks that is asked for later.
    later: Mutex<Vec<Value>>,
}

#[derive(Clone)]
pub(crate) struct Service {
    shared: Arc<Shared>,
    pub(crate) address: String,
    pub(crate) host: FakeHost,
}

/// A statement that succeeded with these rows.
pub(crate) fn rows(columns: &[&str], rows: Value) -> (u16, Value) {
    let columns: Vec<Value> = columns.iter().map(|name| json!({"name": name})).collect();
    let answer = json!({"statement_id": "01f1-1", "status": {"state": "SUCCEEDED"},
        "manifest": {"format": "JSON_ARRAY", "schema": {"column_count": columns.len(), "columns": columns}},
        "result": {"data_array": rows}});
    (200, answer)
}

/// A statement that failed as the service tells it.
pub(crate) fn failed(class: &str, sql_state: &str) -> (u16, Value) {
    let message = format!("[{class}] it quotes 'Jane Doe' SQLSTATE: {sql_state}");
    let answer = json!({"statement_id": "01f1-2", "status": {"state": "FAILED",
        "error": {"error_code": "BAD_REQUEST", "message": message}, "sql_state": sql_state}});
    (200, answer)
}

/// The answer to a question for the columns of a table that has these.
pub(crate) fn described(columns: &[(&str, &str)]) -> (u16, Value) {
    let list: Vec<Value> = columns
        .iter()
        .map(|(name, sql_type)| json!([name, sql_type, "YES"]))
        .collect();
    rows(&["column_name", "full_data_type", "is_nullable"], json!(list))
}

impl Service {
    /// One whose statements Apache Spark is to judge, each by itself.
    pub(crate) async fn start(script: impl Fn(usize, &str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::new(Box::new(script), true).await
    }

    /// One whose test itself writes down what is to be judged.
    pub(crate) async fn unwatched(
        script: impl Fn(usize, &str) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        Self::new(Box::new(script), false).await
    }

    async fn new(script: Script, is_watched: bool) -> Self {
        let shared = Arc::new(Shared {
            script,
            is_watched,
            statements: Mutex::default(),
            others: Mutex::default(),
            later: Mutex::default(),
        });
        let app = Router::new()
            .route("/api/2.0/sql/statements", post(submit))
            .route("/api/2.0/sql/statements/{id}", get(look))
            .route("/api/2.0/sql/statements/{id}/cancel", post(cancel))
            .route("/api/2.1/unity-catalog/temporary-path-credentials", post(vend))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let host = FakeHost::new();
        for number in 1..=2 {
            host.add_token(Token {
                bearer: Secret::new(format!("t{number}")),
                expires_at_ms: None,
            });
        }
        Self {
            shared,
            address,
            host,
        }
    }

    /// What the statements that are asked for later look like, the last one for ever.
    pub(crate) fn later(&self, states: &[&str]) {
        let states = states
            .iter()
            .rev()
            .map(|state| json!({"statement_id": "01f1-9", "status": {"state": state}}));
        *self.shared.later.lock().unwrap() = states.collect();
    }

    pub(crate) fn warehouse(&self) -> SqlWarehouse {
        let config: Config = serde_json::from_value(json!({
            "databricksWorkspaceUrl": self.address,
            "databricksWarehouseId": "0123456789abcdef",
            "tableName": TABLE,
            "awsRegion": "us-east-1",
        }))
        .unwrap();
        SqlWarehouse::create(config, self.host.host()).unwrap()
    }

    pub(crate) fn statements(&self) -> Vec<String> {
        self.shared.statements.lock().unwrap().clone()
    }

    pub(crate) fn others(&self) -> Vec<String> {
        self.shared.others.lock().unwrap().clone()
    }
}

fn respond((status, body): (u16, Value)) -> Response {
    let text = if let Value::String(text) = &body {
        text.clone()
    } else {
        body.to_string()
    };
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// Writes a statement down for the judge, in a workspace that has the table of the tests unless the statement makes it.
fn judge(sql: &str) {
    let group = Group::new("sql-warehouse", &["aidbox_export", "a"]);
    if !sql.starts_with("CREATE") {
        group.set_up(&format!(
            "CREATE TABLE {TABLE} (id STRING, day DATE, time TIMESTAMP, small INT, large BIGINT, real DOUBLE, \
             flag BOOLEAN, bytes BINARY) USING DELTA"
        ));
    }
    group.statement(sql);
}

async fn submit(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(request["warehouse_id"], "0123456789abcdef");
    assert_eq!(request["wait_timeout"], "50s");
    assert_eq!(request["on_wait_timeout"], "CONTINUE");
    assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer t"));
    let sql = request["statement"].as_str().unwrap().to_owned();
    if shared.is_watched {
        judge(&sql);
    }
    let before = shared.statements.lock().unwrap().len();
    let answer = (shared.script)(before, &sql);
    shared.statements.lock().unwrap().push(sql);
    respond(answer)
}

async fn look(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.others.lock().unwrap().push(format!("get {id}"));
    let mut later = shared.later.lock().unwrap();
    let answer = if later.len() > 1 {
        later.pop()
    } else {
        later.last().cloned()
    };
    respond((
        200,
        answer.unwrap_or_else(|| json!({"status": {"state": "SUCCEEDED"}})),
    ))
}

async fn cancel(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.others.lock().unwrap().push(format!("cancel {id}"));
    respond((200, json!({})))
}

async fn vend(body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        request,
        json!({"url": "s3://b/staging/x", "operation": "PATH_READ_WRITE"})
    );
    let answer = json!({"aws_temp_credentials": {"access_key_id": "ASIA1", "secret_access_key": "s",
        "session_token": "t"}, "expiration_time": 1_775_041_200_000_u64, "url": "s3://b/staging/x"});
    respond((200, answer))
}
