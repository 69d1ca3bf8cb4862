//! SQL statements over HTTP, and the warehouses that run them.
//!
//! A statement is read by a parser of our own (`parse/`), which knows what Spark knows of names, literals and escapes, and
//! refuses in Spark's words. Defining, granting and `INSERT … VALUES` are done here; queries and the source of a MERGE are
//! rewritten to DataFusion's dialect (`rewrite.rs`) and run by it over the same Delta tables.

mod api;
mod collect;
mod error;
mod lex;
mod literal;
mod moment;
mod output;
mod parameters;
mod parse;
mod rewrite;
mod run;
mod statement;
mod store;
mod text;
mod warehouse;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{delete, get, post};

use statement::Running;
use warehouse::Power;

use crate::workspace::Workspace;

/// Statements that were submitted, and which warehouses run.
#[derive(Debug, Default)]
pub(crate) struct Sql {
    statements: Mutex<HashMap<String, Arc<Running>>>,
    power: Mutex<HashMap<String, Power>>,
}

/// The routes of statements and warehouses.
pub(crate) fn routes() -> Router<Arc<Workspace>> {
    Router::new()
        .route("/api/2.0/sql/statements", post(api::submit))
        .route("/api/2.0/sql/statements/", post(api::submit))
        .route("/api/2.0/sql/statements/{id}", get(api::get).delete(api::close))
        .route("/api/2.0/sql/statements/{id}/cancel", post(api::cancel))
        .route(
            "/api/2.0/sql/statements/{id}/result/chunks/{index}",
            get(api::chunk),
        )
        .route("/api/2.0/sql/sessions", post(api::open_session))
        .route("/api/2.0/sql/sessions/{id}", delete(api::close_session))
        .route("/api/2.0/sql/warehouses", get(warehouse::list))
        .route("/api/2.0/sql/warehouses/{id}", get(warehouse::get))
        .route("/api/2.0/sql/warehouses/{id}/start", post(warehouse::start))
        .route("/api/2.0/sql/warehouses/{id}/stop", post(warehouse::stop))
}

/// Runs a statement as the administrator; the message of a failure is what the API would tell.
pub(crate) async fn run_as_administrator(workspace: &Arc<Workspace>, sql: &str) -> Result<(), String> {
    let session = run::Session {
        caller: workspace.as_caller(crate::catalog::ADMINISTRATOR.to_owned()),
        catalog: None,
        schema: None,
    };
    let ended = run::run(workspace, &session, sql).await;
    collect::collect(workspace, &session, (sql, &[]), &ended);
    match ended {
        Ok(_) => Ok(()),
        Err(error) => Err(error.text()),
    }
}
