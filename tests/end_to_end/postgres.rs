//! A host on PostgreSQL, and the bad days of its server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lakefeed_test_postgres::{Server, skipped};
use lakefeed_tests::{Client, Judge, Site, wait_for};
use serde_json::{Value, json};

use super::load::{self, Load};
use super::small_disk::SmallDisk;

/// A site on a database of its own, with the destination that `load` writes to.
fn site(server: &Server) -> (Site, String) {
    let database = server.database();
    let site = Site::on_store(&server.url(&database));
    load::configure(&site);
    (site, database)
}

fn patient(id: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id })
}

fn put(client: &Client, id: &str) -> u16 {
    client.put(&format!("Patient/{id}"), &patient(id)).status
}

/// The ids in the table of the site's destination, each as often as it is there.
fn delivered(judge: &Judge, site: &Site) -> Vec<String> {
    let rows = judge.query(&site.path("lake/patients"), "SELECT id FROM t ORDER BY ALL");
    rows.rows
        .into_iter()
        .filter_map(|row| row.into_iter().next()?)
        .collect()
}

#[test]
fn a_write_becomes_a_row_and_survives_a_restart_of_the_host() {
    let Some(judge) = Judge::find() else { return };
    let Some(server) = Server::shared() else {
        return skipped();
    };
    let (site, database) = site(server);
    let host = site.start();
    assert_eq!(put(&host, "p-1"), 201);
    host.wait_until_delivered("patients");
    host.kill();
    let host = site.start();
    host.get("Patient/p-1").expect(200);
    assert_eq!(put(&host, "p-2"), 201);
    host.wait_until_delivered("patients");
    assert_eq!(delivered(&judge, &site), ["p-1", "p-2"]);
    let seen = server.sql(
        &database,
        "SELECT resource->>'id' FROM lakefeed.current_resource WHERE type = 'Patient' ORDER BY 1",
    );
    assert_eq!(seen, "p-1\np-2");
}

#[test]
fn a_second_host_on_the_same_database_says_so_and_the_first_goes_on() {
    let Some(server) = Server::shared() else {
        return skipped();
    };
    let (first, database) = site(server);
    let host = first.start();
    let second = Site::on_store(&server.url(&database));
    let said = second.run(&["run"]).refused();
    assert!(said.contains("LOG-001"), "{said}");
    assert_eq!(put(&host, "p-1"), 201);
}

#[test]
fn a_password_in_the_url_is_in_no_message() {
    let Some(server) = Server::shared() else {
        return skipped();
    };
    let url = server
        .url("no_such_database")
        .replace("postgres@", "postgres:s3cr3t-word@");
    let said = Site::on_store(&url).run(&["run"]).refused();
    assert!(!said.contains("s3cr3t-word"), "{said}");
    assert!(said.contains("LOG-"), "{said}");
}

#[test]
fn while_the_server_is_away_writes_get_503_and_all_goes_on_when_it_is_back() {
    let Some(judge) = Judge::find() else { return };
    let Some(server) = Server::start(&[]) else {
        return skipped();
    };
    let (site, _) = site(&server);
    let host = site.start();
    let load = Load::start(&host);
    load.wait_for_writes(50);
    server.kill("INT");
    let gone = Instant::now();
    let away = wait_for("a write to be refused", || {
        let answer = host.put("Patient/away", &patient("away"));
        (!answer.is_success()).then_some(answer)
    });
    assert_eq!(away.status, 503, "{}", away.text());
    assert!(!away.header("retry-after").is_empty());
    assert!(
        gone.elapsed() < Duration::from_secs(30),
        "refused only after {:?}",
        gone.elapsed()
    );
    std::thread::sleep(Duration::from_secs(60));
    server.resume();
    wait_for("writes to succeed again", || {
        (put(&host, "back") < 300).then_some(())
    });
    load.wait_for_writes(50);
    let mut seen = load.stop();
    host.wait_until_delivered("patients");
    // `away` and `back` were written beside the load.
    seen.unknown.extend(["away".to_owned(), "back".to_owned()]);
    load::compare(&seen, &judge, &site);
}

#[test]
fn a_server_that_crashes_again_and_again_under_load_loses_nothing_that_was_acknowledged() {
    let Some(judge) = Judge::find() else { return };
    let Some(server) = Server::start(&[]) else {
        return skipped();
    };
    let (site, database) = site(&server);
    let host = site.start();
    let load = Load::start(&host);
    for _ in 0..3 {
        load.wait_for_writes(30);
        server.kill("QUIT");
        server.resume();
    }
    wait_for("writes to succeed again", || {
        (put(&host, "after") < 300).then_some(())
    });
    let mut seen = load.stop();
    seen.unknown.insert("after".to_owned());
    let kept = server.sql(&database, "SELECT id, sequence FROM lakefeed.log");
    let kept: BTreeSet<&str> = kept.lines().collect();
    let is_lost = |(id, version): &&(String, String)| !kept.contains(&*format!("{id}|{version}"));
    let lost: Vec<_> = seen.acknowledged.iter().filter(is_lost).collect();
    assert!(lost.is_empty(), "not in the store: {lost:?}");
    host.wait_until_delivered("patients");
    load::compare(&seen, &judge, &site);
}

#[test]
fn a_server_that_has_no_connection_left_is_503_until_it_has() {
    let Some(server) = Server::start(&[]) else {
        return skipped();
    };
    let database = server.database();
    server.sql(
        &database,
        &format!("CREATE ROLE app LOGIN; ALTER DATABASE {database} OWNER TO app"),
    );
    let site = Site::on_store(&server.url(&database).replace("postgres@", "app@"));
    load::configure(&site);
    server.sql("postgres", "ALTER ROLE app CONNECTION LIMIT 0");
    let said = site.run(&["run"]).refused();
    assert!(said.contains("LOG-005"), "{said}");
    server.sql("postgres", "ALTER ROLE app CONNECTION LIMIT -1");
    let host = site.start();
    assert_eq!(put(&host, "p-1"), 201);
    let end_all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'";
    server.sql("postgres", "ALTER ROLE app CONNECTION LIMIT 0");
    server.sql("postgres", end_all);
    let answer = host.put("Patient/p-2", &patient("p-2"));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(host.get("Patient/p-1").status, 503);
    server.sql("postgres", "ALTER ROLE app CONNECTION LIMIT -1");
    wait_for("writes to succeed again", || {
        (put(&host, "p-3") < 300).then_some(())
    });
    host.wait_until_delivered("patients");
}

/// A Patient of about 20 kB that no compression makes much smaller.
fn large(number: u64) -> Value {
    let mut state = number + 1;
    let digits = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        format!("{:08x}", state >> 32)
    });
    let text: String = digits.take(2_500).collect();
    json!({ "resourceType": "Patient", "id": format!("large-{number}"), "name": [{ "family": text }] })
}

#[test]
fn while_the_servers_disk_is_full_writes_get_507_and_all_goes_on_when_there_is_room() {
    let Some(judge) = Judge::find() else { return };
    let Some(server) = Server::start(&[]) else {
        return skipped();
    };
    let place = server.folder().join("disk");
    let Some(disk) = SmallDisk::mount(&place, 64) else {
        return;
    };
    server.give(&place);
    server.sql(
        "postgres",
        &format!("CREATE TABLESPACE small LOCATION '{}'", place.display()),
    );
    server.sql("postgres", "CREATE DATABASE small TABLESPACE small");
    let site = Site::on_store(&server.url("small"));
    load::configure(&site);
    let host = site.start();
    assert_eq!(put(&host, "before"), 201);
    host.wait_until_delivered("patients");
    let ballast = disk.fill();
    let write = |number| {
        host.put(&format!("Patient/large-{number}"), &large(number))
            .status
    };
    let (stored, status) = (0..2_000)
        .map(|number| (number, write(number)))
        .find(|(_, status)| *status != 201)
        .expect("the disk was full");
    assert_eq!(status, 507);
    host.get("Patient/before").expect(200);
    std::fs::remove_file(ballast).unwrap();
    wait_for("writes to succeed again", || {
        (put(&host, "after") < 300).then_some(())
    });
    host.wait_until_delivered("patients");
    let rows: BTreeSet<String> = delivered(&judge, &site).into_iter().collect();
    let larges = (0..stored).map(|number| format!("large-{number}"));
    let wanted: BTreeSet<String> = larges.chain(["before".to_owned(), "after".to_owned()]).collect();
    assert_eq!(
        rows, wanted,
        "what was answered is in the table, and nothing else"
    );
}

#[test]
fn a_dump_is_restored_elsewhere_and_nothing_new_is_taken_for_what_was_lost() {
    let Some(judge) = Judge::find() else { return };
    let (Some(server), Some(other)) = (Server::start(&[]), Server::start(&[])) else {
        return skipped();
    };
    let (site, database) = site(&server);
    let host = site.start();
    (0..20).for_each(|number| assert_eq!(put(&host, &format!("kept-{number}")), 201));
    host.wait_until_delivered("patients");
    let dump = site.path("store.dump");
    let file = dump.to_str().unwrap();
    let dumped = server
        .program("pg_dump")
        .args([
            "--format=custom",
            "--file",
            file,
            "--dbname",
            &server.url(&database),
        ])
        .status();
    assert!(dumped.is_ok_and(|status| status.success()));
    let lost = host.put("Patient/lost", &patient("lost")).expect(201);
    let lost_version: u64 = lost.json()["meta"]["versionId"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    host.wait_until_delivered("patients");
    host.kill();

    let new = other.database();
    let restored = other
        .program("pg_restore")
        .args(["--exit-on-error", "--dbname", &other.url(&new), file])
        .status();
    assert!(restored.is_ok_and(|status| status.success()));
    let config = std::fs::read_to_string(site.path("lakefeed.toml")).unwrap();
    let moved = config.replace(&server.url(&database), &other.url(&new));
    assert_ne!(moved, config);
    site.write("lakefeed.toml", moved);
    let host = site.start();
    assert!(host.log().contains("restored"), "{}", host.log());
    host.get("Patient/kept-7").expect(200);
    host.get("Patient/lost").expect(404);
    let fresh = host.put("Patient/fresh", &patient("fresh")).expect(201);
    let version: u64 = fresh.json()["meta"]["versionId"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(version > lost_version + 1_000_000, "{version} {lost_version}");
    host.wait_until_delivered("patients");
    let rows = delivered(&judge, &site);
    assert!(rows.contains(&"fresh".to_owned()), "{rows:?}");
    assert!(rows.contains(&"lost".to_owned()), "what the table held stays");
    // The dump was taken when all was delivered, so nothing is delivered again.
    assert_eq!(rows.len(), 22, "{rows:?}");
}

/// An address that stays while the server behind it changes: a link to the folder of its socket.
struct Address {
    folder: tempfile::TempDir,
}

impl Address {
    fn of(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = Self { folder };
        address.lead_to(server);
        address
    }

    fn lead_to(&self, server: &Server) {
        let next = self.folder.path().join("next");
        std::os::unix::fs::symlink(server.folder(), &next).unwrap();
        std::fs::rename(&next, self.path()).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("current")
    }

    fn url(&self, server: &Server, database: &str) -> String {
        let escaped = |path: &Path| path.display().to_string().replace('/', "%2F");
        server
            .url(database)
            .replace(&escaped(server.folder()), &escaped(&self.path()))
    }
}

#[test]
fn a_standby_that_missed_the_last_second_is_taken_up_loudly_and_numbers_nothing_again() {
    let Some(judge) = Judge::find() else { return };
    let Some(server) = Server::start(&[]) else {
        return skipped();
    };
    let database = server.database();
    let address = Address::of(&server);
    let site = Site::on_store(&address.url(&server, &database));
    load::configure(&site);
    let host = site.start();
    (0..10).for_each(|number| assert_eq!(put(&host, &format!("kept-{number}")), 201));
    host.wait_until_delivered("patients");
    let standby = server.standby();
    let written = server.sql("postgres", "SELECT pg_current_wal_lsn()");
    wait_for("the standby to catch up", || {
        let is_there = standby.sql(
            "postgres",
            &format!("SELECT pg_last_wal_replay_lsn() >= '{written}'"),
        );
        (is_there == "t").then_some(())
    });
    standby.kill("INT");
    let lost = host.put("Patient/lost", &patient("lost")).expect(201);
    let lost_version: u64 = lost.json()["meta"]["versionId"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    host.wait_until_delivered("patients");

    server.kill("QUIT");
    standby.resume();
    standby.sql("postgres", "SELECT pg_promote()");
    address.lead_to(&standby);
    let fresh = wait_for("writes to succeed again", || {
        let answer = host.put("Patient/fresh", &patient("fresh"));
        answer.is_success().then_some(answer)
    });
    assert!(host.log().contains("went on on another server"), "{}", host.log());
    let version: u64 = fresh.json()["meta"]["versionId"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(version > lost_version + 1_000_000, "{version} {lost_version}");
    host.get("Patient/lost").expect(404);
    host.get("Patient/kept-3").expect(200);
    host.wait_until_delivered("patients");
    let rows = delivered(&judge, &site);
    assert_eq!(rows.iter().filter(|id| *id == "fresh").count(), 1, "{rows:?}");
    // And the same after a restart of the host.
    host.kill();
    let host = site.start();
    assert_eq!(put(&host, "later"), 201);
    host.wait_until_delivered("patients");
    assert!(delivered(&judge, &site).contains(&"later".to_owned()));
}
