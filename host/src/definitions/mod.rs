//! The topics, views and destinations that exist, checked as a whole.
//!
//! A definition comes as a FHIR resource over HTTP or as a table of the configuration file; both are checked by
//! the same code and stored as the same resource. Every check answers all its [`Issue`]s at once.
//!
//! - [`topics`](Topics): an `AidboxSubscriptionTopic`; what it means is in [`crate::topic`].
//! - [`views`](Views): a `ViewDefinition` becomes usable by destinations when it is materialised, and stays as it
//!   was then until it is materialised again.
//! - [`destination`]: an `AidboxTopicDestination` becomes a [`DestinationSpec`]: topic and view found, plugins
//!   chosen by write mode or by name, parameters checked against the host's own list and the plugins' schemas.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::{Access, Config, SecretReference};
use crate::delivery::DestinationSpec;
use crate::issue::{Issue, IssueCode};
use crate::log::{Log, LogError};
use crate::plugin::PluginRegistry;
use crate::topic::{Topic, Topics};

pub mod declared;
pub mod destination;
mod identity;
mod parameter;
mod reach;
mod selection;
mod unknown;
mod views;

pub use destination::Origin;
pub use reach::Readable;
pub use views::{MaterializeError, Materialized, Views};

/// The profile that a destination of this kind has.
pub const LAKEHOUSE_PROFILE: &str = "http://health-samurai.io/fhir/core/StructureDefinition/aidboxtopicdestination-dataLakehouseAtLeastOnceProfile";
/// The one kind of destination.
pub const LAKEHOUSE_KIND: &str = "data-lakehouse-at-least-once";

/// All definitions of one host. Cheap to share; every method may be called from any task.
pub struct Definitions {
    log: Arc<dyn Log>,
    topics: Arc<Topics>,
    views: Views,
    plugins: Arc<PluginRegistry>,
    settings: Settings,
}

/// What the configuration file says about definitions.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder that relative paths start at.
    pub folder: PathBuf,
    /// Parameters that destinations have unless they say otherwise.
    pub defaults: Map<String, Value>,
    /// Settings of the plugins, by name.
    pub plugin_settings: BTreeMap<String, Map<String, Value>>,
    /// Secrets that may be referred to, by name.
    pub secrets: BTreeMap<String, SecretReference>,
    /// What requests may reach.
    pub access: Access,
    /// The store's file. No destination may name it, what stands beside it, or its folder.
    pub store: Option<PathBuf>,
    /// The configuration's file, and the folders of the plugins and the state. No destination may name them or what
    /// lies in them.
    pub protected: Vec<PathBuf>,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            folder: config.folder.clone(),
            defaults: config.defaults.clone(),
            plugin_settings: config.plugin_settings.clone(),
            secrets: config.secrets.clone(),
            access: config.access.clone(),
            store: reach::store_file(config),
            protected: reach::own_places(config),
        }
    }
}

impl Definitions {
    /// Reads what the store holds: topics and materialised views. A stored definition that is no longer good
    /// (a newer engine refuses it, say) is left out and reported.
    pub async fn load(
        log: Arc<dyn Log>,
        plugins: Arc<PluginRegistry>,
        settings: Settings,
    ) -> Result<(Self, Vec<Issue>), LogError> {
        let mut issues = Vec::new();
        let views = Views::load(Arc::clone(&log), &mut issues).await?;
        let definitions = Self {
            log,
            topics: Arc::new(Topics::default()),
            views,
            plugins,
            settings,
        };
        definitions.load_topics(&mut issues).await?;
        Ok((definitions, issues))
    }

    /// The topics, for the intake's matcher and for delivery.
    pub fn topics(&self) -> &Arc<Topics> {
        &self.topics
    }

    /// The materialised views.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// Checks a topic before it is stored. The URL must be no other topic's, since destinations name it.
    pub fn check_topic(&self, resource: &Value) -> Result<Topic, Vec<Issue>> {
        let topic = Topic::parse(resource)?;
        match self.topics.by_url(&topic.url) {
            Some(other) if other.id != topic.id => {
                let text = format!(
                    "topic `{}` has this url already; give each topic its own",
                    other.id
                );
                Err(vec![Issue::new(
                    IssueCode::Conflict,
                    "AidboxSubscriptionTopic.url",
                    text,
                )])
            }
            _ => Ok(topic),
        }
    }

    /// Takes up a topic that was just stored; the changes written from now on are matched by it.
    pub fn topic_stored(&self, mut topic: Topic, id: &str, version: u64, is_new: bool) {
        topic.id = id.to_owned();
        topic.version = version;
        topic.first_version = match self.topics.first_version(id) {
            Some(first) if !is_new => first,
            _ => version,
        };
        self.topics.put(topic);
    }

    /// Lets go of a topic that was just deleted.
    pub fn topic_deleted(&self, id: &str) {
        self.topics.remove(id);
    }

    /// The stored destinations that take a topic's changes; such a topic cannot be deleted.
    pub async fn destinations_of_topic(&self, url: &str) -> Result<Vec<String>, LogError> {
        let stored = destination::stored(&*self.log).await?;
        Ok(stored
            .into_iter()
            .filter(|(_, resource)| resource["topic"] == url)
            .map(|(id, _)| id)
            .collect())
    }

    /// Makes a view usable by destinations. A view that destinations use stays of type `view`; a name whose
    /// definition was deleted may be taken by another.
    pub async fn materialize(&self, resource: &Value, kind: &str) -> Result<Materialized, MaterializeError> {
        let name = resource["name"].as_str().unwrap_or_default();
        let users = if kind == "view" {
            Vec::new()
        } else {
            self.destinations_of_view(name).await?
        };
        if !users.is_empty() {
            let text = format!(
                "destinations use this view: {}; it stays of type `view` until they are deleted",
                users.join(", ")
            );
            let issue = Issue::new(IssueCode::Conflict, "ViewDefinition.name", text);
            return Err(MaterializeError::Refused(vec![issue]));
        }
        if let Some(owner) = self.views.owner(name)
            && self.living("ViewDefinition", &owner).await?.is_none()
        {
            self.views.release(name);
        }
        self.views.materialize(resource, kind).await
    }

    async fn destinations_of_view(&self, name: &str) -> Result<Vec<String>, LogError> {
        let uses = |resource: &Value| {
            let parameters = resource["parameter"].as_array().map_or(&[][..], Vec::as_slice);
            let is_name =
                |parameter: &Value| parameter["name"] == "viewDefinition" && parameter["valueString"] == name;
            parameters.iter().any(is_name)
        };
        let stored = destination::stored(&*self.log).await?;
        Ok(stored
            .into_iter()
            .filter(|(_, resource)| uses(resource))
            .map(|(id, _)| id)
            .collect())
    }

    /// Whether a request may have a place read; if not, why and what to do.
    pub fn readable(&self, place: &str) -> Result<Readable, String> {
        reach::readable(place, &self.settings)
    }

    /// Checks a destination and finds everything that it refers to.
    pub fn check_destination(&self, resource: &Value, origin: Origin) -> Result<DestinationSpec, Vec<Issue>> {
        destination::check(self, resource, origin)
    }

    async fn load_topics(&self, issues: &mut Vec<Issue>) -> Result<(), LogError> {
        for version in all_of_type(&*self.log, "AidboxSubscriptionTopic").await? {
            let first = self
                .first_version(&version.key)
                .await?
                .unwrap_or(version.sequence.0);
            let parsed = serde_json::from_slice(&version.resource)
                .map_err(|_| {
                    vec![Issue::new(
                        IssueCode::Structure,
                        "AidboxSubscriptionTopic",
                        "not JSON",
                    )]
                })
                .and_then(|resource: Value| Topic::parse(&resource));
            match parsed {
                Ok(mut topic) => {
                    topic.version = version.sequence.0;
                    topic.first_version = first;
                    self.topics.put(topic);
                }
                Err(found) => {
                    self.topics.leave_out(version.key.id(), first);
                    issues.extend(found);
                }
            }
        }
        Ok(())
    }

    /// The number of the version that made a resource or revived it last.
    async fn first_version(&self, key: &crate::change::ResourceKey) -> Result<Option<u64>, LogError> {
        let mut before = None;
        loop {
            let page = crate::log::HistoryPage {
                before,
                count: 100,
                ..Default::default()
            };
            let page = self.log.history(key, page).await?;
            let Some(oldest) = page.last() else {
                return Ok(before.map(|sequence| sequence.0));
            };
            before = Some(oldest.sequence);
            let begun = page
                .iter()
                .find(|version| version.status.interaction() == crate::change::Interaction::Create);
            if let Some(begun) = begun {
                return Ok(Some(begun.sequence.0));
            }
        }
    }
}

/// All living resources of a type. Definitions are few: they are read at once.
async fn all_of_type(log: &dyn Log, resource_type: &str) -> Result<Vec<crate::change::Version>, LogError> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(crate::log::Place::of);
        let search = crate::log::Search {
            resource_type: resource_type.to_owned(),
            after,
            count: 500,
            ..crate::log::Search::default()
        };
        let page = log.search(&search).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}
