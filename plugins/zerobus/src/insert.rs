//! One request of rows, its token, and what its answer means (W 2).

use std::time::Duration;

use bytes::Bytes;
use lakefeed_databricks_client::classify::{plain_code, plain_id};
use lakefeed_databricks_client::error::Refused;
use lakefeed_databricks_client::{Answer, TableName};
use lakefeed_plugin_api::{Category, PluginError, Remote, TokenRequest};
use reqwest::Method;
use serde_json::json;

use crate::Zerobus;

const DOING: &str = "inserting rows";
/// How long to wait for a table that is gone to come back.
const ABSENT: Duration = Duration::from_secs(5);

impl Zerobus {
    /// Sends one body to the table; on success its rows are durable.
    pub(crate) async fn insert(&self, body: Bytes) -> Result<(), PluginError> {
        let (token, address) = (self.table_token(), self.address());
        let mut answer = self.send(&token, &address, body.clone()).await?;
        if answer.status == 403 {
            // The token may be older than the grants.
            self.databricks.host().invalidate_token(&token);
            answer = self.send(&token, &address, body).await?;
        }
        if answer.is_success() {
            return Ok(());
        }
        Err(meaning(&answer.refused(), &self.checked.table))
    }

    async fn send(&self, token: &TokenRequest, address: &str, body: Bytes) -> Result<Answer, PluginError> {
        let sent = self
            .databricks
            .send(DOING, token, &self.http, (Method::POST, address), Some(body));
        Ok(sent.await?)
    }

    fn address(&self) -> String {
        format!(
            "{}/zerobus/v1/tables/{}/insert",
            self.checked.service, self.checked.table
        )
    }

    /// The token that the service takes for this table alone (W 1.2). Privileges are written with spaces.
    pub(crate) fn table_token(&self) -> TokenRequest {
        let table = &self.checked.table;
        let entry = |privileges: &[&str], kind: &str, name: &str| {
            json!({
                "type": "unity_catalog_privileges",
                "privileges": privileges,
                "object_type": kind,
                "object_full_path": name,
            })
        };
        let mut on_table = entry(&["SELECT", "MODIFY"], "TABLE", &table.to_string());
        on_table["operations"] = json!(["zerobuswrite"]);
        let details = json!([
            entry(&["USE CATALOG"], "CATALOG", &table.catalog),
            entry(&["USE SCHEMA"], "SCHEMA", &table.full_schema()),
            on_table,
        ]);
        TokenRequest {
            server: self.checked.workspace.server(),
            scope: "all-apis".to_owned(),
            resource: format!(
                "api://databricks/workspaces/{}/zerobusDirectWriteApi",
                self.checked.workspace_id
            ),
            authorization_details: details.to_string(),
        }
    }
}

/// What an answer means that is no success (W 2.5). The service's words stay in the detail.
pub(crate) fn meaning(answer: &Refused, table: &TableName) -> PluginError {
    let error = of_status(answer, table);
    let waits = matches!(error.category, Category::Throttled | Category::RemoteUnavailable);
    let error = match answer.retry_after {
        Some(wait) if waits => error.after(wait),
        _ => error,
    };
    error.detail(answer.message.as_str()).remote(Remote {
        status: u32::from(answer.status),
        code: plain_code(&answer.code).to_owned(),
        request_id: plain_id(&answer.request_id).to_owned(),
    })
}

fn of_status(answer: &Refused, table: &TableName) -> PluginError {
    let says = |words: &str| answer.message.contains(words);
    let is_default_storage = says("Error Code: 4024") || says("Tables created in default storage");
    match answer.status {
        400 | 403 if is_default_storage => default_storage(table),
        400 if answer.is_empty => unknown_workspace(),
        400 if says("unrecognized field name") => columns(table),
        400 if !answer.code.is_empty() => PluginError::new(
            Category::DataRejected,
            "ZEROBUS-011",
            "the ingest service refuses rows",
        )
        .hint("correct the resource"),
        401 => PluginError::new(
            Category::AuthExpired,
            "ZEROBUS-014",
            "the ingest service does not accept the token",
        )
        .hint("see that `databricksWorkspaceId` is right and the service principal is in the workspace"),
        403 => denied(answer, table),
        404 => PluginError::new(
            Category::RemoteUnavailable,
            "ZEROBUS-016",
            format!("the ingest service does not find table `{table}`"),
        )
        .hint("create it again, or delete the destination; delivery goes on by itself")
        .after(ABSENT),
        413 => PluginError::new(
            Category::PayloadTooLarge,
            "ZEROBUS-003",
            "the ingest service takes no request of this size",
        ),
        429 => PluginError::new(
            Category::Throttled,
            "ZEROBUS-017",
            "the ingest service asks for a slower pace",
        ),
        501 => PluginError::new(
            Category::TargetUnsupported,
            "ZEROBUS-019",
            "the ingest service does not do this for the table",
        )
        .hint("see its limits (external tables, CHECK constraints, …), or use `writeMode = managed-sql`"),
        503 => cannot_now(answer.status),
        408 | 500.. => cannot_now(answer.status).outcome_unknown(),
        status => PluginError::new(
            Category::RemoteUnavailable,
            "ZEROBUS-020",
            format!("the ingest service answered {status} in a form that is not known"),
        )
        .hint("look for a proxy between here and the service"),
    }
}

fn columns(table: &TableName) -> PluginError {
    PluginError::new(
        Category::SchemaMismatch,
        "ZEROBUS-010",
        format!("the ingest service does not know a column of table `{table}` that the view has"),
    )
    .hint("a missing column is added; the service learns of it within a minute or so")
}

fn default_storage(table: &TableName) -> PluginError {
    PluginError::new(
        Category::TargetUnsupported,
        "ZEROBUS-013",
        format!("table `{table}` lies in the workspace's default storage, which the ingest service refuses"),
    )
    .hint(
        "recreate the catalog with storage of its own: databricks catalogs create <name> --storage-root \
         s3://<bucket>/managed/; or use `writeMode = managed-sql`",
    )
}

fn unknown_workspace() -> PluginError {
    PluginError::new(
        Category::ConfigInvalid,
        "ZEROBUS-012",
        "the ingest service does not know this workspace under this address",
    )
    .hint("correct `databricksWorkspaceId` and `databricksRegion`: both are part of the address")
}

fn denied(answer: &Refused, table: &TableName) -> PluginError {
    let known = ["MODIFY", "SELECT", "USE CATALOG", "USE SCHEMA"];
    let missing = known
        .into_iter()
        .find(|privilege| answer.message.contains(privilege));
    let what = missing.unwrap_or("a grant");
    PluginError::new(
        Category::AuthDenied,
        "ZEROBUS-015",
        format!("{what} is missing for table `{table}`"),
    )
    .hint("grant SELECT and MODIFY on the table to the service principal itself, not by a group or ALL PRIVILEGES")
}

fn cannot_now(status: u16) -> PluginError {
    PluginError::new(
        Category::RemoteUnavailable,
        "ZEROBUS-018",
        format!("the ingest service answered {status}"),
    )
    .hint("it is tried again by itself")
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::Retry;

    use super::*;

    #[test]
    fn every_answer_has_one_meaning() {
        let invalid = "INVALID_PARAMETER_VALUE";
        let field = "Record decoder/encoder error: unrecognized field name 'ip' at line 1 column 285 Error Code: 4044, Error State: 3.";
        let digit = "Record decoder/encoder error: invalid digit found in string at line 1 column 19 Error Code: 4044, Error State: 3.";
        let storage = "Unsupported table kind. Tables created in default storage are not supported. Error Code: 4024, Error State: 0.";
        let modify = "Authorization token is missing MODIFY privilege for a table c.s.t. Error Code: 3, Error State: 0.";
        let cases = [
            (400, invalid, field, "ZEROBUS-010", Retry::EvolveThenRetry, false),
            (400, invalid, digit, "ZEROBUS-011", Retry::Never, false),
            (400, invalid, storage, "ZEROBUS-013", Retry::Never, false),
            (
                403,
                "PERMISSION_DENIED",
                storage,
                "ZEROBUS-013",
                Retry::Never,
                false,
            ),
            (400, "", "", "ZEROBUS-012", Retry::Never, false),
            (400, "", "<html>", "ZEROBUS-020", Retry::Backoff, false),
            (
                401,
                "UNAUTHENTICATED",
                "",
                "ZEROBUS-014",
                Retry::RefreshAuth,
                false,
            ),
            (
                403,
                "PERMISSION_DENIED",
                modify,
                "ZEROBUS-015",
                Retry::Never,
                false,
            ),
            (
                404,
                "NOT_FOUND",
                "Table \"c.s.t\" cannot be found.",
                "ZEROBUS-016",
                Retry::After,
                false,
            ),
            (413, "", "", "ZEROBUS-003", Retry::Split, false),
            (
                429,
                "RESOURCE_EXHAUSTED",
                "",
                "ZEROBUS-017",
                Retry::Backoff,
                false,
            ),
            (500, "INTERNAL_ERROR", "", "ZEROBUS-018", Retry::Backoff, true),
            (501, "NOT_IMPLEMENTED", "", "ZEROBUS-019", Retry::Never, false),
            (
                502,
                "",
                "<html>Bad Gateway</html>",
                "ZEROBUS-018",
                Retry::Backoff,
                true,
            ),
            (
                503,
                "TEMPORARILY_UNAVAILABLE",
                "",
                "ZEROBUS-018",
                Retry::Backoff,
                false,
            ),
            (504, "DEADLINE_EXCEEDED", "", "ZEROBUS-018", Retry::Backoff, true),
            (302, "", "", "ZEROBUS-020", Retry::Backoff, false),
        ];
        let table = TableName::parse("c.s.t").unwrap();
        for (status, code, message, expect, retry, is_unknown) in cases {
            let error = meaning(
                &Refused {
                    status,
                    code: code.into(),
                    message: message.into(),
                    is_empty: message.is_empty() && code.is_empty(),
                    ..Refused::default()
                },
                &table,
            );
            assert_eq!(
                (error.code.as_str(), error.retry),
                (expect, retry),
                "{status} {message}"
            );
            assert_eq!(error.outcome_unknown, is_unknown, "{status}");
            assert!(!error.to_string().contains("'ip'"));
        }
    }

    #[test]
    fn a_grant_that_is_missing_is_named_and_a_pace_is_kept() {
        let table = TableName::parse("c.s.t").unwrap();
        let mut answer = Refused {
            status: 403,
            code: "PERMISSION_DENIED".into(),
            message: "Authorization token is missing MODIFY privilege for a table c.s.t.".into(),
            ..Refused::default()
        };
        assert_eq!(
            meaning(&answer, &table).message,
            "MODIFY is missing for table `c.s.t`"
        );
        answer.status = 503;
        answer.retry_after = Some(Duration::from_secs(9));
        assert_eq!(meaning(&answer, &table).retry_after, Some(Duration::from_secs(9)));
    }
}
