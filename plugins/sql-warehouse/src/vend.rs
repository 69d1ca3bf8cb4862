//! Credentials for storage, vended by Unity Catalog.

use lakefeed_databricks_client::catalog::Vend;
use lakefeed_plugin_api::{
    CloudCredentials, CredentialOperation, CredentialRequest, CredentialTarget, CredentialVendor,
    Credentials, PluginError,
};

use crate::{SqlError, SqlWarehouse};

impl CredentialVendor for SqlWarehouse {
    async fn vend(&self, request: &CredentialRequest) -> Result<Credentials, PluginError> {
        let may_write = request.operation == CredentialOperation::ReadWrite;
        let mut credentials = match &request.target {
            CredentialTarget::Path(url) => {
                self.databricks
                    .temporary_credentials(Vend::Path(url), may_write)
                    .await?
            }
            CredentialTarget::Table(table) => {
                let name = self.name_of(table)?;
                // By id, which only the catalog knows: a table that was made again has another.
                let Some(found) = self.databricks.table(&name).await? else {
                    return Err(SqlError::NoTable {
                        table: name.to_string(),
                    }
                    .into());
                };
                self.databricks
                    .temporary_credentials(Vend::Table(&found.table_id), may_write)
                    .await?
            }
        };
        if let (CloudCredentials::Aws { region, .. }, Some(known)) =
            (&mut credentials.cloud, &self.checked.region)
        {
            region.clone_from(known);
        }
        Ok(credentials)
    }
}
