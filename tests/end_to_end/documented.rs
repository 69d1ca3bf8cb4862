//! What the OpenAPI document says is what is answered, to whatever a stranger sends who read no more than that.

use std::process::Command;

use lakefeed_tests::{Ended, Judge, Site};

/// Schemathesis makes requests of the document, sound and broken ones, and compares each answer with it: its status,
/// its media type, its headers, its form; and nothing may be a failure of the server's.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,allow_header_conformance";

/// How many requests are made up for each operation; CI asks for more.
fn examples() -> String {
    std::env::var("LAKEFEED_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "15".to_owned())
}

#[test]
fn a_stranger_who_read_the_document_is_answered_as_it_says() {
    let Some(judge) = Judge::find() else { return };
    let site = Site::patients();
    let host = site.start();
    let report = Ended::of(
        Command::new(judge.program("schemathesis"))
            .arg("run")
            .arg(format!("{}/openapi.json", host.base()))
            .args(["--checks", CHECKS, "--phases", "coverage,fuzzing"])
            .args(["--max-examples", &examples(), "--seed", "20260101"])
            .args([
                "--suppress-health-check",
                "all",
                "--warnings",
                "off",
                "--no-color",
            ])
            .args([
                "--exclude-path",
                "/fhir/AidboxTopicDestination",
                "--exclude-method",
                "TRACE",
            ])
            .current_dir(site.path("")),
    );
    let kept = site.path("schemathesis.txt");
    std::fs::write(&kept, &report.stdout).unwrap();
    assert_eq!(report.code, Some(0), "{}", report.stdout);
}
