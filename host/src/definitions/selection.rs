//! Which plugins serve a destination: those it names, or those its write mode brings along.

use std::sync::Arc;

use semver::VersionReq;
use serde_json::Value;

use super::parameter::Given;
use crate::issue::{Issue, IssueCode};
use crate::plugin::{Claim, Manifest, PluginChoice, PluginRegistry};

/// The write mode of a destination that names none, as in Aidbox.
const DEFAULT_MODE: &str = "managed-zerobus";

/// The plugins of a destination.
pub(super) struct Selection {
    pub(super) writer: Chosen,
    pub(super) admin: Option<Chosen>,
    pub(super) credentials: Option<Chosen>,
    pub(super) mapper: Chosen,
}

/// A plugin and the range of versions that was asked for.
pub(super) struct Chosen {
    pub(super) manifest: Arc<Manifest>,
    pub(super) version: Option<String>,
}

/// Chooses the plugins, or says what is missing; `place` is where what is not given would stand.
pub(super) fn select(
    plugins: &PluginRegistry,
    given: &[Given],
    place: &str,
) -> Result<Selection, Vec<Issue>> {
    let writer = writer(plugins, given, place).map_err(|issue| vec![issue])?;
    let companions = writer.manifest.companions.clone();
    let name = writer.manifest.name.clone();
    let own = |interface: &str| writer.manifest.offers(interface).then(|| name.clone());
    let admin = companion(
        plugins,
        given,
        place,
        "admin",
        companions.admin.or_else(|| own("lakefeed.table-admin/0")),
    );
    let mapper = companion(
        plugins,
        given,
        place,
        "mapper",
        companions.mapper.or_else(|| own("lakefeed.schema-mapper/0")),
    );
    let credentials = companion(
        plugins,
        given,
        place,
        "credentials",
        companions.credentials.or_else(|| own("lakefeed.credentials/0")),
    );
    match (admin, mapper, credentials) {
        (Ok(admin), Ok(mapper), Ok(credentials)) => Ok(Selection {
            admin,
            credentials,
            // A writer without opinions on types takes the standard's own, which the host maps by itself.
            mapper: mapper.unwrap_or_else(|| Chosen {
                manifest: Arc::clone(&writer.manifest),
                version: writer.version.clone(),
            }),
            writer,
        }),
        (admin, mapper, credentials) => {
            let problems = [admin.err(), mapper.err(), credentials.err()];
            Err(problems.into_iter().flatten().collect())
        }
    }
}

fn writer(plugins: &PluginRegistry, given: &[Given], place: &str) -> Result<Chosen, Issue> {
    if let Some(writer) = find(given, "writer") {
        return named(plugins, writer);
    }
    let mode = find(given, "writeMode");
    let text = mode.and_then(|mode| mode.value.as_str()).unwrap_or(DEFAULT_MODE);
    let refuse = |problem: String| match mode {
        Some(mode) => Issue::new(IssueCode::NotSupported, mode.place.clone(), problem),
        None => Issue::new(
            IssueCode::NotSupported,
            place,
            format!("`writeMode` is not given and `{DEFAULT_MODE}` is its default: {problem}"),
        ),
    };
    match plugins.claimed(Claim::WriteMode, text) {
        Ok(found) => Ok(Chosen {
            manifest: found.manifest,
            version: None,
        }),
        Err(problem) => Err(refuse(problem.to_string())),
    }
}

fn companion(
    plugins: &PluginRegistry,
    given: &[Given],
    place: &str,
    role: &str,
    default: Option<String>,
) -> Result<Option<Chosen>, Issue> {
    if let Some(written) = find(given, role) {
        return named(plugins, written).map(Some);
    }
    let Some(name) = default else { return Ok(None) };
    match plugins.find(&PluginChoice {
        plugin: name,
        version: None,
    }) {
        Ok(found) => Ok(Some(Chosen {
            manifest: found.manifest,
            version: None,
        })),
        Err(problem) => Err(Issue::new(IssueCode::NotSupported, place, problem.to_string())),
    }
}

/// The plugin that a parameter names, as `"delta"` or `{ plugin = "delta", version = "^1" }`.
fn named(plugins: &PluginRegistry, given: &Given) -> Result<Chosen, Issue> {
    let refuse = |code, text: String| Issue::new(code, given.place.clone(), text);
    let (name, version) = match &given.value {
        Value::String(name) => (name.as_str(), None),
        Value::Object(parts) => {
            let known = ["plugin", "version", "isolation"];
            if let Some(unknown) = parts.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(refuse(
                    IssueCode::Value,
                    format!("`{unknown}` is not known here; plugin, version and isolation are"),
                ));
            }
            if parts
                .get("isolation")
                .is_some_and(|isolation| isolation != "in-process")
            {
                let text = "isolation in a child process is not built yet; leave `isolation` out".to_owned();
                return Err(refuse(IssueCode::NotSupported, text));
            }
            let version = parts.get("version").and_then(Value::as_str);
            (
                parts.get("plugin").and_then(Value::as_str).unwrap_or_default(),
                version,
            )
        }
        _ => ("", None),
    };
    if name.is_empty() {
        return Err(refuse(
            IssueCode::Required,
            format!("`{}` names no plugin", given.name),
        ));
    }
    let range = match version.map(VersionReq::parse).transpose() {
        Ok(range) => range,
        Err(_) => {
            let text = "`version` is not a range of versions, such as \"^1.2\"".to_owned();
            return Err(refuse(IssueCode::Value, text));
        }
    };
    plugins
        .find(&PluginChoice {
            plugin: name.to_owned(),
            version: range,
        })
        .map(|found| Chosen {
            manifest: found.manifest,
            version: version.map(str::to_owned),
        })
        .map_err(|problem| refuse(IssueCode::NotSupported, problem.to_string()))
}

pub(super) fn find<'a>(given: &'a [Given], name: &str) -> Option<&'a Given> {
    given.iter().find(|given| given.name == name)
}
