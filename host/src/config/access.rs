//! What may be reached, and who the host is there: `[access]` and `[databricks]`.

use std::path::PathBuf;

use super::checked::Checker;
use super::secret::SecretReference;
use super::written;

/// What requests and destinations may reach.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Folders, absolute.
    pub local_paths: Vec<PathBuf>,
    /// Databricks workspaces' hosts.
    pub databricks_hosts: Vec<String>,
    /// Beginnings of URLs.
    pub urls: Vec<String>,
}

/// Where id and secret of the service principal are found.
#[derive(Clone, Debug)]
pub struct ServicePrincipal {
    /// The id.
    pub client_id: SecretReference,
    /// The secret.
    pub client_secret: SecretReference,
}

impl Checker<'_> {
    pub(super) fn access(&mut self, access: written::Access) -> Access {
        let local_paths = match access.local_paths {
            None => vec![self.folder.to_owned()],
            Some(paths) => paths.iter().map(|path| self.folder.join(path)).collect(),
        };
        for (index, url) in access.urls.iter().enumerate() {
            if url::Url::parse(url).is_err() {
                self.refuse(
                    format!("access.urls[{index}]"),
                    "not a URL, such as \"s3://bucket/folder/\"",
                );
            }
        }
        for (index, host) in access.databricks_hosts.iter().enumerate() {
            let is_url = host.contains("://");
            let url = if is_url {
                host.clone()
            } else {
                format!("https://{host}")
            };
            if !url::Url::parse(&url).is_ok_and(|url| url.has_host() && matches!(url.path(), "" | "/")) {
                self.refuse(
                    format!("access.databricks_hosts[{index}]"),
                    "not a workspace's host, such as \"dbc-1.cloud.databricks.com\"",
                );
            }
        }
        Access {
            local_paths,
            databricks_hosts: access.databricks_hosts,
            urls: access.urls,
        }
    }

    pub(super) fn principal(&self, written: written::Databricks) -> ServicePrincipal {
        let place = |reference: Option<SecretReference>, name: &str| match reference {
            Some(reference) => reference.based_on(self.folder),
            None => SecretReference::Env(format!("BOX_DATABRICKS_DATA_LAKEHOUSE_{name}")),
        };
        ServicePrincipal {
            client_id: place(written.client_id, "CLIENT_ID"),
            client_secret: place(written.client_secret, "CLIENT_SECRET"),
        }
    }
}
