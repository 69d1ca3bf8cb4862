//! The writers: each takes its share of the calls that wait, writes them in one transaction, and answers them once that is committed.
//!
//! While one waits for its commit to be synced, the others gather what comes in meanwhile. A call is one writer's from
//! the moment it is taken, so it takes effect whole or not at all, whether or not somebody waits for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Either};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::super::plan::{Plan, Sequences};
use super::super::{Lookup, Token, Write, WriteError, Written};
use super::fault::{Remedy, is_of_the_values, unavailable};
use super::identity::Identity;
use super::insert::{self, Found};
use super::lock::{self, Locks};
use super::partition;
use super::read;
use super::row::{get, integer};
use super::shared::Shared;
use super::url::{WRITER, within};
use crate::change::{Offset, ResourceKey, Timestamp};

/// The end of a transaction, and what readers can be given behind it.
const END: &str = "COMMIT; EXECUTE horizon";
const PREPARE_END: &str = "PREPARE horizon AS SELECT pg_snapshot_xmin(pg_current_snapshot())::text";
/// Writers, each with a session: while one waits for its commit, the others go on.
pub(super) const WRITERS: usize = 3;
/// How many calls may wait; further callers wait for room.
pub(super) const QUEUE: usize = 1024;
/// How many calls share a commit at most.
const CALLS_A_COMMIT: usize = 512;
/// After this many versions a commit takes no further call.
const VERSIONS_A_COMMIT: usize = 1024;
/// After this many bytes of resources a commit takes no further call.
const BYTES_A_COMMIT: usize = 16 << 20;
/// After this many locks a commit takes no further call: much less than makes it take that of all writers.
pub(super) const LOCKS_A_COMMIT: usize = 500;
/// How often a writer lets others run, and none calls, before it goes with fewer calls than its share.
const LOOKS: usize = 3;
/// How often a group is tried before it is answered that it failed.
const ATTEMPTS: usize = 5;
/// No statement takes longer; the server ends it before.
const STATEMENT: Duration = Duration::from_secs(40);
/// How long it is looked for what became of a commit whose answer was lost.
const FIND_OUT: Duration = Duration::from_secs(10);

/// What a call is answered.
pub(super) type Answer = Result<Vec<Written>, WriteError>;

/// Versions to be written, and where the answer goes.
pub(super) struct Call {
    pub(super) writes: Vec<Write>,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Call {
    fn bytes(&self) -> usize {
        self.writes.iter().map(Write::size).sum()
    }

    fn locks(&self) -> usize {
        self.writes.iter().map(Locks::count).sum()
    }
}

/// The calls that wait, and how many each writer took last; one writer at a time takes some.
pub(super) struct Waiting {
    calls: mpsc::Receiver<Call>,
    /// Of each writer; none is at work on more.
    taken: [usize; WRITERS],
}

impl Waiting {
    pub(super) fn new(calls: mpsc::Receiver<Call>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            calls,
            taken: [0; WRITERS],
        }))
    }

    /// The share of one writer, of all callers that are about. Were all of them in one commit, nobody would prepare
    /// anything while it is being synced.
    fn share(&self) -> usize {
        let about = 1 + self.calls.len() + self.taken.iter().sum::<usize>();
        about.div_ceil(WRITERS).min(CALLS_A_COMMIT)
    }
}

/// One writer.
pub(super) struct Writer {
    /// Its place among the writers.
    number: usize,
    shared: Arc<Shared>,
    waiting: Arc<Mutex<Waiting>>,
    connection: Option<PgConnection>,
}

/// Why a group was not written.
enum Failure {
    /// The store's reason.
    Store(sqlx::Error),
    /// Another host took the store.
    Fenced,
    /// The answer to the commit was lost, and it cannot be found out what became of it.
    Unknown,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

impl Writer {
    pub(super) fn new(number: usize, shared: Arc<Shared>, waiting: Arc<Mutex<Waiting>>) -> Self {
        Self {
            number,
            shared,
            waiting,
            connection: None,
        }
    }

    /// Serves calls until the store is closed and none waits.
    pub(super) async fn run(mut self) {
        while let Some(group) = self.gather().await {
            self.serve(group).await;
        }
        if let Some(connection) = self.connection {
            // What counts was committed before.
            connection.close().await.ok();
        }
    }

    /// Waits for a call and takes of what waits with it, up to what shares a commit.
    async fn gather(&self) -> Option<Vec<Call>> {
        let mut waiting = self.waiting.lock().await;
        let first = tokio::select! {
            biased;
            first = waiting.calls.recv() => first?,
            () = self.shared.closing.cancelled() => {
                waiting.calls.close();
                waiting.calls.recv().await?
            }
        };
        waiting.taken[self.number] = 0;
        let most = waiting.share();
        let (mut versions, mut bytes, mut locks) = (first.writes.len(), first.bytes(), first.locks());
        let mut group = vec![first];
        let mut looks = 0;
        while group.len() < most
            && versions < VERSIONS_A_COMMIT
            && bytes < BYTES_A_COMMIT
            && locks < LOCKS_A_COMMIT
        {
            let Ok(call) = waiting.calls.try_recv() else {
                // Others that are about may be on the point of calling: they are let go first.
                if looks == LOOKS {
                    break;
                }
                looks += 1;
                tokio::task::yield_now().await;
                continue;
            };
            looks = 0;
            versions += call.writes.len();
            bytes += call.bytes();
            locks += call.locks();
            group.push(call);
        }
        waiting.taken[self.number] = group.len();
        Some(group)
    }

    /// Commits a group. When that fails by what one call wants written each is tried alone, so that it does not take the
    /// others with it. A call that nobody waits for any more is left out: its caller was told that it failed, may have
    /// written again since, and must not find the older write on top.
    async fn serve(&mut self, mut group: Vec<Call>) {
        group.retain(|call| !call.answer.is_closed());
        if group.is_empty() {
            return;
        }
        match self.commit(&group).await {
            Ok(answers) => answer(group, answers),
            Err(failure) if group.len() > 1 && failure.may_be_one_calls() => {
                for call in group {
                    if !call.answer.is_closed() {
                        self.serve_one(call).await;
                    }
                }
            }
            Err(failure) => self.refuse(group, &failure),
        }
    }

    async fn serve_one(&mut self, call: Call) {
        let alone = vec![call];
        match self.commit(&alone).await {
            Ok(answers) => answer(alone, answers),
            Err(failure) => self.refuse(alone, &failure),
        }
    }

    fn refuse(&self, group: Vec<Call>, failure: &Failure) {
        let error = || match failure {
            Failure::Store(error) => self.shared.place.fault(error),
            Failure::Fenced => self.shared.place.in_use(" (which took it over)"),
            Failure::Unknown => unavailable(
                "the server was lost during a commit; what was to be written may be there or not, write it again",
            ),
        };
        tracing::warn!(store = %self.shared.place.name(), error = %error(), "a commit failed");
        for call in group {
            // That nobody waits any more is no failure.
            call.answer.send(Err(error().into())).ok();
        }
    }

    async fn commit(&mut self, group: &[Call]) -> Result<Vec<Answer>, Failure> {
        let mut locks = Locks::of(group.iter().flat_map(|call| &call.writes));
        let missing = "partitions or topics are missing again and again";
        let mut failed = Failure::Store(sqlx::Error::Protocol(missing.to_owned()));
        for attempt in 0..ATTEMPTS {
            // Nobody waits any more: whoever called may have written something newer since.
            if attempt > 0 && group.iter().all(|call| call.answer.is_closed()) {
                break;
            }
            let is_reused = self.connection.is_some();
            let failure = match self.attempt(group, &locks).await {
                Ok(Some(answers)) => return Ok(answers),
                Ok(None) => continue,
                Err(failure) => failure,
            };
            self.abandon(&failure).await;
            match failure.remedy() {
                Remedy::Again => {}
                Remedy::AgainCoarse if locks != Locks::All => locks = Locks::All,
                Remedy::Reconnect if is_reused => {}
                _ => return Err(failure),
            }
            failed = failure;
        }
        Err(failed)
    }

    /// Ends a transaction that was not committed.
    async fn abandon(&mut self, failure: &Failure) {
        let is_broken = failure.remedy() == Remedy::Reconnect;
        let Some(mut connection) = self.connection.take().filter(|_| !is_broken) else {
            return;
        };
        let ended = within(STATEMENT, sqlx::raw_sql("ROLLBACK").execute(&mut connection)).await;
        if ended.is_ok() {
            self.connection = Some(connection);
        }
    }

    /// Tries once. None: something was missing that is there now, the same again.
    async fn attempt(&mut self, group: &[Call], locks: &Locks) -> Result<Option<Vec<Answer>>, Failure> {
        if self.connection.is_none() {
            self.connection = Some(self.connect().await?.0);
        }
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        let writing = write(group, locks, &self.shared, connection);
        let (answers, place) = match within_time(writing).await? {
            Writing::Again => return Ok(None),
            Writing::Nothing(answers) => return Ok(Some(answers)),
            Writing::Written { answers, place } => (answers, place),
        };
        let newest = place.newest;
        let horizon = self.end(place).await?;
        self.shared.committed(newest, horizon);
        Ok(Some(answers))
    }

    /// Opens a session that has prepared what each transaction begins and ends with.
    async fn connect(&self) -> Result<(PgConnection, Identity), sqlx::Error> {
        let (mut connection, identity) = self.shared.connect(WRITER).await?;
        let prepare = format!("{}; {}; {PREPARE_END}", lock::PREPARE, insert::PREPARE);
        within(
            STATEMENT,
            sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection),
        )
        .await?;
        Ok((connection, identity))
    }

    /// Commits, and answers the horizon behind it; where the answer is lost, finds out what became of it.
    async fn end(&mut self, place: Placed) -> Result<Option<u64>, Failure> {
        let Some(connection) = &mut self.connection else {
            return Err(Failure::Unknown);
        };
        let error = match within(STATEMENT, end(place.base, connection)).await {
            Ok(horizon) => return Ok(horizon),
            Err(error) => error,
        };
        if Remedy::of(&error) != Remedy::Reconnect {
            return Err(Failure::Store(error));
        }
        self.connection = None;
        match tokio::time::timeout(FIND_OUT, self.fate(&place)).await {
            Ok(Some(true)) => Ok(None),
            Ok(Some(false)) => Err(Failure::Store(error)),
            Ok(None) | Err(_) => Err(Failure::Unknown),
        }
    }

    /// Whether a transaction was committed; none where it cannot be known.
    async fn fate(&mut self, place: &Placed) -> Option<bool> {
        loop {
            match self.connect().await {
                Ok((mut connection, Identity::Same)) => {
                    let is_there = is_there(place, &mut connection).await;
                    self.connection = Some(connection);
                    // None: it is still under way.
                    if let Some(is_there) = is_there.ok()? {
                        return Some(is_there);
                    }
                }
                Ok(_) => return None,
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Failure {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Store(error) => Remedy::of(error),
            Self::Fenced | Self::Unknown => Remedy::None,
        }
    }

    /// Whether one call of a group may be the reason.
    fn may_be_one_calls(&self) -> bool {
        matches!(self, Self::Store(error) if is_of_the_values(error))
    }
}

/// Whether what a transaction wrote is there; none while it is under way.
///
/// That its number was committed proves nothing: a server that crashed gives the numbers again that it had not synced,
/// of transactions and of the sequence. So the row itself must be there, with all that the caller will be told of it.
async fn is_there(place: &Placed, connection: &mut PgConnection) -> Result<Option<bool>, sqlx::Error> {
    let status: Option<String> = sqlx::query_scalar("SELECT pg_xact_status($1::text::xid8)")
        .bind(place.xid.to_string())
        .fetch_one(&mut *connection)
        .await?;
    if status.as_deref() == Some("in progress") {
        return Ok(None);
    }
    let found: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM lakefeed.log WHERE sequence = $1 AND transaction = $2 AND resource_type = $3 \
         AND id = $4 AND last_updated = $5)",
    )
    .bind(integer(place.newest.sequence))
    .bind(integer(place.newest.transaction))
    .bind(place.key.resource_type())
    .bind(place.key.id())
    .bind(place.last_updated.0)
    .fetch_one(&mut *connection)
    .await?;
    if found {
        // A server that waits for a standby with each commit has not waited with the lost one's. Whatever is committed
        // behind it does.
        sqlx::query("UPDATE lakefeed.store SET fence = fence")
            .execute(connection)
            .await?;
    }
    Ok(Some(found))
}

/// Commits, and answers the horizon behind it, in one message. Whatever fails once the commit is answered leaves the
/// horizon unknown and no more.
async fn end(base: i64, connection: &mut PgConnection) -> Result<Option<u64>, sqlx::Error> {
    let mut answers = sqlx::raw_sql(END).fetch_many(connection);
    match answers.try_next().await? {
        Some(Either::Left(_)) => {}
        _ => return Err(sqlx::Error::Protocol("a commit has no answer".to_owned())),
    }
    let mut horizon = None;
    while let Ok(Some(answer)) = answers.try_next().await {
        if let Either::Right(row) = answer {
            horizon = get::<&str>(&row, 0).ok().and_then(|text| text.parse().ok());
        }
    }
    let above = |first: i64| u64::try_from(base + first).ok();
    Ok(horizon.and_then(above))
}

/// Where a transaction wrote, and the newest that it wrote.
struct Placed {
    newest: Offset,
    key: ResourceKey,
    last_updated: Timestamp,
    /// The server's own number of it.
    xid: u64,
    /// What is added to the server's numbers.
    base: i64,
}

/// What was done up to the commit.
enum Writing {
    /// Something was missing that is there now.
    Again,
    /// No version is made; there is nothing to commit.
    Nothing(Vec<Answer>),
    Written {
        answers: Vec<Answer>,
        place: Placed,
    },
}

async fn within_time(writing: impl Future<Output = Result<Writing, Failure>>) -> Result<Writing, Failure> {
    match tokio::time::timeout(STATEMENT, writing).await {
        Ok(written) => written,
        Err(_) => Err(Failure::Store(sqlx::Error::Io(
            std::io::ErrorKind::TimedOut.into(),
        ))),
    }
}

/// Does all of a transaction but its end.
async fn write(
    group: &[Call],
    locks: &Locks,
    shared: &Shared,
    connection: &mut PgConnection,
) -> Result<Writing, Failure> {
    let Begun { keys, found, crowded } = begin(group, locks, connection).await?;
    if found.host != shared.host {
        return Err(Failure::Fenced);
    }
    let last = found.sequences.last().copied().unwrap_or(0);
    if !shared.is_partitioned(last) {
        rollback(connection).await?;
        let behind = partition::ensure(last, shared.width, connection).await?;
        shared.set_partitioned(behind);
        return Ok(Writing::Again);
    }
    if !shared.has_room_behind(last) {
        shared.upkeep.notify_one();
    }
    let base = found.base;
    let mut plan = Plan::new(found.known, Sequences::Given(found.sequences));
    plan.refuse_by(crowded);
    let now = (shared.clock)();
    let (plan, answers) = planned(group, &keys, plan, now, connection).await?;
    let Some(newest) = plan.rows().last() else {
        rollback(connection).await?;
        return Ok(Writing::Nothing(answers));
    };
    let (life, topics) = shared.topics();
    let unnumbered = insert::unnumbered(&plan, &topics);
    if !unnumbered.is_empty() {
        rollback(connection).await?;
        shared.set_topics(life, insert::number(&unnumbered, connection).await?);
        return Ok(Writing::Again);
    }
    let (sequence, last_updated) = (newest.version.sequence.0, newest.version.last_updated);
    let key = newest.version.key.clone();
    let transaction = insert::write(&plan, &topics, connection).await?;
    let natural = |number: i64| u64::try_from(number).unwrap_or(0);
    let place = Placed {
        newest: Offset {
            transaction: natural(transaction),
            sequence,
        },
        key,
        last_updated,
        xid: natural(transaction - base),
        base,
    };
    Ok(Writing::Written { answers, place })
}

/// What a transaction knows when it has its locks.
struct Begun {
    /// The resources that it touches, and those that it was decided by.
    keys: Vec<ResourceKey>,
    found: Found,
    /// The tokens that too many resources bear.
    crowded: HashSet<(String, Token)>,
}

/// Begins a transaction: takes its locks, and then reads what the group touches and what it was decided by.
async fn begin(group: &[Call], locks: &Locks, connection: &mut PgConnection) -> Result<Begun, sqlx::Error> {
    let versions = group.iter().map(|call| call.writes.len()).sum();
    let mut begin = locks.begin();
    let mut keys = touched(group);
    let mut crowded = HashSet::new();
    let lookups = lookups(group);
    if !lookups.is_empty() {
        let begin = AssertSqlSafe(std::mem::take(&mut begin));
        sqlx::raw_sql(begin).execute(&mut *connection).await?;
        crowded = insert::add_found(&lookups, &mut keys, connection).await?;
    }
    let found = insert::look_up(&begin, &keys, versions, connection).await?;
    Ok(Begun { keys, found, crowded })
}

/// Lets each call of a group add its versions, anew as long as matchers ask for resources that are not at hand.
async fn planned(
    group: &[Call],
    keys: &[ResourceKey],
    mut plan: Plan,
    now: Timestamp,
    connection: &mut PgConnection,
) -> Result<(Plan, Vec<Answer>), sqlx::Error> {
    loop {
        let answers = group.iter().map(|call| plan.add(&call.writes, now)).collect();
        let missing = plan.missing();
        if missing.is_empty() {
            return Ok((plan, answers));
        }
        let read = read::others(missing, connection).await?;
        let known = insert::look_up("", keys, 0, connection).await?.known;
        plan = plan.again(known, read);
    }
}

async fn rollback(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    Ok(())
}

/// Answers calls. That nobody waits any more is no failure: the call took effect all the same.
fn answer(group: Vec<Call>, answers: Vec<Answer>) {
    for (call, answer) in group.into_iter().zip(answers) {
        call.answer.send(answer).ok();
    }
}

/// The resources that a group's writes touch, each once.
fn touched(group: &[Call]) -> Vec<ResourceKey> {
    let mut seen = HashSet::new();
    let writes = group.iter().flat_map(|call| &call.writes);
    writes
        .filter(|write| seen.insert(&write.key))
        .map(|write| write.key.clone())
        .collect()
}

/// What the group's writes were decided by.
fn lookups(group: &[Call]) -> Vec<&Lookup> {
    let writes = group.iter().flat_map(|call| &call.writes);
    writes
        .filter_map(|write| write.finding.as_ref())
        .map(|finding| &finding.lookup)
        .collect()
}
