//! The workspace that the product's set-up makes, so that a test starts from a ready one.
//!
//! The ten steps can also be made over HTTP against an emulator that nobody has set up.

use std::sync::Arc;

use thiserror::Error;

use crate::catalog::{
    ADMINISTRATOR, CredentialEntry, Kind, LocationEntry, Privilege, SchemaEntry, Securable,
};
use crate::http::ApiError;
use crate::sql;
use crate::workspace::Workspace;

/// The names of what a set-up makes. The default is the product's own.
#[derive(Clone, Debug)]
pub struct SetUp {
    /// The catalog.
    pub catalog: String,
    /// The schema of the target table.
    pub schema: String,
    /// The schema of staging tables.
    pub staging: String,
    /// The target table and its columns, as CREATE TABLE has them.
    pub tables: Vec<(String, String)>,
    /// The bucket of managed and staged files.
    pub bucket: String,
    /// The storage credential.
    pub credential: String,
    /// The external location.
    pub location: String,
}

impl Default for SetUp {
    fn default() -> Self {
        Self {
            catalog: "aidbox_export".to_owned(),
            schema: "fhir".to_owned(),
            staging: "fhir_staging".to_owned(),
            tables: vec![(
                "patients".to_owned(),
                "id STRING, ts TIMESTAMP, cts TIMESTAMP, gender STRING, birth_date DATE, family_name STRING, \
                 given_name STRING, is_deleted INT"
                    .to_owned(),
            )],
            bucket: "lakefeed-staging".to_owned(),
            credential: "aidbox_staging_cred".to_owned(),
            location: "aidbox_staging_loc".to_owned(),
        }
    }
}

/// A step of the set-up failed.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct SetUpError(String);

impl From<ApiError> for SetUpError {
    fn from(error: ApiError) -> Self {
        Self(error.message)
    }
}

/// Makes what does not exist yet.
pub(crate) async fn set_up(workspace: &Arc<Workspace>, names: &SetUp) -> Result<(), SetUpError> {
    make_storage(workspace, names)?;
    make_schemas(workspace, names)?;
    for (table, columns) in &names.tables {
        let (catalog, schema) = (&names.catalog, &names.schema);
        let create =
            format!("CREATE TABLE IF NOT EXISTS `{catalog}`.`{schema}`.`{table}` ({columns}) USING DELTA");
        sql::run_as_administrator(workspace, &create)
            .await
            .map_err(SetUpError)?;
    }
    grant(workspace, names)
}

/// The credential, the external location, who may use the warehouse.
fn make_storage(workspace: &Workspace, names: &SetUp) -> Result<(), SetUpError> {
    let now = workspace.clock.now_ms();
    let id = || uuid::Uuid::new_v4().to_string();
    workspace.change(|catalog| {
        let credential = names.credential.to_lowercase();
        catalog
            .credentials
            .entry(credential.clone())
            .or_insert_with(|| CredentialEntry {
                name: credential.clone(),
                id: id(),
                role_arn: "arn:aws:iam::123456789012:role/aidbox-staging-role".to_owned(),
                external_id: id(),
                owner: ADMINISTRATOR.to_owned(),
                comment: None,
                created_at: now,
            });
        let location = names.location.to_lowercase();
        catalog
            .locations
            .entry(location.clone())
            .or_insert_with(|| LocationEntry {
                name: location,
                id: id(),
                url: format!("s3://{}", names.bucket),
                credential_name: credential,
                owner: ADMINISTRATOR.to_owned(),
                comment: None,
                created_at: now,
            });
        let client = workspace.options.client_id.clone();
        if let Some(warehouse) = catalog.warehouses.get_mut(&workspace.options.warehouse_id) {
            warehouse.permissions.insert(client, "CAN_USE".to_owned());
        }
        Ok(())
    })?;
    Ok(())
}

fn make_schemas(workspace: &Workspace, names: &SetUp) -> Result<(), SetUpError> {
    let now = workspace.clock.now_ms();
    let caller = workspace.as_caller(ADMINISTRATOR.to_owned());
    let bucket = &names.bucket;
    workspace.change(|catalog| {
        if !catalog.has(&Securable::new(Kind::Catalog, &names.catalog)) {
            let root = format!("s3://{bucket}/managed/");
            catalog.make_catalog(&caller, &names.catalog, Some(&root), None, now)?;
        }
        let roots = [
            (&names.schema, None),
            (&names.staging, Some(format!("s3://{bucket}/staging/"))),
        ];
        for (name, storage_root) in roots {
            if catalog.has(&Securable::new(
                Kind::Schema,
                &format!("{}.{name}", names.catalog),
            )) {
                continue;
            }
            let entry = SchemaEntry {
                name: name.clone(),
                catalog: names.catalog.clone(),
                storage_root,
                ..SchemaEntry::default()
            };
            catalog.make_schema(&caller, entry, now)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// The grants of the product's table, for both write modes.
fn grant(workspace: &Workspace, names: &SetUp) -> Result<(), SetUpError> {
    let client = workspace.options.client_id.clone();
    let catalog_name = names.catalog.as_str();
    let schema = format!("{catalog_name}.{}", names.schema);
    let staging = format!("{catalog_name}.{}", names.staging);
    let mut grants: Vec<(Kind, String, Vec<Privilege>)> = vec![
        (
            Kind::Catalog,
            catalog_name.to_owned(),
            vec![Privilege::UseCatalog],
        ),
        (Kind::Schema, schema.clone(), vec![Privilege::UseSchema]),
        (
            Kind::Schema,
            staging,
            vec![
                Privilege::ExternalUseSchema,
                Privilege::UseSchema,
                Privilege::CreateTable,
            ],
        ),
        (
            Kind::ExternalLocation,
            names.location.clone(),
            vec![
                Privilege::ReadFiles,
                Privilege::WriteFiles,
                Privilege::CreateExternalTable,
                Privilege::ExternalUseLocation,
            ],
        ),
    ];
    for (table, _) in &names.tables {
        let table = format!("{schema}.{table}");
        grants.push((Kind::Table, table, vec![Privilege::Select, Privilege::Modify]));
    }
    workspace.change(|catalog| {
        for (kind, name, privileges) in &grants {
            catalog.change_grants(&Securable::new(*kind, name), &client, privileges, &[])?;
        }
        Ok(())
    })?;
    Ok(())
}
