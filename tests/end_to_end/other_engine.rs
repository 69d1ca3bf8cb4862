//! Five views over real synthetic patients, delivered to Delta and read by DuckDB, compared cell by cell with the rows
//! that another SQL-on-FHIR engine makes of the same views. `tests/judges/README.md` explains the differences.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use lakefeed_tests::{Ended, Judge, OtherEngine, Site, destination, fixture, shared, skipped};

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

#[test]
fn the_tool_prints_the_same_rows_as_the_other_engine() {
    let Some(engine) = OtherEngine::find() else { return };
    let Some(sample) = shared("synthea-sample") else {
        return skipped("no ../shared/synthea-sample");
    };
    let site = Site::new("");
    let resources = together(&site, &sample, &["Encounter"]);
    let view = fixture("views/encounters.json");
    let arguments = [
        "views",
        "run",
        view.to_str().unwrap(),
        "--input",
        resources.to_str().unwrap(),
    ];
    let ours: Ended = site.run(&arguments).succeeded();
    let theirs = std::fs::read_to_string(engine.rows_file(&view, &resources)).unwrap();
    let rows = |text: &str| -> Vec<serde_json::Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    assert_eq!(rows(&ours.stdout), rows(&theirs));
}
