//! Tokens for the servers that plugins write to: OAuth, machine to machine, with the one service principal of the host.
//!
//! Instances ask by server, scope, resource and authorization details; equal questions share one token, whoever asks
//! (the ingest service wants one for each table, W 1.2). A token is fetched once for all who wait for it, kept until
//! five minutes before it runs out, and forgotten when a plugin says that it was refused. The principal's secret is
//! read from its reference for each fetch and sent to the hosts of `[access] databricks_hosts` alone.
//!
//! | code | means | remedy |
//! |---|---|---|
//! | TOKEN-001 | the host is not one that the secret may be sent to | add it to `[access] databricks_hosts` |
//! | TOKEN-002 | the id or secret of the service principal is not set | set the variables, or `[databricks]` |
//! | TOKEN-003 | the workspace does not know the service principal, or its secret is wrong | correct them |
//! | TOKEN-004 | a grant is missing, or the object that it is on | grant what the message names |
//! | TOKEN-005 | the workspace refuses the request for a token | look at the code that the message names |
//! | TOKEN-006 | the token endpoint does not answer, or answers that it cannot now | nothing: it is asked again |
//! | TOKEN-007 | the answer holds no token | look for a proxy in between |

mod allowed;
mod fetch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lakefeed_plugin_api::{PluginError, Token, TokenRequest};

use self::fetch::Fetcher;
use super::secrets::SecretReference;

/// A token with less left than this is not lent (W 1.1).
const REFRESH_BEFORE_MS: u64 = 5 * 60 * 1000;
/// A refusal of a token that is younger than this is of the one before it: several writes are refused at once.
const YOUNG_MS: u64 = 1_000;

/// Who the host is to Databricks, and to whom that may be said.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// Workspaces, as `host`, `host:port` or URL.
    pub hosts: Vec<String>,
    /// Where the service principal's id is found.
    pub client_id: SecretReference,
    /// Where its secret is found.
    pub client_secret: SecretReference,
}

impl Default for TokenSettings {
    /// No hosts; id and secret in the variables that Aidbox's own module reads.
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            client_id: SecretReference::Env("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID".to_owned()),
            client_secret: SecretReference::Env("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET".to_owned()),
        }
    }
}

/// Milliseconds since 1970; a test has its own.
type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Lends tokens.
pub struct TokenBroker {
    settings: TokenSettings,
    fetcher: Fetcher,
    clock: Clock,
    slots: Mutex<HashMap<TokenRequest, Arc<Slot>>>,
}

/// One question's token. Whoever fetches holds the lock, and the others wait for what it brings.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Option<Held>>);

/// A token that was fetched.
struct Held {
    token: Token,
    fetched_at: u64,
    /// None for one that says nothing of its end: it is not kept (W 1.2).
    lent_until: Option<u64>,
}

impl fmt::Debug for TokenBroker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenBroker")
    }
}

impl TokenBroker {
    /// A broker that has fetched nothing yet.
    pub fn new(settings: TokenSettings) -> TokenBroker {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock = move || u64::try_from(now().as_millis()).unwrap_or(u64::MAX);
        TokenBroker::with_clock(settings, Arc::new(clock))
    }

    fn with_clock(settings: TokenSettings, clock: Clock) -> TokenBroker {
        TokenBroker {
            settings,
            fetcher: Fetcher::default(),
            clock,
            slots: Mutex::default(),
        }
    }

    /// A token that holds for five minutes at least, or for half of its life where that is less.
    ///
    /// # Errors
    ///
    /// One of the codes above; `auth.denied` names the grant that is missing.
    pub async fn token(&self, request: &TokenRequest) -> Result<Token, PluginError> {
        let server = allowed::server(&request.server, &self.settings.hosts)?;
        let slot = self.slot(request);
        let mut held = slot.0.lock().await;
        if let Some(held) = held.as_ref()
            && held.lent_until.is_some_and(|end| (self.clock)() < end)
        {
            return Ok(held.token.clone());
        }
        *held = None;
        let fetched_at = (self.clock)();
        let fetched = self.fetcher.fetch(&server, request, &self.settings).await?;
        let token = Token {
            bearer: fetched.bearer,
            expires_at_ms: fetched.lasts_ms.map(|lasts| fetched_at.saturating_add(lasts)),
        };
        *held = Some(Held {
            token: token.clone(),
            fetched_at,
            lent_until: fetched
                .lasts_ms
                .map(|lasts| fetched_at.saturating_add(lasts - REFRESH_BEFORE_MS.min(lasts / 2))),
        });
        Ok(token)
    }

    /// Forgets a token that a server refused, so that the next question fetches another.
    pub fn invalidate(&self, request: &TokenRequest) {
        let slot = self.slot(request);
        // While it is being fetched the refusal is of the one before.
        if let Ok(mut held) = slot.0.try_lock() {
            let now = (self.clock)();
            if held
                .as_ref()
                .is_some_and(|held| now.saturating_sub(held.fetched_at) >= YOUNG_MS)
            {
                *held = None;
            }
        }
    }

    fn slot(&self, request: &TokenRequest) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(request.clone()).or_default())
    }
}
