//! What an operator of a PostgreSQL store sees: who holds delivery back, and which commands work on it.

use std::io::Write;
use std::process::{Child, Stdio};

use lakefeed_test_postgres::{Server, skipped};
use lakefeed_tests::{Host, Judge, Site, wait_for};
use serde_json::{Value, json};

use super::load;

/// A site whose destination writes `lake/patients`, on a database of its own.
fn site(server: &Server) -> (Site, String) {
    let database = server.database();
    let site = Site::on_store(&server.url(&database));
    load::configure(&site);
    (site, database)
}

fn put(host: &Host, id: &str) -> u16 {
    host.put(
        &format!("Patient/{id}"),
        &json!({ "resourceType": "Patient", "id": id }),
    )
    .status
}

/// A transaction that is left open, in another database of the server.
struct Open(Child);

impl Open {
    fn begin(server: &Server) -> Self {
        let mut psql = server
            .program("psql")
            .args(["--no-psqlrc", "--quiet", &server.url("postgres")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let script = "SET application_name = 'left-open'; BEGIN; SELECT pg_current_xact_id();\n";
        psql.stdin.as_mut().unwrap().write_all(script.as_bytes()).unwrap();
        wait_for("the open transaction", || {
            let found = server.sql(
                "postgres",
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'left-open' AND backend_xid IS NOT NULL",
            );
            (!found.is_empty()).then_some(())
        });
        Self(psql)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn held_back(status: &Value) -> Option<String> {
    let parameters = status["parameter"].as_array().unwrap();
    let held = parameters
        .iter()
        .find(|parameter| parameter["name"] == "heldBack")?;
    Some(held["part"][0]["valueString"].as_str().unwrap().to_owned())
}

fn rows(site: &Site) -> Option<usize> {
    Judge::find().map(|judge| judge.table(&site.path("lake/patients")).rows.len())
}

#[test]
fn a_transaction_left_open_elsewhere_holds_delivery_back_and_status_names_it() {
    let Some(server) = Server::start(&[]) else {
        return skipped();
    };
    let (site, _) = site(&server);
    let host = site.start();
    assert_eq!(put(&host, "p-1"), 201);
    host.wait_until_delivered("patients");
    let open = Open::begin(&server);
    assert_eq!(put(&host, "p-2"), 201);
    let reason = wait_for("the culprit", || {
        held_back(&host.get("AidboxTopicDestination/patients/$status").json())
    });
    assert!(reason.contains("in database `postgres`"), "{reason}");
    assert!(reason.contains("application `left-open`"), "{reason}");
    wait_for("the warning", || {
        host.log()
            .contains("delivery waits: a transaction of process")
            .then_some(())
    });
    assert_eq!(rows(&site).unwrap_or(1), 1);
    open.end();
    host.wait_until_delivered("patients");
    let status = host.get("AidboxTopicDestination/patients/$status").json();
    assert_eq!(held_back(&status), None);
    assert_eq!(rows(&site).unwrap_or(2), 2);
}

#[test]
fn the_commands_work_on_a_database_or_say_which_tool_does() {
    let Some(server) = Server::shared() else {
        return skipped();
    };
    let (site, database) = site(server);
    site.run(&["check"]).succeeded();
    let file = site.write(
        "Patient.ndjson",
        "{\"resourceType\":\"Patient\",\"id\":\"p-1\"}\n",
    );
    let file = file.to_str().unwrap();
    site.run(&["import", file]).succeeded();
    let host = site.start();
    host.wait_until_delivered("patients");
    let refused = site.run(&["import", file]).refused();
    assert!(
        refused.contains("LOG-001") && refused.contains("held by its process"),
        "{refused}"
    );
    let said = site.run(&["status"]).succeeded().stdout;
    assert!(said.contains("patients"), "{said}");
    let said = site.run(&["backup", "copy"]).refused();
    assert!(said.contains("pg_dump"), "{said}");
    let said = site.run(&["restore", "copy"]).refused();
    assert!(said.contains("pg_restore"), "{said}");
    host.stop();
    let found = "SELECT resource->>'id' FROM lakefeed.current_resource WHERE type = 'Patient'";
    assert_eq!(server.sql(&database, found), "p-1");
}

#[test]
fn a_host_whose_store_another_took_asks_to_come_back_and_ends() {
    let Some(server) = Server::shared() else {
        return skipped();
    };
    let (site, database) = site(server);
    let mut host = site.start();
    assert_eq!(put(&host, "p-1"), 201);
    // What another host does that opens the store.
    server.sql(&database, "UPDATE lakefeed.store SET host = host + 1");
    assert_eq!(put(&host, "p-2"), 503);
    assert!(!host.wait().success());
    assert!(host.log().contains("which took it over"), "{}", host.log());
    let next = site.start();
    assert_eq!(put(&next, "p-2"), 201);
}
