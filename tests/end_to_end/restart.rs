//! Killed at any moment and started again, the host has lost nothing that it answered, and delivered nothing twice.
//!
//! `LAKEFEED_KILLS` says how often it is killed, `LAKEFEED_SEED` when; the seed of a run is printed when it fails:
//!
//!     LAKEFEED_KILLS=200 cargo test -p lakefeed-tests --test end_to_end -- --nocapture restart

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lakefeed_tests::{Client, Host, Judge, Site, destination, views};
use reqwest::Method;
use serde_json::{Value, json};

/// What the clients saw: a write is an id and a version of it.
#[derive(Default)]
struct Seen {
    /// Answered with success.
    acknowledged: BTreeSet<(String, String)>,
    /// Deletes that were answered with success.
    deleted: BTreeSet<String>,
    /// Resources with a write that got no answer: it may have happened or not.
    unknown: BTreeSet<String>,
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// The next number of a generator whose whole run a seed repeats.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn every_acknowledged_write_is_in_the_table_exactly_once_however_often_the_host_is_killed() {
    let Some(judge) = Judge::find() else { return };
    let kills = from_environment("LAKEFEED_KILLS", 10);
    let seed = from_environment("LAKEFEED_SEED", u64::from(std::process::id()));
    println!("{kills} kills, LAKEFEED_SEED={seed}");
    let site = Site::new("");
    site.write("patient_version.json", views::PATIENT_VERSION);
    let more = "targetFileSizeMb = 1";
    let config = destination("patients", "Patient", "patient_version", more);
    site.configure(
        &config
            .replace("batchSize = 500", "batchSize = 20")
            .replace("sendIntervalMs = 50", "sendIntervalMs = 10"),
    );
    let mut host = site.start();
    let load = Load::start(&host);
    let mut state = seed;
    for _ in 0..kills {
        host = kill_and_start(&site, host, &mut state);
    }
    host.wait_until_ready();
    let seen = load.stop();
    host.wait_until_delivered("patients");
    let rows = judge
        .query(
            &site.path("lake/patients"),
            "SELECT id, version, is_deleted FROM t",
        )
        .rows;
    println!(
        "{} writes acknowledged, {} without an answer, {} rows",
        seen.acknowledged.len(),
        seen.unknown.len(),
        rows.len()
    );
    assert!(
        seen.acknowledged.len() as u64 > kills,
        "hardly anything was written"
    );
    compare(&seen, &rows);
}

/// Kills the host a moment from now, sometimes while it is still starting, and starts it again.
fn kill_and_start(site: &Site, host: Host, state: &mut u64) -> Host {
    if !next(state).is_multiple_of(4) {
        host.wait_until_ready();
    }
    std::thread::sleep(Duration::from_millis(next(state) % 400));
    host.kill();
    site.spawn()
}

fn compare(seen: &Seen, rows: &[Vec<Option<String>>]) {
    let mut times: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut deletes: BTreeMap<&str, u32> = BTreeMap::new();
    for row in rows {
        let cell = |place: usize| row[place].as_deref().unwrap_or_default();
        *times.entry((cell(0).to_owned(), cell(1).to_owned())).or_default() += 1;
        *deletes.entry(cell(0)).or_default() += u32::from(cell(2) == "1");
    }
    let twice: Vec<_> = times.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
    let lost: Vec<_> = seen
        .acknowledged
        .iter()
        .filter(|write| !times.contains_key(write))
        .collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let undeleted: Vec<_> = seen
        .deleted
        .iter()
        .filter(|id| deletes.get(id.as_str()) != Some(&1))
        .collect();
    assert!(undeleted.is_empty(), "deletes lost or twice: {undeleted:?}");
    let is_unknown =
        |write: &&(String, String)| !seen.acknowledged.contains(*write) && !seen.unknown.contains(&write.0);
    let invented: Vec<_> = times.keys().filter(is_unknown).collect();
    assert!(invented.is_empty(), "never written: {invented:?}");
}

/// Clients that write without rest.
struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(client: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let thread = |number: u32| {
            let (client, stop, seen) = (client.clone(), Arc::clone(&stop), Arc::clone(&seen));
            std::thread::spawn(move || write_until(number, &client, &stop, &seen))
        };
        let threads = (0..4).map(thread).collect();
        Self { stop, seen, threads }
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        Arc::into_inner(self.seen).unwrap().into_inner().unwrap()
    }
}

fn write_until(thread: u32, client: &Client, stop: &AtomicBool, seen: &Mutex<Seen>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let id = format!("p-{thread}-{number}");
        number += 1;
        // Create, and for some then an update, and for some of those a delete.
        let steps = 1 + usize::from(number % 3 == 0) + usize::from(number % 6 == 0);
        for step in 0..steps {
            let is_delete = step == 2;
            if !write(client, &id, is_delete, seen) {
                std::thread::sleep(Duration::from_millis(5));
                break;
            }
        }
    }
}

/// Writes once, notes what came of it, and says whether it succeeded.
fn write(client: &Client, id: &str, is_delete: bool, seen: &Mutex<Seen>) -> bool {
    let path = format!("Patient/{id}");
    let answer = if is_delete {
        client.try_send(Method::DELETE, &path, &[], Vec::new())
    } else {
        let body = json!({ "resourceType": "Patient", "id": id }).to_string();
        client.try_send(
            Method::PUT,
            &path,
            &[("content-type", "application/fhir+json")],
            body.into_bytes(),
        )
    };
    let mut seen = seen.lock().unwrap();
    match answer {
        Ok(answer) if answer.is_success() => {
            let resource: Value = answer.json();
            let version = resource["meta"]["versionId"].as_str().unwrap().to_owned();
            seen.acknowledged.insert((id.to_owned(), version));
            if is_delete {
                seen.deleted.insert(id.to_owned());
            }
            true
        }
        Ok(answer) => panic!("refused: {} {}", answer.status, answer.text()),
        Err(_) => {
            seen.unknown.insert(id.to_owned());
            false
        }
    }
}
