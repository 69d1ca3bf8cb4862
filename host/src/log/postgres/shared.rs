//! What the tasks of an open store share.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnection;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::super::{Clock, LogError};
use super::announce::Head;
use super::fault::Place;
use super::host::HostNumber;
use super::identity::{self, Identity};
use super::partition::Width;
use super::url::PostgresUrl;
use crate::change::Offset;

/// What the tasks of an open store share.
pub(super) struct Shared {
    pub(super) url: PostgresUrl,
    pub(super) place: Place,
    pub(super) clock: Clock,
    /// This host's number; who finds another one in the store may write no more.
    pub(super) host: HostNumber,
    pub(super) width: Width,
    /// Whether the store is being closed.
    pub(super) closing: CancellationToken,
    /// Whether another host has it.
    pub(super) lost: CancellationToken,
    /// What readers can be given.
    pub(super) head: Head,
    /// Wakes the upkeep before its time.
    pub(super) upkeep: Notify,
    /// The first sequence that has no partition.
    partitioned: AtomicU64,
    /// The newest transaction that this host committed.
    newest: AtomicU64,
    /// The topics' numbers.
    topics: Mutex<Topics>,
}

/// The topics' numbers in one life of the store; it may know other topics when it begins anew.
#[derive(Default)]
struct Topics {
    life: u64,
    numbers: HashMap<String, i32>,
}

impl Topics {
    fn begin_anew(&mut self) {
        self.life += 1;
        self.numbers.clear();
    }

    fn keep(&mut self, life: u64, numbers: HashMap<String, i32>) {
        if life == self.life {
            self.numbers = numbers;
        }
    }
}

impl Shared {
    pub(super) fn new(
        url: PostgresUrl,
        clock: Clock,
        (host, width): (i64, Width),
        partitioned: u64,
        head: Head,
    ) -> Self {
        Self {
            place: Place::new(&url),
            url,
            clock,
            host: HostNumber::new(host),
            width,
            closing: CancellationToken::new(),
            lost: CancellationToken::new(),
            head,
            upkeep: Notify::new(),
            partitioned: AtomicU64::new(partitioned),
            newest: AtomicU64::new(0),
            topics: Mutex::default(),
        }
    }

    /// Opens a session that may write, and sees to it that the store is still where it was.
    pub(super) async fn connect(
        &self,
        settings: &[(&str, &str)],
    ) -> Result<(PgConnection, Identity), sqlx::Error> {
        let mut connection = self.url.connect(settings).await?;
        let newest = self.newest.load(Ordering::Acquire);
        let found = identity::settle(newest, self.width, &self.host, &mut connection).await?;
        if found == Identity::Another {
            self.begin_anew();
        }
        Ok((connection, found))
    }

    /// Gives the store up for good.
    pub(super) fn lose(&self) {
        tracing::error!("{}", self.taken_over());
        self.lost.cancel();
        self.closing.cancel();
    }

    /// What every call is answered once another host has the store.
    pub(super) fn taken_over(&self) -> LogError {
        self.place.in_use(" (which took it over)")
    }

    /// Fails once the store is given up.
    pub(super) fn check_held(&self) -> Result<(), LogError> {
        match self.lost.is_cancelled() {
            true => Err(self.taken_over()),
            false => Ok(()),
        }
    }

    /// Says that the store was restored or failed over, and forgets what was known of it.
    pub(super) fn begin_anew(&self) {
        tracing::warn!(
            store = %self.place.name(),
            "the store was restored or went on on another server; what was committed last may be missing there, and every \
             destination begins a new generation at its last kept offset"
        );
        self.newest.store(0, Ordering::Release);
        self.lock_topics().begin_anew();
    }

    /// The topics' numbers, and the life of the store that they are of.
    pub(super) fn topics(&self) -> (u64, HashMap<String, i32>) {
        let topics = self.lock_topics();
        (topics.life, topics.numbers.clone())
    }

    /// Remembers the topics' numbers, unless the store has begun anew since it was asked for them.
    pub(super) fn set_topics(&self, life: u64, numbers: HashMap<String, i32>) {
        self.lock_topics().keep(life, numbers);
    }

    fn lock_topics(&self) -> std::sync::MutexGuard<'_, Topics> {
        // Whoever panicked here left a whole map behind.
        self.topics
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether a sequence has a partition.
    pub(super) fn is_partitioned(&self, sequence: u64) -> bool {
        sequence < self.partitioned.load(Ordering::Acquire)
    }

    /// Whether a whole partition is there behind the one that a sequence lies in.
    pub(super) fn has_room_behind(&self, sequence: u64) -> bool {
        let (_, behind) = self.width.around(sequence);
        u64::try_from(behind).is_ok_and(|behind| self.is_partitioned(behind))
    }

    pub(super) fn set_partitioned(&self, behind: u64) {
        self.partitioned.fetch_max(behind, Ordering::AcqRel);
    }

    /// Takes note of a commit and of the horizon behind it, where that was found out.
    pub(super) fn committed(&self, newest: Offset, horizon: Option<u64>) {
        self.newest.fetch_max(newest.transaction, Ordering::AcqRel);
        self.head.committed(newest, horizon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_lost_life_are_not_kept_in_the_next_one() {
        let mut topics = Topics::default();
        let numbers = HashMap::from([("t".to_owned(), 1)]);
        topics.keep(0, numbers.clone());
        assert_eq!(topics.numbers, numbers);
        topics.begin_anew();
        topics.keep(0, numbers.clone());
        assert_eq!(topics.numbers, HashMap::new());
        topics.keep(1, numbers.clone());
        assert_eq!(topics.numbers, numbers);
    }
}
