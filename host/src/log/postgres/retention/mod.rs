//! Old partitions give way to small tables of what is still needed of them.
//!
//! - `choice`: which partition is next, and who keeps one from being it.
//! - `copy`: what is still needed is copied, step by step.
//! - `counts`: the counted places of `matched`, as they will be.
//! - `swap`: the table and its replacement change places, in one short transaction.
//!
//! Nothing is deleted row by row: a partition's table is dropped as a whole, and what it took is free at once. Still
//! needed are a resource's newest version, and the version before one that some destination does not have yet, since it
//! may be asked what changed.
//!
//! Until the swap is committed nothing has happened: a replacement that is half made is dropped, also by the next host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::shared::Shared;
use crate::change::Retention;

mod choice;
mod copy;
mod counts;
mod swap;

use choice::Choice;
use copy::Replacement;

/// How often the log says who holds retention back.
const REPEAT: Duration = Duration::from_secs(60 * 60);
/// How long a lock may be waited for that others would have to wait behind.
const SHORT: &str = "SET LOCAL lock_timeout = '100ms'";

/// Whether there is more to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// At once.
    More,
    /// Not for now.
    Rest,
}

/// Lets partitions give way, one after another and step by step.
pub(super) struct Retirer {
    retention: Retention,
    shared: Arc<Shared>,
    work: Work,
    /// When it was said who holds retention back.
    told: Option<Instant>,
}

enum Work {
    /// Drops what is left of earlier work.
    Clean,
    Choose,
    Replace(Box<Replacement>),
}

impl Retirer {
    pub(super) fn new(retention: Retention, shared: Arc<Shared>) -> Self {
        Self {
            retention,
            shared,
            work: Work::Clean,
            told: None,
        }
    }

    /// Whether anything may ever give way.
    pub(super) fn is_needed(&self) -> bool {
        self.retention != Retention::All
    }

    /// Whether the counted places must stay as they are until the next swap.
    pub(super) fn has_counted(&self) -> bool {
        matches!(&self.work, Work::Replace(replacement) if replacement.has_counted())
    }

    /// Forgets what is under way. Needed with each new session: its server may not have all that was copied.
    pub(super) fn begin_anew(&mut self) {
        self.work = Work::Clean;
    }

    /// Does the next step: little enough to be waited for. After a failure the session is of no more use.
    pub(super) async fn step(&mut self, connection: &mut PgConnection) -> Result<Step, sqlx::Error> {
        match &mut self.work {
            Work::Clean => {
                if !clean(connection).await? {
                    return Ok(Step::Rest);
                }
                self.work = Work::Choose;
                Ok(Step::More)
            }
            Work::Choose => self.choose(connection).await,
            Work::Replace(replacement) => {
                let done = replacement.step(&self.shared.host, connection).await?;
                match done {
                    copy::Done::More => return Ok(Step::More),
                    copy::Done::Waits => return Ok(Step::Rest),
                    copy::Done::Void => {}
                    copy::Done::Swapped => self.say(),
                }
                self.work = Work::Clean;
                Ok(Step::More)
            }
        }
    }

    async fn choose(&mut self, connection: &mut PgConnection) -> Result<Step, sqlx::Error> {
        let now = (self.shared.clock)();
        match choice::choose(self.retention, now, connection).await? {
            Choice::Replace(partition, floor) => {
                self.work = Work::Replace(Box::new(Replacement::new(partition, floor)));
                Ok(Step::More)
            }
            Choice::LookAgain => Ok(Step::More),
            Choice::Nothing => Ok(Step::Rest),
            Choice::HeldBack(destination) => {
                if self.told.is_none_or(|told| told.elapsed() > REPEAT) {
                    self.told = Some(Instant::now());
                    tracing::warn!(
                        store = %self.shared.place.name(), %destination,
                        "what is old enough is kept until this destination has it; let it go on, or delete it"
                    );
                }
                Ok(Step::Rest)
            }
        }
    }

    fn say(&self) {
        if let Work::Replace(replacement) = &self.work {
            tracing::info!(
                store = %self.shared.place.name(), partition = replacement.partition.number, kept = replacement.kept,
                "an old partition of the log gave way"
            );
        }
    }
}

/// Drops the tables that were taken out of the log or never came into it; false where somebody still reads one.
pub(super) async fn clean(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let left = sqlx::query(
        "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'lakefeed'::regnamespace AND c.relkind = 'r' \
         AND NOT c.relispartition AND c.relname ~ '^(log|matched)_[0-9]+(_[0-9]+)?$'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in &left {
        let table: String = row.try_get(0)?;
        let script = format!("BEGIN; {SHORT}; DROP TABLE lakefeed.{table}; COMMIT");
        if !done_in_time(&script, connection).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a script that begins and ends a transaction; false where a lock was not to be had, and nothing was done.
async fn done_in_time(script: &str, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let ran = sqlx::raw_sql(AssertSqlSafe(script.to_owned()))
        .execute(&mut *connection)
        .await;
    in_time(ran.map(drop), connection).await
}

/// What became of a transaction; false where a lock was not to be had, and it is rolled back.
async fn in_time(ran: Result<(), sqlx::Error>, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let Err(error) = ran else { return Ok(true) };
    let code = error.as_database_error().and_then(|error| error.code());
    if !matches!(code.as_deref(), Some("55P03" | "40P01")) {
        return Err(error);
    }
    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    Ok(false)
}
