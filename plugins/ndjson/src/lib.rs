//! Rows appended to a file, one JSON object a line: the smallest useful plugin, and the one to read first.
//!
//! It shows what every plugin does: parameters as a struct ([`Config`]), an instance made of them ([`Plugin`]), rows
//! taken and told durable ([`Writer`]), and a preflight ([`Check`]). Three promises deserve a look:
//!
//! * *Durable* is said after `fsync`: of the file, and once of the folder that names it.
//! * A crash in the middle of a line leaves half a line; `open` cuts it off, so the file always holds whole rows.
//! * A batch that fails half-way is cut off too; after a crash it may be there twice, since a file remembers no batch
//!   numbers. [`WriterProfile::idempotent`] is therefore false.

use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::json::writer::{LineDelimited, WriterBuilder};
use lakefeed_plugin_api::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use lakefeed_plugin_api::{
    BatchMeta, Category, Check, CheckLevel, CheckReport, Deadline, Host, Plugin, PluginError, PluginInfo,
    TableRef, WriteAck, Writer, WriterProfile, lakefeed_plugin,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Mutex;

/// The parameters. Their JSON Schema is made of this struct, comments included.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that rows are appended to. It is made if it is missing; its folder must exist.
    #[schemars(extend("x-lakefeed-access" = "local-path"))]
    pub path: PathBuf,
}

/// One destination's file.
#[derive(Debug)]
pub struct Ndjson {
    path: PathBuf,
    file: Arc<Mutex<Option<File>>>,
}

impl Plugin for Ndjson {
    type Config = Config;

    const INFO: PluginInfo = PluginInfo {
        name: "ndjson",
        version: env!("CARGO_PKG_VERSION"),
        vendor: "lakefeed",
        license: "Apache-2.0",
    };

    fn create(config: Config, _host: Host) -> Result<Self, PluginError> {
        Ok(Self {
            path: config.path,
            file: Arc::default(),
        })
    }
}

impl Writer for Ndjson {
    async fn open(&self, _: &TableRef, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || open_at_last_row(&path)).await;
        let file = opened
            .map_err(Error::other)
            .flatten()
            .map_err(|error| self.failed("opened", &error))?;
        *self.file.lock().await = Some(file);
        Ok(WriterProfile::default())
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        let rows = batch.num_rows();
        // The guard goes with the work: if this future is dropped, the work still ends before the next begins.
        let mut file = Arc::clone(&self.file).lock_owned().await;
        let written = tokio::task::spawn_blocking(move || {
            let file = file
                .as_mut()
                .ok_or_else(|| Error::other("the file is not open"))?;
            append(file, &batch)
        });
        let bytes = written.await.map_err(Error::other).flatten();
        let bytes = bytes.map_err(|error| self.failed("written", &error))?;
        tracing::debug!(rows, bytes, batch = meta.batch_number, "rows are on disk");
        Ok(WriteAck::durable(meta, rows).bytes(bytes))
    }

    async fn evolve(&self, _: SchemaRef, _: u32) -> Result<(), PluginError> {
        Ok(()) // Every line names its own columns.
    }

    async fn close(&self, _: Deadline) -> Result<(), PluginError> {
        *self.file.lock().await = None; // All that was told is on disk already.
        Ok(())
    }
}

impl Check for Ndjson {
    async fn check(&self, level: CheckLevel) -> CheckReport {
        let mut report = CheckReport::default();
        if level >= CheckLevel::Connect {
            match folder_of(&self.path).metadata() {
                Ok(folder) if folder.is_dir() => report.passed("the folder exists"),
                Ok(_) => report.failed(
                    "the folder exists",
                    "NDJSON-002",
                    "it is not a folder",
                    "choose another path",
                ),
                Err(error) => {
                    report.failed(
                        "the folder exists",
                        "NDJSON-002",
                        error.to_string(),
                        "make it, or choose another path",
                    );
                }
            }
        }
        report
    }
}

impl Ndjson {
    fn failed(&self, what: &str, error: &Error) -> PluginError {
        let message = format!("`{}` cannot be {what}: {error}", self.path.display());
        PluginError::new(Category::RemoteUnavailable, "NDJSON-001", message)
            .hint("see that the folder exists, may be written by lakefeed, and has room")
    }
}

/// Opens the file with its end after the last whole row, and makes its name durable.
fn open_at_last_row(path: &Path) -> Result<File, Error> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    let (mut end, mut byte) = (file.metadata()?.len(), [0]);
    while end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut byte)?;
        if byte == *b"\n" {
            break;
        }
        end -= 1;
    }
    file.set_len(end)?;
    file.sync_all()?;
    File::open(folder_of(path))?.sync_all()?;
    Ok(file)
}

/// Appends the rows, all or none, and returns when they are on disk. Says how many bytes they take.
fn append(file: &mut File, batch: &RecordBatch) -> Result<u64, Error> {
    let mut lines = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(Vec::new());
    lines.write(batch).map_err(Error::other)?;
    let lines = lines.into_inner();
    let end = file.seek(SeekFrom::End(0))?;
    if let Err(error) = file.write_all(&lines).and_then(|()| file.sync_data()) {
        file.set_len(end)?; // A half-written batch would be offered, and written, again.
        return Err(error);
    }
    Ok(lines.len() as u64)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

lakefeed_plugin! { Ndjson: [writer, check] }
