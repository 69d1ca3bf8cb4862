//! What `lakefeed check` does: declares what a configuration says on a store that is thrown away, and asks the plugins if
//! that is wanted.

use std::sync::Arc;

use lakefeed_plugin_api::{CheckItem, Verdict};
use serde::Serialize;

use super::{Core, Located, StartError, locate};
use crate::change::Timestamp;
use crate::config::Config;
use crate::delivery::Deliveries;
use crate::http;
use crate::issue::{Issue, IssueCode};
use crate::log::{self, Log};

/// What `lakefeed check` found.
pub struct CheckReport {
    /// How many topics are declared.
    pub topics: usize,
    /// How many views are declared.
    pub views: usize,
    /// How many destinations are declared.
    pub destinations: usize,
    /// The usable plugins, `name version`.
    pub plugins: Vec<String>,
    /// The plugins that are refused, with the reason.
    pub refused_plugins: Vec<String>,
    /// What is wrong.
    pub issues: Vec<Located>,
    /// What each destination's plugins answered, where they were asked.
    pub connections: Vec<Connection>,
}

/// What a destination's plugins say of the way to its table.
#[derive(Serialize)]
pub struct Connection {
    /// The destination.
    pub destination: String,
    /// Each question and its answer.
    pub items: Vec<CheckItem>,
}

/// Checks what a configuration declares as a start would, on a store that is thrown away. With `connects` the plugins
/// of each destination are asked as well, which reaches out to where they write.
pub async fn check(config: Config, connects: bool) -> Result<CheckReport, StartError> {
    let scratch = std::env::temp_dir().join(format!("lakefeed-check-{}", uuid::Uuid::new_v4()));
    let made = std::fs::DirBuilder::new().create(&scratch);
    made.map_err(|source| StartError::State {
        path: scratch.clone(),
        source,
    })?;
    let log = log::sqlite::SqliteLog::open(&scratch.join("check.db"), Arc::new(Timestamp::now)).await;
    let report = match log {
        Ok(log) => check_with(&config, Arc::new(log), connects).await,
        Err(error) => Err(error.into()),
    };
    // What is left in the temporary folder harms nobody.
    std::fs::remove_dir_all(&scratch).ok();
    report
}

async fn check_with(config: &Config, log: Arc<dyn Log>, connects: bool) -> Result<CheckReport, StartError> {
    let core = Core::with_log(config, log).await?;
    let mut issues = core.declared.issues.clone();
    let settings = http::Settings::of(&config.http);
    if let Err(error) = settings.and_then(|settings| settings.with_feeds(&config.feeds)) {
        issues.push(Issue::new(IssueCode::Value, "http", error.to_string()));
    }
    if let Err(error) = log::StoreUrl::parse(&config.store_url) {
        issues.push(Issue::new(IssueCode::Value, "store.url", error.to_string()));
    }
    let connections = if connects {
        connections(&core).await
    } else {
        Vec::new()
    };
    let list = core.plugins.list_verified();
    let (usable, refused): (Vec<_>, Vec<_>) =
        list.plugins.iter().partition(|plugin| plugin.refused.is_none());
    let mut refused_plugins: Vec<String> = list.refused.iter().map(ToString::to_string).collect();
    refused_plugins.extend(
        refused
            .iter()
            .filter_map(|plugin| plugin.refused.as_ref().map(ToString::to_string)),
    );
    core.log.close().await;
    Ok(CheckReport {
        topics: config.topics.len(),
        views: config.views.len(),
        destinations: config.destinations.len(),
        plugins: usable
            .iter()
            .map(|plugin| format!("{} {}", plugin.name, plugin.version))
            .collect(),
        refused_plugins,
        issues: locate(config, issues),
        connections,
    })
}

/// Asks the plugins of every declared destination that is sound.
async fn connections(core: &Core) -> Vec<Connection> {
    let topics = Arc::clone(core.definitions.topics());
    let deliveries = Deliveries::new(
        Arc::clone(&core.log),
        topics,
        Arc::clone(&core.plugins),
        Arc::default(),
    );
    let mut connections = Vec::new();
    for spec in &core.declared.destinations {
        let items = match deliveries.preflight(spec).await {
            Ok(report) => report.items,
            Err(error) => vec![CheckItem {
                name: "the plugins can be asked".to_owned(),
                verdict: Verdict::Failed,
                code: error.code,
                message: error.message,
                hint: error.hint,
            }],
        };
        connections.push(Connection {
            destination: spec.id.clone(),
            items,
        });
    }
    connections
}
