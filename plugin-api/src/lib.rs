//! All that the author of a lakefeed plugin needs.
//!
//! A plugin is a shared library that lakefeed finds through a manifest and loads: it writes rows to one kind of target,
//! stages them, or chooses their types. Its author implements traits of ordinary `async fn`s and names them in one
//! macro; the C ABI beneath is not seen. The smallest one:
//!
//! ```
//! use lakefeed_plugin_api::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
//! use lakefeed_plugin_api::{lakefeed_plugin, schemars, serde};
//! use lakefeed_plugin_api::{BatchMeta, Deadline, Host, Plugin, PluginError, PluginInfo, TableRef};
//! use lakefeed_plugin_api::{WriteAck, Writer, WriterProfile};
//!
//! /// Counts rows and forgets them.
//! struct Counter {
//!     label: String,
//! }
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(crate = "lakefeed_plugin_api::serde", deny_unknown_fields)]
//! #[schemars(crate = "lakefeed_plugin_api::schemars")]
//! struct Config {
//!     /// What the log calls the rows.
//!     label: String,
//! }
//!
//! impl Plugin for Counter {
//!     type Config = Config;
//!     const INFO: PluginInfo =
//!         PluginInfo { name: "counter", version: "1.0.0", vendor: "you", license: "Apache-2.0" };
//!
//!     fn create(config: Config, _host: Host) -> Result<Self, PluginError> {
//!         Ok(Self { label: config.label })
//!     }
//! }
//!
//! impl Writer for Counter {
//!     async fn open(&self, _: &TableRef, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
//!         Ok(WriterProfile::default())
//!     }
//!
//!     async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
//!         tracing::info!(rows = batch.num_rows(), label = %self.label, "counted");
//!         Ok(WriteAck::durable(meta, batch.num_rows()))
//!     }
//!
//!     async fn evolve(&self, _: SchemaRef, _: u32) -> Result<(), PluginError> {
//!         Ok(())
//!     }
//!
//!     async fn close(&self, _: Deadline) -> Result<(), PluginError> {
//!         Ok(())
//!     }
//! }
//!
//! lakefeed_plugin! { Counter: [writer] }
//! # fn main() {}
//! ```
//!
//! `plugins/ndjson` is the one to read next: it writes, checks itself, and survives a crash.
//!
//! # The parts
//!
//! * [`Plugin`]: what a library is, and how the host makes an instance of it for each destination.
//! * [`Writer`], [`Flush`]: live delivery. [`Stager`], [`Merge`]: the initial copy.
//! * [`SchemaMapper`]: types and changes of a table. [`TableAdmin`]: making those changes.
//! * [`CredentialVendor`]: short-lived keys for storage. [`Check`]: the preflight.
//! * [`PluginError`], [`WriteAck`]: every answer, in closed words that the host acts on.
//! * [`Host`]: what the host lends: log (through `tracing`), metrics, secrets, tokens, credentials, state.
//! * [`wire`]: the same words in the C ABI, for loaders. [`abi`]: the C ABI itself.
//!
//! # Threads
//!
//! The futures of a library run on its own tokio runtime, so timers and sockets just work. Entries return at once; work
//! that blocks belongs in `tokio::task::spawn_blocking`. A panic ends the call with [`Category::PluginPanic`] and the
//! instance with it; the host makes another. A plugin never calls `exit`, `set_var` or `chdir`, installs no signal
//! handler, and prints nothing.

#![expect(
    unsafe_code,
    reason = "this crate is the border; each block names the promise it relies on"
)]

mod check;
mod credentials;
#[doc(hidden)]
pub mod export;
mod macros;
mod merge;
mod outcome;
mod plugin;
#[cfg(doctest)]
mod refused;
mod schema;
mod schema_mapper;
mod services;
mod stager;
mod table_admin;
pub mod wire;
mod writer;

pub use check::*;
pub use credentials::*;
pub use merge::*;
pub use outcome::*;
pub use plugin::*;
pub use schema::*;
pub use schema_mapper::*;
pub use services::*;
pub use stager::*;
pub use table_admin::*;
pub use writer::*;

pub use arrow;
pub use lakefeed_plugin_abi as abi;
pub use schemars;
pub use serde;
pub use serde_json;
