//! `POST /zerobus/v1/tables/{name}/insert`: every check in the order in which the service makes them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::reader::{RECORD_LIMIT, count_records, read_rows};
use crate::catalog::{Caller, Catalog, Kind, Privilege, Securable, TableEntry, TableType};
use crate::faults::{Fault, Surface};
use crate::http::ApiError;
use crate::oauth::{Claims, TokenKind};
use crate::types::Column;
use crate::workspace::{Workspace, bearer};

/// A message with the service's own numbers behind it.
fn numbered(message: &str, code: u32, state: u32) -> String {
    format!("{message} Error Code: {code}, Error State: {state}.")
}

fn unauthenticated(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
}

fn undecodable(message: &str) -> ApiError {
    ApiError::invalid(numbered(
        &format!("Record decoder/encoder error: {message}."),
        4044,
        3,
    ))
}

pub(super) async fn insert(
    State(workspace): State<Arc<Workspace>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match taken(workspace, &name, &headers, body).await {
        Ok(answer) => answer.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn taken(
    workspace: Arc<Workspace>,
    name: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let claims = signed_in(&workspace, headers)?;
    let entry = workspace.read(|catalog| allowed(&workspace, catalog, &claims, name))?;
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::invalid("Content-Encoding is not supported."));
    }
    if workspace.faults.is_on(Fault::NullSink) {
        workspace.counters.add("null-rows", count_records(&body));
        workspace.counters.add("null-bytes", body.len());
        return Ok(Json(json!({})));
    }
    if body.len() > RECORD_LIMIT {
        return Err(ApiError::invalid(format!(
            "Request of {} bytes exceeds the limit of {RECORD_LIMIT} bytes.",
            body.len()
        )));
    }
    let times = match workspace
        .faults
        .take(Fault::DuplicateDelivery, Surface::Zerobus, name)
    {
        Some(_) => 2,
        None => 1,
    };
    // Reading and syncing block; many connections must not wait behind one of them.
    let rows = {
        let workspace = Arc::clone(&workspace);
        tokio::task::spawn_blocking(move || write(&workspace, &entry, &body, times))
            .await
            .map_err(|error| ApiError::internal(&error))??
    };
    workspace.counters.add("zerobus-requests", 1);
    workspace.counters.add("zerobus-rows", rows);
    Ok(Json(json!({})))
}

fn signed_in(workspace: &Workspace, headers: &HeaderMap) -> Result<Claims, ApiError> {
    let token = bearer(headers).ok_or_else(|| unauthenticated("Authorization token is missing."))?;
    let claims = workspace
        .claims(token)
        .ok_or_else(|| unauthenticated("Authorization token is invalid or expired."))?;
    if claims.kind != TokenKind::Zerobus && workspace.are_kinds_enforced() {
        return Err(unauthenticated("Invalid token audience"));
    }
    Ok(claims)
}

/// The table, if the token is for it and the grants are still there.
fn allowed(
    workspace: &Workspace,
    catalog: &Catalog,
    claims: &Claims,
    name: &str,
) -> Result<TableEntry, ApiError> {
    let name = name.to_lowercase();
    let entry = catalog
        .tables
        .get(&name)
        .ok_or_else(|| ApiError::missing("NOT_FOUND", format!("Table \"{name}\" cannot be found.")))?;
    let caller = workspace.as_caller(claims.subject.clone());
    let missing = missing_privilege(workspace, catalog, &caller, claims, &name);
    if let Some(privilege) = missing {
        return Err(ApiError::denied(numbered(
            &format!("Authorization token is missing {privilege} privilege for a table {name}."),
            3,
            0,
        )));
    }
    if let Some(reason) = unsupported(entry) {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "NOT_IMPLEMENTED",
            numbered(&format!("Unsupported table kind. {reason}"), 4024, 0),
        ));
    }
    let is_refused = match workspace.faults.peek(Fault::DefaultStorage) {
        Some(setting) => setting.enabled.unwrap_or(true),
        None => catalog.is_in_default_storage(entry),
    };
    if is_refused {
        return Err(ApiError::invalid(numbered(
            "Unsupported table kind. Tables created in default storage are not supported.",
            4024,
            0,
        )));
    }
    Ok(entry.clone())
}

/// Why no rows are taken for a table, whoever sends them.
fn unsupported(entry: &TableEntry) -> Option<&'static str> {
    if entry.table_type == TableType::External {
        return Some("External tables are not supported.");
    }
    let feature = entry.properties.get("delta.feature.catalogManaged");
    if feature.is_some_and(|state| state == "supported") {
        return Some("Tables with catalog-managed commits are not supported.");
    }
    let is_plain = |name: &str| {
        name.bytes()
            .all(|sign| sign.is_ascii_alphanumeric() || sign == b'_')
    };
    let mut names = entry.columns.iter().map(|column| column.name.as_str());
    if !is_plain(&entry.name) || !names.all(is_plain) {
        return Some("Names of tables and columns may have ASCII letters, digits and underscores only.");
    }
    None
}

/// The privilege that the token, or by now its owner, lacks.
fn missing_privilege(
    workspace: &Workspace,
    catalog: &Catalog,
    caller: &Caller,
    claims: &Claims,
    name: &str,
) -> Option<&'static str> {
    let parts: Vec<&str> = name.split('.').collect();
    let [catalog_name, schema, _] = parts.as_slice() else {
        return Some("MODIFY");
    };
    if workspace.are_kinds_enforced() {
        if claims.table != name || !claims.has_rights {
            return Some("MODIFY");
        }
        if !claims.has_way {
            return Some("USE SCHEMA");
        }
    }
    let schema = format!("{catalog_name}.{schema}");
    [
        (
            Privilege::UseCatalog,
            Securable::new(Kind::Catalog, catalog_name),
            "USE CATALOG",
        ),
        (
            Privilege::UseSchema,
            Securable::new(Kind::Schema, &schema),
            "USE SCHEMA",
        ),
        (Privilege::Select, Securable::new(Kind::Table, name), "SELECT"),
        (Privilege::Modify, Securable::new(Kind::Table, name), "MODIFY"),
    ]
    .into_iter()
    .find(|(privilege, securable, _)| !catalog.is_granted_directly(caller, *privilege, securable))
    .map(|(_, _, word)| word)
}

/// Reads the rows and makes them durable; how many there were.
fn write(workspace: &Workspace, entry: &TableEntry, body: &[u8], times: usize) -> Result<usize, ApiError> {
    let bare_object = workspace.faults.is_on(Fault::BareObject);
    let batch = read_rows(body, seen_columns(workspace, entry), bare_object)
        .map_err(|error| undecodable(&error.located(body)))?;
    let rows = batch.num_rows();
    for _ in 0..times {
        if rows > 0 {
            let taken = workspace.ingest.take(&entry.table_id, body, batch.clone());
            taken.map_err(|error| ApiError::internal(&error))?;
        }
    }
    Ok(rows)
}

/// The columns as this service knows them: for a while after a change, still the old ones.
fn seen_columns<'a>(workspace: &Workspace, entry: &'a TableEntry) -> &'a [Column] {
    let delay = workspace
        .faults
        .delay(Fault::SchemaCacheDelay)
        .unwrap_or_default();
    let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    let age = workspace.clock.now_ms() - entry.columns_changed_at;
    if !entry.columns_before.is_empty() && age < delay {
        &entry.columns_before
    } else {
        &entry.columns
    }
}
