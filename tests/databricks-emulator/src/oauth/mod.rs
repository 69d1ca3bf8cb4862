//! Signing in: discovery, and tokens by client id and secret.
//!
//! Two kinds of token come from one endpoint. A plain one is for Unity Catalog and SQL; one with
//! `authorization_details` is for one Zerobus table, and is refused already here if a grant is missing.

mod details;
mod discovery;
mod mint;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use mint::invalid_client;
pub(crate) use token::{Claims, TokenKind};

use crate::workspace::Workspace;

/// The routes of sign-in.
pub(crate) fn routes() -> Router<Arc<Workspace>> {
    Router::new()
        .route("/.well-known/databricks-config", get(discovery::config))
        .route(
            "/oidc/.well-known/oauth-authorization-server",
            get(discovery::authorization_server),
        )
        .route("/oidc/v1/token", post(mint::mint))
}
