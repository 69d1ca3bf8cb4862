//! A running host.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::client::Client;
use crate::site::Site;
use crate::wait_for;

/// `lakefeed run`, killed when it is dropped. What it logs goes to `host.log` in its site.
#[derive(Debug)]
pub struct Host {
    child: Child,
    client: Client,
    log: PathBuf,
}

impl Host {
    /// Starts a command that runs a host, such as `strace … lakefeed run`, on a site's port.
    pub fn spawn(site: &Site, mut command: Command) -> Self {
        let log = site.path("host.log");
        let open = || -> File {
            let options = OpenOptions::new().create(true).append(true).open(&log);
            options.expect("host.log can be written")
        };
        let child = command
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("the host can be started");
        Self {
            child,
            client: Client::new(format!("http://127.0.0.1:{}", site.port())),
            log,
        }
    }

    /// Waits until the host answers; panics with its log when it ends instead.
    pub fn wait_until_ready(&self) {
        let id = self.child.id();
        wait_for("the host to answer", || {
            let answer = self
                .client
                .try_send(reqwest::Method::GET, "/health", &[], Vec::new());
            let is_ready = answer.is_ok_and(|answer| answer.status == 200);
            assert!(is_ready || is_alive(id), "the host ended:\n{}", self.log());
            is_ready.then_some(())
        });
    }

    /// What the host has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and nothing of the process is left when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    /// SIGTERM, and the exit status.
    pub fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the host can be told");
        self.wait()
    }

    /// Waits until the host ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the host to end", || {
            self.child.try_wait().expect("a child can be waited for")
        })
    }

    /// Resident memory in bytes, and the most it ever was.
    pub fn memory(&self) -> (u64, u64) {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kilobytes = |name: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_default();
            line.split_whitespace()
                .nth(1)
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or(0)
        };
        (kilobytes("VmRSS:") * 1024, kilobytes("VmHWM:") * 1024)
    }

    /// How long processors have worked for it, in user and kernel mode together.
    pub fn processor_time(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name in parentheses may hold anything; utime and stime are the 12th and 13th fields behind it, in
        // hundredths of a second on every Linux.
        let fields = text.rsplit(") ").next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Duration::from_millis(10 * ticks)
    }

    fn end(&mut self) {
        // A child that has ended already is what was wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_alive(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = status.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

impl Deref for Host {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            // Nobody is left to tell when standard error is closed.
            drop(writeln!(
                std::io::stderr(),
                "the host's log ends with:\n{}",
                tail.join("\n")
            ));
        }
    }
}
