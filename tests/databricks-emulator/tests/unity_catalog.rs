//! Unity Catalog: objects, grants, lent credentials; and the ten steps of the product's set-up, over HTTP.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use databricks_emulator::{Fault, Setting};
use serde_json::{Value, json};
use support::{PATIENTS, Site, rows_of};

const UC: &str = "/api/2.1/unity-catalog";

/// The ten steps, as far as they call Databricks.
async fn set_up_over_http(site: &Site) {
    let options = site.emulator.options().clone();
    let client = &options.client_id;
    let permission = json!({"access_control_list": [
        {"service_principal_name": client, "permission_level": "CAN_USE"},
    ]});
    let warehouse = format!("/api/2.0/permissions/warehouses/{}", options.warehouse_id);
    site.admin("PATCH", &warehouse, Some(permission)).await.ok();
    let credential = json!({"name": "aidbox_staging_cred", "skip_validation": true,
        "aws_iam_role": {"role_arn": "arn:aws:iam::123456789012:role/aidbox-staging-role"}});
    site.admin("POST", &format!("{UC}/storage-credentials"), Some(credential))
        .await
        .ok();
    let told = site
        .admin(
            "GET",
            &format!("{UC}/storage-credentials/aidbox_staging_cred"),
            None,
        )
        .await
        .ok();
    assert!(told["aws_iam_role"]["external_id"].is_string());
    let validated = json!({"storage_credential_name": "aidbox_staging_cred"});
    let told = site
        .admin(
            "POST",
            &format!("{UC}/validate-storage-credentials"),
            Some(validated),
        )
        .await
        .ok();
    assert_eq!(told["results"], json!([]));
    for (path, body) in [
        (
            "external-locations",
            json!({"name": "aidbox_staging_loc", "url": "s3://bucket/", "credential_name": "aidbox_staging_cred"}),
        ),
        (
            "catalogs",
            json!({"name": "aidbox_export", "storage_root": "s3://bucket/managed/"}),
        ),
    ] {
        site.admin("POST", &format!("{UC}/{path}"), Some(body)).await.ok();
    }
    rows_of(&site.admin_sql("CREATE SCHEMA aidbox_export.fhir").await);
    let create = format!(
        "CREATE TABLE {PATIENTS} (id STRING, ts TIMESTAMP, cts TIMESTAMP, gender STRING, birth_date DATE, family_name \
         STRING, given_name STRING, is_deleted INT) USING DELTA"
    );
    let made = site.admin_sql(&create).await;
    assert_eq!(made["manifest"]["schema"], json!({"column_count": 0}));
    assert_eq!(made["result"], json!({}));
    let staging = json!({"name": "fhir_staging", "catalog_name": "aidbox_export", "storage_root": "s3://bucket/staging/"});
    site.admin("POST", &format!("{UC}/schemas"), Some(staging))
        .await
        .ok();
    for (kind, name, privileges) in [
        ("catalog", "aidbox_export", json!(["USE_CATALOG"])),
        ("schema", "aidbox_export.fhir", json!(["USE_SCHEMA"])),
        ("table", PATIENTS, json!(["SELECT", "MODIFY"])),
        (
            "schema",
            "aidbox_export.fhir_staging",
            json!(["EXTERNAL_USE_SCHEMA", "USE_SCHEMA", "CREATE_TABLE"]),
        ),
        (
            "external-location",
            "aidbox_staging_loc",
            json!([
                "READ_FILES",
                "WRITE_FILES",
                "CREATE_EXTERNAL_TABLE",
                "EXTERNAL_USE_LOCATION"
            ]),
        ),
    ] {
        let changes = json!({"changes": [{"principal": client, "add": privileges}]});
        let told = site
            .admin("PATCH", &format!("{UC}/permissions/{kind}/{name}"), Some(changes))
            .await
            .ok();
        assert_eq!(told["privilege_assignments"][0]["principal"], *client);
    }
}

#[tokio::test]
async fn the_ten_steps_lead_to_a_table_that_takes_rows_both_ways() {
    let site = Site::bare().await;
    set_up_over_http(&site).await;
    site.insert(PATIENTS, json!([{"id": "p-1", "is_deleted": 0}]))
        .await
        .ok();
    rows_of(
        &site
            .sql(&format!(
                "INSERT INTO {PATIENTS} (id, is_deleted) VALUES ('p-2', 0)"
            ))
            .await,
    );
    site.until_count(PATIENTS, 2).await;
    let path = format!("{UC}/external-locations/aidbox_staging_loc");
    assert_eq!(site.client("GET", &path, None).await.ok()["url"], "s3://bucket");
}

#[tokio::test]
async fn a_restart_continues_where_it_was() {
    let site = Site::bare().await;
    set_up_over_http(&site).await;
    let token = site.plain_token().await;
    let site = site.restarted().await;
    let told = site
        .send("GET", &format!("{UC}/tables/{PATIENTS}"), &token, None)
        .await
        .ok();
    assert_eq!(told["full_name"], PATIENTS);
    site.insert(PATIENTS, json!([{"id": "p-1", "is_deleted": 0}]))
        .await
        .ok();
    site.until_count(PATIENTS, 1).await;
}

#[tokio::test]
async fn a_table_is_told_with_its_columns_as_the_clients_read_them() {
    let site = Site::with_tables(&[("Mixed", "Id STRING NOT NULL, n DECIMAL(10,2)")]).await;
    let client = site.emulator.options().client_id.clone();
    let revoke = format!("REVOKE SELECT, MODIFY ON TABLE aidbox_export.fhir.mixed FROM `{client}`");
    rows_of(&site.admin_sql(&revoke).await);
    let told = site
        .client("GET", &format!("{UC}/tables/aidbox_export.fhir.mixed"), None)
        .await;
    assert_eq!(told.status, 404, "nothing is granted on it");
    let told = site
        .admin("GET", &format!("{UC}/tables/aidbox_export.fhir.MIXED"), None)
        .await
        .ok();
    assert_eq!(told["name"], "mixed");
    assert_eq!(told["table_type"], "MANAGED");
    assert!(uuid_like(&told["table_id"]));
    let column = &told["columns"][1];
    assert_eq!(
        (
            &column["type_name"],
            &column["type_precision"],
            &column["type_scale"]
        ),
        (&json!("DECIMAL"), &json!(10), &json!(2))
    );
    let first: Value = serde_json::from_str(told["columns"][0]["type_json"].as_str().unwrap()).unwrap();
    assert_eq!(
        first,
        json!({"name": "Id", "type": "string", "nullable": false, "metadata": {}})
    );
}

fn uuid_like(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 36 && text.matches('-').count() == 4)
}

#[tokio::test]
async fn tables_are_listed_in_pages() {
    let site = Site::with_tables(&[("a", "id STRING"), ("b", "id STRING")]).await;
    let path = format!("{UC}/tables?catalog_name=aidbox_export&schema_name=fhir&max_results=2");
    let first = site.admin("GET", &path, None).await.ok();
    assert_eq!(first["tables"].as_array().unwrap().len(), 2);
    let token = first["next_page_token"].as_str().unwrap();
    let second = site
        .admin("GET", &format!("{path}&page_token={token}"), None)
        .await
        .ok();
    assert_eq!(second["tables"][0]["name"], "patients");
    assert!(second.get("next_page_token").is_none());
    let exists = site
        .client("GET", &format!("{UC}/tables/{PATIENTS}/exists"), None)
        .await
        .ok();
    assert_eq!(exists, json!({"table_exists": true}));
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let site = Site::new().await;
    for (path, code) in [
        ("tables/aidbox_export.fhir.nosuch", "TABLE_DOES_NOT_EXIST"),
        ("tables/aidbox_export.nosuch.t", "SCHEMA_DOES_NOT_EXIST"),
        ("tables/nosuch.s.t", "CATALOG_DOES_NOT_EXIST"),
        ("schemas/aidbox_export.nosuch", "SCHEMA_DOES_NOT_EXIST"),
        ("catalogs/nosuch", "CATALOG_DOES_NOT_EXIST"),
        ("external-locations/nosuch", "RESOURCE_DOES_NOT_EXIST"),
    ] {
        let told = site.admin("GET", &format!("{UC}/{path}"), None).await;
        assert_eq!(
            (told.status, &told.json()["error_code"]),
            (404, &json!(code)),
            "{path}"
        );
    }
}

/// The `table_id` of a new external table in the staging schema.
async fn staged(site: &Site) -> String {
    let create = "CREATE TABLE aidbox_export.fhir_staging.s (id STRING) USING DELTA LOCATION \
                  's3://lakefeed-staging/staging/x/'";
    rows_of(&site.sql(create).await);
    let told = site
        .client("GET", &format!("{UC}/tables/aidbox_export.fhir_staging.s"), None)
        .await
        .ok();
    assert_eq!(told["table_type"], "EXTERNAL");
    told["table_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn credentials_of_a_table_are_lent_on_both_versions() {
    let site = Site::new().await;
    let body = json!({"table_id": staged(&site).await, "operation": "READ_WRITE"});
    for version in ["2.0", "2.1"] {
        let path = format!("/api/{version}/unity-catalog/temporary-table-credentials");
        let told = site.client("POST", &path, Some(body.clone())).await.ok();
        assert_eq!(told["url"], "s3://lakefeed-staging/staging/x");
        assert!(told["aws_temp_credentials"]["session_token"].is_string());
        assert!(told["expiration_time"].as_i64().unwrap() > 1_000_000_000_000);
    }
}

#[tokio::test]
async fn credentials_are_refused_without_the_toggle_and_without_the_grant() {
    let site = Site::new().await;
    let body = json!({"table_id": staged(&site).await, "operation": "READ_WRITE"});
    let path = format!("{UC}/temporary-table-credentials");
    site.admin("PUT", "/emulator/external-access", Some(json!(false)))
        .await
        .ok();
    let told = site.client("POST", &path, Some(body.clone())).await;
    assert_eq!(told.status, 403);
    assert_eq!(
        told.json()["details"][0]["reason"],
        "EXTERNAL_ACCESS_DISABLED_ON_METASTORE"
    );
    assert!(told.message().starts_with(
        "External Data Access from non Databricks Compute environment is disabled for metastore"
    ));
    site.admin("PUT", "/emulator/external-access", Some(json!(true)))
        .await
        .ok();
    let denied = Setting {
        privilege: Some("EXTERNAL USE SCHEMA".to_owned()),
        ..Setting::default()
    };
    site.emulator.faults().set(Fault::DeniedGrant, denied);
    let told = site.client("POST", &path, Some(body)).await;
    assert_eq!(
        told.message(),
        "User does not have EXTERNAL USE SCHEMA on Schema 'aidbox_export.fhir_staging'."
    );
}

#[tokio::test]
async fn a_refusal_says_who_what_and_which_request() {
    let site = Site::new().await;
    let body = json!({"table_id": staged(&site).await, "operation": "READ"});
    let denied = Setting {
        privilege: Some("EXTERNAL USE SCHEMA".to_owned()),
        ..Setting::default()
    };
    site.emulator.faults().set(Fault::DeniedGrant, denied);
    let told = site
        .client("POST", &format!("{UC}/temporary-table-credentials"), Some(body))
        .await;
    let body = told.json();
    assert_eq!(
        (told.status, &body["error_code"]),
        (403, &json!("PERMISSION_DENIED"))
    );
    let (why, which) = (&body["details"][0], &body["details"][1]);
    assert_eq!(why["@type"], "type.googleapis.com/google.rpc.ErrorInfo");
    assert_eq!(why["domain"], "unity-catalog.databricks.com");
    assert_eq!(
        why["metadata"],
        json!({
            "principalName": site.emulator.options().client_id,
            "resourceType": "Schema",
            "resourceName": "aidbox_export.fhir_staging",
        })
    );
    assert_eq!(which["@type"], "type.googleapis.com/google.rpc.RequestInfo");
    assert!(uuid_like(&which["request_id"]));
}

#[tokio::test]
async fn every_answer_names_its_request_and_the_workspace() {
    let site = Site::new().await;
    let workspace = site.emulator.options().workspace_id.to_string();
    for (path, status) in [
        (format!("{UC}/tables/{PATIENTS}"), 200),
        (format!("{UC}/tables/aidbox_export.fhir.nosuch"), 404),
        (format!("{UC}/nosuch"), 404),
        ("/api/2.0/sql/nosuch".to_owned(), 404),
        ("/oidc/.well-known/oauth-authorization-server".to_owned(), 200),
        (format!("/zerobus/v1/tables/{PATIENTS}/insert"), 404),
    ] {
        let told = site.client("GET", &path, None).await;
        assert_eq!(told.status, status, "{path}");
        assert_eq!(told.headers["x-databricks-org-id"], workspace, "{path}");
        assert_eq!(told.headers["x-request-id"].len(), 36, "{path}");
    }
}

#[tokio::test]
async fn a_managed_table_is_lent_for_reading_only() {
    let site = Site::new().await;
    let client = site.emulator.options().client_id.clone();
    site.emulator
        .faults()
        .set(Fault::ExternalUseSchema, Setting::default());
    let changes = json!({"changes": [{"principal": client, "add": ["EXTERNAL_USE_SCHEMA"]}]});
    site.admin(
        "PATCH",
        &format!("{UC}/permissions/schema/aidbox_export.fhir"),
        Some(changes),
    )
    .await
    .ok();
    let told = site
        .client("GET", &format!("{UC}/tables/{PATIENTS}"), None)
        .await
        .ok();
    let body = |operation: &str| Some(json!({"table_id": told["table_id"], "operation": operation}));
    let path = format!("{UC}/temporary-table-credentials");
    site.client("POST", &path, body("READ")).await.ok();
    let refused = site.client("POST", &path, body("READ_WRITE")).await;
    assert_eq!(
        refused.json()["details"][0]["reason"],
        "EXTERNAL_WRITE_NOT_ALLOWED_FOR_TABLE"
    );
}

#[tokio::test]
async fn external_use_schema_is_not_for_a_managed_schema() {
    let site = Site::new().await;
    let client = site.emulator.options().client_id.clone();
    let changes = json!({"changes": [{"principal": client, "add": ["EXTERNAL_USE_SCHEMA"]}]});
    let path = format!("{UC}/permissions/schema/aidbox_export.fhir");
    let refused = site.admin("PATCH", &path, Some(changes.clone())).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused
            .message()
            .starts_with("Privilege EXTERNAL USE SCHEMA is not applicable to this entity")
    );
    let ignored = Setting {
        ignored: Some(true),
        ..Setting::default()
    };
    site.emulator.faults().set(Fault::ExternalUseSchema, ignored);
    let told = site.admin("PATCH", &path, Some(changes)).await.ok();
    assert_eq!(
        told["privilege_assignments"][0]["privileges"],
        json!(["USE_SCHEMA"])
    );
}

#[tokio::test]
async fn credentials_of_a_path_follow_the_location_and_its_overlaps() {
    let site = Site::new().await;
    staged(&site).await;
    let path = format!("{UC}/temporary-path-credentials");
    let ask = |url: &str, operation: &str| Some(json!({"url": url, "operation": operation}));
    let free = "s3://lakefeed-staging/staging/y/";
    for operation in ["PATH_READ", "PATH_READ_WRITE", "PATH_CREATE_TABLE"] {
        site.client("POST", &path, ask(free, operation)).await.ok();
    }
    for url in [
        "s3://lakefeed-staging/staging/",
        "s3://lakefeed-staging/",
        "s3://lakefeed-staging/staging/x/deep",
    ] {
        let refused = site.client("POST", &path, ask(url, "PATH_CREATE_TABLE")).await;
        assert_eq!(refused.status, 400, "{url}");
        assert_eq!(
            refused.json()["details"][0]["reason"],
            "LOCATION_OVERLAP",
            "{url}"
        );
    }
    let denied = Setting {
        privilege: Some("EXTERNAL_USE_LOCATION".to_owned()),
        ..Setting::default()
    };
    site.emulator.faults().set(Fault::DeniedGrant, denied);
    assert_eq!(
        site.client("POST", &path, ask(free, "PATH_READ_WRITE"))
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn a_table_made_over_rest_needs_the_grants_that_are_given_by_name() {
    let site = Site::new().await;
    let body = json!({"name": "rest", "catalog_name": "aidbox_export", "schema_name": "fhir_staging",
        "table_type": "EXTERNAL", "data_source_format": "DELTA", "storage_location": "s3://lakefeed-staging/staging/rest",
        "columns": [{"name": "id", "type_text": "string", "type_name": "STRING", "position": 0, "nullable": true,
            "type_json": "{\"name\":\"id\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}"}]});
    let denied = |privilege: &str| Setting {
        privilege: Some(privilege.to_owned()),
        ..Setting::default()
    };
    for privilege in [
        "EXTERNAL_USE_LOCATION",
        "EXTERNAL_USE_SCHEMA",
        "CREATE_EXTERNAL_TABLE",
        "CREATE_TABLE",
    ] {
        site.emulator.faults().set(Fault::DeniedGrant, denied(privilege));
        let refused = site
            .client("POST", &format!("{UC}/tables"), Some(body.clone()))
            .await;
        assert_eq!(refused.status, 403, "{privilege}");
    }
    site.emulator.faults().clear_all();
    let told = site
        .client("POST", &format!("{UC}/tables"), Some(body.clone()))
        .await
        .ok();
    assert_eq!(told["full_name"], "aidbox_export.fhir_staging.rest");
    let again = site.client("POST", &format!("{UC}/tables"), Some(body)).await;
    assert_eq!(again.json()["error_code"], "TABLE_ALREADY_EXISTS");
    assert_eq!(again.json()["details"][0]["reason"], "RESOURCE_ALREADY_EXISTS");
    site.client(
        "DELETE",
        &format!("{UC}/tables/aidbox_export.fhir_staging.rest"),
        None,
    )
    .await
    .ok();
}

#[tokio::test]
async fn grants_are_read_whole_by_the_owner_and_only_ones_own_by_others() {
    let site = Site::new().await;
    let path = format!("{UC}/permissions/table/{PATIENTS}");
    let everybody = json!({"changes": [{"principal": "account users", "add": ["SELECT"]}]});
    let told = site.admin("PATCH", &path, Some(everybody)).await.ok();
    assert_eq!(told["privilege_assignments"].as_array().unwrap().len(), 2);
    let told = site.client("GET", &path, None).await.ok();
    assert_eq!(told["privilege_assignments"].as_array().unwrap().len(), 1);
    let effective = site
        .client(
            "GET",
            &format!("{UC}/effective-permissions/table/{PATIENTS}"),
            None,
        )
        .await
        .ok();
    let privileges = effective["privilege_assignments"][0]["privileges"]
        .as_array()
        .unwrap();
    assert!(
        privileges
            .iter()
            .any(|told| told["inherited_from_type"] == "CATALOG")
    );
    let refused = site.client("PATCH", &path, Some(json!({"changes": []}))).await;
    assert_eq!(refused.status, 403);
}
