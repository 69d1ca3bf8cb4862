//! PostgreSQL servers for tests: started when they are asked for, gone with the test program however that ends.
//!
//! - [`Server::shared`] is one server for all tests of a program; each takes a [`database`](Server::database) of its own.
//! - [`Server::start`] is a server for one test, which may [`kill`](Server::kill) and [`resume`](Server::resume) it.
//!
//! A server has its files in a temporary folder, listens on a socket there and nowhere else, and syncs what it commits.
//! `LAKEFEED_TEST_POSTGRES=URL` names a server to be shared instead, on which the tests may create databases;
//! `LAKEFEED_TEST_POSTGRES_BIN=FOLDER` the programs. Where there are none, a test skips itself by [`skipped`].
//! Everything here fails by panicking, since a test is what calls it.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a harness that cannot go on ends the test, and says why"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to come up or to end. A disk that is behind with others' writes can hold up a sync for a
/// minute.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long a server that was told to end may take before it is told more firmly.
const FIRMER_AFTER: Duration = Duration::from_secs(30);
/// The port only names the socket's file.
const PORT: u16 = 5432;

/// Keeps a server running until it is told to end, and takes its files away. It is told so, too, when the thread that
/// started it is gone.
const KEEPER: &str = r#"
folder=$1; shift
trap 'kill -INT "$server"; wait "$server"; rm -rf "$folder"; exit 0' TERM
while :; do
    "$@" >>"$folder/log" 2>&1 & server=$!
    wait "$server"
    while [ -e "$folder/stopped" ]; do sleep 0.02; done
    sleep 0.1
done
"#;

/// A server.
#[derive(Debug)]
pub struct Server {
    /// None: the server of the environment variable.
    own: Option<Own>,
    /// Its URL up to the database's name, and what follows that.
    url: (String, String),
    programs: PathBuf,
}

#[derive(Debug)]
struct Own {
    folder: TempDir,
    keeper: Child,
}

/// Says that the running test did not run, and why. CI takes it for a failure.
pub fn skipped() {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // Straight to the stream, since what a passing test prints is otherwise not shown. Nobody is left to tell when it
    // is closed.
    drop(writeln!(
        std::io::stderr(),
        "\nskipped: {name} (no PostgreSQL server programs; install them or set LAKEFEED_TEST_POSTGRES_BIN)"
    ));
}

impl Server {
    /// The server that all tests of this program share; none where PostgreSQL is not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED
            .get_or_init(|| match std::env::var("LAKEFEED_TEST_POSTGRES") {
                Ok(url) => Self::named(&url),
                Err(_) => Self::outliving_the_test(),
            })
            .as_ref()
    }

    /// A server of one's own, with settings such as `fsync=off`; none where PostgreSQL is not installed.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let programs = programs()?;
        let folder = TempDir::new().unwrap();
        give_away(folder.path());
        let made = command(&programs, "initdb")
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .args([
                "--username=postgres",
                "--auth=trust",
                "--no-sync",
                "--no-locale",
                "--encoding=UTF8",
            ])
            .stdout(Stdio::null())
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb failed");
        Some(Self::kept(programs, folder, settings))
    }

    /// A standby of this server: a copy of it that follows what it commits, until it is told to `pg_promote()`.
    pub fn standby(&self) -> Self {
        let folder = TempDir::new().unwrap();
        give_away(folder.path());
        let copied = command(&self.programs, "pg_basebackup")
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                "--username=postgres",
            ])
            .arg("--host")
            .arg(self.folder())
            .args(["--port", &PORT.to_string()])
            .status()
            .expect("pg_basebackup runs");
        assert!(copied.success(), "pg_basebackup failed");
        Self::kept(self.programs.clone(), folder, &[])
    }

    fn kept(programs: PathBuf, folder: TempDir, settings: &[&str]) -> Self {
        let keeper = keep(&programs, folder.path(), settings);
        let socket = folder.path().display().to_string().replace('/', "%2F");
        let server = Self {
            url: (
                format!("postgres://postgres@localhost:{PORT}/"),
                format!("?host={socket}"),
            ),
            own: Some(Own { folder, keeper }),
            programs,
        };
        server.wait_until_ready();
        server
    }

    /// The folder of its socket; only of a server that was started here.
    pub fn folder(&self) -> &Path {
        self.own
            .as_ref()
            .expect("the server is this test's own")
            .folder
            .path()
    }

    /// Gives the server a folder that it is to write to.
    pub fn give(&self, folder: &Path) {
        give_away(folder);
    }

    fn named(url: &str) -> Option<Self> {
        let (server, rest) = url.rsplit_once('/').expect("LAKEFEED_TEST_POSTGRES is a URL");
        let query = rest.find('?').map_or("", |at| &rest[at..]);
        Some(Self {
            own: None,
            url: (format!("{server}/"), query.to_owned()),
            programs: programs()?,
        })
    }

    /// The server ends with the thread that started it, so that is one that ends with the program.
    fn outliving_the_test() -> Option<Self> {
        let (started, server) = mpsc::channel();
        std::thread::spawn(move || {
            started.send(Self::start(&[])).unwrap();
            loop {
                std::thread::park();
            }
        });
        server.recv().unwrap()
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("{}{database}{}", self.url.0, self.url.1)
    }

    /// Makes a new, empty database and answers its name.
    pub fn database(&self) -> String {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("lakefeed_{}_{number}", std::process::id());
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs statements in a database and answers what the last one found: a line a row, `|` between the columns.
    #[track_caller]
    pub fn sql(&self, database: &str, script: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
            ])
            .args(["--dbname", &self.url(database), "--command", script])
            .output()
            .expect("psql runs");
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {problem}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// One of the server's programs, such as `pg_dump`.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Ends the server with a signal: `INT` ends the sessions and stops, `QUIT` stops as a crash would, and what was
    /// committed is recovered when it is resumed.
    pub fn kill(&self, signal: &str) {
        let own = self.own.as_ref().expect("the server is this test's own");
        std::fs::write(own.folder.path().join("stopped"), "").unwrap();
        let file = own.folder.path().join("data/postmaster.pid");
        let pid = std::fs::read_to_string(&file).expect("the server runs");
        let pid = pid.lines().next().unwrap();
        let mut sent = Instant::now();
        // On a busy machine it may write what it holds for long before it ends; it recovers that as well.
        let mut firmer = ["INT", "QUIT", "KILL"]
            .into_iter()
            .skip_while(|weaker| *weaker != signal)
            .skip(1);
        send(signal, pid);
        let ended = is_so_in_time(|| {
            if sent.elapsed() > FIRMER_AFTER {
                sent = Instant::now();
                firmer.next().into_iter().for_each(|signal| send(signal, pid));
            }
            !Path::new("/proc").join(pid).exists()
        });
        assert!(
            ended,
            "waited too long for the server to end\n{}",
            self.state(pid)
        );
    }

    /// What the server's processes do, and the end of its log: for the message of a test that waited in vain.
    fn state(&self, pid: &str) -> String {
        let processes = Command::new("ps")
            .args([
                "-o",
                "pid,ppid,stat,wchan:32,etime,args",
                "--ppid",
                pid,
                "--pid",
                pid,
            ])
            .output();
        let processes = processes.map_or_else(
            |problem| problem.to_string(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        );
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.len().saturating_sub(20);
        format!("{processes}{}", lines[end..].join("\n"))
    }

    /// Starts a server again that was ended.
    pub fn resume(&self) {
        let own = self.own.as_ref().expect("the server is this test's own");
        std::fs::remove_file(own.folder.path().join("stopped")).unwrap();
        self.wait_until_ready();
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        let own = self.own.as_ref().expect("the server is this test's own");
        std::fs::read_to_string(own.folder.path().join("log")).unwrap_or_default()
    }

    fn wait_until_ready(&self) {
        let is_up = is_so_in_time(|| {
            self.program("pg_isready")
                .args(["--quiet", "--dbname", &self.url("postgres")])
                .status()
                .is_ok_and(|status| status.success())
        });
        assert!(is_up, "waited too long for the server to come up\n{}", self.log());
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let pid = self.keeper.id().to_string();
        // A server that ended already is what is wanted.
        Command::new("kill").args(["-TERM", &pid]).status().ok();
        self.keeper.wait().ok();
    }
}

/// Where the server's programs are: named, beside others in the path, or where Debian puts them.
fn programs() -> Option<PathBuf> {
    let has_server = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_isready", "psql"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    if let Some(named) = std::env::var_os("LAKEFEED_TEST_POSTGRES_BIN") {
        return Some(PathBuf::from(named)).filter(has_server);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.into_iter().find(has_server)
}

/// PostgreSQL refuses to run as root; then it runs as nobody.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

const AS_NOBODY: [&str; 3] = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"];

fn command(programs: &Path, name: &str) -> Command {
    let program = programs.join(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(AS_NOBODY).arg(program);
    command
}

fn give_away(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("nobody:nogroup").arg(folder).status();
        assert!(given.is_ok_and(|status| status.success()), "chown failed");
    }
}

fn keep(programs: &Path, folder: &Path, settings: &[&str]) -> Child {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(AS_NOBODY);
    }
    command
        .args(["--pdeathsig=TERM", "sh", "-c", KEEPER, "keeper"])
        .arg(folder)
        .arg(programs.join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-p", &PORT.to_string()]);
    // Its own sessions in other databases would hold readers back now and then, and make tests wait.
    let ours = [
        "listen_addresses=",
        "autovacuum=off",
        "max_connections=200",
        "max_prepared_transactions=10",
    ];
    for setting in ours.iter().chain(settings) {
        command.args(["-c", setting]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("setpriv runs")
}

/// Sends a signal to a process that may have ended already.
fn send(signal: &str, pid: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), pid]).status();
    assert!(sent.is_ok(), "kill runs");
}

/// Waits until something is so; false when it was not within [`PATIENCE`].
fn is_so_in_time(mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_ones_own_is_killed_resumed_and_leaves_nothing_behind() {
        let Some(server) = Server::start(&[]) else {
            return skipped();
        };
        let folder = server.own.as_ref().unwrap().folder.path().to_owned();
        let database = server.database();
        server.sql(&database, "CREATE TABLE t AS SELECT 7 AS x");
        server.kill("QUIT");
        server.resume();
        assert_eq!(server.sql(&database, "SELECT x FROM t"), "7");
        drop(server);
        assert!(!folder.exists());
    }
}
