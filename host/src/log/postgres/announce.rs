//! Moves the head on.
//!
//! What was committed may still be hidden from readers by an older transaction. The head names only what readers can be
//! given. Each commit looks at the horizon behind it, which mostly shows what it wrote; while something is hidden the
//! announcer asks again and again, and says who holds it back when that takes long.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::horizon;
use super::shared::Shared;
use super::url::{READER, within};
use crate::change::Offset;

/// How long to wait before asking again while something is hidden: at first, and at most.
const SOON: Duration = Duration::from_millis(5);
const LATER: Duration = Duration::from_millis(100);
/// How often it is asked what others have committed.
const IDLE: Duration = Duration::from_secs(1);
/// How long an answer is waited for.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is asked who holds changes back.
const BLAME: Duration = Duration::from_secs(10);
/// How many hidden offsets are remembered. What is forgotten is found when it is asked what others have committed.
const MOST_HIDDEN: usize = 1_024;
/// How often the same transaction is named in the log.
const REPEAT: Duration = Duration::from_secs(60);

/// The newest offset that readers can be given, as far as it is known here.
pub(super) struct Head {
    newest: watch::Sender<Offset>,
    /// What was committed here and is still hidden.
    hidden: Mutex<BTreeSet<Offset>>,
    /// Wakes the announcer: something is hidden.
    hid: Notify,
}

impl Head {
    pub(super) fn new(newest: Offset) -> Self {
        Self {
            newest: watch::Sender::new(newest),
            hidden: Mutex::default(),
            hid: Notify::new(),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Offset> {
        self.newest.subscribe()
    }

    /// Takes note of a commit and of the horizon behind it, where that was found out.
    pub(super) fn committed(&self, newest: Offset, horizon: Option<u64>) {
        hide(&mut self.lock(), newest);
        if let Some(horizon) = horizon {
            self.show(horizon);
        }
        if self.first_hidden().is_some() {
            self.hid.notify_one();
        }
    }

    /// Shows what is hidden no longer.
    fn show(&self, horizon: u64) {
        let first_hidden = Offset {
            transaction: horizon,
            sequence: 0,
        };
        let shown = {
            let mut hidden = self.lock();
            let still_hidden = hidden.split_off(&first_hidden);
            std::mem::replace(&mut *hidden, still_hidden)
        };
        if let Some(newest) = shown.last() {
            self.move_to(*newest);
        }
    }

    fn move_to(&self, newest: Offset) {
        self.newest.send_if_modified(|head| {
            let is_newer = newest > *head;
            *head = newest.max(*head);
            is_newer
        });
    }

    fn first_hidden(&self) -> Option<Offset> {
        self.lock().first().copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Offset>> {
        // Whoever panicked here left a whole set behind.
        self.hidden
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Asks the server for what the commits' own looks at the horizon did not show.
pub(super) struct Announcer {
    shared: Arc<Shared>,
    connection: Option<PgConnection>,
    /// The first offset that is hidden, and since when it is that.
    first_hidden: Option<Offset>,
    hidden_since: Option<Instant>,
    asked_others: Instant,
    asked_who: Option<Instant>,
    pause: Duration,
    warned: Option<(Instant, String)>,
}

impl Announcer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            connection: None,
            first_hidden: None,
            hidden_since: None,
            asked_others: Instant::now(),
            asked_who: None,
            pause: SOON,
            warned: None,
        }
    }

    /// Announces until the store is closed.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let first = shared.head.first_hidden();
            self.watch(first);
            let wait = if first.is_some() { self.pause } else { IDLE };
            tokio::select! {
                biased;
                () = shared.closing.cancelled() => break,
                () = tokio::time::sleep(wait) => self.pause = (self.pause * 2).min(LATER),
                // The next commit may well show it.
                () = shared.head.hid.notified(), if first.is_none() => continue,
            }
            let is_stuck = first.is_some() && shared.head.first_hidden() == first;
            let is_time = self.asked_others.elapsed() >= IDLE;
            if (is_stuck || is_time) && within(LOOK, self.look(is_time)).await.is_err() {
                self.connection = None;
            }
            self.blame().await;
        }
        if let Some(connection) = self.connection {
            // It only read.
            connection.close().await.ok();
        }
    }

    /// Begins to count anew when another offset is the first that is hidden.
    fn watch(&mut self, first: Option<Offset>) {
        if first != self.first_hidden {
            self.first_hidden = first;
            self.hidden_since = first.map(|_| Instant::now());
            self.pause = SOON;
        }
    }

    /// Asks what readers can be given now, and moves the head there.
    async fn look(&mut self, is_time_for_others: bool) -> Result<(), sqlx::Error> {
        let head = &self.shared.head;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.shared.url.connect(READER).await?,
        };
        if is_time_for_others {
            self.asked_others = Instant::now();
            head.move_to(horizon::newest(&mut connection).await?);
        }
        head.show(horizon::read(&mut connection).await?);
        self.connection = Some(connection);
        Ok(())
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
fn hide(hidden: &mut BTreeSet<Offset>, offset: Offset) {
    hidden.insert(offset);
    if hidden.len() > MOST_HIDDEN {
        hidden.pop_first();
    }
}

/// The part of a reason that does not change while it lasts.
fn culprit(reason: &str) -> &str {
    reason.split(" is open").next().unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(transaction: u64) -> Offset {
        Offset {
            transaction,
            sequence: 1,
        }
    }

    #[test]
    fn of_many_hidden_offsets_the_greatest_are_remembered() {
        let mut hidden = BTreeSet::new();
        for transaction in 0..5_000 {
            hide(&mut hidden, offset(transaction));
        }
        assert_eq!(hidden.len(), MOST_HIDDEN);
        assert_eq!(hidden.last(), Some(&offset(4_999)));
        assert_eq!(hidden.first(), Some(&offset(5_000 - MOST_HIDDEN as u64)));
    }

    #[test]
    fn the_head_names_what_is_below_the_horizon_and_never_goes_back() {
        let head = Head::new(Offset::START);
        let newest = head.subscribe();
        head.committed(offset(5), Some(4));
        assert_eq!(
            (*newest.borrow(), head.first_hidden()),
            (Offset::START, Some(offset(5)))
        );
        head.committed(offset(3), Some(4));
        assert_eq!(
            (*newest.borrow(), head.first_hidden()),
            (offset(3), Some(offset(5)))
        );
        head.committed(offset(9), None);
        head.show(10);
        assert_eq!((*newest.borrow(), head.first_hidden()), (offset(9), None));
        head.committed(offset(8), Some(11));
        assert_eq!(*newest.borrow(), offset(9));
    }
}
