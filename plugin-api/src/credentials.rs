//! Credentials for cloud storage, typed and short-lived.

use std::fmt;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::{PluginError, TableRef};

/// What is to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialTarget {
    /// The files of a table.
    Table(TableRef),
    /// A URL and all below it.
    Path(String),
}

/// What is to be done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialOperation {
    /// Reading and listing.
    Read,
    /// Reading, listing, writing and deleting.
    ReadWrite,
}

/// A question for credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CredentialRequest {
    /// What is to be reached.
    pub target: CredentialTarget,
    /// What is to be done there.
    pub operation: CredentialOperation,
}

/// Text that is never shown: `Debug` prints dots.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The credentials of one cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum CloudCredentials {
    /// For S3 and what speaks like it.
    #[serde(rename_all = "snake_case")]
    Aws {
        /// The key's id.
        access_key_id: String,
        /// The key.
        secret_access_key: Secret,
        /// The session's token; empty for lasting keys.
        #[serde(default)]
        session_token: Secret,
        /// The region; empty if it is not known.
        #[serde(default)]
        region: String,
        /// The URL of the service where it is not Amazon's; empty otherwise.
        #[serde(default)]
        endpoint: String,
    },
    /// For Azure storage.
    AzureSas {
        /// The signed query string.
        sas: Secret,
    },
    /// For Google storage.
    Gcp {
        /// The OAuth token.
        token: Secret,
    },
}

/// Credentials, and how long they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The credentials.
    pub cloud: CloudCredentials,
    /// When they stop working, in milliseconds since 1970; none if they do not. Ask again before then.
    #[serde(default)]
    pub expires_at_ms: Option<u64>,
    /// The URL that they are for, where the vendor narrows it.
    #[serde(default)]
    pub location: String,
}

/// Hands out credentials for storage (interface `lakefeed.credentials/0`).
pub trait CredentialVendor: Send + Sync + 'static {
    /// Credentials for the target, valid for some minutes at least. Does not cache: the host does, and asks again.
    fn vend(
        &self,
        request: &CredentialRequest,
    ) -> impl Future<Output = Result<Credentials, PluginError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let cloud = CloudCredentials::Gcp {
            token: Secret::new("s3cr3t"),
        };
        assert_eq!(format!("{cloud:?}"), "Gcp { token: Secret(…) }");
    }
}
