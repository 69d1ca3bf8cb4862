//! Starts, restarts and stops the destinations' workers.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use lakefeed_plugin_api::{CheckReport, PluginError};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bootstrap::{self, BootstrapError};
use super::interrupt::Interrupt;
use super::plugin_target::PluginTargets;
use super::retry::{LONGEST_RESTART, restart_pause};
use super::spec::DestinationSpec;
use super::tail::TailReader;
use super::target::Targets;
use super::worker::{Shared, Worker};
use crate::change::{Offset, Timestamp};
use crate::log::{DestinationState, Log, LogError};
use crate::plugin::{PluginMetrics, PluginRegistry};
use crate::status::{Live, LiveState, LiveStatus};
use crate::topic::Topics;

/// How long the write under way may still take when one destination is stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// All destinations that this host delivers to.
///
/// Each has a task of its own, so that none waits for another. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Deliveries {
    shared: Arc<Shared>,
    running: Arc<Mutex<HashMap<String, Running>>>,
    /// Who starts, stops, pauses or moves a destination holds its turn, so that one worker at most is begun for it.
    turns: Arc<Mutex<HashMap<String, Arc<Turn>>>>,
}

/// Held by whoever changes what runs for one destination.
type Turn = tokio::sync::Mutex<()>;

/// A destination's task.
struct Running {
    spec: DestinationSpec,
    stop: CancellationToken,
    task: JoinHandle<()>,
    live: Arc<Live>,
}

impl Deliveries {
    /// Deliveries through the plugins of a host; what plugins record goes to `metrics`. Nothing runs yet.
    pub fn new(
        log: Arc<dyn Log>,
        topics: Arc<Topics>,
        plugins: Arc<PluginRegistry>,
        metrics: Arc<PluginMetrics>,
    ) -> Self {
        Self::with_targets(log, topics, Arc::new(PluginTargets { plugins, metrics }))
    }

    pub(crate) fn with_targets(log: Arc<dyn Log>, topics: Arc<Topics>, targets: Arc<dyn Targets>) -> Self {
        let tail = TailReader::new(Arc::clone(&log));
        Self {
            shared: Arc::new(Shared {
                log,
                topics,
                targets,
                tail,
            }),
            running: Arc::default(),
            turns: Arc::default(),
        }
    }

    /// Checks everything about a destination that can be known before its first row: compiles the view in the
    /// target's types, opens the target, compares the table and adds columns where that is allowed.
    ///
    /// Nothing is stored and nothing keeps running; the table may have been made or have gained columns.
    pub async fn bootstrap(&self, spec: &DestinationSpec) -> Result<(), BootstrapError> {
        bootstrap::check(self.shared.targets.as_ref(), spec).await
    }

    /// Asks a destination's plugins whether it works, one line for each question; nothing is written or changed.
    pub async fn preflight(&self, spec: &DestinationSpec) -> Result<CheckReport, PluginError> {
        bootstrap::preflight(self.shared.targets.as_ref(), spec).await
    }

    /// Starts delivering to a destination whose record is in the store.
    ///
    /// One that halted gets another try: to start it is the operator's act. One that is paused stays so until
    /// [`resume`](Self::resume). A destination of this id that already runs is stopped first. One whose record
    /// cannot be read does not run, and a later `resume` tries again.
    pub async fn start(&self, spec: DestinationSpec) -> Result<(), LogError> {
        let _turn = self.turn(&spec.id).await;
        self.begin(spec).await
    }

    /// Stops delivering to a destination after the write that is under way, or ten seconds on. Nothing is lost;
    /// unknown ids are fine.
    pub async fn stop(&self, id: &str) {
        let _turn = self.turn(id).await;
        self.end(id).await;
    }

    /// Ends a destination's worker. The caller holds its turn.
    async fn end(&self, id: &str) {
        let running = self.running().remove(id);
        if let Some(running) = running {
            let end = Instant::now() + PATIENCE;
            running.end(end).await;
        }
    }

    /// Stops delivering until [`resume`](Self::resume), also over restarts.
    pub async fn pause(&self, id: &str) -> Result<(), LogError> {
        let _turn = self.turn(id).await;
        self.shared
            .log
            .set_destination_state(id, DestinationState::Paused)
            .await?;
        let (stop, live) = match self.running().get(id) {
            Some(running) => (running.stop.clone(), Arc::clone(&running.live)),
            None => return Ok(()),
        };
        stop.cancel();
        live.set_state(LiveState::Stopped);
        Ok(())
    }

    /// Delivers again to a destination that was paused or has halted, from where it stood.
    pub async fn resume(&self, id: &str) -> Result<(), LogError> {
        let _turn = self.turn(id).await;
        self.shared
            .log
            .set_destination_state(id, DestinationState::Active)
            .await?;
        match self.spec(id) {
            Some(spec) => self.begin(spec).await,
            None => Ok(()),
        }
    }

    /// Moves a destination's offset to any place and delivers again from there, if it was started here. What was
    /// delivered before is not taken for what is delivered again. When the store fails it goes on from where it was.
    pub async fn rewind(&self, id: &str, to: Offset) -> Result<(), LogError> {
        let _turn = self.turn(id).await;
        let spec = self.spec(id);
        self.end(id).await;
        let rewound = self.shared.log.rewind_destination(id, to).await;
        match (rewound, spec) {
            (Ok(_), Some(spec)) => self.begin(spec).await,
            (Err(error), Some(spec)) => {
                self.spawn(spec);
                Err(error)
            }
            (rewound, None) => rewound.map(drop),
        }
    }

    /// What a destination shows of itself while it runs here; none if it was not started here.
    pub fn live(&self, id: &str) -> Option<LiveStatus> {
        self.running().get(id).map(|running| running.live.status())
    }

    /// Stops all destinations together: writes that are under way end and are acked, until the deadline has
    /// passed. What is cut off then is written again after the next start, under the same batch number.
    pub async fn drain_and_stop(&self, deadline: Duration) {
        let all: Vec<Running> = self.running().drain().map(|(_, running)| running).collect();
        for running in &all {
            running.stop.cancel();
        }
        let end = Instant::now() + deadline;
        futures::future::join_all(all.into_iter().map(|running| running.end(end))).await;
    }

    /// Starts in place of what runs. The caller holds the destination's turn.
    async fn begin(&self, spec: DestinationSpec) -> Result<(), LogError> {
        self.end(&spec.id).await;
        match self.make_active(&spec.id).await {
            Ok(()) => self.spawn(spec),
            Err(error @ LogError::NoDestination { .. }) => return Err(error),
            Err(error) => {
                // What was to run is kept, so that it can be resumed when the store is back.
                self.put(Running::idle(spec));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Gives a destination that halted another try.
    async fn make_active(&self, id: &str) -> Result<(), LogError> {
        let record = self.shared.log.destination(id).await?;
        let record = record.ok_or_else(|| LogError::NoDestination { id: id.to_owned() })?;
        if matches!(record.state, DestinationState::Halted { .. }) {
            self.shared
                .log
                .set_destination_state(id, DestinationState::Active)
                .await?;
        }
        Ok(())
    }

    /// Waits until nobody else changes what runs for a destination.
    async fn turn(&self, id: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(id.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    fn spec(&self, id: &str) -> Option<DestinationSpec> {
        self.running().get(id).map(|running| running.spec.clone())
    }

    fn spawn(&self, spec: DestinationSpec) {
        let stop = CancellationToken::new();
        let live = Arc::new(Live::new(Timestamp::now()));
        let supervised = supervise(
            spec.clone(),
            Arc::clone(&self.shared),
            Arc::clone(&live),
            stop.clone(),
        );
        let running = Running {
            task: tokio::spawn(supervised),
            spec,
            stop,
            live,
        };
        self.put(running);
    }

    fn put(&self, running: Running) {
        let before = self.running().insert(running.spec.id.clone(), running);
        if let Some(before) = before {
            before.stop.cancel();
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// A destination that is known and not delivered to.
    fn idle(spec: DestinationSpec) -> Self {
        let live = Arc::new(Live::new(Timestamp::now()));
        live.set_state(LiveState::Stopped);
        Self {
            task: tokio::spawn(std::future::ready(())),
            spec,
            stop: CancellationToken::new(),
            live,
        }
    }

    async fn end(mut self, at: Instant) {
        self.stop.cancel();
        if tokio::time::timeout_at(at, &mut self.task).await.is_err() {
            self.task.abort();
            // It may still be at work until its next pause; whoever starts another waits for that.
            drop((&mut self.task).await);
        }
    }
}

/// What ended a worker's life, for the decision whether another is started.
enum Ended {
    ForGood(LiveState),
    Crashed(String),
}

/// Runs a destination's worker and starts it again when it crashes: after a second, doubling to a minute. One
/// that ran for longer than that begins again at a second.
async fn supervise(spec: DestinationSpec, shared: Arc<Shared>, live: Arc<Live>, stop: CancellationToken) {
    let mut crashes = 0;
    loop {
        let began = Instant::now();
        let life = live_once(spec.clone(), Arc::clone(&shared), Arc::clone(&live), stop.clone());
        let reason = match AssertUnwindSafe(life).catch_unwind().await {
            Ok(Ended::ForGood(state)) => return live.set_state(state),
            Ok(Ended::Crashed(reason)) => reason,
            Err(_) => "the worker panicked; this is a mistake of lakefeed's, please report it".to_owned(),
        };
        if began.elapsed() > LONGEST_RESTART {
            crashes = 0;
        }
        let pause = restart_pause(crashes);
        crashes += 1;
        tracing::error!(
            destination = spec.id,
            reason,
            pause_s = pause.as_secs(),
            "worker restarts [DELIVERY-009]"
        );
        live.set_state(LiveState::Restarting);
        tokio::select! {
            () = stop.cancelled() => return live.set_state(LiveState::Stopped),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn live_once(
    spec: DestinationSpec,
    shared: Arc<Shared>,
    live: Arc<Live>,
    stop: CancellationToken,
) -> Ended {
    let id = spec.id.clone();
    let interrupt = match Worker::take(spec, Arc::clone(&shared), live, stop).await {
        Ok(worker) => worker.run().await,
        Err(interrupt) => interrupt,
    };
    match interrupt {
        Interrupt::Stopped => Ended::ForGood(LiveState::Stopped),
        Interrupt::Halt(halt) => {
            tracing::error!(
                destination = id,
                code = halt.code,
                message = halt.message,
                "destination halted"
            );
            Ended::ForGood(LiveState::Halted)
        }
        Interrupt::Log(LogError::NoDestination { .. } | LogError::Closed) => {
            tracing::info!(destination = id, "delivery ends here: the destination is gone");
            Ended::ForGood(LiveState::Stopped)
        }
        // Whoever started it again here has stopped this one. Else the store began anew, in which changes that were
        // read may not be; or it is another host's, which is what taking the destination again will say.
        Interrupt::Log(error @ LogError::Fenced { .. }) => {
            shared.tail.forget().await;
            Ended::Crashed(error.to_string())
        }
        Interrupt::Log(error) => Ended::Crashed(error.to_string()),
        Interrupt::Broken(reason) => Ended::Crashed(reason),
    }
}
