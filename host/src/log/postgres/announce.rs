//! Moves the head on after each commit, and answers the calls that were committed.
//!
//! What was committed may still be hidden from readers by an older transaction. The head names only what readers can be
//! given; while something is hidden this asks again and again, and says who holds it back when that takes long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::horizon;
use super::shared::Shared;
use super::url::{READER, within};
use super::writer::Answer;
use crate::change::Offset;

/// How many commits may wait to be announced.
pub(super) const QUEUE: usize = 64;
/// How long to wait before asking again while something is hidden: at first, and at most.
const SOON: Duration = Duration::from_millis(5);
const LATER: Duration = Duration::from_millis(100);
/// How often it is asked what others have committed.
const IDLE: Duration = Duration::from_secs(1);
/// How long the answers of a commit wait for the head.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is asked who holds changes back.
const BLAME: Duration = Duration::from_secs(10);
/// How many hidden offsets are remembered. What is forgotten is found when it is asked what others have committed.
const MOST_HIDDEN: usize = 1_024;
/// How often the same transaction is named in the log.
const REPEAT: Duration = Duration::from_secs(60);

/// A commit.
pub(super) struct Committed {
    /// Where its newest change is; none where it made none.
    pub(super) newest: Option<Offset>,
    /// The answers of its calls.
    pub(super) answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Committed {
    /// Answers its calls. That nobody waits any more is no failure: the call took effect all the same.
    pub(super) fn answer(self) {
        for (call, answer) in self.answers {
            call.send(answer).ok();
        }
    }
}

/// Announces commits.
pub(super) struct Announcer {
    shared: Arc<Shared>,
    committed: mpsc::Receiver<Committed>,
    head: watch::Sender<Offset>,
    connection: Option<PgConnection>,
    /// What was committed here and is still hidden.
    hidden: BTreeSet<Offset>,
    hidden_since: Option<Instant>,
    asked_others: Instant,
    asked_who: Option<Instant>,
    pause: Duration,
    warned: Option<(Instant, String)>,
}

impl Announcer {
    pub(super) fn new(
        shared: Arc<Shared>,
        committed: mpsc::Receiver<Committed>,
        head: Offset,
    ) -> (Self, watch::Receiver<Offset>) {
        let (head, receiver) = watch::channel(head);
        let announcer = Self {
            shared,
            committed,
            head,
            connection: None,
            hidden: BTreeSet::new(),
            hidden_since: None,
            asked_others: Instant::now(),
            asked_who: None,
            pause: SOON,
            warned: None,
        };
        (announcer, receiver)
    }

    /// Announces until the writers have ended.
    pub(super) async fn run(mut self) {
        loop {
            let wait = if self.hidden.is_empty() { IDLE } else { self.pause };
            let mut commits = Vec::new();
            match tokio::time::timeout(wait, self.committed.recv()).await {
                Ok(Some(first)) => {
                    commits.push(first);
                    self.pause = SOON;
                }
                Ok(None) => break,
                Err(_) => self.pause = (self.pause * 2).min(LATER),
            }
            while let Ok(more) = self.committed.try_recv() {
                commits.push(more);
            }
            hide(
                &mut self.hidden,
                commits.iter().filter_map(|commit| commit.newest),
            );
            if within(LOOK, self.look()).await.is_err() {
                self.connection = None;
            }
            for commit in commits {
                commit.answer();
            }
            self.blame().await;
        }
        if let Some(connection) = self.connection {
            // It only read.
            connection.close().await.ok();
        }
    }

    /// Asks what readers can be given now, and moves the head there.
    async fn look(&mut self) -> Result<(), sqlx::Error> {
        if self.hidden.is_empty() && self.asked_others.elapsed() < IDLE {
            return Ok(());
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.shared.url.connect(READER).await?,
        };
        if self.asked_others.elapsed() >= IDLE {
            self.asked_others = Instant::now();
            let newest = horizon::newest(&mut connection).await?;
            self.move_to(newest);
        }
        let horizon = horizon::read(&mut connection).await?;
        self.connection = Some(connection);
        let first_hidden = Offset {
            transaction: horizon,
            sequence: 0,
        };
        let still_hidden = self.hidden.split_off(&first_hidden);
        let shown = std::mem::replace(&mut self.hidden, still_hidden);
        if let Some(newest) = shown.last() {
            self.move_to(*newest);
        }
        if self.hidden.is_empty() || !shown.is_empty() {
            self.hidden_since = None;
        }
        if !self.hidden.is_empty() {
            self.hidden_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn move_to(&self, newest: Offset) {
        self.head.send_if_modified(|head| {
            let is_newer = newest > *head;
            *head = newest.max(*head);
            is_newer
        });
    }

    /// Says in the log who holds changes back, once in a while.
    async fn blame(&mut self) {
        let is_long = self
            .hidden_since
            .is_some_and(|since| since.elapsed() > horizon::GRACE);
        let was_asked = self.asked_who.is_some_and(|at| at.elapsed() < BLAME);
        let (true, false, Some(connection)) = (is_long, was_asked, &mut self.connection) else {
            return;
        };
        // Also where no answer comes: the server may go on at it when nobody waits any more.
        self.asked_who = Some(Instant::now());
        let now = (self.shared.clock)();
        let held = within(LOOK, horizon::held_back(now, connection)).await;
        let Ok(held) = held else {
            self.connection = None;
            return;
        };
        let Some(held) = held else { return };
        let is_known = |(at, reason): &(Instant, String)| {
            at.elapsed() < REPEAT && culprit(reason) == culprit(&held.reason)
        };
        if !self.warned.as_ref().is_some_and(is_known) {
            tracing::warn!(store = %self.shared.place.name(), since = %held.since, "delivery waits: {}", held.reason);
            self.warned = Some((Instant::now(), held.reason));
        }
    }
}

/// Remembers what is hidden: the greatest offsets, where they are too many.
fn hide(hidden: &mut BTreeSet<Offset>, more: impl Iterator<Item = Offset>) {
    for offset in more {
        hidden.insert(offset);
        if hidden.len() > MOST_HIDDEN {
            hidden.pop_first();
        }
    }
}

/// The part of a reason that does not change while it lasts.
fn culprit(reason: &str) -> &str {
    reason.split(" is open").next().unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_hidden_offsets_the_greatest_are_remembered() {
        let offset = |transaction| Offset {
            transaction,
            sequence: 1,
        };
        let mut hidden = BTreeSet::new();
        hide(&mut hidden, (0..5_000).map(offset));
        assert_eq!(hidden.len(), MOST_HIDDEN);
        assert_eq!(hidden.last(), Some(&offset(4_999)));
        assert_eq!(hidden.first(), Some(&offset(5_000 - MOST_HIDDEN as u64)));
    }
}
