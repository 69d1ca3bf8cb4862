//! Names in the configuration that nothing here knows, which is how a misspelt one shows.

use super::{Definitions, parameter};
use crate::issue::{Issue, IssueCode, suggestion};

impl Definitions {
    /// The parameters of `[defaults]` that neither the host nor any plugin found here has, and the plugins of
    /// `[plugin.…]` that are not here, by the configuration's keys.
    pub fn unknown_names(&self) -> Vec<Issue> {
        let listed = self.plugins.list().plugins;
        let own = parameter::HOST_PARAMETERS.iter().map(|parameter| parameter.name);
        let of_plugins = listed
            .iter()
            .flat_map(|plugin| plugin.manifest.parameters.properties());
        let parameters: Vec<&str> = own.chain(of_plugins).collect();
        let plugins: Vec<&str> = listed.iter().map(|plugin| plugin.name.as_str()).collect();
        let defaults = self.settings.defaults.keys().filter_map(|name| {
            let text = "is not a parameter of the host or of a plugin that is installed";
            unknown(name, &parameters, "defaults", text)
        });
        let settings = self.settings.plugin_settings.keys().filter_map(|name| {
            let text = "is not the name of a plugin that is installed; see `lakefeed plugins list`";
            unknown(name, &plugins, "plugin", text)
        });
        defaults.chain(settings).collect()
    }
}

fn unknown(name: &str, known: &[&str], table: &str, text: &str) -> Option<Issue> {
    if known.contains(&name) {
        return None;
    }
    let near = suggestion(name, known.iter().copied());
    Some(Issue::new(
        IssueCode::Value,
        format!("{table}.{name}"),
        format!("`{name}` {text}{near}"),
    ))
}
