//! One emulator: started, looked at, stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::options::Options;
use crate::records::{Counters, RequestLog};
use crate::set_up::{SetUp, SetUpError};
use crate::storage::S3OptionError;
use crate::workspace::Workspace;
use crate::{http, zerobus};

/// An emulator cannot be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The folder of its data, or its address.
    #[error("the emulator's data or its address: {0}")]
    Io(#[from] std::io::Error),
    /// The S3 server that it is to use. Whether that answers is seen with the first table.
    #[error("{0}")]
    S3(#[from] S3OptionError),
    /// Rows that were taken by an earlier run cannot be moved to their tables.
    #[error("the rows of an earlier run: {0}")]
    Recovery(String),
}

/// A workspace that listens. Dropped, it listens no longer; [`stop`](Self::stop) also moves every row to its table.
#[derive(Debug)]
pub struct Emulator {
    workspace: Arc<Workspace>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    moving: JoinHandle<()>,
}

impl Emulator {
    /// Starts one over a folder, where an earlier one may have been.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let listen = options.listen.clone();
        let workspace = Workspace::open(options)?;
        zerobus::recover(&workspace)
            .await
            .map_err(|error| StartError::Recovery(error.to_string()))?;
        let listener = TcpListener::bind(&listen).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(http::serve(listener, Arc::clone(&workspace), stopped));
        let moving = tokio::spawn(zerobus::run(Arc::clone(&workspace)));
        Ok(Self {
            workspace,
            address,
            stop,
            serving,
            moving,
        })
    }

    /// The workspace URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The switches.
    pub fn faults(&self) -> &Faults {
        &self.workspace.faults
    }

    /// The clock by which tokens expire.
    pub fn clock(&self) -> &Clock {
        &self.workspace.clock
    }

    /// What was asked.
    pub fn requests(&self) -> &RequestLog {
        &self.workspace.requests
    }

    /// How often something happened.
    pub fn counters(&self) -> &Counters {
        &self.workspace.counters
    }

    /// What it was started with.
    pub fn options(&self) -> &Options {
        &self.workspace.options
    }

    /// The personal token of the administrator.
    pub fn administrator_token(&self) -> String {
        self.workspace.read(|catalog| catalog.administrator_token.clone())
    }

    /// Every token that was issued so far is expired.
    pub fn expire_tokens(&self) {
        self.workspace.expire_tokens();
    }

    /// All that Zerobus took so far is queryable afterwards.
    pub async fn flush(&self) -> Result<(), StartError> {
        let flushed = self.workspace.flush().await;
        flushed.map_err(|error| StartError::Recovery(error.to_string()))
    }

    /// The folder of a table, by its full name; none if it lies in a bucket of the S3 server.
    pub fn table_folder(&self, full_name: &str) -> Option<PathBuf> {
        self.workspace.table_folder(full_name)
    }

    /// The location of a table as Unity Catalog has it, by its full name.
    pub fn table_location(&self, full_name: &str) -> Option<String> {
        let entry = self.workspace.table_entry(full_name)?;
        Some(entry.storage_location)
    }

    /// Makes the workspace of the product's set-up. What exists already is left as it is.
    pub async fn set_up(&self, names: &SetUp) -> Result<(), SetUpError> {
        crate::set_up::set_up(&self.workspace, names).await
    }

    /// What a client needs to know, as environment variables.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let options = self.options();
        let mut told = vec![
            ("DATABRICKS_HOST", self.url()),
            ("DATABRICKS_TOKEN", self.administrator_token()),
            (
                "BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID",
                options.client_id.clone(),
            ),
            (
                "BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET",
                options.client_secret.clone(),
            ),
            ("WORKSPACE_ID", options.workspace_id.to_string()),
            ("DATABRICKS_REGION", options.region.clone()),
            ("WAREHOUSE_ID", options.warehouse_id.clone()),
            ("ZEROBUS_ENDPOINT", self.url()),
        ];
        // Unity Catalog lends keys and never says where they are good.
        if let Some(server) = self.workspace.storage.server() {
            told.push(("AWS_ENDPOINT_URL", server.address().to_owned()));
            told.push(("AWS_REGION", server.region().to_owned()));
            if server.address().starts_with("http:") {
                told.push(("AWS_ALLOW_HTTP", "true".to_owned()));
            }
        }
        told
    }

    /// Stops listening and moves what was taken to its tables.
    pub async fn stop(self) {
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "rows stay in the log until the next start");
        }
        self.stop.send_replace(true);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.moving.abort();
        self.serving.abort();
    }
}
