//! What a switch is set to.

use serde::{Deserialize, Serialize};

/// Which part of the service a request is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// Sign-in and discovery.
    Token,
    /// REST insert.
    Zerobus,
    /// Statements and warehouses.
    Sql,
    /// Unity Catalog, and permissions.
    Catalog,
    /// The switches and records of the emulator itself; no fault reaches them.
    Emulator,
}

impl Surface {
    /// The surface that a path belongs to.
    pub fn of_path(path: &str) -> Self {
        if path.starts_with("/emulator") {
            Self::Emulator
        } else if path.starts_with("/oidc") || path.starts_with("/.well-known") {
            Self::Token
        } else if path.starts_with("/zerobus") {
            Self::Zerobus
        } else if path.starts_with("/api/2.0/sql") {
            Self::Sql
        } else {
            Self::Catalog
        }
    }
}

/// What a switch is set to. A member that a switch does not know is not looked at.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Setting {
    /// Only requests of this surface; none is every surface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surface: Option<Surface>,
    /// Only requests whose path has this in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How often; none is until it is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// How many requests pass before the first that is hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Whether a switch that is on by default is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether what is taken is lost without a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<bool>,
    /// A delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// A lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Seconds of `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The HTTP status to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The privilege that is denied, with spaces or underscores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privilege: Option<String>,
    /// The full name of the object that a privilege is denied on; none is every object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The error class of a statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The SQLSTATE of a statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_state: Option<String>,
    /// The text of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Setting {
    /// Once, on one surface.
    pub fn once(surface: Surface) -> Self {
        Self {
            surface: Some(surface),
            times: Some(1),
            ..Self::default()
        }
    }

    /// A delay.
    pub fn milliseconds(milliseconds: u64) -> Self {
        Self {
            milliseconds: Some(milliseconds),
            ..Self::default()
        }
    }

    /// A switch that is off where it would be on.
    pub fn disabled() -> Self {
        Self {
            enabled: Some(false),
            ..Self::default()
        }
    }

    /// Whether a request is one that the switch is for.
    pub(crate) fn is_meant(&self, surface: Surface, path: &str) -> bool {
        surface != Surface::Emulator
            && self.surface.is_none_or(|meant| meant == surface)
            && self.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
    }
}
