//! Delivers batches, one after the other: plan, write, use the answer, ack; until every change of one is settled.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::future::{Either, select};
use lakefeed_plugin_api::{
    BatchMeta, Category, Deadline, Durability, PluginError, Refusal, Source, WriteAck,
};

use super::bisect::Spans;
use super::collect::{ChangeBatch, FlatChange};
use super::interrupt::{Halt, Interrupt, words};
use super::letter::dead_letter;
use super::retry::{BACKOFF, Decision, Tried, decide, is_outcome_unknown};
use super::take::{Taker, Turn};
use super::target::Target;
use super::worker::{Worker, halt};
use crate::batch::{WriteLimits, cut};
use crate::change::{Offset, Timestamp};
use crate::log::{Ack, BatchBounds, NewDeadLetter};
use crate::status::LiveState;

/// A batch on its way.
struct Delivery {
    batch: ChangeBatch,
    spans: Spans,
    /// Changes that the target named as refused, by their index in the batch.
    named: BTreeMap<usize, (Refusal, Arc<PluginError>)>,
    /// Whether the current span's bounds are persisted.
    is_planned: bool,
    /// Whether something of the current span may be in the target although no answer said so.
    is_unsure: bool,
    evolved: bool,
    /// Whether it was collected while no other batch was on its way.
    is_first: bool,
}

/// An ack that is still to be stored.
struct Owed {
    through: Offset,
    dead_letters: Vec<NewDeadLetter>,
    batch_done: bool,
}

/// One write of a batch: the changes, their rows and where the offset stands once they are settled.
struct Span {
    changes: Range<usize>,
    through: Offset,
}

impl Span {
    fn len(&self) -> usize {
        self.changes.len()
    }
}

impl Worker {
    /// Delivers batch after batch, each while the next one is collected, until another view is to be taken up.
    pub(super) async fn deliver_on(
        &mut self,
        batch: ChangeBatch,
        taker: &mut Taker,
    ) -> Result<(), Interrupt> {
        let mut delivery = self.begin(batch);
        // What was planned is written; what was only collected is collected again, with the newer view.
        while delivery.is_first || delivery.is_planned || !self.is_view_stale() {
            let (after, turn) = (delivery.batch.through, Turn::later());
            let collecting = Box::pin(taker.collect(after, &turn));
            let (owed, collected) = self.send_while(delivery, collecting).await?;
            delivery = match collected {
                Ok(batch) => self.settle_before(owed, batch).await?,
                Err(collecting) => {
                    self.settle(owed, None).await?;
                    turn.begin();
                    let batch = collecting.await?;
                    self.begin(batch)
                }
            };
            delivery.is_first = false;
        }
        taker.forget();
        Ok(())
    }

    /// Settles a batch while the next one is collected: what is owed for it, and the next one or its collecting as
    /// far as it has come. What went wrong with the next one waits until this one is settled.
    async fn send_while<C>(
        &mut self,
        delivery: Delivery,
        collecting: C,
    ) -> Result<(Option<Owed>, Result<C::Output, C>), Interrupt>
    where
        C: Future + Unpin,
    {
        let sending = Box::pin(self.settle_all(delivery));
        match select(sending, collecting).await {
            Either::Left((owed, collecting)) => Ok((owed?, Err(collecting))),
            Either::Right((collected, sending)) => Ok((sending.await?, Ok(collected))),
        }
    }

    /// Settles a batch, and in the same transaction plans the next one if it may be written as it is.
    async fn settle_before(
        &mut self,
        owed: Option<Owed>,
        collected: Result<ChangeBatch, Interrupt>,
    ) -> Result<Delivery, Interrupt> {
        let mut next = match collected {
            Ok(batch) => self.begin(batch),
            Err(interrupt) => {
                self.settle(owed, None).await?;
                return Err(interrupt);
            }
        };
        let bounds = match (&owed, next.current()) {
            (Some(owed), Some(span)) if !self.is_view_stale() => Some(BatchBounds {
                number: self.record.next_batch + u64::from(owed.batch_done),
                after: owed.through,
                through: span.through,
                view: self.view_version(),
            }),
            _ => None,
        };
        self.settle(owed, bounds).await?;
        next.is_planned = bounds.is_some();
        Ok(next)
    }

    async fn settle(&mut self, owed: Option<Owed>, next: Option<BatchBounds>) -> Result<(), Interrupt> {
        match owed {
            Some(owed) => self.store_ack(owed, next).await,
            None => Ok(()),
        }
    }

    /// Cuts a batch into as many writes as the target's limits ask for.
    fn begin(&self, batch: ChangeBatch) -> Delivery {
        let limits = WriteLimits {
            rows: usize::MAX,
            bytes: match self.profile().max_bytes {
                0 => usize::MAX,
                bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
            },
        };
        let spans = Spans::new(cut(&batch.sizes(), &limits));
        Delivery {
            batch,
            spans,
            named: BTreeMap::new(),
            is_planned: false,
            is_unsure: false,
            evolved: false,
            is_first: true,
        }
    }

    /// Delivers the batch that was planned before a crash, whole and under its number.
    pub(super) async fn deliver_again(
        &mut self,
        mut batch: ChangeBatch,
        planned: BatchBounds,
    ) -> Result<(), Interrupt> {
        self.record.next_batch = planned.number;
        if batch.through < planned.through && !batch.is_cut_short {
            // Changes at the end are gone from the log, which the store does not do. The bounds stand.
            batch.through = planned.through;
        }
        let whole = 0..batch.written.len();
        if !self.profile().idempotent {
            self.pending.possible_duplicates += whole.len() as u64;
        }
        let is_planned = !batch.is_cut_short;
        if batch.is_cut_short {
            self.retire_number(true).await?;
        }
        let owed = self
            .settle_all(Delivery {
                batch,
                spans: Spans::new(std::iter::once(whole).collect()),
                named: BTreeMap::new(),
                is_planned,
                is_unsure: true,
                evolved: false,
                is_first: true,
            })
            .await?;
        self.settle(owed, None).await
    }

    /// Settles every change of a batch; the ack of the last of them is left to the caller, and owed at once.
    async fn settle_all(&mut self, mut delivery: Delivery) -> Result<Option<Owed>, Interrupt> {
        while let Some(span) = delivery.current() {
            let settled = match delivery.named.remove(&span.changes.start) {
                Some((refusal, error)) if span.len() == 1 => {
                    self.set_aside(&mut delivery, &span, &refusal, &error).await
                }
                _ => self.write(&mut delivery, &span).await,
            };
            let owed = match settled {
                Ok(owed) => owed,
                Err(interrupt) => return Err(self.leave(&mut delivery, interrupt).await),
            };
            match delivery.current() {
                None if owed.is_some() => return Ok(owed),
                _ => self.settle(owed, None).await?,
            }
        }
        let is_unsettled = self.record.offset < delivery.batch.through || delivery.is_planned;
        let through = delivery.batch.through;
        Ok(is_unsettled.then(|| self.owe(&mut delivery, through, Vec::new())))
    }

    /// Leaves a delivery that was interrupted. Where nothing can be in the target its bounds are given up: they would say
    /// that it may be, and whoever goes on would count what is then written as perhaps there twice.
    async fn leave(&mut self, delivery: &mut Delivery, interrupt: Interrupt) -> Interrupt {
        let is_asked = matches!(interrupt, Interrupt::Halt(_) | Interrupt::Stopped);
        if !is_asked || delivery.is_unsure {
            return interrupt;
        }
        self.retire(delivery).await.err().unwrap_or(interrupt)
    }

    /// Writes a span until it is settled in part or whole, or must be cut.
    async fn write(&mut self, delivery: &mut Delivery, span: &Span) -> Result<Option<Owed>, Interrupt> {
        self.plan(delivery, span).await?;
        let mut tried = Tried {
            evolved: delivery.evolved,
            ..Tried::default()
        };
        let (rows, change_starts) = delivery.batch.slice(&span.changes);
        for attempt in 1_u32.. {
            self.ensure_open().await?;
            let meta = self.meta(delivery, span, attempt, change_starts.clone());
            let changes = &delivery.batch.written[span.changes.clone()];
            let error = match self.attempt(rows.clone(), &meta, changes).await {
                Ok(ack) => return self.acknowledge(delivery, span, ack).await,
                Err(error) => error,
            };
            match decide(&error, tried, span.len()) {
                Decision::Halve => return self.halve(delivery).await.map(|()| None),
                Decision::Isolate => return self.isolate(delivery, span, &error).await.map(|()| None),
                Decision::SetAside => {
                    let refusal = refusal_of(&error);
                    return self.set_aside(delivery, span, &refusal, &error).await;
                }
                Decision::Evolve => {
                    (tried.evolved, delivery.evolved) = (true, true);
                    self.shape_differs();
                }
                _ => {
                    delivery.is_unsure |= is_outcome_unknown(&error);
                    self.react_to_write(&error, &mut tried, span).await?;
                }
            }
        }
        Ok(None)
    }

    /// Persists the bounds of what is written next, so that after a crash exactly that is written again.
    async fn plan(&mut self, delivery: &mut Delivery, span: &Span) -> Result<(), Interrupt> {
        if delivery.is_planned {
            return Ok(());
        }
        let bounds = BatchBounds {
            number: self.record.next_batch,
            after: self.record.offset,
            through: span.through,
            view: self.view_version(),
        };
        self.stored(|| self.shared.log.plan_batch(&self.spec.id, self.fence, bounds))
            .await?;
        delivery.is_planned = true;
        Ok(())
    }

    /// One attempt; what is only accepted is flushed before it counts.
    async fn attempt(
        &mut self,
        rows: RecordBatch,
        meta: &BatchMeta,
        changes: &[FlatChange],
    ) -> Result<WriteAck, PluginError> {
        self.live.write_begins(meta.changes());
        self.pending.attempts += meta.changes() as u64;
        let ack = self.target.write(rows, meta, changes).await?;
        if ack.durability == Durability::Durable {
            return Ok(ack);
        }
        match self.target.flush().await? {
            Some(watermark) if watermark.batch_number >= meta.batch_number => Ok(ack),
            _ => Err(PluginError::new(
                Category::RemoteUnavailable,
                "DELIVERY-007",
                "the writer accepted the batch and did not make it durable",
            )
            .outcome_unknown()),
        }
    }

    async fn react_to_write(
        &mut self,
        error: &PluginError,
        tried: &mut Tried,
        span: &Span,
    ) -> Result<(), Interrupt> {
        if is_outcome_unknown(error) && !self.profile().idempotent {
            self.pending.possible_duplicates += span.len() as u64;
        }
        self.react(error, tried).await
    }

    async fn halve(&mut self, delivery: &mut Delivery) -> Result<(), Interrupt> {
        delivery.spans.halve();
        self.retire(delivery).await
    }

    async fn isolate(
        &mut self,
        delivery: &mut Delivery,
        span: &Span,
        error: &PluginError,
    ) -> Result<(), Interrupt> {
        let within = |refusal: &&Refusal| refusal.change < span.len() as u64;
        let named: Vec<&Refusal> = error.refused.iter().filter(within).collect();
        if named.is_empty() {
            // The names are not of this batch: as good as none.
            return self.halve(delivery).await;
        }
        let reason = Arc::new(PluginError {
            refused: Vec::new(),
            ..error.clone()
        });
        let mut indices = Vec::new();
        for refusal in named {
            let index = position(refusal);
            indices.push(index);
            delivery
                .named
                .insert(span.changes.start + index, (refusal.clone(), Arc::clone(&reason)));
        }
        delivery.spans.isolate(&indices);
        self.retire(delivery).await
    }

    /// Gives up the number of a write that certainly left nothing, so that a number never means two contents.
    async fn retire(&mut self, delivery: &mut Delivery) -> Result<(), Interrupt> {
        self.retire_number(delivery.is_planned).await?;
        delivery.is_planned = false;
        Ok(())
    }

    async fn retire_number(&mut self, is_planned: bool) -> Result<(), Interrupt> {
        if is_planned {
            let owed = Owed {
                through: self.record.offset,
                dead_letters: Vec::new(),
                batch_done: true,
            };
            self.store_ack(owed, None).await?;
        }
        Ok(())
    }

    /// Uses a writer's good answer: what is durable is acked, what it refused is set aside with it.
    async fn acknowledge(
        &mut self,
        delivery: &mut Delivery,
        span: &Span,
        ack: WriteAck,
    ) -> Result<Option<Owed>, Interrupt> {
        let prefix = usize::try_from(ack.durable_prefix).unwrap_or(usize::MAX);
        check_answer(&ack, prefix, span)?;
        let settled = span.changes.start..span.changes.start + prefix;
        let through = match prefix == span.len() {
            true => span.through,
            false => delivery.batch.written[settled.end - 1].change.offset,
        };
        let refused: BTreeMap<usize, &Refusal> = ack
            .refused
            .iter()
            .map(|refusal| (settled.start + position(refusal), refusal))
            .collect();
        let (letters, held) = self.refused_letters(delivery, &settled, &refused);
        let kept = settled.clone().filter(|index| !refused.contains_key(index));
        let counters = delivery.batch.delivered(kept);
        self.live.write_ended(counters.delivered);
        self.pending += counters;
        self.pending.batches += 1;
        let owed = self.owe(delivery, through, letters);
        delivery.spans.done(prefix);
        delivery.is_unsure = false;
        let Some(halt) = held else {
            return Ok(Some(owed));
        };
        self.store_ack(owed, None).await?;
        Err(Interrupt::Halt(halt))
    }

    /// The dead letters of changes that a writer refused while it wrote the others, and whether the brake holds.
    fn refused_letters(
        &mut self,
        delivery: &Delivery,
        settled: &Range<usize>,
        refused: &BTreeMap<usize, &Refusal>,
    ) -> (Vec<NewDeadLetter>, Option<Halt>) {
        let (mut letters, mut held) = (Vec::new(), None);
        for index in settled.clone() {
            match refused.get(&index) {
                None => self.brake.release(),
                Some(refusal) => {
                    letters.push(dead_letter(&delivery.batch, index, settled.start, refusal, ""));
                    if self.brake.holds(&refusal.code) {
                        held = Some(self.bad_target(&refusal.code, "the target refuses rows"));
                    }
                }
            }
        }
        (letters, held)
    }

    /// Sets one refused change aside, unless so many were refused in a row that the target must be at fault.
    async fn set_aside(
        &mut self,
        delivery: &mut Delivery,
        span: &Span,
        refusal: &Refusal,
        error: &PluginError,
    ) -> Result<Option<Owed>, Interrupt> {
        if self.brake.holds(&refusal.code) {
            return Err(Interrupt::Halt(self.bad_target(&refusal.code, &words(error))));
        }
        self.record_failure(&refusal.code, words(error)).await?;
        let mut letter = dead_letter(
            &delivery.batch,
            span.changes.start,
            span.changes.start,
            refusal,
            &error.detail,
        );
        letter.message = words(error);
        let owed = self.owe(delivery, span.through, vec![letter]);
        delivery.spans.done(1);
        Ok(Some(owed))
    }

    fn bad_target(&self, code: &str, reason: &str) -> Halt {
        let count = self.spec.target.max_consecutive_refusals;
        let message = format!(
            "{count} changes in a row were refused with code {code}: {reason}; mend the target, then `$resume` the destination"
        );
        Halt {
            code: "DELIVERY-010".to_owned(),
            message,
        }
    }

    /// The ack through an offset, with everything that is settled up to there.
    fn owe(&mut self, delivery: &mut Delivery, through: Offset, mut letters: Vec<NewDeadLetter>) -> Owed {
        self.pending.dead_letters += letters.len() as u64;
        let (counters, by_view) = delivery.batch.take_settled(through);
        self.pending += counters;
        letters.extend(by_view);
        letters.sort_by_key(|letter| letter.offset);
        if let Some(last) = letters.last() {
            let (changes, code, reason) = (letters.len(), &last.code, &last.message);
            tracing::warn!(
                destination = self.spec.id,
                changes,
                code,
                reason,
                "set aside; see `$dead-letters`"
            );
        }
        Owed {
            through,
            dead_letters: letters,
            batch_done: std::mem::take(&mut delivery.is_planned),
        }
    }

    /// Stores an ack, and with it what is planned next.
    async fn store_ack(&mut self, owed: Owed, next: Option<BatchBounds>) -> Result<(), Interrupt> {
        let ack = Ack {
            through: owed.through,
            counters: self.pending,
            dead_letters: owed.dead_letters,
            batch_done: owed.batch_done,
            next,
            at: Timestamp::now(),
        };
        while let Err(error) = self.shared.log.ack(&self.spec.id, self.fence, ack.clone()).await {
            if !error.is_retryable() {
                return Err(error.into());
            }
            tracing::warn!(destination = self.spec.id, %error, "the store fails to ack, trying again");
            self.pause(BACKOFF).await?;
            if self.is_acked(&ack).await? {
                break;
            }
        }
        self.pending = crate::log::Counters::default();
        self.record.offset = ack.through;
        self.record.next_batch += u64::from(ack.batch_done);
        self.live.set_state(LiveState::Running);
        Ok(())
    }

    /// Whether an ack that failed took effect all the same, as one may whose answer was lost.
    async fn is_acked(&self, ack: &Ack) -> Result<bool, Interrupt> {
        let record = self.stored(|| self.shared.log.destination(&self.spec.id)).await?;
        Ok(record.is_some_and(|record| {
            let is_retired = !ack.batch_done || record.next_batch > self.record.next_batch;
            is_retired && record.offset >= ack.through && record.uuid == self.record.uuid
        }))
    }

    fn meta(&self, delivery: &Delivery, span: &Span, attempt: u32, change_starts: Vec<u64>) -> BatchMeta {
        let offset = |index: Option<usize>| {
            index.map_or(0, |index| delivery.batch.written[index].change.offset.sequence)
        };
        let (destination, generation) = (self.record.uuid.to_string(), self.record.generation);
        let number = self.record.next_batch;
        BatchMeta {
            idempotency_key: format!("{destination}-{generation}-{number}"),
            destination,
            generation,
            batch_number: number,
            attempt,
            first_offset: offset(span.changes.clone().next()),
            last_offset: offset(span.changes.clone().next_back()),
            source: Source::Live,
            schema_id: self.schema_id(),
            change_starts,
            deadline: Deadline::after(self.target.limit()),
            traceparent: String::new(),
        }
    }
}

impl Delivery {
    /// What is written or set aside next.
    fn current(&self) -> Option<Span> {
        let changes = self.spans.current()?;
        let through = match self.spans.is_last() {
            true => self.batch.through,
            false => self.batch.written[changes.end - 1].change.offset,
        };
        Some(Span { changes, through })
    }
}

/// A writer that says what cannot be is not trusted with the offset.
fn check_answer(ack: &WriteAck, prefix: usize, span: &Span) -> Result<(), Interrupt> {
    let is_outside = |refusal: &Refusal| refusal.change >= ack.durable_prefix;
    if prefix == 0 || prefix > span.len() || ack.refused.iter().any(is_outside) {
        let message = format!(
            "the writer answered {} of {} changes durable and {} refused, which cannot be; it breaks the contract",
            ack.durable_prefix,
            span.len(),
            ack.refused.len()
        );
        return Err(halt("DELIVERY-005", message));
    }
    Ok(())
}

fn position(refusal: &Refusal) -> usize {
    usize::try_from(refusal.change).unwrap_or(usize::MAX)
}

/// What the target said of the one change that it was given.
fn refusal_of(error: &PluginError) -> Refusal {
    error.refused.first().cloned().unwrap_or_else(|| Refusal {
        change: 0,
        row: None,
        column: String::new(),
        code: error.code.clone(),
        message: String::new(),
    })
}
