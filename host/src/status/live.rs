//! What a running destination shows of itself; gone with the process, unlike its record in the store.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::change::Timestamp;

/// Over how long the rate is taken.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// A destination's live values.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveStatus {
    /// What its worker does.
    pub state: LiveState,
    /// When it was started in this process.
    pub started_at: Timestamp,
    /// Changes in the write that is under way.
    pub in_process: u64,
    /// Changes delivered a second, over the last minute.
    pub changes_per_second: f64,
    /// How often its worker was started again after a crash.
    pub restarts: u64,
}

/// What a destination's worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveState {
    /// It opens the target.
    Starting,
    /// It delivers, or waits for changes.
    Running,
    /// The last attempt failed; it tries again shortly.
    Retrying,
    /// It crashed and is started again shortly.
    Restarting,
    /// It ended because an operator must act.
    Halted,
    /// It ended.
    Stopped,
}

impl LiveState {
    /// The state in one word, as `$status` and the metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Restarting => "restarting",
            Self::Halted => "halted",
            Self::Stopped => "stopped",
        }
    }
}

/// The live values, written by the worker and read by whoever asks.
#[derive(Debug)]
pub(crate) struct Live {
    values: Mutex<Values>,
}

#[derive(Debug)]
struct Values {
    state: LiveState,
    started_at: Timestamp,
    in_process: u64,
    restarts: u64,
    rate: Rate,
}

impl Live {
    pub(crate) fn new(started_at: Timestamp) -> Self {
        let values = Values {
            state: LiveState::Starting,
            started_at,
            in_process: 0,
            restarts: 0,
            rate: Rate::default(),
        };
        Self {
            values: Mutex::new(values),
        }
    }

    pub(crate) fn set_state(&self, state: LiveState) {
        let mut values = self.values();
        values.state = state;
        values.restarts += u64::from(state == LiveState::Restarting);
        values.in_process = 0;
    }

    pub(crate) fn write_begins(&self, changes: usize) {
        let mut values = self.values();
        values.state = LiveState::Running;
        values.in_process = changes as u64;
    }

    pub(crate) fn write_ended(&self, delivered: u64) {
        let mut values = self.values();
        values.in_process = 0;
        values.rate.add(delivered, Instant::now());
    }

    pub(crate) fn status(&self) -> LiveStatus {
        let mut values = self.values();
        LiveStatus {
            state: values.state,
            started_at: values.started_at,
            in_process: values.in_process,
            restarts: values.restarts,
            changes_per_second: values.rate.per_second(Instant::now()),
        }
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much there was of something in the last minute, by the second.
#[derive(Debug, Default)]
struct Rate {
    seconds: VecDeque<(Instant, u64)>,
    first: Option<Instant>,
}

impl Rate {
    fn add(&mut self, count: u64, now: Instant) {
        self.first.get_or_insert(now);
        match self.seconds.back_mut() {
            Some((second, sum)) if now - *second < Duration::from_secs(1) => *sum += count,
            _ => self.seconds.push_back((now, count)),
        }
        self.forget(now);
    }

    fn per_second(&mut self, now: Instant) -> f64 {
        self.forget(now);
        let Some(first) = self.first else { return 0.0 };
        let sum: u64 = self.seconds.iter().map(|(_, count)| count).sum();
        let seen = (now - first).clamp(Duration::from_secs(1), RATE_WINDOW);
        sum as f64 / seen.as_secs_f64()
    }

    fn forget(&mut self, now: Instant) {
        while self
            .seconds
            .front()
            .is_some_and(|(second, _)| now - *second > RATE_WINDOW)
        {
            self.seconds.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(at(0)), 0.0);
        rate.add(30, at(0));
        assert_eq!(rate.per_second(at(0)), 30.0);
        assert_eq!(rate.per_second(at(10)), 3.0);
        rate.add(90, at(45));
        assert_eq!(rate.per_second(at(60)), 2.0);
        assert_eq!(rate.per_second(at(90)), 1.5);
        assert_eq!(rate.per_second(at(200)), 0.0);
    }
}
