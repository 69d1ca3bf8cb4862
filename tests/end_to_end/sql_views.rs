//! What SQL users read in `sof.<name>` is what `$run` answers of the stored resources, whatever happens to the host.

use lakefeed_test_postgres::{Server, skipped};
use lakefeed_tests::{Answer, Client, Host, Site, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

/// Several rows a resource, and none that tells which.
const NAMES: &str = r#"{"resourceType": "ViewDefinition", "id": "names", "name": "names", "resource": "Patient", "status": "active",
  "where": [{ "path": "active.exists().not() or active = true" }],
  "select": [{ "forEach": "name", "column": [{ "name": "family", "path": "family" }, { "name": "given", "path": "given.join(' ')" }] }]}"#;

/// A host over a database of its own.
struct Bench {
    server: &'static Server,
    database: String,
    site: Site,
}

impl Bench {
    fn new() -> Option<Self> {
        let server = Server::shared()?;
        let database = server.database();
        let site = Site::on_store(&server.url(&database));
        Some(Self {
            server,
            database,
            site,
        })
    }

    #[track_caller]
    fn sql(&self, script: &str) -> String {
        self.server.sql(&self.database, script)
    }

    /// Waits until the rows are those that `$run` answers; both as sorted JSON.
    #[track_caller]
    fn compare(&self, host: &Host) -> Vec<String> {
        let accept = [("accept", "application/x-ndjson")];
        let run = host.send(Method::GET, "ViewDefinition/names/$run", &accept, Vec::new());
        let wanted = sorted(&run.expect(200).text());
        wait_for("the rows of living resources", || {
            let rows = self.sql("SELECT row_to_json(v) FROM sof.names v");
            (sorted(&rows) == wanted).then_some(())
        });
        wanted
    }
}

fn sorted(lines: &str) -> Vec<String> {
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap().to_string();
    let mut lines: Vec<String> = lines.lines().filter(|line| !line.is_empty()).map(read).collect();
    lines.sort();
    lines
}

fn patient(id: &str, names: usize, round: usize) -> Value {
    let name = |number: usize| json!({ "family": format!("{id}-{number}-é\t\\"), "given": ["A", format!("{round}")] });
    let mut patient =
        json!({ "resourceType": "Patient", "id": id, "active": !names.is_multiple_of(4), "gender": "other" });
    if names > 0 {
        patient["name"] = (0..names).map(name).collect();
    }
    patient
}

fn materialize(client: &Client) -> Answer {
    let body =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "type", "valueCode": "view" }] });
    client.post("ViewDefinition/names/$materialize", &body)
}

/// A value of a Parameters resource.
fn parameter(answer: &Answer, name: &str) -> Value {
    let answer = answer.json();
    let mut parameters = answer["parameter"].as_array().unwrap().iter();
    let found = parameters.find(|parameter| parameter["name"] == name);
    let found = found
        .unwrap_or_else(|| panic!("no {name}: {answer}"))
        .as_object()
        .unwrap();
    found
        .iter()
        .find(|(key, _)| key.starts_with("value"))
        .unwrap()
        .1
        .clone()
}

fn put_view(host: &Host, view: &str) {
    let answer = host.put("ViewDefinition/names", &serde_json::from_str(view).unwrap());
    assert!(answer.is_success(), "{}", answer.text());
}

#[test]
fn sql_users_read_the_rows_of_living_resources_however_often_the_host_is_killed() {
    let Some(bench) = Bench::new() else {
        return skipped();
    };
    let mut host = bench.site.start();
    for number in 0..40 {
        let id = format!("p-{number}");
        host.put(&format!("Patient/{id}"), &patient(&id, number % 7, 0))
            .expect(201);
    }
    host.delete("Patient/p-5").expect(200);
    put_view(&host, NAMES);
    let answer = materialize(&host).expect(200);
    assert_eq!(parameter(&answer, "viewName"), "sof.names");
    assert_eq!(parameter(&answer, "viewStatus"), "current", "{}", answer.text());
    assert!(bench.compare(&host).len() > 40);
    for round in 1..4 {
        for number in 0..40 {
            let id = format!("p-{number}");
            let path = format!("Patient/{id}");
            match (number + round) % 3 {
                0 => drop(host.delete(&path)),
                _ => drop(host.put(&path, &patient(&id, (number + round) % 6, round))),
            }
        }
        host.kill();
        host = bench.site.start();
        bench.compare(&host);
    }
    assert_eq!(bench.sql("SELECT count(*) FROM lakefeed_sof.generation"), "1");
}

#[test]
fn a_restored_database_has_its_rows_for_sql_users_and_keeps_them_current() {
    let Some(bench) = Bench::new() else {
        return skipped();
    };
    let host = bench.site.start();
    for number in 0..10 {
        let id = format!("p-{number}");
        host.put(&format!("Patient/{id}"), &patient(&id, number % 4, 0))
            .expect(201);
    }
    put_view(&host, NAMES);
    materialize(&host).expect(200);
    let saved = bench.compare(&host);
    let dump = bench.site.path("store.dump");
    let dumped = bench
        .server
        .program("pg_dump")
        .args(["--format=custom", "--schema=lakefeed*", "--schema=sof", "--file"])
        .arg(&dump)
        .args(["--dbname", &bench.server.url(&bench.database)])
        .status()
        .unwrap();
    assert!(dumped.success());
    host.put("Patient/p-1", &patient("p-1", 6, 1)).expect(200);
    assert!(bench.compare(&host) != saved);
    assert!(host.stop().success());

    let database = bench.server.database();
    let restored = bench
        .server
        .program("pg_restore")
        .args(["--exit-on-error", "--dbname", &bench.server.url(&database)])
        .arg(&dump)
        .status()
        .unwrap();
    assert!(restored.success());
    let restored = Bench {
        site: Site::on_store(&bench.server.url(&database)),
        database,
        server: bench.server,
    };
    let host = restored.site.start();
    assert_eq!(restored.compare(&host), saved);
    host.delete("Patient/p-2").expect(200);
    host.put("Patient/p-3", &patient("p-3", 5, 2)).expect(200);
    assert!(restored.compare(&host) != saved);
}

#[test]
fn a_view_that_is_edited_and_materialised_again_has_its_new_columns_at_once() {
    let Some(bench) = Bench::new() else {
        return skipped();
    };
    let host = bench.site.start();
    for number in 0..20 {
        let id = format!("p-{number}");
        host.put(&format!("Patient/{id}"), &patient(&id, number % 5, 0))
            .expect(201);
    }
    put_view(&host, NAMES);
    materialize(&host).expect(200);
    bench.compare(&host);
    // An edit alone changes nothing.
    put_view(
        &host,
        &NAMES.replace("\"family\", \"path\"", "\"last\", \"path\""),
    );
    assert_eq!(bench.sql("SELECT count(family) > 0 FROM sof.names"), "t");
    let answer = materialize(&host).expect(200);
    assert_eq!(parameter(&answer, "viewStatus"), "current", "{}", answer.text());
    assert_eq!(bench.sql("SELECT count(last) > 0 FROM sof.names"), "t");
    bench.compare(&host);
    assert_eq!(
        bench.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'lakefeed_sof'"),
        "2"
    );
}

#[test]
fn the_destinations_behind_the_views_are_shown_as_what_they_are_and_go_with_them() {
    let Some(bench) = Bench::new() else {
        return skipped();
    };
    let host = bench.site.start();
    host.put("Patient/p", &patient("p", 1, 0)).expect(201);
    put_view(&host, NAMES);
    host.get("ViewDefinition/names/$materialize").expect(404);
    materialize(&host).expect(200);
    let found = host.get("AidboxTopicDestination").expect(200).json();
    assert_eq!(found["entry"].as_array().map_or(0, Vec::len), 0, "{found}");
    let metrics = host.get("/metrics").expect(200).text();
    assert!(
        metrics.contains("messages_delivered{destination=\"sof.names/1\"} 1"),
        "{metrics}"
    );
    let status = host.get("ViewDefinition/names/$materialize").expect(200);
    assert_eq!(parameter(&status, "viewStatus"), "current");
    assert_eq!(parameter(&status, "changesWaiting"), 0);
    // Deleting the definition leaves the view, as it leaves it to destinations.
    host.delete("ViewDefinition/names").expect(200);
    assert_eq!(bench.sql("SELECT count(*) FROM sof.names"), "1");
    put_view(&host, NAMES);
    let taken = host.send(
        Method::DELETE,
        "ViewDefinition/names/$materialize",
        &[],
        Vec::new(),
    );
    taken.expect(204);
    assert_eq!(bench.sql("SELECT to_regclass('sof.names') IS NULL"), "t");
    let status = host.get("ViewDefinition/names/$materialize").expect(200);
    assert_eq!(parameter(&status, "viewStatus"), "absent");
    materialize(&host).expect(200);
    bench.compare(&host);
}

#[test]
fn a_name_that_the_database_does_not_take_is_refused_before_anything_is_made() {
    let Some(bench) = Bench::new() else {
        return skipped();
    };
    let host = bench.site.start();
    let long = "n".repeat(64);
    put_view(
        &host,
        &NAMES.replace("\"name\": \"names\"", &format!("\"name\": \"{long}\"")),
    );
    let refused = materialize(&host).expect(422).issues();
    assert!(
        refused.contains("ViewDefinition.name") && refused.contains("[SQL-001]"),
        "{refused}"
    );
    bench.sql("CREATE SCHEMA IF NOT EXISTS sof; CREATE TABLE sof.names (x int)");
    put_view(&host, NAMES);
    let refused = materialize(&host).expect(422).issues();
    assert!(
        refused.starts_with("conflict") && refused.contains("[SQL-002]"),
        "{refused}"
    );
}

#[test]
fn the_living_resources_are_documents_for_sql_users() {
    let Some(bench) = Bench::new() else {
        return skipped();
    };
    let host = bench.site.start();
    host.put("Patient/p", &patient("p", 2, 0)).expect(201);
    host.put("Patient/q", &patient("q", 1, 0)).expect(201);
    let version = host.put("Patient/p", &patient("p", 3, 1)).expect(200).json();
    host.delete("Patient/q").expect(200);
    let found = bench.sql(
        "SELECT type, id, version, resource #>> '{name,2,given,1}', last_updated = (resource #>> '{meta,lastUpdated}')::timestamptz \
         FROM lakefeed.current_resource",
    );
    let version = version["meta"]["versionId"].as_str().unwrap();
    assert_eq!(found, format!("Patient|p|{version}|1|t"));
}

#[test]
fn without_views_for_sql_users_a_view_is_materialised_for_destinations_alone() {
    let Some(bench) = Bench::new() else {
        return skipped();
    };
    let config = std::fs::read_to_string(bench.site.path("lakefeed.toml")).unwrap();
    let config = config.replace("[store]\n", "[store]\nsql_views = false\n");
    bench.site.write("lakefeed.toml", config);
    let host = bench.site.start();
    put_view(&host, NAMES);
    let answer = materialize(&host).expect(200).json();
    assert_eq!(answer["parameter"].as_array().unwrap().len(), 3, "{answer}");
    host.get("ViewDefinition/names/$materialize").expect(405);
    assert_eq!(bench.sql("SELECT to_regnamespace('sof') IS NULL"), "t");
}

#[test]
fn a_store_whose_user_may_make_no_schemas_says_what_to_grant_and_goes_on() {
    let Some(bench) = Bench::new() else {
        return skipped();
    };
    let role = format!("{}_user", bench.database);
    bench.sql(&format!(
        "CREATE ROLE {role} LOGIN; CREATE SCHEMA lakefeed AUTHORIZATION {role}"
    ));
    let config = std::fs::read_to_string(bench.site.path("lakefeed.toml")).unwrap();
    bench
        .site
        .write("lakefeed.toml", config.replace("postgres@", &format!("{role}@")));
    let host = bench.site.start();
    put_view(&host, NAMES);
    let refused = materialize(&host).expect(409).issues();
    assert!(refused.contains("[SQL-005]"), "{refused}");
    bench.sql(&format!(
        "CREATE SCHEMA sof AUTHORIZATION {role}; CREATE SCHEMA lakefeed_sof AUTHORIZATION {role}"
    ));
    host.put("Patient/p", &patient("p", 1, 0)).expect(201);
    materialize(&host).expect(200);
    bench.compare(&host);
    drop(host);
    bench.sql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}
