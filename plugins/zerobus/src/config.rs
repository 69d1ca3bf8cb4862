//! The destination's parameters, as written and as checked, and where the ingest service is.

use std::time::Duration;

use lakefeed_databricks_client::{DatabricksError, TableName, Workspace, check_warehouse, is_loopback};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// The parameters as the operator writes them (A 1.3), with the plugin's own settings.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Address of the workspace: `https://<workspace>.cloud.databricks.com`. Plain http only on loopback.
    #[schemars(extend("x-lakefeed-access" = "databricks-host"))]
    pub databricks_workspace_url: String,
    /// The workspace's number, as after `o=` in its address.
    pub databricks_workspace_id: String,
    /// The workspace's region.
    pub databricks_region: String,
    /// Id of the SQL warehouse that the companion uses when delivery starts.
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
    /// How many requests of a batch may be under way together.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: u32,
    /// Address of the ingest service, instead of the composed one.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// How long the service may take to learn of columns that were added, in milliseconds.
    #[serde(default = "a_minute")]
    #[schemars(range(min = 0, max = 600_000))]
    pub schema_cache_ms: u64,
}

fn default_file_size() -> u32 {
    128
}

fn one() -> u32 {
    1
}

fn a_minute() -> u64 {
    60_000
}

/// The parameters as the plugin runs them.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) workspace: Workspace,
    pub(crate) workspace_id: String,
    pub(crate) region: String,
    pub(crate) warehouse: String,
    pub(crate) table: TableName,
    pub(crate) staging: Option<String>,
    pub(crate) max_in_flight: usize,
    /// Scheme, host and port of the ingest service.
    pub(crate) service: String,
    pub(crate) is_local: bool,
    pub(crate) schema_cache: Duration,
}

impl Config {
    /// Checks the parameters against each other. No I/O.
    pub(crate) fn check(&self) -> Result<Checked, DatabricksError> {
        check_warehouse(&self.databricks_warehouse_id)?;
        let is_number =
            |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(&self.databricks_workspace_id) {
            return Err(wrong(
                "databricksWorkspaceId",
                "must be the workspace's number, as after `o=` in its address",
            ));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if self.databricks_region.is_empty() || !self.databricks_region.bytes().all(is_plain) {
            return Err(wrong(
                "databricksRegion",
                "must be a region's name, such as us-east-1",
            ));
        }
        if !(1..=64).contains(&self.max_in_flight) {
            return Err(wrong("maxInFlight", "must lie between 1 and 64"));
        }
        let workspace = Workspace::parse(&self.databricks_workspace_url)?;
        let service = self.service(&workspace)?;
        Ok(Checked {
            workspace_id: self.databricks_workspace_id.clone(),
            region: self.databricks_region.clone(),
            warehouse: self.databricks_warehouse_id.clone(),
            table: table(&self.table_name)?,
            staging: self.staging_table_path.clone(),
            max_in_flight: usize::try_from(self.max_in_flight).unwrap_or(1),
            is_local: is_loopback(&service),
            service: service.as_str().trim_end_matches('/').to_owned(),
            schema_cache: Duration::from_millis(self.schema_cache_ms),
            workspace,
        })
    }

    /// The service's address: as it is set, or made of id, region and the workspace's cloud (W 2.1).
    fn service(&self, workspace: &Workspace) -> Result<Url, DatabricksError> {
        const NAME: &str = "endpoint";
        if let Some(text) = &self.endpoint {
            let url = Url::parse(text).map_err(|_| wrong(NAME, "is not a URL; write https://<host>"))?;
            return match url.scheme() {
                _ if !matches!(url.path(), "" | "/")
                    || url.query().is_some()
                    || !url.username().is_empty() =>
                {
                    Err(wrong(NAME, "must be a host alone, as in https://<host>"))
                }
                "https" => Ok(url),
                "http" if is_loopback(&url) => Ok(url),
                "http" => Err(wrong(NAME, "plain http is only for loopback; use https")),
                _ => Err(wrong(NAME, "must begin with https://")),
            };
        }
        let cloud = workspace.cloud().ok_or_else(|| {
            wrong(
                "databricksWorkspaceUrl",
                "does not tell the cloud; set `endpoint` of `[plugin.zerobus]` to the ingest service's address",
            )
        })?;
        let host = format!(
            "https://{}.zerobus.{}.{}",
            self.databricks_workspace_id,
            self.databricks_region,
            cloud.suffix()
        );
        Url::parse(&host).map_err(|_| wrong("databricksRegion", "makes no host name"))
    }
}

/// The service takes names of ASCII letters, digits and underscores alone (W 2.4).
fn table(text: &str) -> Result<TableName, DatabricksError> {
    let name = TableName::parse(text)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if ![&name.schema, &name.table]
        .iter()
        .all(|part| part.bytes().all(is_plain))
    {
        return Err(wrong(
            "tableName",
            "the ingest service takes ASCII letters, digits and `_` in names only",
        ));
    }
    Ok(name)
}

fn wrong(name: &'static str, problem: &str) -> DatabricksError {
    DatabricksError::Parameter {
        name,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(changes: &[(&str, &str)], expect: &str) {
        let mut config = serde_json::json!({
            "databricksWorkspaceUrl": "https://dbc-1.cloud.databricks.com",
            "databricksWorkspaceId": "1234567890123456",
            "databricksRegion": "us-east-1",
            "databricksWarehouseId": "0123456789abcdef",
            "tableName": "c.s.t",
        });
        for (name, value) in changes {
            config[*name] = (*value).into();
        }
        let config: Config = serde_json::from_value(config).unwrap();
        let answer = config
            .check()
            .map_or_else(|error| error.to_string(), |checked| checked.service);
        assert!(answer.contains(expect), "{changes:?}: {answer}");
    }

    #[test]
    fn the_service_follows_the_workspace_or_is_set() {
        check(
            &[],
            "https://1234567890123456.zerobus.us-east-1.cloud.databricks.com",
        );
        check(
            &[
                ("databricksWorkspaceUrl", "https://adb-1.azuredatabricks.net"),
                ("databricksRegion", "westus2"),
            ],
            "https://1234567890123456.zerobus.westus2.azuredatabricks.net",
        );
        check(
            &[("databricksWorkspaceUrl", "https://1.gcp.databricks.com")],
            "https://1234567890123456.zerobus.us-east-1.gcp.databricks.com",
        );
        check(
            &[("databricksWorkspaceUrl", "http://127.0.0.1:9")],
            "set `endpoint` of `[plugin.zerobus]`",
        );
        check(&[("endpoint", "http://127.0.0.1:9/")], "http://127.0.0.1:9");
        check(
            &[("endpoint", "http://ingest.example")],
            "plain http is only for loopback",
        );
        check(
            &[("endpoint", "https://ingest.example/x")],
            "must be a host alone",
        );
    }

    #[test]
    fn each_parameter_is_checked_by_name() {
        check(&[("databricksWorkspaceId", "dbc-1")], "`databricksWorkspaceId`");
        check(&[("databricksRegion", "us east")], "`databricksRegion`");
        check(&[("tableName", "c.s.my-table")], "`tableName`");
        check(&[("databricksWarehouseId", "../x")], "`databricksWarehouseId`");
    }
}
