//! Keeps lakehouse tables in step with FHIR data.
//!
//! The modules, in the order data flows:
//!
//! - [`change`]: the noun that all modules share, one create, update or delete of a FHIR resource.
//! - [`issue`]: what is wrong with a definition, said where.
//! - [`config`]: the TOML file, from what the user wrote to what the host runs.
//! - [`topic`]: which destinations want a change; pure.
//! - [`definitions`]: the topics, views and destinations that exist, checked as a whole.
//! - [`intake`]: how changes enter.
//! - [`log`]: the change log and the destinations' offsets.
//! - [`batch`]: when a batch is full or due; pure.
//! - [`plugin`]: find, check, load and adapt plugins; the only unsafe code of this crate.
//! - [`delivery`]: one destination's loop: take, flatten, send, ack.
//! - [`sql_table`]: materialised views for SQL users, kept current by destinations of their own.
//! - [`files`]: files of NDJSON in, files of rows out, without a store.
//! - [`status`]: what `$status` answers, and the metrics.
//! - [`http`]: routes to the above; no decisions.
//! - [`wiring`]: builds the pipeline from a checked configuration.
//! - [`cli`]: the commands of the `lakefeed` binary.

pub mod batch;
pub mod change;
pub mod cli;
pub mod config;
pub mod definitions;
pub mod delivery;
pub mod files;
pub mod http;
pub mod intake;
pub mod issue;
pub mod log;
pub mod plugin;
pub mod sql_table;
pub mod status;
pub mod topic;
pub mod wiring;
