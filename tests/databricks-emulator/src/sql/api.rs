//! The statement API.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::collect::collect;
use super::error::SqlError;
use super::output::Output;
use super::parameters::{Parameter, bind, excess};
use super::run::{Session, run};
use super::statement::{Running, State as Now};
use super::{parse, warehouse};
use crate::catalog::Caller;
use crate::catalog::rest::Body;
use crate::faults::{Fault, Surface};
use crate::http::ApiError;
use crate::sync::lock;
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;
type Answer = Result<Json<Value>, ApiError>;

/// What a statement's text may have at most.
const STATEMENT_LIMIT: usize = 16 * 1024 * 1024;

/// What a result that comes with its statement may have at most.
const INLINE_LIMIT: usize = 25 * 1024 * 1024;

/// A statement to run. What is not known is ignored, as the service does.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Submission {
    statement: Option<String>,
    warehouse_id: Option<String>,
    catalog: Option<String>,
    schema: Option<String>,
    parameters: Vec<Parameter>,
    wait_timeout: Option<String>,
    on_wait_timeout: Option<String>,
    disposition: Option<String>,
    format: Option<String>,
    row_limit: Option<i64>,
    byte_limit: Option<i64>,
}

fn bad_request(message: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

/// How long the answer may wait for the statement.
fn wait(text: Option<&str>) -> Result<Duration, ApiError> {
    let Some(text) = text else {
        return Ok(Duration::from_secs(10));
    };
    let seconds: u64 = text
        .strip_suffix('s')
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| ApiError::invalid("Error while parsing type: duration."))?;
    if seconds == 0 || (5..=50).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(ApiError::invalid(
        "The wait_timeout field must be 0 seconds (disables wait), or between 5 seconds and 50 seconds.",
    ))
}

/// A limit of rows or bytes.
fn limit(
    value: Option<i64>,
    name: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Option<usize>, ApiError> {
    match value {
        None => Ok(None),
        Some(value) if range.contains(&value) => Ok(usize::try_from(value).ok()),
        Some(_) => Err(ApiError::invalid(format!(
            "The {name} field must be between {} and {}.",
            range.start(),
            range.end()
        ))),
    }
}

fn check_format(submission: &Submission) -> Result<(), ApiError> {
    let is_inline = submission.disposition.as_deref() != Some("EXTERNAL_LINKS");
    let is_json = !matches!(submission.format.as_deref(), Some("ARROW_STREAM" | "CSV"));
    if is_inline && !is_json {
        return Err(ApiError::invalid(
            "Incompatible parameters: The format field must be JSON_ARRAY when the disposition field is INLINE.",
        ));
    }
    if !is_inline {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "NOT_IMPLEMENTED",
            "The emulator does not support the disposition EXTERNAL_LINKS.",
        ));
    }
    Ok(())
}

pub(super) async fn submit(
    State(workspace): Shared,
    caller: Caller,
    Body(submission): Body<Submission>,
) -> Answer {
    let wait_timeout = wait(submission.wait_timeout.as_deref())?;
    let cancels = submission.on_wait_timeout.as_deref() == Some("CANCEL");
    if cancels && wait_timeout.is_zero() {
        return Err(ApiError::invalid(
            "The on_wait_timeout field must be CONTINUE when the wait_timeout field is 0 seconds.",
        ));
    }
    check_format(&submission)?;
    let row_limit = limit(submission.row_limit, "row_limit", 0..=2_147_483_647)?;
    let byte_limit = limit(submission.byte_limit, "byte_limit", 1..=26_214_400)?;
    let warehouse_id = submission
        .warehouse_id
        .clone()
        .filter(|id| !id.is_empty())
        .ok_or_else(|| bad_request("warehouse_id is missing"))?;
    let statement = submission
        .statement
        .clone()
        .ok_or_else(|| bad_request("statement is missing"))?;
    if statement.len() > STATEMENT_LIMIT {
        return Err(ApiError::invalid(format!(
            "The statement field must not exceed {STATEMENT_LIMIT} bytes."
        )));
    }
    if let Some(excess) = excess(&submission.parameters) {
        return Err(ApiError::invalid(excess));
    }
    warehouse::check_use(&workspace, &caller, &warehouse_id)?;
    let work = Work {
        warehouse_id,
        statement,
        parameters: submission.parameters,
        session: Session {
            caller,
            catalog: submission.catalog,
            schema: submission.schema,
        },
        row_limit,
        byte_limit,
    };
    let running = start(&workspace, work);
    running.wait(wait_timeout).await;
    if cancels {
        running.cancel();
    }
    Ok(Json(running.told()))
}

struct Work {
    warehouse_id: String,
    statement: String,
    parameters: Vec<Parameter>,
    session: Session,
    row_limit: Option<usize>,
    byte_limit: Option<usize>,
}

fn start(workspace: &Arc<Workspace>, work: Work) -> Arc<Running> {
    let running = Arc::new(Running::new(&work.session.caller.principal));
    lock(&workspace.sql.statements).insert(running.id.clone(), Arc::clone(&running));
    let (of_task, workspace) = (Ends(Arc::clone(&running)), Arc::clone(workspace));
    let task = tokio::spawn(async move {
        warehouse::running(&workspace, &work.warehouse_id).await;
        of_task.0.go(Now::Running);
        let ended = match execute(&workspace, &work).await {
            Ok(output) => Now::Succeeded(Box::new(output)),
            Err(error) => Now::Failed(error),
        };
        of_task.0.go(ended);
    });
    running.is_run_by(task.abort_handle());
    running
}

/// A statement that fails with its task: where the query engine panics, nobody waits for an end that never comes.
struct Ends(Arc<Running>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0
            .go(Now::Failed(SqlError::internal(&"the statement broke off")));
    }
}

async fn execute(workspace: &Arc<Workspace>, work: &Work) -> Result<Output, SqlError> {
    let kind = parse::first_word(&work.statement);
    workspace.counters.add(&format!("statements:{kind}"), 1);
    let switched = |fault| {
        let faults = &workspace.faults;
        faults.take(fault, Surface::Sql, "/api/2.0/sql/statements")
    };
    if let Some(setting) = switched(Fault::SlowStatement) {
        tokio::time::sleep(Duration::from_millis(setting.milliseconds.unwrap_or(1000))).await;
    }
    if let Some(setting) = switched(Fault::StatementFailed) {
        return Err(SqlError::new(
            setting.class.as_deref().unwrap_or("DELTA_CONCURRENT_APPEND"),
            setting.sql_state.as_deref().unwrap_or("2D521"),
            setting
                .message
                .as_deref()
                .unwrap_or("The statement failed, as a switch says."),
        ));
    }
    let ended = match bind(&work.statement, &work.parameters) {
        Ok(sql) => run(workspace, &work.session, &sql).await,
        Err(error) => Err(error),
    };
    let sent = (work.statement.as_str(), work.parameters.as_slice());
    collect(workspace, &work.session, sent, &ended);
    let mut output = ended?;
    output.limit(work.row_limit, work.byte_limit);
    if output.bytes() > INLINE_LIMIT {
        return Err(SqlError::new(
            "RESULT_TOO_LARGE",
            "54000",
            "Inline byte limit exceeded. Statements executed with disposition=INLINE can have a result size of at most \
             26214400 bytes. Please execute the statement with disposition=EXTERNAL_LINKS if you want to download the \
             full result.",
        ));
    }
    Ok(output)
}

/// The statement of that id, if the caller submitted it.
fn find(workspace: &Workspace, caller: &Caller, id: &str) -> Result<Arc<Running>, ApiError> {
    if uuid::Uuid::parse_str(id).is_err() {
        return Err(ApiError::invalid("Error while parsing type: statement_id."));
    }
    lock(&workspace.sql.statements)
        .get(id)
        .filter(|running| running.principal == caller.principal)
        .cloned()
        .ok_or_else(|| ApiError::missing("NOT_FOUND", format!("The statement {id} was not found.")))
}

pub(super) async fn get(State(workspace): Shared, caller: Caller, Path(id): Path<String>) -> Answer {
    Ok(Json(find(&workspace, &caller, &id)?.told()))
}

pub(super) async fn chunk(
    State(workspace): Shared,
    caller: Caller,
    Path((id, index)): Path<(String, usize)>,
) -> Answer {
    let running = find(&workspace, &caller, &id)?;
    let Now::Succeeded(output) = running.state() else {
        return Err(ApiError::missing(
            "NOT_FOUND",
            format!("The statement {id} has no result."),
        ));
    };
    output
        .chunk(&id, index)
        .map(Json)
        .ok_or_else(|| ApiError::invalid(format!("The chunk_index {index} is out of bounds.")))
}

/// Always 200, whether there is such a statement or not.
pub(super) async fn cancel(State(workspace): Shared, caller: Caller, Path(id): Path<String>) -> Json<Value> {
    if let Ok(running) = find(&workspace, &caller, &id) {
        running.cancel();
    }
    Json(json!({}))
}

/// The statement stays readable.
pub(super) async fn close(State(workspace): Shared, caller: Caller, Path(id): Path<String>) -> Json<Value> {
    if let Ok(running) = find(&workspace, &caller, &id) {
        running.go(Now::Closed);
    }
    Json(json!({}))
}

pub(super) async fn open_session(_caller: Caller) -> Json<Value> {
    Json(json!({ "session_id": uuid::Uuid::new_v4().to_string() }))
}

pub(super) async fn close_session(_caller: Caller, Path(_id): Path<String>) -> Response {
    Json(json!({})).into_response()
}
