//! Unity Catalog over HTTP. Handlers read the request, ask the rules and tell the answer; they decide nothing.

mod catalogs;
mod permissions;
mod principals;
mod schemas;
mod storage;
mod tables;
mod temporary;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, patch, post};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Caller;
use crate::http::ApiError;
use crate::workspace::Workspace;

/// What a handler answers.
pub(crate) type Answer = Result<Json<Value>, ApiError>;

/// The routes under `/api`, but for statements and warehouses.
pub(crate) fn routes() -> Router<Arc<Workspace>> {
    const UC: &str = "/api/2.1/unity-catalog";
    let at = |path: &str| format!("{UC}{path}");
    let mut routes = Router::new()
        .route(&at("/metastore_summary"), get(catalogs::metastore))
        .route(&at("/current-metastore-assignment"), get(catalogs::assignment))
        .route(&at("/catalogs"), get(catalogs::list).post(catalogs::create))
        .route(
            &at("/catalogs/{name}"),
            get(catalogs::get)
                .delete(catalogs::delete)
                .patch(catalogs::update),
        )
        .route(&at("/schemas"), get(schemas::list).post(schemas::create))
        .route(
            &at("/schemas/{name}"),
            get(schemas::get).delete(schemas::delete).patch(schemas::update),
        )
        .route(&at("/tables"), get(tables::list).post(tables::create))
        .route(&at("/tables/{name}"), get(tables::get).delete(tables::delete))
        .route(&at("/tables/{name}/exists"), get(tables::exists))
        .route(
            &at("/storage-credentials"),
            get(storage::list_credentials).post(storage::create_credential),
        )
        .route(
            &at("/storage-credentials/{name}"),
            get(storage::get_credential).delete(storage::delete_credential),
        )
        .route(&at("/validate-storage-credentials"), post(storage::validate))
        .route(
            &at("/external-locations"),
            get(storage::list_locations).post(storage::create_location),
        )
        .route(
            &at("/external-locations/{name}"),
            get(storage::get_location).delete(storage::delete_location),
        )
        .route(
            &at("/permissions/{kind}/{name}"),
            get(permissions::get).patch(permissions::change),
        )
        .route(
            &at("/effective-permissions/{kind}/{name}"),
            get(permissions::effective),
        )
        .route(
            "/api/2.0/permissions/warehouses/{id}",
            get(permissions::warehouse)
                .patch(permissions::change_warehouse)
                .put(permissions::change_warehouse),
        )
        .route(
            "/api/2.0/permissions/sql/warehouses/{id}",
            patch(permissions::change_warehouse).get(permissions::warehouse),
        )
        .route(
            "/api/2.0/preview/scim/v2/ServicePrincipals",
            get(principals::list).post(principals::create),
        )
        .route("/api/2.0/preview/scim/v2/Me", get(principals::me))
        .route(
            "/api/2.0/accounts/servicePrincipals/{id}/credentials/secrets",
            post(principals::create_secret),
        );
    for version in ["2.0", "2.1"] {
        let at = |path: &str| format!("/api/{version}/unity-catalog{path}");
        routes = routes
            .route(&at("/temporary-table-credentials"), post(temporary::of_table))
            .route(&at("/temporary-path-credentials"), post(temporary::of_path));
    }
    routes
}

impl FromRequestParts<Arc<Workspace>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, workspace: &Arc<Workspace>) -> Result<Self, ApiError> {
        workspace.caller(&parts.headers)
    }
}

/// A JSON body, whatever its content type says.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Workspace>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _workspace: &Arc<Workspace>) -> Result<Self, ApiError> {
        let bytes = axum::body::to_bytes(request.into_body(), crate::http::BODY_LIMIT)
            .await
            .map_err(|_| malformed())?;
        // No body is one without members.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let value: Value = serde_json::from_slice(text).map_err(|_| malformed())?;
        serde_json::from_value(value)
            .map(Self)
            .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", error.to_string()))
    }
}

fn malformed() -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "MALFORMED_REQUEST",
        "Invalid JSON given in the body of the request - failed to parse given JSON",
    )
}
