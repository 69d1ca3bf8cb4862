//! The ten steps of the product document's Databricks-side setup, in its order.
//!
//! The document gives them as commands of the vendor's command line; here each is the call that the command makes.

use reqwest::Method;

use crate::Failure;
use crate::answer::Answer;
use crate::request::Request;
use crate::stage::{Stage, shown};
use crate::walk::Walk;

/// The columns of the target table: those of the view, and `is_deleted`.
const COLUMNS: &str = "id STRING, ts TIMESTAMP, cts TIMESTAMP, gender STRING, birth_date DATE,\n\
                       family_name STRING, given_name STRING, is_deleted INT";

/// What the example makes, by the names that the document gives.
const NAMES: [(&str, &str); 10] = [
    ("CATALOG", "aidbox_export"),
    ("TARGET_SCHEMA", "fhir"),
    ("STAGING_SCHEMA", "fhir_staging"),
    ("TARGET_TABLE", "patients"),
    ("AWS_REGION", "us-east-1"),
    ("STAGING_BUCKET", "lakefeed-staging"),
    ("AWS_ACCOUNT_ID", "123456789012"),
    ("STORAGE_CRED_NAME", "aidbox_staging_cred"),
    ("EXTERNAL_LOCATION_NAME", "aidbox_staging_loc"),
    ("IAM_ROLE_NAME", "aidbox-staging-role"),
];

/// Sets the workspace up.
pub(crate) async fn set_up(
    walk: &mut Walk,
    stage: &Stage,
    told: Vec<(String, String)>,
) -> Result<(), Failure> {
    walk.part("Databricks-side setup");
    authenticate(walk, told).await?;
    warehouse(walk).await?;
    storage(walk, stage).await?;
    schemas(walk).await?;
    walk.step("10. Grant the service principal");
    walk.remark("Both write modes need the same grants; the last two serve the initial export.");
    navigation(walk).await?;
    grants(
        walk,
        "table",
        "$CATALOG.$TARGET_SCHEMA.$TARGET_TABLE",
        &["SELECT", "MODIFY"],
    )
    .await?;
    let staging = ["EXTERNAL_USE_SCHEMA", "USE_SCHEMA", "CREATE_TABLE"];
    grants(walk, "schema", "$CATALOG.$STAGING_SCHEMA", &staging).await?;
    let location = [
        "READ_FILES",
        "WRITE_FILES",
        "CREATE_EXTERNAL_TABLE",
        "EXTERNAL_USE_LOCATION",
    ];
    grants(walk, "external_location", "$EXTERNAL_LOCATION_NAME", &location).await
}

/// Steps 8 and 10 for one more table.
pub(crate) async fn another_table(walk: &mut Walk, name: &str) -> Result<(), Failure> {
    walk.step("A table of its own: steps 8 and 10 of the setup once more");
    println!();
    walk.export("TARGET_TABLE", name)?;
    create_table(walk).await?;
    grants(
        walk,
        "table",
        "$CATALOG.$TARGET_SCHEMA.$TARGET_TABLE",
        &["SELECT", "MODIFY"],
    )
    .await
}

async fn authenticate(walk: &mut Walk, told: Vec<(String, String)>) -> Result<(), Failure> {
    walk.step("1. Authenticate and export environment variables");
    walk.remark(
        "The emulator prints the first of these when it starts: its address, the token of the person who sets it up,\n\
         and a service principal without any grant.",
    );
    println!();
    for (name, value) in told {
        walk.export(&name, value)?;
    }
    walk.remark("The names of what the example makes.");
    println!();
    for (name, value) in NAMES {
        walk.export(name, value)?;
    }
    walk.remark(
        "Who am I? And may programs outside Databricks be lent credentials (external_access_enabled)?",
    );
    let me = Request::databricks(Method::GET, "/api/2.0/preview/scim/v2/Me");
    walk.ask(me, |answer| {
        answer.is(200)?;
        answer.has("/active", true)
    })
    .await?;
    let metastore = Request::databricks(Method::GET, "/api/2.1/unity-catalog/metastore_summary");
    walk.ask(metastore, |answer| {
        answer.is(200)?;
        answer.has("/external_access_enabled", true)
    })
    .await?;
    Ok(())
}

async fn warehouse(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("2. Pick the SQL warehouse");
    walk.remark(
        "databricks warehouses update-permissions \"$WAREHOUSE_ID\": the service principal may use it.",
    );
    let request = Request::databricks(Method::PATCH, "/api/2.0/permissions/warehouses/$WAREHOUSE_ID").with(
        r#"{
  "access_control_list": [
    {"service_principal_name": "$BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID", "permission_level": "CAN_USE"}
  ]
}"#,
    );
    let level = "/access_control_list/0/all_permissions/0/permission_level";
    walk.ask(request, |answer| {
        answer.is(200)?;
        answer.has(level, "CAN_USE")
    })
    .await?;
    Ok(())
}

/// Steps 3 to 6: where files lie, and who may write them.
async fn storage(walk: &mut Walk, stage: &Stage) -> Result<(), Failure> {
    walk.step("3. Create the S3 bucket");
    let buckets = shown(&stage.buckets());
    walk.remark(&format!(
        "Nothing to ask for on loopback: the emulator keeps what lies in s3://$STAGING_BUCKET/ in the folder\n\
         {buckets}/$STAGING_BUCKET"
    ));
    walk.step("4. Create the IAM role Databricks will assume");
    walk.remark(
        "Nothing to ask for either: there is no cloud that could refuse the role. The name of one will do.",
    );
    println!();
    let role = walk
        .environment
        .expand("arn:aws:iam::$AWS_ACCOUNT_ID:role/$IAM_ROLE_NAME")?;
    walk.export("STAGING_ROLE_ARN", role)?;
    credential(walk).await?;
    walk.step("6. Register the External Location");
    walk.remark("databricks external-locations create");
    let request = create("external-locations").with(
        r#"{
  "name": "$EXTERNAL_LOCATION_NAME",
  "url": "s3://$STAGING_BUCKET/",
  "credential_name": "$STORAGE_CRED_NAME"
}"#,
    );
    let name = walk.environment.get("EXTERNAL_LOCATION_NAME")?.to_owned();
    walk.ask(request, |answer| made(answer, &name)).await?;
    Ok(())
}

async fn credential(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("5. Register the Storage Credential in Unity Catalog");
    walk.remark("databricks storage-credentials create, get, validate");
    let request = create("storage-credentials").with(
        r#"{"name": "$STORAGE_CRED_NAME", "aws_iam_role": {"role_arn": "$STAGING_ROLE_ARN"}, "skip_validation": true}"#,
    );
    let name = walk.environment.get("STORAGE_CRED_NAME")?.to_owned();
    walk.ask(request, |answer| made(answer, &name)).await?;
    let path = "/api/2.1/unity-catalog/storage-credentials/$STORAGE_CRED_NAME";
    let answer = walk
        .ask(Request::databricks(Method::GET, path), |answer| {
            made(answer, &name)
        })
        .await?;
    walk.remark("The role's trust policy would get this id now.");
    println!();
    walk.export("EXTERNAL_ID", answer.text("/aws_iam_role/external_id"))?;
    walk.remark("Empty results mean success.");
    let request =
        create("validate-storage-credentials").with(r#"{"storage_credential_name": "$STORAGE_CRED_NAME"}"#);
    walk.ask(request, |answer| {
        answer.is(200)?;
        answer.has("/results", serde_json::json!([]))
    })
    .await?;
    Ok(())
}

/// Steps 7 to 9: the catalog, its schemas, the table.
async fn schemas(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("7. Create the catalog and target schema");
    walk.remark("databricks catalogs create; its storage root lies in the external location.");
    let request =
        create("catalogs").with(r#"{"name": "$CATALOG", "storage_root": "s3://$STAGING_BUCKET/managed/"}"#);
    let name = walk.environment.get("CATALOG")?.to_owned();
    walk.ask(request, |answer| made(answer, &name)).await?;
    let request = Request::statement("CREATE SCHEMA $CATALOG.$TARGET_SCHEMA");
    walk.ask(request, Answer::has_succeeded).await?;
    walk.step("8. Create the managed Delta target table");
    create_table(walk).await?;
    walk.step("9. Create the sibling staging schema");
    walk.remark("databricks schemas create; without a storage root it would be a managed schema, which nobody outside may use.");
    let request = create("schemas").with(
        r#"{"name": "$STAGING_SCHEMA", "catalog_name": "$CATALOG", "storage_root": "s3://$STAGING_BUCKET/staging/"}"#,
    );
    let name = walk.environment.get("STAGING_SCHEMA")?.to_owned();
    walk.ask(request, |answer| made(answer, &name)).await?;
    Ok(())
}

async fn create_table(walk: &Walk) -> Result<(), Failure> {
    let request = Request::statement(&format!(
        "CREATE TABLE $CATALOG.$TARGET_SCHEMA.$TARGET_TABLE (\n{COLUMNS}) USING DELTA"
    ));
    walk.ask(request, Answer::has_succeeded).await?;
    Ok(())
}

/// The way to the table.
async fn navigation(walk: &Walk) -> Result<(), Failure> {
    grants(walk, "catalog", "$CATALOG", &["USE_CATALOG"]).await?;
    grants(walk, "schema", "$CATALOG.$TARGET_SCHEMA", &["USE_SCHEMA"]).await
}

/// `databricks grants update`
async fn grants(walk: &Walk, kind: &str, name: &str, privileges: &[&str]) -> Result<(), Failure> {
    let path = format!("/api/2.1/unity-catalog/permissions/{kind}/{name}");
    let listed = privileges.join("\", \"");
    let request = Request::databricks(Method::PATCH, &path).with(format!(
        "{{\"changes\": [{{\"principal\": \"$BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID\",\n  \"add\": [\"{listed}\"]}}]}}"
    ));
    walk.ask(request, |answer| {
        answer.is(200)?;
        let given = answer.body.pointer("/privilege_assignments/0/privileges");
        let given = given
            .and_then(serde_json::Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        match privileges
            .iter()
            .find(|privilege| !given.contains(&(**privilege).into()))
        {
            None => Ok(()),
            Some(privilege) => Err(format!("expected {privilege} to be granted")),
        }
    })
    .await?;
    Ok(())
}

fn create(what: &str) -> Request {
    Request::databricks(Method::POST, &format!("/api/2.1/unity-catalog/{what}"))
}

/// An object of that name was answered.
fn made(answer: &Answer, name: &str) -> crate::answer::Checked {
    answer.is(200)?;
    answer.has("/name", name)
}
