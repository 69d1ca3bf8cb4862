//! A program that runs beside the walk.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::Failure;

/// How long a program may take to end in good order.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running program. It is killed if it is dropped without having been stopped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to a file. A Ctrl-C of the terminal does not reach it: the walk stops it.
    pub(crate) fn start(
        name: &'static str,
        command: std::process::Command,
        log: &Path,
    ) -> Result<Self, Failure> {
        let output = File::create(log)?;
        Self::spawn(name, command, output.try_clone()?.into(), output, log)
    }

    /// Starts a program whose standard output is read here; only its standard error goes to a file.
    pub(crate) fn start_to_read(
        name: &'static str,
        command: std::process::Command,
        log: &Path,
    ) -> Result<Self, Failure> {
        Self::spawn(name, command, Stdio::piped(), File::create(log)?, log)
    }

    fn spawn(
        name: &'static str,
        mut command: std::process::Command,
        stdout: Stdio,
        stderr: File,
        log: &Path,
    ) -> Result<Self, Failure> {
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        let child = Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{name} cannot be started: {error}"))?;
        Ok(Self {
            name,
            child,
            log: log.to_owned(),
        })
    }

    /// What it prints, by lines.
    pub(crate) fn lines(&mut self) -> Option<Lines<BufReader<ChildStdout>>> {
        let stdout = self.child.stdout.take();
        stdout.map(|stdout| BufReader::new(stdout).lines())
    }

    /// It is still there; else the end of what it logged.
    pub(crate) fn is_alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.failure(&format!("has ended ({status})"))),
        }
    }

    /// What is wrong with it, and the end of what it logged.
    pub(crate) fn failure(&self, problem: &str) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n");
        format!(
            "{} {problem}; {} ends with:\n{tail}",
            self.name,
            self.log.display()
        )
        .into()
    }

    /// Tells it to end and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)?;
        }
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => match status?.success() {
                true => Ok(()),
                false => Err(self.failure("did not end well")),
            },
            Err(_) => {
                self.child.kill().await?;
                Err(self.failure("did not end in time and was killed"))
            }
        }
    }
}
