//! The statements that an operator is told to run, written down for Apache Spark to judge (`tests/judges/spark`).

#![allow(clippy::unwrap_used, reason = "a helper of a test fails with it")]

use lakefeed_plugin_api::{
    ColumnType, MappedColumn, MappedSchema, Plugin, ScalarType, SchemaMapper, TableColumn, TableRef,
    TableSchema,
};
use lakefeed_plugin_databricks_types::{Config, DatabricksTypes};
use lakefeed_plugin_testkit::FakeHost;
use serde_json::json;

#[path = "../../../tests/judges/spark/collect.rs"]
mod collect;

use collect::Group;

fn has(name: &str, sql_type: &str, nullable: bool) -> TableColumn {
    TableColumn {
        name: name.into(),
        sql_type: sql_type.into(),
        column_type: None,
        nullable,
    }
}

fn wants(name: &str, sql_type: &str) -> MappedColumn {
    MappedColumn {
        name: name.into(),
        column_type: ColumnType::Scalar(ScalarType::Utf8),
        sql_type: sql_type.into(),
    }
}

#[test]
fn every_difference_that_a_statement_closes_is_closed_by_the_one_that_is_told() {
    let mapper = DatabricksTypes::create(Config {}, FakeHost::new().host()).unwrap();
    let have = TableSchema {
        table: TableRef::named("c.s.it's"),
        exists: true,
        columns: vec![
            has("count", "INT", true),
            has("birthDate", "DATE", true),
            has("must`be", "STRING", false),
        ],
        ..TableSchema::default()
    };
    let want = MappedSchema {
        columns: vec![wants("count", "BIGINT"), wants("birth_date", "DATE")],
    };
    let plan = mapper.plan(&have, &want).unwrap();
    assert_eq!(plan.blocked.len(), 3);
    let group = Group::new("databricks-types", &["c"]);
    group.set_up(
        "CREATE TABLE c.s.`it's` (count INT, birthDate DATE, `must``be` STRING NOT NULL) USING DELTA",
    );
    for blocked in &plan.blocked {
        assert!(blocked.ddl.starts_with("ALTER TABLE `c`.`s`.`it's` "));
        for statement in blocked.ddl.split("; ") {
            group.statement(statement);
        }
    }
    let columns = json!([["count", "bigint"], ["birth_date", "date"], ["must`be", "string"]]);
    group.table("c.s.`it's`", &columns, &json!([]));
}
