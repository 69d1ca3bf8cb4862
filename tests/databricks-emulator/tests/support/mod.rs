//! An emulator on any free port, and a client without a mind of its own.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "each test program uses a part of it, and a failed step is a failed test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use databricks_emulator::{Emulator, Options, S3, SetUp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The target table of the product's set-up.
pub(crate) const PATIENTS: &str = "aidbox_export.fhir.patients";

/// A workspace that is set up, and a folder that goes with it.
pub(crate) struct Site {
    pub(crate) emulator: Emulator,
    pub(crate) http: reqwest::Client,
    folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// Says that the running test did not run, and why.
pub(crate) fn skipped(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test").to_owned();
    eprintln!("\nskipped: {name} ({why})");
}

/// The top of the checkout.
pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A Python that has those packages, or none, and the running test is named as skipped.
pub(crate) fn python(packages: &str) -> Option<PathBuf> {
    let named = std::env::var_os("LAKEFEED_JUDGE_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| checkout().join(".venv/bin/python"));
    let has = Command::new(&python)
        .args(["-c", &format!("import {packages}")])
        .output();
    if has.is_ok_and(|has| has.status.success()) {
        return Some(python);
    }
    skipped(&format!("no Python with {packages}; make test installs it"));
    None
}

/// Runs a program to its end.
pub(crate) async fn run(command: Command) -> Output {
    let mut command = command;
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

impl Site {
    /// A workspace that is set up, with more tables beside the product's.
    pub(crate) async fn with_tables(tables: &[(&str, &str)]) -> Self {
        let site = Self::bare().await;
        let mut names = SetUp::default();
        let more = tables
            .iter()
            .map(|(name, columns)| ((*name).to_owned(), (*columns).to_owned()));
        names.tables.extend(more);
        site.emulator.set_up(&names).await.unwrap();
        site
    }

    pub(crate) async fn new() -> Self {
        Self::with_tables(&[]).await
    }

    /// A workspace that nobody has set up.
    pub(crate) async fn bare() -> Self {
        Self::on(None).await
    }

    /// The same, with tables on an S3 server.
    pub(crate) async fn on(s3: Option<S3>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            s3,
            ..Options::new(folder.path())
        };
        let emulator = Emulator::start(options).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            emulator,
            http,
            folder,
        }
    }

    /// The same workspace, stopped and started again.
    pub(crate) async fn restarted(self) -> Self {
        let Self {
            emulator,
            http,
            folder,
        } = self;
        let options = emulator.options().clone();
        emulator.stop().await;
        let emulator = Emulator::start(options).await.unwrap();
        Self {
            emulator,
            http,
            folder,
        }
    }

    /// The same workspace, as after a crash: nothing is moved before the next start.
    pub(crate) async fn crashed(self) -> Self {
        let Self {
            emulator,
            http,
            folder,
        } = self;
        let options = emulator.options().clone();
        drop(emulator);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let emulator = Emulator::start(options).await.unwrap();
        Self {
            emulator,
            http,
            folder,
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Sends a request, and fails with the client's words if no whole answer comes.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.emulator.url()))
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await?,
        })
    }

    pub(crate) async fn send(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        self.try_send(method, path, Some(token), body).await.unwrap()
    }

    /// As the administrator, who sets up.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let token = self.emulator.administrator_token();
        self.send(method, path, &token, body).await
    }

    /// As the service principal, with a fresh plain token.
    pub(crate) async fn client(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let token = self.plain_token().await;
        self.send(method, path, &token, body).await
    }

    /// Asks for a token with a form.
    pub(crate) async fn mint(&self, form: &[(&str, &str)]) -> Answer {
        let options = self.emulator.options();
        let response = self
            .http
            .post(format!("{}/oidc/v1/token", self.emulator.url()))
            .basic_auth(&options.client_id, Some(&options.client_secret))
            .form(form)
            .send()
            .await
            .unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) async fn plain_token(&self) -> String {
        let answer = self
            .mint(&[("grant_type", "client_credentials"), ("scope", "all-apis")])
            .await;
        answer.ok()["access_token"].as_str().unwrap().to_owned()
    }

    /// Asks for a token of a table.
    pub(crate) async fn mint_zerobus(&self, table: &str) -> Answer {
        let details = details(table);
        self.mint_with_details(&details.to_string()).await
    }

    pub(crate) async fn mint_with_details(&self, details: &str) -> Answer {
        let id = self.emulator.options().workspace_id;
        let resource = format!("api://databricks/workspaces/{id}/zerobusDirectWriteApi");
        self.mint(&[
            ("grant_type", "client_credentials"),
            ("scope", "all-apis"),
            ("resource", &resource),
            ("authorization_details", details),
        ])
        .await
    }

    pub(crate) async fn zerobus_token(&self, table: &str) -> String {
        let answer = self.mint_zerobus(table).await;
        answer.ok()["access_token"].as_str().unwrap().to_owned()
    }

    /// Inserts a text as it is.
    pub(crate) async fn insert_with(&self, token: &str, table: &str, body: &str) -> Answer {
        let path = format!("/zerobus/v1/tables/{table}/insert");
        self.try_send("POST", &path, Some(token), Some(body.to_owned()))
            .await
            .unwrap()
    }

    pub(crate) async fn insert(&self, table: &str, rows: Value) -> Answer {
        let token = self.zerobus_token(table).await;
        self.insert_with(&token, table, &rows.to_string()).await
    }

    /// Runs a statement and waits for its end.
    pub(crate) async fn sql_as(&self, token: &str, statement: &str) -> Value {
        let body = json!({
            "warehouse_id": self.emulator.options().warehouse_id,
            "statement": statement,
            "wait_timeout": "50s",
        });
        self.send("POST", "/api/2.0/sql/statements", token, Some(body))
            .await
            .ok()
    }

    pub(crate) async fn sql(&self, statement: &str) -> Value {
        let token = self.plain_token().await;
        self.sql_as(&token, statement).await
    }

    pub(crate) async fn admin_sql(&self, statement: &str) -> Value {
        let token = self.emulator.administrator_token();
        self.sql_as(&token, statement).await
    }

    /// The rows of a statement that succeeds.
    pub(crate) async fn rows(&self, statement: &str) -> Value {
        rows_of(&self.sql(statement).await)
    }

    /// How many rows a table shows now.
    pub(crate) async fn count(&self, table: &str) -> usize {
        let rows = self.rows(&format!("SELECT count(*) FROM {table}")).await;
        rows[0][0].as_str().unwrap().parse().unwrap()
    }

    /// Waits until a table shows so many rows.
    pub(crate) async fn until_count(&self, table: &str, count: usize) {
        // A request that was under way when a server went away is given up after a minute.
        let (start, patience) = (Instant::now(), Duration::from_secs(90));
        loop {
            let now = self.count(table).await;
            if now == count {
                return;
            }
            assert!(
                start.elapsed() < patience,
                "{table} has {now} rows and never {count}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The rows of a statement that succeeded.
#[track_caller]
pub(crate) fn rows_of(statement: &Value) -> Value {
    assert_eq!(statement["status"]["state"], "SUCCEEDED", "{statement}");
    statement["result"]
        .get("data_array")
        .cloned()
        .unwrap_or_else(|| json!([]))
}

/// The class and SQLSTATE of a statement that failed.
#[track_caller]
pub(crate) fn class_of(statement: &Value) -> (String, String) {
    assert_eq!(statement["status"]["state"], "FAILED", "{statement}");
    let message = statement["status"]["error"]["message"].as_str().unwrap();
    let class = message.trim_start_matches('[').split(']').next().unwrap();
    let state = statement["status"]["sql_state"].as_str().unwrap();
    (class.to_owned(), state.to_owned())
}

/// What a Zerobus token of a table is asked with.
pub(crate) fn details(table: &str) -> Value {
    let parts: Vec<&str> = table.split('.').collect();
    json!([
        {"type": "unity_catalog_privileges", "privileges": ["USE CATALOG"],
         "object_type": "CATALOG", "object_full_path": parts[0]},
        {"type": "unity_catalog_privileges", "privileges": ["USE SCHEMA"],
         "object_type": "SCHEMA", "object_full_path": parts[..2].join(".")},
        {"type": "unity_catalog_privileges", "privileges": ["SELECT", "MODIFY"],
         "object_type": "TABLE", "object_full_path": table, "operations": ["zerobuswrite"]},
    ])
}
