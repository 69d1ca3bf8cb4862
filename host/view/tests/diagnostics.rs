//! What is said about wrong definitions and wrong criteria, word for word.
//!
//! The folder `diagnostics` holds the cases, a text file a subject. A case is a title behind `== `, what somebody
//! wrote, a line `--`, and the exact message. To read all messages, read the files; to take over what is said now, and
//! see in the diff what that changed:
//!
//!     LAKEFEED_WRITE_DIAGNOSTICS=1 cargo test -p lakefeed-view --test diagnostics

#![expect(clippy::unwrap_used, reason = "a test program")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use lakefeed_view::{CompileOptions, Criterion, View, ViewDefinition, ViewError};

/// Codes of definitions that no case of the corpus shows, each with the test that does.
const SHOWN_ELSEWHERE: [&str; 1] = [
    // Output types are the host's choice, not the author's: `src/output.rs`.
    "VIEW-040",
];

struct Case {
    title: String,
    written: String,
    expected: String,
}

/// A file of the corpus: what stands before the first case, and the cases.
struct Subject {
    path: PathBuf,
    preface: String,
    cases: Vec<Case>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

/// The corpus, read once: a test may write it while others read.
static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let files = std::fs::read_dir(folder()).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(subject).collect()
});

fn cases() -> impl Iterator<Item = &'static Case> {
    SUBJECTS.iter().flat_map(|subject| &subject.cases)
}

fn subject(path: PathBuf) -> Subject {
    let text = std::fs::read_to_string(&path).unwrap();
    let mut parts = text.split("\n== ");
    let preface = parts.next().unwrap().to_owned();
    let case = |part: &str| {
        let (title, rest) = part.split_once('\n').unwrap();
        let (written, expected) = rest.split_once("\n--").unwrap_or((rest, ""));
        Case {
            title: title.to_owned(),
            written: written.trim().to_owned(),
            expected: expected.trim().to_owned(),
        }
    };
    Subject {
        preface,
        cases: parts.map(case).collect(),
        path,
    }
}

/// Everything that is said about a case. A criterion is written as `Patient: active = true`.
fn said(written: &str) -> (String, Vec<ViewError>) {
    let criterion = written
        .split_once(": ")
        .filter(|(resource, _)| resource.chars().all(char::is_alphanumeric));
    if let Some((resource, expression)) = criterion {
        let errors = Criterion::compile(expression, resource).err().unwrap_or_default();
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        return (lines.join("\n"), errors);
    }
    let compiled = ViewDefinition::parse(written.as_bytes())
        .and_then(|definition| View::compile(&definition, &CompileOptions::default()));
    match compiled {
        Ok(_) => ("fine".to_owned(), Vec::new()),
        Err(errors) => (errors.to_string(), errors.errors),
    }
}

fn written(subject: &Subject) -> String {
    let mut text = subject.preface.clone();
    for case in &subject.cases {
        let (found, _) = said(&case.written);
        text.push_str(&format!("\n== {}\n{}\n--\n{found}\n", case.title, case.written));
    }
    text
}

#[test]
fn every_wrong_definition_is_answered_with_exactly_the_message_that_is_written_beside_it() {
    let mut wrong = Vec::new();
    for subject in SUBJECTS.iter() {
        if std::env::var_os("LAKEFEED_WRITE_DIAGNOSTICS").is_some() {
            std::fs::write(&subject.path, written(subject)).unwrap();
            continue;
        }
        for case in &subject.cases {
            let (found, _) = said(&case.written);
            if found != case.expected {
                let title = &case.title;
                wrong.push(format!("{title}\n  written: {}\n  now: {found}", case.expected));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_corpus_shows_every_code_that_a_definition_can_get() {
    assert!(cases().count() >= 60, "{} cases", cases().count());
    let errors = cases().flat_map(|case| said(&case.written).1);
    let shown: BTreeSet<&str> = errors.map(|error| error.code.as_str()).collect();
    let page = include_str!("../src/error.rs");
    let documented: BTreeSet<&str> = page
        .split("/// `")
        .skip(1)
        .filter_map(|rest| rest.split_once('`'))
        .map(|(code, _)| code)
        .filter(|code| code.starts_with("VIEW-0"))
        .collect();
    let missing: Vec<&&str> = documented.difference(&shown).collect();
    assert_eq!(missing, SHOWN_ELSEWHERE.iter().collect::<Vec<_>>());
}

#[test]
fn every_message_says_where_what_and_what_to_do() {
    for case in cases() {
        let (_, errors) = said(&case.written);
        assert!(!errors.is_empty(), "{}: nothing is said", case.title);
        for error in errors {
            let title = &case.title;
            assert!(!error.location.is_empty(), "{title}: {error}");
            assert!(
                !error.problem.is_empty() && !error.remedy.is_empty(),
                "{title}: {error}"
            );
            assert!(
                !error.problem.ends_with('.') && !error.remedy.ends_with('.'),
                "{title}: {error}"
            );
            if let Some(column) = error.column {
                assert!(
                    column >= 1 && column <= case.written.chars().count() + 1,
                    "{title}: {error}"
                );
            }
        }
    }
}
