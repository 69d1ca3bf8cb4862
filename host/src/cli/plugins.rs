//! `lakefeed plugins list`, `inspect` and `stage`

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::output::{Output, table};
use super::{Common, Failure};
use crate::plugin::{self, Manifest, StageRequest};
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
    let listing = plugin::list(&wiring::plugin_policy(&common.load_or_default()?));
    output.found(&json!(listing), || {
        let row = |manifest: &Manifest| {
            vec![
                manifest.name.clone(),
                manifest.version.to_string(),
                manifest.write_modes.join(", "),
                manifest.description.clone(),
            ]
        };
        let rows: Vec<_> = listing.plugins.iter().map(|found| row(&found.manifest)).collect();
        let mut text = table(&["name", "version", "write modes", "what it does"], &rows);
        for refusal in &listing.refused {
            text.push_str(&format!("\nrefused: {refusal}"));
        }
        text
    })?;
    Ok(if listing.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn inspect(common: &Common, name: &str, output: &Output) -> Result<ExitCode, Failure> {
    let found = plugin::inspect(&wiring::plugin_policy(&common.load_or_default()?), name)?;
    let document = json!(found);
    output.found(&document, || serde_json::to_string_pretty(&document).unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}

fn stage(output: &Output) -> Result<ExitCode, Failure> {
    let report = plugin::stage(&StageRequest::here()?)?;
    output.found(&json!(report), || {
        let line = |plugin: &plugin::StagedPlugin| format!("{} {} → {}", plugin.name, plugin.version, plugin.folder.display());
        report.staged.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}
