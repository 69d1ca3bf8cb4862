//! The preflight of a destination that writes by the ingest service.

use lakefeed_databricks_client::probe::{Subject, probe};
use lakefeed_plugin_api::{Check, CheckLevel, CheckReport, PluginError};

use crate::Zerobus;

const TOKEN: &str = "the service principal gets a token for the ingest service";

impl Check for Zerobus {
    async fn check(&self, level: CheckLevel) -> CheckReport {
        let subject = Subject {
            table: &self.checked.table,
            warehouse: &self.checked.warehouse,
            workspace_id: Some(&self.checked.workspace_id),
            region: Some(&self.checked.region),
            staging: self.checked.staging.as_deref(),
            needs_direct_grants: true,
        };
        let mut report = probe(&self.databricks, &subject, level).await;
        if level >= CheckLevel::Permissions {
            match self.databricks.token(&self.table_token()).await {
                Ok(_) => report.passed(TOKEN),
                Err(error) => {
                    let error = PluginError::from(error);
                    report.failed(TOKEN, &error.code, error.message, &error.hint);
                }
            }
        }
        report
    }
}
