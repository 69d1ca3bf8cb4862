//! A server on a port of its own, over a store in a folder of its own, and a client that says exactly what it is
//! told to. The modules are named after the sections of the behaviour that they hold the server to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{App, HttpError, Settings, serve};
use crate::change::Timestamp;
use crate::definitions::{self, Definitions};
use crate::delivery::{Deliveries, DestinationSpec, Target, Targets};
use crate::intake::Intake;
use crate::intake::feed::Feeds;
use crate::intake::load::{Allow, Loads, Readable};
use crate::log::Log;
use crate::plugin::{PluginRegistry, PluginSettings};

mod access;
mod bundle;
mod capability;
mod changes;
mod conditional;
mod destination;
mod feed;
mod history;
mod hostile;
mod interactions;
mod load;
mod outcome;
mod patch;
mod resolve;
mod search;
mod status;
mod topic;
mod view;

/// A running server.
struct Host {
    address: SocketAddr,
    log: Arc<dyn Log>,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), HttpError>>,
    folder: tempfile::TempDir,
}

/// What it answered.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Host {
    async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    async fn start_with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let log = crate::log::open(&url, Arc::new(Timestamp::now)).await.unwrap();
        let app = app(log.clone(), folder.path(), &settings).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Arc::new(app), settings, shutdown.clone()));
        Self {
            address,
            log,
            shutdown,
            serving,
            folder,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
        self.log.close().await;
        drop(self.folder);
    }

    /// Asks with a JSON body, `GET /path` before it.
    async fn ask(&self, line: &str, body: &str) -> Answer {
        self.ask_with(line, &[], body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "").await
    }

    async fn ask_with(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let is_stated = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !body.is_empty() && !is_stated {
            text.push_str("Content-Type: application/fhir+json\r\n");
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.say(text.as_bytes()).await
    }

    /// Sends bytes as they are and reads what comes until the server closes.
    async fn say(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let sent = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        assert!(!answer.is_empty(), "no answer: {sent:?}, {read:?}");
        Answer::parse(&answer)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Puts a small Patient and answers its version number.
    async fn put_patient(&self, id: &str, text: &str) -> String {
        let answer = self.ask(&format!("PUT /fhir/Patient/{id}"), &patient(text)).await;
        assert!(answer.status == 200 || answer.status == 201, "{}", answer.text());
        answer.json()["meta"]["versionId"].as_str().unwrap().to_owned()
    }
}

/// What the server answers from, without any plugin.
async fn app(log: Arc<dyn Log>, folder: &Path, settings: &Settings) -> App {
    let plugin_settings = PluginSettings {
        state: folder.to_owned(),
        ..PluginSettings::default()
    };
    let plugins = Arc::new(PluginRegistry::of_directories(plugin_settings, Vec::new()));
    let loaded = Definitions::load(log.clone(), plugins.clone(), definitions::Settings::default()).await;
    let definitions = Arc::new(loaded.unwrap().0);
    let topics = Arc::clone(definitions.topics());
    let matcher = topics.matcher();
    let intake = Intake::new(Arc::new(move || matcher.clone()), settings.limits.max_body_bytes);
    App {
        feeds: Feeds::new(log.clone(), intake.clone()),
        loads: Loads::new(log.clone(), intake.clone(), allow(folder), 1024 * 1024),
        deliveries: Deliveries::with_targets(log.clone(), topics, Arc::new(NoTargets)),
        intake,
        definition_turn: tokio::sync::Mutex::default(),
        destination_turn: tokio::sync::Mutex::default(),
        conditional_turn: tokio::sync::Mutex::default(),
        max_run_bytes: 1024 * 1024,
        started: Timestamp::now(),
        sql_tables: None,
        definitions,
        plugins,
        log,
    }
}

/// Files of the folder may be read, and what this machine serves.
fn allow(folder: &Path) -> Allow {
    let folder = folder.to_owned();
    Arc::new(move |place| match place {
        url if url.starts_with("http://127.0.0.1:") => Ok(Readable::Url(url.to_owned())),
        name if !name.contains('/') => Ok(Readable::File(folder.join(name))),
        _ => Err("may not be read".to_owned()),
    })
}

/// No destination gets so far as to have a target without a plugin.
struct NoTargets;

impl Targets for NoTargets {
    fn target(&self, _: &DestinationSpec) -> Box<dyn Target> {
        unreachable!("there are no plugins")
    }
}

/// A small Patient.
fn patient(family: &str) -> String {
    format!(r#"{{"resourceType":"Patient","name":[{{"family":"{family}"}}]}}"#)
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self {
            status,
            headers,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// The status, and for an OperationOutcome its code and expression: `422 value Patient.id`.
    fn outcome(&self) -> String {
        let json = self.json();
        assert_eq!(json["resourceType"], "OperationOutcome", "{}", self.text());
        assert_eq!(json["id"], json["issue"][0]["code"]);
        let issue = &json["issue"][0];
        let place = issue["expression"][0].as_str().unwrap_or_default();
        format!("{} {} {place}", self.status, issue["code"].as_str().unwrap())
            .trim_end()
            .to_owned()
    }
}
