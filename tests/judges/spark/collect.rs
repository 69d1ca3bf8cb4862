//! Statements that a plugin's tests render, written down for Apache Spark to judge: a line of JSON each, appended to the
//! file that `LAKEFEED_COLLECT_SQL` names. Without it nothing is written. `make judge` sets it.
//!
//! The test programs of plugins take this file in by its path, so that no crate of the product knows of it.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

static GROUPS: AtomicU32 = AtomicU32::new(0);
static WRITING: Mutex<()> = Mutex::new(());

/// What is run one after the other in a workspace that has nothing to begin with.
pub(crate) struct Group {
    file: Option<PathBuf>,
    source: &'static str,
    name: String,
    catalogs: &'static [&'static str],
}

impl Group {
    /// A workspace with these catalogs; names of fewer than three parts are looked for in the first one.
    pub(crate) fn new(source: &'static str, catalogs: &'static [&'static str]) -> Self {
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        Self {
            file: std::env::var_os("LAKEFEED_COLLECT_SQL").map(PathBuf::from),
            source,
            name: format!("{}-{number}", std::process::id()),
            catalogs,
        }
    }

    /// A statement that is not judged: it makes what the next ones need.
    pub(crate) fn set_up(&self, sql: &str) {
        self.write(json!({"setup": [sql]}));
    }

    /// A statement that must be accepted.
    pub(crate) fn statement(&self, sql: &str) {
        self.write(json!({"statement": sql}));
    }

    /// A query that must be accepted and answer these rows, in any order, each value as the statement API tells it.
    pub(crate) fn answer(&self, sql: &str, types: &[&str], rows: &Value) {
        let outcome = json!({"state": "SUCCEEDED", "types": types, "rows": rows});
        self.write(json!({"statement": sql, "outcome": outcome}));
    }

    /// What a table must have: its columns as name and type, its rows in their order. Days are counted from 1970,
    /// instants are microseconds from there, a double is its bits and binary its bytes in hexadecimal.
    pub(crate) fn table(&self, name: &str, columns: &Value, rows: &Value) {
        self.write(json!({"table": name, "columns": columns, "rows": rows}));
    }

    fn write(&self, mut record: Value) {
        let Some(file) = &self.file else {
            return;
        };
        record["source"] = json!(self.source);
        record["group"] = json!(self.name);
        record["catalog"] = json!(self.catalogs.first());
        record["catalogs"] = json!(self.catalogs);
        let line = format!("{record}\n");
        let _one_at_a_time = WRITING.lock().unwrap();
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}
