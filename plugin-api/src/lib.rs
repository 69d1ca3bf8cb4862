//! All that the author of a lakefeed plugin needs.

mod check;
mod credentials;
mod merge;
mod outcome;
mod plugin;
mod schema;
mod schema_mapper;
mod services;
mod stager;
mod table_admin;
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
