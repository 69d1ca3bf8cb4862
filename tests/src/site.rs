//! A folder with a configuration, and the program's commands run in it.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::host::Host;
use crate::program::{program, program_folder};
use crate::views;

/// A folder of its own for one test; it is removed with the value, or kept when `LAKEFEED_KEEP` is set.
#[derive(Debug)]
pub struct Site {
    folder: Option<TempDir>,
    path: PathBuf,
    port: u16,
    store: String,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Site {
    /// A folder whose `lakefeed.toml` names a free port and a store, and then what is given.
    pub fn new(config: &str) -> Self {
        let site = Self::on_store("sqlite://lakefeed.db");
        site.configure(config);
        site
    }

    /// A folder whose `lakefeed.toml` names a free port and this store.
    pub fn on_store(url: &str) -> Self {
        let under = program_folder().join("tmp");
        fs::create_dir_all(&under).expect("target/ can be written");
        let folder = tempfile::Builder::new()
            .prefix("site-")
            .tempdir_in(under)
            .expect("a folder");
        let site = Self {
            path: folder.path().to_owned(),
            folder: Some(folder),
            port: free_port(),
            store: url.to_owned(),
        };
        site.configure("");
        site
    }

    /// Patients of [`views::PATIENT_FLAT`] into `lake/patients`, destination `patients`.
    pub fn patients() -> Self {
        let site = Self::new("");
        site.write("patient_flat.json", views::PATIENT_FLAT);
        site.configure(&destination("patients", "Patient", "patient_flat", ""));
        site
    }

    /// Writes `lakefeed.toml` anew: the site's port and store, then what is given.
    pub fn configure(&self, config: &str) {
        let (port, store) = (self.port, &self.store);
        let own = format!("[http]\nlisten = \"127.0.0.1:{port}\"\n\n[store]\nurl = \"{store}\"\n\n");
        self.write("lakefeed.toml", own + config);
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Writes an NDJSON file.
    pub fn write_ndjson(&self, name: &str, resources: impl IntoIterator<Item = Value>) -> PathBuf {
        let path = self.write(name, "");
        let mut file = std::io::BufWriter::new(fs::File::create(&path).expect("a file can be made"));
        for resource in resources {
            writeln!(file, "{resource}").expect("a line can be written");
        }
        file.flush().expect("a file can be written");
        path
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The port that the configuration names.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The program with arguments, to be run in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(&self.path)
            .stdin(Stdio::null());
        command.env_remove("LAKEFEED_LOG");
        command
    }

    /// Runs a command of the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(arguments))
    }

    /// Runs a command with a text on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ended {
        let file = self.write(".input", input);
        let file = fs::File::open(file).expect("the input was written");
        Ended::of(self.command(arguments).stdin(file))
    }

    /// Starts the host and waits until it answers.
    pub fn start(&self) -> Host {
        let host = self.spawn();
        host.wait_until_ready();
        host
    }

    /// Starts the host and does not wait.
    pub fn spawn(&self) -> Host {
        Host::spawn(self, self.command(&["run"]))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::env::var_os("LAKEFEED_KEEP").is_some()
            && let Some(folder) = self.folder.take()
        {
            drop(folder.keep());
        }
    }
}

impl Ended {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the program can be run");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The result, which must be success.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// What was said on standard error by a command that must have failed with an exit code, not by a panic.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(
            self.code.is_some_and(|code| code != 0),
            "{}{}",
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self.stderr
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let read = serde_json::from_str(&self.stdout);
        read.unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// The TOML of a topic for every change of a type, a view from a file of its name, and a destination that writes it
/// with `delta` to `lake/ID`; `more` are further lines of the destination.
pub fn destination(id: &str, resource: &str, view: &str, more: &str) -> String {
    let url = format!("http://example.org/topics/{id}");
    format!(
        r#"
[[topic]]
id = "{id}"
url = "{url}"
trigger = [{{ resource = "{resource}" }}]

[[view]]
file = "{view}.json"

[[destination]]
id = "{id}"
topic = "{url}"
viewDefinition = "{view}"
batchSize = 500
sendIntervalMs = 50
skipInitialExport = true
writeMode = "external-direct"
tablePath = "lake/{id}"
{more}
"#
    )
}

/// A port below those that the system gives to clients, so that none of them sits on it while a host is down.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 8_000).unwrap_or(0);
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl AsRef<Path> for Site {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}
