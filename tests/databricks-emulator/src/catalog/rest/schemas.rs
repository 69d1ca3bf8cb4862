//! Schemas.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body};
use crate::catalog::info::schema_info;
use crate::catalog::make::{no_catalog, no_schema};
use crate::catalog::{Caller, Kind, SchemaEntry, Securable};
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;

#[derive(Deserialize)]
pub(super) struct NewSchema {
    name: String,
    catalog_name: String,
    storage_root: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

pub(super) async fn create(State(workspace): Shared, caller: Caller, Body(new): Body<NewSchema>) -> Answer {
    let now = workspace.clock.now_ms();
    workspace
        .change(|catalog| {
            let entry = SchemaEntry {
                name: new.name,
                catalog: new.catalog_name,
                storage_root: new.storage_root,
                comment: new.comment,
                properties: new.properties,
                ..SchemaEntry::default()
            };
            let entry = catalog.make_schema(&caller, entry, now)?;
            Ok(schema_info(catalog, &entry))
        })
        .map(Json)
}

pub(super) async fn list(
    State(workspace): Shared,
    caller: Caller,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let wanted = query
        .get("catalog_name")
        .map(|name| name.to_lowercase())
        .unwrap_or_default();
    workspace
        .read(|catalog| {
            if !catalog.catalogs.contains_key(&wanted) {
                return Err(no_catalog(&wanted));
            }
            let seen: Vec<Value> = catalog
                .schemas
                .iter()
                .filter(|(_, entry)| entry.catalog == wanted)
                .filter(|(name, _)| catalog.may_see(&caller, &Securable::new(Kind::Schema, name)))
                .map(|(_, entry)| schema_info(catalog, entry))
                .collect();
            Ok(json!({ "schemas": seen }))
        })
        .map(Json)
}

pub(super) async fn get(State(workspace): Shared, caller: Caller, Path(name): Path<String>) -> Answer {
    workspace
        .read(|catalog| {
            let securable = Securable::new(Kind::Schema, &name);
            let entry = catalog
                .schemas
                .get(&securable.name)
                .ok_or_else(|| no_schema(&securable.name))?;
            if !catalog.may_see(&caller, &securable) {
                catalog.require_way(&caller, &securable)?;
            }
            Ok(schema_info(catalog, entry))
        })
        .map(Json)
}

#[derive(Deserialize)]
pub(super) struct SchemaChange {
    owner: Option<String>,
    comment: Option<String>,
}

pub(super) async fn update(
    State(workspace): Shared,
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<SchemaChange>,
) -> Answer {
    workspace
        .change(|catalog| {
            let securable = Securable::new(Kind::Schema, &name);
            if !catalog.has(&securable) {
                return Err(no_schema(&securable.name));
            }
            catalog.require_manage(&caller, &securable)?;
            let entry = catalog
                .schemas
                .get_mut(&securable.name)
                .ok_or_else(|| no_schema(&securable.name))?;
            if let Some(owner) = &change.owner {
                entry.owner.clone_from(owner);
            }
            if change.comment.is_some() {
                entry.comment.clone_from(&change.comment);
            }
            let entry = entry.clone();
            Ok(schema_info(catalog, &entry))
        })
        .map(Json)
}

pub(super) async fn delete(
    State(workspace): Shared,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let with_tables = query.get("force").is_some_and(|force| force == "true");
    workspace.drop_schema(&caller, &name, with_tables).await?;
    Ok(Json(json!({})))
}
