//! The preflight: every grant, id and location that a destination needs, asked for and never changed, one line each.
//!
//! A line is *passed*, *failed* with the exact statement and command that mend it, a *warning* where delivery works and
//! the initial export would not, or *skipped* where the workspace does not tell. Nothing secret is in any of them.

mod grants;
mod staging;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lakefeed_plugin_api::{CheckItem, CheckLevel, CheckReport, PluginError, Verdict};
use serde_json::Value;

use crate::catalog::TableInfo;
use crate::{Databricks, DatabricksError, TableName};

/// What a destination names.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The table.
    pub table: &'a TableName,
    /// The warehouse.
    pub warehouse: &'a str,
    /// The workspace's number, where the mode needs it.
    pub workspace_id: Option<&'a str>,
    /// The workspace's region, where the mode needs it.
    pub region: Option<&'a str>,
    /// `stagingTablePath`, where there is one.
    pub staging: Option<&'a str>,
    /// Whether the grants must be the service principal's own on the table itself, as the ingest service wants (W 1.2).
    pub needs_direct_grants: bool,
}

const SIGN_IN: &str = "the workspace accepts the service principal";
const WORKSPACE_ID: &str = "`databricksWorkspaceId` is this workspace's";
const REGION: &str = "`databricksRegion` is this workspace's";
const WAREHOUSE: &str = "the SQL warehouse can be used";
const TABLE: &str = "the table is a managed Delta table";
const MARKER: &str = "the table has the column `is_deleted`";

/// Asks everything up to the level.
pub async fn probe(databricks: &Databricks, subject: &Subject<'_>, level: CheckLevel) -> CheckReport {
    let mut report = CheckReport::default();
    report.passed("the parameters are complete");
    if level < CheckLevel::Connect {
        return report;
    }
    let principal = match databricks.token(&databricks.plain_token()).await {
        Ok(token) => principal(token.bearer.reveal()),
        Err(error) => {
            fail(&mut report, SIGN_IN, error);
            return report;
        }
    };
    report.passed(SIGN_IN);
    check_workspace_id(databricks, subject, &mut report).await;
    check_metastore(databricks, subject, &mut report).await;
    check_warehouse(databricks, subject, principal.as_deref(), &mut report).await;
    check_table(databricks, subject, &mut report).await;
    if level >= CheckLevel::Permissions {
        grants::check(databricks, subject, principal.as_deref(), &mut report).await;
        if let Some(path) = subject.staging {
            staging::check(databricks, subject, path, principal.as_deref(), &mut report).await;
        }
    }
    report
}

async fn check_workspace_id(databricks: &Databricks, subject: &Subject<'_>, report: &mut CheckReport) {
    let Some(given) = subject.workspace_id else { return };
    match databricks.discovery().await {
        Ok(found) => match plain(&found["workspace_id"]) {
            Some(id) if id == given => report.passed(WORKSPACE_ID),
            Some(_) => report.failed(
                WORKSPACE_ID,
                "DBX-001",
                "the workspace has another number",
                "set it to the number after `o=` in the workspace's address, or in Settings, Workspace",
            ),
            None => unknown(report, WORKSPACE_ID, "the workspace does not tell its number"),
        },
        Err(_) => unknown(report, WORKSPACE_ID, "the workspace does not tell its number"),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

async fn check_metastore(databricks: &Databricks, subject: &Subject<'_>, report: &mut CheckReport) {
    const ACCESS: &str = "the metastore lets clients outside of Databricks have credentials";
    let metastore = databricks.metastore().await;
    if let Some(given) = subject.region {
        match metastore.as_ref().map(|metastore| metastore.region.as_str()) {
            Ok(region) if region == given => report.passed(REGION),
            Ok(region) if !region.is_empty() => report.failed(
                REGION,
                "DBX-001",
                "the metastore of the workspace lies in another region",
                "set it to the workspace's region, such as us-east-1",
            ),
            _ => unknown(report, REGION, "the workspace does not tell its region"),
        }
    }
    if subject.staging.is_none() {
        return;
    }
    match metastore.map(|metastore| metastore.external_access_enabled) {
        Ok(Some(true)) => report.passed(ACCESS),
        Ok(Some(false)) => report.warning(
            ACCESS,
            "DBX-029",
            "External Data Access is switched off, so the initial export cannot stage rows",
            "a metastore admin switches it on: account console, Catalog, Metastores, External Data Access",
        ),
        _ => unknown(report, ACCESS, "the workspace does not tell"),
    }
}

async fn check_warehouse(
    databricks: &Databricks,
    subject: &Subject<'_>,
    principal: Option<&str>,
    report: &mut CheckReport,
) {
    let error = match databricks.warehouse_state(subject.warehouse).await {
        Ok(state) if state == "DELETED" || state == "DELETING" => {
            return report.failed(
                WAREHOUSE,
                "DBX-007",
                "the warehouse is deleted",
                "name another in `databricksWarehouseId`",
            );
        }
        Ok(_) => return report.passed(WAREHOUSE),
        Err(error) => error,
    };
    if error.is_denied() {
        let who = principal.unwrap_or(grants::SOMEBODY);
        let hint = format!(
            "databricks warehouses update-permissions {} --json '{{\"access_control_list\":[{{\
             \"service_principal_name\":\"{who}\",\"permission_level\":\"CAN_USE\"}}]}}'",
            subject.warehouse
        );
        return report.failed(WAREHOUSE, "DBX-003", "CAN_USE on the warehouse is missing", &hint);
    }
    fail(report, WAREHOUSE, error);
}

async fn check_table(databricks: &Databricks, subject: &Subject<'_>, report: &mut CheckReport) {
    match databricks.table(subject.table).await {
        Ok(Some(table)) => check_found(&table, report),
        Ok(None) => report.warning(
            TABLE,
            "DBX-020",
            format!("there is no table `{}`, or none that may be seen", subject.table),
            "create it; where the service principal has CREATE TABLE on the schema, the first start does",
        ),
        Err(error) => fail(report, TABLE, error),
    }
}

fn check_found(table: &TableInfo, report: &mut CheckReport) {
    match not_fit(table) {
        None => report.passed(TABLE),
        Some((message, hint)) => report.failed(TABLE, "DBX-009", message, hint),
    }
    if table
        .columns
        .iter()
        .any(|column| column.name.eq_ignore_ascii_case("is_deleted"))
    {
        return report.passed(MARKER);
    }
    report.warning(
        MARKER,
        "DBX-021",
        "the column is missing; it is added when delivery starts",
        "nothing, unless `autoEvolve` is false: then add `is_deleted INT` by hand",
    );
}

/// Why a table cannot be written to, and what to do; none if it can.
#[must_use]
pub fn not_fit(table: &TableInfo) -> Option<(String, &'static str)> {
    let is_managed = matches!(table.table_type.as_str(), "" | "MANAGED" | "STREAMING_TABLE");
    if !is_managed {
        return Some((
            "the table is not managed by Unity Catalog".to_owned(),
            "name a managed table; `writeMode = external-direct` writes to external ones",
        ));
    }
    if !matches!(table.data_source_format.as_str(), "" | "DELTA") {
        return Some((
            "the table is not a Delta table".to_owned(),
            "create the table USING DELTA",
        ));
    }
    None
}

/// Whether the table's commits are the catalog's, which the ingest service did not take at last report (W 2.4).
#[must_use]
pub fn is_catalog_managed(table: &TableInfo) -> bool {
    let feature = table.properties.get("delta.feature.catalogManaged");
    feature.is_some_and(|value| value == "supported" || value == "enabled")
}

/// The service principal's id, as its own token names it; none for a token that cannot be read.
fn principal(bearer: &str) -> Option<String> {
    let payload = bearer.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let name = claims["sub"].as_str().or_else(|| claims["client_id"].as_str())?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    (!name.is_empty() && name.len() <= 128 && name.bytes().all(is_plain)).then(|| name.to_owned())
}

fn fail(report: &mut CheckReport, name: &str, error: DatabricksError) {
    let error = PluginError::from(error);
    report.failed(name, &error.code, error.message, &error.hint);
}

/// Adds a question that the workspace does not answer.
fn unknown(report: &mut CheckReport, name: &str, why: &str) {
    report.items.push(CheckItem {
        name: name.to_owned(),
        verdict: Verdict::Skipped,
        code: String::new(),
        message: format!("unknown: {why}"),
        hint: String::new(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_read_from_its_token_or_not_at_all() {
        let token = |claims: &str| format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(principal(&token(r#"{"sub":"sp-1"}"#)).as_deref(), Some("sp-1"));
        assert_eq!(
            principal(&token(r#"{"client_id":"sp-2"}"#)).as_deref(),
            Some("sp-2")
        );
        assert_eq!(principal(&token(r#"{"sub":"x'; DROP"}"#)), None);
        assert_eq!(principal("opaque"), None);
    }

    #[test]
    fn only_managed_delta_tables_fit() {
        let table = |kind: &str, format: &str| TableInfo {
            table_type: kind.into(),
            data_source_format: format.into(),
            ..TableInfo::default()
        };
        assert_eq!(not_fit(&table("MANAGED", "DELTA")), None);
        assert!(not_fit(&table("EXTERNAL", "DELTA")).is_some());
        assert!(not_fit(&table("MANAGED", "ICEBERG")).is_some());
        assert!(not_fit(&table("VIEW", "")).is_some());
    }
}
