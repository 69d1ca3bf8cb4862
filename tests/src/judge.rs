//! Programs that others wrote, as judges of what ours did.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::checkout;
use crate::site::Ended;

/// Says that the running test did not run, and why. CI takes it for a failure.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // Straight to the stream, since what a passing test prints is otherwise not shown; on a line of its own, whatever
    // stands there already. Nobody is left to tell when it is closed.
    drop(writeln!(std::io::stderr(), "\nskipped: {name} ({why})"));
}

/// DuckDB's reader of Delta tables, in Python.
#[derive(Clone, Debug)]
pub struct Judge {
    python: PathBuf,
}

/// What a judge read, as text, null as none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Name and DuckDB type of each column.
    pub columns: Vec<(String, String)>,
    /// The rows, in an order of their values.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Judge {
    /// The judge, or none, and the running test is named as skipped. `LAKEFEED_JUDGE_PYTHON` names the Python; else it
    /// is `.venv/bin/python`, which `make test` makes.
    pub fn find() -> Option<Self> {
        let named = std::env::var_os("LAKEFEED_JUDGE_PYTHON").map(PathBuf::from);
        let python = named.unwrap_or_else(|| checkout().join(".venv/bin/python"));
        let has = Command::new(&python)
            .args(["-c", "import duckdb, duckdb_extensions, pytz"])
            .stderr(Stdio::null())
            .status();
        if has.is_ok_and(|status| status.success()) {
            return Some(Self { python });
        }
        skipped("no Python with duckdb; make test installs it");
        None
    }

    /// Whether DuckDB, by SQL that was written by hand, gives the rows of the views of `host/view/benches`; what it found of
    /// each.
    #[track_caller]
    pub fn compare_with_sql(&self, lakefeed: &Path, sample_data: &Path) -> String {
        let script = checkout().join("host/view/benches/against_duckdb.py");
        let mut command = Command::new(&self.python);
        command
            .arg(script)
            .args([lakefeed, sample_data])
            .args(["--patients", "3000", "--check"]);
        Ended::of(&mut command).succeeded().stdout
    }

    /// A program that is installed beside the judge.
    pub fn program(&self, name: &str) -> PathBuf {
        self.python.with_file_name(name)
    }

    /// All rows of a Delta table.
    #[track_caller]
    pub fn table(&self, path: &Path) -> Table {
        self.query(path, "SELECT * FROM t ORDER BY ALL")
    }

    /// The answer to a query in which the Delta table is called `t`.
    #[track_caller]
    pub fn query(&self, path: &Path, sql: &str) -> Table {
        let script = checkout().join("tests/judges/read_delta.py");
        let ended = Ended::of(Command::new(&self.python).arg(script).arg(path).arg(sql));
        let answer: Value = ended.succeeded().json();
        serde_json::from_value::<(Vec<(String, String)>, _)>(answer)
            .map(|(columns, rows)| Table { columns, rows })
            .expect("the judge prints columns and rows")
    }

    /// Compares a Delta table with the rows of another engine; `tests/judges/compare_rows.py` says how.
    #[track_caller]
    pub fn compare(&self, table: &Path, rows: &Path) -> Value {
        let script = checkout().join("tests/judges/compare_rows.py");
        Ended::of(Command::new(&self.python).arg(script).arg(table).arg(rows))
            .succeeded()
            .json()
    }

    /// A query's one number.
    #[track_caller]
    pub fn number(&self, path: &Path, sql: &str) -> u64 {
        let table = self.query(path, sql);
        let cell = table.rows.first().and_then(|row| row.first()).cloned().flatten();
        cell.and_then(|cell| cell.parse().ok())
            .unwrap_or_else(|| panic!("no number: {table:?}"))
    }
}

impl Table {
    /// The rows as text: a line a row, cells between bars, null as nothing.
    pub fn text(&self) -> String {
        let line = |row: &Vec<Option<String>>| {
            let cells: Vec<&str> = row
                .iter()
                .map(|cell| cell.as_deref().unwrap_or_default())
                .collect();
            cells.join(" | ")
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Another SQL-on-FHIR engine, run by Node.js.
#[derive(Clone, Debug)]
pub struct OtherEngine {
    folder: PathBuf,
}

impl OtherEngine {
    /// The engine, or none, and the running test is named as skipped. `make test` installs it in `tests/judges`.
    pub fn find() -> Option<Self> {
        let folder = checkout().join("tests/judges");
        let node = Command::new("node")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !node.is_ok_and(|status| status.success()) {
            skipped("no Node.js for the other engine");
            return None;
        }
        if !folder.join("node_modules/@medplum/core").is_dir() {
            skipped("no other engine; make test installs it");
            return None;
        }
        Some(Self { folder })
    }

    /// Runs a view over the resources of an NDJSON file; the rows are in a file beside that, one JSON object a line.
    #[track_caller]
    pub fn rows_file(&self, view: &Path, resources: &Path) -> PathBuf {
        self.rows_file_of("run_view.mjs", view, resources)
    }

    /// The same by HL7's fhirpath.js.
    #[track_caller]
    pub fn rows_file_by_fhirpathjs(&self, view: &Path, resources: &Path) -> PathBuf {
        self.rows_file_of("run_view_fhirpathjs.mjs", view, resources)
    }

    #[track_caller]
    fn rows_file_of(&self, script: &str, view: &Path, resources: &Path) -> PathBuf {
        let script = self.folder.join(script);
        let ended = Ended::of(Command::new("node").arg(script).arg(view).arg(resources));
        let name = view.file_stem().expect("a view has a name").to_string_lossy();
        let rows = resources.with_file_name(format!("{name}.rows"));
        std::fs::write(&rows, ended.succeeded().stdout).expect("the rows can be written");
        rows
    }
}
