//! The standard's own test suite, every file of it, where it is found.
//!
//! It is looked for in `LAKEFEED_SOF_TESTS`, else beside the project in `../shared/sql-on-fhir-tests`; where it is
//! absent the tests say so and pass. The report in the standard's format is written by
//!
//!     LAKEFEED_SOF_REPORT=host/view/conformance/test_report.json cargo test -p lakefeed-view --test conformance
//!
//! (the path is taken from the project's root).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test program")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lakefeed_view::{Code, CompileOptions, ResourceMeta, RowOptions, View, ViewDefinition, print};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// One file of the suite.
#[derive(Deserialize)]
struct Suite {
    resources: Vec<Box<RawValue>>,
    tests: Vec<Case>,
}

/// One test of a file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    title: String,
    view: Box<RawValue>,
    expect: Option<Vec<Map<String, Value>>>,
    expect_error: Option<bool>,
    expect_count: Option<usize>,
    expect_columns: Option<Vec<String>>,
}

/// Why a view, or its evaluation, ended.
enum Ended {
    Rows(Vec<Map<String, Value>>),
    NotCompiled(Vec<Code>, String),
    Refused(Code, String),
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn suite(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LAKEFEED_SOF_TESTS").map(PathBuf::from);
    let root = root.unwrap_or_else(|| project().join("../shared/sql-on-fhir-tests"));
    let folder = root.join(folder);
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

fn run(case: &Case, resources: &[Box<RawValue>]) -> Ended {
    let compiled = ViewDefinition::parse(case.view.get().as_bytes())
        .and_then(|definition| View::compile(&definition, &CompileOptions::default()));
    let view = match compiled {
        Ok(view) => Arc::new(view),
        Err(errors) => {
            let codes = errors.errors.iter().map(|error| error.code).collect();
            return Ended::NotCompiled(codes, errors.to_string());
        }
    };
    let mut rows = view.rows(&view.text_types(), RowOptions::default()).unwrap();
    let mut count = 0;
    for resource in resources {
        match rows.append(resource.get().as_bytes(), &ResourceMeta::default()) {
            Ok(added) => count += added,
            Err(error) => return Ended::Refused(error.code, error.to_string()),
        }
    }
    assert_eq!(rows.rows(), count);
    let mut text = Vec::new();
    print::ndjson(&rows.finish().unwrap(), &mut text).unwrap();
    let lines = String::from_utf8(text).unwrap();
    Ended::Rows(
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

/// What distinguishes one row from another, numbers by value and members by name.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:?}", number.as_f64()),
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .collect();
            format!("{members:?}")
        }
        other => other.to_string(),
    }
}

fn multiset(rows: &[Map<String, Value>]) -> Vec<String> {
    let mut texts: Vec<String> = rows
        .iter()
        .map(|row| canonical(&Value::Object(row.clone())))
        .collect();
    texts.sort();
    texts
}

/// The codes that are a right reason to reject the view of an error test.
fn right_reasons(title: &str) -> &'static [Code] {
    match title {
        "fail when 'collection' is not true" => &[Code::ManyValues],
        "accessing an undefined constant" => &[Code::UnknownVariable],
        "incorrect constant definition" => &[Code::BadConstant],
        "column mismatch" | "column order mismatch" => &[Code::UnionMismatch],
        "empty" | "missing resource" | "resource not specified" => &[Code::Missing],
        "wrong fhirpath" => &[Code::Syntax],
        "wrong type in forEach" => &[Code::WrongKind],
        "where with path resolving to not boolean" => &[Code::NotBoolean],
        _ => &[],
    }
}

fn check(case: &Case, resources: &[Box<RawValue>]) -> Result<(), String> {
    let ended = run(case, resources);
    if case.expect_error == Some(true) {
        let reasons = right_reasons(&case.title);
        return match ended {
            Ended::Rows(_) => Err("the view was accepted".to_owned()),
            Ended::NotCompiled(codes, _) if codes.iter().any(|code| reasons.contains(code)) => Ok(()),
            Ended::Refused(code, _) if reasons.contains(&code) => Ok(()),
            Ended::NotCompiled(_, text) | Ended::Refused(_, text) => Err(format!("the wrong reason: {text}")),
        };
    }
    let rows = match ended {
        Ended::Rows(rows) => rows,
        Ended::NotCompiled(_, text) | Ended::Refused(_, text) => return Err(text),
    };
    if let Some(expected) = &case.expect
        && multiset(expected) != multiset(&rows)
    {
        return Err(format!("expected {}, found {}", json!(expected), json!(rows)));
    }
    if case.expect_count.is_some_and(|count| count != rows.len()) {
        return Err(format!(
            "expected {:?} rows, found {}",
            case.expect_count,
            rows.len()
        ));
    }
    let columns = rows.first().map(|row| row.keys().cloned().collect::<Vec<_>>());
    match (&case.expect_columns, columns) {
        (Some(expected), Some(found)) if *expected != found => {
            Err(format!("expected {expected:?}, found {found:?}"))
        }
        _ => Ok(()),
    }
}

/// Runs a folder: its report in the standard's format, how many tests there are, and which failed.
fn run_folder(folder: &Path) -> (Value, usize, Vec<String>) {
    let mut report = Map::new();
    let (mut count, mut failed) = (0, Vec::new());
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let suite: Suite = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let mut results = Vec::new();
        for case in &suite.tests {
            count += 1;
            let result = match check(case, &suite.resources) {
                Ok(()) => json!({"passed": true}),
                Err(reason) => {
                    println!("{name}: {}: {reason}", case.title);
                    failed.push(format!("{name}: {}", case.title));
                    json!({"passed": false, "error": reason})
                }
            };
            results.push(json!({"name": case.title, "result": result}));
        }
        report.insert(name, json!({ "tests": results }));
    }
    (Value::Object(report), count, failed)
}

#[test]
fn every_test_of_the_newer_suite_passes() {
    let Some(folder) = suite("tests-2026-06") else {
        return;
    };
    let (report, count, failed) = run_folder(&folder);
    if let Some(path) = std::env::var_os("LAKEFEED_SOF_REPORT") {
        let text = serde_json::to_string_pretty(&report).unwrap() + "\n";
        std::fs::write(project().join(path), text).unwrap();
    }
    assert_eq!(failed, [""; 0]);
    assert_eq!(count, 144);
}

#[test]
fn the_older_suite_fails_only_where_the_newer_one_decided_otherwise() {
    let Some(folder) = suite("tests") else { return };
    let (_, count, failed) = run_folder(&folder);
    assert_eq!(
        failed,
        [
            "fhirpath.json: string join",
            "fhirpath.json: string join: default separator"
        ]
    );
    assert_eq!(count, 134);
}
