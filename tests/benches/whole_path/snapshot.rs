//! A snapshot held open: what it does to a queue that deletes what it has handed out, and to the log.
//!
//! A queue's workers pass over every row that was deleted and that the snapshot may still see; the log deletes nothing.
//! Both get the same load: Observations at a steady pace, taken as they come.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;
use lakefeed_tests::{Site, destination, views};

use crate::postgres::{Server, write_script};
use crate::scale::Scale;
use crate::table::Table;
use crate::traffic::steady;

/// Changes a second: enough that what the snapshot keeps from being cleared away is long before the time is over.
const PACE: u64 = 2_000;

/// What the first and the last part of the time are.
const PART: Duration = Duration::from_secs(10);

/// What was seen at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    taken: u64,
    waiting: u64,
    bytes: u64,
}

/// The rows of the queue and of the log.
pub(crate) fn measure(table: &mut Table, scale: &Scale, postgres: Option<&Server>) {
    let Some(server) = postgres else { return };
    let held = scale.held_for;
    let what = format!(
        "{PACE} changes a second while a snapshot is held for {} s",
        held.as_secs()
    );
    let queue = queue(server, held);
    let log = server.site().map(|site| log(server, &site, held));
    table.row(
        &what,
        log.map_or("this build has no such store".to_owned(), |samples| {
            words(&samples)
        }),
        format!("a SKIP LOCKED queue: {}", words(&queue)),
    );
}

/// A table that producers insert into, and that two workers empty by fifties.
fn queue(server: &Server, held: Duration) -> Vec<Sample> {
    server.sql(
        "DROP TABLE IF EXISTS queue; CREATE TABLE queue (id bigserial PRIMARY KEY, payload bytea NOT NULL)",
    );
    let observation = Generator::new(1).observations(1, 1).next().unwrap().to_string();
    let observation = observation.replace('\'', "''").replace(':', "\\072");
    let (inserts, deletes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let insert = write_script(
        &inserts,
        &format!("INSERT INTO queue (payload) VALUES ('{observation}'::bytea);\n"),
    );
    let delete = write_script(
        &deletes,
        "DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY id LIMIT 50 FOR UPDATE SKIP LOCKED) RETURNING payload;\n\
         \\sleep 20 ms\n",
    );
    let snapshot = hold(server, held);
    let pace = PACE.to_string();
    let mut running: Vec<Child> = [
        server.pgbench(&insert, 4, held, &["-R", &pace]),
        server.pgbench(&delete, 2, held, &[]),
    ]
    .into_iter()
    .map(|mut command| {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    })
    .collect();
    let samples = sample(held, || {
        let text = server.sql(
            "SELECT n_tup_del, n_tup_ins - n_tup_del, pg_total_relation_size('queue') \
             FROM pg_stat_user_tables WHERE relname = 'queue'",
        );
        numbers(&text)
    });
    running.iter_mut().for_each(|child| drop(child.wait()));
    end(snapshot);
    samples
}

/// The same load on a host, drained into a Delta table.
fn log(server: &Server, site: &Site, held: Duration) -> Vec<Sample> {
    site.write("observation_flat.json", views::OBSERVATION_FLAT);
    site.configure(&destination(
        "observations",
        "Observation",
        "observation_flat",
        "",
    ));
    let host = site.start();
    let snapshot = hold(server, held);
    let samples = std::thread::scope(|scope| {
        scope.spawn(|| steady(host.base(), PACE, held));
        sample(held, || {
            let status = host.status("observations");
            let count = |name: &str| status[name].as_f64().unwrap_or_default() as u64;
            let bytes = server.sql(
                "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c \
                 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'lakefeed' AND c.relkind = 'r'",
            );
            [
                count("messagesDelivered"),
                count("messagesQueued"),
                bytes.parse().unwrap_or_default(),
            ]
        })
    });
    end(snapshot);
    samples
}

/// A session that keeps its snapshot.
fn hold(server: &Server, held: Duration) -> Child {
    let text = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class; SELECT pg_sleep({}); COMMIT",
        held.as_secs() + 60
    );
    let mut psql = server.psql();
    psql.args(["-c", &text])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    psql.spawn().unwrap()
}

fn end(mut session: Child) {
    drop(session.kill());
    drop(session.wait());
}

fn sample(held: Duration, mut ask: impl FnMut() -> [u64; 3]) -> Vec<Sample> {
    let started = Instant::now();
    let mut samples = Vec::new();
    while started.elapsed() < held {
        let [taken, waiting, bytes] = ask();
        samples.push(Sample {
            at: started.elapsed(),
            taken,
            waiting,
            bytes,
        });
        std::thread::sleep(Duration::from_secs(1));
    }
    samples
}

fn numbers(text: &str) -> [u64; 3] {
    let mut fields = text.split('|').map(|field| field.parse().unwrap_or_default());
    std::array::from_fn(|_| fields.next().unwrap_or_default())
}

fn words(samples: &[Sample]) -> String {
    let Some((first, last)) = samples.first().zip(samples.last()) else {
        return "nothing was seen".to_owned();
    };
    let early = samples.iter().rfind(|sample| sample.at <= PART).unwrap_or(last);
    let late = samples
        .iter()
        .find(|sample| sample.at + PART >= last.at)
        .unwrap_or(first);
    format!(
        "drained {:.0}/s at first and {:.0}/s at last, {} waiting at last, {} MiB with indexes for {} changes",
        pace(first, early),
        pace(late, last),
        last.waiting,
        last.bytes >> 20,
        last.taken + last.waiting
    )
}

fn pace(from: &Sample, to: &Sample) -> f64 {
    to.taken.saturating_sub(from.taken) as f64 / (to.at - from.at).as_secs_f64().max(1e-9)
}
