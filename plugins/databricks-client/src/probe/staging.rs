//! What the initial export needs: a staging schema of its own storage, and an external location around the path.

use lakefeed_plugin_api::CheckReport;

use super::grants::{Needed, check_object};
use super::{Subject, fail, unknown};
use crate::Databricks;

const SCHEMA: &str = "the staging schema has storage of its own";
const LOCATION: &str = "an external location covers `stagingTablePath`";
const EXPORT: &str = "the initial export needs it";
const CLEANUP: &str = "without it old staging files pile up";

pub(super) async fn check(
    databricks: &Databricks,
    subject: &Subject<'_>,
    path: &str,
    principal: Option<&str>,
    report: &mut CheckReport,
) {
    let schema = format!("{}_staging", subject.table.full_schema());
    check_schema(databricks, &schema, path, report).await;
    let needed = Needed {
        kind: "schema",
        full_name: &schema,
        privileges: &["USE_SCHEMA", "EXTERNAL_USE_SCHEMA", "CREATE_TABLE"],
        only_for: EXPORT,
        is_effective: true,
    };
    check_object(databricks, &needed, principal, report).await;
    let Some(location) = check_location(databricks, path, report).await else {
        return;
    };
    for (privileges, only_for) in [
        (
            &["READ_FILES", "WRITE_FILES", "CREATE_EXTERNAL_TABLE"][..],
            EXPORT,
        ),
        (&["EXTERNAL_USE_LOCATION"][..], CLEANUP),
    ] {
        let needed = Needed {
            kind: "external_location",
            full_name: &location,
            privileges,
            only_for,
            is_effective: true,
        };
        check_object(databricks, &needed, principal, report).await;
    }
}

async fn check_schema(databricks: &Databricks, schema: &str, path: &str, report: &mut CheckReport) {
    let (catalog, name) = schema.split_once('.').unwrap_or(("", schema));
    let hint = format!("databricks schemas create {name} {catalog} --storage-root s3://<bucket>/staging/");
    match databricks.schema(schema).await {
        Ok(Some(found)) if found.storage_root.is_empty() => report.warning(
            SCHEMA,
            "DBX-025",
            format!("schema `{schema}` has none, so EXTERNAL USE SCHEMA cannot be granted on it"),
            &hint,
        ),
        Ok(Some(found)) if is_same_folder(&found.storage_root, path) => report.warning(
            SCHEMA,
            "DBX-026",
            "`stagingTablePath` is the root of the schema's storage: it overlaps with what the catalog manages",
            "name a folder below it, as in s3://<bucket>/staging/<destination>/",
        ),
        Ok(Some(_)) => report.passed(SCHEMA),
        Ok(None) => report.warning(
            SCHEMA,
            "DBX-025",
            format!("there is no schema `{schema}`, or none that may be seen"),
            &hint,
        ),
        Err(error) => fail(report, SCHEMA, error),
    }
}

/// The name of the external location around the path.
async fn check_location(databricks: &Databricks, path: &str, report: &mut CheckReport) -> Option<String> {
    let Ok(locations) = databricks.external_locations().await else {
        unknown(report, LOCATION, "the workspace does not list external locations");
        return None;
    };
    let covering = locations.into_iter().find(|location| covers(&location.url, path));
    match covering {
        Some(location) if is_same_folder(&location.url, path) => {
            report.warning(
                LOCATION,
                "DBX-026",
                "`stagingTablePath` is the root of the external location, which the service refuses",
                "name a folder below it, as in s3://<bucket>/staging/<destination>/",
            );
            Some(location.name)
        }
        Some(location) => {
            report.passed(LOCATION);
            Some(location.name)
        }
        None => {
            unknown(report, LOCATION, "none that may be seen does");
            None
        }
    }
}

fn folder(url: &str) -> &str {
    url.trim_end_matches('/')
}

fn is_same_folder(one: &str, other: &str) -> bool {
    folder(one) == folder(other)
}

fn covers(location: &str, path: &str) -> bool {
    folder(path)
        .strip_prefix(folder(location))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_covers_what_lies_below_it() {
        assert!(covers("s3://b/staging/", "s3://b/staging/patients/"));
        assert!(covers("s3://b/", "s3://b/staging"));
        assert!(!covers("s3://b/staging", "s3://b/staging2/x"));
        assert!(is_same_folder("s3://b/staging", "s3://b/staging/"));
    }
}
