//! One destination's loop: take the view, collect a batch, deliver it while the next one is collected, until something
//! ends it.

use std::sync::Arc;
use std::time::Duration;

use lakefeed_plugin_api::{Category, PluginError, Retry, WriterProfile};
use tokio_util::sync::CancellationToken;

use super::brake::Brake;
use super::drift::{self, Shape};
use super::flatten::{self, Flattener};
use super::interrupt::{Halt, Interrupt, words};
use super::retry::{BACKOFF, Decision, Tried, decide};
use super::spec::{DestinationSpec, MaterializedView};
use super::tail::TailReader;
use super::take::{Taker, Turn};
use super::target::{Target, Targets};
use super::timed::Timed;
use crate::change::Timestamp;
use crate::log::{Counters, DestinationRecord, DestinationState, Fence, LastError, Log, LogError};
use crate::status::{Live, LiveState};
use crate::topic::Topics;

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
    view: Option<Ready>,
    /// What the writer said when it was opened; none while it is not open.
    profile: Option<WriterProfile>,
}

/// A view, ready to be written in.
struct Ready {
    version: u64,
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
            spec,
            shared,
            live,
            stop,
            target,
            fence,
            record,
            pending: Counters::default(),
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
        let mut taker = Taker::new(&self.spec, &self.shared, &self.stop);
        if let Some(planned) = self.record.planned {
            self.take_planned_view(planned.view, &mut taker).await?;
            let batch = taker.collect_again(planned).await?;
            self.deliver_again(batch, planned).await?;
        }
        loop {
            self.take_view(&mut taker).await?;
            let batch = taker.collect(self.record.offset, &Turn::mine()).await?;
            self.deliver_on(batch, &mut taker).await?;
        }
    }

    // ---- the view and the target

    /// Takes up the view as it was last materialised. Called at batch boundaries only.
    async fn take_view(&mut self, taker: &mut Taker) -> Result<(), Interrupt> {
        let newest = Arc::clone(&self.spec.view.borrow_and_update());
        self.take_up(&newest, taker).await
    }

    /// Takes up the view that a batch was planned with. A writer that has the batch answers for the rows that this
    /// view made; those of another one would be counted and lost.
    async fn take_planned_view(&mut self, version: u64, taker: &mut Taker) -> Result<(), Interrupt> {
        let newest = Arc::clone(&self.spec.view.borrow_and_update());
        let planned = newest.in_version(version);
        if planned.is_none() && version != 0 {
            self.record_failure("DELIVERY-013", gone_view(&newest, version))
                .await?;
        }
        self.take_up(planned.as_ref().unwrap_or(&newest), taker).await
    }

    async fn take_up(&mut self, materialized: &MaterializedView, taker: &mut Taker) -> Result<(), Interrupt> {
        if self
            .view
            .as_ref()
            .is_none_or(|ready| ready.version != materialized.version)
        {
            let mut tried = Tried::default();
            let (ready, flattener) = loop {
                match self.prepare(materialized).await? {
                    Ok(ready) => break ready,
                    Err(error) => self.react(&error, &mut tried).await?,
                }
            };
            self.view = Some(ready);
            taker.make_rows_with(flattener, materialized.version);
        }
        self.ensure_open().await
    }

    /// Compiles a view, has it mapped and readies the rows' builder.
    async fn prepare(
        &mut self,
        view: &MaterializedView,
    ) -> Result<Result<(Ready, Flattener), PluginError>, Interrupt> {
        let compiled = flatten::compile(&view.definition).map_err(|errors| {
            let code = errors.errors.first().map(|error| error.code.to_string());
            halt(code.as_deref().unwrap_or("DELIVERY-001"), errors.to_string())
        })?;
        let mapped = match self
            .target
            .map(&flatten::view_schema(
                &view.name,
                &compiled,
                self.spec.target.keeps,
            ))
            .await
        {
            Ok(mapped) => mapped,
            Err(error) => return Ok(Err(error)),
        };
        let flattener = Flattener::new(
            &compiled,
            &mapped,
            self.spec.target.partial_dates,
            self.spec.target.keeps,
        )
        .map_err(|error| halt("DELIVERY-006", error.to_string()))?;
        let schema_id = self.schema_id() + 1;
        let shape = Shape {
            mapped,
            schema: flattener.schema(),
            schema_id,
        };
        let ready = Ready {
            version: view.version,
            shape,
            is_current: false,
        };
        Ok(Ok((ready, flattener)))
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

    /// The version of the view that rows are made with; 0 before there is one.
    pub(super) fn view_version(&self) -> u64 {
        self.view.as_ref().map_or(0, |ready| ready.version)
    }

    /// Whether a newer view waits to be taken up.
    pub(super) fn is_view_stale(&self) -> bool {
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

    async fn persist_halt(&mut self, halt: &Halt) -> Result<(), LogError> {
        let error = LastError {
            at: Timestamp::now(),
            code: halt.code.clone(),
            message: halt.message.clone(),
        };
        let log = &self.shared.log;
        log.record_failure(&self.spec.id, self.fence, error, self.pending)
            .await?;
        log.halt_destination(&self.spec.id, &halt.code, &halt.message)
            .await
    }

    pub(super) async fn stored<T, Call>(&self, call: impl Fn() -> Call) -> Result<T, Interrupt>
    where
        Call: Future<Output = Result<T, LogError>>,
    {
        stored(&self.spec.id, &self.stop, call).await
    }

    pub(super) async fn pause(&self, wait: Duration) -> Result<(), Interrupt> {
        pause(&self.stop, wait).await
    }
}

/// Calls the store until it does not fail in passing. What was written to a target is thus never written again only
/// because the store was away.
pub(super) async fn stored<T, Call>(
    destination: &str,
    stop: &CancellationToken,
    call: impl Fn() -> Call,
) -> Result<T, Interrupt>
where
    Call: Future<Output = Result<T, LogError>>,
{
    loop {
        match call().await {
            Err(error) if error.is_retryable() => {
                tracing::warn!(destination, %error, "the store fails, trying again");
                pause(stop, BACKOFF).await?;
            }
            answer => return Ok(answer?),
        }
    }
}

async fn pause(stop: &CancellationToken, wait: Duration) -> Result<(), Interrupt> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Interrupt::Stopped),
        () = tokio::time::sleep(wait) => Ok(()),
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

fn gone_view(newest: &MaterializedView, version: u64) -> String {
    format!(
        "a batch was planned with version {version} of view `{}`, which is gone, and is written again with version {}; \
         changes on which the two differ may be missing, rewind to before the batch to have them",
        newest.name, newest.version
    )
}

pub(super) fn halt(code: &str, message: String) -> Interrupt {
    Interrupt::Halt(Halt {
        code: code.to_owned(),
        message,
    })
}
