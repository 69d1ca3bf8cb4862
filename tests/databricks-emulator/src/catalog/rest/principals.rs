//! Service principals, as far as a set-up needs them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body};
use crate::catalog::{Caller, ServicePrincipal};
use crate::http::ApiError;
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;

fn require_administrator(caller: &Caller) -> Result<(), ApiError> {
    if caller.is_administrator() {
        return Ok(());
    }
    Err(ApiError::denied("Only administrators can do this."))
}

fn info(client_id: &str, principal: &ServicePrincipal) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"],
        "id": principal.id,
        "applicationId": client_id,
        "displayName": principal.display_name,
        "active": true,
    })
}

#[derive(Deserialize)]
pub(super) struct NewPrincipal {
    #[serde(rename = "displayName")]
    display_name: String,
    #[serde(rename = "applicationId")]
    application_id: Option<String>,
}

pub(super) async fn create(
    State(workspace): Shared,
    caller: Caller,
    Body(new): Body<NewPrincipal>,
) -> Answer {
    require_administrator(&caller)?;
    workspace
        .change(|catalog| {
            let client_id = new
                .application_id
                .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
            let principal = ServicePrincipal {
                id: (uuid::Uuid::new_v4().as_u128() >> 76).to_string(),
                display_name: new.display_name,
                secrets: Vec::new(),
            };
            let told = info(&client_id, &principal);
            catalog.principals.insert(client_id, principal);
            Ok(told)
        })
        .map(Json)
}

pub(super) async fn list(
    State(workspace): Shared,
    _caller: Caller,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let filter = query.get("filter").cloned().unwrap_or_default();
    let wanted = filter.split('"').nth(1).map(str::to_owned);
    let found: Vec<Value> = workspace.read(|catalog| {
        catalog
            .principals
            .iter()
            .filter(|(client_id, principal)| {
                wanted.as_ref().is_none_or(|wanted| {
                    *wanted == **client_id || *wanted == principal.display_name || *wanted == principal.id
                })
            })
            .map(|(client_id, principal)| info(client_id, principal))
            .collect()
    });
    Ok(Json(json!({
        "totalResults": found.len(),
        "startIndex": 1,
        "itemsPerPage": found.len(),
        "Resources": found,
    })))
}

pub(super) async fn create_secret(
    State(workspace): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    require_administrator(&caller)?;
    let secret = format!("dose{}", uuid::Uuid::new_v4().simple());
    workspace
        .change(|catalog| {
            let principal = catalog
                .principals
                .values_mut()
                .find(|principal| principal.id == id)
                .ok_or_else(|| {
                    ApiError::missing("RESOURCE_DOES_NOT_EXIST", "Service principal does not exist.")
                })?;
            principal.secrets.push(secret.clone());
            Ok(json!({
                "id": uuid::Uuid::new_v4().to_string(),
                "secret": secret,
                "status": "ACTIVE",
            }))
        })
        .map(Json)
}

pub(super) async fn me(State(workspace): Shared, caller: Caller) -> Answer {
    let told = workspace.read(|catalog| match catalog.principals.get(&caller.principal) {
        Some(principal) => json!({
            "id": principal.id,
            "userName": caller.principal,
            "displayName": principal.display_name,
            "active": true,
        }),
        None => json!({
            "id": "1", "userName": caller.principal, "displayName": caller.principal, "active": true,
        }),
    });
    Ok(Json(told))
}
