//! Zerobus, REST insert: rows in, durable at once, queryable a little later.
//!
//! A request is read strictly into Arrow (`reader/`), its body appended to the table's write-ahead log and synced (`wal.rs`),
//! and only then answered. A task moves what is in the logs into the Delta tables after the visibility delay
//! (`materialise.rs`), with the log's own numbers in each commit, so that a crash between the two repeats nothing.

mod ingest;
mod insert;
mod materialise;
mod reader;
mod wal;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;

pub(crate) use ingest::Ingest;
pub(crate) use materialise::{flush, recover, run};

use crate::workspace::Workspace;

/// The routes of REST insert.
pub(crate) fn routes() -> Router<Arc<Workspace>> {
    Router::new().route("/zerobus/v1/tables/{name}/insert", post(insert::insert))
}
