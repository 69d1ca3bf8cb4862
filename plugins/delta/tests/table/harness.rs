//! Batches to write, a reader that shares no code with the writer, and a store that fails when told.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path as FsPath;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures::stream::BoxStream;
use lakefeed_plugin_api::{BatchMeta, Deadline, Durability, PluginError, Source, TableRef, Writer};
use lakefeed_plugin_delta::durable_store::DurableStore;
use lakefeed_plugin_delta::{Config, Delta};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

pub(crate) fn config(path: &FsPath, more: Value) -> Config {
    let mut config = json!({"tablePath": path.to_str().unwrap()});
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

pub(crate) fn delta(path: &FsPath) -> Delta {
    Delta::new(&config(path, json!({}))).unwrap()
}

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("n", DataType::Int32, true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            true,
        ),
        Field::new("is_deleted", DataType::Int32, true),
    ]))
}

/// Rows whose column `n` is these numbers.
pub(crate) fn rows(numbers: std::ops::Range<i32>) -> RecordBatch {
    let count = numbers.len();
    let ids = numbers.clone().map(|n| format!("p{n}"));
    let times = numbers.clone().map(|n| 1_700_000_000_000_000 + i64::from(n));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(Int32Array::from_iter_values(numbers)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("+00:00")),
        Arc::new(Int32Array::from(vec![0; count])),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub(crate) fn meta(destination: &str, batch_number: u64, rows: usize) -> BatchMeta {
    BatchMeta {
        destination: destination.into(),
        generation: 1,
        batch_number,
        attempt: 1,
        idempotency_key: format!("{destination}-1-{batch_number}"),
        first_offset: batch_number,
        last_offset: batch_number,
        source: Source::Live,
        schema_id: 1,
        change_starts: (0..rows as u64).collect(),
        deadline: Deadline::none(),
        traceparent: String::new(),
    }
}

pub(crate) async fn open(delta: &Delta) -> std::result::Result<(), PluginError> {
    delta.open(&TableRef::default(), schema(), 1).await.map(drop)
}

/// Writes the batch, which must be durable whole, and gives the version that it became; empty if it was there.
pub(crate) async fn send(
    delta: &Delta,
    batch: RecordBatch,
    meta: &BatchMeta,
) -> std::result::Result<String, PluginError> {
    let ack = delta.write(batch, meta).await?;
    assert_eq!(
        (ack.durability, ack.durable_prefix),
        (Durability::Durable, meta.changes() as u64)
    );
    Ok(ack.remote_id)
}

/// Sends the batch of that number, which holds the ten rows from `number * 10` on.
pub(crate) async fn write(
    delta: &Delta,
    destination: &str,
    number: i32,
) -> std::result::Result<String, PluginError> {
    let batch = rows(number * 10..number * 10 + 10);
    let meta = meta(destination, number as u64, batch.num_rows());
    send(delta, batch, &meta).await
}

/// The log's lines, oldest first. Fails if a version is missing.
pub(crate) fn log(table: &FsPath) -> Vec<Value> {
    let mut lines = Vec::new();
    for version in 0.. {
        let Ok(text) = std::fs::read_to_string(table.join(format!("_delta_log/{version:020}.json"))) else {
            let entries = std::fs::read_dir(table.join("_delta_log")).unwrap();
            let commits = entries.filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .ends_with("0.json")
                    || entry
                        .as_ref()
                        .unwrap()
                        .path()
                        .extension()
                        .is_some_and(|e| e == "json")
            });
            assert_eq!(commits.count(), version, "the log has a hole");
            return lines;
        };
        lines.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    lines
}

pub(crate) fn versions(table: &FsPath) -> usize {
    log(table)
        .iter()
        .filter(|line| line.get("commitInfo").is_some())
        .count()
}

/// The live files and their `add` actions, by replaying the log.
pub(crate) fn files(table: &FsPath) -> BTreeMap<String, Value> {
    let mut live = BTreeMap::new();
    for line in log(table) {
        if let Some(path) = line["add"]["path"].as_str() {
            assert!(
                live.insert(path.to_owned(), line["add"].clone()).is_none(),
                "{path} was added twice"
            );
        }
        if let Some(path) = line["remove"]["path"].as_str() {
            live.remove(path);
        }
    }
    live
}

pub(crate) fn read_file(path: &FsPath) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    reader.map(|batch| batch.unwrap()).collect()
}

/// Every value of column `n` in the table, sorted.
pub(crate) fn numbers(table: &FsPath) -> Vec<i32> {
    let mut numbers = Vec::new();
    for (path, add) in files(table) {
        let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        let batches = read_file(&table.join(&path));
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(stats["numRecords"], rows);
        assert_eq!(add["size"], std::fs::metadata(table.join(&path)).unwrap().len());
        for batch in batches {
            let column = batch
                .column_by_name("n")
                .unwrap()
                .as_primitive::<Int32Type>()
                .clone();
            assert_eq!(column.null_count(), 0);
            numbers.extend_from_slice(column.values());
        }
    }
    numbers.sort_unstable();
    numbers
}

/// Names in the table's folder that the log does not name.
pub(crate) fn orphans(table: &FsPath) -> Vec<String> {
    let live = files(table);
    let names = std::fs::read_dir(table)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| name != "_delta_log" && !live.contains_key(name))
        .collect()
}

/// How a put of a name fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not done.
    Lost,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is done, the answer is lost, and a client that repeats it by itself reports that the name is taken.
    Repeated,
}

/// A durable folder whose next put of a name that ends so fails.
#[derive(Clone)]
pub(crate) struct Faulty {
    pub(crate) inner: DurableStore,
    next: Arc<Mutex<Option<(String, Fault)>>>,
    mute: Arc<AtomicBool>,
}

impl Faulty {
    pub(crate) fn new(table: &FsPath) -> Self {
        Self {
            inner: DurableStore::create(table).unwrap(),
            next: Arc::default(),
            mute: Arc::default(),
        }
    }

    pub(crate) fn fail(&self, suffix: &str, fault: Fault) {
        *self.next.lock().unwrap() = Some((suffix.into(), fault));
    }

    /// Whether reads are answered from now on.
    pub(crate) fn set_answering(&self, answering: bool) {
        self.mute.store(!answering, Ordering::Relaxed);
    }

    fn due(&self, location: &Path) -> Option<Fault> {
        let mut next = self.next.lock().unwrap();
        let (_, fault) = next
            .as_ref()
            .filter(|(suffix, _)| location.as_ref().ends_with(suffix.as_str()))?;
        let fault = *fault;
        *next = None;
        Some(fault)
    }

    pub(crate) fn delta(&self) -> Delta {
        Delta::with_store(&config(FsPath::new("/unused"), json!({})), Arc::new(self.clone())).unwrap()
    }
}

fn dead_line() -> Error {
    Error::Generic {
        store: "Faulty",
        source: "the line went dead".into(),
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let fault = self.due(location);
        if fault == Some(Fault::Lost) {
            return Err(dead_line());
        }
        let answer = self.inner.put_opts(location, payload, opts).await;
        match fault {
            Some(Fault::AnswerLost) => Err(dead_line()),
            Some(Fault::Repeated) => Err(Error::AlreadyExists {
                path: location.to_string(),
                source: "412".into(),
            }),
            _ => answer,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.mute.load(Ordering::Relaxed) {
            return Err(dead_line());
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Appends a commit that somebody else made.
pub(crate) fn foreign_commit(table: &FsPath, lines: &[Value]) {
    let version = versions(table);
    let mut all = vec![json!({"commitInfo": {"operation": "OTHER"}})];
    all.extend_from_slice(lines);
    let text: Vec<String> = all.iter().map(Value::to_string).collect();
    std::fs::write(
        table.join(format!("_delta_log/{version:020}.json")),
        text.join("\n"),
    )
    .unwrap();
}

/// The table's latest metadata.
pub(crate) fn metadata(table: &FsPath) -> Value {
    log(table)
        .into_iter()
        .filter_map(|line| line.get("metaData").cloned())
        .next_back()
        .unwrap()
}
