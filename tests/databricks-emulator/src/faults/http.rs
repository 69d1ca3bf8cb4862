//! The switches over HTTP, and the clock, the request log and the counters beside them.
//!
//! | request | does |
//! |---|---|
//! | `GET /emulator/faults` | what is on |
//! | `PUT /emulator/faults/{name}` with a setting, or an empty body | turns one on |
//! | `DELETE /emulator/faults/{name}`, `DELETE /emulator/faults` | turns one off, or all |
//! | `POST /emulator/clock/advance` with `{"seconds":n}` | moves the clock |
//! | `POST /emulator/tokens/expire` | every token that was issued so far is no longer valid |
//! | `POST /emulator/flush` | all that Zerobus took is queryable when this is answered |
//! | `PUT /emulator/external-access` with `true` or `false` | the metastore's toggle |
//! | `GET`, `DELETE /emulator/requests` | what was asked: method, path, status |
//! | `GET`, `DELETE /emulator/counters` | mints by table, statements by kind, rows |
//! | `GET /emulator/tables/{full name}` | the location of a table, and the folder or the S3 server that has it |

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Setting};
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;

/// The routes of the emulator itself.
pub(crate) fn routes() -> Router<Arc<Workspace>> {
    Router::new()
        .route("/emulator/faults", get(list).delete(clear_all))
        .route("/emulator/faults/{name}", put(set).delete(clear))
        .route("/emulator/clock/advance", post(advance))
        .route("/emulator/tokens/expire", post(expire))
        .route("/emulator/flush", post(flush))
        .route("/emulator/external-access", put(external_access))
        .route("/emulator/requests", get(requests).delete(forget_requests))
        .route("/emulator/counters", get(counters).delete(forget_counters))
        .route("/emulator/tables/{name}", get(table))
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

fn parse(name: &str) -> Option<Fault> {
    serde_json::from_value(Value::String(name.to_owned())).ok()
}

async fn list(State(workspace): Shared) -> Response {
    Json(workspace.faults.all()).into_response()
}

async fn set(State(workspace): Shared, Path(name): Path<String>, body: Bytes) -> Response {
    let Some(fault) = parse(&name) else {
        return refuse(StatusCode::NOT_FOUND, "there is no switch of that name");
    };
    let setting = if body.is_empty() {
        Ok(Setting::default())
    } else {
        serde_json::from_slice(&body)
    };
    match setting {
        Ok(setting) => {
            workspace.faults.set(fault, setting);
            Json(json!({})).into_response()
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, &format!("not a setting: {error}")),
    }
}

async fn clear(State(workspace): Shared, Path(name): Path<String>) -> Response {
    let Some(fault) = parse(&name) else {
        return refuse(StatusCode::NOT_FOUND, "there is no switch of that name");
    };
    workspace.faults.clear(fault);
    Json(json!({})).into_response()
}

async fn clear_all(State(workspace): Shared) -> Response {
    workspace.faults.clear_all();
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

async fn advance(State(workspace): Shared, Json(by): Json<Advance>) -> Response {
    workspace.clock.advance(Duration::from_secs(by.seconds));
    Json(json!({ "now": workspace.clock.now_ms() })).into_response()
}

async fn expire(State(workspace): Shared) -> Response {
    workspace.expire_tokens();
    Json(json!({})).into_response()
}

async fn flush(State(workspace): Shared) -> Response {
    match workspace.flush().await {
        Ok(()) => Json(json!({})).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn external_access(State(workspace): Shared, Json(enabled): Json<bool>) -> Response {
    match workspace.allow_external_access(enabled) {
        Ok(()) => Json(json!({})).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.message),
    }
}

async fn requests(State(workspace): Shared) -> Response {
    Json(workspace.requests.all()).into_response()
}

async fn forget_requests(State(workspace): Shared) -> Response {
    workspace.requests.clear();
    Json(json!({})).into_response()
}

async fn counters(State(workspace): Shared) -> Response {
    Json(workspace.counters.all()).into_response()
}

async fn forget_counters(State(workspace): Shared) -> Response {
    workspace.counters.clear();
    Json(json!({})).into_response()
}

async fn table(State(workspace): Shared, Path(name): Path<String>) -> Response {
    let Some(entry) = workspace.table_entry(&name) else {
        return refuse(StatusCode::NOT_FOUND, "there is no table of that name");
    };
    let mut told = json!({ "location": entry.storage_location });
    match (workspace.table_folder(&name), workspace.storage.server()) {
        (Some(folder), _) => told["folder"] = json!(folder),
        (None, Some(server)) => told["endpoint"] = json!(server.address()),
        (None, None) => {}
    }
    Json(told).into_response()
}
