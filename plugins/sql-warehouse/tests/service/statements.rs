//! Statements from their text to what is told of their end.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lakefeed_plugin_api::{
    BatchMeta, Category, CloudCredentials, ColumnType, CredentialOperation, CredentialRequest,
    CredentialTarget, CredentialVendor, Deadline, EvolutionPlan, MappedColumn, PluginError, Retry,
    ScalarType, TableAdmin, TableRef, WriteAck, Writer,
};
use lakefeed_plugin_testkit::meta;
use serde_json::json;

use crate::server::{Service, TABLE, described, failed, rows};

fn batch() -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["p-1", "it's"]));
    RecordBatch::try_from_iter([("id", column)]).unwrap()
}

fn column(name: &str) -> MappedColumn {
    MappedColumn {
        name: name.into(),
        column_type: ColumnType::Scalar(ScalarType::Utf8),
        sql_type: "STRING".into(),
    }
}

async fn written(service: &Service, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
    let warehouse = service.warehouse();
    warehouse
        .open(&TableRef::named(TABLE), batch().schema(), 1)
        .await
        .unwrap();
    warehouse.write(batch(), meta).await
}

/// A service whose table is there and whose inserts end so.
async fn inserts(answer: (u16, serde_json::Value)) -> Service {
    Service::start(move |_, sql| match sql.starts_with("INSERT") {
        true => answer.clone(),
        false => described(&[("id", "string")]),
    })
    .await
}

#[tokio::test]
async fn a_batch_is_one_statement_with_named_columns_and_typed_literals() {
    let service = inserts(rows(&["num_inserted_rows"], json!([["2"]]))).await;
    let ack = written(&service, &meta(1, &[0, 1])).await.unwrap();
    assert_eq!(
        (ack.durable_prefix, ack.rows, ack.remote_id.as_str()),
        (2, 2, "01f1-1")
    );
    assert_eq!(
        service.statements()[1],
        r"INSERT INTO `aidbox_export`.`fhir`.`patients` (`id`) VALUES ('p-1'),('it\'s')"
    );
}

#[tokio::test]
async fn failures_are_told_by_class_and_quote_nothing() {
    let check = |class: &'static str, state: &'static str, category: Category, retry: Retry| async move {
        let service = inserts(failed(class, state)).await;
        let error = written(&service, &meta(1, &[0, 1])).await.unwrap_err();
        assert_eq!((error.category, error.retry), (category, retry), "{class}");
        assert!(!error.to_string().contains("Jane") && error.detail.contains("Jane"));
        assert!(!format!("{:?}", service.host.logs()).contains("Jane"));
    };
    check(
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
        "42703",
        Category::SchemaMismatch,
        Retry::EvolveThenRetry,
    )
    .await;
    check(
        "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
        "23502",
        Category::DataRejected,
        Retry::Never,
    )
    .await;
    check(
        "DELTA_CONCURRENT_APPEND",
        "2D521",
        Category::RemoteUnavailable,
        Retry::Backoff,
    )
    .await;
    check(
        "INSUFFICIENT_PERMISSIONS",
        "42501",
        Category::AuthDenied,
        Retry::Never,
    )
    .await;
    check(
        "TABLE_OR_VIEW_NOT_FOUND",
        "42P01",
        Category::RemoteUnavailable,
        Retry::After,
    )
    .await;
}

#[tokio::test]
async fn answers_that_are_no_json_survive() {
    for (status, body, code) in [
        (502, json!("<html>Bad Gateway</html>"), "DBX-004"),
        (404, json!(""), "DBX-008"),
        (504, json!("DEADLINE_EXCEEDED: x"), "DBX-004"),
        (200, json!("<html>"), "DBX-006"),
    ] {
        let error = written(&inserts((status, body)).await, &meta(1, &[0, 1]))
            .await
            .unwrap_err();
        assert_eq!(error.code, code, "{status}");
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let service = Service::start(|before, _| match before {
        0 => (
            403,
            json!({"error_code": 403, "message": "Invalid access token. [ReqId: x]"}),
        ),
        _ => described(&[("id", "string")]),
    })
    .await;
    assert!(
        service
            .warehouse()
            .describe(&TableRef::named(TABLE))
            .await
            .unwrap()
            .exists
    );
    assert_eq!(service.statements().len(), 2);
}

#[tokio::test]
async fn a_warehouse_that_wakes_up_is_waited_for() {
    let service = inserts((
        200,
        json!({"statement_id": "01f1-9", "status": {"state": "PENDING"}}),
    ))
    .await;
    service.later(&["PENDING", "RUNNING", "SUCCEEDED"]);
    let ack = written(&service, &meta(1, &[0, 1])).await.unwrap();
    assert_eq!(ack.durable_prefix, 2);
    assert_eq!(service.others(), ["get 01f1-9"; 3]);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_and_its_end_is_known() {
    let service = inserts((
        200,
        json!({"statement_id": "01f1-9", "status": {"state": "RUNNING"}}),
    ))
    .await;
    service.later(&["RUNNING", "CANCELED"]);
    let hurried = BatchMeta {
        deadline: Deadline::after(Duration::from_millis(2_700)),
        ..meta(1, &[0, 1])
    };
    let error = written(&service, &hurried).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.outcome_unknown), ("DBX-010", false));
    assert!(service.others().contains(&"cancel 01f1-9".to_owned()));
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_cancelled_at_the_workspace() {
    let service = inserts((
        200,
        json!({"statement_id": "01f1-9", "status": {"state": "RUNNING"}}),
    ))
    .await;
    service.later(&["RUNNING"]);
    let whole = meta(1, &[0, 1]);
    let waiting = written(&service, &whole);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), waiting)
            .await
            .is_err()
    );
    for _ in 0..100 {
        if service.others().contains(&"cancel 01f1-9".to_owned()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the statement was not cancelled: {:?}", service.others());
}

#[tokio::test]
async fn columns_that_somebody_else_added_are_no_failure() {
    let service = Service::start(|_, sql| match sql.contains("`b`") {
        true => failed("FIELD_ALREADY_EXISTS", "42710"),
        false => rows(&[], json!([])),
    })
    .await;
    let plan = EvolutionPlan {
        table: TableRef::named(TABLE),
        add: vec![column("a"), column("b")],
        blocked: Vec::new(),
    };
    let applied = service.warehouse().apply(&plan).await.unwrap();
    assert_eq!(applied.added, ["a"]);
    assert_eq!(service.statements().len(), 3);
}

#[tokio::test]
async fn a_missing_table_is_an_answer_and_a_table_that_is_there_is_as_good_as_made() {
    let service = Service::start(|_, sql| match sql {
        sql if sql.starts_with("CREATE") => failed("TABLE_OR_VIEW_ALREADY_EXISTS", "42P07"),
        sql if sql.starts_with("DROP") => failed("TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        sql if sql.contains("'gone'") => described(&[]),
        _ => described(&[("id", "string")]),
    })
    .await;
    let warehouse = service.warehouse();
    let gone = TableRef::named("a.b.gone");
    assert!(!warehouse.describe(&gone).await.unwrap().exists);
    let error = warehouse.open(&gone, batch().schema(), 1).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.retry),
        ("SQLW-001", Retry::EvolveThenRetry)
    );
    let wanted = |name: &str| lakefeed_plugin_api::CreateTable {
        table: TableRef::named(TABLE),
        kind: lakefeed_plugin_api::TableKind::Managed,
        columns: vec![column(name)],
        comment: String::new(),
    };
    assert!(warehouse.create(&wanted("ID")).await.is_ok());
    assert_eq!(
        warehouse.create(&wanted("other")).await.unwrap_err().code,
        "SQLW-006"
    );
    assert!(warehouse.drop_table(&gone).await.is_ok());
}

#[tokio::test]
async fn credentials_come_from_the_catalog_with_the_region_of_the_parameters() {
    let service = Service::start(|_, _| rows(&[], json!([]))).await;
    let request = CredentialRequest {
        target: CredentialTarget::Path("s3://b/staging/x".into()),
        operation: CredentialOperation::ReadWrite,
    };
    let credentials = service.warehouse().vend(&request).await.unwrap();
    assert_eq!(credentials.expires_at_ms, Some(1_775_041_200_000));
    assert!(matches!(credentials.cloud, CloudCredentials::Aws { region, .. } if region == "us-east-1"));
}
