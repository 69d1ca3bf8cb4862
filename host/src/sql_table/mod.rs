//! `sof.<name>`: the rows of a materialised view for SQL users, in the database of a PostgreSQL store.
//!
//! # What a SQL user may rely on
//!
//! `sof.<name>` is a view of the database with the columns of the ViewDefinition and the rows of the living resources'
//! newest versions, a moment behind the writes: a delete, and an update that leaves the view, takes the rows away. It
//! never shows half of a resource, and never a table that is still being filled. A resource that the ViewDefinition
//! refuses, or that holds a value which the database refuses, has no rows; it is a dead letter of the destination
//! below. There is no second evaluator in SQL: the rows are made by the engine that makes those of every destination.
//!
//! # How it is kept
//!
//! Each materialisation of a view has a table of its own in the schema `lakefeed_sof` (a `generation`) and a
//! destination of its own, `sof.<name>/<number>`, with a record in the log like any other: it begins at the log's
//! start, is moved by the loop of [`crate::delivery`], and its target (`target`) replaces the rows of the resources
//! that a batch is about in one transaction. Its topic wants every change of the view's resource type ([`topic_id`]).
//! Once it has caught up, the view that SQL users read is switched to it in one transaction (`ripen`); until then
//! they read the table before, which is kept current meanwhile. Who may read stays who may read.
//!
//! # What an operator may do
//!
//! | what | what follows |
//! |---|---|
//! | `DROP VIEW sof.<name>`, or `DELETE …/$materialize` | the table goes too, and nothing is kept until the view is materialised again |
//! | delete or edit the ViewDefinition | nothing: `sof.<name>` stays as it was materialised, and is kept current |
//! | make views over `sof.<name>` | they survive a materialisation that only adds columns at the end; otherwise the switch waits until they are dropped, never dropping them itself, and the status says so |
//! | grant rights on `sof.<name>` | they outlive each switch, but for grants on single columns |
//!
//! # Codes
//!
//! `SQL-001` to `SQL-008`, each at its variant of [`SqlTableError`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lakefeed_view::View;
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use crate::delivery::{Deliveries, MaterializedView, view_schema};
use crate::log::Log;
use crate::topic::{Topic, Topics};

mod columns;
mod copy;
mod database;
mod error;
mod generation;
mod keep;
mod ripen;
mod status;
mod target;
#[cfg(test)]
mod tests;

pub use error::SqlTableError;
pub use generation::view_of;
pub use status::{SqlView, SqlViewState};

use database::Database;

/// How often it is looked whether a table was dropped, and whether an old one can go.
const TEND: Duration = Duration::from_secs(10);

/// Keeps the tables of all materialised views. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct SqlTables(Arc<Inner>);

struct Inner {
    database: Arc<Database>,
    log: Arc<dyn Log>,
    topics: Arc<Topics>,
    deliveries: Deliveries,
    /// Held while it is decided which tables a view has.
    turn: tokio::sync::Mutex<()>,
    /// Why a table that has caught up is not before the SQL users yet, by its destination.
    held: Mutex<BTreeMap<String, String>>,
    stop: CancellationToken,
}

impl SqlTables {
    /// Tables in a database, which is first connected to when a view is to be kept there.
    pub fn new(
        options: PgConnectOptions,
        log: Arc<dyn Log>,
        topics: Arc<Topics>,
        deliveries: Deliveries,
    ) -> Self {
        let inner = Inner {
            database: Arc::new(Database::new(options)),
            log,
            topics,
            deliveries,
            turn: tokio::sync::Mutex::default(),
            held: Mutex::default(),
            stop: CancellationToken::new(),
        };
        Self(Arc::new(inner))
    }

    /// Whether a view can be had as a table: asked before it is materialised.
    pub async fn check(&self, name: &str, view: &View) -> Result<(), SqlTableError> {
        check(name, view)?;
        self.0.database.prepare().await?;
        self.0.database.refuse_taken(name).await
    }

    /// Keeps on keeping what was kept when the last host stopped, and begins with what it did not know of. A view
    /// whose table cannot be kept is said so in the log and in its status; the others are kept.
    pub async fn start(&self, views: &[Arc<MaterializedView>]) {
        // Made ahead of the first view, so that readers can be let into the schema before.
        if let Err(error) = self.0.database.prepare().await {
            tracing::error!(%error, "views for SQL users cannot be kept");
        }
        let left = self.keep_all(views).await;
        tokio::spawn(self.clone().tend(left));
    }

    /// Keeps views; answers those that may be kept later.
    async fn keep_all(&self, views: &[Arc<MaterializedView>]) -> Vec<Arc<MaterializedView>> {
        let mut left = Vec::new();
        for view in views {
            if let Err(error) = self.keep(view).await {
                tracing::error!(view = view.name, %error, "the view is not kept as a table");
                left.extend(error.is_retryable().then(|| Arc::clone(view)));
            }
        }
        left
    }

    /// Stops looking after the tables. The deliveries that fill them are stopped with all others.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.database.close().await;
    }

    /// Looks after the tables until the host stops, and tries again what could not be kept at the start.
    async fn tend(self, mut left: Vec<Arc<MaterializedView>>) {
        loop {
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                () = tokio::time::sleep(TEND) => {}
            }
            left = self.keep_all(&left).await;
            if let Err(error) = self.tidy().await {
                tracing::warn!(%error, "the views' tables could not be looked after");
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a view can be had as a table, as far as its definition tells.
pub fn check(name: &str, view: &View) -> Result<(), SqlTableError> {
    columns::check_name(name)?;
    columns::of(&view_schema(name, view, crate::delivery::Keeps::Newest)).map(drop)
}

/// The id of the topic that wants every change of a resource type. No topic of a resource is called so: a FHIR id has
/// no `/`.
pub fn topic_id(resource_type: &str) -> String {
    format!("{}/{resource_type}", generation::VIEWS)
}

/// The topic that wants every change of a resource type.
pub fn topic(resource_type: &str) -> Topic {
    Topic::of_type(&topic_id(resource_type), resource_type)
}
