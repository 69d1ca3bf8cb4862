//! Statements: states and waiting, results, Spark's SQL and Spark's refusals.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::time::{Duration, Instant};

use databricks_emulator::{Fault, Setting};
use serde_json::{Value, json};
use support::{PATIENTS, Site, class_of, rows_of};

const STATEMENTS: &str = "/api/2.0/sql/statements";

fn submission(site: &Site, statement: &str, more: Value) -> Value {
    let mut body = json!({"warehouse_id": site.emulator.options().warehouse_id, "statement": statement});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn one_is_answered_as_recorded() {
    let site = Site::new().await;
    let mut answer = site.sql("SELECT 1").await;
    let id = answer["statement_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("01f"), "{id}");
    answer.as_object_mut().unwrap().remove("statement_id");
    let expected = json!({
        "status": {"state": "SUCCEEDED"},
        "manifest": {
            "format": "JSON_ARRAY",
            "schema": {"column_count": 1, "columns": [
                {"name": "1", "type_text": "INT", "type_name": "INT", "position": 0},
            ]},
            "total_chunk_count": 1,
            "chunks": [{"chunk_index": 0, "row_offset": 0, "row_count": 1}],
            "total_row_count": 1,
            "truncated": false,
        },
        "result": {"chunk_index": 0, "row_offset": 0, "row_count": 1, "data_array": [["1"]]},
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_cold_warehouse_leaves_the_statement_pending() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::ColdStart, Setting::milliseconds(700));
    let body = submission(&site, "SELECT 1", json!({"wait_timeout": "0s"}));
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    assert_eq!(told["status"]["state"], "PENDING");
    let path = format!("{STATEMENTS}/{}", told["statement_id"].as_str().unwrap());
    let warehouse = format!("/api/2.0/sql/warehouses/{}", site.emulator.options().warehouse_id);
    assert_eq!(
        site.client("GET", &warehouse, None).await.ok()["state"],
        "STARTING"
    );
    let start = Instant::now();
    loop {
        let told = site.client("GET", &path, None).await.ok();
        if told["status"]["state"] == "SUCCEEDED" {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        site.client("GET", &warehouse, None).await.ok()["state"],
        "RUNNING"
    );
    site.client("POST", &format!("{warehouse}/stop"), Some(json!({})))
        .await
        .ok();
    assert_eq!(
        site.client("GET", &warehouse, None).await.ok()["state"],
        "STOPPED"
    );
}

#[tokio::test]
async fn a_statement_can_be_cancelled_and_any_id_too() {
    let site = Site::new().await;
    site.emulator
        .faults()
        .set(Fault::ColdStart, Setting::milliseconds(60_000));
    let body = submission(&site, "SELECT 1", json!({"wait_timeout": "0s"}));
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    let path = format!("{STATEMENTS}/{}", told["statement_id"].as_str().unwrap());
    assert_eq!(
        site.client("POST", &format!("{path}/cancel"), None).await.ok(),
        json!({})
    );
    assert_eq!(
        site.client("GET", &path, None).await.ok()["status"],
        json!({"state": "CANCELED"})
    );
    let unknown = format!("{STATEMENTS}/01f00000-0000-1000-8000-000000000000");
    assert_eq!(
        site.client("POST", &format!("{unknown}/cancel"), None)
            .await
            .status,
        200
    );
    assert_eq!(
        site.client("GET", &unknown, None).await.json()["error_code"],
        "NOT_FOUND"
    );
    let body = submission(
        &site,
        "SELECT 1",
        json!({"wait_timeout": "5s", "on_wait_timeout": "CANCEL"}),
    );
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    assert_eq!(told["status"], json!({"state": "CANCELED"}));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_refused_in_the_recorded_words() {
    let site = Site::new().await;
    for (more, status, code, message) in [
        (
            json!({"wait_timeout": "3s"}),
            400,
            "INVALID_PARAMETER_VALUE",
            "The wait_timeout field must be 0 seconds (disables wait), or between 5 seconds and 50 seconds.",
        ),
        (
            json!({"wait_timeout": "soon"}),
            400,
            "INVALID_PARAMETER_VALUE",
            "Error while parsing type: duration.",
        ),
        (
            json!({"warehouse_id": "nosuch"}),
            400,
            "INVALID_PARAMETER_VALUE",
            "nosuch is not a valid endpoint id.",
        ),
        (
            json!({"warehouse_id": null}),
            400,
            "BAD_REQUEST",
            "warehouse_id is missing",
        ),
        (
            json!({"statement": null}),
            400,
            "BAD_REQUEST",
            "statement is missing",
        ),
        (
            json!({"format": "ARROW_STREAM"}),
            400,
            "INVALID_PARAMETER_VALUE",
            "Incompatible parameters: The format field must be JSON_ARRAY when the disposition field is INLINE.",
        ),
    ] {
        let answer = site
            .client("POST", STATEMENTS, Some(submission(&site, "SELECT 1", more)))
            .await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error_code"], code);
        assert_eq!(answer.message(), message);
    }
    let token = site.plain_token().await;
    let broken = site
        .try_send("POST", STATEMENTS, Some(&token), Some("{".to_owned()))
        .await
        .unwrap();
    assert_eq!(broken.json()["error_code"], "MALFORMED_REQUEST");
    let unknown = site.client("GET", "/api/2.0/sql/nosuch", None).await;
    assert_eq!((unknown.status, unknown.text.as_str()), (404, ""));
    let method = site.client("PUT", STATEMENTS, None).await;
    assert_eq!(method.message(), "No API found for 'PUT /sql/statements'");
    let invalid = site.send("GET", STATEMENTS, "nonsense", None).await;
    assert_eq!(invalid.status, 404);
    let invalid = site.send("POST", STATEMENTS, "nonsense", Some(json!({}))).await;
    assert_eq!(invalid.json()["error_code"], 403);
    assert!(invalid.headers.contains_key("x-databricks-reason-phrase"));
}

#[tokio::test]
async fn who_may_not_use_the_warehouse_is_refused() {
    let site = Site::bare().await;
    let refused = site
        .client("POST", STATEMENTS, Some(submission(&site, "SELECT 1", json!({}))))
        .await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error_code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn many_rows_come_in_chunks() {
    let site = Site::new().await;
    let rows: Vec<String> = (0..6000).map(|id| format!("('{id}')")).collect();
    let inserted = site
        .sql(&format!("INSERT INTO {PATIENTS} (id) VALUES {}", rows.join(",")))
        .await;
    assert_eq!(rows_of(&inserted), json!([["6000", "6000"]]));
    let names: Vec<&str> = ["num_affected_rows", "num_inserted_rows"].to_vec();
    for (at, name) in names.iter().enumerate() {
        assert_eq!(inserted["manifest"]["schema"]["columns"][at]["name"], *name);
        assert_eq!(inserted["manifest"]["schema"]["columns"][at]["type_name"], "LONG");
    }
    let told = site.sql(&format!("SELECT id FROM {PATIENTS}")).await;
    assert_eq!(told["manifest"]["total_chunk_count"], 2);
    let link = told["result"]["next_chunk_internal_link"].as_str().unwrap();
    let next = site.client("GET", link, None).await.ok();
    assert_eq!(next["row_count"], 1000);
    let beyond = link.replace("chunks/1", "chunks/2");
    assert_eq!(
        site.client("GET", &beyond, None).await.message(),
        "The chunk_index 2 is out of bounds."
    );
}

const TYPES: &str = "s STRING, b BOOLEAN, i INT, l BIGINT, f FLOAT, d DOUBLE, n DECIMAL(10,2), day DATE, ts TIMESTAMP, bin \
                     BINARY, a ARRAY<INT>, m MAP<STRING, INT>";

#[tokio::test]
async fn every_type_is_written_and_read_back() {
    let site = Site::with_tables(&[("types", TYPES)]).await;
    let table = "aidbox_export.fhir.types";
    let insert = format!(
        r"INSERT INTO {table} VALUES ('it\'s \\ a ''quote''\n\0😀 \'); DROP TABLE t; --', TRUE, -7, 9007199254740993, 1.5F, 1.6777216E7D, 1.5BD, DATE'1990-01-15', TIMESTAMP'2024-01-02T03:04:05.123456Z', X'00FF', array(1, NULL), map('k', 1)), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
    );
    rows_of(&site.admin_sql(&insert).await);
    let told = site
        .admin_sql(&format!("SELECT * FROM {table} ORDER BY i NULLS LAST"))
        .await;
    let names: Vec<&str> = told["manifest"]["schema"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["type_name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "STRING",
            "BOOLEAN",
            "INT",
            "LONG",
            "FLOAT",
            "DOUBLE",
            "DECIMAL",
            "DATE",
            "TIMESTAMP",
            "BINARY",
            "ARRAY",
            "MAP"
        ]
    );
    let rows = rows_of(&told);
    assert_eq!(
        rows[0],
        json!([
            "it's \\ a 'quote'\n\0😀 '); DROP TABLE t; --",
            "true",
            "-7",
            "9007199254740993",
            "1.5",
            "1.6777216E7",
            "1.50",
            "1990-01-15",
            "2024-01-02T03:04:05.123Z",
            "AP8=",
            "[\"1\",null]",
            "{\"k\":\"1\"}",
        ])
    );
    assert!(rows[1].as_array().unwrap().iter().all(Value::is_null));
    let micros =
        format!("SELECT unix_micros(ts), CAST(ts AS STRING), CAST(d AS STRING) FROM {table} WHERE i = -7");
    assert_eq!(
        rows_of(&site.admin_sql(&micros).await),
        json!([["1704164645123456", "2024-01-02 03:04:05.123456", "1.6777216E7"]])
    );
}

#[tokio::test]
async fn the_documents_own_queries_run() {
    let site = Site::new().await;
    let insert = format!(
        "INSERT INTO {PATIENTS} (id, ts, gender, is_deleted) VALUES ('p-1', TIMESTAMP'2026-04-01T10:00:00Z', 'male', 0), \
         ('p-1', TIMESTAMP'2026-04-02T08:00:00Z', 'other', 0), ('p-2', TIMESTAMP'2026-04-01T10:00:00Z', 'male', 0), \
         ('p-2', TIMESTAMP'2026-04-03T10:00:00Z', 'male', 1)"
    );
    rows_of(&site.sql(&insert).await);
    let latest = site
        .sql(&format!(
            "SELECT * EXCEPT(rn) FROM (\n  SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY ts DESC) AS rn\n  FROM \
             {PATIENTS}\n)\nWHERE rn = 1 AND is_deleted = 0;"
        ))
        .await;
    let rows = rows_of(&latest);
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!((&rows[0][0], &rows[0][3]), (&json!("p-1"), &json!("other")));
    assert_eq!(latest["manifest"]["schema"]["column_count"], 8);
}

#[tokio::test]
async fn a_statement_that_fails_has_sparks_class() {
    let site = Site::with_tables(&[("strict", "id STRING NOT NULL, n INT")]).await;
    let strict = "aidbox_export.fhir.strict";
    for (sql, class, state) in [
        ("SELCT 1".to_owned(), "PARSE_SYNTAX_ERROR", "42601"),
        ("SELECT 1 FROM".to_owned(), "PARSE_SYNTAX_ERROR", "42601"),
        (String::new(), "PARSE_EMPTY_STATEMENT", "42617"),
        (
            "SELECT * FROM aidbox_export.fhir.nosuch".to_owned(),
            "TABLE_OR_VIEW_NOT_FOUND",
            "42P01",
        ),
        (
            "SELECT * FROM nosuch.s.t".to_owned(),
            "TABLE_OR_VIEW_NOT_FOUND",
            "42P01",
        ),
        (
            format!("SELECT nosuch FROM {strict}"),
            "UNRESOLVED_COLUMN.WITH_SUGGESTION",
            "42703",
        ),
        (
            format!("INSERT INTO {strict} (id, nosuch) VALUES ('a', 1)"),
            "UNRESOLVED_COLUMN.WITH_SUGGESTION",
            "42703",
        ),
        (
            format!("INSERT INTO {strict} VALUES ('a')"),
            "DELTA_INSERT_COLUMN_ARITY_MISMATCH",
            "42802",
        ),
        (
            format!("INSERT INTO {strict} (id) VALUES ('a', 1)"),
            "INSERT_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS",
            "21S01",
        ),
        (
            format!("INSERT INTO {strict} VALUES (NULL, 1)"),
            "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
            "23502",
        ),
        (
            format!("INSERT INTO {strict} (n) VALUES (1)"),
            "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
            "23502",
        ),
        (
            format!("INSERT INTO {strict} VALUES ('a', 3000000000)"),
            "CAST_OVERFLOW_IN_TABLE_INSERT",
            "22003",
        ),
        (
            format!("INSERT INTO {strict} VALUES ('a', CAST('x' AS INT))"),
            "CAST_INVALID_INPUT",
            "22018",
        ),
        (
            "SELECT CAST('x' AS INT)".to_owned(),
            "CAST_INVALID_INPUT",
            "22018",
        ),
        ("SELECT 1 / 0".to_owned(), "DIVIDE_BY_ZERO", "22012"),
        (
            format!("CREATE TABLE {strict} (id STRING)"),
            "TABLE_OR_VIEW_ALREADY_EXISTS",
            "42P07",
        ),
        (
            "CREATE TABLE aidbox_export.fhir.x (a INT, A INT)".to_owned(),
            "DELTA_DUPLICATE_COLUMNS_FOUND",
            "42711",
        ),
        (
            format!("ALTER TABLE {strict} ADD COLUMNS (N STRING)"),
            "FIELD_ALREADY_EXISTS",
            "42710",
        ),
        (
            "DROP SCHEMA aidbox_export.nosuch".to_owned(),
            "SCHEMA_NOT_FOUND",
            "42704",
        ),
        ("SELECT :x".to_owned(), "UNBOUND_SQL_PARAMETER", "42P02"),
    ] {
        let told = site.admin_sql(&sql).await;
        assert_eq!(class_of(&told), (class.to_owned(), state.to_owned()), "{sql}");
        assert_eq!(told["status"]["error"]["error_code"], "BAD_REQUEST");
    }
    assert_eq!(
        site.admin_sql(&format!("SELECT id FROM {strict}")).await["result"],
        json!({})
    );
}

#[tokio::test]
async fn a_missing_grant_is_told_by_name_and_a_hidden_schema_is_not_found() {
    let site = Site::with_tables(&[("other", "id STRING")]).await;
    let client = site.emulator.options().client_id.clone();
    rows_of(
        &site
            .admin_sql(&format!(
                "REVOKE SELECT, MODIFY ON TABLE {PATIENTS} FROM `{client}`"
            ))
            .await,
    );
    for sql in [
        format!("SELECT * FROM {PATIENTS}"),
        format!("INSERT INTO {PATIENTS} (id) VALUES ('x')"),
    ] {
        let told = site.sql(&sql).await;
        assert_eq!(class_of(&told).0, "INSUFFICIENT_PERMISSIONS", "{sql}");
        let message = told["status"]["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("on Table 'aidbox_export.fhir.patients'"),
            "{message}"
        );
    }
    rows_of(
        &site
            .admin_sql(&format!(
                "REVOKE USE SCHEMA ON SCHEMA aidbox_export.fhir FROM `{client}`"
            ))
            .await,
    );
    assert_eq!(
        class_of(&site.sql(&format!("SELECT * FROM {PATIENTS}")).await).0,
        "TABLE_OR_VIEW_NOT_FOUND"
    );
    let ddl = site.sql("CREATE SCHEMA aidbox_export.mine").await;
    assert_eq!(class_of(&ddl).0, "INSUFFICIENT_PERMISSIONS");
}

#[tokio::test]
async fn the_information_schema_shows_what_the_caller_may_see() {
    let site = Site::with_tables(&[("other", "id STRING, n DECIMAL(10,2) NOT NULL")]).await;
    let client = site.emulator.options().client_id.clone();
    rows_of(
        &site
            .admin_sql(&format!(
                "REVOKE SELECT, MODIFY ON TABLE {PATIENTS} FROM `{client}`"
            ))
            .await,
    );
    let columns = "SELECT column_name, ordinal_position, is_nullable, full_data_type, data_type, numeric_precision FROM \
                   aidbox_export.information_schema.columns WHERE table_schema = 'fhir' AND table_name = 'other' ORDER BY \
                   ordinal_position";
    assert_eq!(
        site.rows(columns).await,
        json!([
            ["id", "0", "YES", "string", "STRING", null],
            ["n", "1", "NO", "decimal(10,2)", "DECIMAL", "10"]
        ])
    );
    let tables = "SELECT table_name FROM aidbox_export.information_schema.tables";
    assert_eq!(site.rows(tables).await, json!([["other"]]));
    let schemata = "SELECT schema_name FROM aidbox_export.information_schema.schemata ORDER BY schema_name";
    assert_eq!(site.rows(schemata).await, json!([["fhir"], ["fhir_staging"]]));
    assert_eq!(
        site.rows("SHOW TABLES IN aidbox_export.fhir").await,
        json!([["fhir", "other", "false"]])
    );
    let described = site.rows("DESCRIBE TABLE aidbox_export.fhir.other").await;
    assert_eq!(
        described,
        json!([["id", "string", null], ["n", "decimal(10,2)", null]])
    );
    let detail = site.rows("DESCRIBE DETAIL aidbox_export.fhir.other").await;
    assert_eq!(
        (&detail[0][0], &detail[0][2]),
        (&json!("delta"), &json!("aidbox_export.fhir.other"))
    );
}

#[tokio::test]
async fn a_merge_inserts_what_is_not_there_and_nothing_twice() {
    let site = Site::new().await;
    let token = site.plain_token().await;
    for sql in [
        "CREATE TABLE aidbox_export.fhir_staging.s (id STRING, gender STRING, extra INT) USING DELTA LOCATION \
         's3://lakefeed-staging/staging/patients/'"
            .to_owned(),
        "INSERT INTO aidbox_export.fhir_staging.s VALUES ('p-1', 'male', 1), ('p-2', 'female', 2)".to_owned(),
        format!("INSERT INTO {PATIENTS} (id, gender, is_deleted) VALUES ('p-1', 'other', 0)"),
    ] {
        rows_of(&site.sql_as(&token, &sql).await);
    }
    let merge = format!(
        "MERGE INTO {PATIENTS} AS t USING aidbox_export.fhir_staging.s AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT \
         (id, gender, is_deleted) VALUES (s.id, s.gender, 0)"
    );
    assert_eq!(site.rows(&merge).await, json!([["1", "0", "0", "1"]]));
    assert_eq!(site.rows(&merge).await, json!([["0", "0", "0", "0"]]));
    let rows = site
        .rows(&format!(
            "SELECT id, gender, is_deleted FROM {PATIENTS} ORDER BY id"
        ))
        .await;
    assert_eq!(rows, json!([["p-1", "other", "0"], ["p-2", "female", "0"]]));
    let star = format!(
        "MERGE INTO {PATIENTS} t USING aidbox_export.fhir_staging.s s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *"
    );
    assert_eq!(
        class_of(&site.sql(&star).await),
        ("DELTA_MERGE_UNRESOLVED_EXPRESSION".to_owned(), "42601".to_owned())
    );
    rows_of(&site.sql("DROP TABLE aidbox_export.fhir_staging.s").await);
    let again = "CREATE TABLE aidbox_export.fhir_staging.s (id STRING, other INT) USING DELTA LOCATION \
                 's3://lakefeed-staging/staging/patients/'";
    assert_eq!(
        class_of(&site.sql(again).await).0,
        "DELTA_CREATE_TABLE_SCHEME_MISMATCH"
    );
    let over_root = again.replace("staging/patients/", "staging/");
    assert_eq!(
        class_of(&site.sql(&over_root).await).0,
        "INVALID_PARAMETER_VALUE.LOCATION_OVERLAP"
    );
    let outside = again.replace("lakefeed-staging/", "elsewhere/");
    assert_eq!(
        class_of(&site.sql(&outside).await).0,
        "NO_PARENT_EXTERNAL_LOCATION_FOR_PATH"
    );
}

#[tokio::test]
async fn columns_with_capitals_are_found_in_any_case() {
    let site = Site::with_tables(&[("mixed", "Id STRING, birthDate DATE")]).await;
    let mixed = "aidbox_export.fhir.mixed";
    rows_of(
        &site
            .admin_sql(&format!(
                "INSERT INTO {mixed} (ID, BIRTHDATE) VALUES ('a', DATE'2024-01-02')"
            ))
            .await,
    );
    let told = site
        .admin_sql(&format!(
            "SELECT id, `BirthDate` FROM {mixed} WHERE birthdate = DATE'2024-01-02'"
        ))
        .await;
    assert_eq!(rows_of(&told), json!([["a", "2024-01-02"]]));
}

#[tokio::test]
async fn rows_come_from_queries_too() {
    let site = Site::with_tables(&[("copies", "id STRING, n INT")]).await;
    let copies = "aidbox_export.fhir.copies";
    rows_of(
        &site
            .admin_sql(&format!("INSERT INTO {copies} VALUES (concat('a', 'b'), 1 + 1)"))
            .await,
    );
    rows_of(
        &site
            .admin_sql(&format!("INSERT INTO {copies} (id) SELECT id FROM {copies}"))
            .await,
    );
    let rows = rows_of(
        &site
            .admin_sql(&format!("SELECT id, n FROM {copies} ORDER BY n NULLS LAST"))
            .await,
    );
    assert_eq!(rows, json!([["ab", "2"], ["ab", null]]));
    let made = site
        .admin_sql(&format!(
            "CREATE TABLE aidbox_export.fhir.made AS SELECT id, n FROM {copies}"
        ))
        .await;
    assert_eq!(made["status"]["state"], "SUCCEEDED", "{made}");
    assert_eq!(made["result"], json!({}));
    let count = rows_of(
        &site
            .admin_sql("SELECT count(*) FROM aidbox_export.fhir.made")
            .await,
    );
    assert_eq!(count, json!([["2"]]));
}

#[tokio::test]
async fn parameters_are_bound_as_values() {
    let site = Site::new().await;
    let body = submission(
        &site,
        &format!("INSERT INTO IDENTIFIER(:t) (id, birth_date, is_deleted) VALUES (:id, :day, :n)"),
        json!({"wait_timeout": "50s", "parameters": [
            {"name": "t", "value": PATIENTS},
            {"name": "id", "value": "it's \\ '); --"},
            {"name": "day", "value": "1990-01-15", "type": "DATE"},
            {"name": "n", "value": "0", "type": "INT"},
        ]}),
    );
    rows_of(&site.client("POST", STATEMENTS, Some(body)).await.ok());
    let rows = site
        .rows(&format!("SELECT id, birth_date, is_deleted FROM {PATIENTS}"))
        .await;
    assert_eq!(rows, json!([["it's \\ '); --", "1990-01-15", "0"]]));
}

#[tokio::test]
async fn a_limit_of_rows_truncates() {
    let site = Site::new().await;
    let body = submission(
        &site,
        "SELECT 1 UNION ALL SELECT 2",
        json!({"row_limit": 1, "wait_timeout": "50s"}),
    );
    let told = site.client("POST", STATEMENTS, Some(body)).await.ok();
    assert_eq!(told["manifest"]["truncated"], true);
    assert_eq!(told["manifest"]["total_row_count"], 1);
}

#[tokio::test]
async fn a_statement_over_sixteen_mebibytes_is_refused() {
    let site = Site::new().await;
    let statement = format!("SELECT '{}'", "x".repeat(16 * 1024 * 1024));
    let refused = site
        .client("POST", STATEMENTS, Some(submission(&site, &statement, json!({}))))
        .await;
    assert_eq!(refused.status, 400);
}
