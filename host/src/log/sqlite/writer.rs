//! The one writer: takes its share of the calls that wait, writes them in one transaction, syncs once, and answers them.
//!
//! While a commit is being synced further calls queue up for the next ones. So a lone caller pays one sync
//! a call, and many callers share one. No call is answered before the sync that covers it.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot, watch};

use super::super::edit::{Edit, Edited, Failed};
use super::super::plan::{Plan, Sequences};
use super::super::{Clock, LogError, Lookup, Write, WriteError, Written};
use super::checkpoint::Checkpointer;
use super::edit::Rows;
use super::fault::Place;
use super::file::HostLock;
use super::insert::{self, Numbers};
use super::row::{Script, offset};
use crate::change::{Offset, ResourceKey, Timestamp};

/// How many calls may wait; further callers wait for room.
pub(super) const QUEUE: usize = 1024;
/// How many calls share a commit at most.
const CALLS_A_COMMIT: usize = 512;
/// After this many versions a commit takes no further call. The pages where the ids and identifiers of a load land lie
/// all over the file and are written with every commit that touches them, so the more share one the better.
const VERSIONS_A_COMMIT: usize = 8192;
/// After this many bytes of resources a commit takes no further call.
const BYTES_A_COMMIT: usize = 16 << 20;

/// A call, and where its answer goes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) work: Work,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Call {
    /// About how many rows it makes or changes.
    fn rows(&self) -> usize {
        match &self.work {
            // The version, the current state, and each of the tokens.
            Work::Write(writes) => writes.iter().map(|write| 2 + write.tokens.len()).sum(),
            Work::Edit(_) => 1,
            Work::Close => 0,
        }
    }
}

/// What a call asks for.
pub(super) enum Work {
    /// Versions of resources.
    Write(Vec<Write>),
    /// A small write.
    Edit(Edit),
    /// To finish what waits, and stop.
    Close,
}

/// What a call is answered.
#[derive(Debug)]
pub(super) enum Answer {
    Written(Result<Vec<Written>, WriteError>),
    Edited(Box<Edited>),
    Closed,
}

/// The writer's connection and what it knows.
pub(super) struct Writer {
    place: Place,
    connection: SqliteConnection,
    clock: Clock,
    /// None after a failure: it is read again before the next commit.
    numbers: Option<Numbers>,
    head: watch::Sender<Offset>,
    calls: mpsc::Receiver<Call>,
    /// How many calls the last commit answered.
    last_group: usize,
    checkpointer: Checkpointer,
    /// Held as long as anything may still be written.
    lock: Arc<HostLock>,
}

impl Writer {
    pub(super) async fn new(
        place: Place,
        mut connection: SqliteConnection,
        clock: Clock,
        calls: mpsc::Receiver<Call>,
        lock: Arc<HostLock>,
    ) -> Result<(Self, watch::Receiver<Offset>), LogError> {
        let numbers = Numbers::load(&mut connection)
            .await
            .map_err(|error| place.fault(&error))?;
        let (head, receiver) = watch::channel(offset(numbers.head));
        let beside = place.clone();
        let writer = Self {
            place,
            connection,
            clock,
            numbers: Some(numbers),
            head,
            calls,
            last_group: 0,
            checkpointer: Checkpointer::start(beside),
            lock,
        };
        Ok((writer, receiver))
    }

    /// Serves calls until it is closed or nobody is left to call.
    pub(super) async fn run(mut self) {
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = self.calls.recv().await else {
                break;
            };
            let mut group = Vec::new();
            closing = self.gather(first, &mut group);
            self.last_group = group.len();
            self.serve(group).await;
        }
        self.finish(closing).await;
    }

    /// Takes of what waits, up to what shares a commit. A call to close ends the gathering and is handed back.
    ///
    /// It leaves half of the callers that are about: they prepare their next calls while this commit is being synced,
    /// and the others do so during the next one. Were all of them in one commit, nobody would prepare anything.
    fn gather(&mut self, first: Call, group: &mut Vec<Call>) -> Option<Call> {
        let about = self.last_group + 1 + self.calls.len();
        let most = about.div_ceil(2).min(CALLS_A_COMMIT);
        let (mut versions, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(call) = next {
            match &call.work {
                Work::Close => return Some(call),
                Work::Write(writes) => {
                    versions += writes.len();
                    bytes += writes.iter().map(Write::size).sum::<usize>();
                }
                Work::Edit(_) => {}
            }
            group.push(call);
            let is_full = group.len() >= most || versions >= VERSIONS_A_COMMIT || bytes >= BYTES_A_COMMIT;
            next = match is_full {
                true => None,
                false => self.calls.try_recv().ok(),
            };
        }
        None
    }

    /// Commits a group and answers it. When the commit fails each call is tried alone, so that one that cannot be
    /// written does not take the others with it.
    async fn serve(&mut self, group: Vec<Call>) {
        match self.commit(&group).await {
            Ok(answers) => answer_all(group, answers),
            Err(_) if group.len() > 1 => {
                for call in group {
                    self.serve_one(call).await;
                }
            }
            Err(error) => self.refuse(group, &error),
        }
    }

    async fn serve_one(&mut self, call: Call) {
        let alone = vec![call];
        match self.commit(&alone).await {
            Ok(answers) => answer_all(alone, answers),
            Err(error) => self.refuse(alone, &error),
        }
    }

    async fn commit(&mut self, group: &[Call]) -> Result<Vec<Answer>, sqlx::Error> {
        match self.transact(group).await {
            Ok((answers, numbers)) => {
                self.checkpointer.committed(group.iter().map(Call::rows).sum());
                let head = offset(numbers.head);
                self.numbers = Some(numbers);
                self.head
                    .send_if_modified(|known| std::mem::replace(known, head) != head);
                Ok(answers)
            }
            Err(error) => {
                tracing::warn!(store = %self.place.name(), error = %self.place.fault(&error), "a commit failed");
                self.numbers = None;
                // SQLite may have rolled back by itself; then this has nothing to do and fails.
                sqlx::query("ROLLBACK").execute(&mut self.connection).await.ok();
                Err(error)
            }
        }
    }

    async fn transact(&mut self, group: &[Call]) -> Result<(Vec<Answer>, Numbers), sqlx::Error> {
        let mut numbers = match self.numbers.take() {
            Some(numbers) => numbers,
            None => Numbers::load(&mut self.connection).await?,
        };
        let is_edit = |call: &Call| matches!(call.work, Work::Edit(_));
        // Each call of the connection is a wait for its thread, so a commit of nothing but versions makes two.
        let mut begin = Script::default();
        begin.add("BEGIN IMMEDIATE");
        let answers = match group.iter().any(is_edit) {
            false => self.write(group, &mut numbers, begin, "COMMIT").await?,
            true => {
                let mut answers = self.write(group, &mut numbers, begin, "").await?;
                self.edit(group, &mut answers, offset(numbers.head)).await?;
                sqlx::query("COMMIT").execute(&mut self.connection).await?;
                answers
            }
        };
        let answers = answers.into_iter().map(|answer| answer.unwrap_or(Answer::Closed));
        Ok((answers.collect(), numbers))
    }

    /// Runs `begin`, writes all versions of the group, and runs `end`; leaves the places of other calls' answers empty.
    async fn write(
        &mut self,
        group: &[Call],
        numbers: &mut Numbers,
        mut begin: Script,
        end: &str,
    ) -> Result<Vec<Option<Answer>>, sqlx::Error> {
        let mut keys = touched(group);
        let lookups = lookups(group);
        let mut crowded = HashSet::new();
        if !lookups.is_empty() {
            std::mem::take(&mut begin).run(&mut self.connection).await?;
            crowded = insert::add_found(&lookups, &mut keys, &mut self.connection).await?;
        }
        let known = insert::look_up(&keys, begin, &mut self.connection).await?;
        let mut plan = Plan::new(known, Sequences::After(numbers.last_sequence));
        plan.refuse_by(crowded);
        let now = (self.clock)();
        let mut answers = add(group, &mut plan, now);
        // Anew as long as matchers ask for resources that are not at hand.
        loop {
            let missing = plan.missing();
            if missing.is_empty() {
                break;
            }
            let read = insert::others(missing, &mut self.connection).await?;
            let known = insert::look_up(&keys, Script::default(), &mut self.connection).await?;
            plan = plan.again(known, read);
            answers = add(group, &mut plan, now);
        }
        insert::write(&plan, numbers, end, &mut self.connection).await?;
        Ok(answers)
    }

    async fn edit(
        &mut self,
        group: &[Call],
        answers: &mut [Option<Answer>],
        head: Offset,
    ) -> Result<(), sqlx::Error> {
        for (call, answer) in group.iter().zip(answers) {
            let Work::Edit(edit) = &call.work else {
                continue;
            };
            let now = (self.clock)();
            let mut rows = Rows {
                connection: &mut self.connection,
                head,
            };
            let edited = match edit.apply(now, &mut rows).await {
                Ok(held) => Ok(held),
                Err(Failed::Refused(error)) => Err(error),
                Err(Failed::Store(error)) => return Err(error),
            };
            *answer = Some(Answer::Edited(Box::new(edited)));
        }
        Ok(())
    }

    fn refuse(&self, group: Vec<Call>, error: &sqlx::Error) {
        let answers = group
            .iter()
            .map(|call| match call.work {
                Work::Write(_) => Answer::Written(Err(self.place.fault(error).into())),
                Work::Edit(_) => Answer::Edited(Box::new(Err(self.place.fault(error)))),
                Work::Close => Answer::Closed,
            })
            .collect();
        answer_all(group, answers);
    }

    /// Closes the connection, which copies the write-ahead log back, and lets go of the store.
    async fn finish(self, closing: Option<Call>) {
        let Self {
            place,
            connection,
            mut calls,
            checkpointer,
            lock,
            ..
        } = self;
        calls.close();
        checkpointer.close().await;
        if let Err(error) = connection.close().await {
            tracing::warn!(store = %place.name(), error = %place.fault(&error), "closing failed");
        }
        drop(lock);
        if let Some(call) = closing {
            answer(call, Answer::Closed);
        }
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(writes) => write!(formatter, "Write({} writes)", writes.len()),
            Self::Edit(_) => formatter.write_str("Edit"),
            Self::Close => formatter.write_str("Close"),
        }
    }
}

/// Lets each call of a group add its versions; leaves the places of other calls' answers empty.
fn add(group: &[Call], plan: &mut Plan, now: Timestamp) -> Vec<Option<Answer>> {
    let of_one = |call: &Call| match &call.work {
        Work::Write(writes) => Some(Answer::Written(plan.add(writes, now))),
        Work::Edit(_) | Work::Close => None,
    };
    group.iter().map(of_one).collect()
}

/// The resources that a group's writes touch, each once.
fn touched(group: &[Call]) -> Vec<ResourceKey> {
    let mut seen = HashSet::new();
    let mut keys = Vec::new();
    for call in group {
        let Work::Write(writes) = &call.work else {
            continue;
        };
        for write in writes {
            if seen.insert(&write.key) {
                keys.push(write.key.clone());
            }
        }
    }
    keys
}

/// What the group's writes were decided by.
fn lookups(group: &[Call]) -> Vec<&Lookup> {
    let writes = group.iter().filter_map(|call| match &call.work {
        Work::Write(writes) => Some(writes),
        Work::Edit(_) | Work::Close => None,
    });
    writes
        .flatten()
        .filter_map(|write| write.finding.as_ref())
        .map(|finding| &finding.lookup)
        .collect()
}

fn answer_all(group: Vec<Call>, answers: Vec<Answer>) {
    for (call, result) in group.into_iter().zip(answers) {
        answer(call, result);
    }
}

/// Answers a call. That nobody waits any more is no failure: the call took effect all the same.
fn answer(call: Call, result: Answer) {
    call.answer.send(result).ok();
}
