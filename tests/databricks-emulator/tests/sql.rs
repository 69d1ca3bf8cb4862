//! Spark's SQL: types, names, rows in and out, and Spark's refusals.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use serde_json::{Value, json};
use support::{PATIENTS, Site, class_of, rows_of};

#[tokio::test]
async fn numbers_have_sparks_types() {
    let site = Site::new().await;
    let told = site
        .sql("SELECT -7, 2147483648, 1 + 1, 1.5, 1e3, 1.5D, 7 / 2, -2147483648, CASE WHEN TRUE THEN 1 ELSE 2 END")
        .await;
    let columns = told["manifest"]["schema"]["columns"].as_array().unwrap();
    let types: Vec<&str> = columns
        .iter()
        .map(|column| column["type_text"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "INT",
            "BIGINT",
            "INT",
            "DECIMAL(2,1)",
            "DOUBLE",
            "DOUBLE",
            "DOUBLE",
            "INT",
            "INT"
        ]
    );
    assert_eq!(
        rows_of(&told),
        json!([[
            "-7",
            "2147483648",
            "2",
            "1.5",
            "1000.0",
            "1.5",
            "3.5",
            "-2147483648",
            "1"
        ]])
    );
    assert_eq!(
        (&columns[3]["type_precision"], &columns[3]["type_scale"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn what_is_there_already_or_no_more_is_no_error_where_the_statement_says_so() {
    let site = Site::new().await;
    for sql in [
        "CREATE SCHEMA IF NOT EXISTS aidbox_export.more COMMENT 'more'",
        "CREATE SCHEMA IF NOT EXISTS aidbox_export.more",
        "CREATE TABLE IF NOT EXISTS aidbox_export.more.t (id STRING COMMENT 'the id', n INT) USING DELTA",
        "CREATE TABLE IF NOT EXISTS aidbox_export.more.t (other INT)",
        "INSERT INTO aidbox_export.more.t VALUES ('a', 1)",
    ] {
        rows_of(&site.admin_sql(sql).await);
    }
    let rows = |sql: &'static str| async { rows_of(&site.admin_sql(sql).await) };
    assert_eq!(rows("SHOW CATALOGS").await, json!([["aidbox_export"]]));
    assert_eq!(
        rows("SHOW SCHEMAS IN aidbox_export").await,
        json!([["fhir"], ["fhir_staging"], ["information_schema"], ["more"]])
    );
    assert_eq!(
        rows("DESCRIBE TABLE aidbox_export.more.t").await,
        json!([["id", "string", "the id"], ["n", "int", null]])
    );
    assert_eq!(
        class_of(&site.admin_sql("DROP SCHEMA aidbox_export.more").await).0,
        "SCHEMA_NOT_EMPTY"
    );
    for sql in [
        "DROP TABLE IF EXISTS aidbox_export.more.t",
        "DROP TABLE IF EXISTS aidbox_export.more.t",
        "DROP SCHEMA IF EXISTS aidbox_export.more CASCADE",
        "DROP SCHEMA IF EXISTS aidbox_export.more",
    ] {
        rows_of(&site.admin_sql(sql).await);
    }
    assert_eq!(
        class_of(&site.admin_sql("DROP TABLE aidbox_export.more.t").await).0,
        "TABLE_OR_VIEW_NOT_FOUND"
    );
}

#[tokio::test]
async fn a_query_stores_only_what_its_types_let_it() {
    let site = Site::new().await;
    for (sql, class) in [
        (
            "(id, birth_date) VALUES (concat('a'), '1990-01-15')",
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
        ),
        (
            "(birth_date) SELECT '1990-01-15'",
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
        ),
        (
            "(id, birth_date) VALUES ('a', '1990-01-15')",
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
        ),
        (
            "(is_deleted) SELECT '0'",
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
        ),
        ("(is_deleted) SELECT 3000000000", "CAST_OVERFLOW_IN_TABLE_INSERT"),
    ] {
        let told = site.sql(&format!("INSERT INTO {PATIENTS} {sql}")).await;
        assert_eq!(class_of(&told).0, class, "{sql}");
    }
    let taken = format!(
        "INSERT INTO {PATIENTS} (id, ts, birth_date, is_deleted) SELECT 7, TIMESTAMP'2026-04-01T10:00:00Z', NULL, 0L"
    );
    rows_of(&site.sql(&taken).await);
    assert_eq!(
        site.rows(&format!("SELECT id, ts, birth_date, is_deleted FROM {PATIENTS}"))
            .await,
        json!([["7", "2026-04-01T10:00:00.000Z", null, "0"]])
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
        ("SELECT (1".to_owned(), "PARSE_SYNTAX_ERROR", "42601"),
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
async fn a_column_is_renamed_and_dropped_only_where_columns_are_mapped() {
    let site = Site::new().await;
    let (rename, drop) = (
        format!("ALTER TABLE {PATIENTS} RENAME COLUMN gender TO sex"),
        format!("ALTER TABLE {PATIENTS} DROP COLUMN family_name"),
    );
    for (sql, class) in [
        (&rename, "DELTA_UNSUPPORTED_RENAME_COLUMN"),
        (&drop, "DELTA_UNSUPPORTED_DROP_COLUMN"),
    ] {
        assert_eq!(class_of(&site.sql(sql).await).0, class, "{sql}");
    }
    site.insert(
        PATIENTS,
        json!([{"id": "p-1", "gender": "male", "family_name": "X"}]),
    )
    .await
    .ok();
    let map = format!("ALTER TABLE {PATIENTS} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')");
    for sql in [&map, &rename, &drop] {
        rows_of(&site.sql(sql).await);
    }
    let again = site.sql(&drop).await;
    assert_eq!(class_of(&again).0, "UNRESOLVED_COLUMN.WITH_SUGGESTION");
    let described = site.rows(&format!("SHOW COLUMNS IN {PATIENTS}")).await;
    assert_eq!(
        described,
        json!([
            ["id"],
            ["ts"],
            ["cts"],
            ["sex"],
            ["birth_date"],
            ["given_name"],
            ["is_deleted"]
        ])
    );
    let refused = site
        .insert(PATIENTS, json!([{"id": "p-2", "gender": "male"}]))
        .await;
    assert!(
        refused.message().contains("unrecognized field name 'gender'"),
        "{}",
        refused.text
    );
    let refused = site
        .sql(&format!(
            "INSERT INTO {PATIENTS} (id, gender) VALUES ('p-2', 'male')"
        ))
        .await;
    assert_eq!(class_of(&refused).0, "UNRESOLVED_COLUMN.WITH_SUGGESTION");
    site.insert(PATIENTS, json!([{"id": "p-2", "sex": "female"}]))
        .await
        .ok();
    site.emulator.flush().await.unwrap();
    assert_eq!(
        site.rows(&format!("SELECT id, sex FROM {PATIENTS} ORDER BY id"))
            .await,
        json!([["p-1", "male"], ["p-2", "female"]])
    );
}

#[tokio::test]
async fn a_table_that_is_dropped_and_made_again_is_another_table() {
    let site = Site::new().await;
    let client = site.emulator.options().client_id.clone();
    let token = site.zerobus_token(PATIENTS).await;
    site.insert_with(&token, PATIENTS, r#"[{"id":"p-1"}]"#).await.ok();
    for sql in [
        format!("DROP TABLE {PATIENTS}"),
        format!("CREATE TABLE {PATIENTS} (id STRING, is_deleted INT)"),
    ] {
        rows_of(&site.admin_sql(&sql).await);
    }
    let refused = site.insert_with(&token, PATIENTS, r#"[{"id":"p-2"}]"#).await;
    assert_eq!(
        refused.status, 403,
        "grants went with the table: {}",
        refused.text
    );
    let grant = format!("GRANT SELECT, MODIFY ON TABLE {PATIENTS} TO `{client}`");
    rows_of(&site.admin_sql(&grant).await);
    site.insert(PATIENTS, json!([{"id": "p-3"}])).await.ok();
    site.emulator.flush().await.unwrap();
    assert_eq!(
        site.rows(&format!("SELECT id FROM {PATIENTS}")).await,
        json!([["p-3"]])
    );
}
