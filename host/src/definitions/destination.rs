//! From an `AidboxTopicDestination` to what delivery runs.

use std::time::Duration;

use lakefeed_plugin_api::TableRef;
use lakefeed_view::PartialDates;
use serde_json::{Map, Value};

use super::parameter::{self, Given, host_parameter};
use super::selection::{self, Chosen, Selection, find};
use super::{Definitions, LAKEHOUSE_KIND, LAKEHOUSE_PROFILE, all_of_type, reach};
use crate::batch::BatchLimits;
use crate::change::ResourceKey;
use crate::delivery::{DestinationSpec, Keeps, OnLeave, Place, PluginPlace, PluginUse, TargetSpec};
use crate::issue::{Issue, IssueCode, suggestion};
use crate::log::{Log, LogError};

/// The profile's name before Aidbox 2604.
const OLDER_PROFILE: &str =
    "http://aidbox.app/StructureDefinition/aidboxtopicdestination-data-lakehouse-at-least-once";

/// A view, now and whenever it is materialised again.
type ViewReceiver = tokio::sync::watch::Receiver<std::sync::Arc<crate::delivery::MaterializedView>>;

/// Where a destination was written, which decides what it may name and what its places are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A request: bound by `[access]`, secrets by the names of `[secrets]`.
    Request,
    /// The configuration file: the operator's own word. The number is its place among `[[destination]]`.
    File(usize),
}

/// All stored destinations: id and resource.
pub(super) async fn stored(log: &dyn Log) -> Result<Vec<(String, Value)>, LogError> {
    let versions = all_of_type(log, "AidboxTopicDestination").await?;
    let read = |version: crate::change::Version| {
        let resource = serde_json::from_slice(&version.resource).unwrap_or_default();
        (version.key.id().to_owned(), resource)
    };
    Ok(versions.into_iter().map(read).collect())
}

/// Checks a destination; see [`Definitions::check_destination`].
pub(super) fn check(
    definitions: &Definitions,
    resource: &Value,
    origin: Origin,
) -> Result<DestinationSpec, Vec<Issue>> {
    let mut check = Check {
        definitions,
        origin,
        issues: Vec::new(),
    };
    let spec = check.spec(resource);
    match spec {
        Some(spec) if check.issues.is_empty() => Ok(spec),
        _ => Err(check.issues),
    }
}

struct Check<'a> {
    definitions: &'a Definitions,
    origin: Origin,
    issues: Vec<Issue>,
}

impl Check<'_> {
    fn spec(&mut self, resource: &Value) -> Option<DestinationSpec> {
        let id = self.id(resource);
        let topic = self.topic(resource);
        self.kind(resource);
        self.status(resource);
        let given = self.given(resource);
        let view = self.view(&given);
        self.rows_can_come(topic.as_deref(), view.as_ref(), &given);
        self.initial_export(&given);
        let batch = self.batch(&given);
        let target = self.target(&given);
        Some(DestinationSpec {
            id: id?,
            topic: topic?,
            batch,
            view: view?,
            target: target?,
        })
    }

    fn refuse(&mut self, code: IssueCode, place: impl Into<String>, text: impl Into<String>) {
        self.issues.push(Issue::new(code, place, text));
    }

    /// The place of an element of the resource itself.
    fn place(&self, element: &str) -> String {
        match self.origin {
            Origin::Request => format!("AidboxTopicDestination.{element}"),
            Origin::File(index) => format!("destination[{index}].{element}"),
        }
    }

    fn id(&mut self, resource: &Value) -> Option<String> {
        // A destination without an id gets one when it is stored.
        let Some(id) = resource.get("id") else {
            return Some(String::new());
        };
        match id.as_str() {
            Some(id) if ResourceKey::is_definition_id(id) => Some(id.to_owned()),
            _ => {
                let place = self.place("id");
                self.refuse(
                    IssueCode::Value,
                    place,
                    "must be 1 to 64 letters, digits, `-`, `.` and `_`",
                );
                None
            }
        }
    }

    fn topic(&mut self, resource: &Value) -> Option<String> {
        let place = self.place("topic");
        let Some(url) = resource.get("topic").and_then(Value::as_str) else {
            self.refuse(
                IssueCode::Required,
                place,
                "`topic` is required: the url of an AidboxSubscriptionTopic",
            );
            return None;
        };
        match self.definitions.topics.by_url(url) {
            Some(topic) => Some(topic.id.clone()),
            None => {
                let text = "there is no AidboxSubscriptionTopic with this url; create the topic first";
                self.refuse(IssueCode::NotFound, place, text);
                None
            }
        }
    }

    /// Nothing reads a status but this: one that is not active would be delivered to all the same.
    fn status(&mut self, resource: &Value) {
        let is_declared = self.origin != Origin::Request;
        if !is_declared && resource.get("status").is_some_and(|status| status != "active") {
            let text = "only `active` is taken; POST `$pause` to a destination to stop delivery to it";
            self.refuse(IssueCode::NotSupported, self.place("status"), text);
        }
    }

    fn kind(&mut self, resource: &Value) {
        let is_declared = self.origin != Origin::Request;
        match resource.get("kind").and_then(Value::as_str) {
            Some(LAKEHOUSE_KIND) => {}
            None if is_declared => {}
            None => {
                let text = format!("`kind` is required; `{LAKEHOUSE_KIND}` is the one that is supported");
                self.refuse(IssueCode::Required, self.place("kind"), text);
            }
            Some(_) => {
                let text = format!(
                    "not a kind of destination here; `{LAKEHOUSE_KIND}` is the one that is supported"
                );
                self.refuse(IssueCode::NotSupported, self.place("kind"), text);
            }
        }
        let profiles = resource["meta"]["profile"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let is_known = |profile: &Value| profile == LAKEHOUSE_PROFILE || profile == OLDER_PROFILE;
        if !profiles.is_empty() && !profiles.iter().any(is_known) {
            let text =
                format!("none of these is the profile of a lakehouse destination; write {LAKEHOUSE_PROFILE}");
            self.refuse(IssueCode::Value, self.place("meta.profile"), text);
        }
    }

    /// The parameters as written, then the defaults for those that are not.
    fn given(&mut self, resource: &Value) -> Vec<Given> {
        let mut given = match (self.origin, resource) {
            (Origin::File(index), Value::Object(table)) => {
                let given = parameter::declared(table, &format!("destination[{index}]"));
                self.issues.extend(
                    given
                        .iter()
                        .filter_map(|given| parameter::fit_declared(given).err()),
                );
                given
            }
            _ => parameter::read_all(resource, &mut self.issues),
        };
        let defaults = parameter::declared(&self.definitions.settings.defaults, "defaults");
        given.extend(
            defaults
                .into_iter()
                .filter(|default| find(&given, &default.name).is_none())
                .collect::<Vec<_>>(),
        );
        given
    }

    fn view(&mut self, given: &[Given]) -> Option<ViewReceiver> {
        let Some(view) = find(given, "viewDefinition") else {
            self.required("viewDefinition", "the name of a materialised ViewDefinition");
            return None;
        };
        let name = view.value.as_str().unwrap_or_default();
        let kind = self.definitions.views.kind(name);
        match kind.as_deref() {
            None => {
                let known = self.definitions.views.names();
                let near = suggestion(name, known.iter().map(String::as_str));
                let remedy = match self.origin {
                    Origin::Request => "POST ViewDefinition/<id>/$materialize with type `view` first",
                    Origin::File(_) => "add a [[view]] of this name",
                };
                let text = format!("no view of this name is materialised; {remedy}{near}");
                self.refuse(IssueCode::NotFound, view.place.clone(), text);
                None
            }
            Some("view") => self.definitions.views.by_name(name),
            Some(kind) => {
                let text =
                    format!("the view is materialised as a {kind}; a destination takes one of type `view`");
                self.refuse(IssueCode::BusinessRule, view.place.clone(), text);
                None
            }
        }
    }

    /// A view over a type that the topic never sends would wait for ever.
    fn rows_can_come(&mut self, topic: Option<&str>, view: Option<&ViewReceiver>, given: &[Given]) {
        let (Some(topic), Some(view)) = (topic.and_then(|id| self.definitions.topics.by_id(id)), view) else {
            return;
        };
        let resource = view.borrow().definition.resource.clone();
        if !topic.triggers.iter().any(|trigger| trigger.resource == resource) {
            let text = format!("the view is over {resource}, and no trigger of the topic is for that type");
            let place = find(given, "viewDefinition")
                .map(|view| view.place.clone())
                .unwrap_or_default();
            self.refuse(IssueCode::BusinessRule, place, text);
        }
    }

    /// Where a parameter that is not given would stand.
    fn absent(&self) -> String {
        match self.origin {
            Origin::Request => "AidboxTopicDestination.parameter".to_owned(),
            Origin::File(index) => format!("destination[{index}]"),
        }
    }

    fn required(&mut self, name: &str, what: &str) {
        let place = self.absent();
        self.refuse(
            IssueCode::Required,
            place,
            format!("`{name}` is required: {what}"),
        );
    }

    fn initial_export(&mut self, given: &[Given]) {
        let skip = find(given, "skipInitialExport");
        if skip.is_some_and(|skip| skip.value == true) {
            return;
        }
        let text = "the initial export of what is stored already is not built yet; \
                    set `skipInitialExport` to true to deliver changes from now on";
        match skip {
            Some(skip) => self.refuse(IssueCode::NotSupported, skip.place.clone(), text),
            None => self.required("skipInitialExport", text),
        }
    }

    fn batch(&mut self, given: &[Given]) -> BatchLimits {
        let rows = self.unsigned(given, "batchSize", 1, 100_000, None);
        let interval = self.unsigned(given, "sendIntervalMs", 1, 86_400_000, None);
        let bytes = self.unsigned(given, "maxBatchBytes", 4_096, 1 << 30, Some(64 << 20));
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        BatchLimits {
            rows: size(rows),
            bytes: size(bytes),
            interval: Duration::from_millis(interval),
        }
    }

    /// A number within its bounds; required when it has no default.
    fn unsigned(&mut self, given: &[Given], name: &str, least: u64, most: u64, default: Option<u64>) -> u64 {
        let Some(written) = find(given, name) else {
            if default.is_none() {
                self.required(name, &format!("a number from {least} to {most}"));
            }
            return default.unwrap_or(least);
        };
        match written.value.as_u64() {
            Some(number) if (least..=most).contains(&number) => number,
            _ => {
                let text = format!("`{name}` must be a number from {least} to {most}");
                self.refuse(IssueCode::Value, written.place.clone(), text);
                default.unwrap_or(least)
            }
        }
    }

    /// One of a few words.
    fn word<T: Copy>(&mut self, given: &[Given], name: &str, words: &[(&str, T)], default: T) -> T {
        let Some(written) = find(given, name) else {
            return default;
        };
        let text = written.value.as_str().unwrap_or_default();
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let text = format!("`{name}` must be one of `{}`", list.join("`, `"));
        self.refuse(IssueCode::Value, written.place.clone(), text);
        default
    }

    fn target(&mut self, given: &[Given]) -> Option<TargetSpec> {
        let on_leave = self.word(
            given,
            "onLeave",
            &[("nothing", OnLeave::Nothing), ("delete-row", OnLeave::DeleteRow)],
            OnLeave::Nothing,
        );
        let partial_dates = self.word(
            given,
            "partialDates",
            &[
                ("start", PartialDates::Start),
                ("null", PartialDates::Null),
                ("refuse", PartialDates::Refuse),
            ],
            PartialDates::Start,
        );
        let refusals = self.unsigned(given, "maxConsecutiveRefusals", 0, 1_000_000, Some(100));
        let timeout = self.unsigned(given, "callTimeoutMs", 100, 3_600_000, Some(120_000));
        let given = self.reachable(given);
        let selection = match selection::select(&self.definitions.plugins, &given, &self.absent()) {
            Ok(selection) => selection,
            Err(issues) => {
                self.issues.extend(issues);
                return None;
            }
        };
        self.unknown(&given, &selection);
        self.staging(&given, &selection);
        let place = PluginPlace {
            table: table(&given),
            writer: self.plugin_use(&given, &selection.writer),
            admin: selection
                .admin
                .as_ref()
                .map(|admin| self.plugin_use(&given, admin)),
            mapper: self.plugin_use(&given, &selection.mapper),
            credentials: selection
                .credentials
                .as_ref()
                .map(|vendor| self.plugin_use(&given, vendor)),
        };
        Some(TargetSpec {
            place: Place::Plugins(Box::new(place)),
            keeps: Keeps::History,
            auto_evolve: auto_evolve(&given, &selection),
            on_leave,
            partial_dates,
            max_consecutive_refusals: usize::try_from(refusals).unwrap_or(usize::MAX),
            call_timeout: Duration::from_millis(timeout),
        })
    }

    /// Every parameter must be the host's or one of the chosen plugins'.
    fn unknown(&mut self, given: &[Given], selection: &Selection) {
        let manifests = [
            Some(&selection.writer),
            selection.admin.as_ref(),
            selection.credentials.as_ref(),
            Some(&selection.mapper),
        ];
        let mut known: Vec<&str> = parameter::HOST_PARAMETERS
            .iter()
            .map(|parameter| parameter.name)
            .collect();
        known.extend(
            manifests
                .into_iter()
                .flatten()
                .flat_map(|chosen| chosen.manifest.parameters.properties()),
        );
        for parameter in given.iter().filter(|given| !known.contains(&given.name.as_str())) {
            // A default is for the destinations whose plugins know it.
            if !parameter.place.starts_with("defaults.") {
                let near = suggestion(&parameter.name, known.iter().copied());
                let writer = &selection.writer.manifest.name;
                let text = format!(
                    "`{}` is not a parameter of a destination with writer `{writer}`{near}",
                    parameter.name
                );
                self.refuse(IssueCode::Value, parameter.place.clone(), text);
            }
        }
    }

    /// An initial export that stages rows needs the place to do so (A 1.3): a condition that no schema of a plugin
    /// can state, since `skipInitialExport` is the host's.
    fn staging(&mut self, given: &[Given], selection: &Selection) {
        let is_skipped = find(given, "skipInitialExport").is_some_and(|skip| skip.value == true);
        let declared = selection.writer.manifest.parameters.properties();
        for (name, what) in [
            (
                "stagingTablePath",
                "s3://bucket/path/, where the initial export stages rows",
            ),
            ("awsRegion", "the region of the staging bucket"),
        ] {
            // The direct mode has a bucket's region and no staging.
            let is_staged = declared.contains(&"stagingTablePath") && declared.contains(&name);
            if is_staged && !is_skipped && find(given, name).is_none() {
                self.required(name, &format!("{what}; or set `skipInitialExport` to true"));
            }
        }
    }

    /// What an instance of a plugin is made with: its own settings, and of the parameters those that it declares.
    fn plugin_use(&mut self, given: &[Given], chosen: &Chosen) -> PluginUse {
        let manifest = &chosen.manifest;
        let settings = self.definitions.settings.plugin_settings.get(&manifest.name);
        let mut config: Map<String, Value> = settings.cloned().unwrap_or_default();
        let declared = manifest.parameters.properties();
        for parameter in given
            .iter()
            .filter(|given| declared.contains(&given.name.as_str()))
        {
            config.insert(parameter.name.clone(), parameter.value.clone());
        }
        let parameters: Map<String, Value> = config
            .iter()
            .filter(|(name, _)| declared.contains(&name.as_str()))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        for problem in manifest.parameters.validate(&Value::Object(parameters)) {
            let path = problem.path.trim_start_matches('/');
            let name = path.split('/').next().unwrap_or_default();
            let place = match find(given, name) {
                Some(given) => given.place.clone(),
                None if config.contains_key(name) => format!("plugin.{}.{name}", manifest.name),
                None => self.absent(),
            };
            let text = format!("`{}` {}", path.replace('/', "."), problem.message);
            let issue = Issue::new(IssueCode::Value, place, text);
            if !self.issues.contains(&issue) {
                self.issues.push(issue);
            }
        }
        self.settings(chosen);
        PluginUse {
            plugin: manifest.name.clone(),
            version: chosen.version.clone(),
            config: Value::Object(config),
        }
    }

    /// `[plugin.NAME]` holds the plugin's own settings, and parameters for all its destinations.
    fn settings(&mut self, chosen: &Chosen) {
        let manifest = &chosen.manifest;
        let Some(settings) = self.definitions.settings.plugin_settings.get(&manifest.name) else {
            return;
        };
        let parameters = manifest.parameters.properties();
        let mut own = settings.clone();
        own.retain(|name, _| !parameters.contains(&name.as_str()));
        for problem in manifest.settings.validate(&Value::Object(own)) {
            let path = problem.path.trim_start_matches('/').replace('/', ".");
            let place = format!("plugin.{}.{path}", manifest.name);
            let text = format!("`{path}` {}", problem.message);
            let issue = Issue::new(IssueCode::Value, place.trim_end_matches('.'), text);
            if !self.issues.contains(&issue) {
                self.issues.push(issue);
            }
        }
    }

    /// Paths made absolute and checked against `[access]` and what is the host's own, secrets' names replaced by what they refer to.
    fn reachable(&mut self, given: &[Given]) -> Vec<Given> {
        given
            .iter()
            .map(|given| self.reachable_one(given.clone()))
            .collect()
    }

    fn reachable_one(&mut self, mut given: Given) -> Given {
        if given.is_secret_name {
            let name = given.value.as_str().unwrap_or_default();
            match self.definitions.settings.secrets.get(name) {
                Some(reference) => given.value = parameter::secret_json(reference),
                None => {
                    let text = "there is no secret of this name; add it to `[secrets]` of the configuration";
                    self.refuse(IssueCode::NotFound, given.place.clone(), text);
                }
            }
            return given;
        }
        let Some(access) = self.access_of(&given.name) else {
            return given;
        };
        let text = given.value.as_str().unwrap_or_default();
        let settings = &self.definitions.settings;
        if access == "databricks-host" {
            if let Err(text) = reach::workspace(text, settings) {
                let text = format!("`{}` {text}", given.name);
                self.refuse(IssueCode::Security, given.place.clone(), text);
            }
            return given;
        }
        let checked = reach::place(text, &settings.folder).and_then(|place| {
            reach::spare(&place, settings)?;
            let is_own = matches!(self.origin, Origin::File(_)) || given.place.starts_with("defaults.");
            if is_own {
                Ok(place)
            } else {
                reach::allow(&place, settings).map(|()| place)
            }
        });
        match checked {
            Ok(reach::Place::Local(path)) if access == "local-path" => {
                given.value = path.to_string_lossy().into()
            }
            Ok(_) => {}
            Err(text) => self.refuse(
                IssueCode::Security,
                given.place.clone(),
                format!("`{}` {text}", given.name),
            ),
        }
        given
    }

    /// What kind of access a parameter's value asks for, by the manifests of all plugins: which ones are chosen
    /// may depend on the value, and no plugin may be shown a place that another would not be.
    fn access_of(&self, name: &str) -> Option<String> {
        let markers = self.definitions.plugins.markers();
        markers
            .into_iter()
            .filter(|marker| matches!(marker.path.as_slice(), [only] if only == name))
            .find_map(|marker| marker.access)
    }
}

fn table(given: &[Given]) -> TableRef {
    let text = |name| {
        find(given, name)
            .and_then(|given| given.value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    TableRef {
        name: text("tableName"),
        location: text("tablePath"),
    }
}

/// Whether the table may get new columns: as given, or as the writer's manifest says, or yes.
fn auto_evolve(given: &[Given], selection: &Selection) -> bool {
    let name = "autoEvolve";
    debug_assert!(host_parameter(name).is_some());
    let schema = selection.writer.manifest.parameters.as_json();
    find(given, name)
        .and_then(|given| given.value.as_bool())
        .or_else(|| schema["properties"][name]["default"].as_bool())
        .unwrap_or(true)
}
