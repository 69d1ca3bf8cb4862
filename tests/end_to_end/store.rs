//! The store as an operator meets it: backups, restores, files that cannot be written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use lakefeed_tests::{Client, Judge, Site, views};
use serde_json::json;

use super::small_disk::SmallDisk;

fn put(client: &Client, id: &str) -> u16 {
    let body =
        json!({ "resourceType": "Patient", "id": id, "name": [{ "use": "official", "family": "Smith" }] });
    client.put(&format!("Patient/{id}"), &body).status
}

#[test]
fn a_backup_taken_while_the_host_writes_is_restored_with_everything_up_to_then() {
    let site = Site::patients();
    let host = site.start();
    assert_eq!(put(&host, "before"), 201);
    site.run(&["backup", "copy.db"]).succeeded();
    assert_eq!(put(&host, "after"), 201);
    assert!(host.stop().success());
    let said = site.run(&["restore", "copy.db"]).refused();
    assert!(said.contains("LOG-011"), "{said}");
    for name in ["lakefeed.db", "lakefeed.db-wal", "lakefeed.db-shm"] {
        drop(fs::remove_file(site.path(name)));
    }
    site.run(&["restore", "copy.db"]).succeeded();
    let host = site.start();
    host.get("Patient/before").expect(200);
    host.get("Patient/after").expect(404);
}

#[test]
fn the_store_is_for_its_owner_only() {
    let site = Site::patients();
    let _host = site.start();
    let mode = fs::metadata(site.path("lakefeed.db"))
        .unwrap()
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_store_that_cannot_be_written_is_an_error_that_says_so() {
    let site = Site::patients();
    assert!(site.start().stop().success());
    fs::set_permissions(site.path("lakefeed.db"), Permissions::from_mode(0o400)).unwrap();
    let said = site.run(&["run"]).refused();
    assert!(said.contains("LOG-004"), "{said}");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let site = Site::patients();
    let garbage = vec![b'x'; 8192];
    let path = site.write("lakefeed.db", &garbage);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let said = site.run(&["run"]).refused();
    assert!(said.contains("LOG-010"), "{said}");
    assert_eq!(fs::read(path).unwrap(), garbage);
}

#[test]
fn on_a_full_disk_writes_get_507_nothing_answered_is_lost_and_service_resumes_with_space() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let disk = site.path("disk");
    let Some(small) = SmallDisk::mount(&disk, 8) else {
        return;
    };
    let config = fs::read_to_string(site.path("lakefeed.toml")).unwrap();
    fs::write(
        site.path("lakefeed.toml"),
        config.replace("sqlite://lakefeed.db", "sqlite://disk/lakefeed.db"),
    )
    .unwrap();
    site.write("patient_flat.json", views::PATIENT_FLAT);
    let host = site.start();
    assert_eq!(put(&host, "before"), 201);
    let ballast = small.fill();
    let refused = (0..2_000)
        .map(|number| (number, put_large(&host, number)))
        .find(|(_, status)| *status != 201);
    let (stored, status) = refused.expect("the disk was full");
    assert_eq!(status, 507);
    host.get("Patient/before").expect(200);
    fs::remove_file(&ballast).unwrap();
    lakefeed_tests::wait_for("service to resume", || {
        (put(&host, "resumed") < 300).then_some(())
    });
    host.wait_until_delivered("patients");
    let rows = judge.number(&site.path("lake/patients"), "SELECT count(DISTINCT id) FROM t");
    assert_eq!(rows, 2 + stored, "what was answered is in the table");
}

fn put_large(client: &Client, number: u64) -> u16 {
    let text = "x".repeat(20_000);
    let body = json!({ "resourceType": "Patient", "id": format!("large-{number}"),
        "name": [{ "use": "official", "family": text }] });
    client.put(&format!("Patient/large-{number}"), &body).status
}
