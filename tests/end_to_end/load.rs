//! Clients that write without rest, and the comparison of what they were answered with the rows of the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lakefeed_tests::{Client, Judge, Site, destination, views, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

/// What the clients saw: a write is an id and a version of it.
#[derive(Default)]
pub(super) struct Seen {
    /// Answered with success.
    pub(super) acknowledged: BTreeSet<(String, String)>,
    /// Deletes that were answered with success.
    deleted: BTreeSet<String>,
    /// Resources with a write that got no answer: it may have happened or not.
    pub(super) unknown: BTreeSet<String>,
}

/// Patients into `lake/patients`, in batches that are soon full or due.
pub(super) fn configure(site: &Site) {
    site.write("patient_version.json", views::PATIENT_VERSION);
    let more = "targetFileSizeMb = 1";
    let config = destination("patients", "Patient", "patient_version", more);
    site.configure(
        &config
            .replace("batchSize = 500", "batchSize = 20")
            .replace("sendIntervalMs = 50", "sendIntervalMs = 10"),
    );
}

/// Holds the table against what the clients saw: each write that was acknowledged is there exactly once, and nothing is
/// that nobody wrote. Answers the figures.
pub(super) fn compare(seen: &Seen, judge: &Judge, site: &Site) -> Compared {
    let table = site.path("lake/patients");
    let rows = judge.query(&table, "SELECT id, version, is_deleted FROM t").rows;
    compare_rows(seen, &rows);
    Compared {
        acknowledged: seen.acknowledged.len() as u64,
        unknown: seen.unknown.len(),
        rows: rows.len(),
    }
}

/// How much was compared.
pub(super) struct Compared {
    pub(super) acknowledged: u64,
    unknown: usize,
    rows: usize,
}

impl std::fmt::Display for Compared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} writes acknowledged, {} without an answer, {} rows",
            self.acknowledged, self.unknown, self.rows
        )
    }
}

fn compare_rows(seen: &Seen, rows: &[Vec<Option<String>>]) {
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
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(client: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let thread = |number: u32| {
            let (client, stop, seen) = (client.clone(), Arc::clone(&stop), Arc::clone(&seen));
            std::thread::spawn(move || write_until(number, &client, &stop, &seen))
        };
        let threads = (0..4).map(thread).collect();
        Self { stop, seen, threads }
    }

    /// Waits until so many more writes were acknowledged, however slow the machine is.
    pub(super) fn wait_for_writes(&self, more: usize) {
        let acknowledged = || self.seen.lock().unwrap().acknowledged.len();
        let wanted = acknowledged() + more;
        wait_for("writes to be acknowledged", || {
            (acknowledged() >= wanted).then_some(())
        });
    }

    pub(super) fn stop(self) -> Seen {
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
        Ok(answer) if answer.status != 503 => panic!("refused: {} {}", answer.status, answer.text()),
        // A store that is away may have committed what it could not answer.
        Ok(_) | Err(_) => {
            seen.unknown.insert(id.to_owned());
            false
        }
    }
}
