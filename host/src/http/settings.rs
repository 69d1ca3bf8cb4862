//! The listener's settings, as the configuration file has them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{FeedConfig, HttpConfig, HttpLimits};

use super::{Access, Client, Feed, HttpError, Limits, Settings, Tls};

impl Settings {
    /// Reads secrets, certificate and key; what the configuration does not say keeps its default.
    pub fn of(config: &HttpConfig) -> Result<Self, HttpError> {
        let clients: Result<Vec<Client>, HttpError> = config.clients.iter().map(client).collect();
        let tls = config.tls.as_ref().map(|tls| Tls::read(&tls.cert, &tls.key));
        Ok(Self {
            access: Access::of(clients?),
            tls: tls.transpose()?,
            limits: limits(&config.limits),
            base_url: None,
            feeds: super::ingest::defaults(),
        })
    }

    /// Adds the feeds of the configuration to those that are there without one.
    pub fn with_feeds(mut self, feeds: &BTreeMap<String, FeedConfig>) -> Result<Self, HttpError> {
        for (name, config) in feeds {
            let secret = config.secret.as_ref().map(|secret| {
                let refuse = |reason: String| HttpError::Feed {
                    name: name.clone(),
                    reason,
                };
                let secret = secret.resolve().map_err(|error| refuse(error.to_string()))?;
                match secret.trim().is_empty() {
                    true => Err(refuse(EMPTY.to_owned())),
                    false => Ok(Arc::from(secret)),
                }
            });
            let feed = Feed {
                kind: config.kind,
                secret: secret.transpose()?,
            };
            self.feeds.insert(name.clone(), feed);
        }
        Ok(self)
    }
}

/// What is wrong with a secret that anybody could guess.
const EMPTY: &str = "it is empty; set the variable or fill the file";

/// A client whose secret is there: an empty one would let in everybody who knows the name.
fn client(client: &crate::config::Client) -> Result<Client, HttpError> {
    let refuse = |reason: String| HttpError::Client {
        name: client.name.clone(),
        reason,
    };
    let secret = client
        .secret
        .resolve()
        .map_err(|error| refuse(error.to_string()))?;
    if secret.trim().is_empty() {
        return Err(refuse(EMPTY.to_owned()));
    }
    Ok(Client::new(&client.name, &secret).with_access(client.access))
}

fn limits(limits: &HttpLimits) -> Limits {
    let defaults = Limits::default();
    Limits {
        max_body_bytes: limits.body_bytes,
        max_bodies_bytes: defaults.max_bodies_bytes.max(4 * limits.body_bytes),
        max_bundle_entries: limits.bundle_entries,
        max_header_bytes: limits.header_bytes,
        header_timeout: limits.header_timeout,
        body_timeout: limits.request_timeout,
        request_timeout: limits.request_timeout,
        bootstrap_timeout: defaults.bootstrap_timeout.max(limits.request_timeout),
        write_timeout: limits.request_timeout.min(Duration::from_secs(30)),
        max_connections: limits.connections,
        max_requests: limits.requests,
        max_loads: limits.loads,
        drain_timeout: defaults.drain_timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(secret: &str) -> Result<Settings, HttpError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), secret).unwrap();
        let text = "[[http.clients]]\nname = \"ops\"\nsecret = { file = \"secret\" }\n";
        Settings::of(&crate::config::read(text, folder.path()).unwrap().http)
    }

    #[test]
    fn a_client_without_a_secret_is_refused() {
        for empty in ["", "\n", "  \t\r\n"] {
            let refused = of(empty).unwrap_err().to_string();
            assert!(refused.contains("`ops` cannot be read: it is empty"), "{refused}");
        }
        assert!(of("hush\n").is_ok());
    }
}
