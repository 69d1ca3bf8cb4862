//! Which tables a view has, and who fills them.

use std::sync::Arc;
use std::time::Duration;

use lakefeed_view::PartialDates;
use tokio::sync::watch;

use super::columns::{self, Column};
use super::generation::{Generation, State};
use super::target::SqlTargets;
use super::{SqlTableError, SqlTables, topic, topic_id};
use crate::batch::BatchLimits;
use crate::change::Offset;
use crate::delivery::{
    DestinationSpec, Keeps, MaterializedView, OnLeave, OwnTargets, Place, TargetSpec, compile, view_schema,
};

/// When a batch is closed. A transaction that writes holds back what others read of the log, so it is a short one.
const BATCH: BatchLimits = BatchLimits {
    rows: 2_000,
    bytes: 4 << 20,
    interval: Duration::from_millis(100),
};

/// How long one batch may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

impl SqlTables {
    /// Keeps a view as a table, in the version that it was just materialised in or was when the host started.
    ///
    /// The table is there when this returns; the rows come by and by. A version that an operator dropped stays so.
    pub async fn keep(&self, view: &Arc<MaterializedView>) -> Result<(), SqlTableError> {
        let _turn = self.0.turn.lock().await;
        let columns = columns_of(view)?;
        self.put_topic(&view.definition.resource);
        let there = self.0.database.generations(&view.name).await?;
        let Some(newest) = self.newest(view, &columns, &there).await? else {
            return Ok(());
        };
        for older in there.iter().filter(|older| older.number != newest.number) {
            match older.state {
                State::Serving => self.follow(older, view).await?,
                State::Building | State::Retired => self.let_go(older).await?,
                State::Dropped => {}
            }
        }
        self.fill(&newest, Arc::clone(view)).await?;
        if newest.state == State::Building {
            tokio::spawn(self.clone().ripen(newest, columns));
        }
        Ok(())
    }

    /// Ends the keeping of a view: the view that SQL users read goes, and all its tables.
    ///
    /// False when there is none. The view stays materialised for destinations.
    pub async fn drop_view(&self, name: &str) -> Result<bool, SqlTableError> {
        let _turn = self.0.turn.lock().await;
        let there = self.0.database.generations(name).await?;
        let mut kept = there
            .iter()
            .filter(|generation| generation.state != State::Dropped);
        // The newest is the one that a restart would ask for.
        let Some(newest) = kept.next_back() else {
            return Ok(false);
        };
        self.0.database.drop_view(newest).await?;
        for generation in &there {
            self.let_go(generation).await?;
        }
        Ok(true)
    }

    /// Lets go of tables that were replaced or dropped.
    pub(super) async fn tidy(&self) -> Result<(), SqlTableError> {
        let _turn = self.0.turn.lock().await;
        for generation in self.0.database.all().await? {
            let is_there = match generation.state {
                State::Building => self.0.database.has_table(&generation).await?,
                State::Serving => self.0.database.has_view(&generation.name).await?,
                State::Retired => {
                    self.let_go(&generation).await?;
                    continue;
                }
                State::Dropped => continue,
            };
            if !is_there {
                tracing::warn!(
                    view = generation.name,
                    "`sof.{}` was dropped in the database and is no longer kept; POST $materialize to make it anew",
                    generation.name
                );
                self.0.database.note_dropped(&generation).await?;
                self.let_go(&generation).await?;
            }
        }
        Ok(())
    }

    /// Ends the filling of a table and drops it. Where a query holds the table it is dropped later.
    pub(super) async fn let_go(&self, generation: &Generation) -> Result<(), SqlTableError> {
        let id = generation.destination();
        self.0.deliveries.stop(&id).await;
        self.0.log.drop_destination(&id).await?;
        self.held().remove(&id);
        match self.0.database.drop_table(generation).await {
            Err(error) if error.is_retryable() => {
                tracing::info!(view = generation.name, %error, "an old table of the view is dropped later");
                Ok(())
            }
            other => other,
        }
    }

    /// The table of the view's version: the one at hand, or a new one. None when an operator dropped it, and when the
    /// view was materialised again meanwhile.
    async fn newest(
        &self,
        view: &MaterializedView,
        columns: &[Column],
        there: &[Generation],
    ) -> Result<Option<Generation>, SqlTableError> {
        if there.iter().any(|generation| generation.version > view.version) {
            return Ok(None);
        }
        match there
            .iter()
            .rfind(|generation| generation.version == view.version)
        {
            Some(found) if found.state == State::Dropped => return Ok(None),
            Some(found) if found.state == State::Serving => return Ok(Some(found.clone())),
            Some(found) if self.0.database.has_table(found).await? => return Ok(Some(found.clone())),
            _ => {}
        }
        let made = self.0.database.make(&view.name, view.version, columns).await?;
        Ok(Some(made))
    }

    /// Goes on filling the table that SQL users read until the newer one takes its place. After a restart its view
    /// may be known no more, when it was materialised several times since; then it stays as it is until that.
    async fn follow(
        &self,
        serving: &Generation,
        newest: &Arc<MaterializedView>,
    ) -> Result<(), SqlTableError> {
        if self.0.deliveries.live(&serving.destination()).is_some() {
            return Ok(());
        }
        match newest.in_version(serving.version) {
            Some(view) => self.fill(serving, view).await,
            None => Ok(()),
        }
    }

    async fn fill(&self, generation: &Generation, view: Arc<MaterializedView>) -> Result<(), SqlTableError> {
        let id = generation.destination();
        if self.0.log.destination(&id).await?.is_none() {
            self.0.log.create_destination(&id, Offset::START).await?;
        }
        self.put_topic(&view.definition.resource);
        let spec = self.spec(generation, view);
        Ok(self.0.deliveries.start(spec).await?)
    }

    fn spec(&self, generation: &Generation, view: Arc<MaterializedView>) -> DestinationSpec {
        let topic = topic_id(&view.definition.resource);
        // Nobody sends another view: another one has another table.
        let (_, view) = watch::channel(view);
        let targets = SqlTargets {
            database: Arc::clone(&self.0.database),
            generation: generation.clone(),
        };
        DestinationSpec {
            id: generation.destination(),
            topic,
            batch: BATCH,
            view,
            target: TargetSpec {
                place: Place::Own(OwnTargets(Arc::new(targets))),
                keeps: Keeps::Newest,
                auto_evolve: false,
                on_leave: OnLeave::Nothing,
                partial_dates: PartialDates::Start,
                max_consecutive_refusals: 0,
                call_timeout: CALL_TIMEOUT,
            },
        }
    }

    fn put_topic(&self, resource_type: &str) {
        if self.0.topics.by_id(&topic_id(resource_type)).is_none() {
            self.0.topics.put(topic(resource_type));
        }
    }
}

/// The columns that a view's table has.
fn columns_of(view: &MaterializedView) -> Result<Vec<Column>, SqlTableError> {
    columns::check_name(&view.name)?;
    // Views that do not compile are not materialised, and left out when they no longer do.
    let compiled = compile(&view.definition).map_err(|_| SqlTableError::Uncompiled)?;
    columns::of(&view_schema(&view.name, &compiled, Keeps::Newest))
}
