//! The managed write modes, against Databricks on loopback: the product's walkthrough, its bad days, each fault; and here,
//! what is refused before a workspace is asked.

mod bad_days;
mod bad_setup;
mod bad_values;
mod columns;
mod fault_matrix;
mod place;
mod preflight;
mod secrets;
mod walk;

use lakefeed_tests::{Site, views};

/// A destination with a topic and a view, and nothing of where its rows go but these lines.
fn half_a_destination(more: &str) -> String {
    format!(
        r#"
[[topic]]
id = "patients"
url = "http://example.org/topics/patients"
trigger = [{{ resource = "Patient" }}]

[[view]]
file = "patient_flat.json"

[[destination]]
id = "patients"
topic = "http://example.org/topics/patients"
viewDefinition = "patient_flat"
batchSize = 500
sendIntervalMs = 50
{more}
"#
    )
}

fn said_of(more: &str) -> String {
    let site = Site::new("");
    site.write("patient_flat.json", views::PATIENT_FLAT);
    site.configure(&half_a_destination(more));
    let ended = site.run(&["check"]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

#[test]
fn what_each_managed_mode_needs_is_said_at_once() {
    let by_default = said_of("");
    let shared = [
        "databricksWorkspaceUrl",
        "databricksWarehouseId",
        "tableName",
        "stagingTablePath",
        "awsRegion",
    ];
    for name in shared
        .iter()
        .chain(&["databricksWorkspaceId", "databricksRegion"])
    {
        assert!(by_default.contains(name), "{name}: {by_default}");
    }
    let by_sql = said_of("writeMode = \"managed-sql\"");
    assert!(shared.iter().all(|name| by_sql.contains(name)), "{by_sql}");
    assert!(!by_sql.contains("databricksWorkspaceId"), "{by_sql}");
    let skipped = said_of("writeMode = \"managed-sql\"\nskipInitialExport = true");
    assert!(!skipped.contains("stagingTablePath"), "{skipped}");
}

#[test]
fn a_workspace_that_is_not_listed_is_refused_before_it_gets_the_secret() {
    let more = "writeMode = \"managed-sql\"\nskipInitialExport = true\ntableName = \"c.s.t\"\n\
                databricksWarehouseId = \"0123456789abcdef\"\ndatabricksWorkspaceUrl = \"https://evil.example\"";
    let said = said_of(more);
    assert!(said.contains("`[access] databricks_hosts`"), "{said}");
    let listed = format!("{more}\n[access]\ndatabricks_hosts = [\"evil.example\"]\n");
    let site = Site::new("");
    site.write("patient_flat.json", views::PATIENT_FLAT);
    site.configure(&half_a_destination(&listed));
    site.run(&["check"]).succeeded();
}
