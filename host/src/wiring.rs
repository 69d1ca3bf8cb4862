//! Builds the pipeline from a checked configuration; the one place that sees every module.
//!
//! Started from the last stage to the first: plugins, the store, the definitions, delivery, and only then the
//! listener. Stopped the other way round: no new requests, then delivery, then the store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lakefeed_view::{CompileOptions, View, ViewDefinition};
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::change::Timestamp;
use crate::config::{Config, InvalidResources, SecretReference, Trust};
use crate::definitions::declared::Declared;
use crate::definitions::{self, Definitions, Settings};
use crate::delivery::Deliveries;
use crate::http::{self, App};
use crate::intake::feed::Feeds;
use crate::intake::load::{self, Loads};
use crate::intake::ndjson::{self, BadLine, ImportError, ImportOptions, ImportSummary, Progress};
use crate::intake::{Intake, OnInvalid};
use crate::issue::{Issue, IssueCode};
use crate::log::{self, Log, LogError};
use crate::plugin::{self, Pin, PluginRegistry, PluginSettings, Policy, TokenSettings, TrustLevel};
use crate::sql_table::{self, SqlTables};

mod check;

pub use self::check::{CheckReport, Connection, check};

/// How long destinations may finish what is under way when the host stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the store may take to close.
const CLOSE: Duration = Duration::from_secs(1);
/// The most bytes of rows that one `$run` answers.
const RUN_BYTES: usize = 64 << 20;

/// Why a host does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration declares something that is not right; each line with its place in the file.
    #[error("{}", lines(.0))]
    Declared(Vec<Located>),
    /// HOST-001. The address is taken or not this machine's.
    #[error("cannot listen on {address}: {source}; stop what uses it or change `[http] listen` [HOST-001]")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// HOST-002. The state folder cannot be made.
    #[error("the folder {path} cannot be made: {source}; name another in `[plugins] state` [HOST-002]", path = .path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The listener.
    #[error(transparent)]
    Http(#[from] http::HttpError),
}

/// Something wrong in the configuration, with its line.
#[derive(Clone, Debug, Serialize)]
pub struct Located {
    /// The line of the file, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    #[serde(flatten)]
    pub issue: Issue,
}

impl std::fmt::Display for Located {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "line {line}: {}", self.issue),
            None => self.issue.fmt(formatter),
        }
    }
}

fn lines(located: &[Located]) -> String {
    located
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A host that has everything and listens, but answers nobody yet.
pub struct Host {
    app: Arc<App>,
    settings: http::Settings,
    listener: TcpListener,
}

impl Host {
    /// Opens the store, stores what the configuration declares and starts delivering.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let settings = http::Settings::of(&config.http)?.with_feeds(&config.feeds)?;
        let address = config.http.listen;
        if settings.tls.is_none() && !address.ip().is_loopback() {
            tracing::warn!(
                "clients send their secrets to {address} unencrypted; set `[http.tls]`, or keep plain HTTP behind a proxy that has it"
            );
        }
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| StartError::Listen { address, source })?;
        let core = Core::open(&config).await?;
        let deliveries = Deliveries::new(
            Arc::clone(&core.log),
            Arc::clone(core.definitions.topics()),
            Arc::clone(&core.plugins),
            Arc::default(),
        );
        core.start_destinations(&deliveries).await?;
        let sql_tables = core.start_sql_tables(&config, &deliveries).await;
        let intake = intake(&core.definitions, config.http.limits.body_bytes)
            .on_invalid(on_invalid(config.http.invalid_resources));
        let app = App {
            feeds: Feeds::new(Arc::clone(&core.log), intake.clone()),
            loads: loads(&core, &intake, config.http.limits.import_bytes),
            sql_tables,
            log: core.log,
            intake,
            definitions: core.definitions,
            deliveries,
            plugins: core.plugins,
            definition_turn: tokio::sync::Mutex::default(),
            destination_turn: tokio::sync::Mutex::default(),
            conditional_turn: tokio::sync::Mutex::default(),
            max_run_bytes: RUN_BYTES,
            started: Timestamp::now(),
        };
        app.loads.resume().await?;
        Ok(Self {
            app: Arc::new(app),
            settings,
            listener,
        })
    }

    /// Answers requests until `shutdown`, then stops: what was acknowledged is on disk, what was not delivered is
    /// delivered by the next host. Stops also where another host took the store, and fails with that.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), StartError> {
        if let Ok(address) = self.listener.local_addr() {
            let scheme = if self.settings.tls.is_some() {
                "https"
            } else {
                "http"
            };
            tracing::info!("listening on {scheme}://{address}");
        }
        let Self {
            app,
            settings,
            listener,
        } = self;
        let serving = async {
            let served = http::serve(listener, Arc::clone(&app), settings, shutdown.clone()).await;
            shutdown.cancel();
            served
        };
        // Requests and destinations end side by side, so that a slow client and a slow target together take no
        // longer than one of them.
        let draining = async {
            shutdown.cancelled().await;
            tracing::info!("stopping");
            app.deliveries.drain_and_stop(DRAIN).await;
            if let Some(tables) = &app.sql_tables {
                tables.stop().await;
            }
        };
        let watching = async {
            let lost = shutdown.run_until_cancelled(app.log.lost()).await;
            shutdown.cancel();
            lost
        };
        let (served, (), lost) = tokio::join!(serving, draining, watching);
        if tokio::time::timeout(CLOSE, app.log.close()).await.is_err() {
            tracing::warn!("the store did not close in time; nothing that was acknowledged is lost");
        }
        served?;
        lost.map_or(Ok(()), |lost| Err(lost.into()))
    }
}

/// What every way of using a store has in common.
struct Core {
    log: Arc<dyn Log>,
    plugins: Arc<PluginRegistry>,
    definitions: Arc<Definitions>,
    declared: Declared,
}

impl Core {
    async fn open(config: &Config) -> Result<Self, StartError> {
        make_state_folder(config)?;
        let clock = Arc::new(Timestamp::now);
        let log = log::open_retaining(&config.store_url, clock, config.retention).await?;
        let core = Self::with_log(config, log).await?;
        if core.declared.issues.is_empty() {
            return Ok(core);
        }
        let located = locate(config, core.declared.issues);
        core.log.close().await;
        Err(StartError::Declared(located))
    }

    async fn with_log(config: &Config, log: Arc<dyn Log>) -> Result<Self, StartError> {
        let plugins = Arc::new(PluginRegistry::open(plugin_settings(config)));
        let (definitions, issues) =
            Definitions::load(Arc::clone(&log), Arc::clone(&plugins), Settings::from(config)).await?;
        for issue in issues {
            tracing::error!("a stored definition is left out: {issue}");
        }
        let mut declared = definitions.declare(config).await?;
        declared.issues.extend(definitions.unknown_names());
        if sql_options(config).is_some() {
            declared.issues.extend(unfit_for_sql(config));
            // Known before anything is written, so that what waits for the tables is counted whoever writes.
            for view in definitions.views().all() {
                definitions
                    .topics()
                    .put(sql_table::topic(&view.definition.resource));
            }
        }
        Ok(Self {
            log,
            plugins,
            definitions: Arc::new(definitions),
            declared,
        })
    }

    /// Starts what is declared and what was made by requests. One that cannot be started stands still and says
    /// why in its status; the others run.
    async fn start_destinations(&self, deliveries: &Deliveries) -> Result<(), LogError> {
        for id in &self.declared.withdrawn {
            tracing::warn!(
                destination = %id,
                "is no longer in the configuration and is not delivered to; delete it to forget its offset"
            );
        }
        for spec in &self.declared.destinations {
            deliveries.start(spec.clone()).await?;
        }
        for (id, checked) in self
            .definitions
            .made_by_request(&self.declared.destinations)
            .await?
        {
            match checked {
                Ok(spec) => deliveries.start(spec).await?,
                Err(issues) => self.halt(&id, &issues).await?,
            }
        }
        Ok(())
    }

    /// Keeps the materialised views for SQL users, where the store has such.
    async fn start_sql_tables(&self, config: &Config, deliveries: &Deliveries) -> Option<SqlTables> {
        let tables = SqlTables::new(
            sql_options(config)?,
            Arc::clone(&self.log),
            Arc::clone(self.definitions.topics()),
            deliveries.clone(),
        );
        tables.start(&self.definitions.views().all()).await;
        Some(tables)
    }

    async fn halt(&self, id: &str, issues: &[Issue]) -> Result<(), LogError> {
        let message = issues
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        tracing::error!(destination = %id, "does not start: {message}");
        match self.log.halt_destination(id, "HOST-003", &message).await {
            Err(LogError::NoDestination { .. }) => Ok(()),
            other => other,
        }
    }
}

/// A store that this process holds without running a host on it.
pub struct Stopped {
    core: Core,
    resource_bytes: usize,
}

impl Stopped {
    /// Opens the store and stores what the configuration declares, so that what is written now is matched by the
    /// declared topics and waits for the declared destinations.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        Ok(Self {
            core: Core::open(&config).await?,
            resource_bytes: config.http.limits.body_bytes,
        })
    }

    /// Imports NDJSON files.
    pub async fn import(
        &self,
        files: Vec<PathBuf>,
        options: ImportOptions,
        report: impl FnMut(Progress, Option<&BadLine>) + Send,
    ) -> Result<ImportSummary, ImportError> {
        let intake = intake(&self.core.definitions, self.resource_bytes);
        ndjson::import(&*self.core.log, &intake, files, options, report).await
    }

    /// Lets go of the store.
    pub async fn close(self) {
        self.core.log.close().await;
    }
}

/// How the database of a PostgreSQL store is reached for SQL users' views; none where there are none.
fn sql_options(config: &Config) -> Option<PgConnectOptions> {
    match log::StoreUrl::parse(&config.store_url) {
        Ok(log::StoreUrl::Postgres(url)) if config.sql_views => Some(url.session()),
        _ => None,
    }
}

/// The declared views that cannot be tables. Those that do not compile are told of elsewhere.
fn unfit_for_sql(config: &Config) -> Vec<Issue> {
    let mut issues = Vec::new();
    for (index, view) in config.views.iter().enumerate() {
        let compiled = ViewDefinition::from_value(&view.definition)
            .and_then(|definition| View::compile(&definition, &CompileOptions::default()));
        let Ok(compiled) = compiled else { continue };
        if let Err(error) = sql_table::check(compiled.name().unwrap_or_default(), &compiled) {
            let place = format!("view[{index}]");
            issues.push(Issue::new(IssueCode::Value, place, error.to_string()));
        }
    }
    issues
}

/// Where plugins are found and how they are trusted.
pub fn plugin_settings(config: &Config) -> PluginSettings {
    let plugins = &config.plugins;
    let trust = match plugins.trust {
        Trust::Pinned => TrustLevel::Pinned,
        Trust::Signed => TrustLevel::Signed,
        Trust::Any => TrustLevel::Any,
    };
    let pin = |(plugin, sha256): (&String, &String)| Pin {
        plugin: plugin.clone(),
        sha256: sha256.to_lowercase(),
    };
    PluginSettings {
        dirs: plugins.dirs.clone(),
        policy: Policy {
            trust,
            pins: plugins.pins.iter().map(pin).collect(),
        },
        state: plugins.state.clone(),
        tokens: TokenSettings {
            hosts: config.access.databricks_hosts.clone(),
            client_id: reference(&config.databricks.client_id),
            client_secret: reference(&config.databricks.client_secret),
        },
    }
}

/// A reference of the configuration, as plugins are served by it.
fn reference(written: &SecretReference) -> plugin::SecretReference {
    match written {
        SecretReference::Env(name) => plugin::SecretReference::Env(name.clone()),
        SecretReference::File(path) => plugin::SecretReference::File(path.display().to_string()),
    }
}

fn on_invalid(written: InvalidResources) -> OnInvalid {
    match written {
        InvalidResources::Refuse => OnInvalid::Refuse,
        InvalidResources::Report => OnInvalid::Report,
    }
}

/// Loads of places that requests may have read.
fn loads(core: &Core, intake: &Intake, import_bytes: u64) -> Loads {
    let definitions = Arc::clone(&core.definitions);
    let allow: load::Allow = Arc::new(move |place| {
        Ok(match definitions.readable(place)? {
            definitions::Readable::File(path) => load::Readable::File(path),
            definitions::Readable::Url(url) => load::Readable::Url(url),
        })
    });
    Loads::new(Arc::clone(&core.log), intake.clone(), allow, import_bytes)
}

fn intake(definitions: &Arc<Definitions>, resource_bytes: usize) -> Intake {
    let topics = Arc::clone(definitions.topics());
    Intake::new(Arc::new(move || topics.matcher()), resource_bytes)
}

fn locate(config: &Config, issues: Vec<Issue>) -> Vec<Located> {
    issues
        .into_iter()
        .map(|issue| Located {
            line: config.line_of(&issue.expression),
            issue,
        })
        .collect()
}

fn make_state_folder(config: &Config) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    let path = &config.plugins.state;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| StartError::State {
        path: path.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn problems(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.pem"), "no certificate").unwrap();
        let config = crate::config::read(text, folder.path()).unwrap();
        lines(&check(config, false).await.unwrap().issues)
    }

    /// What is wrong with a configuration that may use the plugin `sample`.
    async fn problems_with_plugin(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        lines(
            &check(with_plugin(text, folder.path()), false)
                .await
                .unwrap()
                .issues,
        )
    }

    fn with_plugin(text: &str, folder: &std::path::Path) -> Config {
        let plugin = folder.join("plugins/sample");
        std::fs::create_dir_all(&plugin).unwrap();
        std::fs::write(plugin.join("plugin.toml"), SAMPLE).unwrap();
        let mut library = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        library.truncate(64);
        // A shared library without segments, as far as its header tells.
        library[16] = 3;
        library[56..58].fill(0);
        std::fs::write(plugin.join("libsample.so"), library).unwrap();
        let text = format!("{text}\n[plugins]\ndirs = [\"plugins\"]\ntrust = \"any\"\n");
        crate::config::read(&text, folder).unwrap()
    }

    const SAMPLE: &str = r#"
manifest_version = 1
name = "sample"
version = "1.0.0"
abi = "1"
provides = ["lakefeed.writer/0"]
write_modes = ["sample-mode"]
[parameters]
type = "object"
required = ["tablePath"]
[parameters.properties.tablePath]
type = "string"
[parameters.properties.targetFileSizeMb]
type = "integer"
[library.linux_amd64]
path = "libsample.so"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
[library.linux_arm64]
path = "libsample.so"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
"#;

    #[tokio::test]
    async fn a_problem_of_a_plugins_parameter_names_it_and_stands_at_its_destination() {
        let text = "[[destination]]\nid = \"d\"\nwriteMode = \"sample-mode\"\ntargetFileSizeMb = \"x\"\n";
        let found = problems_with_plugin(text).await;
        for line in [
            "line 4: destination[0].targetFileSizeMb: `targetFileSizeMb` must be of type integer",
            "line 1: destination[0]: `tablePath` is required",
        ] {
            assert!(found.lines().any(|found| found == line), "{line}\n{found}");
        }
    }

    #[tokio::test]
    async fn a_library_that_is_not_the_manifests_is_refused_before_it_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let config = with_plugin("", folder.path());
        let refused = check(config, false).await.unwrap().refused_plugins;
        assert!(
            refused.len() == 1 && refused[0].contains("[PLUGIN-015]"),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_name_that_no_plugin_knows_is_refused_with_its_line_and_the_nearest_one() {
        let text = "[defaults]\ntargetFileSizeMB = 1\nbatchSise = 1\nbatchSize = 1\n[plugin.sampel]\nx = 1\n";
        let found = problems_with_plugin(text).await;
        for line in [
            "line 2: defaults.targetFileSizeMB: `targetFileSizeMB` is not a parameter of the host or of a plugin \
             that is installed; did you mean `targetFileSizeMb`?",
            "line 3: defaults.batchSise: `batchSise` is not a parameter of the host or of a plugin that is \
             installed; did you mean `batchSize`?",
            "line 5: plugin.sampel: `sampel` is not the name of a plugin that is installed; see `lakefeed plugins \
             list`; did you mean `sample`?",
        ] {
            assert!(found.lines().any(|found| found == line), "{line}\n{found}");
        }
        assert_eq!(found.lines().count(), 3, "{found}");
    }

    #[tokio::test]
    async fn a_write_mode_that_no_plugin_has_is_answered_with_those_that_are_there() {
        let found = problems_with_plugin("[[destination]]\nid = \"d\"\nwriteMode = \"by-hand\"\n").await;
        let wanted = "no plugin for write mode `by-hand` (installed: ";
        // Plugins may be staged beside the test as well.
        assert!(found.contains(wanted) && found.contains("sample-mode"), "{found}");
        let found = problems_with_plugin("[[destination]]\nid = \"d\"\nwriteMode = \"sampel-mode\"\n").await;
        assert!(found.contains("did you mean `sample-mode`?"), "{found}");
    }

    #[tokio::test]
    async fn a_listener_that_run_would_refuse_is_refused_by_check() {
        let unset = "[[http.clients]]\nname = \"ops\"\nsecret = { env = \"LAKEFEED_NO_SUCH_VARIABLE\" }\n";
        let found = problems(unset).await;
        assert!(
            found.starts_with("line 1:") && found.contains("[HTTP-004]"),
            "{found}"
        );
        let found = problems("[http.tls]\ncert = \"key.pem\"\nkey = \"key.pem\"\n").await;
        assert!(found.contains("holds no certificate (PEM)"), "{found}");
    }
}
