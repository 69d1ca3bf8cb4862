//! What the host lends an instance: log, metrics, secrets, tokens, credentials, acks and a small state.
//!
//! Logging needs no call here: events of the `tracing` crate reach the host's log, with their fields, at the level that
//! the host wants at that moment. They must not quote row values.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Category, CredentialRequest, Credentials, PluginError, Secret};

/// A future of [`Services`].
pub type ServiceFuture<T> = Pin<Box<dyn Future<Output = Result<T, PluginError>> + Send>>;

/// How important a log event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// Something failed.
    Error = 1,
    /// Something may fail.
    Warn = 2,
    /// Something an operator wants to know.
    Info = 3,
    /// Something a developer wants to know.
    Debug = 4,
    /// Everything else.
    Trace = 5,
}

/// One log event.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// How important it is.
    pub level: LogLevel,
    /// The part of the plugin that speaks.
    pub target: String,
    /// What it says.
    pub message: String,
    /// Its fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// The W3C trace context of the call that it belongs to; empty if there is none.
    pub traceparent: String,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MetricKind {
    /// Only grows; recording adds.
    Counter = 1,
    /// Goes up and down; recording sets.
    Gauge = 2,
    /// A distribution; recording observes.
    Histogram = 3,
}

/// A question for a token. Equal questions share one token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenRequest {
    /// The URL of the server that the token is for; the configuration must list it.
    pub server: String,
    /// The scope to ask for.
    pub scope: String,
    /// The resource to ask for; may be empty.
    pub resource: String,
    /// The OAuth `authorization_details`, as JSON text; may be empty.
    pub authorization_details: String,
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The token.
    pub bearer: Secret,
    /// When it runs out, in milliseconds since 1970; none if that is not known.
    #[serde(default)]
    pub expires_at_ms: Option<u64>,
}

/// The services themselves. A plugin sees them through [`Host`]; the test kit and the exporter implement them.
pub trait Services: Send + Sync + 'static {
    /// Takes a log event. Does not block.
    fn log(&self, event: LogEvent);
    /// The least important level that is wanted now; none for no logging at all.
    fn max_level(&self) -> Option<LogLevel>;
    /// Names a metric, and gives the id to record it by; 0 for one that is not kept.
    fn register_metric(&self, kind: MetricKind, name: &str, help: &str, labels: &[(&str, &str)]) -> u64;
    /// Records a number.
    fn record_metric(&self, id: u64, value: f64);
    /// The secret that a parameter of this instance refers to.
    fn secret(&self, name: &str) -> Result<Secret, PluginError>;
    /// A token.
    fn token(&self, request: &TokenRequest) -> ServiceFuture<Token>;
    /// Forgets a token that the target has refused.
    fn invalidate_token(&self, request: &TokenRequest);
    /// Credentials for storage.
    fn credentials(&self, request: &CredentialRequest) -> ServiceFuture<Credentials>;
    /// Every batch up to this number is durable.
    fn ack(&self, batch_number: u64);
    /// What was kept under a key.
    fn state_get(&self, key: &str) -> ServiceFuture<Option<Vec<u8>>>;
    /// Keeps something under a key.
    fn state_put(&self, key: &str, value: &[u8]) -> ServiceFuture<()>;
}

/// The host, as one instance sees it. Cheap to clone; may be used from any thread and task. Once the instance is
/// destroyed its calls do nothing and its questions fail.
#[derive(Clone)]
pub struct Host(Arc<dyn Services>);

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// A metric to record to.
#[derive(Clone, Debug)]
pub struct Metric {
    host: Host,
    id: u64,
}

impl Metric {
    /// Adds to a counter, sets a gauge, observes a histogram.
    pub fn record(&self, value: f64) {
        if self.id != 0 {
            self.host.0.record_metric(self.id, value);
        }
    }
}

impl Host {
    /// A host of these services.
    #[must_use]
    pub fn new(services: Arc<dyn Services>) -> Self {
        Self(services)
    }

    /// The services behind it.
    #[must_use]
    pub fn services(&self) -> &Arc<dyn Services> {
        &self.0
    }

    /// Names a metric; the host prefixes the name, and may keep fewer than are asked for.
    #[must_use]
    pub fn metric(&self, kind: MetricKind, name: &str, help: &str, labels: &[(&str, &str)]) -> Metric {
        Metric {
            host: self.clone(),
            id: self.0.register_metric(kind, name, help, labels),
        }
    }

    /// The secret that the parameter `name` refers to. Only this instance's own are known.
    pub fn secret(&self, name: &str) -> Result<Secret, PluginError> {
        self.0.secret(name)
    }

    /// A token, fetched once for all who ask for the same and kept until shortly before it runs out.
    pub async fn token(&self, request: &TokenRequest) -> Result<Token, PluginError> {
        self.0.token(request).await
    }

    /// Forgets a token that the target has refused, so that the next question fetches another.
    pub fn invalidate_token(&self, request: &TokenRequest) {
        self.0.invalidate_token(request);
    }

    /// Credentials for storage, from the destination's vendor or the configuration.
    pub async fn credentials(&self, request: &CredentialRequest) -> Result<Credentials, PluginError> {
        self.0.credentials(request).await
    }

    /// Every batch up to this number, and including it, is durable. For writers with [`crate::AckMode::Watermark`].
    pub fn ack(&self, batch_number: u64) {
        self.0.ack(batch_number);
    }

    /// What was kept under the key for this destination.
    pub async fn state(&self, key: &str) -> Result<Option<Vec<u8>>, PluginError> {
        self.0.state_get(key).await
    }

    /// Keeps at most 64 KiB under the key for this destination, durable on return; nothing removes it.
    pub async fn put_state(&self, key: &str, value: &[u8]) -> Result<(), PluginError> {
        self.0.state_put(key, value).await
    }
}

/// The error of a service that this host does not lend.
pub(crate) fn not_lent(service: &str) -> PluginError {
    PluginError::new(
        Category::ConfigInvalid,
        "ABI-004",
        format!("the host does not lend {service}"),
    )
    .hint("list the service under requires_host in plugin.toml, and use a host that has it")
}
