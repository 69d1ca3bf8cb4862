//! The preflight of a destination that writes by SQL.

use lakefeed_databricks_client::probe::{Subject, probe};
use lakefeed_plugin_api::{Check, CheckLevel, CheckReport};

use crate::SqlWarehouse;

impl Check for SqlWarehouse {
    async fn check(&self, level: CheckLevel) -> CheckReport {
        let subject = Subject {
            table: &self.checked.table,
            warehouse: &self.checked.warehouse,
            workspace_id: self.checked.workspace_id.as_deref(),
            region: self.checked.workspace_region.as_deref(),
            staging: self.checked.staging.as_deref(),
            needs_direct_grants: false,
        };
        probe(&self.databricks, &subject, level).await
    }
}
