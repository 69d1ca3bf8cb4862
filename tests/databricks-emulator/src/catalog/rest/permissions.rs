//! Grants on objects, and who may use a warehouse.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body};
use crate::catalog::grants::not_applicable;
use crate::catalog::make::{no_catalog, no_schema, no_table};
use crate::catalog::{Caller, Catalog, Kind, Privilege, Securable};
use crate::faults::Fault;
use crate::http::ApiError;
use crate::workspace::Workspace;

type Shared = State<Arc<Workspace>>;

#[derive(Deserialize)]
pub(super) struct Changes {
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    principal: String,
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
}

/// The object that a path names, if it exists.
fn securable(catalog: &Catalog, kind: &str, name: &str) -> Result<Securable, ApiError> {
    let kind = Kind::parse(kind)
        .ok_or_else(|| ApiError::invalid(format!("'{kind}' is not a valid securable type.")))?;
    let name = if kind == Kind::Metastore { "" } else { name };
    let securable = Securable::new(kind, name);
    if catalog.has(&securable) {
        return Ok(securable);
    }
    let name = &securable.name;
    Err(match kind {
        Kind::Catalog => no_catalog(name),
        Kind::Schema => no_schema(name),
        Kind::Table => no_table(name),
        _ => ApiError::missing(
            "RESOURCE_DOES_NOT_EXIST",
            format!("{} does not exist.", securable.words()),
        ),
    })
}

fn privileges(names: &[String]) -> Result<Vec<Privilege>, ApiError> {
    let read = |name: &String| {
        Privilege::parse(name)
            .ok_or_else(|| ApiError::invalid(format!("Privilege {name} is not a valid privilege.")))
    };
    names.iter().map(read).collect()
}

fn assignments(grants: &BTreeMap<String, BTreeSet<Privilege>>, principal: Option<&str>) -> Value {
    let assignments: Vec<Value> = grants
        .iter()
        .filter(|(name, _)| principal.is_none_or(|wanted| wanted == name.as_str()))
        .map(|(name, privileges)| json!({"principal": name, "privileges": privileges}))
        .collect();
    json!({ "privilege_assignments": assignments })
}

pub(super) async fn change(
    State(workspace): Shared,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    Body(changes): Body<Changes>,
) -> Answer {
    workspace
        .change(|catalog| {
            let securable = securable(catalog, &kind, &name)?;
            catalog.require_manage(&caller, &securable)?;
            for change in &changes.changes {
                let mut add = privileges(&change.add)?;
                let remove = privileges(&change.remove)?;
                workspace.check_external_use(catalog, &securable, &mut add)?;
                catalog.change_grants(&securable, &change.principal, &add, &remove)?;
            }
            let none = BTreeMap::new();
            Ok(assignments(
                catalog.grants.get(&securable.key()).unwrap_or(&none),
                None,
            ))
        })
        .map(Json)
}

impl Workspace {
    /// EXTERNAL USE SCHEMA goes only on a schema with a storage root of its own, unless a switch says otherwise.
    pub(crate) fn check_external_use(
        &self,
        catalog: &Catalog,
        securable: &Securable,
        add: &mut Vec<Privilege>,
    ) -> Result<(), ApiError> {
        let privilege = Privilege::ExternalUseSchema;
        let is_managed = securable.kind == Kind::Schema
            && catalog
                .schemas
                .get(&securable.name)
                .is_some_and(|schema| schema.storage_root.is_none());
        if !add.contains(&privilege) || !is_managed {
            return Ok(());
        }
        match self.faults.peek(Fault::ExternalUseSchema) {
            None => Err(not_applicable(privilege, securable)),
            Some(setting) => {
                if setting.ignored == Some(true) {
                    add.retain(|added| *added != privilege);
                }
                Ok(())
            }
        }
    }
}

pub(super) async fn get(
    State(workspace): Shared,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    workspace
        .read(|catalog| {
            let securable = securable(catalog, &kind, &name)?;
            let mut principal = query.get("principal").cloned();
            if principal.as_ref() != Some(&caller.principal) && !catalog.may_manage(&caller, &securable) {
                // Who does not administer the object sees what is their own.
                principal = Some(caller.principal.clone());
            }
            let none = BTreeMap::new();
            let grants = catalog.grants.get(&securable.key()).unwrap_or(&none);
            Ok(assignments(grants, principal.as_deref()))
        })
        .map(Json)
}

/// Each privilege with the object that it comes from.
pub(super) async fn effective(
    State(workspace): Shared,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    workspace
        .read(|catalog| {
            let object = securable(catalog, &kind, &name)?;
            let mut wanted = query.get("principal").cloned();
            if wanted.as_ref() != Some(&caller.principal) && !catalog.may_manage(&caller, &object) {
                wanted = Some(caller.principal.clone());
            }
            let mut found: BTreeMap<&String, Vec<Value>> = BTreeMap::new();
            let mut at = Some(object.clone());
            while let Some(securable) = at {
                for (principal, privileges) in catalog.grants.get(&securable.key()).into_iter().flatten() {
                    if wanted.as_ref().is_some_and(|wanted| wanted != principal) {
                        continue;
                    }
                    let told = privileges.iter().map(|privilege| {
                        let mut told = json!({ "privilege": privilege });
                        if securable != object {
                            told["inherited_from_type"] =
                                json!(securable.kind.word().to_uppercase().replace(' ', "_"));
                            told["inherited_from_name"] = json!(securable.name);
                        }
                        told
                    });
                    found.entry(principal).or_default().extend(told);
                }
                at = securable.parent();
            }
            let assignments: Vec<Value> = found
                .into_iter()
                .map(|(principal, privileges)| json!({"principal": principal, "privileges": privileges}))
                .collect();
            Ok(json!({ "privilege_assignments": assignments }))
        })
        .map(Json)
}

#[derive(Deserialize)]
pub(super) struct AccessList {
    #[serde(default)]
    access_control_list: Vec<Access>,
}

#[derive(Deserialize)]
struct Access {
    service_principal_name: Option<String>,
    user_name: Option<String>,
    group_name: Option<String>,
    permission_level: String,
}

fn access_list(id: &str, permissions: &BTreeMap<String, String>) -> Value {
    let list: Vec<Value> = permissions
        .iter()
        .map(|(principal, level)| {
            json!({
                "service_principal_name": principal,
                "display_name": principal,
                "all_permissions": [{"permission_level": level, "inherited": false}],
            })
        })
        .collect();
    json!({
        "object_id": format!("/sql/warehouses/{id}"),
        "object_type": "warehouses",
        "access_control_list": list,
    })
}

fn no_warehouse(id: &str) -> ApiError {
    ApiError::missing(
        "RESOURCE_DOES_NOT_EXIST",
        format!("Warehouse {id} does not exist"),
    )
}

pub(super) async fn warehouse(State(workspace): Shared, caller: Caller, Path(id): Path<String>) -> Answer {
    workspace
        .read(|catalog| {
            let warehouse = catalog.warehouses.get(&id).ok_or_else(|| no_warehouse(&id))?;
            let mut permissions = warehouse.permissions.clone();
            if !caller.is_administrator() {
                permissions.retain(|principal, _| *principal == caller.principal);
            }
            Ok(access_list(&id, &permissions))
        })
        .map(Json)
}

pub(super) async fn change_warehouse(
    State(workspace): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Body(list): Body<AccessList>,
) -> Answer {
    if !caller.is_administrator() {
        return Err(ApiError::denied(format!(
            "{} does not have Manage permissions on warehouse {id}.",
            caller.principal
        )));
    }
    workspace
        .change(|catalog| {
            let known: Vec<String> = catalog.principals.keys().cloned().collect();
            let warehouse = catalog.warehouses.get_mut(&id).ok_or_else(|| no_warehouse(&id))?;
            for access in list.access_control_list {
                if let Some(principal) = &access.service_principal_name
                    && !known.contains(principal)
                {
                    return Err(ApiError::missing(
                        "RESOURCE_DOES_NOT_EXIST",
                        format!("Service principal {principal} does not exist."),
                    ));
                }
                let named = access
                    .service_principal_name
                    .or(access.user_name)
                    .or(access.group_name);
                let principal = named.ok_or_else(|| ApiError::invalid("A principal must be named."))?;
                let levels = ["CAN_USE", "CAN_MONITOR", "CAN_VIEW", "CAN_MANAGE", "IS_OWNER"];
                if !levels.contains(&access.permission_level.as_str()) {
                    return Err(ApiError::invalid(format!(
                        "{} is not a valid permission level.",
                        access.permission_level
                    )));
                }
                warehouse.permissions.insert(principal, access.permission_level);
            }
            Ok(access_list(&id, &warehouse.permissions.clone()))
        })
        .map(Json)
}
