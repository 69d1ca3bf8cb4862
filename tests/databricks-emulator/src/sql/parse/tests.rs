//! Statements that are read, and what is refused in which words.

use super::*;
use crate::catalog::Kind;

fn name(text: &str) -> Name {
    text.split('.').map(str::to_owned).collect()
}

#[test]
fn the_set_up_of_the_product_is_read() {
    let sql = "CREATE TABLE aidbox_export.fhir.patients (id STRING, ts TIMESTAMP, birth_date DATE NOT NULL COMMENT \
               'born', d DECIMAL(10, 2), a ARRAY<STRING>) USING DELTA LOCATION 's3://b/x' TBLPROPERTIES \
               ('delta.appendOnly' = 'true')";
    let Ok(Statement::CreateTable(table)) = parse(sql) else {
        panic!("{:?}", parse(sql));
    };
    assert_eq!(table.name, name("aidbox_export.fhir.patients"));
    let texts: Vec<String> = table
        .columns
        .iter()
        .map(|column| column.sql_type.text())
        .collect();
    assert_eq!(
        texts,
        ["string", "timestamp", "date", "decimal(10,2)", "array<string>"]
    );
    assert!(!table.columns[2].nullable);
    assert_eq!(table.columns[2].comment.as_deref(), Some("born"));
    assert_eq!(table.location.as_deref(), Some("s3://b/x"));
    assert_eq!(table.properties["delta.appendOnly"], "true");
}

#[test]
fn columns_are_added_with_and_without_parentheses() {
    for sql in [
        "ALTER TABLE c.s.t ADD COLUMNS (a STRING, b INT)",
        "alter table `c`.`s`.`t` add column a string, b int;",
        "ALTER TABLE c.s.t ADD COLUMN (a STRING, b INT)",
    ] {
        let Ok(Statement::AddColumns { table, columns }) = parse(sql) else {
            panic!("{:?}", parse(sql));
        };
        assert_eq!((table, columns.len()), (name("c.s.t"), 2));
    }
}

#[test]
fn a_merge_is_read_with_a_list_and_with_a_star() {
    let sql = "MERGE INTO c.s.t AS t USING (SELECT * FROM c.s_staging.x WHERE a IN ('WHEN')) s ON t.id = s.id WHEN NOT \
               MATCHED THEN INSERT (id, `n`) VALUES (s.id, coalesce(s.n, 0))";
    let Ok(Statement::Merge(merge)) = parse(sql) else {
        panic!("{:?}", parse(sql));
    };
    assert_eq!(merge.target_alias.as_deref(), Some("t"));
    assert_eq!(merge.source, "(SELECT * FROM c.s_staging.x WHERE a IN ('WHEN'))");
    assert_eq!(merge.condition, "t.id = s.id");
    let insert = merge.insert.unwrap();
    assert_eq!(insert[1], ("n".to_owned(), "coalesce(s.n, 0)".to_owned()));
    let star = "MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *";
    assert!(
        matches!(parse(star), Ok(Statement::Merge(merge)) if merge.insert.is_none() && merge.target_alias.is_none())
    );
}

#[test]
fn a_grant_is_read_as_the_troubleshooting_list_writes_it() {
    let sql = "GRANT EXTERNAL USE LOCATION ON EXTERNAL LOCATION `Loc` TO `sp-id`;";
    assert_eq!(
        parse(sql),
        Ok(Statement::Grant {
            privileges: vec![Privilege::ExternalUseLocation],
            on: Securable::new(Kind::ExternalLocation, "loc"),
            principal: "sp-id".to_owned(),
        })
    );
    assert_eq!(
        parse("REVOKE SELECT, MODIFY ON c.s.t FROM p"),
        Ok(Statement::Revoke {
            privileges: vec![Privilege::Select, Privilege::Modify],
            on: Securable::new(Kind::Table, "c.s.t"),
            principal: "p".to_owned(),
        })
    );
    assert!(matches!(
        parse("SHOW GRANTS ON EXTERNAL LOCATION `x`"),
        Ok(Statement::ShowGrants { .. })
    ));
}

#[test]
fn the_rows_of_an_insert_are_left_where_they_are() {
    let sql = "INSERT INTO c.s.t (`id`, n) VALUES ('a', 1)";
    let Ok(Statement::Insert(insert)) = parse(sql) else {
        panic!("{:?}", parse(sql));
    };
    assert_eq!(insert.columns, Some(vec!["id".to_owned(), "n".to_owned()]));
    let Source::Values { from, .. } = insert.source else {
        panic!()
    };
    assert_eq!(&sql[from..], " ('a', 1)");
}

#[test]
fn what_cannot_be_read_has_its_class() {
    for (sql, class) in [
        ("", "PARSE_EMPTY_STATEMENT"),
        ("  -- nothing\n", "PARSE_SYNTAX_ERROR"),
        ("SELCT 1", "PARSE_SYNTAX_ERROR"),
        ("CREATE SCHEMA c.s; DROP SCHEMA c.s", "PARSE_SYNTAX_ERROR"),
        ("CREATE TABLE t (a STRING", "PARSE_SYNTAX_ERROR"),
        ("CREATE TABLE t (a NOSUCH)", "UNSUPPORTED_DATATYPE"),
        (
            "CREATE SCHEMA c.s LOCATION 's3://b/x'",
            "UNITY_CATALOG_SCHEMA_LOCATION_NOT_SUPPORTED",
        ),
        ("GRANT FLY ON TABLE t TO p", "PARSE_SYNTAX_ERROR"),
        ("INSERT INTO t", "PARSE_SYNTAX_ERROR"),
        ("DELETE FROM t", "UNSUPPORTED_FEATURE.EMULATOR"),
    ] {
        assert_eq!(parse(sql).unwrap_err().class, class, "{sql}");
    }
}
