//! What `$status` answers, and the metrics.
//!
//! Everything that is counted comes from the destination's record in the store, so that it survives a restart and
//! is the same on every host; only what a worker does at the moment comes from this process ([`LiveStatus`]).

mod live;
mod metrics;
mod parameters;

use serde::Serialize;

use crate::change::{Offset, Timestamp};
use crate::log::{DestinationRecord, DestinationState, HeldBack, Log, LogError, ReadBound};

pub(crate) use live::Live;
pub use live::{LiveState, LiveStatus};
pub use metrics::prometheus;

/// Everything that is known of a destination at one moment.
#[derive(Clone, Debug)]
pub struct DestinationStatus {
    /// What the store knows.
    pub record: DestinationRecord,
    /// What its worker does here; none if it does not run here.
    pub live: Option<LiveStatus>,
    /// Changes that its topic wanted and that are not with it yet. Exact.
    pub queued: u64,
    /// How long the oldest of them waits, in seconds; zero when none does.
    pub lag_seconds: f64,
    /// The newest offset of the log.
    pub head: Offset,
    /// What keeps committed changes from being given out; looked for only where some wait.
    pub held_back: Option<HeldBack>,
}

impl DestinationStatus {
    /// Gathers a destination's status; none if the store has no such destination.
    pub async fn gather(
        log: &dyn Log,
        id: &str,
        topic: &str,
        live: Option<LiveStatus>,
        now: Timestamp,
    ) -> Result<Option<Self>, LogError> {
        let Some(record) = log.destination(id).await? else {
            return Ok(None);
        };
        let head = *log.head().borrow();
        let queued = log.count_changes(record.offset, topic).await?;
        let lag_seconds = match queued {
            0 => 0.0,
            _ => waiting_since(log, record.offset)
                .await?
                .map_or(0.0, |since| seconds_between(since, now)),
        };
        let held_back = match queued {
            0 => None,
            _ => log.held_back().await?,
        };
        Ok(Some(Self {
            record,
            live,
            queued,
            lag_seconds: longest_wait(lag_seconds, held_back.as_ref(), now),
            head,
            held_back,
        }))
    }

    /// The changes that are being written at the moment.
    pub fn in_process(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.in_process)
    }

    /// What a list of destinations shows of it.
    pub fn summary(&self) -> DestinationSummary {
        let counters = &self.record.counters;
        let settled = counters.delivered + counters.dead_letters;
        let total = settled + self.queued;
        DestinationSummary {
            id: self.record.id.clone(),
            state: self.state_name().to_owned(),
            reason: self.halt_reason(),
            worker: self.live.as_ref().map(|live| live.state.as_str().to_owned()),
            delivered: counters.delivered,
            queued: self.queued,
            in_process: self.in_process(),
            lag_seconds: self.lag_seconds,
            changes_per_second: self.live.as_ref().map_or(0.0, |live| live.changes_per_second),
            dead_letters: counters.dead_letters,
            progress: if total == 0 {
                1.0
            } else {
                settled as f64 / total as f64
            },
            last_error: self.record.last_errors.first().map(|error| error.message.clone()),
            last_error_at: self.record.last_errors.first().map(|error| error.at.to_string()),
        }
    }

    /// The stored state in one word: `active`, `paused`, `halted`.
    pub fn state_name(&self) -> &'static str {
        match self.record.state {
            DestinationState::Active => "active",
            DestinationState::Paused => "paused",
            DestinationState::Halted { .. } => "halted",
        }
    }

    fn halt_reason(&self) -> Option<String> {
        match &self.record.state {
            DestinationState::Halted { code, message } => Some(format!("{message} [{code}]")),
            _ => None,
        }
    }
}

/// A destination in a list: the page, `lakefeed status`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DestinationSummary {
    /// Its id.
    pub id: String,
    /// `active`, `paused` or `halted`.
    pub state: String,
    /// Why it halted and what to do.
    pub reason: Option<String>,
    /// What its worker does; none if it does not run here.
    pub worker: Option<String>,
    /// Changes that it got since it was made.
    pub delivered: u64,
    /// Changes that wait for it.
    pub queued: u64,
    /// Changes that are being written.
    pub in_process: u64,
    /// How long the oldest waiting change waits.
    pub lag_seconds: f64,
    /// Over the last minute.
    pub changes_per_second: f64,
    /// Changes that were set aside.
    pub dead_letters: u64,
    /// Which share of what it is to get it has, from 0 to 1.
    pub progress: f64,
    /// The newest error; holds no patient data.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<String>,
}

/// When the first change behind an offset was made.
async fn waiting_since(log: &dyn Log, offset: Offset) -> Result<Option<Timestamp>, LogError> {
    let first = ReadBound {
        changes: 1,
        bytes: 1,
        through: None,
    };
    let changes = log.changes(offset, first).await?;
    Ok(changes.first().map(|change| change.version.last_updated))
}

/// The lag, where the oldest waiting change is hidden, too.
fn longest_wait(lag_seconds: f64, held_back: Option<&HeldBack>, now: Timestamp) -> f64 {
    match held_back {
        Some(held) if lag_seconds == 0.0 => seconds_between(held.since, now),
        _ => lag_seconds,
    }
}

fn seconds_between(since: Timestamp, now: Timestamp) -> f64 {
    (now.0 - since.0).max(0) as f64 / 1_000_000.0
}
