//! The first half of the loop: changes are read, asked for and flattened until a batch is full or due.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::collect::{ChangeBatch, Collector, left_behind};
use super::flatten::Flattened;
use super::interrupt::Interrupt;
use super::spec::{Keeps, MaterializedView, OnLeave};
use super::worker::{Worker, halt};
use crate::change::{Change, Interaction, Offset};
use crate::log::{BatchBounds, LogError, ReadBound};
use crate::topic;

/// How long the offset may lag behind changes that were only passed over.
const FORWARD: Duration = Duration::from_secs(1);

/// How long a worker that has caught up trusts the log to wake it. A store may show a change only some time after
/// it announced it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The most changes and bytes of one read.
const READ_CHANGES: usize = 2_000;
const READ_BYTES: usize = 4 << 20;

/// After how many changes a worker lets other tasks run: making rows is work that no wait interrupts.
const TURN: usize = 64;

impl Worker {
    /// Collects a batch until it is full or due.
    pub(super) async fn collect(&mut self) -> Result<ChangeBatch, Interrupt> {
        let mut collector = Collector::new(self.record.offset, self.spec.target.keeps);
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
                Err(_) => Err(Interrupt::Log(LogError::Closed)),
            },
            () = next_view(&mut self.spec.view) => Ok(()),
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
        let mut decision = self.shared.topics.wants(&self.spec.topic, change, None);
        if decision == topic::Decision::NeedsPrevious
            && let Some(previous) = change.previous
        {
            let previous = self
                .stored(|| self.shared.log.version_to_deliver(&change.version.key, previous))
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
                    "there is no topic `{}`; create it again, then `$resume` the destination",
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
        let target = &self.spec.target;
        if target.keeps == Keeps::Newest && change.interaction() == Interaction::Delete {
            return Ok(Ok(Flattened::default()));
        }
        let flat = ready.flattener.append(change);
        let has_left = matches!(flat, Ok(Flattened { rows: 0, .. }));
        if !has_left || target.keeps == Keeps::Newest || target.on_leave == OnLeave::Nothing {
            return Ok(flat);
        }
        let Some(previous) = left_behind(change) else {
            return Ok(flat);
        };
        let key = &change.version.key;
        let Some(before) = self
            .stored(|| self.shared.log.version_to_deliver(key, previous))
            .await?
        else {
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
