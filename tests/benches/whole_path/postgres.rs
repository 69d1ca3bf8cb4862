//! The peer: a PostgreSQL server of the bench's own, or the one that was named, and what it does by itself.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;
use lakefeed_tests::{Site, program_folder, wait_for};
use tempfile::TempDir;

/// Names a server to use instead of one of the bench's own.
const NAMED: &str = "LAKEFEED_BENCH_POSTGRES";

/// What `pgbench` inserts into.
pub(crate) struct Tables {
    made_by: &'static str,
    /// Statements with `:patient` where the text goes, which each transaction sends anew, and `:id`.
    filled_by: &'static str,
}

/// The least that keeps a version and the current state: a key each.
pub(crate) const BARE: Tables = Tables {
    made_by: "DROP TABLE IF EXISTS bench_log, bench_resource; \
      CREATE TABLE bench_log (sequence bigserial PRIMARY KEY, resource_type text NOT NULL, id text NOT NULL, \
        resource bytea NOT NULL); \
      CREATE TABLE bench_resource (resource_type text NOT NULL, id text NOT NULL, sequence bigint NOT NULL, \
        PRIMARY KEY (resource_type, id)); \
      ALTER TABLE bench_log ALTER resource SET COMPRESSION lz4",
    filled_by: "INSERT INTO bench_log (resource_type, id, resource) VALUES ('Patient', :id, :patient);\n\
      INSERT INTO bench_resource VALUES ('Patient', :id, lastval()) ON CONFLICT DO NOTHING;\n",
};

/// The columns and the indexes that the store has, which histories, searches and readers of the log need; without its
/// partitions and its index of identifiers.
pub(crate) const AS_STORED: Tables = Tables {
    made_by: "DROP TABLE IF EXISTS bench_log, bench_resource; \
      CREATE TABLE bench_log (sequence bigserial PRIMARY KEY, transaction bigint NOT NULL, last_updated bigint NOT NULL, \
        created_at bigint NOT NULL, previous bigint, topics_known bigint NOT NULL, source_last_updated bigint, \
        status smallint NOT NULL, resource_type text COLLATE \"C\" NOT NULL, id text COLLATE \"C\" NOT NULL, topics text, \
        source_version text, resource bytea); \
      CREATE INDEX ON bench_log (transaction, sequence); \
      CREATE INDEX ON bench_log (resource_type, sequence) INCLUDE (last_updated); \
      CREATE TABLE bench_resource (sequence bigint NOT NULL, last_updated bigint NOT NULL, versions bigint NOT NULL, \
        deleted boolean NOT NULL, resource_type text COLLATE \"C\" NOT NULL, id text COLLATE \"C\" NOT NULL, \
        tokens bigint[], PRIMARY KEY (resource_type, id)); \
      CREATE INDEX ON bench_resource (resource_type, last_updated, id); \
      ALTER TABLE bench_log ALTER resource SET COMPRESSION lz4",
    filled_by: "INSERT INTO bench_log (transaction, last_updated, created_at, topics_known, status, resource_type, id, \
        resource) VALUES (pg_current_xact_id()::text::bigint, extract(epoch FROM now()) * 1000000, \
        extract(epoch FROM now()) * 1000000, 0, 0, 'Patient', :id, :patient);\n\
      INSERT INTO bench_resource VALUES (lastval(), extract(epoch FROM now()) * 1000000, 1, false, 'Patient', :id) \
        ON CONFLICT DO NOTHING;\n",
};

/// A server, stopped when it is dropped if it is the bench's own.
#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    url: String,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    process: Child,
    _folder: TempDir,
}

impl Server {
    /// The named server, else one of its own; none when there is neither.
    pub(crate) fn find() -> Option<Self> {
        let programs = programs()?;
        match std::env::var(NAMED) {
            Ok(url) => Some(Self {
                programs,
                url,
                own: None,
            }),
            Err(_) => Some(start(programs)),
        }
    }

    /// A folder whose configuration names this server as its store, emptied; none if the program has no such store.
    pub(crate) fn site(&self) -> Option<Site> {
        self.sql("DROP SCHEMA IF EXISTS lakefeed, lakefeed_sof, sof CASCADE");
        let site = Site::on_store(&self.url);
        let checked = site.run(&["check"]);
        (checked.code == Some(0)).then_some(site)
    }

    /// Runs SQL, and answers what it gives out.
    pub(crate) fn sql(&self, text: &str) -> String {
        let mut psql = self.psql();
        let output = psql.args(["-c", text]).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `psql`, quiet, on this server.
    pub(crate) fn psql(&self) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url]);
        psql
    }

    /// `pgbench` with a script of one's own.
    pub(crate) fn pgbench(&self, script: &Path, clients: usize, time: Duration, more: &[&str]) -> Command {
        let mut pgbench = Command::new(self.programs.join("pgbench"));
        let threads = clients.min(2).to_string();
        pgbench
            .args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", &threads])
            .args(["-T", &time.as_secs().to_string(), "-f"])
            .arg(script)
            .args(more)
            .arg(&self.url)
            .stdin(Stdio::null());
        pgbench
    }

    /// Transactions a second by so many clients, each of the two inserts that a change needs, with a Patient's text.
    pub(crate) fn two_inserts(&self, tables: &Tables, clients: usize, time: Duration) -> f64 {
        self.sql(tables.made_by);
        let patient = Generator::new(1).patients(1).next().unwrap().to_string();
        // As a parameter: a text that stood in the statement would be sent and read once, not with each transaction.
        let patient = format!("patient={}", patient.replace('\\', "\\\\"));
        let folder = tempfile::tempdir().unwrap();
        let inserts = tables.filled_by;
        let script = write_script(
            &folder,
            &format!("\\set id random(1, 1000000000000)\nBEGIN;\n{inserts}COMMIT;\n"),
        );
        let output = self
            .pgbench(&script, clients, time, &["-D", &patient])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rest| rest.split(' ').next()?.parse().ok());
        rate.unwrap_or_else(|| panic!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// How long `\copy` of a file's lines into one table takes.
    pub(crate) fn copy(&self, path: &Path) -> Duration {
        self.sql("DROP TABLE IF EXISTS bench_lines; CREATE TABLE bench_lines (line text)");
        let path = path.to_str().unwrap();
        let copy =
            format!("\\copy bench_lines FROM '{path}' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')");
        let started = Instant::now();
        self.sql(&copy);
        let spent = started.elapsed();
        self.sql("DROP TABLE bench_lines");
        spent
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            // SIGINT: a stop that does not wait for sessions.
            let pid = rustix::process::Pid::from_child(&own.process);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).ok();
            drop(own.process.wait());
        }
    }
}

/// Writes a script for `pgbench`.
pub(crate) fn write_script(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("script.sql");
    fs::write(&path, text).unwrap();
    path
}

/// The folder of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("postgres").exists()).max()
}

/// The folder that the embedded store lies in, unless it is below one that only root may enter; then that for temporary
/// files.
fn reachable() -> PathBuf {
    let beside = program_folder().join("tmp");
    fs::create_dir_all(&beside).unwrap();
    let entered = unprivileged(Path::new("test")).arg("-x").arg(&beside).status();
    match entered.is_ok_and(|status| status.success()) {
        true => beside,
        false => std::env::temp_dir(),
    }
}

/// A server in a folder of its own, on the disk that the embedded store lies on where that can be, as it comes but for
/// more room before a checkpoint.
fn start(programs: PathBuf) -> Server {
    let folder = tempfile::Builder::new()
        .prefix("postgres-")
        .tempdir_in(reachable())
        .unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let data = folder.path().join("data");
    let made = unprivileged(&programs.join("initdb"))
        .args(["-U", "lakefeed", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let log = fs::File::create(folder.path().join("server.log")).unwrap();
    let process = unprivileged(&programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args([
            "-p",
            &port.to_string(),
            "-k",
            "",
            "-c",
            "listen_addresses=127.0.0.1",
        ])
        .args(["-c", "max_wal_size=4GB", "-c", "shared_buffers=256MB"])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Server {
        programs,
        url: format!("postgres://lakefeed@127.0.0.1:{port}/postgres"),
        own: Some(Own {
            process,
            _folder: folder,
        }),
    };
    wait_for("PostgreSQL to answer", || {
        let asked = server.psql().args(["-c", "SELECT 1"]).output().unwrap();
        asked.status.success().then_some(())
    });
    server
}

/// A program that refuses to be root's.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .arg(program)
        .current_dir("/");
    command
}
