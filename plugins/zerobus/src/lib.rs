//! Rows to a Unity Catalog table through Databricks' Zerobus ingest service, by its REST insert.
//!
//! [`Zerobus`] writes (`writer`) and checks a destination (`check`). It cannot change a table: describing and extending
//! it is `sql-warehouse`'s part, its companion, and happens when delivery starts or a column is missing. Live writes
//! never touch a warehouse. What they lean on, from the outside in:
//!
//! - `config`: the parameters, as written and as checked; where the service is;
//! - `writer`: one batch: cut, sent, told;
//! - [`body`]: Arrow columns straight to the JSON array of a request;
//! - `requests`: which changes go together, and which may be under way together;
//! - `settled`: what is durable beyond a request that failed, so that it is not sent twice;
//! - `insert`: one request, its token, and what its answer means;
//! - [`error`]: every failure with its code and remedy.
//!
//! *Durable* is what the service says: the rows are in its log, and in the table some seconds later (W 2.3).

pub mod body;
mod check;
mod config;
pub mod error;
mod insert;
mod requests;
mod settled;
mod writer;

use lakefeed_databricks_client::{Databricks, Http};
use lakefeed_plugin_api::{Host, Plugin, PluginError, PluginInfo, lakefeed_plugin};
use tokio::sync::Mutex;

pub use crate::config::Config;
pub use crate::error::ZerobusError;

use crate::config::Checked;
use crate::writer::Session;

/// One destination's table, through the ingest service.
pub struct Zerobus {
    checked: Checked,
    databricks: Databricks,
    /// Connections to the ingest service, kept and used again.
    http: Http,
    session: Mutex<Option<Session>>,
}

impl Plugin for Zerobus {
    type Config = Config;

    const INFO: PluginInfo = PluginInfo {
        name: "zerobus",
        version: env!("CARGO_PKG_VERSION"),
        vendor: "lakefeed",
        license: "Apache-2.0",
    };

    fn create(config: Config, host: Host) -> Result<Self, PluginError> {
        let checked = config.check()?;
        Ok(Self {
            databricks: Databricks::new(host, checked.workspace.clone()),
            http: Http::new(checked.is_local),
            checked,
            session: Mutex::new(None),
        })
    }
}

lakefeed_plugin! { Zerobus: [writer, check] }
