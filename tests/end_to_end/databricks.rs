//! Both managed write modes, from a FHIR change to the rows of a Unity Catalog table, against the emulator where it is
//! built.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use lakefeed_tests::{Client, Host, Site, checkout, skipped, views, wait_for};
use serde_json::{Value, json};

/// How many lines the emulator prints before it serves.
const ENVIRONMENT: usize = 8;

struct Emulator {
    child: Child,
    environment: BTreeMap<String, String>,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Emulator {
    /// The emulator over a folder of the site, set up as the product's document does; none where it is not built.
    fn start(site: &Site) -> Option<Self> {
        let named = std::env::var_os("LAKEFEED_EMULATOR").map(PathBuf::from);
        let built = ["release", "debug"]
            .map(|profile| checkout().join(format!("target/emulator/{profile}/databricks-emulator")));
        let Some(program) = named.into_iter().chain(built).find(|path| path.is_file()) else {
            skipped("databricks: the emulator is not built (make emulator)");
            return None;
        };
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--set-up", "--data"])
            .arg(site.path("workspace"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator can be started");
        let lines = BufReader::new(child.stdout.take().expect("it has an output")).lines();
        let environment = lines
            .take(ENVIRONMENT)
            .map_while(Result::ok)
            .filter_map(|line| {
                let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
                Some((name.to_owned(), value.trim_matches('"').to_owned()))
            })
            .collect();
        Some(Self { child, environment })
    }

    fn value(&self, name: &str) -> &str {
        self.environment.get(name).map_or("", String::as_str)
    }

    /// The rows that a query answers, each value as text.
    fn query(&self, sql: &str) -> Value {
        let client = Client::new(self.value("DATABRICKS_HOST"));
        let body =
            json!({"statement": sql, "warehouse_id": self.value("WAREHOUSE_ID"), "wait_timeout": "50s"});
        let bearer = format!("Bearer {}", self.value("DATABRICKS_TOKEN"));
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = client.send(
            reqwest::Method::POST,
            "/api/2.0/sql/statements",
            &headers,
            body.to_string().into_bytes(),
        );
        answer.json()["result"]["data_array"].clone()
    }
}

/// The walkthrough of the product's document, declared: its topic, view and destination.
fn configuration(emulator: &Emulator, mode: &str) -> String {
    let value = |name| emulator.value(name);
    format!(
        r#"
[access]
databricks_hosts = ["{host}"]

[plugin.zerobus]
endpoint = "{endpoint}"

[[topic]]
id = "patients"
url = "http://example.org/subscriptions/patient-updates"
trigger = [{{ resource = "Patient", fhirPathCriteria = "name.exists()" }}]

[[view]]
file = "patient_flat.json"

[[destination]]
id = "patients"
topic = "http://example.org/subscriptions/patient-updates"
viewDefinition = "patient_flat"
{mode}
databricksWorkspaceUrl = "{host}"
databricksWarehouseId = "{warehouse}"
tableName = "aidbox_export.fhir.patients"
batchSize = 50
sendIntervalMs = 100
skipInitialExport = true
"#,
        host = value("DATABRICKS_HOST"),
        endpoint = value("ZEROBUS_ENDPOINT"),
        warehouse = value("WAREHOUSE_ID"),
    )
}

fn started(site: &Site, emulator: &Emulator) -> Host {
    let mut command = site.command(&["run"]);
    for name in ["CLIENT_ID", "CLIENT_SECRET"] {
        let name = format!("BOX_DATABRICKS_DATA_LAKEHOUSE_{name}");
        command.env(&name, emulator.value(&name));
    }
    let host = Host::spawn(site, command);
    host.wait_until_ready();
    host
}

fn the_walkthrough_ends_in_four_rows(mode: impl Fn(&Emulator) -> String) {
    let site = Site::new("");
    let Some(emulator) = Emulator::start(&site) else {
        return;
    };
    site.write("patient_flat.json", views::PATIENT_FLAT);
    site.configure(&configuration(&emulator, &mode(&emulator)));
    let host = started(&site, &emulator);
    for (gender, family) in [
        ("male", "Smith"),
        ("male", "O'Brien \\ ${x}"),
        ("other", "Smith-Jones"),
    ] {
        let patient = json!({"resourceType": "Patient", "id": "p-1", "gender": gender, "birthDate": "1990-01-15",
            "name": [{"use": "official", "family": family, "given": ["John"]}]});
        assert!(host.put("/fhir/Patient/p-1", &patient).status < 300);
    }
    assert!(host.delete("/fhir/Patient/p-1").status < 300);
    let sql = "SELECT id, gender, family_name, is_deleted FROM aidbox_export.fhir.patients ORDER BY ts";
    let rows = wait_for("four rows in the table", || {
        let rows = emulator.query(sql);
        rows.as_array()
            .is_some_and(|rows| rows.len() >= 4)
            .then_some(rows)
    });
    let expect = json!([
        ["p-1", "male", "Smith", "0"],
        ["p-1", "male", "O'Brien \\ ${x}", "0"],
        ["p-1", "other", "Smith-Jones", "0"],
        ["p-1", "other", "Smith-Jones", "1"]
    ]);
    assert_eq!(rows, expect, "{}", host.log());
    assert!(
        !host
            .log()
            .contains(emulator.value("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET"))
    );
}

#[test]
fn changes_reach_the_table_through_the_ingest_service_by_default() {
    the_walkthrough_ends_in_four_rows(|emulator| {
        format!(
            "databricksWorkspaceId = \"{}\"\ndatabricksRegion = \"{}\"",
            emulator.value("WORKSPACE_ID"),
            emulator.value("DATABRICKS_REGION")
        )
    });
}

#[test]
fn changes_reach_the_table_through_a_warehouse() {
    the_walkthrough_ends_in_four_rows(|_| "writeMode = \"managed-sql\"".to_owned());
}

/// A destination with a topic and a view, and nothing of where its rows go but these lines.
fn half_a_destination(more: &str) -> String {
    format!(
        r#"
[[topic]]
id = "patients"
url = "http://example.org/topics/patients"
trigger = [{{ resource = "Patient" }}]

[[view]]
file = "patient_flat.json"

[[destination]]
id = "patients"
topic = "http://example.org/topics/patients"
viewDefinition = "patient_flat"
batchSize = 500
sendIntervalMs = 50
{more}
"#
    )
}

fn said_of(more: &str) -> String {
    let site = Site::new("");
    site.write("patient_flat.json", views::PATIENT_FLAT);
    site.configure(&half_a_destination(more));
    let ended = site.run(&["check"]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

#[test]
fn what_each_managed_mode_needs_is_said_at_once() {
    let by_default = said_of("");
    let shared = [
        "databricksWorkspaceUrl",
        "databricksWarehouseId",
        "tableName",
        "stagingTablePath",
        "awsRegion",
    ];
    for name in shared
        .iter()
        .chain(&["databricksWorkspaceId", "databricksRegion"])
    {
        assert!(by_default.contains(name), "{name}: {by_default}");
    }
    let by_sql = said_of("writeMode = \"managed-sql\"");
    assert!(shared.iter().all(|name| by_sql.contains(name)), "{by_sql}");
    assert!(!by_sql.contains("databricksWorkspaceId"), "{by_sql}");
    let skipped = said_of("writeMode = \"managed-sql\"\nskipInitialExport = true");
    assert!(!skipped.contains("stagingTablePath"), "{skipped}");
}

#[test]
fn a_workspace_that_is_not_listed_is_refused_before_it_gets_the_secret() {
    let more = "writeMode = \"managed-sql\"\nskipInitialExport = true\ntableName = \"c.s.t\"\n\
                databricksWarehouseId = \"0123456789abcdef\"\ndatabricksWorkspaceUrl = \"https://evil.example\"";
    let said = said_of(more);
    assert!(said.contains("`[access] databricks_hosts`"), "{said}");
    let listed = format!("{more}\n[access]\ndatabricks_hosts = [\"evil.example\"]\n");
    let site = Site::new("");
    site.write("patient_flat.json", views::PATIENT_FLAT);
    site.configure(&half_a_destination(&listed));
    site.run(&["check"]).succeeded();
}
