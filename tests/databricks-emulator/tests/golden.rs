//! The golden pairs of REST insert: each request gets its answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use databricks_emulator::{Fault, Setting};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{PATIENTS, Site};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    fact: String,
    #[serde(default)]
    given: BTreeMap<Fault, Setting>,
    request: Request,
    answer: Answer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Value,
}

const GOLDEN: &str = "aidbox_export.fhir.golden";
const COLUMNS: &str = "id STRING NOT NULL, ts TIMESTAMP, birth_date DATE, active BOOLEAN, score DOUBLE, amount \
                       DECIMAL(10,2), count BIGINT, note STRING, is_deleted INT NOT NULL";

fn pairs() -> Vec<(String, Pair)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/rest-insert");
    let mut pairs: Vec<(String, Pair)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let pair = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, pair)
        })
        .collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs
}

#[tokio::test]
async fn each_golden_request_gets_its_answer() {
    let site = Site::with_tables(&[("golden", COLUMNS)]).await;
    let expired = site.zerobus_token(GOLDEN).await;
    site.emulator.expire_tokens();
    let tokens = [
        ("$ZEROBUS", site.zerobus_token(GOLDEN).await),
        ("$OTHER", site.zerobus_token(PATIENTS).await),
        ("$PLAIN", site.plain_token().await),
        ("$EXPIRED", expired),
    ];
    let pairs = pairs();
    assert!(pairs.len() >= 25, "only {} pairs", pairs.len());
    for (name, pair) in pairs {
        site.emulator.faults().clear_all();
        for (fault, setting) in pair.given {
            site.emulator.faults().set(fault, setting);
        }
        let mut request = site
            .http
            .post(format!("{}{}", site.emulator.url(), pair.request.path));
        for (header, value) in pair.request.headers {
            let value = tokens
                .iter()
                .fold(value, |value, (mark, token)| value.replace(mark, token));
            request = request.header(header, value);
        }
        let response = request.body(pair.request.body).send().await.unwrap();
        let status = response.status().as_u16();
        for (header, value) in pair.answer.headers {
            assert_eq!(response.headers()[&header], value, "{name}");
        }
        let text = response.text().await.unwrap();
        let body = if text.is_empty() {
            json!("")
        } else {
            serde_json::from_str(&text).unwrap()
        };
        assert_eq!(status, pair.answer.status, "{name} ({}): {text}", pair.fact);
        assert_eq!(body, pair.answer.body, "{name} ({})", pair.fact);
    }
    site.emulator.faults().clear_all();
    site.emulator.flush().await.unwrap();
    let ids = site.rows(&format!("SELECT id FROM {GOLDEN} ORDER BY id")).await;
    assert_eq!(
        ids,
        json!([["p-1"], ["p-2"], ["p-3"], ["p-4"], ["p-5"], ["p-6"]]),
        "what was refused left nothing behind"
    );
}
