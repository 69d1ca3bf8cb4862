//! `lakefeed plugins list`, `inspect` and `stage`

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{Output, table};
use super::{Common, Failure};
use crate::plugin::stage::{self, StageRequest, StagedPlugin};
use crate::plugin::{InspectedPlugin, ListedPlugin, PluginRegistry};
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
    let listing = registry.list_verified();
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
    let versions = registry.inspect(name)?;
    output.found(&json!(versions), || {
        versions.iter().map(inspected).collect::<Vec<_>>().join("\n\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// One version of a plugin, a line a member, and its parameters.
fn inspected(plugin: &InspectedPlugin) -> String {
    let listed = &plugin.listed;
    let state = match &listed.refused {
        Some(refusal) => format!("refused: {refusal}"),
        None => "ok".to_owned(),
    };
    let lines = [
        format!("{} {}: {}", listed.name, listed.version, listed.description),
        format!("state: {state}"),
        format!("folder: {}", listed.folder.display()),
        format!("sha256: {}", plugin.sha256),
        format!("offers: {}", listed.provides.join(", ")),
        format!("write modes: {}", listed.write_modes.join(", ")),
    ];
    let mut text = lines.join("\n");
    for (title, schema) in [("parameter", &plugin.parameters), ("setting", &plugin.settings)] {
        let rows = properties(schema);
        if !rows.is_empty() {
            text.push_str("\n\n");
            text.push_str(&table(&[title, "type", "what it is"], &rows));
        }
    }
    text
}

/// The properties of a schema: name, type, and description with a mark on those that must be there.
fn properties(schema: &Value) -> Vec<Vec<String>> {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let row = |(name, property): (&String, &Value)| {
        let kind = property["type"]
            .as_str()
            .map_or_else(|| "any".to_owned(), str::to_owned);
        let mark = if required.iter().any(|required| required == name) {
            "required; "
        } else {
            ""
        };
        let description = property["description"].as_str().unwrap_or_default();
        vec![name.clone(), kind, format!("{mark}{description}")]
    };
    let all = schema["properties"].as_object();
    all.into_iter().flatten().map(row).collect()
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
