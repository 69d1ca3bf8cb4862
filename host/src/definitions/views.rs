//! Materialised views: the definitions that destinations use.
//!
//! `$materialize` keeps a copy of the definition under the view's name. A later edit of the `ViewDefinition` does
//! not touch it; a later `$materialize` replaces it, and the destinations that use the view take it up at their
//! next batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lakefeed_view::{CompileOptions, View, ViewDefinition, ViewErrors};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::delivery::MaterializedView;
use crate::issue::{Issue, IssueCode};
use crate::log::{Log, LogError};

/// The space of the store where materialised definitions are kept.
const SPACE: &str = "materialized-view";
/// The schema that SQL users find views in.
const SCHEMA: &str = "sof";

/// The materialised views of one host.
pub struct Views {
    log: Arc<dyn Log>,
    by_name: Mutex<BTreeMap<String, Entry>>,
}

struct Entry {
    kept: Kept,
    sender: watch::Sender<Arc<MaterializedView>>,
}

/// What the store keeps of a materialised view.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    /// Grows with each `$materialize`.
    version: u64,
    /// `view`, `materialized-view` or `table`.
    kind: String,
    /// The id of the ViewDefinition that it was made of; none for one given with the request.
    definition_id: Option<String>,
    definition: Value,
    /// The materialisation before this one, which batches may have been planned with.
    #[serde(default)]
    previous: Option<KeptBefore>,
}

/// What is kept of the materialisation before.
#[derive(Clone, Serialize, Deserialize)]
struct KeptBefore {
    version: u64,
    definition: Value,
}

/// What `$materialize` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Materialized {
    /// `sof.<name>`
    pub view_name: String,
    /// The type as asked for.
    pub view_type: String,
    /// `sof`
    pub view_schema: String,
}

impl Materialized {
    fn of(name: &str, kind: &str) -> Self {
        Self {
            view_name: format!("{SCHEMA}.{name}"),
            view_type: kind.to_owned(),
            view_schema: SCHEMA.to_owned(),
        }
    }
}

/// Why a view was not materialised.
#[derive(Debug, thiserror::Error)]
pub enum MaterializeError {
    /// The request or the definition is wrong.
    #[error("the view cannot be materialised")]
    Refused(Vec<Issue>),
    /// The store failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Views {
    pub(super) async fn load(log: Arc<dyn Log>, issues: &mut Vec<Issue>) -> Result<Self, LogError> {
        let mut by_name = BTreeMap::new();
        for (name, bytes) in log.all_kept(SPACE).await? {
            let entry = serde_json::from_slice::<Kept>(&bytes)
                .map_err(|_| {
                    vec![Issue::new(
                        IssueCode::Structure,
                        "ViewDefinition",
                        "the kept copy is damaged",
                    )]
                })
                .and_then(|kept| Entry::new(&name, kept));
            match entry {
                Ok(entry) => drop(by_name.insert(name, entry)),
                Err(found) => issues.extend(found),
            }
        }
        Ok(Self {
            log,
            by_name: Mutex::new(by_name),
        })
    }

    /// The view of a name, now and whenever it is materialised again.
    pub fn by_name(&self, name: &str) -> Option<watch::Receiver<Arc<MaterializedView>>> {
        self.lock().get(name).map(|entry| entry.sender.subscribe())
    }

    /// Whether a view is kept for SQL users as a `view`, `materialized-view` or `table`.
    pub fn kind(&self, name: &str) -> Option<String> {
        self.lock().get(name).map(|entry| entry.kept.kind.clone())
    }

    /// Whether a view is materialised as a `view` from this very definition.
    pub(super) fn is_current(&self, name: &str, definition: &Value) -> bool {
        let by_name = self.lock();
        let kept = by_name.get(name).map(|entry| &entry.kept);
        kept.is_some_and(|kept| kept.kind == "view" && super::declared::is_same(&kept.definition, definition))
    }

    /// The id of the ViewDefinition that a name belongs to.
    pub(super) fn owner(&self, name: &str) -> Option<String> {
        self.lock()
            .get(name)
            .and_then(|entry| entry.kept.definition_id.clone())
    }

    /// Lets the next materialisation have a name whose definition is gone.
    pub(super) fn release(&self, name: &str) {
        if let Some(entry) = self.lock().get_mut(name) {
            entry.kept.definition_id = None;
        }
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Makes a view usable by destinations. The copy is durable when this returns.
    pub async fn materialize(&self, resource: &Value, kind: &str) -> Result<Materialized, MaterializeError> {
        check_kind(kind).map_err(|issue| MaterializeError::Refused(vec![issue]))?;
        let (name, id) = named(resource).map_err(MaterializeError::Refused)?;
        let version = self
            .next_version(&name, id.as_deref())
            .map_err(MaterializeError::Refused)?;
        let kept = Kept {
            version,
            kind: kind.to_owned(),
            definition_id: id,
            definition: resource.clone(),
            previous: self.before(&name),
        };
        let bytes = serde_json::to_vec(&kept).unwrap_or_default();
        let entry = Entry::new(&name, kept).map_err(MaterializeError::Refused)?;
        self.log.put_kept(SPACE, &name, &bytes).await?;
        self.put(&name, entry);
        Ok(Materialized::of(&name, kind))
    }

    /// What the newest `$materialize` of a name answered.
    pub fn materialized(&self, name: &str) -> Option<Materialized> {
        Some(Materialized::of(name, &self.kind(name)?))
    }

    /// All views, as they were last materialised, by name.
    pub fn all(&self) -> Vec<Arc<MaterializedView>> {
        let by_name = self.lock();
        by_name
            .values()
            .map(|entry| Arc::clone(&entry.sender.borrow()))
            .collect()
    }

    fn put(&self, name: &str, entry: Entry) {
        let mut by_name = self.lock();
        match by_name.get_mut(name) {
            Some(old) => {
                old.sender.send_replace(Arc::clone(&entry.sender.borrow()));
                old.kept = entry.kept;
            }
            None => drop(by_name.insert(name.to_owned(), entry)),
        }
    }

    /// The number of the next materialisation, unless the name belongs to another definition.
    fn next_version(&self, name: &str, id: Option<&str>) -> Result<u64, Vec<Issue>> {
        match self.lock().get(name) {
            None => Ok(1),
            Some(entry)
                if entry.kept.definition_id.as_deref() != id && entry.kept.definition_id.is_some() =>
            {
                let owner = entry.kept.definition_id.as_deref().unwrap_or_default();
                let text =
                    format!("the name `{name}` belongs to ViewDefinition/{owner}; choose another name");
                Err(vec![Issue::new(IssueCode::Conflict, "ViewDefinition.name", text)])
            }
            Some(entry) => Ok(entry.kept.version + 1),
        }
    }

    /// What the next materialisation replaces.
    fn before(&self, name: &str) -> Option<KeptBefore> {
        self.lock().get(name).map(|entry| KeptBefore {
            version: entry.kept.version,
            definition: entry.kept.definition.clone(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(name: &str, kept: Kept) -> Result<Self, Vec<Issue>> {
        let definition = check(&kept.definition)?;
        let view = MaterializedView {
            name: name.to_owned(),
            version: kept.version,
            definition,
            previous: kept.previous.as_ref().and_then(|before| before.view(name)),
        };
        Ok(Self {
            kept,
            sender: watch::Sender::new(Arc::new(view)),
        })
    }
}

impl KeptBefore {
    /// The view as it was; none if this lakefeed refuses the definition.
    fn view(&self, name: &str) -> Option<Arc<MaterializedView>> {
        let definition = check(&self.definition).ok()?;
        Some(Arc::new(MaterializedView {
            name: name.to_owned(),
            version: self.version,
            definition,
            previous: None,
        }))
    }
}

/// Checks a definition: its shape, every path, every type.
pub(super) fn check(resource: &Value) -> Result<ViewDefinition, Vec<Issue>> {
    let definition = ViewDefinition::from_value(resource).map_err(|errors| issues(&errors))?;
    View::compile(&definition, &CompileOptions::default()).map_err(|errors| issues(&errors))?;
    Ok(definition)
}

/// The engine's errors, as issues.
fn issues(errors: &ViewErrors) -> Vec<Issue> {
    errors.errors.iter().map(issue).collect()
}

fn issue(error: &lakefeed_view::ViewError) -> Issue {
    let place = error
        .column
        .map(|column| format!("character {column}: "))
        .unwrap_or_default();
    let text = format!("{place}{}; {} [{}]", error.problem, error.remedy, error.code);
    Issue::new(IssueCode::Value, error.location.clone(), text)
}

fn check_kind(kind: &str) -> Result<(), Issue> {
    match kind {
        "view" | "materialized-view" | "table" => Ok(()),
        _ => Err(Issue::new(
            IssueCode::Value,
            "Parameters.parameter[0].value",
            "Invalid materialization type",
        )),
    }
}

/// The view's name and the resource's id.
fn named(resource: &Value) -> Result<(String, Option<String>), Vec<Issue>> {
    let id = resource["id"].as_str().map(str::to_owned);
    match resource["name"].as_str() {
        Some(name) => Ok((name.to_owned(), id)),
        None => {
            let text = "`name` is required: destinations call the view by it";
            Err(vec![Issue::new(IssueCode::Required, "ViewDefinition.name", text)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Timestamp;
    use crate::log;

    fn definition(path: &str) -> Value {
        serde_json::json!({
            "resourceType": "ViewDefinition", "name": "patients", "resource": "Patient", "status": "active",
            "select": [{"column": [{"name": "id", "path": path}]}]
        })
    }

    #[tokio::test]
    async fn a_view_keeps_what_it_was_the_time_before_also_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let log = log::open(&url, Arc::new(Timestamp::now)).await.unwrap();
        let views = Views::load(Arc::clone(&log), &mut Vec::new()).await.unwrap();
        for path in ["id", "meta.versionId", "getResourceKey()"] {
            views.materialize(&definition(path), "view").await.unwrap();
        }
        let restarted = Views::load(Arc::clone(&log), &mut Vec::new()).await.unwrap();
        for views in [&views, &restarted] {
            let newest = views.by_name("patients").unwrap().borrow().clone();
            let before = newest.previous.as_ref().unwrap();
            assert_eq!((newest.version, before.version), (3, 2));
            assert_eq!(before.definition, check(&definition("meta.versionId")).unwrap());
            assert!(before.previous.is_none(), "one step back only");
        }
        log.close().await;
    }
}
