//! Views' tables in a real database, filled by the real loop from an embedded store.

use std::sync::Arc;
use std::time::Duration;

use lakefeed_test_postgres::{Server, skipped};
use lakefeed_view::ViewDefinition;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;

use super::*;
use crate::change::{Body, Matched, ResourceKey, Timestamp};
use crate::delivery::{DestinationSpec, Place, Target, Targets};
use crate::log::{Action, Precondition, Write};

mod operator;
mod rows;

/// Makes the targets that a destination brings itself.
struct OwnAlone;

impl Targets for OwnAlone {
    fn target(&self, spec: &DestinationSpec) -> Box<dyn Target> {
        match &spec.target.place {
            Place::Own(targets) => targets.0.target(spec),
            Place::Plugins(_) => panic!("no plugin is used here"),
        }
    }
}

/// An embedded store, a database of one's own, and what keeps the tables there.
struct Bench {
    server: &'static Server,
    database: String,
    _folder: tempfile::TempDir,
    log: Arc<dyn Log>,
    topics: Arc<Topics>,
    tables: SqlTables,
}

impl Bench {
    async fn new() -> Option<Self> {
        Some(Self::on(Server::shared()?).await)
    }

    async fn on(server: &'static Server) -> Self {
        let database = server.database();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let log = crate::log::open(&url, Arc::new(Timestamp::now)).await.unwrap();
        let topics = Arc::new(Topics::default());
        let tables = tables(server, &database, &log, &topics);
        Self {
            server,
            database,
            _folder: folder,
            log,
            topics,
            tables,
        }
    }

    /// Another host over the same store and database.
    async fn restart(&mut self, views: &[Arc<MaterializedView>]) {
        self.tables
            .0
            .deliveries
            .drain_and_stop(Duration::from_secs(5))
            .await;
        self.tables.stop().await;
        self.topics = Arc::new(Topics::default());
        self.tables = tables(self.server, &self.database, &self.log, &self.topics);
        self.tables.start(views).await;
    }

    async fn write(&self, id: &str, action: Action) {
        let write = Write {
            key: ResourceKey::new("Patient", id).unwrap(),
            precondition: Precondition::None,
            action,
            matcher: Arc::new(|_, _, _| Matched::default()),
            source: None,
            tokens: Vec::new(),
            finding: None,
        };
        self.log.write(vec![write]).await.unwrap();
    }

    async fn put(&self, id: &str, members: Value) {
        let mut patient = json!({ "resourceType": "Patient", "id": id });
        patient
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        self.put_text(id, &patient.to_string()).await;
    }

    async fn put_text(&self, id: &str, resource: &str) {
        let body = Body::parse(resource.as_bytes()).unwrap();
        self.write(id, Action::Put(Arc::new(body))).await;
    }

    async fn delete(&self, id: &str) {
        self.write(id, Action::Delete).await;
    }

    /// Keeps a view and waits until it can be read.
    async fn keep(&self, view: &Arc<MaterializedView>) {
        self.tables.keep(view).await.unwrap();
        self.settle(view).await;
    }

    /// Waits until a view shows everything that was written.
    async fn settle(&self, view: &MaterializedView) {
        let head = *self.log.head().borrow();
        for _ in 0..3_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            // The database may be away for a while.
            let Ok(status) = self.tables.status(view).await else {
                continue;
            };
            let Ok(there) = self.tables.0.database.generations(&view.name).await else {
                continue;
            };
            let newest = there.last().unwrap().destination();
            let record = self.log.destination(&newest).await.unwrap().unwrap();
            if status.state == SqlViewState::Current && record.offset == head {
                return;
            }
        }
        panic!("not settled: {:?}", self.tables.status(view).await);
    }

    #[track_caller]
    fn sql(&self, script: &str) -> String {
        self.server.sql(&self.database, script)
    }

    async fn close(self) {
        self.tables
            .0
            .deliveries
            .drain_and_stop(Duration::from_secs(5))
            .await;
        self.tables.stop().await;
        self.log.close().await;
        self.server.sql(
            "postgres",
            &format!("DROP DATABASE {} WITH (FORCE)", self.database),
        );
    }
}

fn tables(server: &Server, database: &str, log: &Arc<dyn Log>, topics: &Arc<Topics>) -> SqlTables {
    let options: PgConnectOptions = server.url(database).parse().unwrap();
    let deliveries = Deliveries::with_targets(Arc::clone(log), Arc::clone(topics), Arc::new(OwnAlone));
    SqlTables::new(options, Arc::clone(log), Arc::clone(topics), deliveries)
}

/// A view over active patients with these selects.
fn view(version: u64, selects: Value) -> Arc<MaterializedView> {
    let definition = json!({
        "resourceType": "ViewDefinition", "name": "patients", "resource": "Patient", "status": "active",
        "where": [{ "path": "active.exists().not() or active = true" }], "select": selects
    });
    Arc::new(MaterializedView {
        name: "patients".to_owned(),
        version,
        definition: ViewDefinition::from_value(&definition).unwrap(),
        previous: None,
    })
}

/// A column for each path.
fn columns(paths: &[&str]) -> Value {
    let column = |path: &&str| {
        let name: String = path.chars().filter(char::is_ascii_alphanumeric).collect();
        json!({ "name": name, "path": path })
    };
    json!([{ "column": paths.iter().map(column).collect::<Vec<_>>() }])
}
