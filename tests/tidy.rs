//! Checks on the source: the map is true, the walls hold, lengths do not creep.
//!
//! The walls are read from the table in ARCHITECTURE.md, so the page and the check cannot part.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests lie outside of tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

mod tidy_source;

use tidy_source::{Source, functions};

/// No function outside tests is longer: what fits on a screen.
const SCREEN: usize = 60;
/// No file outside tests is longer.
const FILE: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file that is the project's own, by its path from the root.
fn sources() -> Vec<(String, Source)> {
    let mut found = Vec::new();
    for folder in ["plugin-api", "host", "plugins", "tests", "examples"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "only {} source files were found", found.len());
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    found
        .iter()
        .map(|path| {
            (
                relative(path),
                Source::new(&std::fs::read_to_string(path).unwrap()),
            )
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/")
        || path.starts_with("tests/")
        || path.ends_with("/tests.rs")
        || path.contains("/benches/")
        || path.starts_with("plugin-api/testkit/")
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What stands between single backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split("```")
        .step_by(2)
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .collect()
}

fn report(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_path_that_a_page_names_exists() {
    let mut gone = Vec::new();
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "plugins/README.md",
    ] {
        let text = page(name);
        let mut paths = 0;
        for path in quoted(&text) {
            let is_path = path.contains('/')
                && !path.contains("://")
                && !path.starts_with(['/', '-', '$', '.'])
                && path
                    .chars()
                    .all(|sign| sign.is_ascii_alphanumeric() || "/._-".contains(sign));
            if !is_path || path.starts_with("lakefeed.") || path.starts_with("application/") {
                continue;
            }
            paths += 1;
            if !root().join(path).exists() {
                gone.push(format!("{name} names `{path}`, which does not exist"));
            }
        }
        assert!(paths > 0 || name == "plugins/README.md", "{name} names no path");
    }
    report(gone);
}

/// The walls of ARCHITECTURE.md: a module of `host/src` and what it may use of the others.
fn walls() -> BTreeMap<String, BTreeSet<String>> {
    let text = page("ARCHITECTURE.md");
    let table = text
        .split("## Walls")
        .nth(1)
        .expect("ARCHITECTURE.md has a section `Walls`");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let mut walls = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let allowed: BTreeSet<String> = quoted(cells[1]).into_iter().map(str::to_owned).collect();
        for module in quoted(cells[0]) {
            walls.insert(module.to_owned(), allowed.clone());
        }
    }
    assert!(
        walls.len() >= 12,
        "the table of walls has only {} modules",
        walls.len()
    );
    walls
}

#[test]
fn a_module_uses_only_what_its_row_allows() {
    let walls = walls();
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, source) in sources() {
        let Some(inside) = path.strip_prefix("host/src/") else {
            continue;
        };
        let module = inside.split('/').next().unwrap().trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        seen.insert(module.to_owned());
        let Some(allowed) = walls.get(module) else {
            broken.push(format!("`{module}` has no row in the table of walls"));
            continue;
        };
        for used in source.modules_used() {
            if used != module && !allowed.contains(&used) && !allowed.contains("everything") {
                broken.push(format!("{path}: `{module}` may not use `{used}`"));
            }
        }
    }
    broken.extend(
        walls
            .keys()
            .filter(|module| !seen.contains(*module))
            .filter(|module| !["view", "plugins", "plugin-api"].contains(&module.as_str()))
            .map(|module| format!("the table of walls names `{module}`, which does not exist")),
    );
    report(broken);
}

fn is_of_a_plugin(path: &str) -> bool {
    (path.starts_with("plugins/") || path.starts_with("plugin-api/")) && path.contains("/src/")
}

#[test]
fn a_crate_uses_only_what_its_row_allows() {
    let mut broken = Vec::new();
    for (path, source) in sources() {
        let bans: &[&str] = if path.starts_with("host/view/src") {
            &[
                "tokio",
                "std::fs",
                "std::net",
                "std::time::SystemTime",
                "reqwest",
                "lakefeed_plugin_api",
                "lakefeed::",
            ]
        } else if is_of_a_plugin(&path) {
            &["lakefeed::", "lakefeed_view"]
        } else {
            &[]
        };
        broken.extend(
            bans.iter()
                .filter(|ban| source.code.contains(**ban))
                .map(|ban| format!("{path} uses {ban}")),
        );
    }
    report(broken);
}

#[test]
fn unsafe_code_lives_at_the_border() {
    let is_border = |path: &str| {
        [
            "plugin-api/",
            "host/src/plugin/",
            "host/view/src/scan/",
            "tests/plugins/",
        ]
        .iter()
        .any(|start| path.starts_with(start))
    };
    let mut found = Vec::new();
    for (path, source) in sources() {
        for (number, line) in source.code.lines().enumerate() {
            let is_unsafe = line
                .split(|sign: char| !sign.is_alphanumeric() && sign != '_')
                .any(|word| word == "unsafe");
            if is_unsafe && !is_border(&path) {
                found.push(format!("{path}:{}: unsafe code outside the border", number + 1));
            }
        }
    }
    report(found);
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut long = Vec::new();
    for (path, source) in sources().into_iter().filter(|(path, _)| !is_test_file(path)) {
        for function in functions(&source.code_without_tests()) {
            if function.lines > SCREEN {
                long.push(format!(
                    "{path}:{}: `{}` has {} lines",
                    function.line, function.name, function.lines
                ));
            }
        }
    }
    report(long);
}

#[test]
fn no_file_creeps() {
    let long = |(path, source): (String, Source)| {
        let lines = source.code_without_tests().lines().count();
        (lines > FILE && !is_test_file(&path)).then(|| format!("{path} has {lines} lines without its tests"))
    };
    report(sources().into_iter().filter_map(long).collect());
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = |(path, source): (String, Source)| {
        let first = source
            .text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        // A program that must not compile is quoted with its line numbers.
        let is_quoted = path.starts_with("plugin-api/tests/refused/");
        (!first.starts_with("//!") && !first.starts_with("#![") && !is_quoted)
            .then(|| format!("{path} opens without `//!`"))
    };
    report(sources().into_iter().filter_map(silent).collect());
}

/// Whether a mark stands in a line as a word of its own.
fn is_marked(line: &str, mark: &str) -> bool {
    let is_word = |sign: char| sign.is_alphanumeric();
    line.match_indices(mark).any(|(start, _)| {
        !line[..start].ends_with(is_word) && !line[start + mark.len()..].starts_with(is_word)
    })
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let mut found = Vec::new();
    for (path, source) in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| is_marked(line, mark)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
        // One with a reason is run by another test.
        if source.code.contains("#[ignore]") {
            found.push(format!("{path}: a test that does not run"));
        }
    }
    report(found);
}
