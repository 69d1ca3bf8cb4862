//! `lakefeed plugins list`, `inspect` and `stage`

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::output::{Output, table};
use super::{Common, Failure};
use crate::plugin::stage::{self, StageRequest, StagedPlugin};
use crate::plugin::{ListedPlugin, PluginRegistry};
use crate::wiring;

/// Reads manifests; no plugin's code runs.
#[derive(Debug, Subcommand)]
pub(super) enum Plugins {
    /// List the plugins that are found, and those that are refused with the reason
    List,
    /// Show one plugin's manifest: what it offers, its write modes and its parameters
    Inspect {
        /// The plugin's name
        name: String,
    },
    /// Lay the built plugins with manifest and hash into `plugins/` beside this program
    Stage,
}

impl Plugins {
    pub(super) fn run(self, common: &Common, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Self::List => list(common, output),
            Self::Inspect { name } => inspect(common, &name, output),
            Self::Stage => stage(output),
        }
    }
}

fn list(common: &Common, output: &Output) -> Result<ExitCode, Failure> {
    let registry = PluginRegistry::open(wiring::plugin_settings(&common.load_or_default()?));
    let listing = registry.list();
    output.found(&json!(listing), || {
        let row = |plugin: &ListedPlugin| {
            let state = if plugin.refused.is_some() { "refused" } else { "ok" };
            vec![
                plugin.name.clone(),
                plugin.version.to_string(),
                state.to_owned(),
                plugin.write_modes.join(", "),
                plugin.description.clone(),
            ]
        };
        let rows: Vec<_> = listing.plugins.iter().map(row).collect();
        let mut text = table(
            &["name", "version", "state", "write modes", "what it does"],
            &rows,
        );
        let refused = listing
            .plugins
            .iter()
            .filter_map(|plugin| plugin.refused.as_ref());
        for refusal in refused.chain(&listing.refused) {
            text.push_str(&format!("\nrefused: {refusal}"));
        }
        text
    })?;
    let is_well = listing.refused.is_empty() && listing.plugins.iter().all(|plugin| plugin.refused.is_none());
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn inspect(common: &Common, name: &str, output: &Output) -> Result<ExitCode, Failure> {
    let registry = PluginRegistry::open(wiring::plugin_settings(&common.load_or_default()?));
    let document = json!(registry.inspect(name)?);
    output.found(&document, || {
        serde_json::to_string_pretty(&document).unwrap_or_default()
    })?;
    Ok(ExitCode::SUCCESS)
}

fn stage(output: &Output) -> Result<ExitCode, Failure> {
    let report = stage::stage(&StageRequest::here()?)?;
    output.found(&json!(report), || {
        let line = |plugin: &StagedPlugin| {
            format!("{} {} → {}", plugin.name, plugin.version, plugin.folder.display())
        };
        report.staged.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}
