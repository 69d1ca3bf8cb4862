//! `PUT`s of new Patients of 3.5 kB over kept connections, each answered when it is on disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::future::join_all;
use lakefeed_sample_data::Generator;
use lakefeed_tests::{Host, Site};
use serde_json::Value;

use crate::connection::{Connection, block_on};
use crate::postgres::{AS_STORED, BARE, Server};
use crate::scale::Scale;
use crate::table::{Table, per_second, rate};

const CONNECTIONS: u64 = 32;
/// Threads that serve them, as many as pgbench has.
const THREADS: u64 = 2;
/// Patients that each connection has, to begin with.
const BODIES: u64 = 64;

/// The row of the embedded store, and of PostgreSQL with pgbench beside it.
pub(crate) fn measure(table: &mut Table, scale: &Scale, postgres: Option<&Server>) {
    let site = Site::new("");
    let (count, spent) = puts(&site.start(), scale);
    table.row(
        &format!("PUT of 3.5 kB Patients, {CONNECTIONS} connections, SQLite"),
        rate(count, spent, "resources"),
        "",
    );
    let Some(server) = postgres else { return };
    let pgbench = |tables| [8, 32].map(|clients| server.two_inserts(tables, clients, scale.puts_for));
    let (bare, stored) = (pgbench(&BARE), pgbench(&AS_STORED));
    let peer = format!(
        "pgbench, two inserts a transaction: {:.0}/s by 8 clients, {:.0}/s by 32; with the columns and indexes of the \
         store {:.0}/s and {:.0}/s",
        bare[0], bare[1], stored[0], stored[1]
    );
    let what = format!("PUT of 3.5 kB Patients, {CONNECTIONS} connections, PostgreSQL");
    let Some(site) = server.site() else {
        table.row(&what, "this build has no such store", peer);
        return;
    };
    let (count, spent) = puts(&site.start(), scale);
    let ratio = |pgbench: [f64; 2]| per_second(count, spent) / pgbench[0].max(pgbench[1]);
    let found = format!(
        "{}, {:.2} × pgbench's best, {:.2} × with the store's columns and indexes",
        rate(count, spent, "resources"),
        ratio(bare),
        ratio(stored)
    );
    table.row(&what, found, peer);
}

fn puts(host: &Host, scale: &Scale) -> (u64, std::time::Duration) {
    let written = AtomicU64::new(0);
    let started = Instant::now();
    let deadline = started + scale.puts_for;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (base, written) = (host.base(), &written);
            let connections = (0..CONNECTIONS).filter(move |number| number % THREADS == thread);
            let puts = connections.map(move |number| put_until(base, number, deadline, written));
            scope.spawn(move || block_on(join_all(puts)));
        }
    });
    (written.load(Ordering::Relaxed), started.elapsed())
}

async fn put_until(base: &str, number: u64, deadline: Instant, written: &AtomicU64) {
    let mut connection = Connection::open(base).await;
    let mut bodies: Vec<Body> = Generator::new(number)
        .patients(BODIES)
        .map(|patient| Body::new(&patient))
        .collect();
    for round in 0_u64.. {
        if Instant::now() >= deadline {
            return;
        }
        let body = &mut bodies[(round % BODIES) as usize];
        body.number(round * CONNECTIONS + number);
        connection
            .put(&format!("Patient/c{number}-{round}"), &body.text)
            .await;
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// A Patient whose identifiers can be made another's: no two patients share a number.
struct Body {
    text: Vec<u8>,
    /// Where the last digits of each identifier's value end.
    ends: Vec<usize>,
}

impl Body {
    fn new(patient: &Value) -> Self {
        let text = patient.to_string();
        let identifiers = patient["identifier"].as_array().unwrap();
        let end = |value: &str| text.find(&format!("\"{value}\"")).unwrap() + 1 + value.len();
        let values = identifiers
            .iter()
            .map(|identifier| identifier["value"].as_str().unwrap());
        Self {
            ends: values.map(end).collect(),
            text: text.into_bytes(),
        }
    }

    /// Writes a number of eight digits over the digits at each end; what stands between them stays.
    fn number(&mut self, number: u64) {
        for end in &self.ends {
            let mut left = number;
            let digits = self.text[..*end]
                .iter_mut()
                .rev()
                .filter(|byte| byte.is_ascii_digit());
            for digit in digits.take(8) {
                *digit = b'0' + (left % 10) as u8;
                left /= 10;
            }
        }
    }
}
