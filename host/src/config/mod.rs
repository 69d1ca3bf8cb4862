//! The configuration file: written, then checked.
//!
//! [`written`] is the TOML as its author wrote it: one field a key, with its documentation, default and unit; the
//! JSON Schema that `lakefeed schema` prints is made of the same types. `checked` is what the host runs: paths
//! made absolute, addresses parsed, secrets still references. Checking is pure: it reads the files that the
//! configuration names and no network.

use std::path::{Path, PathBuf};

mod access;
mod checked;
mod error;
mod level;
mod limits;
mod secret;
pub mod written;

pub use checked::{
    Access, Client, ClientAccess, Config, DeclaredView, FeedConfig, FeedKind, HttpConfig, HttpLimits,
    InvalidResources, LogFormat, PluginsConfig, ServicePrincipal, Tls, Trust,
};
pub use error::{ConfigError, ConfigErrors};
pub use secret::{SecretError, SecretReference};

/// Reads and checks a configuration file.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigErrors::unreadable(path, &source))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| PathBuf::from("."));
    let mut config = read(&text, &folder).map_err(|errors| errors.in_file(path))?;
    config.file = path.file_name().map(|name| folder.join(name));
    Ok(config)
}

/// Reads and checks the text of a configuration whose relative paths start at `folder`.
pub fn read(text: &str, folder: &Path) -> Result<Config, ConfigErrors> {
    let written = written::parse(text)?;
    Config::check(written, text, folder)
}

/// The JSON Schema of the configuration file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(written::Written).to_value()
}

#[cfg(test)]
mod tests;
