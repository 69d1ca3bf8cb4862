//! SQL on a warehouse: submitted, waited for, cancelled when nobody waits any more.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::classify::class_of;
use crate::error::Failure;
use crate::{Databricks, DatabricksError};

/// The longest text of a statement that the service takes: 16 MiB (W 4.2), less some slack.
pub const MAX_STATEMENT: usize = (16 << 20) - (64 << 10);
/// How long the submitting call itself waits: the longest that the service allows (W 4.2).
const WAIT: &str = "50s";
const STATEMENTS: &str = "/api/2.0/sql/statements";
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the end of a statement that was cancelled is waited for.
const SETTLE_WITHIN: Duration = Duration::from_secs(3);
/// A result has at most so many chunks read.
const MAX_CHUNKS: usize = 1_000;

/// What a statement answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The statement's id.
    pub statement_id: String,
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows: every value as text, or null (W 4.5).
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The number in a column of the only row, as DML answers (`num_inserted_rows`).
    #[must_use]
    pub fn number(&self, column: &str) -> Option<u64> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.rows.first()?.get(index)?.as_deref()?.parse().ok()
    }
}

/// A warehouse of a workspace.
#[derive(Clone, Copy, Debug)]
pub struct Warehouse<'a> {
    /// The workspace.
    pub databricks: &'a Databricks,
    /// The warehouse's id.
    pub id: &'a str,
}

impl Warehouse<'_> {
    /// Runs a statement to its end.
    ///
    /// A warehouse that is asleep wakes meanwhile (W 4.11). When `limit` has passed, or when this future is dropped, the
    /// statement is cancelled. One whose submitting call broke off has no id yet and runs on: the outcome is unknown.
    pub async fn run(
        &self,
        doing: &'static str,
        sql: &str,
        limit: Duration,
    ) -> Result<Rows, DatabricksError> {
        let end = Instant::now() + limit;
        let body = Submission {
            statement: sql,
            warehouse_id: self.id,
            wait_timeout: WAIT,
            on_wait_timeout: "CONTINUE",
            disposition: "INLINE",
            format: "JSON_ARRAY",
        };
        let submitting = self.databricks.post(doing, STATEMENTS, &body);
        let Ok(submitted) = tokio::time::timeout(limit, submitting).await else {
            return Err(DatabricksError::TooLate {
                doing,
                is_cancelled: false,
                statement_id: String::new(),
            });
        };
        let mut statement: Statement = submitted?.read(doing)?;
        let mut pause = FIRST_PAUSE;
        while statement.is_running() {
            let guard = CancelOnDrop::new(self, &statement.statement_id);
            if Instant::now() + pause >= end {
                let ended = self.cancel(doing, &statement.statement_id).await;
                guard.disarm();
                statement = ended?;
                break;
            }
            tokio::time::sleep(pause).await;
            statement = self.poll(doing, statement).await?;
            guard.disarm();
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
        self.ended(doing, statement).await
    }

    /// Looks how far a statement is. A poll that fails in passing is no end: the statement runs on.
    async fn poll(&self, doing: &'static str, statement: Statement) -> Result<Statement, DatabricksError> {
        let path = format!("{STATEMENTS}/{}", statement.statement_id);
        match self.databricks.get(doing, &path).await {
            Ok(answer) => answer.read(doing),
            Err(DatabricksError::Unreachable { .. }) => Ok(statement),
            Err(DatabricksError::Refused { answer, .. }) if matches!(answer.status, 429 | 500..) => {
                tokio::time::sleep(answer.retry_after.unwrap_or_default().min(LONGEST_PAUSE)).await;
                Ok(statement)
            }
            Err(error) => Err(error),
        }
    }

    /// Cancels a statement and sees how it ended: one that was faster than the cancelling has succeeded.
    async fn cancel(&self, doing: &'static str, id: &str) -> Result<Statement, DatabricksError> {
        let too_late = |is_cancelled| DatabricksError::TooLate {
            doing,
            is_cancelled,
            statement_id: id.to_owned(),
        };
        let settling = async {
            self.databricks
                .post(doing, &format!("{STATEMENTS}/{id}/cancel"), &json!({}))
                .await?;
            loop {
                let answer = self.databricks.get(doing, &format!("{STATEMENTS}/{id}")).await?;
                let statement: Statement = answer.read(doing)?;
                if !statement.is_running() {
                    return Ok::<Statement, DatabricksError>(statement);
                }
                tokio::time::sleep(FIRST_PAUSE / 2).await;
            }
        };
        match tokio::time::timeout(SETTLE_WITHIN, settling).await {
            Ok(Ok(statement)) if statement.status.state == "CANCELED" => Err(too_late(true)),
            Ok(Ok(statement)) => Ok(statement),
            Ok(Err(_)) | Err(_) => Err(too_late(false)),
        }
    }

    async fn ended(&self, doing: &'static str, statement: Statement) -> Result<Rows, DatabricksError> {
        match statement.status.state.as_str() {
            "SUCCEEDED" => self.rows(doing, statement).await,
            "FAILED" => Err(DatabricksError::Statement {
                doing,
                failure: Box::new(statement.failure()),
            }),
            "CANCELED" | "CLOSED" => Err(DatabricksError::Cancelled {
                doing,
                statement_id: statement.statement_id,
            }),
            _ => Err(DatabricksError::Unreadable {
                doing,
                cause: format!("the statement's state is {:?}", statement.status.state),
            }),
        }
    }

    async fn rows(&self, doing: &'static str, statement: Statement) -> Result<Rows, DatabricksError> {
        let mut rows = Rows {
            statement_id: statement.statement_id,
            columns: statement.manifest.map(Manifest::names).unwrap_or_default(),
            rows: Vec::new(),
        };
        let mut chunk = statement.result.unwrap_or_default();
        for _ in 0..MAX_CHUNKS {
            rows.rows.append(&mut chunk.data_array);
            let Some(next) = chunk.next_chunk_index else {
                return Ok(rows);
            };
            let path = format!("{STATEMENTS}/{}/result/chunks/{next}", rows.statement_id);
            chunk = self.databricks.get(doing, &path).await?.read(doing)?;
        }
        Err(DatabricksError::Unreadable {
            doing,
            cause: format!("the result has more than {MAX_CHUNKS} chunks"),
        })
    }
}

/// Cancels a statement when whoever waits for it is dropped; the workspace would work on for nobody.
struct CancelOnDrop<'a> {
    databricks: &'a Databricks,
    id: Option<String>,
}

impl<'a> CancelOnDrop<'a> {
    fn new(warehouse: &Warehouse<'a>, id: &str) -> Self {
        Self {
            databricks: warehouse.databricks,
            id: Some(id.to_owned()),
        }
    }

    fn disarm(mut self) {
        self.id = None;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (host, workspace) = (
            self.databricks.host().clone(),
            self.databricks.workspace().clone(),
        );
        runtime.spawn(async move {
            let databricks = Databricks::new(host, workspace);
            let path = format!("{STATEMENTS}/{id}/cancel");
            if databricks
                .post("cancelling a statement", &path, &json!({}))
                .await
                .is_err()
            {
                tracing::debug!("a statement that nobody waits for could not be cancelled");
            }
        });
    }
}

/// What is submitted; the text may have many megabytes, and is not copied before it is written.
#[derive(Serialize)]
struct Submission<'a> {
    statement: &'a str,
    warehouse_id: &'a str,
    wait_timeout: &'a str,
    on_wait_timeout: &'a str,
    disposition: &'a str,
    format: &'a str,
}

#[derive(Debug, Deserialize)]
struct Statement {
    #[serde(default)]
    statement_id: String,
    status: Status,
    manifest: Option<Manifest>,
    result: Option<Chunk>,
}

#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    error: Option<StatusError>,
    sql_state: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct StatusError {
    #[serde(default)]
    error_code: Value,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    schema: ManifestSchema,
}

#[derive(Debug, Default, Deserialize)]
struct ManifestSchema {
    #[serde(default)]
    columns: Vec<ManifestColumn>,
}

#[derive(Debug, Deserialize)]
struct ManifestColumn {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
struct Chunk {
    #[serde(default)]
    data_array: Vec<Vec<Option<String>>>,
    next_chunk_index: Option<u64>,
}

impl Manifest {
    fn names(self) -> Vec<String> {
        self.schema
            .columns
            .into_iter()
            .map(|column| column.name)
            .collect()
    }
}

impl Statement {
    fn is_running(&self) -> bool {
        matches!(self.status.state.as_str(), "PENDING" | "RUNNING")
    }

    fn failure(self) -> Failure {
        let error = self.status.error.unwrap_or_default();
        Failure {
            class: class_of(&error.message).to_owned(),
            sql_state: self.status.sql_state.unwrap_or_default(),
            error_code: error.error_code.as_str().unwrap_or_default().to_owned(),
            message: error.message,
            statement_id: self.statement_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_statement_is_read_as_it_was_recorded() {
        let recorded = r#"{"statement_id":"01f1","status":{"state":"FAILED",
            "error":{"error_code":"BAD_REQUEST","message":"[PARSE_SYNTAX_ERROR] … SQLSTATE: 42601 (line 1, pos 0)"},
            "sql_state":"42601"}}"#;
        let statement: Statement = serde_json::from_str(recorded).unwrap();
        let failure = statement.failure();
        assert_eq!(failure.class, "PARSE_SYNTAX_ERROR");
        assert_eq!(failure.sql_state, "42601");
    }

    #[test]
    fn a_result_without_rows_and_one_of_dml_are_read() {
        let empty = r#"{"statement_id":"1","status":{"state":"SUCCEEDED"},"manifest":{"format":"JSON_ARRAY",
            "schema":{"column_count":0}},"result":{}}"#;
        let statement: Statement = serde_json::from_str(empty).unwrap();
        assert!(statement.result.unwrap().data_array.is_empty());
        let rows = Rows {
            columns: vec!["num_affected_rows".into(), "num_inserted_rows".into()],
            rows: vec![vec![Some("3".into()), Some("3".into())]],
            ..Rows::default()
        };
        assert_eq!(rows.number("num_inserted_rows"), Some(3));
        assert_eq!(rows.number("num_updated_rows"), None);
    }
}
