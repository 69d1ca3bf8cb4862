//! Statements written down for Apache Spark to judge: a line of JSON each, appended to the file that
//! `EMULATOR_COLLECT_SQL` names. Without it nothing is written.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

use super::error::SqlError;
use super::output::Output;
use super::parameters::Parameter;
use super::run::Session;
use crate::sync::lock;
use crate::workspace::Workspace;

static FILE: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let path = std::env::var_os("EMULATOR_COLLECT_SQL")?;
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    match opened {
        Ok(file) => Some(Mutex::new(file)),
        Err(error) => {
            tracing::error!(%error, "the file that EMULATOR_COLLECT_SQL names cannot be opened");
            None
        }
    }
});

/// Writes down a statement as it was sent, and how it ended.
pub(super) fn collect(
    workspace: &Workspace,
    session: &Session,
    (sql, parameters): (&str, &[Parameter]),
    ended: &Result<Output, SqlError>,
) {
    let Some(file) = FILE.as_ref() else {
        return;
    };
    let (catalogs, schemas) = workspace.read(|state| {
        let catalogs: Vec<String> = state.catalogs.keys().cloned().collect();
        let schemas: Vec<String> = state.schemas.keys().cloned().collect();
        (catalogs, schemas)
    });
    let record = json!({
        "source": "emulator",
        "group": workspace.options.data,
        "catalogs": catalogs,
        "schemas": schemas,
        "catalog": session.catalog,
        "schema": session.schema,
        "is_administrator": session.caller.is_administrator(),
        "other_rows": has_other_rows(workspace),
        "statement": sql,
        "parameters": parameters,
        "outcome": outcome(ended),
    });
    write(file, &record);
}

fn write(file: &Mutex<File>, record: &Value) {
    if let Err(error) = lock(file).write_all(format!("{record}\n").as_bytes()) {
        tracing::error!(%error, "a statement could not be written down");
    }
}

/// Whether the tables may have rows that no statement wrote, or lack some that one wrote.
fn has_other_rows(workspace: &Workspace) -> bool {
    let is_counted = ["zerobus-rows", "null-rows"]
        .iter()
        .any(|name| workspace.counters.get(name) > 0);
    // The logs of an earlier run over the same folder are not counted.
    let logs = std::fs::read_dir(workspace.options.data.join("zerobus"));
    is_counted || logs.is_ok_and(|mut logs| logs.next().is_some())
}

fn outcome(ended: &Result<Output, SqlError>) -> Value {
    match ended {
        Ok(output) => {
            let types: Vec<String> = output.columns.iter().map(|(_, kind)| kind.sql()).collect();
            json!({"state": "SUCCEEDED", "types": types, "rows": output.rows})
        }
        Err(error) => json!({"state": "FAILED", "class": error.class}),
    }
}

/// Writes down a literal that was read into a column, with the text of its value or the class of its refusal.
#[cfg(test)]
pub(super) fn literal(sql_type: &str, literal: &str, read: Result<&str, &String>) {
    let Some(file) = FILE.as_ref() else {
        return;
    };
    let record = |more: Value| {
        let mut record = json!({
            "source": "emulator-literals",
            "group": format!("{literal} into {sql_type}"),
            "catalogs": ["c"],
            "is_administrator": true,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            record[name] = value.clone();
        }
        write(file, &record);
    };
    let mut insert = json!({
        "setup": [format!("CREATE TABLE c.s.t (c {sql_type}) USING DELTA")],
        "statement": format!("INSERT INTO c.s.t VALUES ({literal})"),
    });
    if let Err(class) = read {
        insert["outcome"] = json!({"state": "FAILED", "class": class});
    }
    record(insert);
    let shows_values_as_spark = ["string", "int", "bigint", "tinyint", "boolean", "date"].contains(&sql_type)
        || sql_type.starts_with("decimal");
    // An expression is left to DataFusion, and an empty text may stand for null.
    if let Ok(text) = read
        && shows_values_as_spark
        && !["", "expression"].contains(&text)
    {
        let outcome = json!({"state": "SUCCEEDED", "types": ["STRING"], "rows": [[text]]});
        record(json!({"statement": "SELECT CAST(c AS STRING) FROM c.s.t", "outcome": outcome}));
    }
}
