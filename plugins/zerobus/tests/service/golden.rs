//! Requests and answers that the emulator is held to as well, each with the fact that it stands for: the plugin says of
//! every answer what the fact means.

use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lakefeed_plugin_api::{PluginError, TableRef, Writer};
use lakefeed_plugin_testkit::meta;
use serde_json::{Value, json};

use crate::server::{Answer, Service, TABLE};

/// What the plugin makes of an answer.
fn expected(status: u16, body: &str) -> &'static str {
    match status {
        200 => "",
        400 if body.is_empty() => "ZEROBUS-012",
        400 if body.contains("Error Code: 4024") => "ZEROBUS-013",
        400 if body.contains("unrecognized field name") => "ZEROBUS-010",
        400 => "ZEROBUS-011",
        401 => "ZEROBUS-014",
        403 => "ZEROBUS-015",
        404 => "ZEROBUS-016",
        429 => "ZEROBUS-017",
        503 => "ZEROBUS-018",
        _ => panic!("no meaning is set down for {status}"),
    }
}

#[tokio::test]
async fn every_golden_answer_has_its_meaning() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/databricks-emulator/golden/rest-insert");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: there are no golden pairs at {}", folder.display());
        return;
    };
    let mut pairs = 0;
    for file in files.map(Result::unwrap) {
        let name = file.file_name().display().to_string();
        let pair: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        let status = u16::try_from(pair["answer"]["status"].as_u64().unwrap()).unwrap();
        let body = match &pair["answer"]["body"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let answer = answered(status, &body).await;
        let code = answer.err().map_or(String::new(), |error| error.code);
        assert_eq!(code, expected(status, &body), "{name}: {}", pair["fact"]);
        pairs += 1;
    }
    assert!(pairs > 10, "only {pairs} golden pairs were found");
}

async fn answered(status: u16, body: &str) -> Result<(), PluginError> {
    let answer = Answer {
        status,
        headers: Vec::new(),
        body: body.to_owned(),
    };
    // A refused token is replaced once, and a missing grant looked at once more.
    let service = Service::start(vec![answer; 4]).await;
    let zerobus = service.zerobus(json!({}));
    let ids: ArrayRef = std::sync::Arc::new(StringArray::from(vec!["p-1"]));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    zerobus
        .open(&TableRef::named(TABLE), batch.schema(), 1)
        .await
        .unwrap();
    zerobus.write(batch, &meta(1, &[0])).await.map(drop)
}
