//! What is wrong gets an answer that says so, and the host goes on.

use std::io::Write;

use lakefeed_tests::{Answer, Client, Host, Site, destination, views};
use reqwest::Method;
use serde_json::{Value, json};

fn put_text(client: &Client, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    client.send(
        Method::PUT,
        path,
        &[("content-type", "application/fhir+json")],
        body.into(),
    )
}

/// A host, and the promise that it still serves when the test is over.
struct Serving {
    _site: Site,
    host: Host,
}

impl Serving {
    fn start() -> Self {
        let site = Site::patients();
        let host = site.start();
        Self { _site: site, host }
    }

    #[track_caller]
    fn refuses(&self, body: impl Into<Vec<u8>>, status: u16) -> String {
        put_text(&self.host, "Patient/p-1", body).expect(status).issues()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.host.get("Patient/p-1").expect(404);
            self.host
                .put("Patient/p-2", &json!({ "resourceType": "Patient", "id": "p-2" }))
                .expect(201);
        }
    }
}

#[test]
fn json_that_ends_early_or_is_not_utf_8_is_400() {
    let serving = Serving::start();
    serving.refuses(r#"{"resourceType":"Patient","id":"p-1""#, 400);
    serving.refuses(
        b"{\"resourceType\":\"Patient\",\"id\":\"p-1\",\"gender\":\"\xff\xfe\"}",
        400,
    );
    serving.refuses("", 400);
}

#[test]
fn json_a_hundred_levels_deep_is_400() {
    let serving = Serving::start();
    let deep = format!(
        r#"{{"resourceType":"Patient","id":"p-1","extension":{}{}}}"#,
        r#"[{"extension":"#.repeat(60),
        "1".to_owned() + &"}]".repeat(60)
    );
    serving.refuses(deep, 400);
    let brackets = format!(
        r#"{{"resourceType":"Patient","id":"p-1","x":{}{}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    serving.refuses(brackets, 400);
}

#[test]
fn a_resource_of_50_mb_is_413() {
    let serving = Serving::start();
    let large = format!(
        r#"{{"resourceType":"Patient","id":"p-1","x":"{}"}}"#,
        "x".repeat(50 << 20)
    );
    // The host may stop reading and close; then the client sees no answer, which is an answer too.
    let headers = [("content-type", "application/fhir+json")];
    match serving
        .host
        .try_send(Method::PUT, "Patient/p-1", &headers, large.into_bytes())
    {
        Ok(answer) => assert_eq!(answer.status, 413),
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
}

#[test]
fn a_key_given_twice_is_400() {
    Serving::start().refuses(
        r#"{"resourceType":"Patient","id":"p-1","gender":"male","gender":"female"}"#,
        400,
    );
}

#[test]
fn a_null_character_in_a_string_is_refused() {
    Serving::start().refuses(
        r#"{"resourceType":"Patient","id":"p-1","gender":"a\u0000b"}"#,
        400,
    );
}

#[test]
fn a_resource_type_that_is_none_is_404_and_says_what_may_be_meant() {
    let serving = Serving::start();
    let body = json!({ "resourceType": "Patent", "id": "p-1" });
    let answer = serving.host.put("Patent/p-1", &body);
    assert!([404, 422].contains(&answer.status), "{}", answer.text());
    assert!(answer.issues().contains("Patient"), "{}", answer.issues());
}

#[test]
fn an_id_with_a_slash_or_of_65_letters_is_422() {
    let serving = Serving::start();
    for id in ["a/b", "..", "a b", &"x".repeat(65)] {
        if id == ".." {
            continue; // FHIR's grammar of ids allows it.
        }
        let issues = serving
            .host
            .post("Patient", &json!({ "resourceType": "Patient", "id": id }))
            .expect(422)
            .issues();
        assert!(issues.contains("Patient.id"), "{issues}");
    }
}

#[test]
fn a_view_that_names_itself_in_a_circle_of_constants_is_refused() {
    let serving = Serving::start();
    let view = json!({ "resourceType": "ViewDefinition", "name": "circle", "resource": "Patient", "status": "active",
        "constant": [{ "name": "a", "valueString": "%b" }, { "name": "b", "valueString": "%a" }, { "name": "a", "valueString": "x" }],
        "select": [{ "column": [{ "name": "id", "path": "id" }, { "name": "id", "path": "%a" }] }] });
    let issues = serving.host.post("ViewDefinition", &view).expect(422).issues();
    assert!(issues.contains("ViewDefinition."), "{issues}");
}

#[test]
fn two_views_of_one_name_are_refused_when_the_second_is_materialised() {
    let serving = Serving::start();
    let mut view: Value = serde_json::from_str(views::PATIENT_FLAT).unwrap();
    view["id"] = "another".into();
    serving.host.post("ViewDefinition", &view).expect(201);
    let kind =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "type", "valueCode": "view" }] });
    let answer = serving.host.post("ViewDefinition/another/$materialize", &kind);
    assert!((400..500).contains(&answer.status), "{}", answer.text());
}

#[test]
fn a_regular_expression_that_explodes_elsewhere_ends_here() {
    let serving = Serving::start();
    let path = "gender.matches('(a+)+(a+)+(a+)+(a+)+$')";
    let view = json!({ "resourceType": "ViewDefinition", "name": "bomb", "resource": "Patient", "status": "active",
        "select": [{ "column": [{ "name": "id", "path": "id" }, { "name": "hit", "path": path }] }] });
    let patient =
        json!({ "resourceType": "Patient", "id": "x", "gender": format!("{}!", "a".repeat(50_000)) });
    let run = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "viewResource", "resource": view }, { "name": "resource", "resource": patient } ] });
    let headers = [
        ("content-type", "application/fhir+json"),
        ("accept", "application/x-ndjson"),
    ];
    let answer = serving.host.send(
        Method::POST,
        "ViewDefinition/$run?_format=ndjson",
        &headers,
        run.to_string().into_bytes(),
    );
    assert_eq!(answer.expect(200).json()["hit"], false);
}

#[test]
fn a_regular_expression_too_large_to_compile_is_refused_with_the_view() {
    let serving = Serving::start();
    let path = "gender.matches('((a{1000}){1000}){1000}')";
    let view = json!({ "resourceType": "ViewDefinition", "name": "bomb", "resource": "Patient", "status": "active",
        "select": [{ "column": [{ "name": "hit", "path": path }] }] });
    let issues = serving.host.post("ViewDefinition", &view).expect(422).issues();
    assert!(
        issues.contains("ViewDefinition.select[0].column[0].path"),
        "{issues}"
    );
}

#[test]
fn one_bad_line_in_a_hundred_thousand_is_named_and_the_rest_is_imported() {
    let site = Site::patients();
    let path = site.write("Patient.ndjson", "");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for number in 1..=100_000 {
        match number {
            61_803 => writeln!(file, "{{\"resourceType\":\"Patient\",\"id\":\"p-61803\"").unwrap(),
            number => writeln!(file, "{{\"resourceType\":\"Patient\",\"id\":\"p-{number}\"}}").unwrap(),
        }
    }
    file.flush().unwrap();
    let ended = site.run(&["import", path.to_str().unwrap(), "--json"]);
    assert_ne!(ended.code, Some(0), "a refused line is no success");
    let report = ended.json();
    assert_eq!(
        (&report["imported"], &report["refused"]),
        (&json!(99_999), &json!(1))
    );
    assert_eq!(report["bad_lines"][0]["line"], 61_803);
    let host = site.start();
    host.get("Patient/p-61802").expect(200);
    host.get("Patient/p-61803").expect(404);
    host.get("Patient/p-100000").expect(200);
}

#[test]
fn what_r4_does_not_allow_is_imported_only_when_that_is_asked_for_and_named_by_line_and_path() {
    let site = Site::patients();
    let odd = r#"{"resourceType":"Patient","id":"odd","name":{"family":"Mustermann"}}"#;
    let good = r#"{"resourceType":"Patient","id":"good"}"#;
    let path = site.write("Patient.ndjson", format!("{good}\n{odd}\n"));
    let path = path.to_str().unwrap();
    let refused = site.run(&["import", path, "--json"]);
    assert_ne!(refused.code, Some(0));
    let report = refused.json();
    assert_eq!(
        (&report["imported"], &report["refused"], &report["invalid"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert!(
        report["bad_lines"][0]["problem"]
            .as_str()
            .unwrap()
            .contains("`Patient.name`")
    );
    let taken = site.run(&["import", path, "--accept-invalid", "--json"]);
    assert_eq!(taken.code, Some(0));
    let report = taken.json();
    assert_eq!(
        (&report["imported"], &report["refused"], &report["invalid"]),
        (&json!(2), &json!(0), &json!(1))
    );
    assert_eq!(report["invalid_lines"][0]["line"], 2);
    let problem = report["invalid_lines"][0]["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("`Patient.name`") && !problem.contains("Mustermann"),
        "{problem}"
    );
    let host = site.start();
    host.get("Patient/odd").expect(200);
}

#[test]
fn a_host_told_to_report_stores_what_r4_does_not_allow_and_logs_the_place() {
    let site = Site::patients();
    let odd = json!({ "resourceType": "Patient", "id": "odd", "name": { "family": "Mustermann" } });
    let host = site.start();
    host.put("Patient/odd", &odd).expect(422);
    drop(host);
    let config = std::fs::read_to_string(site.path("lakefeed.toml")).unwrap();
    let lenient = config.replacen("[http]\n", "[http]\ninvalid_resources = \"report\"\n", 1);
    site.write("lakefeed.toml", lenient);
    let host = site.start();
    host.put("Patient/odd", &odd).expect(201);
    let log = host.log();
    assert!(
        log.contains("`Patient.name`") && !log.contains("Mustermann"),
        "{log}"
    );
}

#[test]
fn two_destinations_of_one_id_are_refused_with_the_line() {
    let site = Site::new("");
    site.write("patient_flat.json", views::PATIENT_FLAT);
    let one = destination("patients", "Patient", "patient_flat", "");
    let again = one.split("[[destination]]").last().unwrap();
    site.configure(&format!("{one}\n[[destination]]{again}"));
    for command in ["check", "run"] {
        let said = site.run(&[command]).refused();
        assert!(
            said.contains("destination `patients` already") && said.contains("lakefeed.toml:28"),
            "{said}"
        );
    }
}

#[test]
fn an_answer_and_the_log_repeat_nothing_of_a_refused_resource() {
    let serving = Serving::start();
    let issues = serving.refuses(
        r#"{"resourceType":"Patient","id":"p-1","name":[{"family":"Mustermann"}],,}"#,
        400,
    );
    assert!(
        !issues.contains("Mustermann") && !serving.host.log().contains("Mustermann"),
        "{issues}"
    );
}
