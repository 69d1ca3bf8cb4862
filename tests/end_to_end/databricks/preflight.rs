//! `lakefeed check --connect`: every grant, id and place a line, ok or with what mends it, and nothing secret.

use lakefeed_tests::Ended;
use serde_json::{Value, json};

use super::place::{Mode, Parameters, Place, TABLE, in_both_modes};

in_both_modes!(
    a_good_workspace_is_well_line_by_line,
    what_is_missing_is_named_with_what_mends_it,
    a_workspace_that_does_not_answer_or_knows_nobody_is_said_in_one_line,
);

const STAGED: &str = "s3://lakefeed-staging/staging/patients/";

fn staged<'a>(more: Parameters<'a>) -> Vec<(&'a str, Value)> {
    let mut all = vec![
        ("stagingTablePath", json!(STAGED)),
        ("awsRegion", json!("us-east-1")),
    ];
    all.extend(more.iter().cloned());
    all
}

/// The lines of the destination, without its name.
fn lines(ended: &Ended) -> Vec<String> {
    let of_destination = ended
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("destination `patients`: "));
    of_destination.map(str::to_owned).collect()
}

fn checked(place: &Place, parameters: Parameters<'_>) -> Ended {
    place.declare(&staged(parameters), "");
    place.run(&["check", "--connect"])
}

fn a_good_workspace_is_well_line_by_line(mode: Mode) {
    let place = Place::bare(mode);
    let ended = checked(&place, &[]).succeeded();
    let table = TABLE;
    let mut expected: Vec<String> = [
        "the parameters are complete",
        "the workspace accepts the service principal",
        "`databricksWorkspaceId` is this workspace's",
        "`databricksRegion` is this workspace's",
        "the metastore lets clients outside of Databricks have credentials",
        "the SQL warehouse can be used",
        "the table is a managed Delta table",
        "the table has the column `is_deleted`",
        "USE_CATALOG on catalog `aidbox_export`",
        "USE_SCHEMA on schema `aidbox_export.fhir`",
    ]
    .map(str::to_owned)
    .to_vec();
    expected.extend(["SELECT", "MODIFY"].map(|privilege| format!("{privilege} on table `{table}`")));
    expected.push("the staging schema has storage of its own".to_owned());
    expected.extend(
        ["USE_SCHEMA", "EXTERNAL_USE_SCHEMA", "CREATE_TABLE"]
            .map(|privilege| format!("{privilege} on schema `aidbox_export.fhir_staging`")),
    );
    expected.push("an external location covers `stagingTablePath`".to_owned());
    expected.extend(
        [
            "READ_FILES",
            "WRITE_FILES",
            "CREATE_EXTERNAL_TABLE",
            "EXTERNAL_USE_LOCATION",
        ]
        .map(|privilege| format!("{privilege} on external_location `aidbox_staging_loc`")),
    );
    if mode == Mode::Zerobus {
        expected.push("the service principal gets a token for the ingest service".to_owned());
    }
    let expected: Vec<String> = expected.into_iter().map(|line| format!("ok: {line}")).collect();
    assert_eq!(lines(&ended), expected, "{}", ended.stdout);
    assert!(
        ended.stdout.trim_end().ends_with("all is well"),
        "{}",
        ended.stdout
    );
    let asked = place.emulator.requests();
    assert!(
        asked
            .iter()
            .all(|request| request.method == "GET" || request.path == "/oidc/v1/token"),
        "{asked:?}"
    );
}

/// The check fails, and one line has all of these words.
#[track_caller]
fn one_line_says(ended: &Ended, verdict: &str, words: &[&str]) {
    let told = lines(ended);
    let found = told
        .iter()
        .any(|line| line.starts_with(verdict) && words.iter().all(|word| line.contains(word)));
    assert!(found, "{verdict} {words:?}: {}", ended.stdout);
    let is_wrong = told.iter().any(|line| line.starts_with("missing"));
    assert_eq!(ended.code, Some(i32::from(is_wrong)), "{}", ended.stdout);
}

fn what_is_missing_is_named_with_what_mends_it(mode: Mode) {
    let place = Place::bare(mode);
    let emulator = &place.emulator;
    let who = emulator
        .value("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID")
        .to_owned();
    for (parameter, value, words) in [
        ("databricksWorkspaceId", "999", "number after `o=`"),
        ("databricksRegion", "eu-west-1", "another region"),
        ("databricksWarehouseId", "ffffffffffffffff", "DBX-007"),
    ] {
        one_line_says(
            &checked(&place, &[(parameter, json!(value))]),
            "missing",
            &[words],
        );
    }
    let at_root = [("stagingTablePath", json!("s3://lakefeed-staging/staging/"))];
    one_line_says(
        &checked(&place, &at_root),
        "warning",
        &["DBX-026", "root of the schema's storage"],
    );
    emulator.asked("PUT", "/emulator/external-access", Some(&json!(false)));
    one_line_says(
        &checked(&place, &[]),
        "warning",
        &["External Data Access", "DBX-029"],
    );
    emulator.asked("PUT", "/emulator/external-access", Some(&json!(true)));
    emulator.sql(&format!("REVOKE MODIFY ON TABLE {TABLE} FROM `{who}`"));
    let statement = format!("GRANT MODIFY ON TABLE `aidbox_export`.`fhir`.`patients` TO `{who}`");
    let verdict = if mode == Mode::Zerobus {
        "missing"
    } else {
        "warning"
    };
    let ended = checked(&place, &[]);
    one_line_says(
        &ended,
        verdict,
        &[&statement, "databricks grants update table", "DBX-003"],
    );
    // What is printed mends it, word for word.
    emulator.sql(&statement);
    checked(&place, &[]).succeeded();
    emulator.sql(&format!(
        "REVOKE EXTERNAL USE LOCATION ON EXTERNAL LOCATION aidbox_staging_loc FROM `{who}`"
    ));
    let statement =
        format!("GRANT EXTERNAL USE LOCATION ON EXTERNAL LOCATION `aidbox_staging_loc` TO `{who}`");
    one_line_says(
        &checked(&place, &[]),
        "warning",
        &[&statement, "old staging files pile up"],
    );
    emulator.sql(&format!("DROP TABLE {TABLE}"));
    one_line_says(
        &checked(&place, &[]),
        "warning",
        &["there is no table", "DBX-020"],
    );
    emulator.sql(&format!(
        "CREATE TABLE {TABLE} (id STRING) USING DELTA LOCATION 's3://lakefeed-staging/other/patients'"
    ));
    place.grant();
    one_line_says(
        &checked(&place, &[]),
        "missing",
        &["not managed by Unity Catalog", "external-direct"],
    );
}

fn a_workspace_that_does_not_answer_or_knows_nobody_is_said_in_one_line(mode: Mode) {
    let mut place = Place::bare(mode);
    place.declare(&staged(&[]), "");
    let mut command = place.command(&["check", "--connect"]);
    command.env(
        "BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET",
        "wrong-secret-of-nobody",
    );
    let ended = Ended::of(&mut command);
    one_line_says(
        &ended,
        "missing",
        &["the workspace accepts the service principal", "TOKEN-003"],
    );
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("wrong-secret"));
    let mut command = place.site.command(&["check", "--connect"]);
    command.env_remove("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_SECRET");
    let ended = Ended::of(&mut command);
    one_line_says(&ended, "missing", &["TOKEN-002", "is not set"]);
    place.emulator.kill();
    one_line_says(&checked(&place, &[]), "missing", &["TOKEN-006", "no connection"]);
}

#[test]
fn the_same_in_json_for_programs() {
    let place = Place::bare(Mode::Zerobus);
    place.declare(&staged(&[("databricksRegion", json!("eu-west-1"))]), "");
    let ended = place.run(&["check", "--connect", "--json"]);
    assert_eq!(ended.code, Some(1));
    let told = ended.json();
    let items = told["connections"][0]["items"].as_array().unwrap().clone();
    let failed: Vec<_> = items.iter().filter(|item| item["verdict"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{told}");
    assert_eq!(failed[0]["code"], "DBX-001");
}
