//! A FHIR client that a test is pleasant to write with: it waits, and panics when there is no answer.

use std::sync::LazyLock;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime can be made"));

/// Speaks to one host.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    inner: reqwest::Client,
}

/// What a host answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Client {
    /// A client for `http://ADDRESS`.
    pub fn new(base: impl Into<String>) -> Self {
        let builder = reqwest::Client::builder().timeout(Duration::from_secs(100));
        Self {
            base: base.into(),
            inner: builder.build().expect("a client can be made"),
        }
    }

    /// The host's address: `http://127.0.0.1:20001`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET`; a path without a leading slash is one under `/fhir/`.
    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new())
    }

    /// `PUT` of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, &[JSON], body.to_string().into_bytes())
    }

    /// `POST` of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[JSON], body.to_string().into_bytes())
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Vec::new())
    }

    /// Any request; panics when there is no answer.
    pub fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let what = format!("{method} {path}");
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    /// Any request, of a host that may be gone.
    ///
    /// # Errors
    ///
    /// When there is no whole answer: whether the request took effect is not known then.
    pub fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        RUNTIME.block_on(async {
            let mut request = self.inner.request(method, self.url(path));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.body(body).send().await?;
            Ok(Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                bytes: response.bytes().await?.to_vec(),
            })
        })
    }

    fn url(&self, path: &str) -> String {
        match path.strip_prefix('/') {
            Some(path) => format!("{}/{path}", self.base),
            None => format!("{}/fhir/{path}", self.base),
        }
    }

    /// `$status` of a destination, its parameters by name.
    pub fn status(&self, destination: &str) -> Value {
        let answer = self
            .get(&format!("AidboxTopicDestination/{destination}/$status"))
            .expect(200);
        let mut by_name = serde_json::Map::new();
        for parameter in answer.json()["parameter"].as_array().expect("Parameters") {
            let name = parameter["name"].as_str().expect("a name").to_owned();
            let value = parameter.as_object().expect("an object").iter();
            let value = value
                .filter(|(key, _)| *key != "name")
                .map(|(_, value)| value.clone())
                .next();
            by_name.entry(name).or_insert(value.unwrap_or_default());
        }
        Value::Object(by_name)
    }

    /// Waits until a destination has nothing queued and nothing under way; while it delivers, patience begins anew.
    pub fn wait_until_delivered(&self, destination: &str) -> Value {
        let mut delivered = 0.0;
        loop {
            let (status, is_done) = super::wait_for(&format!("{destination} to be delivered"), || {
                let status = self.status(destination);
                let number = |name: &str| status[name].as_f64();
                let is_done =
                    number("messagesQueued") == Some(0.0) && number("messagesInProcess") == Some(0.0);
                let is_more = number("messagesDelivered") > Some(delivered);
                (is_done || is_more).then_some((status, is_done))
            });
            if is_done {
                return status;
            }
            delivered = status["messagesDelivered"].as_f64().unwrap_or(delivered);
        }
    }
}

const JSON: (&str, &str) = ("content-type", "application/fhir+json");

impl Answer {
    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let read = serde_json::from_slice(&self.bytes);
        read.unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header's text, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether the status says success.
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// The diagnostics of an OperationOutcome, a line an issue: `code expression: text`.
    #[track_caller]
    pub fn issues(&self) -> String {
        let outcome = self.json();
        let issues = outcome["issue"]
            .as_array()
            .unwrap_or_else(|| panic!("no OperationOutcome: {outcome}"));
        let text = |issue: &Value| {
            let place = issue["expression"][0].as_str().unwrap_or("-").to_owned();
            let said = issue["diagnostics"]
                .as_str()
                .or_else(|| issue["details"]["text"].as_str());
            format!(
                "{} {place}: {}",
                issue["code"].as_str().unwrap_or("-"),
                said.unwrap_or("-")
            )
        };
        issues.iter().map(text).collect::<Vec<_>>().join("\n")
    }
}
