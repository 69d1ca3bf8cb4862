//! `PUT`s of new Patients of 3.5 kB over kept connections, each answered when it is on disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lakefeed_sample_data::Generator;
use lakefeed_tests::{Host, Site};

use crate::connection::Connection;
use crate::postgres::Server;
use crate::scale::Scale;
use crate::table::{Table, per_second, rate};

const CONNECTIONS: u64 = 32;

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
    let pgbench = [8, 32].map(|clients| server.two_inserts(clients, scale.puts_for));
    let peer = format!(
        "pgbench, two inserts a transaction: {:.0}/s by 8 clients, {:.0}/s by 32",
        pgbench[0], pgbench[1]
    );
    let what = format!("PUT of 3.5 kB Patients, {CONNECTIONS} connections, PostgreSQL");
    let Some(site) = server.site() else {
        table.row(&what, "this build has no such store", peer);
        return;
    };
    let (count, spent) = puts(&site.start(), scale);
    let ratio = per_second(count, spent) / pgbench[0].max(pgbench[1]);
    let found = format!("{}, {ratio:.2} × pgbench's best", rate(count, spent, "resources"));
    table.row(&what, found, peer);
}

fn puts(host: &Host, scale: &Scale) -> (u64, std::time::Duration) {
    let written = AtomicU64::new(0);
    let started = Instant::now();
    let deadline = started + scale.puts_for;
    std::thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (base, written) = (host.base(), &written);
            scope.spawn(move || put_until(base, number, deadline, written));
        }
    });
    (written.load(Ordering::Relaxed), started.elapsed())
}

fn put_until(base: &str, number: u64, deadline: Instant, written: &AtomicU64) {
    let mut connection = Connection::open(base);
    let bodies: Vec<String> = Generator::new(number)
        .patients(64)
        .map(|patient| patient.to_string())
        .collect();
    for (round, body) in bodies.iter().cycle().enumerate() {
        if Instant::now() >= deadline {
            return;
        }
        connection.put(&format!("Patient/c{number}-{round}"), body.as_bytes());
        written.fetch_add(1, Ordering::Relaxed);
    }
}
