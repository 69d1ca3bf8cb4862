//! Rows to a Delta table, on a local disk or in a bucket, with nothing else installed.
//!
//! [`Delta`] is the plugin: it writes ([`writer`]), describes and extends the table (`admin`) and checks it (`check`).
//! [`DeltaTypes`] says which column of a view gets which type. What they lean on, from the outside in:
//!
//! - `config`: the parameters, as written and as checked;
//! - `writer`: one batch, exactly once;
//! - `data_file`, `stats`: rows as Parquet files, and what the log says of them;
//! - `table`, `log`, `schema`, `features`: what the table's log says, and commits to it;
//! - `maintenance`: checkpoints and the warning when data files pile up;
//! - `storage`, [`durable_store`], `temporary`: a bucket, or a folder whose writes survive a loss of power;
//! - [`error`]: every failure with its code and remedy.

mod admin;
mod check;
mod config;
mod data_file;
pub mod durable_store;
pub mod error;
mod features;
mod log;
mod maintenance;
mod mapper;
mod schema;
mod stats;
mod storage;
mod table;
mod temporary;
pub mod writer;

use std::sync::Arc;

use lakefeed_plugin_api::{
    EvolutionPlan, Host, MappedSchema, Plugin, PluginError, PluginInfo, SchemaMapper, TableSchema,
    ViewSchema, lakefeed_plugin,
};
use object_store::ObjectStore;
use tokio::sync::Mutex;

pub use crate::config::Config;
pub use crate::error::DeltaError;
pub use crate::mapper::DeltaTypes;

use crate::config::{Checked, Place};
use crate::durable_store::DurableStore;
use crate::storage::Storage;
use crate::writer::Session;

/// One destination's table.
pub struct Delta {
    checked: Checked,
    /// A store that somebody else made, instead of the one that the parameters name.
    store: Option<(Arc<dyn ObjectStore>, Option<DurableStore>)>,
    /// Who follows the references to secrets.
    host: Option<Host>,
    session: Mutex<Option<Session>>,
}

impl Delta {
    /// An instance for these parameters.
    pub fn new(config: &Config) -> Result<Self, DeltaError> {
        Ok(Self {
            checked: config.check()?,
            store: None,
            host: None,
            session: Mutex::new(None),
        })
    }

    /// An instance whose table lies at the root of that store. The store must have [`object_store::PutMode::Create`],
    /// list by name, and have made durable what it answered.
    pub fn with_store(config: &Config, store: Arc<dyn ObjectStore>) -> Result<Self, DeltaError> {
        Ok(Self {
            store: Some((store, None)),
            ..Self::new(config)?
        })
    }

    /// An instance whose table lies at the root of that folder, whatever the parameters name.
    pub fn with_folder(config: &Config, folder: DurableStore) -> Result<Self, DeltaError> {
        Ok(Self {
            store: Some((Arc::new(folder.clone()), Some(folder))),
            ..Self::new(config)?
        })
    }

    /// The table's storage; a folder that is missing is made.
    fn storage(&self) -> Result<Storage, PluginError> {
        Ok(match &self.store {
            Some((store, folder)) => Storage::new(Arc::clone(store), folder.clone())?,
            None => Storage::create(&self.place()?)?,
        })
    }

    /// The table's storage; none if it is a folder that is missing.
    fn existing_storage(&self) -> Result<Option<Storage>, PluginError> {
        Ok(match &self.store {
            Some((store, folder)) => Some(Storage::new(Arc::clone(store), folder.clone())?),
            None => Storage::open(&self.place()?)?,
        })
    }

    /// Where the table lies, with the secret that the parameters refer to.
    fn place(&self) -> Result<Place, PluginError> {
        let mut place = self.checked.place.clone();
        if let (Place::Bucket(bucket), Some(host)) = (&mut place, &self.host)
            && bucket.key.is_some()
            && bucket.secret.is_none()
        {
            bucket.secret = Some(host.secret("awsSecretAccessKey")?.reveal().to_owned());
        }
        Ok(place)
    }
}

impl SchemaMapper for Delta {
    fn map(&self, view: &ViewSchema) -> Result<MappedSchema, PluginError> {
        DeltaTypes.map(view)
    }

    fn plan(&self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError> {
        DeltaTypes.plan(have, want)
    }
}

impl Plugin for Delta {
    type Config = Config;

    const INFO: PluginInfo = PluginInfo {
        name: "delta",
        version: env!("CARGO_PKG_VERSION"),
        vendor: "lakefeed",
        license: "Apache-2.0",
    };

    fn create(config: Config, host: Host) -> Result<Self, PluginError> {
        Ok(Self {
            host: Some(host),
            ..Self::new(&config)?
        })
    }
}

lakefeed_plugin! { Delta: [writer, table_admin, schema_mapper, check] }
