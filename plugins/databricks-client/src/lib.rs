//! What the Databricks plugins share. A plain library, not a plugin: it knows the service and nothing of Arrow rows.
//!
//! [`Databricks`] is a workspace that is signed in to with tokens of the host's. What is built on it, from the outside in:
//!
//! - [`Workspace`], [`TableName`]: the parameters that name things, checked;
//! - `session`, `http`: one call, its token, and what came back, whatever came back;
//! - [`statement`]: SQL on a warehouse, submitted, waited for, cancelled;
//! - [`catalog`]: Unity Catalog's tables, grants, locations and temporary credentials;
//! - [`probe`]: the preflight, one line for each grant, id and location;
//! - [`literal`]: values and names as Spark's SQL reads them;
//! - [`classify`], [`error`]: every failure with its code, category and remedy.
//!
//! Free text of the service may quote rows. It is carried as [`PluginError::detail`](lakefeed_plugin_api::PluginError)
//! and is in no message, hint or log.

pub mod catalog;
pub mod classify;
pub mod error;
pub mod http;
pub mod literal;
pub mod probe;
mod session;
pub mod statement;
mod workspace;

pub use crate::error::DatabricksError;
pub use crate::http::{Answer, Http};
pub use crate::session::Databricks;
pub use crate::workspace::{Cloud, TableName, Workspace, check_warehouse, is_loopback};
