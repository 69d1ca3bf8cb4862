//! The configuration as its author wrote it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::error::{ConfigError, ConfigErrors};
use super::secret::SecretReference;
use crate::issue::suggestion;

/// The whole file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Written {
    /// The HTTP listener.
    pub http: Http,
    /// Where resources, their history and the destinations' offsets are kept.
    pub store: Store,
    /// Where plugins are found and which are trusted.
    pub plugins: Plugins,
    /// What the host logs about itself.
    pub log: Log,
    /// Parameters that every destination has unless it says otherwise; the names are those of a destination.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub defaults: toml::Table,
    /// Settings of the plugins themselves, by plugin name.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, serde_json::Value>>")]
    pub plugin: BTreeMap<String, toml::Table>,
    /// Secrets that a destination made over HTTP may refer to, by name.
    pub secrets: BTreeMap<String, SecretReference>,
    /// What requests and destinations may reach.
    pub access: Access,
    /// Who lakefeed is to Databricks workspaces.
    pub databricks: Databricks,
    /// Where other FHIR servers may send their changes, by name: `/ingest/NAME`.
    pub feeds: BTreeMap<String, Feed>,
    /// Topics: the fields of an AidboxSubscriptionTopic, with an `id`.
    #[schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")]
    pub topic: Vec<toml::Table>,
    /// Views: a file, or the fields of a ViewDefinition.
    #[schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")]
    pub view: Vec<toml::Table>,
    /// Destinations: `id`, `topic` and the parameters of an AidboxTopicDestination by name.
    #[schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")]
    pub destination: Vec<toml::Table>,
}

/// `[http]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port. Without `clients` it must be a loopback address.
    pub listen: String,
    /// Who may use the server, by HTTP Basic or with a token of `POST /auth/token`. Nobody is asked for a name when there are none.
    pub clients: Vec<Client>,
    /// Certificate and key; the server speaks plain HTTP without them.
    pub tls: Option<Tls>,
    /// The longest body of a request, in bytes; a longer one gets 413.
    pub max_body_bytes: usize,
    /// What becomes of a resource that is sent and is not valid FHIR R4.
    pub invalid_resources: InvalidResources,
    /// How many entries a Bundle may have; a longer one gets 413.
    pub max_bundle_entries: usize,
    /// How many bytes compressed NDJSON may expand to, an input of `$load` or `$import`.
    pub max_import_bytes: u64,
    /// The longest head of a request, in bytes; a longer one gets 431.
    pub max_header_bytes: usize,
    /// The longest time a request may take from its first byte to its answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// The longest time a connection may wait for a request's head, in milliseconds.
    pub header_timeout_ms: u64,
    /// How many connections may be open at a time; more get 503 with Retry-After.
    pub max_connections: usize,
    /// How many requests may be worked on at a time; more get 503 with Retry-After.
    pub max_requests: usize,
    /// How many `$load`s may be worked on at a time, beside the requests; more get 503 with Retry-After.
    pub max_loads: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            clients: Vec::new(),
            tls: None,
            max_body_bytes: 16 << 20,
            invalid_resources: InvalidResources::Refuse,
            max_bundle_entries: 100_000,
            max_import_bytes: 64 << 30,
            max_header_bytes: 32 << 10,
            request_timeout_ms: 60_000,
            header_timeout_ms: 10_000,
            max_connections: 1_024,
            max_requests: 256,
            max_loads: 16,
        }
    }
}

/// What becomes of a resource that is not valid FHIR R4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InvalidResources {
    /// It is refused with 422 and the places that are wrong.
    #[default]
    Refuse,
    /// It is stored, and the host's log says where it is wrong.
    Report,
}

/// A client that signs in by HTTP Basic, or with a token that it was given so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The user name.
    pub name: String,
    /// The password.
    pub secret: SecretReference,
    /// What it may do.
    #[serde(default)]
    pub access: ClientAccess,
}

/// What a client may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAccess {
    /// Read: resources, histories and searches, `$changes`, `$run`, how destinations, views and the host are.
    Read,
    /// Write FHIR resources as well, also by Bundles, `$load`, `$import` and feeds.
    Resources,
    /// Everything: define topics, views and destinations, pause and resume delivery, `$materialize`.
    #[default]
    All,
}

impl ClientAccess {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Resources => "resources",
            Self::All => "all",
        }
    }
}

/// Certificate and key, PEM files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain.
    pub cert: String,
    /// The private key.
    pub key: String,
}

/// `[store]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite://FILE`; a relative file is taken from the configuration's folder. Or
    /// `postgres://USER@HOST:5432/DATABASE?sslmode=verify-full`, with the password in `PGPASSWORD` or `~/.pgpass`.
    pub url: String,
    /// Whether each materialised view of a PostgreSQL store is a view of the database as well, `sof.NAME`. Switched off,
    /// those that are there stay as they were.
    pub sql_views: bool,
    /// How long versions are kept that are no resource's newest: `all` of them for ever, until they are `delivered` to
    /// every destination, or for an age such as `30 days` at least, and until they are delivered. Only a PostgreSQL
    /// store can let them go.
    pub retain: String,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: "sqlite://lakefeed.db".to_owned(),
            sql_views: true,
            retain: "all".to_owned(),
        }
    }
}

/// `[plugins]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plugins {
    /// Folders that hold plugins, beside the one that was staged with the program.
    pub dirs: Vec<String>,
    /// What a plugin of `dirs` must show before it is loaded.
    pub trust: Trust,
    /// SHA-256 of a library, by plugin name; with `trust = "pinned"` only these are loaded.
    pub pin: BTreeMap<String, String>,
    /// The folder for the plugins' verified copies and their state; `.lakefeed` in the configuration's folder
    /// when absent.
    pub state: Option<String>,
}

/// What a plugin must show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Its library's hash stands in `[plugins.pin]`.
    #[default]
    Pinned,
    /// Its manifest is signed with a trusted key.
    Signed,
    /// Nothing but a manifest that agrees with its library.
    Any,
}

/// `[log]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `lakefeed=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line to be read.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// `[access]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// Folders that requests may name; the configuration's folder when absent.
    pub local_paths: Option<Vec<String>>,
    /// Databricks workspaces that the service principal's secret may be sent to.
    pub databricks_hosts: Vec<String>,
    /// URLs that requests may name, each with what begins with it: `s3://lake/patients/`.
    pub urls: Vec<String>,
}

/// `[databricks]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Databricks {
    /// Where the service principal's id is found; `BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID` when absent.
    pub client_id: Option<SecretReference>,
    /// Where its secret is found; `BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET` when absent.
    pub client_secret: Option<SecretReference>,
}

/// `[feeds.NAME]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// How the other server sends.
    pub kind: FeedKind,
    /// What it signs its bodies with, in `X-Signature`; only `medplum` does. Unsigned ones are refused then.
    pub secret: Option<SecretReference>,
}

/// How another server sends its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeedKind {
    /// Notification Bundles: Aidbox, and topic-based subscriptions of R4, R4B and R5.
    Bundle,
    /// HAPI's rest-hook: PUT and DELETE of `/ingest/NAME/Type/id`.
    Hapi,
    /// Medplum's rest-hook.
    Medplum,
}

/// Reads the TOML; the first thing that does not fit is answered with its line.
pub fn parse(text: &str) -> Result<Written, ConfigErrors> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        ConfigErrors::one(ConfigError {
            line,
            key: String::new(),
            message: explain(error.message()),
        })
    })
}

/// The line of a byte, from 1.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(byte)
        .filter(|byte| **byte == b'\n')
        .count()
}

/// Adds the nearest known name to the reader's `unknown field` message.
fn explain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field ") else {
        return message.to_owned();
    };
    let mut names = rest.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let near = suggestion(unknown, known.iter().copied());
    let list = known.join("`, `");
    format!(
        "unknown key `{unknown}`{near}{}known here: `{list}`",
        if near.is_empty() { "; " } else { " " }
    )
}
