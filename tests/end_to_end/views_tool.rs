//! `lakefeed views`: the engine as a tool of its own, without a store.

use lakefeed_tests::{Ended, Site};

/// A view without `resourceType`, `name` and `status`, with a list.
const VIEW: &str = r#"{ "resource": "Patient", "select": [ { "column": [
    { "name": "id", "path": "id" },
    { "name": "gender", "path": "gender" },
    { "name": "born", "path": "birthDate" },
    { "name": "score", "path": "extension('s').value.ofType(decimal).first()", "type": "decimal" },
    { "name": "given", "path": "name.given", "collection": true } ] } ] }"#;

const PATIENTS: &str = r#"{"resourceType":"Patient","id":"a","gender":"female","birthDate":"1980-02-29","extension":[{"url":"s","valueDecimal":1.50}],"name":[{"given":["Ada","B, \"x\""]}]}
{"resourceType":"Observation","id":"o"}

{"resourceType":"Patient","id":"b"}
"#;

fn run(more: &[&str], input: &str) -> Ended {
    let site = Site::new("");
    site.write("view.json", VIEW);
    let mut arguments = vec!["views", "run", "view.json", "--input", "-"];
    arguments.extend(more);
    let ended = site.run_with_input(&arguments, input);
    assert!(!site.path("lakefeed.db").exists(), "the tool reads no store");
    ended
}

#[test]
fn rows_are_ndjson_with_every_column_in_order() {
    assert_eq!(
        run(&[], PATIENTS).succeeded().stdout,
        "{\"id\":\"a\",\"gender\":\"female\",\"born\":\"1980-02-29\",\"score\":1.50,\"given\":[\"Ada\",\"B, \\\"x\\\"\"]}\n\
         {\"id\":\"b\",\"gender\":null,\"born\":null,\"score\":null,\"given\":[]}\n"
    );
}

#[test]
fn csv_has_a_header_and_quotes_what_needs_it() {
    let text = run(&["--format", "csv"], PATIENTS).succeeded().stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "id,gender,born,score,given");
    assert!(lines[1].starts_with("a,female,1980-02-29,1.50,\"["), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
}

#[test]
fn json_is_one_array() {
    let rows = run(&["--format", "json"], PATIENTS).succeeded().json();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(
        run(&["--format", "json"], "").succeeded().json(),
        serde_json::json!([])
    );
}

#[test]
fn parquet_goes_to_a_file() {
    let site = Site::new("");
    site.write("view.json", VIEW);
    let arguments = [
        "views",
        "run",
        "view.json",
        "--input",
        "-",
        "--format",
        "parquet",
        "--output",
        "rows.parquet",
    ];
    site.run_with_input(&arguments, PATIENTS).succeeded();
    let bytes = std::fs::read(site.path("rows.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
}

#[test]
fn a_resource_that_is_refused_ends_it_with_its_line_after_the_rows_before_it() {
    let site = Site::new("");
    site.write("view.json", r#"{ "resource": "Patient", "select": [ { "column": [ { "name": "given", "path": "name.given" } ] } ] }"#);
    let input = "{\"resourceType\":\"Patient\",\"name\":[{\"given\":[\"Ada\"]}]}\n\
                 {\"resourceType\":\"Patient\",\"name\":[{\"given\":[\"Geheim\",\"Zwei\"]}]}\n";
    let ended = site.run_with_input(&["views", "run", "view.json", "--input", "-"], input);
    assert_eq!(ended.stdout, "{\"given\":\"Ada\"}\n");
    let said = ended.refused();
    assert!(
        said.contains(":2:") && said.contains("given") && !said.contains("Geheim"),
        "{said}"
    );
}

#[test]
fn a_view_that_does_not_compile_is_refused_with_place_and_remedy() {
    let site = Site::new("");
    site.write("view.json", r#"{ "resource": "Observation", "select": [ { "column": [ { "name": "v", "path": "valueQuantity.value" } ] } ] }"#);
    for arguments in [
        &["views", "compile", "view.json"][..],
        &["views", "run", "view.json", "--input", "-"],
    ] {
        let said = site.run_with_input(arguments, "").refused();
        assert!(
            said.contains("select[0].column[0].path") && said.contains("value.ofType(Quantity)"),
            "{said}"
        );
    }
}

#[test]
fn compile_shows_the_columns_and_their_types() {
    let site = Site::new("");
    site.write("view.json", VIEW);
    let columns = site
        .run(&["views", "compile", "view.json", "--json"])
        .succeeded()
        .json()["columns"]
        .clone();
    assert_eq!(columns[2]["name"], "born");
    assert_eq!(columns[2]["type"], "date");
    assert_eq!(columns[4]["collection"], true);
}

#[test]
fn compile_explains_what_a_view_reads_and_how_each_column_is_computed() {
    let site = Site::new("");
    site.write("view.json", VIEW);
    let compile = ["views", "compile", "view.json", "--explain"];
    let text = site.run(&compile).succeeded().stdout;
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for expected in [
        "a view without a name: 5 columns of Patient",
        "extension.valueDecimal",
        "born date fast birthDate",
        "score decimal fast extension.where(url = 's').valueDecimal.first()",
        "given list of string fast name.given",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected}\n{text}");
    }
    let document = site
        .run(&["views", "compile", "view.json", "--explain", "--json"])
        .succeeded()
        .json();
    assert_eq!(document["explanation"], text.as_str());
    assert_eq!(document["columns"].as_array().unwrap().len(), 5);
}

#[test]
fn compressed_files_are_read_and_the_summary_goes_where_the_rows_do_not() {
    let site = Site::new("");
    site.write("view.json", VIEW);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, PATIENTS.as_bytes()).unwrap();
    std::fs::write(site.path("a.ndjson.gz"), gzip.finish().unwrap()).unwrap();
    site.write("b.ndjson", PATIENTS);
    let arguments = [
        "views",
        "run",
        "view.json",
        "--input",
        "a.ndjson.gz",
        "--input",
        "b.ndjson",
    ];
    let plain = site.run(&arguments).succeeded().stdout;
    assert_eq!(plain.lines().count(), 4);
    let to_file = [&arguments[..], &["--output", "rows.ndjson", "--json"]].concat();
    let said = site.run(&to_file).succeeded().json();
    assert_eq!(
        said,
        serde_json::json!({ "resources": 6, "rows": 4, "refused": 0 })
    );
    assert_eq!(std::fs::read_to_string(site.path("rows.ndjson")).unwrap(), plain);
}

#[test]
fn what_is_refused_is_skipped_or_named_in_a_file_where_that_is_asked_for() {
    let input = format!("{PATIENTS}{{\"resourceType\":\"Patient\",\"id\":\"Geheim\"\n{PATIENTS}");
    let ended = run(&["--on-error", "skip"], &input);
    assert_eq!(ended.stdout.lines().count(), 4);
    assert!(
        ended.stderr.starts_with("-:5: not the JSON of a resource"),
        "{}",
        ended.stderr
    );
    let site = Site::new("");
    site.write("view.json", VIEW);
    let arguments = [
        "views",
        "run",
        "view.json",
        "--input",
        "-",
        "--on-error",
        "report",
        "refused.ndjson",
    ];
    let ended = site.run_with_input(&arguments, &input).succeeded();
    assert_eq!(ended.stdout.lines().count(), 4);
    let named: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(site.path("refused.ndjson")).unwrap()).unwrap();
    assert_eq!((&named["file"], &named["line"]), (&"-".into(), &5.into()));
    assert!(!named.to_string().contains("Geheim"), "{named}");
}

#[test]
fn a_wrong_call_is_answered_with_the_right_one() {
    let cases: [(&[&str], &str); 3] = [
        (&["--on-error", "report"], "`--on-error report refused.ndjson`"),
        (&["other.json"], "name the resources with `--input`"),
        (&["--input", "-"], "name a file for all but one `-`"),
    ];
    for (more, expected) in cases {
        let said = run(more, "").refused();
        assert!(said.contains(expected), "{said}");
    }
}
