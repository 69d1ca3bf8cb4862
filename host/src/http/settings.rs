//! The listener's settings, as the configuration file has them.

use std::time::Duration;

use crate::config::{HttpConfig, HttpLimits};

use super::{Access, Client, HttpError, Limits, Settings, Tls};

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
        })
    }
}

fn client(client: &crate::config::Client) -> Result<Client, HttpError> {
    let secret = client.secret.resolve().map_err(|error| HttpError::Client {
        name: client.name.clone(),
        reason: error.to_string(),
    })?;
    Ok(Client::new(&client.name, &secret))
}

fn limits(limits: &HttpLimits) -> Limits {
    let defaults = Limits::default();
    Limits {
        max_body_bytes: limits.body_bytes,
        max_bodies_bytes: defaults.max_bodies_bytes.max(4 * limits.body_bytes),
        max_header_bytes: limits.header_bytes,
        header_timeout: limits.header_timeout,
        body_timeout: limits.request_timeout,
        request_timeout: limits.request_timeout,
        bootstrap_timeout: defaults.bootstrap_timeout.max(limits.request_timeout),
        write_timeout: limits.request_timeout.min(Duration::from_secs(30)),
        max_connections: limits.connections,
        max_requests: limits.requests,
        drain_timeout: defaults.drain_timeout,
    }
}
