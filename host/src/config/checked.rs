//! The configuration as the host runs it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors};
use super::secret::SecretReference;
use super::written::{self, Written, line_of};
use crate::change::Retention;

pub use super::access::{Access, ServicePrincipal};
pub use super::limits::HttpLimits;
pub use super::written::{ClientAccess, FeedKind, InvalidResources, LogFormat, Trust};

/// A checked configuration. Building the host from it takes no further decision.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file's text, for the lines of what is found wrong later.
    source: String,
    /// The file, absolute, if it was read from one.
    pub file: Option<PathBuf>,
    /// The folder that relative paths start at.
    pub folder: PathBuf,
    /// The HTTP listener.
    pub http: HttpConfig,
    /// The store, `sqlite://` with an absolute file or `postgres://`.
    pub store_url: String,
    /// Whether a PostgreSQL store has views for SQL users.
    pub sql_views: bool,
    /// How long the store keeps versions that are no resource's newest.
    pub retention: Retention,
    /// Where plugins come from.
    pub plugins: PluginsConfig,
    /// The log's filter.
    pub log_level: String,
    /// The log's form.
    pub log_format: LogFormat,
    /// Parameters that destinations have unless they say otherwise.
    pub defaults: Map<String, Value>,
    /// Settings of the plugins, by name.
    pub plugin_settings: BTreeMap<String, Map<String, Value>>,
    /// Secrets that may be referred to, by name.
    pub secrets: BTreeMap<String, SecretReference>,
    /// What may be reached.
    pub access: Access,
    /// Who the host is to Databricks workspaces.
    pub databricks: ServicePrincipal,
    /// Where other servers send their changes, by name.
    pub feeds: BTreeMap<String, FeedConfig>,
    /// Declared topics, as AidboxSubscriptionTopic resources.
    pub topics: Vec<Value>,
    /// Declared views.
    pub views: Vec<DeclaredView>,
    /// Declared destinations: `id`, `topic` and parameters by name.
    pub destinations: Vec<Map<String, Value>>,
}

/// The HTTP listener.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may use it; everybody on this machine when empty.
    pub clients: Vec<Client>,
    /// Certificate and key.
    pub tls: Option<Tls>,
    /// What a request may cost.
    pub limits: HttpLimits,
    /// What becomes of a resource that is not valid FHIR R4.
    pub invalid_resources: InvalidResources,
}

/// A client that signs in by HTTP Basic.
#[derive(Clone, Debug)]
pub struct Client {
    /// The user name.
    pub name: String,
    /// Where the password is found.
    pub secret: SecretReference,
    /// What it may do.
    pub access: ClientAccess,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Where plugins come from.
#[derive(Clone, Debug)]
pub struct PluginsConfig {
    /// Folders, absolute.
    pub dirs: Vec<PathBuf>,
    /// What a plugin of `dirs` must show.
    pub trust: Trust,
    /// Hashes by plugin name.
    pub pins: BTreeMap<String, String>,
    /// The folder for verified copies and state.
    pub state: PathBuf,
}

/// Where another server sends its changes.
#[derive(Clone, Debug)]
pub struct FeedConfig {
    /// How it sends.
    pub kind: FeedKind,
    /// Where what it signs its bodies with is found.
    pub secret: Option<SecretReference>,
}

/// A view that the file declares.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredView {
    /// The resource's id; the definition's name when the file gives none.
    pub id: String,
    /// The definition, as a ViewDefinition resource.
    pub definition: Value,
}

impl Config {
    /// Checks everything and answers all that is wrong, in the order of the file. `text` is the file's, for lines.
    pub fn check(written: Written, text: &str, folder: &Path) -> Result<Self, ConfigErrors> {
        let mut checker = Checker {
            folder,
            errors: Vec::new(),
        };
        let mut config = checker.config(written);
        if checker.errors.is_empty() {
            text.clone_into(&mut config.source);
            return Ok(config);
        }
        let mut errors = checker.errors;
        locate(&mut errors, text);
        Err(ConfigErrors { file: None, errors })
    }

    /// The line of a key such as `destination[0].batchSize`, or of the nearest table around it.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        let document = DeTable::parse(&self.source).ok()?;
        position(document.get_ref(), key).map(|byte| line_of(&self.source, byte))
    }

    /// What a program without a file runs with.
    pub fn without_file(folder: &Path) -> Result<Self, ConfigErrors> {
        Self::check(Written::default(), "", folder)
    }
}

pub(super) struct Checker<'a> {
    pub(super) folder: &'a Path,
    errors: Vec<ConfigError>,
}

impl Checker<'_> {
    fn config(&mut self, written: Written) -> Config {
        Config {
            source: String::new(),
            file: None,
            folder: self.folder.to_owned(),
            store_url: self.store_url(&written.store.url),
            sql_views: written.store.sql_views,
            retention: self.retention(&written.store),
            plugins: self.plugins(written.plugins),
            log_level: self.log_level(written.log.level),
            log_format: written.log.format,
            defaults: self.json(written.defaults),
            plugin_settings: written
                .plugin
                .into_iter()
                .map(|(name, table)| (name, self.json(table)))
                .collect(),
            secrets: written
                .secrets
                .into_iter()
                .map(|(name, reference)| (name, reference.based_on(self.folder)))
                .collect(),
            access: self.access(written.access),
            databricks: self.principal(written.databricks),
            feeds: self.feeds(written.feeds),
            topics: self.topics(written.topic),
            views: self.views(written.view),
            destinations: self.destinations(written.destination),
            http: self.http(written.http),
        }
    }

    pub(super) fn refuse(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.errors.push(ConfigError::at(key, message));
    }

    fn http(&mut self, http: written::Http) -> HttpConfig {
        let listen = self.listen(&http);
        let limits = HttpLimits {
            body_bytes: self.positive("http.max_body_bytes", http.max_body_bytes),
            bundle_entries: self.positive("http.max_bundle_entries", http.max_bundle_entries),
            import_bytes: http.max_import_bytes,
            header_bytes: self
                .positive("http.max_header_bytes", http.max_header_bytes)
                .max(8 << 10),
            request_timeout: self.duration("http.request_timeout_ms", http.request_timeout_ms),
            header_timeout: self.duration("http.header_timeout_ms", http.header_timeout_ms),
            connections: self.positive("http.max_connections", http.max_connections),
            requests: self.positive("http.max_requests", http.max_requests),
            loads: self.positive("http.max_loads", http.max_loads),
        };
        HttpConfig {
            listen,
            clients: self.clients(http.clients),
            tls: self.tls(http.tls),
            limits,
            invalid_resources: http.invalid_resources,
        }
    }

    fn listen(&mut self, http: &written::Http) -> SocketAddr {
        let fallback = SocketAddr::from(([127, 0, 0, 1], 8080));
        let Some(listen) = http
            .listen
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
        else {
            self.refuse(
                "http.listen",
                "not an address and port, such as \"127.0.0.1:8080\"",
            );
            return fallback;
        };
        if http.clients.is_empty() && !listen.ip().is_loopback() {
            let message = "without `http.clients` the server may listen on a loopback address only; \
                           add clients = [{ name = \"…\", secret = { env = \"…\" } }] or listen on 127.0.0.1";
            self.refuse("http.listen", message);
        }
        listen
    }

    fn clients(&mut self, clients: Vec<written::Client>) -> Vec<Client> {
        for (index, client) in clients.iter().enumerate() {
            let key = format!("http.clients[{index}].name");
            if client.name.is_empty() || client.name.contains(':') {
                self.refuse(
                    key,
                    "must not be empty and must hold no colon, which HTTP Basic cannot carry",
                );
            } else if clients.iter().take(index).any(|other| other.name == client.name) {
                self.refuse(key, "is there twice; a client's name must be its own");
            }
        }
        let based = |client: written::Client| Client {
            name: client.name,
            secret: client.secret.based_on(self.folder),
            access: client.access,
        };
        clients.into_iter().map(based).collect()
    }

    fn tls(&mut self, tls: Option<written::Tls>) -> Option<Tls> {
        let tls = tls?;
        let (cert, key) = (self.folder.join(tls.cert), self.folder.join(tls.key));
        for (name, path) in [("http.tls.cert", &cert), ("http.tls.key", &key)] {
            if !path.is_file() {
                self.refuse(name, "there is no such file");
            }
        }
        Some(Tls { cert, key })
    }

    fn positive(&mut self, key: &str, value: usize) -> usize {
        if value == 0 {
            self.refuse(key, "must be more than 0");
        }
        value
    }

    fn duration(&mut self, key: &str, milliseconds: u64) -> Duration {
        if milliseconds == 0 {
            self.refuse(key, "must be more than 0 milliseconds");
        }
        Duration::from_millis(milliseconds)
    }

    fn log_level(&mut self, level: String) -> String {
        if let Err(message) = super::level::check(&level) {
            self.refuse("log.level", message);
        }
        level
    }

    fn store_url(&mut self, url: &str) -> String {
        match url.split_once("://") {
            Some(("sqlite", file)) if !file.is_empty() => {
                format!("sqlite://{}", self.folder.join(file).display())
            }
            Some(("postgres" | "postgresql", _)) => url.to_owned(),
            _ => {
                self.refuse(
                    "store.url",
                    "not a store; write sqlite://FILE, such as \"sqlite://lakefeed.db\", or postgres://USER@HOST/DATABASE",
                );
                String::new()
            }
        }
    }

    fn retention(&mut self, store: &written::Store) -> Retention {
        match store.retain.parse() {
            Ok(retention) if retention != Retention::All && store.url.starts_with("sqlite:") => {
                self.refuse(
                    "store.retain",
                    "a SQLite store keeps everything; leave this away, or name a PostgreSQL store in `store.url`",
                );
                Retention::All
            }
            Ok(retention) => retention,
            Err(error) => {
                self.refuse("store.retain", error.to_string());
                Retention::All
            }
        }
    }

    fn plugins(&mut self, plugins: written::Plugins) -> PluginsConfig {
        for (name, hash) in &plugins.pin {
            if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                self.refuse(
                    format!("plugins.pin.{name}"),
                    "not a SHA-256: 64 hexadecimal digits",
                );
            }
        }
        PluginsConfig {
            dirs: plugins.dirs.iter().map(|dir| self.folder.join(dir)).collect(),
            trust: plugins.trust,
            pins: plugins.pin,
            state: self.folder.join(plugins.state.as_deref().unwrap_or(".lakefeed")),
        }
    }

    fn feeds(&mut self, feeds: BTreeMap<String, written::Feed>) -> BTreeMap<String, FeedConfig> {
        for (name, feed) in &feeds {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_plain) {
                self.refuse(
                    format!("feeds.{name}"),
                    "a feed's name is part of its address: letters, digits, `-`, `_` and `.`",
                );
            }
            if feed.secret.is_some() && feed.kind != FeedKind::Medplum {
                self.refuse(
                    format!("feeds.{name}.secret"),
                    "only a feed of the kind `medplum` is signed; leave the secret out",
                );
            }
        }
        let based = |feed: written::Feed| FeedConfig {
            kind: feed.kind,
            secret: feed.secret.map(|secret| secret.based_on(self.folder)),
        };
        feeds
            .into_iter()
            .map(|(name, feed)| (name, based(feed)))
            .collect()
    }

    fn topics(&mut self, tables: Vec<toml::Table>) -> Vec<Value> {
        let resources = tables
            .into_iter()
            .map(|table| self.json(table))
            .collect::<Vec<_>>();
        self.distinct_ids("topic", &resources);
        let typed = |mut topic: Map<String, Value>| {
            topic.insert("resourceType".to_owned(), "AidboxSubscriptionTopic".into());
            topic.entry("status").or_insert_with(|| "active".into());
            Value::Object(topic)
        };
        resources.into_iter().map(typed).collect()
    }

    fn views(&mut self, tables: Vec<toml::Table>) -> Vec<DeclaredView> {
        let mut views: Vec<DeclaredView> = Vec::new();
        for (index, table) in tables.into_iter().enumerate() {
            let Some(view) = self.view(index, table) else {
                continue;
            };
            if views.iter().any(|other| other.id == view.id) {
                self.refuse(
                    format!("view[{index}]"),
                    format!("the id `{}` is there twice", view.id),
                );
            }
            views.push(view);
        }
        views
    }

    fn view(&mut self, index: usize, table: toml::Table) -> Option<DeclaredView> {
        let mut fields = self.json(table);
        if let Some(file) = fields.remove("file") {
            let id = fields.remove("id");
            if !fields.is_empty() {
                self.refuse(
                    format!("view[{index}]"),
                    "a view with `file` has no other fields but `id`",
                );
                return None;
            }
            fields = self.view_file(index, file.as_str().unwrap_or_default())?;
            if let Some(id) = id {
                fields.insert("id".to_owned(), id);
            }
        }
        fields.insert("resourceType".to_owned(), "ViewDefinition".into());
        fields.entry("status").or_insert_with(|| "active".into());
        let id = fields
            .get("id")
            .or_else(|| fields.get("name"))
            .and_then(Value::as_str)
            .map(str::to_owned);
        let Some(id) = id else {
            self.refuse(
                format!("view[{index}]"),
                "`name` is required: destinations call the view by it",
            );
            return None;
        };
        fields.insert("id".to_owned(), id.replace('_', "-").into());
        Some(DeclaredView {
            id: id.replace('_', "-"),
            definition: Value::Object(fields),
        })
    }

    fn view_file(&mut self, index: usize, file: &str) -> Option<Map<String, Value>> {
        let key = format!("view[{index}].file");
        let text = match std::fs::read(self.folder.join(file)) {
            Ok(text) => text,
            Err(error) => {
                self.refuse(key, format!("cannot be read: {}", error.kind()));
                return None;
            }
        };
        match serde_json::from_slice(&text) {
            Ok(fields) => Some(fields),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                self.refuse(key, format!("not a JSON object: line {line}, column {column}"));
                None
            }
        }
    }

    fn destinations(&mut self, tables: Vec<toml::Table>) -> Vec<Map<String, Value>> {
        let destinations = tables
            .into_iter()
            .map(|table| self.json(table))
            .collect::<Vec<_>>();
        self.distinct_ids("destination", &destinations);
        destinations
    }

    fn distinct_ids(&mut self, kind: &str, items: &[Map<String, Value>]) {
        for (index, item) in items.iter().enumerate() {
            let key = format!("{kind}[{index}].id");
            match item.get("id").and_then(Value::as_str) {
                None => self.refuse(key, "is required: a text of letters, digits, `-`, `.` and `_`"),
                Some(id) if !crate::change::ResourceKey::is_definition_id(id) => {
                    self.refuse(key, "must be 1 to 64 letters, digits, `-`, `.` and `_`");
                }
                Some(id) => {
                    let is_same =
                        |other: &&Map<String, Value>| other.get("id").and_then(Value::as_str) == Some(id);
                    if items.iter().take(index).any(|other| is_same(&other)) {
                        self.refuse(
                            key,
                            format!("there is a {kind} `{id}` already; give each its own id"),
                        );
                    }
                }
            }
        }
    }

    fn json(&mut self, table: toml::Table) -> Map<String, Value> {
        table
            .into_iter()
            .map(|(name, value)| (name, to_json(value)))
            .collect()
    }
}

/// The JSON of a TOML value; a date becomes its text.
fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(boolean) => boolean.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(name, value)| (name, to_json(value)))
            .collect(),
    }
}

/// Gives each error the line of its key, or of the nearest table around it, and sorts by line.
fn locate(errors: &mut [ConfigError], text: &str) {
    let Ok(document) = DeTable::parse(text) else {
        return;
    };
    for error in errors.iter_mut() {
        error.line = position(document.get_ref(), &error.key).map(|byte| line_of(text, byte));
    }
    errors.sort_by_key(|error| error.line.unwrap_or(usize::MAX));
}

/// Where the key `a.b[1].c` stands, as far as it is there.
fn position(document: &DeTable<'_>, key: &str) -> Option<usize> {
    let mut table = document;
    let mut found = None;
    for part in key.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Some((written, value)) = table.iter().find(|(written, _)| written.get_ref() == name) else {
            break;
        };
        found = Some(written.span().start);
        let mut value = value.get_ref();
        if let (Some(index), DeValue::Array(items)) = (index, value) {
            let Some(item) = items.get(index) else { break };
            found = Some(item.span().start);
            value = item.get_ref();
        }
        match value {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    found
}
