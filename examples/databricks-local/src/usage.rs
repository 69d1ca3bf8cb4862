//! The product document's usage example, in one write mode: from the topic to the end of the destination.

use reqwest::Method;

use crate::Failure;
use crate::request::Request;
use crate::walk::Walk;

/// What the walk's table is called in a statement.
const TABLE: &str = "$CATALOG.$TARGET_SCHEMA.$TARGET_TABLE";
const DESTINATION: &str = "AidboxTopicDestination/patient-databricks";
const STATUS: &str = r"AidboxTopicDestination/patient-databricks/\$status";

/// Walks the example. The variables name an empty table, an empty lakefeed and the mode.
pub(crate) async fn walk_through(walk: &mut Walk) -> Result<(), Failure> {
    topic(walk).await?;
    view(walk).await?;
    destination(walk).await?;
    first_row(walk).await?;
    versions(walk).await?;
    latest(walk).await?;
    status(walk).await?;
    another_column(walk).await?;
    end(walk).await
}

async fn topic(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("1. Create the subscription topic");
    let request = Request::fhir(Method::POST, "AidboxSubscriptionTopic");
    walk.ask(request.with(include_str!("../requests/topic.json")), |answer| {
        answer.is(201)
    })
    .await?;
    Ok(())
}

async fn view(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("2. Create + materialize the ViewDefinition");
    let request = Request::fhir(Method::POST, "ViewDefinition");
    walk.ask(request.with(include_str!("../requests/view.json")), |answer| {
        answer.is(201)
    })
    .await?;
    materialize(walk).await
}

async fn materialize(walk: &Walk) -> Result<(), Failure> {
    let request = Request::fhir(Method::POST, r"ViewDefinition/patient_flat/\$materialize");
    walk.ask(
        request.with(include_str!("../requests/materialize.json")),
        |answer| {
            answer.is(200)?;
            answer.has_parameter("viewName", "sof.patient_flat")
        },
    )
    .await?;
    Ok(())
}

async fn destination(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("3. Configure the destination");
    walk.remark(
        "With skipInitialExport, since there is no initial export yet.\n\
         Before it answers, lakefeed looks at the table and at every grant.",
    );
    let request = Request::fhir(Method::POST, "AidboxTopicDestination");
    let body = include_str!("../requests/destination.json");
    walk.ask(request.with(body), |answer| {
        answer.is(201)?;
        answer.has("/id", "patient-databricks")
    })
    .await?;
    Ok(())
}

async fn first_row(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("4. Verify: create a test patient, query the table");
    let request = Request::fhir(Method::POST, "Patient").with(
        r#"{
  "name": [{"use": "official", "family": "Smith", "given": ["John"]}],
  "gender": "male",
  "birthDate": "1990-01-15"
}"#,
    );
    let answer = walk.ask(request, |answer| answer.is(201)).await?;
    walk.remark("The id that the patient got.");
    println!();
    walk.export("PATIENT_ID", answer.text("/id"))?;
    walk.remark("Rows come by batches: after 5 seconds (sendIntervalMs), or 50 of them (batchSize), whatever is first.");
    let columns = [
        "id",
        "gender",
        "birth_date",
        "family_name",
        "given_name",
        "is_deleted",
    ];
    let id = answer.text("/id").to_owned();
    let expected = [id.as_str(), "male", "1990-01-15", "Smith", "John", "0"];
    walk.ask_until(Request::statement(&format!("SELECT * FROM {TABLE}")), |answer| {
        answer.has_rows(&columns, &[&expected])
    })
    .await?;
    Ok(())
}

async fn versions(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("5. Update twice, delete: every version is a row, the delete too");
    for gender in ["male", "other"] {
        let request = Request::fhir(Method::PUT, "Patient/$PATIENT_ID").with(format!(
            r#"{{
  "resourceType": "Patient",
  "id": "$PATIENT_ID",
  "name": [{{"use": "official", "family": "Smith-Jones", "given": ["John"]}}],
  "gender": "{gender}",
  "birthDate": "1990-01-15"
}}"#
        ));
        walk.ask(request, |answer| answer.is(200)).await?;
    }
    let request = Request::fhir(Method::DELETE, "Patient/$PATIENT_ID");
    walk.ask(request, |answer| answer.is(200)).await?;
    let rows = Request::statement(&format!(
        "SELECT id, ts, gender, family_name, is_deleted\nFROM {TABLE} ORDER BY ts"
    ));
    walk.ask_until(rows, |answer| {
        answer.has_rows(
            &["gender", "family_name", "is_deleted"],
            &[
                &["male", "Smith", "0"],
                &["male", "Smith-Jones", "0"],
                &["other", "Smith-Jones", "0"],
                &["other", "Smith-Jones", "1"],
            ],
        )
    })
    .await?;
    Ok(())
}

async fn latest(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("6. The latest state: the newest row of each id, without the deleted ones");
    walk.remark("One more patient, so that somebody is left.");
    let request = Request::fhir(Method::POST, "Patient").with(
        r#"{
  "resourceType": "Patient",
  "name": [{"use": "official", "family": "Keller", "given": ["Anna", "Maria"]}],
  "gender": "female",
  "birthDate": "1984-11-02"
}"#,
    );
    let answer = walk.ask(request, |answer| answer.is(201)).await?;
    println!();
    walk.export("OTHER_ID", answer.text("/id"))?;
    let statement = format!(
        "SELECT * EXCEPT(rn) FROM (\n  SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS rn\n  FROM \
         {TABLE}\n)\nWHERE rn = 1 AND is_deleted = 0;"
    );
    walk.ask_until(Request::statement(&statement), |answer| {
        answer.has_rows(&["family_name", "given_name"], &[&["Keller", "Anna Maria"]])
    })
    .await?;
    Ok(())
}

async fn status(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("7. Monitoring: $status");
    walk.ask_until(Request::fhir(Method::GET, STATUS), |answer| {
        answer.is(200)?;
        answer.has_parameter("status", "active")?;
        answer.has_parameter("messagesDelivered", 5)?;
        answer.has_parameter("messagesQueued", 0)?;
        answer.has_parameter("messagesInProcess", 0)?;
        answer.has_parameter("initialExportStatus", "skipped")
    })
    .await?;
    Ok(())
}

async fn another_column(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("8. Add a column: the table is brought up to the view by the next write");
    walk.remark("The same view with one column more, active; then $materialize.");
    let request = Request::fhir(Method::PUT, "ViewDefinition/patient_flat");
    walk.ask(request.with(with_active()), |answer| answer.is(200))
        .await?;
    materialize(walk).await?;
    walk.remark("The table does not have the column yet.");
    let columns = "ts, gender, family_name, active, is_deleted";
    let rows = || Request::statement(&format!("SELECT {columns}\nFROM {TABLE} ORDER BY ts"));
    walk.ask(rows(), |answer| {
        answer.is(200)?;
        answer.has("/status/state", "FAILED")?;
        answer.has("/status/sql_state", "42703")
    })
    .await?;
    walk.remark("The next write brings it, and the table is healed before its row goes in. Older rows have NULL there.");
    let request = Request::fhir(Method::PUT, "Patient/$OTHER_ID").with(
        r#"{
  "resourceType": "Patient",
  "id": "$OTHER_ID",
  "active": true,
  "name": [{"use": "official", "family": "Keller", "given": ["Anna", "Maria"]}],
  "gender": "female",
  "birthDate": "1984-11-02"
}"#,
    );
    walk.ask(request, |answer| answer.is(200)).await?;
    walk.ask_until(rows(), |answer| {
        answer.has_rows(
            &["family_name", "active", "is_deleted"],
            &[
                &["Smith", "NULL", "0"],
                &["Smith-Jones", "NULL", "0"],
                &["Smith-Jones", "NULL", "0"],
                &["Smith-Jones", "NULL", "1"],
                &["Keller", "NULL", "0"],
                &["Keller", "true", "0"],
            ],
        )
    })
    .await?;
    describe(walk).await
}

/// The columns of the table, with the new one.
async fn describe(walk: &Walk) -> Result<(), Failure> {
    walk.ask(Request::statement(&format!("DESCRIBE TABLE {TABLE}")), |answer| {
        answer.has_succeeded()?;
        let rows = answer.rows().map_or(Vec::new(), |rows| rows.rows);
        let is_new = |row: &Vec<String>| row.iter().take(2).eq(["active", "boolean"]);
        match rows.iter().any(is_new) {
            true => Ok(()),
            false => Err("expected a column active of type boolean".to_owned()),
        }
    })
    .await?;
    Ok(())
}

/// The view, with a column behind `birth_date`.
fn with_active() -> String {
    let before = r#"{"name": "birth_date", "path": "birthDate"}"#;
    let after = format!("{before},\n        {{\"name\": \"active\", \"path\": \"active\"}}");
    include_str!("../requests/view.json").replace(before, &after)
}

async fn end(walk: &mut Walk) -> Result<(), Failure> {
    walk.step("9. Stopping the export: delete the destination");
    let request = Request::fhir(Method::DELETE, DESTINATION);
    walk.ask(request, |answer| answer.is(200)).await?;
    walk.ask(Request::fhir(Method::GET, STATUS), |answer| answer.is(404))
        .await?;
    walk.remark("What was written stays put.");
    let count = Request::statement(&format!("SELECT count(*) AS row_count FROM {TABLE}"));
    walk.ask(count, |answer| answer.has_rows(&["row_count"], &[&["6"]]))
        .await?;
    Ok(())
}
