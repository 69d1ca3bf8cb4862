//! Rows to a Unity Catalog table through a Databricks SQL warehouse, and the statements that other plugins need of one.
//!
//! [`SqlWarehouse`] writes (`writer`), describes, extends, makes and drops tables (`admin`), merges what was staged
//! (`merge`), vends credentials for storage (`vend`) and checks a destination (`check`). What they lean on:
//!
//! - `config`: the parameters, as written and as checked;
//! - [`insert`]: Arrow rows as the text of INSERT statements, cut between changes;
//! - [`columns`]: types as Spark's SQL names them;
//! - `error`: what this plugin adds to the failures of the client library.
//!
//! The types of a view's columns are `databricks-types`' business, the workspace is `databricks-client`'s.

mod admin;
mod check;
pub mod columns;
mod config;
mod error;
pub mod insert;
mod merge;
mod vend;
mod writer;

use std::time::Duration;

use lakefeed_databricks_client::statement::{Rows, Warehouse};
use lakefeed_databricks_client::{Databricks, DatabricksError};
use lakefeed_plugin_api::{Host, Plugin, PluginError, PluginInfo, lakefeed_plugin};
use tokio::sync::RwLock;

pub use crate::config::Config;
pub use crate::error::SqlError;

use crate::config::Checked;
use crate::writer::Session;

/// How long a statement that has no deadline of its own may take: less than the host's patience, so that what
/// is told is the statement's end and not the host's.
const STATEMENT_WITHIN: Duration = Duration::from_secs(110);

/// One destination's table, through one warehouse.
pub struct SqlWarehouse {
    checked: Checked,
    databricks: Databricks,
    session: RwLock<Option<Session>>,
}

impl SqlWarehouse {
    /// Runs a statement on the destination's warehouse.
    async fn run(&self, doing: &'static str, sql: &str) -> Result<Rows, DatabricksError> {
        self.run_within(doing, sql, STATEMENT_WITHIN).await
    }

    async fn run_within(
        &self,
        doing: &'static str,
        sql: &str,
        limit: Duration,
    ) -> Result<Rows, DatabricksError> {
        let warehouse = Warehouse {
            databricks: &self.databricks,
            id: &self.checked.warehouse,
        };
        warehouse.run(doing, sql, limit).await
    }
}

impl Plugin for SqlWarehouse {
    type Config = Config;

    const INFO: PluginInfo = PluginInfo {
        name: "sql-warehouse",
        version: env!("CARGO_PKG_VERSION"),
        vendor: "lakefeed",
        license: "Apache-2.0",
    };

    fn create(config: Config, host: Host) -> Result<Self, PluginError> {
        let checked = config.check()?;
        Ok(Self {
            databricks: Databricks::new(host, checked.workspace.clone()),
            checked,
            session: RwLock::new(None),
        })
    }
}

lakefeed_plugin! { SqlWarehouse: [writer, table_admin, merge, credentials, check] }
