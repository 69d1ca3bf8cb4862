//! Views whose rows are compared cell by cell with those of others: five, delivered to Delta and read by DuckDB, with those
//! of another SQL-on-FHIR engine; and the three of the benches with those of HL7's fhirpath.js and of SQL that was written
//! by hand. `tests/judges/README.md` explains the differences.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use lakefeed_tests::{
    Ended, Judge, OtherEngine, Site, checkout, destination, fixture, program, program_folder, shared, skipped,
};

/// View, resource type, and the files that hold its resources.
const VIEWS: [(&str, &str, &[&str]); 5] = [
    ("patients", "Patient", &["Patient"]),
    ("encounters", "Encounter", &["Encounter"]),
    ("conditions", "Condition", &["Condition"]),
    (
        "observations",
        "Observation",
        &["Observation", "Observation-vitals"],
    ),
    ("vitals", "Observation", &["Observation", "Observation-vitals"]),
];

#[test]
fn five_views_over_real_data_give_the_rows_that_another_engine_gives() {
    let Some(judge) = Judge::find() else { return };
    let Some(engine) = OtherEngine::find() else { return };
    let Some(sample) = shared("synthea-sample") else {
        return skipped("no ../shared/synthea-sample");
    };
    let site = Site::new("");
    let mut config = String::new();
    for (view, resource, _) in VIEWS {
        std::fs::copy(
            fixture(&format!("views/{view}.json")),
            site.path(&format!("{view}.json")),
        )
        .unwrap();
        config += &destination(view, resource, view, "");
    }
    site.configure(&config);
    let imported = site
        .run(&["import", sample.to_str().unwrap(), "--json"])
        .succeeded()
        .json();
    assert_eq!(
        (&imported["imported"], &imported["refused"]),
        (&21_695.into(), &0.into())
    );
    let host = site.start();
    for (view, _, files) in VIEWS {
        host.wait_until_delivered(view);
        let resources = together(&site, &sample, files);
        let rows = engine.rows_file(&fixture(&format!("views/{view}.json")), &resources);
        let report = judge.compare(&site.path(&format!("lake/{view}")), &rows);
        println!(
            "{view}: {} rows, {} columns",
            report["table"],
            report["columns"].as_array().unwrap().len()
        );
        assert_eq!(
            report["only_in_table"],
            serde_json::json!([]),
            "{view}: {report:#}"
        );
        assert_eq!(
            report["only_in_engine"],
            serde_json::json!([]),
            "{view}: {report:#}"
        );
        assert!(report["table"].as_u64() > Some(0), "{view}");
    }
}

/// One file with the resources of several.
fn together(site: &Site, sample: &Path, files: &[&str]) -> PathBuf {
    let name = format!("{}.together", files.join("+"));
    let mut file = std::fs::File::create(site.path(&name)).unwrap();
    for part in files {
        let packed = std::fs::File::open(sample.join(format!("{part}.ndjson.gz"))).unwrap();
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_end(&mut text)
            .unwrap();
        file.write_all(&text).unwrap();
    }
    site.path(&name)
}

fn rows(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn run(site: &Site, view: &Path, resources: &Path) -> Ended {
    let (view, resources) = (view.to_str().unwrap(), resources.to_str().unwrap());
    site.run(&["views", "run", view, "--input", resources])
        .succeeded()
}

#[test]
fn the_tool_prints_the_same_rows_as_the_other_engine() {
    let Some(engine) = OtherEngine::find() else { return };
    let Some(sample) = shared("synthea-sample") else {
        return skipped("no ../shared/synthea-sample");
    };
    let site = Site::new("");
    let resources = together(&site, &sample, &["Encounter"]);
    let view = fixture("views/encounters.json");
    let ours = run(&site, &view, &resources);
    let theirs = std::fs::read_to_string(engine.rows_file(&view, &resources)).unwrap();
    assert_eq!(rows(&ours.stdout), rows(&theirs));
}

#[test]
fn the_views_of_the_benches_give_the_rows_that_fhirpathjs_gives() {
    let Some(engine) = OtherEngine::find() else { return };
    let Some(sample) = shared("synthea-sample") else {
        return skipped("no ../shared/synthea-sample");
    };
    let site = Site::new("");
    let patients = together(&site, &sample, &["Patient"]);
    let observations = together(&site, &sample, &["Observation", "Observation-vitals"]);
    for (name, resources, count) in [
        ("a_patient_flat", &patients, 1_144),
        ("b_observation_unnest", &observations, 18_864),
        ("c_patient_wide", &patients, 1_144),
    ] {
        let view = checkout().join(format!("host/view/benches/views/{name}.json"));
        let ours = rows(&run(&site, &view, resources).stdout);
        let theirs = std::fs::read_to_string(engine.rows_file_by_fhirpathjs(&view, resources)).unwrap();
        assert_eq!(ours.len(), count, "{name}");
        assert_eq!(ours, rows(&theirs), "{name}");
    }
}

#[test]
fn the_views_of_the_benches_give_the_rows_that_sql_gives() {
    let Some(judge) = Judge::find() else { return };
    let found = judge.compare_with_sql(&program(), &program_folder().join("lakefeed-sample-data"));
    assert_eq!(
        found.matches("\"only_ours\": 0, \"only_theirs\": 0").count(),
        3,
        "{found}"
    );
}
