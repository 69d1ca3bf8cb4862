//! A host that lives in memory and remembers what it was told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use lakefeed_plugin_api::{
    Category, CredentialRequest, Credentials, Host, LogEvent, LogLevel, MetricKind, PluginError, Secret,
    ServiceFuture, Services, Token, TokenRequest,
};

/// A host for tests: secrets, a token and credentials as they were set; logs, metrics, acks and state as they came.
#[derive(Clone, Debug, Default)]
pub struct FakeHost(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    secrets: HashMap<String, Secret>,
    tokens: VecDeque<Token>,
    credentials: Option<Credentials>,
    logs: Vec<LogEvent>,
    metrics: Vec<(String, f64)>,
    acks: Vec<u64>,
    state: HashMap<String, Vec<u8>>,
}

impl FakeHost {
    /// A host that has nothing to lend yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a plugin is given.
    #[must_use]
    pub fn host(&self) -> Host {
        Host::new(Arc::new(self.clone()))
    }

    /// Sets a secret.
    pub fn set_secret(&self, name: &str, secret: &str) {
        self.with(|memory| memory.secrets.insert(name.to_owned(), Secret::new(secret)));
    }

    /// Sets the token that every question gets.
    pub fn set_token(&self, token: Token) {
        self.with(|memory| memory.tokens = VecDeque::from([token]));
    }

    /// Adds a token that questions get once those before it were refused.
    pub fn add_token(&self, token: Token) {
        self.with(|memory| memory.tokens.push_back(token));
    }

    /// Sets the credentials that every question gets.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.with(|memory| memory.credentials = Some(credentials));
    }

    /// The log events so far.
    #[must_use]
    pub fn logs(&self) -> Vec<LogEvent> {
        self.with(|memory| memory.logs.clone())
    }

    /// The sum of what was recorded to a metric.
    #[must_use]
    pub fn metric(&self, name: &str) -> f64 {
        self.with(|memory| {
            memory
                .metrics
                .iter()
                .filter(|(known, _)| known == name)
                .map(|(_, value)| value)
                .sum()
        })
    }

    /// The batch numbers that were acked, in the order in which they came.
    #[must_use]
    pub fn acks(&self) -> Vec<u64> {
        self.with(|memory| memory.acks.clone())
    }

    fn with<R>(&self, work: impl FnOnce(&mut Memory) -> R) -> R {
        work(&mut self.0.lock().unwrap())
    }
}

fn missing<T>(what: &str) -> Result<T, PluginError> {
    Err(PluginError::new(
        Category::ConfigInvalid,
        "TESTKIT-001",
        format!("the fake host was given no {what}"),
    ))
}

fn ready<T: Send + 'static>(answer: Result<T, PluginError>) -> ServiceFuture<T> {
    Box::pin(std::future::ready(answer))
}

impl Services for FakeHost {
    fn log(&self, event: LogEvent) {
        self.with(|memory| memory.logs.push(event));
    }

    fn max_level(&self) -> Option<LogLevel> {
        Some(LogLevel::Trace)
    }

    fn register_metric(&self, _: MetricKind, name: &str, _: &str, _: &[(&str, &str)]) -> u64 {
        self.with(|memory| {
            memory.metrics.push((name.to_owned(), 0.0));
            memory.metrics.len() as u64
        })
    }

    fn record_metric(&self, id: u64, value: f64) {
        self.with(|memory| {
            let name = memory.metrics[id as usize - 1].0.clone();
            memory.metrics.push((name, value));
        });
    }

    fn secret(&self, name: &str) -> Result<Secret, PluginError> {
        self.with(|memory| memory.secrets.get(name).cloned())
            .map_or_else(|| missing("secret"), Ok)
    }

    fn token(&self, _: &TokenRequest) -> ServiceFuture<Token> {
        ready(
            self.with(|memory| memory.tokens.front().cloned())
                .map_or_else(|| missing("token"), Ok),
        )
    }

    fn invalidate_token(&self, _: &TokenRequest) {
        self.with(|memory| memory.tokens.pop_front());
    }

    fn credentials(&self, _: &CredentialRequest) -> ServiceFuture<Credentials> {
        ready(
            self.with(|memory| memory.credentials.clone())
                .map_or_else(|| missing("credentials"), Ok),
        )
    }

    fn ack(&self, batch_number: u64) {
        self.with(|memory| memory.acks.push(batch_number));
    }

    fn state_get(&self, key: &str) -> ServiceFuture<Option<Vec<u8>>> {
        ready(Ok(self.with(|memory| memory.state.get(key).cloned())))
    }

    fn state_put(&self, key: &str, value: &[u8]) -> ServiceFuture<()> {
        self.with(|memory| memory.state.insert(key.to_owned(), value.to_vec()));
        ready(Ok(()))
    }
}
