//! Other FHIR servers send their changes as they are documented to, twice, out of order, and to a host that is killed
//! meanwhile; each resource ends in the sender's newest version.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use lakefeed_tests::{Client, Host, Site};
use reqwest::Method;
use serde_json::{Value, json};

mod format;

use format::{Format, SECRET};

/// Resources of one sender.
const RESOURCES: u64 = 12;
/// Versions of a resource at most.
const VERSIONS: u64 = 6;
/// How often the host is killed while they send.
const KILLS: u64 = 6;

/// One change at a sender.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Its place among all changes of the sender, from 1; also its second.
    number: u64,
    id: String,
    version: u64,
    is_delete: bool,
}

impl Change {
    fn instant(&self) -> String {
        format!(
            "2025-01-01T{:02}:{:02}:{:02}Z",
            self.number / 3600,
            self.number / 60 % 60,
            self.number % 60
        )
    }

    fn resource(&self) -> Value {
        json!({"resourceType": "Patient", "id": self.id, "gender": "other",
            "meta": {"versionId": self.version.to_string(), "lastUpdated": self.instant()},
            "name": [{"use": "official", "family": format!("Version{}", self.version)}]})
    }
}

/// A generator whose whole run a seed repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A sender's whole life. Who tells neither version nor time of a delete deletes at most at the end.
fn life(format: Format, dice: &mut Dice) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for round in 1..=VERSIONS {
        for resource in 0..RESOURCES {
            let id = format!("{}-{resource}", format.name());
            let before = changes.iter().rev().find(|change| change.id == id);
            let is_over = before.is_some_and(|before| before.is_delete) && !format.times_deletes();
            if is_over || dice.below(4) == 0 {
                continue;
            }
            let may_delete = before.is_some_and(|before| !before.is_delete);
            let is_delete = may_delete && dice.below(if format.times_deletes() { 4 } else { 10 }) == 0;
            changes.push(Change {
                number: changes.len() as u64 + 1,
                version: before.map_or(1, |before| before.version + 1),
                id,
                is_delete: is_delete && round > 1,
            });
        }
    }
    changes
}

/// The order in which they are sent: some late, some twice.
fn disorder(changes: &[Change], dice: &mut Dice) -> Vec<Change> {
    let mut sent: Vec<(u64, Change)> = Vec::new();
    for change in changes {
        let mut at = || change.number * 10 + dice.below(120);
        sent.push((at(), change.clone()));
        if change.number % 3 == 0 {
            sent.push((at(), change.clone()));
        }
    }
    sent.sort_by_key(|(at, _)| *at);
    sent.into_iter().map(|(_, change)| change).collect()
}

/// Sends until it is taken, as every one of these servers does, for as long as the host takes to come back.
fn send(format: Format, client: &Client, change: &Change) {
    let (method, path, headers, body) = format.request(change);
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    lakefeed_tests::wait_for("a delivery to be taken", || {
        let answer = client
            .try_send(method.clone(), &path, &headers, body.clone().into_bytes())
            .ok()?;
        assert!(
            answer.status == 200 || answer.status >= 500,
            "{format:?}: {}",
            answer.text()
        );
        (answer.status == 200).then_some(())
    });
}

fn configure(site: &Site) {
    site.write("medplum.secret", SECRET);
    let feeds = "[feeds.clinic]\nkind = \"medplum\"\nsecret = { file = \"medplum.secret\" }\n\n";
    site.configure(&format!(
        "{feeds}{}",
        lakefeed_tests::destination("patients", "Patient", "patient_flat", "")
    ));
}

/// Kills the host and starts it again while the senders are at work.
fn kill_and_start(site: &Site, mut host: Host, dice: &mut Dice) -> Host {
    for _ in 0..KILLS {
        host.wait_until_ready();
        thread::sleep(Duration::from_millis(100 + dice.below(400)));
        host.kill();
        host = site.spawn();
    }
    host.wait_until_ready();
    host
}

#[test]
fn each_resource_ends_in_the_newest_version_of_its_sender_whatever_the_sender_is() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let site = Site::patients();
    configure(&site);
    let host = site.start();
    let client = Client::new(host.base());
    let lives = Mutex::new(Vec::new());
    let host = thread::scope(|scope| {
        for (index, format) in Format::ALL.into_iter().enumerate() {
            let (client, lives) = (client.clone(), &lives);
            scope.spawn(move || {
                let mut dice = Dice(seed + index as u64);
                let changes = life(format, &mut dice);
                for change in disorder(&changes, &mut dice) {
                    send(format, &client, &change);
                    thread::sleep(Duration::from_millis(5));
                }
                lives.lock().unwrap().push((format, changes));
            });
        }
        kill_and_start(&site, host, &mut Dice(seed))
    });
    for (format, changes) in lives.into_inner().unwrap() {
        for resource in 0..RESOURCES {
            let id = format!("{}-{resource}", format.name());
            let of_it: Vec<&Change> = changes.iter().filter(|change| change.id == id).collect();
            let Some(newest) = of_it.last() else { continue };
            check(&host, format, newest, of_it.len());
        }
    }
    host.wait_until_delivered("patients");
}

fn check(host: &Host, format: Format, newest: &Change, versions: usize) {
    let answer = host.get(&format!("Patient/{}", newest.id));
    if newest.is_delete {
        // It was never here when its delete overtook all that went before.
        if answer.status == 404 {
            return;
        }
        assert_eq!(answer.status, 410, "{format:?} {newest:?}: {}", answer.text());
    } else {
        let family = answer.expect(200).json()["name"][0]["family"].clone();
        assert_eq!(
            family,
            format!("Version{}", newest.version),
            "{format:?} {newest:?}"
        );
    }
    let history = host
        .get(&format!("Patient/{}/_history?_count=1000", newest.id))
        .json();
    let stored = history["entry"].as_array().map_or(0, Vec::len);
    assert!(
        (1..=versions).contains(&stored),
        "{format:?} {}: {stored} versions of {versions} that were sent",
        newest.id
    );
}

#[test]
fn a_body_that_is_not_signed_is_not_taken() {
    let site = Site::patients();
    configure(&site);
    let host = site.start();
    let change = Change {
        number: 1,
        id: "p".to_owned(),
        version: 1,
        is_delete: false,
    };
    let (method, path, _, body) = Format::Medplum.request(&change);
    let json = ("content-type", "application/fhir+json");
    let answer = host.send(
        method,
        &path,
        &[json, ("x-signature", &"0".repeat(64))],
        body.into_bytes(),
    );
    assert_eq!(answer.status, 403, "{}", answer.text());
    host.get("Patient/p").expect(404);
}

#[test]
fn an_import_goes_on_after_the_host_is_killed() {
    let site = Site::patients();
    let people =
        (0..60_000).map(|n| json!({"resourceType": "Patient", "id": format!("p{n}"), "gender": "other"}));
    site.write_ndjson("people.ndjson", people);
    let host = site.start();
    let import = json!({"id": "people", "inputs": [{"resourceType": "Patient", "url": "people.ndjson"}]});
    host.post("/v2/fhir/$import", &import).expect(200);
    let total =
        |host: &Host| host.get("/v2/$import/people").expect(200).json()["inputs"][0]["total"].as_u64();
    lakefeed_tests::wait_for("the import to begin", || total(&host).filter(|total| *total > 0));
    host.kill();
    let host = site.start();
    let done = lakefeed_tests::wait_for("the import to end", || {
        let status = host.get("/v2/$import/people").expect(200).json();
        (status["status"] == "done").then_some(status)
    });
    assert_eq!(done["outcome"], "succeeded", "{done}");
    for id in ["p0", "p30000", "p59999"] {
        host.get(&format!("Patient/{id}")).expect(200);
    }
    host.post("/v2/fhir/$import", &import).expect(409);
}

/// Fifty thousand entries that fit into a body, each with the other's references.
fn large_bundle(kind: &str) -> Vec<u8> {
    let entries = (0..50_000).map(|n| {
        json!({"fullUrl": format!("urn:uuid:00000000-0000-4000-8000-{n:012}"),
            "request": {"method": "PUT", "url": format!("Patient/{kind}{n}")},
            "resource": {"resourceType": "Patient", "active": n % 2 == 0}})
    });
    let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries.collect::<Vec<_>>()});
    bundle.to_string().into_bytes()
}

#[test]
fn a_bundle_of_fifty_thousand_entries_is_done_within_bounded_memory() {
    let site = Site::patients();
    let host = site.start();
    let json = ("content-type", "application/fhir+json");
    for kind in ["batch", "transaction"] {
        let body = large_bundle(kind);
        let bytes = body.len();
        let started = std::time::Instant::now();
        let answer = host.send(Method::POST, "/fhir", &[json, ("prefer", "return=minimal")], body);
        let elapsed = started.elapsed();
        let answer = answer.expect(200).json();
        let entries = answer["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 50_000);
        assert!(entries.iter().all(|entry| entry["response"]["status"] == "201"));
        let (now, most) = host.memory();
        println!(
            "{kind}: {bytes} bytes in {elapsed:?}; {} MB now, {} MB at most",
            now >> 20,
            most >> 20
        );
        assert!(most < 1 << 30, "{kind}: {most} bytes");
    }
    let many = json!({"resourceType": "Bundle", "type": "batch", "entry": vec![json!({}); 100_001]});
    let answer = host.post("/fhir", &many);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.issues().contains("100000 entries"), "{}", answer.issues());
}
