//! Databricks on loopback, as a program beside the host.
//!
//! `make emulator` and `make test` build it, in a workspace of its own. `LAKEFEED_EMULATOR` names another one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Client};
use crate::program::program_folder;
use crate::site::free_port;
use crate::wait_for;

/// A running emulator with the workspace of the product's set-up, over a folder of its own; killed when it is dropped.
#[derive(Debug)]
pub struct Emulator {
    data: TempDir,
    port: u16,
    /// None while it is down.
    child: Option<Child>,
    environment: BTreeMap<String, String>,
    client: Client,
}

/// A request that the emulator answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The HTTP status; 0 if the connection was closed without an answer.
    pub status: u16,
}

impl Emulator {
    /// Starts one.
    pub fn start() -> Self {
        let data = TempDir::new().expect("a folder");
        let port = free_port();
        let mut emulator = Self {
            data,
            port,
            child: None,
            environment: BTreeMap::new(),
            client: Client::new(format!("http://127.0.0.1:{port}")),
        };
        emulator.resume();
        emulator
    }

    /// SIGKILL; nothing answers under its address until it is resumed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A child that has ended already is what was wanted.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Starts it again over the same data and under the same address.
    pub fn resume(&mut self) {
        let mut child = Command::new(program())
            .arg("--data")
            .arg(self.data.path())
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            // What is synced outlives a power cut, which no test makes.
            .args(["--set-up", "--no-fsync"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator can be started");
        let stdout = child.stdout.take().expect("its output is a pipe");
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            match line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
                Some((name, value)) => self.environment.insert(name.to_owned(), value.to_owned()),
                None => break,
            };
        }
        self.child = Some(child);
        assert!(
            self.environment.contains_key("DATABRICKS_HOST"),
            "the emulator ended before it listened"
        );
    }

    /// What it printed under a name, such as `WAREHOUSE_ID`.
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        self.environment
            .get(name)
            .unwrap_or_else(|| panic!("the emulator printed no {name}"))
    }

    /// Its address, which is the workspace's and the ingest service's.
    pub fn url(&self) -> &str {
        self.client.base()
    }

    /// Host and port, as `[access] databricks_hosts` lists them.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The service principal's id and secret, as the environment variables that a host reads.
    pub fn credentials(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self
            .environment
            .iter()
            .filter(|(name, _)| name.starts_with("BOX_"));
        names.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The service principal's secret, to be looked for where it must not be.
    pub fn secret(&self) -> &str {
        self.value("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET")
    }

    // ---- what is in it

    /// Runs a statement as the administrator: its rows, or the failure's text.
    ///
    /// # Errors
    ///
    /// The statement's own.
    pub fn try_sql(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let body = json!({ "warehouse_id": self.value("WAREHOUSE_ID"), "statement": statement, "wait_timeout": "50s" });
        let mut told = self.asked("POST", "/api/2.0/sql/statements", Some(&body)).json();
        let id = told["statement_id"].as_str().unwrap_or_default().to_owned();
        while matches!(told["status"]["state"].as_str(), Some("PENDING" | "RUNNING")) {
            std::thread::sleep(std::time::Duration::from_millis(100));
            told = self
                .asked("GET", &format!("/api/2.0/sql/statements/{id}"), None)
                .json();
        }
        if told["status"]["state"] != "SUCCEEDED" {
            return Err(told["status"]["error"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned());
        }
        let mut chunk = told["result"].clone();
        let mut rows = Vec::new();
        loop {
            let read = serde_json::from_value::<Vec<Vec<Option<String>>>>(chunk["data_array"].clone());
            rows.extend(read.unwrap_or_default());
            let Some(next) = chunk["next_chunk_index"].as_u64() else {
                return Ok(rows);
            };
            let path = format!("/api/2.0/sql/statements/{id}/result/chunks/{next}");
            chunk = self.asked("GET", &path, None).json();
        }
    }

    /// Runs a statement as the administrator, which must succeed.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        self.try_sql(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// A query's rows as text once all that was taken is visible: a line a row, cells between bars, null as nothing.
    #[track_caller]
    pub fn rows(&self, query: &str) -> String {
        self.flush();
        let line = |row: Vec<Option<String>>| {
            row.into_iter()
                .map(Option::unwrap_or_default)
                .collect::<Vec<_>>()
                .join(" | ")
        };
        self.sql(query)
            .into_iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// A query's one number, once all that was taken is visible.
    #[track_caller]
    pub fn number(&self, query: &str) -> u64 {
        let text = self.rows(query);
        text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
    }

    /// The folder of a Delta table, by its full name.
    #[track_caller]
    pub fn table_folder(&self, name: &str) -> PathBuf {
        let told = self
            .asked("GET", &format!("/emulator/tables/{name}"), None)
            .json();
        told["folder"]
            .as_str()
            .unwrap_or_else(|| panic!("no table {name}: {told}"))
            .into()
    }

    /// A call as the administrator, which must be answered 200.
    #[track_caller]
    pub fn asked(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {}", self.value("DATABRICKS_TOKEN"));
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.client.send(method, path, &headers, body).expect(200)
    }

    // ---- what it does on purpose, and what it saw

    /// Turns a switch on.
    #[track_caller]
    pub fn set(&self, fault: &str, setting: &Value) {
        self.asked("PUT", &format!("/emulator/faults/{fault}"), Some(setting));
    }

    /// Turns a switch off.
    #[track_caller]
    pub fn clear(&self, fault: &str) {
        self.asked("DELETE", &format!("/emulator/faults/{fault}"), None);
    }

    /// Turns all switches off.
    #[track_caller]
    pub fn clear_all(&self) {
        self.asked("DELETE", "/emulator/faults", None);
    }

    /// The switches that are on.
    #[track_caller]
    pub fn faults(&self) -> Value {
        self.asked("GET", "/emulator/faults", None).json()
    }

    /// No token that was issued so far is valid any more.
    #[track_caller]
    pub fn expire_tokens(&self) {
        self.asked("POST", "/emulator/tokens/expire", None);
    }

    /// All that the ingest service took is visible when this returns.
    #[track_caller]
    pub fn flush(&self) {
        self.asked("POST", "/emulator/flush", None);
    }

    /// Stops the warehouse, which the next statement wakes.
    #[track_caller]
    pub fn stop_warehouse(&self) {
        let id = self.value("WAREHOUSE_ID");
        self.asked("POST", &format!("/api/2.0/sql/warehouses/{id}/stop"), None);
    }

    /// What was asked of it, the oldest first.
    #[track_caller]
    pub fn requests(&self) -> Vec<Request> {
        let all = self.asked("GET", "/emulator/requests", None).json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let request = |value: &Value| Request {
            method: text(&value["method"]),
            path: text(&value["path"]),
            status: u16::try_from(value["status"].as_u64().unwrap_or_default()).unwrap_or_default(),
        };
        all.as_array().into_iter().flatten().map(request).collect()
    }

    /// Forgets what was asked so far.
    #[track_caller]
    pub fn forget_requests(&self) {
        self.asked("DELETE", "/emulator/requests", None);
    }

    /// How often something happened, by the emulator's own name for it; nothing as 0.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        self.asked("GET", "/emulator/counters", None).json()[name]
            .as_u64()
            .unwrap_or(0)
    }

    /// Waits until something happened more often than so many times.
    #[track_caller]
    pub fn wait_for_more(&self, name: &str, than: u64) {
        wait_for(&format!("more than {than} {name}"), || {
            (self.count(name) > than).then_some(())
        });
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The built program: the one that is named, or the newest of those beside the host's own.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("LAKEFEED_EMULATOR") {
        return named.into();
    }
    let folder = program_folder();
    let target = folder.parent().expect("a profile's folder lies in target/");
    let built =
        ["debug", "release"].map(|profile| target.join("emulator").join(profile).join("databricks-emulator"));
    let age = |path: &PathBuf| {
        path.metadata()
            .and_then(|found| found.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let newest = built
        .iter()
        .filter(|path| path.is_file())
        .max_by_key(|path| age(path));
    newest.cloned().unwrap_or_else(|| {
        panic!(
            "{} is not there: run `make emulator`, or `make test`, which builds it first",
            built[1].display()
        )
    })
}
