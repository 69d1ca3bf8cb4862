//! The HTTP surface: FHIR R4 JSON below `/fhir` in Aidbox's dialect, and the host's own pages beside it.
//!
//! [`serve`] answers requests for an [`App`] under [`Settings`]. A request passes the guards in this order: the
//! connection's bounds (`server`), who asks (`auth`) and what they may do (`rights`), the body's bounds (`limits`), the
//! number of requests at once and the time for one (`router`); then one file an interaction or operation answers it.
//! Nothing is decided here that another module could decide. Every error is an OperationOutcome (`outcome`), and neither
//! an error nor the log repeats what a client sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::change::Timestamp;
use crate::definitions::Definitions;
use crate::delivery::Deliveries;
use crate::intake::Intake;
use crate::intake::feed::Feeds;
use crate::intake::load::Loads;
use crate::log::{Log, Write, WriteError, Written};
use crate::plugin::PluginRegistry;
use crate::sql_table::SqlTables;

use outcome::Outcome;

mod ask;
mod auth;
mod batch;
mod bundle;
mod bundles;
mod changes;
mod conditional;
mod dead_letters;
mod destination;
mod entries;
mod health;
mod history;
mod ingest;
mod interact;
mod limits;
mod load;
mod materialize;
mod metadata;
mod metrics;
mod openapi;
mod outcome;
mod overview;
mod page;
mod parameters;
mod patch;
mod patience;
mod patient;
mod period;
mod plugins;
mod read;
mod respond;
mod rights;
mod route;
mod router;
mod rows;
mod run;
mod search;
mod server;
mod settings;
mod tls;
mod token;
mod topic;
mod transaction;
mod view;
mod write;

#[cfg(test)]
mod tests;

pub use auth::{Access, Client};
pub use ingest::Feed;
pub use limits::Limits;
pub use server::serve;
pub use tls::Tls;

/// FHIR's media type.
const FHIR_JSON: &str = "application/fhir+json";
/// JSON's media type, which FHIR clients use as well.
const JSON: &str = "application/json";

/// What requests are answered from.
pub struct App {
    /// The store; read from here, written through [`Intake`]'s writes.
    pub log: Arc<dyn Log>,
    /// Makes requests into writes.
    pub intake: Intake,
    /// Takes what other servers send.
    pub feeds: Feeds,
    /// Loads NDJSON.
    pub loads: Loads,
    /// The topics, views and destinations.
    pub definitions: Arc<Definitions>,
    /// Delivers to destinations.
    pub deliveries: Deliveries,
    /// The materialised views for SQL users; none where the store has no SQL users.
    pub sql_tables: Option<SqlTables>,
    /// The plugins.
    pub plugins: Arc<PluginRegistry>,
    /// Held while topics and views change, so that each check still holds when its write happens.
    pub definition_turn: tokio::sync::Mutex<()>,
    /// The same for destinations, whose checks ask the target and so may take minutes.
    pub destination_turn: tokio::sync::Mutex<()>,
    /// Held by requests that say by their content which definition they mean, since such a search and the write that
    /// it decides are two steps. Taken before the other turns.
    pub conditional_turn: tokio::sync::Mutex<()>,
    /// The most bytes of rows that `$run` answers.
    pub max_run_bytes: usize,
    /// When the server started.
    pub started: Timestamp,
}

impl App {
    /// Commits one write.
    async fn write(&self, write: Write) -> Result<Written, WriteError> {
        let mut written = self.log.write(vec![write]).await?;
        written.pop().ok_or_else(|| {
            WriteError::Log(crate::log::LogError::Unavailable {
                reason: "the store gave no answer to a write".to_owned(),
            })
        })
    }
}

/// Does a piece of work to its end even when the client that asked for it goes away in the middle.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, Outcome>> + Send + 'static,
) -> Result<T, Outcome> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(Outcome::internal()))
}

/// How the listener behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who may ask.
    pub access: Access,
    /// The listener's certificate; plain HTTP without.
    pub tls: Option<Tls>,
    /// The bounds.
    pub limits: Limits,
    /// The server's address as clients know it, for links; without it, it is taken from each request's `Host`.
    pub base_url: Option<String>,
    /// Where other servers send their changes, by name.
    pub feeds: BTreeMap<String, Feed>,
}

impl Default for Settings {
    /// Plain HTTP for this machine only.
    fn default() -> Self {
        Self {
            access: Access::Loopback,
            tls: None,
            limits: Limits::default(),
            base_url: None,
            feeds: ingest::defaults(),
        }
    }
}

/// Why the listener does not start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// HTTP-001. Without clients anybody who reaches the port could read everything. Listen on loopback, or
    /// configure `[http] clients`.
    #[error(
        "`[http] listen` {address} is not loopback and no `[http] clients` are configured; add clients or listen on 127.0.0.1 [HTTP-001]"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// HTTP-002. A certificate or key cannot be read or does not fit.
    #[error("`[http] tls`: {path} cannot be used: {reason} [HTTP-002]", path = path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// HTTP-004. A client's secret cannot be read. Set the variable or the file that it refers to.
    #[error("`[http] clients`: the secret of `{name}` cannot be read: {reason} [HTTP-004]")]
    Client {
        /// The client.
        name: String,
        /// What is wrong; never the secret.
        reason: String,
    },
    /// HTTP-005. A feed's secret cannot be read. Set the variable or the file that it refers to.
    #[error("`[feeds]`: the secret of `{name}` cannot be read: {reason} [HTTP-005]")]
    Feed {
        /// The feed.
        name: String,
        /// What is wrong; never the secret.
        reason: String,
    },
    /// HTTP-006. The system gives no random bytes. Look at `/dev/urandom` and at what keeps the host from it.
    #[error("the system gives no random bytes for the key of bearer tokens [HTTP-006]")]
    Random,
    /// HTTP-003. The listener does not work.
    #[error("the listener has no address [HTTP-003]")]
    Listener {
        /// What the system says.
        source: std::io::Error,
    },
}
