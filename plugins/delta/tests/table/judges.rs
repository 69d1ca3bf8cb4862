//! Readers and servers that others wrote. Each test is skipped, and says so, where Python lacks what it needs:
//! `LAKEFEED_JUDGE_PYTHON`, or `.venv/bin/python` at the top of the checkout, with `duckdb==1.5.5`,
//! `duckdb-extensions`, `duckdb-extension-delta`, `duckdb-extension-httpfs`, `pytz` and `moto[s3,server]`.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::harness::*;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray,
};
use futures::future::join_all;
use lakefeed_plugin_api::{Check, CheckLevel, Plugin, TableRef, Writer};
use lakefeed_plugin_delta::{Config, Delta};
use lakefeed_plugin_testkit::FakeHost;
use serde_json::{Value, json};

fn python(test: &str, needs: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("LAKEFEED_JUDGE_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| here.join("../../.venv/bin/python"));
    let has = Command::new(&python)
        .args(["-c", &format!("import {needs}")])
        .stderr(Stdio::null())
        .status();
    if has.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    println!("skipped: {test} (no Python with {needs})");
    None
}

fn judge(python: &Path, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn column_of(answer: &Value, place: usize) -> Vec<i32> {
    let rows = answer["rows"].as_array().unwrap();
    let mut values: Vec<i32> = rows
        .iter()
        .map(|row| row[place].as_str().unwrap().parse().unwrap())
        .collect();
    values.sort_unstable();
    values
}

fn every_type() -> RecordBatch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), Some("b")]);
    lists.append_null();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(vec![Some("ä'\n"), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), None]))),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("+00:00")),
        ),
        ("long", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("double", Arc::new(Float64Array::from(vec![Some(0.1), None]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        (
            "bytes",
            Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff"), None])),
        ),
        ("list", Arc::new(lists.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_every_type_as_it_was_written() {
    let Some(python) = python("duckdb_reads_every_type", "duckdb, duckdb_extensions, pytz") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let delta = delta(&table);
    let batch = every_type();
    delta.open(&TableRef::default(), batch.schema(), 1).await.unwrap();
    send(&delta, batch, &meta("d", 1, 2)).await.unwrap();
    let answer = judge(&python, &[table.to_str().unwrap()]);
    let types: Vec<&str> = answer["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column[1].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "VARCHAR",
            "DATE",
            "TIMESTAMP WITH TIME ZONE",
            "BIGINT",
            "DOUBLE",
            "BOOLEAN",
            "BLOB",
            "VARCHAR[]"
        ]
    );
    let first = json!([
        "ä'\n",
        "1969-12-31",
        "1970-01-01 00:00:00.000001+00:00",
        "9223372036854775807",
        "0.1",
        "True",
        r"b'\x00\xff'",
        "['a', 'b']"
    ]);
    assert_eq!(
        answer["rows"],
        json!([first, [null, null, null, null, null, null, null, null]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_each_row_once_past_a_checkpoint_and_an_added_column() {
    let Some(python) = python("duckdb_past_a_checkpoint", "duckdb, duckdb_extensions, pytz") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    let store = Faulty::new(&table);
    let delta = store.delta();
    open(&delta).await.unwrap();
    for number in 0..104 {
        if number % 20 == 7 {
            store.fail(&format!("{}.json", number + 1), Fault::AnswerLost);
        }
        write(&delta, "d", number).await.unwrap();
    }
    let mut changed = metadata(&table);
    let mut schema: Value = serde_json::from_str(changed["schemaString"].as_str().unwrap()).unwrap();
    let column = json!({"name": "note", "type": "string", "nullable": true, "metadata": {}});
    schema["fields"].as_array_mut().unwrap().push(column);
    changed["schemaString"] = schema.to_string().into();
    foreign_commit(&table, &[json!({"metaData": changed})]);
    write(&delta, "d", 104).await.unwrap();
    let answer = judge(&python, &[table.to_str().unwrap()]);
    assert_eq!(column_of(&answer, 1), (0..1050).collect::<Vec<_>>());
    assert!(
        answer["rows"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row[4].is_null())
    );
}

/// moto, ended when dropped.
struct S3 {
    server: Child,
    address: String,
}

impl S3 {
    fn start(python: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moto_strict.py");
        let mut command = Command::new(python);
        let server = command
            .arg(script)
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Self {
            server: server.spawn().unwrap(),
            address: format!("127.0.0.1:{port}"),
        };
        for _ in 0..300 {
            if TcpStream::connect(&server.address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let bucket = "import boto3,sys; boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1',\
            aws_access_key_id='key', aws_secret_access_key='secret').create_bucket(Bucket='lake')";
        let url = format!("http://{}", server.address);
        assert!(
            Command::new(python)
                .args(["-c", bucket, &url])
                .status()
                .unwrap()
                .success()
        );
        server
    }

    fn config(&self) -> Config {
        serde_json::from_value(json!({
            "tablePath": "s3://lake/a b/ü%/patients", "awsRegion": "us-east-1",
            "awsAccessKeyId": "key", "awsSecretAccessKey": {"env": "UNUSED"},
            "s3Endpoint": format!("http://{}", self.address),
        }))
        .unwrap()
    }
}

/// An instance whose secret the host knows.
fn instance(config: Config) -> Delta {
    let host = FakeHost::new();
    host.set_secret("awsSecretAccessKey", "secret");
    Delta::create(config, host.host()).unwrap()
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_writers_in_one_bucket_lose_nothing_and_repeat_nothing() {
    let Some(python) = python("four_writers_in_one_bucket", "moto, boto3, werkzeug, flask") else {
        return;
    };
    let s3 = S3::start(&python);
    let writers = (0..4).map(|writer| {
        let delta = instance(s3.config());
        tokio::spawn(async move {
            open(&delta).await.unwrap();
            for step in 0..5 {
                for _ in 0..2 {
                    write(&delta, &format!("d{writer}"), writer * 5 + step)
                        .await
                        .unwrap();
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let delta = instance(s3.config());
    let report = delta.check(CheckLevel::WriteProbe).await;
    assert!(report.is_good(), "{report:?}");
    // Opened again, each writer's last batch is known to be there.
    open(&delta).await.unwrap();
    for writer in 0..4 {
        let written = write(&delta, &format!("d{writer}"), writer * 5 + 4).await;
        assert_eq!(written.unwrap(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_what_was_written_to_a_bucket() {
    let Some(python) = python(
        "duckdb_reads_a_bucket",
        "moto, boto3, flask, duckdb, duckdb_extensions",
    ) else {
        return;
    };
    let s3 = S3::start(&python);
    let mut config = s3.config();
    config.table_path = "s3://lake/patients".into();
    let delta = instance(config);
    open(&delta).await.unwrap();
    for number in 0..3 {
        write(&delta, "d", number).await.unwrap();
    }
    let answer = judge(&python, &["s3://lake/patients", &s3.address, "key", "secret"]);
    assert_eq!(column_of(&answer, 1), (0..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_to_a_bucket_in_parts() {
    let Some(python) = python(
        "a_large_file_in_parts",
        "moto, boto3, flask, duckdb, duckdb_extensions",
    ) else {
        return;
    };
    let s3 = S3::start(&python);
    let mut config = s3.config();
    config.table_path = "s3://lake/large".into();
    let delta = instance(config);
    let count = 700_000u64;
    let noise = (0..count).map(|n| {
        let mut value = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let words = [0; 4].map(|_: u64| {
            value = (value ^ (value >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            format!("{value:016x}")
        });
        words.concat()
    });
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(noise));
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values((0..count).map(|n| n as i64)));
    let batch = RecordBatch::try_from_iter([("text", text), ("number", number)]).unwrap();
    delta.open(&TableRef::default(), batch.schema(), 1).await.unwrap();
    let ack = delta.write(batch, &meta("d", 1, count as usize)).await.unwrap();
    assert!(ack.bytes > 32 << 20, "{} bytes", ack.bytes);
    let script = "import duckdb,sys\nfrom duckdb_extensions import import_extension as i\n\
        i('delta'); i('httpfs'); c=duckdb.connect(); c.execute('LOAD delta; LOAD httpfs')\n\
        c.execute(f\"CREATE SECRET (TYPE s3, KEY_ID 'key', SECRET 'secret', ENDPOINT '{sys.argv[1]}',\
         REGION 'us-east-1', USE_SSL false, URL_STYLE 'path')\")\n\
        print(c.execute(\"SELECT count(*), sum(number) FROM delta_scan('s3://lake/large')\").fetchone())";
    let output = Command::new(&python)
        .args(["-c", script, &s3.address])
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(
        answer,
        format!("({count}, {})", count * (count - 1) / 2),
        "{output:?}"
    );
}
