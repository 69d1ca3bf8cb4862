//! The destination's parameters, as written and as checked.

use lakefeed_databricks_client::{DatabricksError, TableName, Workspace, check_warehouse};
use schemars::JsonSchema;
use serde::Deserialize;

/// The parameters as the operator writes them (A 1.3).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Address of the workspace: `https://<workspace>.cloud.databricks.com`. Plain http only on loopback.
    #[schemars(extend("x-lakefeed-access" = "databricks-host"))]
    pub databricks_workspace_url: String,
    /// The workspace's number, as after `o=` in its address; only checked.
    #[serde(default)]
    pub databricks_workspace_id: Option<String>,
    /// The workspace's region; only checked.
    #[serde(default)]
    pub databricks_region: Option<String>,
    /// Id of the SQL warehouse that runs the statements.
    pub databricks_warehouse_id: String,
    /// Full name of the managed table: `catalog.schema.table`.
    pub table_name: String,
    /// Folder in a bucket where the initial export stages rows.
    #[serde(default)]
    pub staging_table_path: Option<String>,
    /// Region of that bucket.
    #[serde(default)]
    pub aws_region: Option<String>,
    /// Where a staged file ends, in MiB.
    #[serde(default = "default_file_size")]
    #[schemars(range(min = 1, max = 4096))]
    pub target_file_size_mb: u32,
}

fn default_file_size() -> u32 {
    128
}

/// The parameters as the plugin runs them.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) workspace: Workspace,
    pub(crate) workspace_id: Option<String>,
    pub(crate) workspace_region: Option<String>,
    pub(crate) warehouse: String,
    pub(crate) table: TableName,
    pub(crate) staging: Option<String>,
    pub(crate) region: Option<String>,
}

impl Config {
    /// Checks the parameters against each other. No I/O.
    pub(crate) fn check(&self) -> Result<Checked, DatabricksError> {
        check_warehouse(&self.databricks_warehouse_id)?;
        if let Some(path) = &self.staging_table_path {
            check_staging(path)?;
        }
        Ok(Checked {
            workspace: Workspace::parse(&self.databricks_workspace_url)?,
            workspace_id: self.databricks_workspace_id.clone(),
            workspace_region: self.databricks_region.clone(),
            warehouse: self.databricks_warehouse_id.clone(),
            table: TableName::parse(&self.table_name)?,
            staging: self.staging_table_path.clone(),
            region: self.aws_region.clone(),
        })
    }
}

/// Staging is on S3 alone, below the root of a bucket.
fn check_staging(path: &str) -> Result<(), DatabricksError> {
    let rest = path.strip_prefix("s3://").or_else(|| path.strip_prefix("s3a://"));
    let prefix = rest
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, prefix)| prefix.trim_matches('/'));
    match prefix {
        Some(prefix) if !prefix.is_empty() => Ok(()),
        _ => Err(DatabricksError::Parameter {
            name: "stagingTablePath",
            problem: "must be a folder in a bucket, as in s3://bucket/staging/patients/".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::PluginError;

    use super::*;

    fn check(name: &str, value: &str, expect: &str) {
        let mut config = serde_json::json!({
            "databricksWorkspaceUrl": "https://dbc-1.cloud.databricks.com",
            "databricksWarehouseId": "0123456789abcdef",
            "tableName": "c.s.t",
        });
        if !name.is_empty() {
            config[name] = value.into();
        }
        let config: Config = serde_json::from_value(config).unwrap();
        let answer = config
            .check()
            .map_or_else(|error| PluginError::from(error).message, |_| "good".into());
        assert!(answer.contains(expect), "{name}: {answer}");
    }

    #[test]
    fn each_parameter_is_checked_by_name() {
        check("", "", "good");
        check(
            "databricksWorkspaceUrl",
            "http://x.example",
            "`databricksWorkspaceUrl`",
        );
        check("databricksWarehouseId", "a/b", "`databricksWarehouseId`");
        check("tableName", "patients", "`tableName`");
        check("stagingTablePath", "s3://bucket/staging/", "good");
        check("stagingTablePath", "gs://bucket/staging", "`stagingTablePath`");
        check("stagingTablePath", "s3://bucket/", "`stagingTablePath`");
    }
}
