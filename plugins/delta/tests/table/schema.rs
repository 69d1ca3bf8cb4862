//! Tables and views that drift apart: what is added, what is left empty, what is refused and how that is said.

use std::path::Path;
use std::sync::Arc;

use crate::harness::*;
use arrow::array::{ArrayRef, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use lakefeed_plugin_api::{
    Category, CreateTable, EvolutionPlan, MappedColumn, MappedSchema, PluginError, Retry, SchemaMapper,
    TableAdmin, TableKind, TableRef, Writer,
};
use lakefeed_plugin_delta::{Delta, DeltaTypes};
use serde_json::{Value, json};

async fn made(table: &Path) {
    let delta = delta(table);
    open(&delta).await.unwrap();
    write(&delta, "d", 1).await.unwrap();
}

fn with(name: &str, array: ArrayRef) -> RecordBatch {
    let batch = rows(0..2);
    let mut columns: Vec<(String, ArrayRef)> = vec![("id".into(), batch.column(0).clone())];
    columns.push((name.into(), array));
    RecordBatch::try_from_iter(columns).unwrap()
}

fn numbers_of(name: &str) -> RecordBatch {
    with(name, Arc::new(Int32Array::from(vec![1, 2])))
}

async fn open_with(table: &Path, more: Value, batch: &RecordBatch) -> Result<Delta, PluginError> {
    let delta = Delta::new(&config(table, more)).unwrap();
    delta.open(&TableRef::default(), batch.schema(), 1).await?;
    Ok(delta)
}

fn change_metadata(table: &Path, change: impl FnOnce(&mut Value, &mut Value)) {
    let mut metadata = metadata(table);
    let mut schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    change(&mut metadata, &mut schema);
    metadata["schemaString"] = schema.to_string().into();
    foreign_commit(table, &[json!({"metaData": metadata})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_is_asked_for_only_where_the_operator_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    made(&table).await;
    let batch = numbers_of("extra");
    let refused = open_with(&table, json!({}), &batch).await.err().unwrap();
    assert_eq!(
        (refused.category, refused.retry),
        (Category::ConfigInvalid, Retry::Never)
    );
    assert!(refused.message.contains("`extra`"));
    let asked = open_with(&table, json!({"autoEvolve": true}), &batch)
        .await
        .err()
        .unwrap();
    assert_eq!(
        (asked.category, asked.retry),
        (Category::SchemaMismatch, Retry::EvolveThenRetry)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drift_loop_adds_the_column_and_keeps_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    made(&table).await;
    change_metadata(&table, |metadata, _| {
        metadata["configuration"]["delta.appendOnly"] = "true".into()
    });
    let batch = numbers_of("extra");
    let delta = Delta::new(&config(&table, json!({"autoEvolve": true}))).unwrap();
    assert!(delta.open(&TableRef::default(), batch.schema(), 1).await.is_err());

    let have = delta.describe(&TableRef::at("x")).await.unwrap();
    assert!(have.exists);
    let column = |name: &str, column_type: &str, sql_type: &str| MappedColumn {
        name: name.into(),
        column_type: column_type.parse().unwrap(),
        sql_type: sql_type.into(),
    };
    let want = MappedSchema {
        columns: vec![column("id", "utf8", "STRING"), column("extra", "int32", "INT")],
    };
    let plan = DeltaTypes.plan(&have, &want).unwrap();
    let before = metadata(&table);
    assert_eq!(delta.apply(&plan).await.unwrap().added, ["extra"]);
    assert!(
        delta.apply(&plan).await.unwrap().added.is_empty(),
        "what is there is not added again"
    );
    let after = metadata(&table);
    assert_eq!(
        (&before["id"], &before["configuration"]),
        (&after["id"], &after["configuration"])
    );

    delta.open(&TableRef::default(), batch.schema(), 1).await.unwrap();
    send(&delta, batch, &meta("d", 2, 2)).await.unwrap();
    assert_eq!(files(&table).len(), 2);
    let described = delta.describe(&TableRef::default()).await.unwrap();
    assert_eq!(described.table, TableRef::at(table.to_str().unwrap()));
    let names: Vec<String> = delta
        .describe(&TableRef::default())
        .await
        .unwrap()
        .columns
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(names, ["id", "n", "at", "is_deleted", "extra"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_appears_between_batches_is_seen_by_the_running_writer() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let running = Delta::new(&config(&table, json!({"autoEvolve": true}))).unwrap();
    open(&running).await.unwrap();
    write(&running, "d", 1).await.unwrap();
    let batch = numbers_of("extra");
    let error = running.evolve(batch.schema(), 2).await.unwrap_err();
    assert_eq!(error.retry, Retry::EvolveThenRetry);
    write(&running, "d", 2).await.unwrap();
    change_metadata(&table, |_, schema| {
        let column = json!({"name": "extra", "type": "integer", "nullable": true, "metadata": {}});
        schema["fields"].as_array_mut().unwrap().push(column);
    });
    running.evolve(batch.schema(), 2).await.unwrap();
    let mut meta = meta("d", 3, 2);
    meta.schema_id = 2;
    send(&running, batch, &meta).await.unwrap();
    assert_eq!(files(&table).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_column_stops_the_running_writer_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let running = delta(&table);
    open(&running).await.unwrap();
    change_metadata(&table, |_, schema| {
        drop(schema["fields"].as_array_mut().unwrap().remove(1))
    });
    let error = write(&running, "d", 1).await.unwrap_err();
    assert!(error.message.contains("lacks the columns `n`"), "{error}");
    assert!(orphans(&table).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_are_refused_and_a_wider_integer_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    made(&table).await;
    let wrong = with("n", Arc::new(StringArray::from(vec!["a", "b"])));
    let error = open_with(&table, json!({"autoEvolve": true}), &wrong)
        .await
        .err()
        .unwrap();
    assert_eq!(error.category, Category::SchemaIncompatible);
    assert!(
        error
            .message
            .contains("`n` is INT in the table and STRING in the view")
    );

    let wide = folder.path().join("wide");
    let longs = with("n", Arc::new(Int64Array::from(vec![1, 2])));
    open_with(&wide, json!({}), &longs).await.unwrap();
    let narrow = numbers_of("n");
    let delta = open_with(&wide, json!({}), &narrow).await.unwrap();
    send(&delta, narrow, &meta("d", 1, 2)).await.unwrap();
    let (path, _) = files(&wide).pop_first().unwrap();
    let read = read_file(&wide.join(path));
    assert_eq!(
        read[0].column_by_name("n").unwrap().data_type(),
        &arrow::datatypes::DataType::Int64
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_carry_parquets_own_name_for_their_items() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), None]);
    lists.append_null();
    let batch = with("names", Arc::new(lists.finish()));
    let delta = open_with(&table, json!({}), &batch).await.unwrap();
    send(&delta, batch, &meta("d", 1, 2)).await.unwrap();
    let (path, _) = files(&table).pop_first().unwrap();
    let read = read_file(&table.join(path));
    let schema = read[0].schema();
    assert!(
        schema.field(1).data_type().to_string().contains("element"),
        "{schema}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_the_table_demands_must_be_in_the_view_and_filled() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    made(&table).await;
    change_metadata(&table, |_, schema| schema["fields"][1]["nullable"] = false.into());
    let error = open_with(&table, json!({"autoEvolve": true}), &numbers_of("is_deleted"))
        .await
        .err()
        .unwrap();
    assert_eq!((error.code.as_str(), error.retry), ("DELTA-012", Retry::Never));

    let batch = with("n", Arc::new(Int32Array::from(vec![Some(1), None])));
    let delta = open_with(&table, json!({}), &batch).await.unwrap();
    let error = delta.write(batch, &meta("d", 2, 2)).await.unwrap_err();
    assert_eq!(error.category, Category::DataRejected);
    let refused: Vec<_> = error
        .refused
        .iter()
        .map(|r| (r.change, r.row, r.column.as_str()))
        .collect();
    assert_eq!(refused, [(1, Some(1), "n")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_demand_more_than_an_append_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    made(&table).await;
    let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors", "appendOnly"]});
    foreign_commit(&table, &[json!({"protocol": protocol})]);
    let error = open_with(&table, json!({}), &rows(0..1)).await.err().unwrap();
    assert_eq!(
        (error.code.as_str(), error.category),
        ("DELTA-014", Category::TargetUnsupported)
    );
    assert!(error.message.contains("`deletionVectors`"));

    let partitioned = folder.path().join("p");
    made(&partitioned).await;
    change_metadata(&partitioned, |metadata, _| {
        metadata["partitionColumns"] = json!(["n"])
    });
    let error = open_with(&partitioned, json!({}), &rows(0..1))
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, "DELTA-013");
    assert!(error.message.contains("`n`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_made_ahead_is_the_one_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let admin = delta(&table);
    assert!(!admin.describe(&TableRef::at("t")).await.unwrap().exists);
    assert!(!table.exists(), "a description makes nothing");
    let column = |name: &str| MappedColumn {
        name: name.into(),
        column_type: "utf8".parse().unwrap(),
        sql_type: "STRING".into(),
    };
    let wanted = |columns: Vec<MappedColumn>| CreateTable {
        table: TableRef::default(),
        kind: TableKind::External,
        columns,
        comment: "made ahead".into(),
    };
    admin.create(&wanted(vec![column("id")])).await.unwrap();
    admin.create(&wanted(vec![column("id")])).await.unwrap();
    let more = admin
        .create(&wanted(vec![column("id"), column("x")]))
        .await
        .unwrap_err();
    assert_eq!(more.category, Category::SchemaMismatch);
    assert_eq!(metadata(&table)["description"], "made ahead");
    let blocked = lakefeed_plugin_api::Blocked {
        kind: lakefeed_plugin_api::BlockedKind::Narrow,
        column: "id".into(),
        reason: "no".into(),
        ddl: String::new(),
    };
    let plan = EvolutionPlan {
        blocked: vec![blocked],
        add: vec![column("y")],
        ..EvolutionPlan::default()
    };
    assert_eq!(
        admin.apply(&plan).await.unwrap_err().category,
        Category::SchemaIncompatible
    );
    assert_eq!(versions(&table), 1);
}
