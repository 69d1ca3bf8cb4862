//! What a library is: its name, its parameters, and how an instance of it is made.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Host, PluginError};

/// Who made what. The manifest says the same, and the host refuses a library whose answer differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginInfo {
    /// The plugin's name, as a configuration names it.
    pub name: &'static str,
    /// Its version, as semver: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// Who answers for it.
    pub vendor: &'static str,
    /// Its licence, as an SPDX expression.
    pub license: &'static str,
}

/// A plugin: one type, of which the host makes one instance for each destination that uses it.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Its parameters. The JSON Schema of this type is what the host checks a configuration against; fields that hold a
    /// secret carry `#[schemars(extend("x-lakefeed-secret" = true))]`, local paths and URLs
    /// `#[schemars(extend("x-lakefeed-access" = "local-path"))]` or `"url"`.
    type Config: DeserializeOwned + JsonSchema;

    /// Who made what.
    const INFO: PluginInfo;

    /// Makes an instance. Checks the parameters and nothing else: no I/O, no blocking, no task started.
    fn create(config: Self::Config, host: Host) -> Result<Self, PluginError>;
}
