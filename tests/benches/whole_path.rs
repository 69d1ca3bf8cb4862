//! The whole path, measured on the real program: durable writes a second over HTTP, resources imported and rows drained a
//! second, and the memory that the host takes for it. Prints numbers and judges none.
//!
//!     make bench
//!
//! `LAKEFEED_BENCH_RESOURCES` says how many patients are imported and drained.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and ends at the first thing wrong"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;
use lakefeed_tests::{Client, Site, destination, views};
use serde_json::Value;

const CONNECTIONS: u64 = 32;
const WRITE_FOR: Duration = Duration::from_secs(10);

fn main() {
    let resources = std::env::var("LAKEFEED_BENCH_RESOURCES")
        .ok()
        .and_then(|text| text.parse().ok());
    let resources: u64 = resources.unwrap_or(50_000);
    durable_writes();
    import_and_drain(resources);
}

fn line(what: &str, value: String) {
    println!("{what:<56} {value}");
}

fn per_second(count: u64, time: Duration) -> String {
    format!(
        "{:.0} a second ({count} in {:.1} s)",
        count as f64 / time.as_secs_f64(),
        time.as_secs_f64()
    )
}

/// PUTs of new patients of about 3.5 kB, each answered when it is on disk.
fn durable_writes() {
    let site = Site::new("");
    let host = site.start();
    let written = AtomicU64::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (client, written): (&Client, _) = (&host, &written);
            scope.spawn(move || write_until(client, connection, started + WRITE_FOR, written));
        }
    });
    let count = written.load(Ordering::Relaxed);
    line(
        &format!("durable PUTs, {CONNECTIONS} connections"),
        per_second(count, started.elapsed()),
    );
    memory("host after it, resident and most", &host);
}

fn write_until(client: &Client, connection: u64, deadline: Instant, written: &AtomicU64) {
    let mut patients: Vec<Value> = Generator::new(connection).patients(100).collect();
    let mut number = 0;
    while Instant::now() < deadline {
        for patient in &mut patients {
            let id = format!("c{connection}-{number}");
            patient["id"] = id.clone().into();
            client.put(&format!("Patient/{id}"), patient).expect(201);
            written.fetch_add(1, Ordering::Relaxed);
            number += 1;
            if Instant::now() >= deadline {
                return;
            }
        }
    }
}

/// An import with no host, then a host that has all of it to deliver.
fn import_and_drain(resources: u64) {
    let site = Site::new("");
    site.write("patient_flat.json", views::PATIENT_FLAT);
    let config = destination("patients", "Patient", "patient_flat", "");
    site.configure(&config.replace("batchSize = 500", "batchSize = 10000"));
    let path = site.write_ndjson("Patient.ndjson", Generator::new(1).patients(resources));
    let started = Instant::now();
    site.run(&["import", path.to_str().unwrap(), "--json"])
        .succeeded();
    line(
        "import of Patients of 3.5 kB",
        per_second(resources, started.elapsed()),
    );
    let host = site.start();
    let started = Instant::now();
    let status = host.wait_until_delivered("patients");
    let delivered = status["messagesDelivered"].as_f64().unwrap_or_default() as u64;
    line(
        "changes drained into one Delta table, from the start",
        per_second(delivered, started.elapsed()),
    );
    memory("host after it, resident and most", &host);
}

fn memory(what: &str, host: &lakefeed_tests::Host) {
    let (now, most) = host.memory();
    line(what, format!("{} MiB, {} MiB", now >> 20, most >> 20));
}
