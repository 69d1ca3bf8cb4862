//! One destination's loop: take the view, collect a batch, deliver it, until something ends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lakefeed_plugin_api::{Category, PluginError, Retry, WriterProfile};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::brake::Brake;
use super::collect::{ChangeBatch, Collector, left_behind};
use super::drift::{self, Shape};
use super::flatten::{self, Flattened, Flattener};
use super::interrupt::{Halt, Interrupt, words};
use super::retry::{BACKOFF, Decision, Tried, decide};
use super::spec::{DestinationSpec, MaterializedView, OnLeave};
use super::tail::TailReader;
use super::target::{Target, Targets};
use super::timed::Timed;
use crate::change::{Change, Offset, Timestamp};
use crate::log::{
    BatchBounds, Counters, DestinationRecord, DestinationState, Fence, LastError, Log, ReadBound,
};
use crate::status::{Live, LiveState};
use crate::topic::{self, Topics};

/// How long the offset may lag behind changes that were only passed over.
const FORWARD: Duration = Duration::from_secs(1);

/// How long a worker that has caught up trusts the log to wake it. A store may show a change only some time after
/// it announced it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The most changes and bytes of one read.
const READ_CHANGES: usize = 2_000;
const READ_BYTES: usize = 4 << 20;

/// What all destinations share.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) targets: Arc<dyn Targets>,
    pub(crate) tail: TailReader,
}

/// A destination that this host has taken.
pub(super) struct Worker {
    pub(super) spec: DestinationSpec,
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Live>,
    pub(super) stop: CancellationToken,
    pub(super) target: Timed,
    pub(super) fence: Fence,
    pub(super) record: DestinationRecord,
    pub(super) brake: Brake,
    /// What was counted and not yet persisted.
    pub(super) pending: Counters,
    /// Read and not yet taken; directly behind the offset or the batch that is being collected.
    unread: VecDeque<Arc<Change>>,
    head: watch::Receiver<Offset>,
    view: Option<Ready>,
    /// What the writer said when it was opened; none while it is not open.
    profile: Option<WriterProfile>,
}

/// A view, ready to be written in.
struct Ready {
    version: u64,
    flattener: Flattener,
    shape: Shape,
    /// Whether table and writer have its shape.
    is_current: bool,
}

impl Worker {
    /// Takes the destination from whoever had it.
    pub(super) async fn take(
        spec: DestinationSpec,
        shared: Arc<Shared>,
        live: Arc<Live>,
        stop: CancellationToken,
    ) -> Result<Self, Interrupt> {
        let (fence, record) = shared.log.take_destination(&spec.id).await?;
        let target = Timed::new(shared.targets.target(&spec), spec.target.call_timeout);
        Ok(Self {
            brake: Brake::new(spec.target.max_consecutive_refusals),
            head: shared.log.head(),
            spec,
            shared,
            live,
            stop,
            target,
            fence,
            record,
            pending: Counters::default(),
            unread: VecDeque::new(),
            view: None,
            profile: None,
        })
    }

    /// Delivers until it is interrupted, then lets go of the plugins.
    pub(super) async fn run(mut self) -> Interrupt {
        let interrupt = match self.deliver_for_ever().await {
            Ok(never) => match never {},
            Err(interrupt) => interrupt,
        };
        if let Interrupt::Halt(halt) = &interrupt
            && let Err(error) = self.persist_halt(halt).await
        {
            tracing::warn!(destination = self.spec.id, %error, "could not store that the destination halted");
        }
        self.target.close().await;
        interrupt
    }

    async fn deliver_for_ever(&mut self) -> Result<std::convert::Infallible, Interrupt> {
        if self.record.state != DestinationState::Active {
            return Err(Interrupt::Stopped);
        }
        self.take_view().await?;
        if let Some(planned) = self.record.planned {
            let batch = self.collect_again(planned).await?;
            self.deliver_again(batch, planned).await?;
        }
        loop {
            self.take_view().await?;
            let batch = self.collect().await?;
            self.deliver(batch).await?;
        }
    }

    // ---- the view and the target

    /// Takes up the view as it was last materialised. Called at batch boundaries only.
    async fn take_view(&mut self) -> Result<(), Interrupt> {
        let materialized = Arc::clone(&self.spec.view.borrow_and_update());
        if self
            .view
            .as_ref()
            .is_none_or(|ready| ready.version != materialized.version)
        {
            let mut tried = Tried::default();
            let ready = loop {
                match self.prepare(&materialized).await? {
                    Ok(ready) => break ready,
                    Err(error) => self.react(&error, &mut tried).await?,
                }
            };
            self.view = Some(ready);
        }
        self.ensure_open().await
    }

    /// Compiles a view, has it mapped and readies the rows' builder.
    async fn prepare(&mut self, view: &MaterializedView) -> Result<Result<Ready, PluginError>, Interrupt> {
        let compiled = flatten::compile(&view.definition).map_err(|errors| {
            let code = errors.errors.first().map(|error| error.code.to_string());
            halt(code.as_deref().unwrap_or("DELIVERY-001"), errors.to_string())
        })?;
        let mapped = match self
            .target
            .map(&flatten::view_schema(&view.name, &compiled))
            .await
        {
            Ok(mapped) => mapped,
            Err(error) => return Ok(Err(error)),
        };
        let flattener = Flattener::new(&compiled, &mapped, self.spec.target.partial_dates)
            .map_err(|error| halt("DELIVERY-006", error.to_string()))?;
        let schema_id = self.schema_id() + 1;
        let shape = Shape {
            mapped,
            schema: flattener.schema(),
            schema_id,
        };
        Ok(Ok(Ready {
            version: view.version,
            flattener,
            shape,
            is_current: false,
        }))
    }

    /// Brings table and writer to the view's shape if they are not: a first time, for another view, after a write
    /// found that the table differs, or after the instance was given up.
    pub(super) async fn ensure_open(&mut self) -> Result<(), Interrupt> {
        let mut tried = Tried::default();
        while self.profile.is_none() || self.view.as_ref().is_some_and(|ready| !ready.is_current) {
            if let Err(error) = self.bring_up().await {
                self.react(&error, &mut tried).await?;
            }
        }
        Ok(())
    }

    async fn bring_up(&mut self) -> Result<(), PluginError> {
        let Some(ready) = &mut self.view else {
            return Ok(());
        };
        let may_add = self.spec.target.auto_evolve;
        if self.profile.is_none() {
            self.profile = Some(drift::open(&mut self.target, &ready.shape, may_add).await?);
        } else {
            drift::evolve(&mut self.target, &ready.shape, may_add).await?;
        }
        ready.is_current = true;
        self.live.set_state(LiveState::Running);
        Ok(())
    }

    /// The table differs from what was written: it is brought up before the next write.
    pub(super) fn shape_differs(&mut self) {
        if let Some(ready) = &mut self.view {
            ready.is_current = false;
            ready.shape.schema_id += 1;
        }
    }

    pub(super) fn profile(&self) -> WriterProfile {
        self.profile.clone().unwrap_or_default()
    }

    pub(super) fn schema_id(&self) -> u32 {
        self.view.as_ref().map_or(0, |ready| ready.shape.schema_id)
    }

    /// Whether a newer view waits to be taken up.
    fn is_view_stale(&self) -> bool {
        let version = self.spec.view.borrow().version;
        self.view.as_ref().is_some_and(|ready| ready.version != version)
    }

    // ---- failures

    /// Does what helps against a failure that is not about the rows of a write.
    pub(super) async fn react(&mut self, error: &PluginError, tried: &mut Tried) -> Result<(), Interrupt> {
        let decision = decide(error, *tried, 0);
        if is_instance_lost(error) {
            self.give_up_instance().await;
        }
        match decision {
            Decision::RefreshAuth => {
                tried.refreshed = true;
                self.target.refresh_auth().await;
                self.profile = None;
            }
            Decision::Evolve => tried.evolved = true,
            Decision::Again(wait) => self.wait_after(error, wait).await?,
            Decision::Recreate(wait) => {
                tried.recreated += 1;
                self.wait_after(error, wait).await?;
            }
            Decision::Halve | Decision::Isolate | Decision::SetAside | Decision::Halt => {
                return Err(Interrupt::Halt(Halt::of(error)));
            }
        }
        Ok(())
    }

    /// Keeps the error for `$status` and pauses.
    async fn wait_after(&mut self, error: &PluginError, wait: Duration) -> Result<(), Interrupt> {
        self.live.set_state(LiveState::Retrying);
        self.record_failure(&error.code, words(error)).await?;
        self.pause(wait).await
    }

    pub(super) async fn give_up_instance(&mut self) {
        self.target.discard().await;
        self.profile = None;
    }

    pub(super) async fn record_failure(&mut self, code: &str, message: String) -> Result<(), Interrupt> {
        tracing::warn!(destination = self.spec.id, code, message, "delivery failed");
        let error = LastError {
            at: Timestamp::now(),
            code: code.to_owned(),
            message,
        };
        let counters = self.pending;
        let (log, id, fence) = (Arc::clone(&self.shared.log), self.spec.id.clone(), self.fence);
        self.stored(|| log.record_failure(&id, fence, error.clone(), counters))
            .await?;
        self.pending = Counters::default();
        Ok(())
    }

    async fn persist_halt(&mut self, halt: &Halt) -> Result<(), crate::log::LogError> {
        let error = LastError {
            at: Timestamp::now(),
            code: halt.code.clone(),
            message: halt.message.clone(),
        };
        let log = &self.shared.log;
        log.record_failure(&self.spec.id, self.fence, error, self.pending)
            .await?;
        log.set_destination_state(&self.spec.id, halt.state()).await
    }

    /// Calls the store until it does not fail in passing. What was written to a target is thus never written
    /// again only because the store was away.
    pub(super) async fn stored<T, Call>(&self, call: impl Fn() -> Call) -> Result<T, Interrupt>
    where
        Call: Future<Output = Result<T, crate::log::LogError>>,
    {
        loop {
            match call().await {
                Err(error) if error.is_retryable() => {
                    tracing::warn!(destination = self.spec.id, %error, "the store fails, trying again");
                    self.pause(BACKOFF).await?;
                }
                answer => return Ok(answer?),
            }
        }
    }

    pub(super) async fn pause(&self, wait: Duration) -> Result<(), Interrupt> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Interrupt::Stopped),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    // ---- collecting

    /// Collects a batch until it is full or due.
    async fn collect(&mut self) -> Result<ChangeBatch, Interrupt> {
        let mut collector = Collector::new(self.record.offset);
        loop {
            if self.stop.is_cancelled() {
                return Err(Interrupt::Stopped);
            }
            let due = collector.due_at(&self.spec.batch, FORWARD);
            let is_due = due.is_some_and(|due| due <= Instant::now());
            if is_due || collector.is_full(&self.spec.batch) || (collector.is_empty() && self.is_view_stale())
            {
                return self.close(collector);
            }
            match self.next_change(&collector, None).await? {
                Some(change) => self.offer(&mut collector, change).await?,
                None => self.wait_for_change(due).await?,
            }
        }
    }

    /// Collects the batch that was planned before a crash: the same changes, whatever the limits are now.
    async fn collect_again(&mut self, planned: BatchBounds) -> Result<ChangeBatch, Interrupt> {
        let mut collector = Collector::new(planned.after);
        while let Some(change) = self.next_change(&collector, Some(planned.through)).await? {
            self.offer(&mut collector, change).await?;
            if collector.is_full_by_memory() {
                break;
            }
        }
        self.close(collector)
    }

    fn close(&mut self, collector: Collector) -> Result<ChangeBatch, Interrupt> {
        match &mut self.view {
            Some(ready) => Ok(collector.close(&mut ready.flattener)?),
            None => Err(Interrupt::Broken(
                "a batch was collected without a view".to_owned(),
            )),
        }
    }

    /// The next change behind what was collected; none when there is none yet.
    async fn next_change(
        &mut self,
        collector: &Collector,
        through: Option<Offset>,
    ) -> Result<Option<Arc<Change>>, Interrupt> {
        if self.unread.is_empty() {
            self.head.borrow_and_update();
            let (changes, bytes) = match through {
                Some(_) => (READ_CHANGES, READ_BYTES),
                None => collector.room(&self.spec.batch),
            };
            let bound = ReadBound {
                changes: changes.min(READ_CHANGES),
                bytes: bytes.min(READ_BYTES),
                through,
            };
            let after = collector.through();
            self.unread = self.stored(|| self.shared.tail.read(after, bound)).await?.into();
        }
        Ok(self.unread.pop_front())
    }

    async fn wait_for_change(&mut self, due: Option<Instant>) -> Result<(), Interrupt> {
        let look_again = Instant::now() + LOOK_AGAIN;
        let until = due.map_or(look_again, |due| due.min(look_again));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Interrupt::Stopped),
            changed = self.head.changed() => match changed {
                Ok(()) => Ok(()),
                Err(_) => Err(Interrupt::Log(crate::log::LogError::Closed)),
            },
            () = next_view(&mut self.spec.view) => Ok(()),
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }

    /// Takes a change into the batch, or passes over it, or keeps it for the next batch.
    async fn offer(&mut self, collector: &mut Collector, change: Arc<Change>) -> Result<(), Interrupt> {
        if !self.wants(&change).await? {
            collector.skip(&change);
            return Ok(());
        }
        match self.flatten(&change).await? {
            Ok(flat) => collector.take(&change, flat),
            Err(error) => {
                if !collector.refuse(&change, &error) {
                    self.unread.push_front(change);
                }
            }
        }
        Ok(())
    }

    async fn wants(&self, change: &Change) -> Result<bool, Interrupt> {
        let mut decision = self.shared.topics.wants(&self.spec.topic, change, None);
        if decision == topic::Decision::NeedsPrevious
            && let Some(previous) = change.previous
        {
            let previous = self
                .stored(|| self.shared.log.version(&change.version.key, previous))
                .await?;
            decision = self
                .shared
                .topics
                .wants(&self.spec.topic, change, previous.as_ref());
        }
        match decision {
            // Without the version before nobody can say no.
            topic::Decision::Wanted | topic::Decision::NeedsPrevious => Ok(true),
            topic::Decision::NotWanted => Ok(false),
            topic::Decision::NoTopic => {
                let message = format!(
                    "there is no topic `{}`; create it again, then resume",
                    self.spec.topic
                );
                Err(halt("DELIVERY-008", message))
            }
        }
    }

    async fn flatten(
        &mut self,
        change: &Change,
    ) -> Result<Result<Flattened, lakefeed_view::RowError>, Interrupt> {
        let Some(ready) = &mut self.view else {
            return Err(Interrupt::Broken("a change was taken without a view".to_owned()));
        };
        let flat = ready.flattener.append(change);
        let has_left = matches!(flat, Ok(Flattened { rows: 0, .. }));
        if !has_left || self.spec.target.on_leave == OnLeave::Nothing {
            return Ok(flat);
        }
        let Some(previous) = left_behind(change) else {
            return Ok(flat);
        };
        let key = &change.version.key;
        let Some(before) = self.stored(|| self.shared.log.version(key, previous)).await? else {
            return Ok(flat);
        };
        match &mut self.view {
            Some(ready) => Ok(ready.flattener.append_marker(&before, change)),
            None => Ok(flat),
        }
    }
}

/// Waits for another view; for ever when nobody can send one any more.
async fn next_view(view: &mut watch::Receiver<Arc<MaterializedView>>) {
    if view.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether the instance that answered so must not be called again.
pub(super) fn is_instance_lost(error: &PluginError) -> bool {
    let lost = [
        Category::PluginPanic,
        Category::PluginCrashed,
        Category::PluginContract,
        Category::Deadline,
    ];
    error.retry == Retry::RecreateInstance || lost.contains(&error.category)
}

pub(super) fn halt(code: &str, message: String) -> Interrupt {
    Interrupt::Halt(Halt {
        code: code.to_owned(),
        message,
    })
}
