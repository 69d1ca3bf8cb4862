//! The first half of the loop: changes are read, asked for and flattened until a batch is full or due.
//!
//! It owns nothing that the second half writes to, so that a batch is collected while the one before it is sent, and
//! changes are read while those before them are flattened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::collect::{ChangeBatch, Collector, left_behind};
use super::flatten::{Flattened, Flattener};
use super::interrupt::Interrupt;
use super::spec::{DestinationSpec, Keeps, MaterializedView, OnLeave};
use super::worker::{Shared, halt, stored};
use crate::change::{AtHand, Change, Interaction, Offset, ResourceKey, Version};
use crate::log::{BatchBounds, LogError, ReadBound};
use crate::topic;

/// How long the offset may lag behind changes that were only passed over.
const FORWARD: Duration = Duration::from_secs(1);

/// How long a worker that has caught up trusts the log to wake it. A store may show a change only some time after
/// it announced it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The most changes and bytes of one read; as much again may be read ahead.
const READ_CHANGES: usize = 2_048;
const READ_BYTES: usize = 2 << 20;

/// How often a topic is asked about a change: with the version before, and with what references lead to, hop by hop.
const ROUNDS: usize = 8;

/// After how many changes a worker lets other tasks run: making rows is work that no wait interrupts.
const TURN: usize = 64;

/// Takes changes from the log and makes batches of them.
pub(super) struct Taker {
    spec: DestinationSpec,
    shared: Arc<Shared>,
    stop: CancellationToken,
    head: watch::Receiver<Offset>,
    /// Read and not yet taken; directly behind the offset or the batch that is being collected.
    unread: VecDeque<Arc<Change>>,
    /// The read of what lies behind those.
    ahead: Option<Ahead>,
    rows: Option<Rows>,
}

/// Who makes rows, and with which version of the view.
struct Rows {
    flattener: Flattener,
    version: u64,
}

/// A read that is under way.
struct Ahead {
    after: Offset,
    read: AbortOnDropHandle<Result<Vec<Arc<Change>>, LogError>>,
}

/// Whether the target is free for the next batch. While another one is sent there is no hurry to close a batch before
/// it is full: it could not be sent.
#[derive(Clone)]
pub(super) struct Turn(CancellationToken);

impl Turn {
    /// The target is busy until [`begin`](Self::begin).
    pub(super) fn later() -> Self {
        Self(CancellationToken::new())
    }

    /// The target is free.
    pub(super) fn mine() -> Self {
        let turn = Self::later();
        turn.begin();
        turn
    }

    /// The target is free from now on.
    pub(super) fn begin(&self) {
        self.0.cancel();
    }

    fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Taker {
    /// One that has read nothing and has no view yet.
    pub(super) fn new(spec: &DestinationSpec, shared: &Arc<Shared>, stop: &CancellationToken) -> Self {
        Self {
            head: shared.log.head(),
            spec: spec.clone(),
            shared: Arc::clone(shared),
            stop: stop.clone(),
            unread: VecDeque::new(),
            ahead: None,
            rows: None,
        }
    }

    /// From now on rows are made so.
    pub(super) fn make_rows_with(&mut self, flattener: Flattener, version: u64) {
        self.spec.view.mark_unchanged();
        self.rows = Some(Rows { flattener, version });
    }

    /// Forgets what was read: the next batch begins elsewhere.
    pub(super) fn forget(&mut self) {
        self.unread.clear();
        self.ahead = None;
    }

    /// Whether a newer view waits to be taken up.
    fn is_view_stale(&self) -> bool {
        let version = self.spec.view.borrow().version;
        self.rows.as_ref().is_some_and(|rows| rows.version != version)
    }

    /// Collects a batch until it is full, or due and its turn has come, or until another view is to be taken up.
    pub(super) async fn collect(&mut self, after: Offset, turn: &Turn) -> Result<ChangeBatch, Interrupt> {
        let mut collector = Collector::new(after, self.spec.target.keeps);
        loop {
            if self.stop.is_cancelled() {
                return Err(Interrupt::Stopped);
            }
            let due = collector.due_at(&self.spec.batch, FORWARD);
            let is_due = turn.has_begun() && due.is_some_and(|due| due <= Instant::now());
            if is_due || collector.is_full(&self.spec.batch) || self.is_view_stale() {
                return self.close(collector);
            }
            match self.next_change(&collector, None).await? {
                Some(change) => self.offer(&mut collector, change).await?,
                None => self.wait_for_change(due, turn).await?,
            }
        }
    }

    /// Collects the batch that was planned before a crash: the same changes, whatever the limits are now.
    pub(super) async fn collect_again(&mut self, planned: BatchBounds) -> Result<ChangeBatch, Interrupt> {
        let mut collector = Collector::new(planned.after, self.spec.target.keeps);
        while let Some(change) = self.next_change(&collector, Some(planned.through)).await? {
            self.offer(&mut collector, change).await?;
            if collector.is_full_by_memory() {
                break;
            }
        }
        self.close(collector)
    }

    fn close(&mut self, collector: Collector) -> Result<ChangeBatch, Interrupt> {
        match &mut self.rows {
            Some(rows) => Ok(collector.close(&mut rows.flattener)?),
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
            self.unread = self.read(collector.through(), through).await?.into();
        }
        Ok(self.unread.pop_front())
    }

    /// Reads what lies behind an offset, and begins to read on where there is more.
    async fn read(&mut self, after: Offset, through: Option<Offset>) -> Result<Vec<Arc<Change>>, Interrupt> {
        let head = *self.head.borrow_and_update();
        let bound = ReadBound {
            changes: READ_CHANGES,
            bytes: READ_BYTES,
            through,
        };
        let changes = match self.ahead.take() {
            Some(ahead) if ahead.after == after && through.is_none() => ahead.finish().await,
            _ => None,
        };
        let changes = match changes {
            Some(changes) => changes,
            None => {
                let read = || self.shared.tail.read(after, bound);
                stored(&self.spec.id, &self.stop, read).await?
            }
        };
        self.ahead = changes
            .last()
            .filter(|last| last.offset < head && through.is_none())
            .map(|last| Ahead::begin(&self.shared, last.offset, bound));
        Ok(changes)
    }

    async fn wait_for_change(&mut self, due: Option<Instant>, turn: &Turn) -> Result<(), Interrupt> {
        let look_again = Instant::now() + LOOK_AGAIN;
        let due = due.filter(|_| turn.has_begun());
        let until = due.map_or(look_again, |due| due.min(look_again));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Interrupt::Stopped),
            changed = self.head.changed() => match changed {
                Ok(()) => Ok(()),
                Err(_) => Err(Interrupt::Log(LogError::Closed)),
            },
            () = next_view(&mut self.spec.view) => Ok(()),
            () = turn.0.cancelled(), if !turn.has_begun() => Ok(()),
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }

    /// Takes a change into the batch, or passes over it, or keeps it for the next batch.
    async fn offer(&mut self, collector: &mut Collector, change: Arc<Change>) -> Result<(), Interrupt> {
        if self.unread.len().is_multiple_of(TURN) {
            tokio::task::yield_now().await;
        }
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
        let (topics, topic) = (&self.shared.topics, &self.spec.topic);
        let mut previous = None;
        let mut others = AtHand::default();
        for _ in 0..ROUNDS {
            match topics.wants(topic, change, previous.as_ref(), &others) {
                topic::Decision::Wanted => return Ok(true),
                topic::Decision::NotWanted => return Ok(false),
                topic::Decision::NeedsPrevious => {
                    previous = self.previous(change).await?;
                    if previous.is_none() {
                        break;
                    }
                }
                topic::Decision::NeedsOthers(keys) => self.read_others(keys, &mut others).await?,
                topic::Decision::NoTopic => {
                    let message = format!(
                        "there is no topic `{topic}`; create it again, then `$resume` the destination"
                    );
                    return Err(halt("DELIVERY-008", message));
                }
            }
        }
        // Without what is needed nobody can say no.
        Ok(true)
    }

    /// The version before a change's, if it is still there.
    async fn previous(&self, change: &Change) -> Result<Option<Version>, Interrupt> {
        let Some(previous) = change.previous else {
            return Ok(None);
        };
        let read = || self.shared.log.version_to_deliver(&change.version.key, previous);
        stored(&self.spec.id, &self.stop, read).await
    }

    /// Reads the resources, as they are now, that a change refers to.
    async fn read_others(&self, keys: Vec<ResourceKey>, others: &mut AtHand) -> Result<(), Interrupt> {
        for key in keys {
            let read = || self.shared.log.current_to_deliver(&key);
            let newest = stored(&self.spec.id, &self.stop, read).await?;
            others.put(key, newest);
        }
        Ok(())
    }

    async fn flatten(
        &mut self,
        change: &Change,
    ) -> Result<Result<Flattened, lakefeed_view::RowError>, Interrupt> {
        let Some(rows) = &mut self.rows else {
            return Err(Interrupt::Broken("a change was taken without a view".to_owned()));
        };
        let target = &self.spec.target;
        if target.keeps == Keeps::Newest && change.interaction() == Interaction::Delete {
            return Ok(Ok(Flattened::default()));
        }
        let flat = rows.flattener.append(change);
        let has_left = matches!(flat, Ok(Flattened { rows: 0, .. }));
        if !has_left || target.keeps == Keeps::Newest || target.on_leave == OnLeave::Nothing {
            return Ok(flat);
        }
        let Some(previous) = left_behind(change) else {
            return Ok(flat);
        };
        let key = &change.version.key;
        let read = || self.shared.log.version_to_deliver(key, previous);
        let Some(before) = stored(&self.spec.id, &self.stop, read).await? else {
            return Ok(flat);
        };
        Ok(rows.flattener.append_marker(&before, change))
    }
}

impl Ahead {
    fn begin(shared: &Arc<Shared>, after: Offset, bound: ReadBound) -> Self {
        let shared = Arc::clone(shared);
        let read = tokio::spawn(async move { shared.tail.read(after, bound).await });
        Self {
            after,
            read: AbortOnDropHandle::new(read),
        }
    }

    /// What was read; none when the read failed and must be made anew, or found nothing.
    async fn finish(self) -> Option<Vec<Arc<Change>>> {
        let changes = self.read.await.ok()?.ok()?;
        (!changes.is_empty()).then_some(changes)
    }
}

/// Waits for another view; for ever when nobody can send one any more.
async fn next_view(view: &mut watch::Receiver<Arc<MaterializedView>>) {
    if view.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
