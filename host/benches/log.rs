//! What the SQLite store does a second: durable writes by many callers, an import's large calls, changes read back,
//! and the time that an exact count takes. Run with `cargo bench -p lakefeed --bench log`.
//!
//! The store is made in the folder that `TMPDIR` names, which decides what a sync costs.

#![allow(clippy::print_stdout, reason = "the figures are the program's purpose")]
#![allow(missing_docs, reason = "a program has no callers")]

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lakefeed::change::{Body, Matched, Offset, ResourceKey, Timestamp};
use lakefeed::log::sqlite::SqliteLog;
use lakefeed::log::{Action, Log, Matcher, Precondition, ReadBound, Write};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CALLERS: usize = 32;
const PUTS_A_CALLER: usize = 1_000;
const IMPORTED: usize = 200_000;
const IMPORT_CALL: usize = 500;
const BATCH: usize = 10_000;

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let log = SqliteLog::open(&folder.path().join("bench.db"), Arc::new(Timestamp::now)).await?;
    let log: Arc<dyn Log> = Arc::new(log);
    let patient = Arc::new(body("Patient", 3_500)?);
    let observation = Arc::new(body("Observation", 1_000)?);

    let puts = CALLERS * PUTS_A_CALLER;
    let spent = timed(put_by_many(&log, &patient)).await?;
    report("durable PUTs of 3.5 kB Patients, 32 callers", puts, spent);
    let spent = timed(put_by_many(&log, &patient)).await?;
    report("the same again, as updates", puts, spent);
    let spent = timed(import(&log, &observation)).await?;
    report("imported 1 kB Observations, 500 a call", IMPORTED, spent);
    let spent = timed(drain(&log)).await?;
    report("changes read, 10,000 a batch", 2 * puts + IMPORTED, spent);
    let started = Instant::now();
    let waiting = log.count_changes(Offset::START, "t").await?;
    println!(
        "exact count of {waiting} waiting changes: {:.3} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    log.close().await;
    Ok(())
}

async fn timed(work: impl Future<Output = Outcome<()>>) -> Outcome<Duration> {
    let started = Instant::now();
    work.await?;
    Ok(started.elapsed())
}

fn report(what: &str, count: usize, spent: Duration) {
    println!("{what}: {:.0}/s", count as f64 / spent.as_secs_f64());
}

async fn put_by_many(log: &Arc<dyn Log>, body: &Arc<Body>) -> Outcome<()> {
    let callers = (0..CALLERS).map(|caller| {
        let (log, body) = (log.clone(), body.clone());
        tokio::spawn(async move {
            for number in 0..PUTS_A_CALLER {
                log.write(vec![put(&format!("p-{number}-{caller}"), &body)?])
                    .await?;
            }
            Outcome::Ok(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(())
}

async fn import(log: &Arc<dyn Log>, body: &Arc<Body>) -> Outcome<()> {
    for first in (0..IMPORTED).step_by(2 * IMPORT_CALL) {
        let call = |first: usize| {
            let ids = first..first + IMPORT_CALL;
            ids.map(|number| put(&format!("o-{number:x}"), body))
                .collect::<Outcome<Vec<Write>>>()
        };
        let (one, other) = (call(first)?, call(first + IMPORT_CALL)?);
        let (one, other) = futures::join!(log.write(one), log.write(other));
        one?;
        other?;
    }
    Ok(())
}

async fn drain(log: &Arc<dyn Log>) -> Outcome<()> {
    let bound = ReadBound {
        changes: BATCH,
        bytes: 64 << 20,
        through: None,
    };
    let mut after = Offset::START;
    while let Some(last) = log.changes(after, bound).await?.last() {
        after = last.offset;
    }
    Ok(())
}

fn put(id: &str, body: &Arc<Body>) -> Outcome<Write> {
    let matcher: Matcher = Arc::new(|_, _, _| Matched {
        topics_known: 1,
        topics: vec!["t".to_owned()],
    });
    Ok(Write {
        key: ResourceKey::new(body.resource_type(), id)?,
        precondition: Precondition::None,
        action: Action::Put(body.clone()),
        matcher,
        source: None,
        tokens: Vec::new(),
        finding: None,
    })
}

/// A resource of about so many bytes.
fn body(resource_type: &str, bytes: usize) -> Outcome<Body> {
    let text = format!(
        r#"{{"resourceType":"{resource_type}","text":{{"status":"generated","div":"{}"}}}}"#,
        "x".repeat(bytes)
    );
    Ok(Body::parse(text.as_bytes())?)
}
