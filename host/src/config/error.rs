//! What is wrong with a configuration file, by line.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1; none when it is about the whole file.
    pub line: Option<usize>,
    /// The key, such as `http.listen` or `destination[1].tablePath`; empty for the whole file.
    pub key: String,
    /// What is wrong and what to do. Never quotes a value.
    pub message: String,
}

/// Everything that is wrong in a file; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file, when there is one.
    pub file: Option<PathBuf>,
    /// What is wrong, in the order of the file.
    pub errors: Vec<ConfigError>,
}

impl ConfigError {
    /// An error at a key whose line is not known yet.
    pub fn at(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            line: None,
            key: key.into(),
            message: message.into(),
        }
    }
}

impl ConfigErrors {
    pub(super) fn one(error: ConfigError) -> Self {
        Self {
            file: None,
            errors: vec![error],
        }
    }

    pub(super) fn unreadable(path: &Path, source: &std::io::Error) -> Self {
        let message = match source.kind() {
            std::io::ErrorKind::NotFound => {
                "there is no such file; name one with --config, or see `lakefeed schema` for what it may hold"
                    .to_owned()
            }
            _ => format!("cannot be read: {source}"),
        };
        Self::one(ConfigError::at("", message)).in_file(path)
    }

    pub(super) fn in_file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            if let Some(file) = &self.file {
                write!(formatter, "{}:", file.display())?;
            }
            if let Some(line) = error.line {
                write!(formatter, "{line}:")?;
            }
            if self.file.is_some() || error.line.is_some() {
                formatter.write_str(" ")?;
            }
            if !error.key.is_empty() {
                write!(formatter, "`{}`: ", error.key)?;
            }
            write!(formatter, "{} [CONFIG-001]", error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
