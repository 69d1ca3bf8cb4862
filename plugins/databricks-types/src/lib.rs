//! Which column of a view gets which type in a Unity Catalog table, and what must change in a table that exists.
//!
//! [`DatabricksTypes`] is the plugin. `types` is the table of types (FHIR's, and those that an `ansi/type` tag asks for),
//! `names` the rules for columns' names, `plan` the comparison of a table with what a view wants, [`error`] the
//! failures. All of it is pure: no I/O, no clock, no state.

pub mod error;
mod names;
mod plan;
mod types;

use lakefeed_plugin_api::{
    EvolutionPlan, Host, MappedSchema, Plugin, PluginError, PluginInfo, SchemaMapper, TableSchema,
    ViewSchema, lakefeed_plugin,
};
use schemars::JsonSchema;
use serde::Deserialize;

pub use crate::error::TypesError;

/// The parameters: there are none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The mapper of the managed modes.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatabricksTypes;

impl SchemaMapper for DatabricksTypes {
    fn map(&self, view: &ViewSchema) -> Result<MappedSchema, PluginError> {
        names::check(view)?;
        let columns: Result<Vec<_>, TypesError> = view
            .columns
            .iter()
            .map(|column| types::map(&view.view, column))
            .collect();
        Ok(MappedSchema { columns: columns? })
    }

    fn plan(&self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError> {
        Ok(plan::plan(have, want))
    }
}

impl Plugin for DatabricksTypes {
    type Config = Config;

    const INFO: PluginInfo = PluginInfo {
        name: "databricks-types",
        version: env!("CARGO_PKG_VERSION"),
        vendor: "lakefeed",
        license: "Apache-2.0",
    };

    fn create(_: Config, _: Host) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

lakefeed_plugin! { DatabricksTypes: [schema_mapper] }
