//! Credentials that are lent to the outside for an hour.
//!
//! Whoever gets them has passed every check that the real service makes. With an S3 server they are its own: STS takes on
//! the role of the storage credential for what lies below the location. Without one there is nothing that they could open,
//! and they are made up.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Body};
use crate::catalog::make::no_table;
use crate::catalog::{Caller, Catalog, Kind, Privilege, Securable, TableEntry, TableType, normal_location};
use crate::http::ApiError;
use crate::storage::Lent;
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;

const HOUR_MS: i64 = 3_600_000;

fn require_external_access(catalog: &Catalog) -> Result<(), ApiError> {
    if catalog.metastore.external_access {
        return Ok(());
    }
    Err(ApiError::denied(format!(
        "External Data Access from non Databricks Compute environment is disabled for metastore {}.",
        catalog.metastore.id
    ))
    .because("EXTERNAL_ACCESS_DISABLED_ON_METASTORE"))
}

fn made_up(now: i64) -> Lent {
    let key: String = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    Lent {
        access_key_id: format!("ASIA{}", &key[..16]),
        secret_access_key: uuid::Uuid::new_v4().simple().to_string(),
        session_token: format!("FwoGZXIvYXdz{}", uuid::Uuid::new_v4().simple()),
        expires_at: now + HOUR_MS,
    }
}

async fn lent(workspace: &Workspace, url: &str, writes: bool) -> Answer {
    let credential = workspace.read(|catalog| {
        let location = catalog.external_location(url)?;
        catalog.credentials.get(&location.credential_name).cloned()
    });
    let lent = workspace
        .storage
        .lend(url, credential.as_ref(), writes)
        .await
        .map_err(|error| ApiError::internal(&error))?
        .unwrap_or_else(|| made_up(workspace.clock.now_ms()));
    Ok(Json(json!({
        "aws_temp_credentials": {
            "access_key_id": lent.access_key_id,
            "secret_access_key": lent.secret_access_key,
            "session_token": lent.session_token,
            "access_point": "",
        },
        "expiration_time": lent.expires_at,
        "url": url,
    })))
}

#[derive(Deserialize)]
pub(super) struct OfTable {
    table_id: String,
    operation: String,
}

fn check_table(catalog: &Catalog, caller: &Caller, table: &TableEntry, writes: bool) -> Result<(), ApiError> {
    let securable = table.securable();
    let schema = Securable::new(Kind::Schema, &format!("{}.{}", table.catalog, table.schema));
    catalog.require_way(caller, &securable)?;
    catalog.require(caller, Privilege::ExternalUseSchema, &schema)?;
    catalog.require(caller, Privilege::Select, &securable)?;
    if !writes {
        return Ok(());
    }
    catalog.require(caller, Privilege::Modify, &securable)?;
    if table.table_type == TableType::Managed {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETER_VALUE",
            "Table is not eligible for external engine writes.",
        )
        .because("EXTERNAL_WRITE_NOT_ALLOWED_FOR_TABLE"));
    }
    Ok(())
}

pub(super) async fn of_table(
    State(workspace): Shared,
    caller: Caller,
    Body(wanted): Body<OfTable>,
) -> Answer {
    let writes = match wanted.operation.as_str() {
        "READ" => false,
        "READ_WRITE" => true,
        other => {
            return Err(ApiError::invalid(format!("'{other}' is not a valid operation.")));
        }
    };
    let url = workspace.read(|catalog| {
        require_external_access(catalog)?;
        let table = catalog
            .tables
            .values()
            .find(|table| table.table_id == wanted.table_id)
            .ok_or_else(|| no_table(&wanted.table_id))?;
        check_table(catalog, &caller, table, writes)?;
        Ok::<_, ApiError>(table.storage_location.clone())
    })?;
    lent(&workspace, &url, writes).await
}

#[derive(Deserialize)]
pub(super) struct OfPath {
    url: String,
    operation: String,
    #[serde(default)]
    dry_run: bool,
}

fn check_path(catalog: &Catalog, caller: &Caller, wanted: &OfPath) -> Result<(), ApiError> {
    let needed: &[Privilege] = match wanted.operation.as_str() {
        "PATH_READ" => &[Privilege::ReadFiles],
        "PATH_READ_WRITE" => &[Privilege::ReadFiles, Privilege::WriteFiles],
        "PATH_CREATE_TABLE" => &[Privilege::CreateExternalTable],
        other => {
            return Err(ApiError::invalid(format!("'{other}' is not a valid operation.")));
        }
    };
    catalog.require_location(caller, Privilege::ExternalUseLocation, &wanted.url)?;
    for privilege in needed {
        catalog.require_location(caller, *privilege, &wanted.url)?;
    }
    let call = "GenerateTemporaryPathCredential";
    match wanted.operation.as_str() {
        "PATH_CREATE_TABLE" => catalog.check_overlap(&wanted.url, call),
        "PATH_READ_WRITE" => catalog.check_tables(&wanted.url, call),
        _ => Ok(()),
    }
}

pub(super) async fn of_path(State(workspace): Shared, caller: Caller, Body(wanted): Body<OfPath>) -> Answer {
    workspace.read(|catalog| {
        require_external_access(catalog)?;
        check_path(catalog, &caller, &wanted)
    })?;
    if wanted.dry_run {
        return Ok(Json(json!({})));
    }
    let writes = wanted.operation != "PATH_READ";
    lent(&workspace, &normal_location(&wanted.url), writes).await
}
