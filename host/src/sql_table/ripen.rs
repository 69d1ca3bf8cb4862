//! A table that has caught up takes the place of the one that SQL users read.

use std::time::Duration;

use tokio::time::Instant;

use super::columns::Column;
use super::generation::{Generation, State};
use super::{SqlTableError, SqlTables};
use crate::change::Offset;

/// How often it is asked whether a table has caught up.
const ASK: Duration = Duration::from_millis(50);

/// How long a switch that failed waits for the next try.
const PAUSE: Duration = Duration::from_secs(5);

/// A table that holds what the log ended with so long ago has caught up: it will always be a little behind.
const FRESH: Duration = Duration::from_secs(5);

/// Where the log ended at a moment.
#[derive(Clone, Copy)]
struct Goal {
    offset: Offset,
    seen_at: Instant,
}

/// How far a table is.
enum Ripe {
    NotYet,
    Switched,
    /// Another table was made for the view meanwhile, or it was dropped.
    Gone,
}

impl SqlTables {
    /// Waits until a table holds what the log does, and puts it before the SQL users.
    pub(super) async fn ripen(self, generation: Generation, columns: Vec<Column>) {
        let mut goal = self.goal();
        let mut pause = ASK;
        loop {
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = match self.try_switch(&generation, &columns, &mut goal).await {
                Ok(Ripe::NotYet) => ASK,
                Ok(Ripe::Switched) => {
                    tracing::info!(
                        view = generation.name,
                        version = generation.version,
                        "the view's table is current"
                    );
                    return;
                }
                Ok(Ripe::Gone) => return,
                Err(error) => {
                    self.hold(&generation, &error);
                    PAUSE
                }
            };
        }
    }

    fn goal(&self) -> Goal {
        Goal {
            offset: *self.0.log.head().borrow(),
            seen_at: Instant::now(),
        }
    }

    async fn try_switch(
        &self,
        generation: &Generation,
        columns: &[Column],
        goal: &mut Goal,
    ) -> Result<Ripe, SqlTableError> {
        let Some(offset) = self.offset(generation).await? else {
            return Ok(Ripe::Gone);
        };
        if offset < goal.offset {
            return Ok(Ripe::NotYet);
        }
        if goal.seen_at.elapsed() > FRESH {
            *goal = self.goal();
            return Ok(Ripe::NotYet);
        }
        let _turn = self.0.turn.lock().await;
        let there = self.0.database.generations(&generation.name).await?;
        if !there.contains(generation) {
            return Ok(Ripe::Gone);
        }
        let serving = there.iter().find(|other| other.state == State::Serving);
        if let Some(serving) = serving
            && self.offset(serving).await? > self.offset(generation).await?
        {
            // Whoever reads would see what was written a moment ago taken back.
            *goal = self.goal();
            return Ok(Ripe::NotYet);
        }
        self.0.database.switch(generation, columns).await?;
        self.held().remove(&generation.destination());
        self.0.database.forget_dropped(generation).await?;
        if let Some(serving) = serving {
            self.let_go(serving).await?;
        }
        Ok(Ripe::Switched)
    }

    async fn offset(&self, generation: &Generation) -> Result<Option<Offset>, SqlTableError> {
        let record = self.0.log.destination(&generation.destination()).await?;
        Ok(record.map(|record| record.offset))
    }

    /// Keeps in mind why a table is not read yet; says it once.
    fn hold(&self, generation: &Generation, error: &SqlTableError) {
        let reason = error.to_string();
        let before = self.held().insert(generation.destination(), reason.clone());
        if before.as_ref() != Some(&reason) {
            tracing::warn!(
                view = generation.name,
                reason,
                "the view keeps its table of before"
            );
        }
    }
}
