//! What is shown of a view's table: whether SQL users read it, and how far it is behind.

use std::time::Duration;

use super::generation::{Generation, State};
use super::{SqlTableError, SqlTables, topic_id};
use crate::change::Timestamp;
use crate::delivery::MaterializedView;
use crate::log::DestinationState;
use crate::status::{DestinationStatus, LiveState};

/// How often it is asked whether a view can be read.
const ASK: Duration = Duration::from_millis(50);

/// A view as SQL users have it.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlView {
    /// Whether it can be read, and how good it is.
    pub state: SqlViewState,
    /// Changes that it does not show yet. While it is being built only those are counted that were made since.
    pub waiting: u64,
    /// How long the oldest of them waits, in seconds.
    pub lag_seconds: f64,
    /// Changes that have no rows because the view or the database refused them.
    pub refused: u64,
    /// What is the matter, and what to do; holds no data.
    pub reason: Option<String>,
}

/// Whether a view can be read, and how good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlViewState {
    /// It cannot be read yet: what was written before it was materialised is being put in.
    Building,
    /// It shows everything that was written, or will in a moment.
    Current,
    /// It is read as it was materialised before; a newer one is being built, or waits to take its place.
    Replaced,
    /// It is read as it was when an operator's act became needed.
    Halted,
    /// There is none: it was dropped, or could not be made.
    Absent,
}

impl SqlViewState {
    /// The state in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Current => "current",
            Self::Replaced => "stale",
            Self::Halted => "halted",
            Self::Absent => "absent",
        }
    }
}

impl SqlTables {
    /// How a view stands.
    pub async fn status(&self, view: &MaterializedView) -> Result<SqlView, SqlTableError> {
        let there = self.0.database.generations(&view.name).await?;
        let newest = there.iter().rfind(|generation| is_kept(generation));
        let serving = there.iter().find(|generation| generation.state == State::Serving);
        let Some(newest) = newest else {
            return Ok(SqlView::absent());
        };
        let mut status = self.status_of(serving.unwrap_or(newest), view).await?;
        if status.state == SqlViewState::Current {
            status.state = match serving {
                None => SqlViewState::Building,
                Some(serving) if serving != newest => SqlViewState::Replaced,
                Some(_) => SqlViewState::Current,
            };
        }
        let held = self.held().get(&newest.destination()).cloned();
        status.reason = held.or(status.reason);
        Ok(status)
    }

    /// Waits until a view can be read as it was just materialised, so long at most, and says how it stands then.
    pub async fn wait_until_current(
        &self,
        view: &MaterializedView,
        patience: Duration,
    ) -> Result<SqlView, SqlTableError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let status = self.status(view).await?;
            let may_come = matches!(status.state, SqlViewState::Building | SqlViewState::Replaced);
            if !may_come || status.reason.is_some() || tokio::time::Instant::now() >= deadline {
                return Ok(status);
            }
            tokio::time::sleep(ASK).await;
        }
    }

    async fn status_of(
        &self,
        generation: &Generation,
        view: &MaterializedView,
    ) -> Result<SqlView, SqlTableError> {
        let id = generation.destination();
        let topic = topic_id(&view.definition.resource);
        let live = self.0.deliveries.live(&id);
        let now = Timestamp::now();
        let gathered = DestinationStatus::gather(&*self.0.log, &id, &topic, live, now).await?;
        let Some(gathered) = gathered else {
            return Ok(SqlView::absent());
        };
        let state = match &gathered.record.state {
            DestinationState::Halted { .. } => SqlViewState::Halted,
            _ => SqlViewState::Current,
        };
        let reason = reason(&gathered);
        Ok(SqlView {
            state,
            waiting: gathered.queued,
            lag_seconds: gathered.lag_seconds,
            refused: gathered.record.counters.dead_letters,
            reason,
        })
    }
}

impl SqlView {
    fn absent() -> Self {
        Self {
            state: SqlViewState::Absent,
            waiting: 0,
            lag_seconds: 0.0,
            refused: 0,
            reason: None,
        }
    }
}

/// Why changes do not come through.
fn reason(status: &DestinationStatus) -> Option<String> {
    let is_failing = status
        .live
        .as_ref()
        .is_some_and(|live| live.state == LiveState::Retrying);
    match &status.record.state {
        DestinationState::Halted { code, message } => Some(format!("{message} [{code}]")),
        _ if is_failing => {
            let error = status.record.last_errors.first()?;
            Some(format!("{} [{}]", error.message, error.code))
        }
        _ => None,
    }
}

fn is_kept(generation: &Generation) -> bool {
    matches!(generation.state, State::Building | State::Serving)
}
