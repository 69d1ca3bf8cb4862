//! Storage credentials and external locations.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body};
use crate::catalog::info::{credential_info, location_info};
use crate::catalog::make::check_name;
use crate::catalog::{Caller, CredentialEntry, Kind, LocationEntry, Privilege, Securable, normal_location};
use crate::http::ApiError;
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;

fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn exists(what: &str, name: &str) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "RESOURCE_ALREADY_EXISTS",
        format!("{what} '{name}' already exists"),
    )
    .because("RESOURCE_ALREADY_EXISTS")
}

fn missing(what: &str, name: &str) -> ApiError {
    ApiError::missing(
        "RESOURCE_DOES_NOT_EXIST",
        format!("{what} '{name}' does not exist."),
    )
}

#[derive(Deserialize)]
pub(super) struct NewCredential {
    name: String,
    aws_iam_role: NewRole,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct NewRole {
    role_arn: String,
}

pub(super) async fn create_credential(
    State(workspace): Shared,
    caller: Caller,
    Body(new): Body<NewCredential>,
) -> Answer {
    let now = workspace.clock.now_ms();
    workspace
        .change(|catalog| {
            let metastore = Securable::new(Kind::Metastore, "");
            catalog.require(&caller, Privilege::CreateStorageCredential, &metastore)?;
            let name = new.name.to_lowercase();
            check_name(&name, "storage credential")?;
            if catalog.credentials.contains_key(&name) {
                return Err(exists("Storage Credential", &name));
            }
            let entry = CredentialEntry {
                name: name.clone(),
                id: id(),
                role_arn: new.aws_iam_role.role_arn,
                external_id: id(),
                owner: caller.principal.clone(),
                comment: new.comment,
                created_at: now,
            };
            catalog.credentials.insert(name, entry.clone());
            Ok(credential_info(catalog, &entry))
        })
        .map(Json)
}

pub(super) async fn list_credentials(State(workspace): Shared, _caller: Caller) -> Answer {
    let all: Vec<Value> = workspace.read(|catalog| {
        let entries = catalog.credentials.values();
        entries.map(|entry| credential_info(catalog, entry)).collect()
    });
    Ok(Json(json!({ "storage_credentials": all })))
}

pub(super) async fn get_credential(
    State(workspace): Shared,
    _caller: Caller,
    Path(name): Path<String>,
) -> Answer {
    let name = name.to_lowercase();
    workspace
        .read(|catalog| {
            let entry = catalog.credentials.get(&name);
            entry
                .map(|entry| credential_info(catalog, entry))
                .ok_or_else(|| missing("Storage Credential", &name))
        })
        .map(Json)
}

pub(super) async fn delete_credential(
    State(workspace): Shared,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer {
    workspace.change(|catalog| {
        let securable = Securable::new(Kind::StorageCredential, &name);
        if !catalog.has(&securable) {
            return Err(missing("Storage Credential", &name));
        }
        catalog.require_manage(&caller, &securable)?;
        catalog.credentials.remove(&securable.name);
        Ok(Json(json!({})))
    })
}

#[derive(Deserialize)]
pub(super) struct Validation {
    storage_credential_name: Option<String>,
    url: Option<String>,
}

/// Nothing is wrong with a credential that exists: it is not tried out, and who is lent nothing for it is told why.
pub(super) async fn validate(
    State(workspace): Shared,
    _caller: Caller,
    Body(validation): Body<Validation>,
) -> Answer {
    let name = validation
        .storage_credential_name
        .unwrap_or_default()
        .to_lowercase();
    if !workspace.read(|catalog| catalog.credentials.contains_key(&name)) {
        return Err(missing("Storage Credential", &name));
    }
    let operations: &[&str] = if validation.url.is_some() {
        &["LIST", "READ", "WRITE", "DELETE"]
    } else {
        &[]
    };
    let results: Vec<Value> = operations
        .iter()
        .map(|operation| json!({"operation": operation, "result": "PASS", "message": ""}))
        .collect();
    Ok(Json(json!({"isDir": true, "results": results})))
}

#[derive(Deserialize)]
pub(super) struct NewLocation {
    name: String,
    url: String,
    credential_name: String,
    comment: Option<String>,
}

pub(super) async fn create_location(
    State(workspace): Shared,
    caller: Caller,
    Body(new): Body<NewLocation>,
) -> Answer {
    let now = workspace.clock.now_ms();
    if workspace.storage.place(&new.url).is_err() {
        return Err(ApiError::invalid(format!(
            "Input path url '{}' is not valid.",
            new.url
        )));
    }
    workspace
        .change(|catalog| {
            let metastore = Securable::new(Kind::Metastore, "");
            catalog.require(&caller, Privilege::CreateExternalLocation, &metastore)?;
            let (name, credential) = (new.name.to_lowercase(), new.credential_name.to_lowercase());
            check_name(&name, "external location")?;
            if !catalog.credentials.contains_key(&credential) {
                return Err(missing("Storage Credential", &credential));
            }
            if catalog.locations.contains_key(&name) {
                return Err(exists("External Location", &name));
            }
            let url = normal_location(&new.url);
            if catalog.locations.values().any(|entry| entry.url == url) {
                return Err(ApiError::invalid(format!(
                    "Input path url '{url}' overlaps with an existing external location within \
                     'CreateExternalLocation' call."
                ))
                .because("LOCATION_OVERLAP"));
            }
            let entry = LocationEntry {
                name: name.clone(),
                id: id(),
                url,
                credential_name: credential,
                owner: caller.principal.clone(),
                comment: new.comment,
                created_at: now,
            };
            catalog.locations.insert(name, entry.clone());
            Ok(location_info(catalog, &entry))
        })
        .map(Json)
}

/// Who has anything on a location may know of it.
fn sees(catalog: &crate::catalog::Catalog, caller: &Caller, name: &str) -> bool {
    let securable = Securable::new(Kind::ExternalLocation, name);
    catalog.may_manage(caller, &securable)
        || [
            Privilege::ReadFiles,
            Privilege::WriteFiles,
            Privilege::CreateExternalTable,
            Privilege::ExternalUseLocation,
            Privilege::Browse,
        ]
        .iter()
        .any(|privilege| catalog.may(caller, *privilege, &securable))
}

pub(super) async fn list_locations(State(workspace): Shared, caller: Caller) -> Answer {
    let seen: Vec<Value> = workspace.read(|catalog| {
        catalog
            .locations
            .values()
            .filter(|entry| sees(catalog, &caller, &entry.name))
            .map(|entry| location_info(catalog, entry))
            .collect()
    });
    Ok(Json(json!({ "external_locations": seen })))
}

pub(super) async fn get_location(
    State(workspace): Shared,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer {
    let name = name.to_lowercase();
    workspace
        .read(|catalog| {
            let entry = catalog.locations.get(&name);
            entry
                .filter(|entry| sees(catalog, &caller, &entry.name))
                .map(|entry| location_info(catalog, entry))
                .ok_or_else(|| missing("External Location", &name))
        })
        .map(Json)
}

pub(super) async fn delete_location(
    State(workspace): Shared,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer {
    workspace.change(|catalog| {
        let securable = Securable::new(Kind::ExternalLocation, &name);
        if !catalog.has(&securable) {
            return Err(missing("External Location", &name));
        }
        catalog.require_manage(&caller, &securable)?;
        catalog.locations.remove(&securable.name);
        catalog.grants.remove(&securable.key());
        Ok(Json(json!({})))
    })
}
