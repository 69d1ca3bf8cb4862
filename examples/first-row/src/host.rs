//! A running host, and the few requests that the demo makes.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;

use crate::Failure;
use crate::site::Site;

const PATIENCE: Duration = Duration::from_secs(120);

/// `lakefeed run`, killed if the demo ends without stopping it.
pub(crate) struct Host {
    child: Child,
    client: Client,
    url: String,
}

impl Host {
    /// Starts the host and waits until it answers.
    pub(crate) async fn start(site: &Site) -> Result<Self, Failure> {
        let log = File::create(site.path("host.log"))?;
        let child = site
            .command(&["run"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
        let mut host = Self {
            child,
            client,
            url: site.url(),
        };
        let deadline = Instant::now() + PATIENCE;
        while host
            .client
            .get(format!("{}/health", host.url))
            .send()
            .await
            .is_err()
        {
            if host.child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(format!("the host did not start; see {}", site.show("host.log")).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(host)
    }

    /// The host's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// An update of a resource.
    pub(crate) async fn put(&self, resource: &Value) -> Result<(), Failure> {
        let text = |name: &str| resource[name].as_str().unwrap_or_default();
        let url = format!("{}/fhir/{}/{}", self.url, text("resourceType"), text("id"));
        self.client
            .put(url)
            .json(resource)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// A delete.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.client
            .delete(format!("{}/fhir/{path}", self.url))
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// Waits until a destination has nothing queued and nothing under way.
    pub(crate) async fn wait_until_delivered(&self, destination: &str) -> Result<(), Failure> {
        let url = format!("{}/fhir/AidboxTopicDestination/{destination}/$status", self.url);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status: Value = self
                .client
                .get(&url)
                .send()
                .await?
                .error_for_status()?
                .json()
                .await?;
            if count(&status, "messagesQueued") == Some(0.0)
                && count(&status, "messagesInProcess") == Some(0.0)
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{destination} is not delivered: {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGTERM; the host finishes what it is doing and ends.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        match self.child.wait()?.success() {
            true => Ok(()),
            false => Err("the host did not end well".into()),
        }
    }
}

/// A number of `$status`.
fn count(status: &Value, name: &str) -> Option<f64> {
    let mut parameters = status["parameter"].as_array()?.iter();
    parameters.find(|parameter| parameter["name"] == name)?["valueDecimal"].as_f64()
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
