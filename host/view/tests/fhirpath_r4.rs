//! HL7's test cases of FHIRPath for R4, every one of them, where they are found.
//!
//! They come with the npm package `fhirpath`, which `make test` installs among the judges; where that or Node.js is
//! absent the test says so and passes. Those that we do not pass are listed, each with what we answer, in
//! `conformance/fhirpath_r4.txt`. An answer may only be a refusal of the expression before any resource, or one of
//! [`DECIDED`]. The list is written anew by
//!
//!     LAKEFEED_WRITE_FHIRPATH=1 cargo test -p lakefeed-view --test fhirpath_r4

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test program")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use lakefeed_view::{
    CompileOptions, Criterion, Referenced, ResourceMeta, RowOptions, Verdict, Versions, View, ViewDefinition,
    print,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Cases in which we evaluate an expression to something else than the suite says, and why.
const DECIDED: [(&str, &str); 9] = [
    ("testDateNotEqualTimezoneOffsetBefore", SAME_DAY),
    ("testDateNotEqualTimezoneOffsetAfter", SAME_DAY),
    ("testDateNotEqualUTC", SAME_DAY),
    (
        "testEquality7",
        "collections of one and of two items are not equal, as the specification says",
    ),
    ("testEquality23", NO_ZONE),
    ("testNEquality17", NO_ZONE),
    ("testNotEquivalent19", "a collection is equivalent to itself"),
    ("testDivide5", "a quotient keeps more than eight digits"),
    ("testRound2", "3.142 is not 2"),
];
/// A date and a time on that day.
const SAME_DAY: &str = "the date is that day and has no time, so nobody knows";
/// A literal with a zone and one without.
const NO_ZONE: &str = "a time without a zone is one of UTC";

/// The header of the list.
const HEADER: &str = "\
HL7's test cases of FHIRPath for R4 that this engine does not pass: the name of the case, its expression, and our
answer. All others pass. Written by the test `fhirpath_r4`, which fails where this list is not what it finds.
";

#[derive(Deserialize)]
struct Case {
    name: String,
    input: String,
    expression: String,
    /// What it gives; none where it must be refused, or fail.
    result: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Input {
    input: String,
    resource: Value,
}

/// What became of an expression.
#[derive(Debug, PartialEq)]
enum Answer {
    Gives(Vec<Value>),
    /// It does not compile.
    Refused(String),
    /// It fails on the resource.
    Fails(String),
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lines that the script prints, or none if it cannot run here.
fn lines() -> Option<String> {
    let judges = package().join("../../tests/judges");
    if !judges.join("node_modules/fhirpath/test/cases").is_dir() {
        println!("skipped: HL7's cases of FHIRPath; make test installs them");
        return None;
    }
    let Ok(ended) = Command::new("node")
        .arg(judges.join("fhirpath_cases.mjs"))
        .output()
    else {
        println!("skipped: HL7's cases of FHIRPath; there is no Node.js");
        return None;
    };
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    Some(String::from_utf8(ended.stdout).unwrap())
}

/// The expression as a column of a view over the resource.
fn as_column(expression: &str, resource: &Value) -> Answer {
    let view = json!({
        "resource": resource["resourceType"],
        "select": [{"column": [{"name": "v", "path": expression, "collection": true}]}],
    });
    let compiled = ViewDefinition::from_value(&view)
        .and_then(|definition| View::compile(&definition, &CompileOptions::default()));
    let view = match compiled {
        Ok(view) => Arc::new(view),
        Err(errors) => {
            let error = &errors.errors[0];
            return Answer::Refused(format!("{}; {} [{}]", error.problem, error.remedy, error.code));
        }
    };
    let mut rows = view.rows(&view.text_types(), RowOptions::default()).unwrap();
    if let Err(error) = rows.append(resource.to_string().as_bytes(), &ResourceMeta::default()) {
        return Answer::Fails(error.to_string());
    }
    let mut text = Vec::new();
    print::ndjson(&rows.finish().unwrap(), &mut text).unwrap();
    let row: Value = serde_json::from_slice(&text).unwrap();
    Answer::Gives(row["v"].as_array().unwrap().clone())
}

/// The expression as a trigger's criterion; nothing and false are one there.
fn as_criterion(expression: &str, resource: &Value) -> Option<bool> {
    let text = resource.to_string();
    let criterion = Criterion::compile(expression, resource["resourceType"].as_str()?).ok()?;
    let versions = Versions {
        current: Some(text.as_bytes()),
        previous: None,
        context: text.as_bytes(),
    };
    let meta = ResourceMeta {
        ts: 1_700_000_000_123_456,
        ..ResourceMeta::default()
    };
    let verdict = criterion.matches(versions, &meta, &|_, _| Referenced::Nothing);
    Some(verdict.ok()? == Verdict::Fires)
}

/// A value as it is compared: numbers by value.
fn plain(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:?}", number.as_f64()),
        other => other.to_string(),
    }
}

fn passes(case: &Case, answer: &Answer, resource: &Value) -> bool {
    let Some(expected) = &case.result else {
        return !matches!(answer, Answer::Gives(_));
    };
    let same = |found: &Vec<Value>| {
        found.iter().map(plain).collect::<Vec<_>>() == expected.iter().map(plain).collect::<Vec<_>>()
    };
    match answer {
        Answer::Gives(found) if same(found) => true,
        // What only criteria have, and what a single value means where a condition belongs.
        Answer::Gives(_) | Answer::Refused(_) => {
            let is_condition =
                matches!(answer, Answer::Gives(found) if found.len() == 1 && !found[0].is_boolean());
            let only_there = matches!(answer, Answer::Refused(text) if text.contains("rows must not depend"));
            *expected == [json!(true)]
                && (is_condition || only_there)
                && as_criterion(&case.expression, resource) == Some(true)
        }
        Answer::Fails(_) => false,
    }
}

#[test]
fn every_case_of_hl7_passes_or_is_listed_with_our_answer() {
    let Some(lines) = lines() else { return };
    let mut resources = HashMap::new();
    let (mut count, mut found, mut undecided) = (0, String::from(HEADER), Vec::new());
    for line in lines.lines() {
        if let Ok(Input { input, resource }) = serde_json::from_str(line) {
            resources.insert(input, resource);
            continue;
        }
        let case: Case = serde_json::from_str(line).unwrap();
        let resource = &resources[&case.input];
        let answer = as_column(&case.expression, resource);
        count += 1;
        if passes(&case, &answer, resource) {
            continue;
        }
        let decided = DECIDED.iter().find(|(name, _)| *name == case.name);
        let answer = match (answer, decided) {
            (Answer::Refused(text), _) => text,
            (Answer::Gives(values), Some((_, reason))) => format!("{} ({reason})", json!(values)),
            (Answer::Fails(text), Some((_, reason))) => format!("{text} ({reason})"),
            (answer, None) => {
                undecided.push(format!(
                    "{}: {}: {answer:?}, not {:?}",
                    case.name, case.expression, case.result
                ));
                continue;
            }
        };
        let expression = case.expression.split_whitespace().collect::<Vec<_>>().join(" ");
        found.push_str(&format!("\n{}\n    {expression}\n    {answer}\n", case.name));
    }
    assert!(undecided.is_empty(), "{}", undecided.join("\n"));
    let list: PathBuf = package().join("conformance/fhirpath_r4.txt");
    if std::env::var_os("LAKEFEED_WRITE_FHIRPATH").is_some() {
        std::fs::write(&list, &found).unwrap();
    }
    assert_eq!(count, 686);
    assert_eq!(found, std::fs::read_to_string(list).unwrap());
}
