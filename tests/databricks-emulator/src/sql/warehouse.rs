//! Warehouses: whether they run, and how long a stopped one takes to start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use crate::catalog::{Caller, Warehouse};
use crate::faults::Fault;
use crate::http::ApiError;
use crate::sync::lock;
use crate::workspace::Workspace;

/// Whether a warehouse runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Power {
    Stopped,
    /// It runs from then on.
    Starting(Instant),
    Running,
}

type Answer = Result<Json<Value>, ApiError>;

fn missing(id: &str) -> ApiError {
    ApiError::missing(
        "RESOURCE_DOES_NOT_EXIST",
        format!("Warehouse {id} does not exist"),
    )
}

/// What a warehouse is now.
fn power(workspace: &Workspace, id: &str) -> Power {
    let mut all = lock(&workspace.sql.power);
    let power = all.entry(id.to_owned()).or_insert(Power::Stopped);
    if matches!(power, Power::Starting(ready) if Instant::now() >= *ready) {
        *power = Power::Running;
    }
    *power
}

/// Starts a warehouse that does not run; how long it is until it does.
fn ensure(workspace: &Workspace, id: &str) -> Duration {
    match power(workspace, id) {
        Power::Running => Duration::ZERO,
        Power::Starting(ready) => ready.saturating_duration_since(Instant::now()),
        Power::Stopped => {
            let delay = workspace.faults.delay(Fault::ColdStart).unwrap_or_default();
            let started = Power::Starting(Instant::now() + delay);
            lock(&workspace.sql.power).insert(id.to_owned(), started);
            delay
        }
    }
}

/// Waits until a warehouse runs.
pub(super) async fn running(workspace: &Workspace, id: &str) {
    let delay = ensure(workspace, id);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// Refuses who may not use a warehouse.
pub(super) fn check_use(workspace: &Workspace, caller: &Caller, id: &str) -> Result<(), ApiError> {
    let warehouse = workspace.read(|catalog| catalog.warehouses.get(id).cloned());
    let Some(warehouse) = warehouse else {
        return Err(ApiError::invalid(format!("{id} is not a valid endpoint id.")));
    };
    if may_use(caller, &warehouse) {
        return Ok(());
    }
    Err(ApiError::denied(
        "You do not have permission to use the SQL Warehouse. Please contact your administrator.",
    ))
}

fn may_use(caller: &Caller, warehouse: &Warehouse) -> bool {
    let is_denied = caller.denied.as_ref().is_some_and(|denied| {
        denied.privilege.as_deref().is_some_and(|name| name == "CAN_USE")
            && denied
                .object
                .as_ref()
                .is_none_or(|object| *object == warehouse.id)
    });
    let level = warehouse.permissions.get(&caller.principal);
    let may = level.is_some_and(|level| level != "CAN_VIEW");
    caller.is_administrator() || (may && !is_denied)
}

fn info(workspace: &Workspace, warehouse: &Warehouse) -> Value {
    let (state, clusters) = match power(workspace, &warehouse.id) {
        Power::Stopped => ("STOPPED", 0),
        Power::Starting(_) => ("STARTING", 0),
        Power::Running => ("RUNNING", 1),
    };
    let path = format!("/sql/1.0/warehouses/{}", warehouse.id);
    json!({
        "id": warehouse.id,
        "name": warehouse.name,
        "size": "XXSMALL",
        "cluster_size": "2X-Small",
        "min_num_clusters": 1,
        "max_num_clusters": 1,
        "auto_stop_mins": 10,
        "auto_resume": true,
        "creator_name": crate::catalog::ADMINISTRATOR,
        "spot_instance_policy": "COST_OPTIMIZED",
        "enable_photon": true,
        "enable_serverless_compute": true,
        "warehouse_type": "PRO",
        "num_clusters": clusters,
        "num_active_sessions": 0,
        "state": state,
        "jdbc_url": format!("jdbc:spark://127.0.0.1:443/default;transportMode=http;httpPath={path}"),
        "odbc_params": {"hostname": "127.0.0.1", "path": path, "protocol": "https", "port": 443},
        "health": {"status": "HEALTHY"},
        "tags": {},
        "channel": {"name": "CHANNEL_NAME_CURRENT"},
    })
}

/// A warehouse that the caller may know of.
fn seen(workspace: &Workspace, caller: &Caller, id: &str) -> Result<Warehouse, ApiError> {
    let warehouse = workspace
        .read(|catalog| catalog.warehouses.get(id).cloned())
        .ok_or_else(|| missing(id))?;
    let has_level = warehouse.permissions.contains_key(&caller.principal);
    if caller.is_administrator() || has_level {
        return Ok(warehouse);
    }
    Err(ApiError::denied(format!(
        "{} does not have View permissions on warehouse {id}.",
        caller.principal
    )))
}

pub(super) async fn get(
    State(workspace): State<Arc<Workspace>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    let warehouse = seen(&workspace, &caller, &id)?;
    Ok(Json(info(&workspace, &warehouse)))
}

pub(super) async fn list(State(workspace): State<Arc<Workspace>>, caller: Caller) -> Answer {
    let all: Vec<String> = workspace.read(|catalog| catalog.warehouses.keys().cloned().collect());
    let infos: Vec<Value> = all
        .iter()
        .filter_map(|id| seen(&workspace, &caller, id).ok())
        .map(|warehouse| info(&workspace, &warehouse))
        .collect();
    Ok(Json(json!({ "warehouses": infos })))
}

pub(super) async fn start(
    State(workspace): State<Arc<Workspace>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    seen(&workspace, &caller, &id)?;
    check_use(&workspace, &caller, &id)?;
    ensure(&workspace, &id);
    Ok(Json(json!({})))
}

pub(super) async fn stop(
    State(workspace): State<Arc<Workspace>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    seen(&workspace, &caller, &id)?;
    check_use(&workspace, &caller, &id)?;
    lock(&workspace.sql.power).insert(id, Power::Stopped);
    Ok(Json(json!({})))
}
