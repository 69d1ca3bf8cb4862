//! What stands on loopback while the walk goes on: the emulator, and a lakefeed before it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::environment::Environment;
use crate::process::Process;
use crate::programs::Programs;

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder in cargo's target folder, and the programs that run over it.
pub(crate) struct Stage {
    programs: Programs,
    folder: PathBuf,
    emulator: Option<Process>,
    lakefeed: Option<Process>,
}

impl Stage {
    /// An empty folder, and nothing running.
    pub(crate) fn empty(programs: Programs) -> Result<Self, Failure> {
        let folder = programs.target.join("databricks-local");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self {
            programs,
            folder,
            emulator: None,
            lakefeed: None,
        })
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder of the workspace's buckets.
    pub(crate) fn buckets(&self) -> PathBuf {
        self.path("workspace").join("buckets")
    }

    /// Starts the emulator over an empty workspace, which nobody has set up. Answers what it says a client needs.
    pub(crate) async fn start_emulator(&mut self) -> Result<Vec<(String, String)>, Failure> {
        let mut command = Command::new(&self.programs.emulator);
        command
            .arg("--data")
            .arg(self.path("workspace"))
            .args(["--listen", "127.0.0.1:0"]);
        let mut process = Process::start_to_read("the emulator", command, &self.path("emulator.log"))?;
        let mut lines = process.lines().ok_or("the emulator has no output")?;
        let mut told = Vec::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            let line = match line {
                Ok(line) => line?,
                Err(_) => return Err(process.failure("does not say that it listens")),
            };
            match line.as_deref() {
                Some("# listening") => break,
                Some(line) => {
                    let pair = line.strip_prefix("export ").and_then(|line| line.split_once('='));
                    told.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
                }
                None => return Err(process.failure("has ended before it listened")),
            }
        }
        self.emulator = Some(process);
        Ok(told)
    }

    /// Starts lakefeed over an empty store in a folder of that name. Answers its address and its configuration.
    pub(crate) async fn start_lakefeed(
        &mut self,
        name: &str,
        environment: &Environment,
    ) -> Result<(String, String), Failure> {
        let folder = self.path(name);
        fs::create_dir_all(&folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = include_str!("../lakefeed.toml")
            .replace("PORT", &port.to_string())
            .replace("WORKSPACE", environment.get("DATABRICKS_HOST")?);
        fs::write(folder.join("lakefeed.toml"), &configuration)?;
        let mut command = Command::new(&self.programs.lakefeed);
        command.arg("run").current_dir(&folder);
        for secret in [
            "BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID",
            "BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET",
        ] {
            command.env(secret, environment.get(secret)?);
        }
        let mut process = Process::start("lakefeed", command, &folder.join("lakefeed.log"))?;
        wait_until_ready(&mut process, port).await?;
        self.lakefeed = Some(process);
        Ok((format!("http://127.0.0.1:{port}"), configuration))
    }

    /// Ends lakefeed, in good order.
    pub(crate) async fn stop_lakefeed(&mut self) -> Result<(), Failure> {
        match self.lakefeed.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Ends whatever runs, lakefeed first.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        let lakefeed = self.stop_lakefeed().await;
        let emulator = match self.emulator.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        };
        lakefeed.and(emulator)
    }

    /// Both programs are still there.
    pub(crate) fn are_alive(&mut self) -> Result<(), Failure> {
        for process in [&mut self.emulator, &mut self.lakefeed].into_iter().flatten() {
            process.is_alive()?;
        }
        Ok(())
    }

    /// Takes the folder away.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        Ok(fs::remove_dir_all(&self.folder)?)
    }
}

async fn wait_until_ready(process: &mut Process, port: u16) -> Result<(), Failure> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = client.get(format!("http://127.0.0.1:{port}/health")).send().await;
        if health.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        process.is_alive()?;
        if Instant::now() > deadline {
            return Err(process.failure("does not answer"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A path as it is best shown: from the current directory where it lies below it.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
