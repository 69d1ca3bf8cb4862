//! The metastore and the catalogs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body};
use crate::catalog::info::{catalog_info, metastore_info};
use crate::catalog::make::no_catalog;
use crate::catalog::{Caller, Kind, Securable};
use crate::http::ApiError;
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;

pub(super) async fn metastore(State(workspace): Shared, _caller: Caller) -> Answer {
    let region = &workspace.options.region;
    Ok(Json(workspace.read(|catalog| metastore_info(catalog, region))))
}

pub(super) async fn assignment(State(workspace): Shared, _caller: Caller) -> Answer {
    let workspace_id = workspace.options.workspace_id;
    Ok(Json(workspace.read(
        |catalog| json!({"workspace_id": workspace_id, "metastore_id": catalog.metastore.id}),
    )))
}

#[derive(Deserialize)]
pub(super) struct NewCatalog {
    name: String,
    storage_root: Option<String>,
    comment: Option<String>,
}

pub(super) async fn create(State(workspace): Shared, caller: Caller, Body(new): Body<NewCatalog>) -> Answer {
    let now = workspace.clock.now_ms();
    workspace
        .change(|catalog| {
            let root = new.storage_root.as_deref();
            let entry = catalog.make_catalog(&caller, &new.name, root, new.comment.clone(), now)?;
            Ok(catalog_info(catalog, &entry))
        })
        .map(Json)
}

pub(super) async fn list(State(workspace): Shared, caller: Caller) -> Answer {
    let seen: Vec<Value> = workspace.read(|catalog| {
        catalog
            .catalogs
            .values()
            .filter(|entry| catalog.may_see(&caller, &Securable::new(Kind::Catalog, &entry.name)))
            .map(|entry| catalog_info(catalog, entry))
            .collect()
    });
    Ok(Json(json!({ "catalogs": seen })))
}

pub(super) async fn get(State(workspace): Shared, caller: Caller, Path(name): Path<String>) -> Answer {
    workspace
        .read(|catalog| {
            let securable = Securable::new(Kind::Catalog, &name);
            let entry = catalog
                .catalogs
                .get(&securable.name)
                .ok_or_else(|| no_catalog(&securable.name))?;
            if !catalog.may_see(&caller, &securable) {
                catalog.require_way(&caller, &securable)?;
            }
            Ok(catalog_info(catalog, entry))
        })
        .map(Json)
}

#[derive(Deserialize)]
pub(super) struct CatalogChange {
    owner: Option<String>,
    comment: Option<String>,
}

pub(super) async fn update(
    State(workspace): Shared,
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<CatalogChange>,
) -> Answer {
    workspace
        .change(|catalog| {
            let securable = Securable::new(Kind::Catalog, &name);
            if !catalog.has(&securable) {
                return Err(no_catalog(&securable.name));
            }
            catalog.require_manage(&caller, &securable)?;
            let entry = catalog
                .catalogs
                .get_mut(&securable.name)
                .ok_or_else(|| no_catalog(&securable.name))?;
            if let Some(owner) = &change.owner {
                entry.owner.clone_from(owner);
            }
            if change.comment.is_some() {
                entry.comment.clone_from(&change.comment);
            }
            let entry = entry.clone();
            Ok(catalog_info(catalog, &entry))
        })
        .map(Json)
}

pub(super) async fn delete(State(workspace): Shared, caller: Caller, Path(name): Path<String>) -> Answer {
    workspace.change(|catalog| {
        let securable = Securable::new(Kind::Catalog, &name);
        if !catalog.has(&securable) {
            return Err(no_catalog(&securable.name));
        }
        catalog.require_manage(&caller, &securable)?;
        let inside = format!("{}.", securable.name);
        if catalog.schemas.keys().any(|schema| schema.starts_with(&inside)) {
            return Err(ApiError::invalid(format!(
                "Catalog '{}' is not empty. The catalog has 1 or more schemas",
                securable.name
            )));
        }
        catalog.catalogs.remove(&securable.name);
        catalog.grants.remove(&securable.key());
        Ok(Json(json!({})))
    })
}
