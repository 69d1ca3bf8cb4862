//! Every committed change is delivered exactly once, per resource in order, and none is invented: under many writers
//! with transactions of several resources in colliding orders, delays before the commit, aborts, sessions that the server
//! ends, and transactions of others that hold readers back.
//!
//! `LAKEFEED_PROOF_CHANGES` says how many changes are made at least. What was done is printed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::{Database, PostgresLog, database, open_when_free};
use crate::change::{Change, Offset, ResourceKey, Sequence, Timestamp, Version};
use crate::log::plan::{Plan, Sequences};
use crate::log::postgres::insert;
use crate::log::postgres::lock::{self, Locks};
use crate::log::suite::{bound, content, delete, put};
use crate::log::{Log, LogError, Precondition, Write, WriteError, Written};

const CHANGES: usize = 50_000;
/// Callers of the store, whose transactions share commits.
const CALLERS: usize = 10;
/// Sessions that write by the same protocol beside the store's writers, with delays of their own.
const SESSIONS: usize = 16;
const READERS: usize = 3;
const RESOURCES: u64 = 60;

/// A small generator.
struct Dice(u64);

impl Dice {
    fn new(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    async fn pause(&mut self, most_millis: u64) {
        tokio::time::sleep(Duration::from_micros(self.below(most_millis * 1_000 + 1))).await;
    }

    /// A transaction of one to five writes, the resources in whichever order.
    fn transaction(&mut self, writer: usize, number: usize) -> Vec<Write> {
        let count = 1 + self.below(5);
        (0..count)
            .map(|step| {
                let id = format!("r{}", self.below(RESOURCES));
                match self.one_in(10) {
                    true => delete(&id),
                    false => put(&id, &format!("{writer}-{number}-{step}")),
                }
            })
            .collect()
    }
}

/// What was done.
#[derive(Default)]
struct Deeds {
    /// What each number was given to, of what was committed.
    made: Mutex<HashMap<Sequence, (ResourceKey, String)>>,
    /// What may have been committed: the answer was lost and nobody could say.
    maybe: Mutex<HashSet<String>>,
    transactions: AtomicUsize,
    aborted: AtomicUsize,
    unknown: AtomicUsize,
    killed: AtomicUsize,
    held: AtomicUsize,
    /// Nobody writes any more.
    is_written: AtomicBool,
    /// Nor does anybody hold readers back.
    is_over: AtomicBool,
}

impl Deeds {
    fn made<'v>(&self, versions: impl Iterator<Item = &'v Version>) -> usize {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        let mut made = self.made.lock().unwrap();
        for version in versions {
            let before = made.insert(version.sequence, (version.key.clone(), content(version)));
            assert_eq!(before, None, "a number was given twice");
        }
        made.len()
    }

    fn count(&self) -> usize {
        self.made.lock().unwrap().len()
    }

    fn maybe(&self, writes: &[Write]) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
        let contents = writes.iter().filter_map(|write| match &write.action {
            crate::log::Action::Put(body) => {
                let text = body.stamped(&write.key, Sequence(1), Timestamp(0));
                let resource: serde_json::Value = serde_json::from_slice(&text).unwrap();
                Some(resource["language"].as_str().unwrap().to_owned())
            }
            crate::log::Action::Delete => None,
        });
        self.maybe.lock().unwrap().extend(contents);
    }
}

/// Calls the store; some of its calls are refused.
async fn call(log: Arc<PostgresLog>, deeds: Arc<Deeds>, seed: usize, wanted: usize) {
    let mut dice = Dice::new(seed);
    for number in 0.. {
        if deeds.count() >= wanted {
            return;
        }
        let mut writes = dice.transaction(seed, number);
        let is_refused = dice.one_in(12);
        if is_refused && let Some(last) = writes.last_mut() {
            last.precondition = Precondition::VersionIs(Sequence(u64::MAX));
        }
        match log.write(writes.clone()).await {
            Ok(answers) => {
                let versions = answers.iter().filter_map(|answer| match answer {
                    Written::Version { version, .. } => Some(version),
                    _ => None,
                });
                deeds.made(versions);
            }
            Err(WriteError::Refused { .. }) => drop(deeds.aborted.fetch_add(1, Ordering::Relaxed)),
            Err(WriteError::Log(LogError::Unavailable { .. })) => deeds.maybe(&writes),
            Err(other) => panic!("{other}"),
        }
        dice.pause(2).await;
    }
}

/// Writes by itself as the store's writers do, with delays wherever one may hurt; some of it is given up.
async fn write(mut session: PgConnection, deeds: Arc<Deeds>, seed: usize, wanted: usize) {
    let mut dice = Dice::new(seed);
    for prepare in [lock::PREPARE, insert::PREPARE] {
        sqlx::raw_sql(prepare).execute(&mut session).await.unwrap();
    }
    for number in 0.. {
        if deeds.count() >= wanted {
            break;
        }
        let writes = dice.transaction(seed, number);
        let mut keys: Vec<ResourceKey> = writes.iter().map(|write| write.key.clone()).collect();
        keys.sort();
        keys.dedup();
        let begin = Locks::of(writes.iter()).begin();
        sqlx::raw_sql(AssertSqlSafe(begin))
            .execute(&mut session)
            .await
            .unwrap();
        dice.pause(3).await;
        let found = insert::look_up("", &keys, writes.len(), &mut session)
            .await
            .unwrap();
        dice.pause(3).await;
        let mut plan = Plan::new(found.known, Sequences::Given(found.sequences));
        plan.add(&writes, Timestamp::now()).unwrap();
        insert::write(&plan, &HashMap::new(), &mut session).await.unwrap();
        dice.pause(8).await;
        let is_given_up = dice.one_in(8);
        let end = if is_given_up { "ROLLBACK" } else { "COMMIT" };
        sqlx::raw_sql(end).execute(&mut session).await.unwrap();
        match is_given_up {
            true => drop(deeds.aborted.fetch_add(1, Ordering::Relaxed)),
            false => drop(deeds.made(plan.rows().iter().map(|row| &row.version))),
        }
    }
    session.close().await.unwrap();
}

/// Holds readers back now and then, from another database.
async fn hold_back(url: super::PostgresUrl, deeds: Arc<Deeds>) {
    let mut dice = Dice::new(977);
    let mut session = url.connect(&[]).await.unwrap();
    while !deeds.is_written.load(Ordering::Acquire) {
        let begin = "BEGIN; SELECT pg_current_xact_id()";
        sqlx::raw_sql(begin).execute(&mut session).await.unwrap();
        dice.pause(120).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut session).await.unwrap();
        deeds.held.fetch_add(1, Ordering::Relaxed);
        dice.pause(60).await;
    }
    session.close().await.unwrap();
}

/// Ends sessions of the store, whatever they are doing.
async fn kill(mut session: PgConnection, deeds: Arc<Deeds>) {
    let mut dice = Dice::new(4_711);
    while !deeds.is_written.load(Ordering::Acquire) {
        dice.pause(300).await;
        let killed: Option<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'lakefeed' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1",
        )
        .fetch_optional(&mut session)
        .await
        .unwrap();
        deeds
            .killed
            .fetch_add(usize::from(killed == Some(true)), Ordering::Relaxed);
    }
    session.close().await.unwrap();
}

/// Reads all changes from the first to the last.
async fn read(log: Arc<PostgresLog>, deeds: Arc<Deeds>, seed: usize) -> Vec<Change> {
    let mut dice = Dice::new(seed);
    let mut seen: Vec<Change> = Vec::new();
    loop {
        // Asked before the read: what is not there after the end is nowhere.
        let was_over = deeds.is_over.load(Ordering::Acquire);
        let after = seen.last().map_or(Offset::START, |change| change.offset);
        let most = 1 + usize::try_from(dice.below(400)).unwrap();
        match log.changes(after, bound(most, usize::MAX)).await {
            Ok(changes) if changes.is_empty() && was_over => return seen,
            Ok(changes) if changes.is_empty() => dice.pause(4).await,
            Ok(changes) => seen.extend(changes),
            // Its session was ended.
            Err(LogError::Unavailable { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Each change once, in the order of the offsets, and per resource each behind the one that it followed.
fn check_order(seen: &[Change]) {
    assert!(seen.is_sorted_by(|one, next| one.offset < next.offset));
    let mut newest: HashMap<&ResourceKey, (Sequence, Timestamp)> = HashMap::new();
    for change in seen {
        let version = &change.version;
        let before = newest.insert(&version.key, (version.sequence, version.last_updated));
        assert_eq!(
            change.previous,
            before.map(|(sequence, _)| sequence),
            "{}",
            version.key
        );
        assert!(
            before.is_none_or(|(sequence, time)| sequence < version.sequence && time < version.last_updated)
        );
    }
}

/// What was delivered is what was committed.
fn check_whole(seen: &[Change], deeds: &Deeds) {
    let mut made = deeds.made.lock().unwrap().clone();
    let maybe = deeds.maybe.lock().unwrap();
    for change in seen {
        let version = &change.version;
        let found = (version.key.clone(), content(version));
        match made.remove(&version.sequence) {
            Some(committed) => assert_eq!(committed, found),
            // A delete repeats the content before it, so its own content is no sign of whose it was.
            None => assert!(
                !maybe.is_empty()
                    && (maybe.contains(&found.1)
                        || change.interaction() == crate::change::Interaction::Delete),
                "{found:?} was never committed"
            ),
        }
    }
    assert!(made.is_empty(), "{} were never delivered", made.len());
}

fn wanted() -> usize {
    let named = std::env::var("LAKEFEED_PROOF_CHANGES").ok();
    named.and_then(|count| count.parse().ok()).unwrap_or(CHANGES)
}

async fn session(database: &Database, name: &str) -> PgConnection {
    let mut session = database.session().await;
    let named = format!("SET application_name = '{name}'");
    sqlx::raw_sql(AssertSqlSafe(named))
        .execute(&mut session)
        .await
        .unwrap();
    session
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_committed_change_is_delivered_once_and_in_order_and_none_is_invented() {
    let database = database!();
    let log = Arc::new(open_when_free(&database.url(), Arc::new(Timestamp::now)).await);
    let (deeds, wanted, began) = (Arc::new(Deeds::default()), wanted(), Instant::now());
    let mut writers = tokio::task::JoinSet::new();
    for seed in 0..CALLERS {
        writers.spawn(call(log.clone(), deeds.clone(), seed, wanted));
    }
    for seed in 100..100 + SESSIONS {
        let session = session(&database, "beside").await;
        writers.spawn(write(session, deeds.clone(), seed, wanted));
    }
    let readers: Vec<_> = (200..200 + READERS)
        .map(|seed| tokio::spawn(read(log.clone(), deeds.clone(), seed)))
        .collect();
    let other = super::PostgresUrl::parse(&database.server().url("postgres")).unwrap();
    let holding = tokio::spawn(hold_back(other, deeds.clone()));
    let killing = tokio::spawn(kill(session(&database, "killer").await, deeds.clone()));
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let written_in = began.elapsed();
    deeds.is_written.store(true, Ordering::Release);
    holding.await.unwrap();
    killing.await.unwrap();
    deeds.is_over.store(true, Ordering::Release);
    let mut delivered = 0;
    for reader in readers {
        let seen = reader.await.unwrap();
        check_order(&seen);
        check_whole(&seen, &deeds);
        delivered = seen.len();
    }
    report(&deeds, delivered, written_in);
    assert!(delivered >= wanted);
}

fn report(deeds: &Deeds, delivered: usize, written_in: Duration) {
    let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    println!(
        "{delivered} changes of {RESOURCES} resources in {} transactions by {CALLERS} callers and {SESSIONS} sessions in \
         {:.1} s; {} transactions given up, {} with unknown end, {} sessions ended, readers held back {} times: each of \
         {READERS} readers got each change once and in order",
        of(&deeds.transactions),
        written_in.as_secs_f64(),
        of(&deeds.aborted),
        of(&deeds.unknown),
        of(&deeds.killed),
        of(&deeds.held),
    );
}
