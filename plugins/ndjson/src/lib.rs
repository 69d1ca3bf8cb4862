//! Rows appended to a file, one JSON object a line: the smallest useful plugin, and the one to read first.
//!
//! It shows what every plugin does: parameters as a struct ([`Config`]), an instance made of them ([`Plugin`]), rows
//! taken and told durable ([`Writer`]), and a preflight ([`Check`]). Four promises deserve a look:
//!
//! * *Durable* is said after `fsync`: of the file, and once of the folder that names it.
//! * A crash in the middle of a line leaves half a line; `open` cuts it off, so the file always holds whole rows.
//! * A batch that fails half-way is cut off too; after a crash it may be there twice, since a file remembers no batch
//!   numbers. [`WriterProfile::idempotent`] is therefore false.
//! * Nothing but rows is touched: a file that does not begin with `{`, a link and a device are refused, and so is a file
//!   that another writer holds.
//!
//! | code | means | remedy |
//! |---|---|---|
//! | NDJSON-001 | the file cannot be opened or written | see to the folder, its rights and its room |
//! | NDJSON-002 | the folder of the file is missing | make it, or choose another path |
//! | NDJSON-003 | there is something else at the path | choose another path |
//! | NDJSON-004 | another writer holds the file | stop that one, or choose another path |

use std::fs::{File, OpenOptions};
use std::io::{Error, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::json::writer::{LineDelimited, WriterBuilder};
use lakefeed_plugin_api::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use lakefeed_plugin_api::{
    BatchMeta, Category, Check, CheckLevel, CheckReport, Deadline, Host, Plugin, PluginError, PluginInfo,
    TableRef, WriteAck, Writer, WriterProfile, lakefeed_plugin,
};
use rustix::{fs::OFlags, io::Errno};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Mutex;

/// How much of the file's end is read at once in search of the last row.
const BLOCK: usize = 64 * 1024;

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
        self.with_file(move |file| {
            *file = None; // Its lock would be in the way.
            *file = Some(open_at_last_row(&path)?);
            Ok(WriterProfile::default())
        })
        .await
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        let (path, rows) = (self.path.clone(), batch.num_rows());
        let bytes = self.with_file(move |file| append(file, &path, &batch)).await?;
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
    /// Works on the file where blocking is allowed. The guard goes with the work: if this future is dropped, the work
    /// still ends before the next begins.
    async fn with_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<File>) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let mut file = Arc::clone(&self.file).lock_owned().await;
        let done = tokio::task::spawn_blocking(move || work(&mut file)).await;
        done.map_err(|error| failed(&self.path, &error.into()))?
    }
}

/// Opens the file, cut after its last whole row and held against other writers, and makes its name durable.
fn open_at_last_row(path: &Path) -> Result<File, PluginError> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let file = match options.open(path) {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => return Err(foreign(path)),
        opened => opened.map_err(|error| failed(path, &error))?,
    };
    if file.try_lock().is_err() {
        let message = format!("`{}` is held by another writer", path.display());
        return Err(
            PluginError::new(Category::RemoteUnavailable, "NDJSON-004", message)
                .hint("stop the other writer, or choose another path"),
        );
    }
    if !holds_rows(&file).map_err(|error| failed(path, &error))? {
        return Err(foreign(path));
    }
    let cut = end_of_last_row(&file).and_then(|end| file.set_len(end));
    cut.and_then(|()| file.sync_all())
        .and_then(|()| File::open(folder_of(path))?.sync_all())
        .map_err(|error| failed(path, &error))?;
    Ok(file)
}

/// Whether the file is empty, or begins as a row does.
fn holds_rows(file: &File) -> Result<bool, Error> {
    let mut first = [b'{'];
    Ok(file.metadata()?.is_file() && file.read_at(&mut first, 0).map(|_| first == *b"{")?)
}

/// Where the last whole row ends.
fn end_of_last_row(file: &File) -> Result<u64, Error> {
    let mut block = vec![0; BLOCK];
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = (end - 1) / BLOCK as u64 * BLOCK as u64;
        block.resize(usize::try_from(end - start).unwrap_or(BLOCK), 0);
        file.read_exact_at(&mut block, start)?;
        if let Some(newline) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Appends the rows, all or none, and returns when they are on disk. Says how many bytes they take.
fn append(slot: &mut Option<File>, path: &Path, batch: &RecordBatch) -> Result<u64, PluginError> {
    let mut lines = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(Vec::new());
    let encoded = lines.write(batch).map_err(Error::other);
    encoded.map_err(|error| failed(path, &error))?;
    let lines = lines.into_inner();
    // It goes back only when its end is known; otherwise it is closed here, and the next write opens it anew.
    let mut file = match slot.take() {
        Some(file) => file,
        None => open_at_last_row(path)?,
    };
    let end = file.metadata().map_err(|error| failed(path, &error))?.len();
    let written = file.write_all(&lines).and_then(|()| file.sync_data());
    // A half-written batch would be offered, and written, again.
    if written.is_ok() || file.set_len(end).is_ok() {
        *slot = Some(file);
    }
    written.map_err(|error| failed(path, &error))?;
    Ok(lines.len() as u64)
}

fn failed(path: &Path, error: &Error) -> PluginError {
    let message = format!("`{}` cannot be written: {error}", path.display());
    PluginError::new(Category::RemoteUnavailable, "NDJSON-001", message)
        .hint("see that the folder exists, may be written by lakefeed, and has room")
}

fn foreign(path: &Path) -> PluginError {
    let message = format!("`{}` is not a file of rows", path.display());
    PluginError::new(Category::ConfigInvalid, "NDJSON-003", message)
        .hint("choose another path: only a plain file that begins with `{` is appended to")
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

lakefeed_plugin! { Ndjson: [writer, check] }

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails with it")]

    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array};

    #[test]
    fn a_file_that_cannot_be_rolled_back_is_opened_anew_by_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.ndjson");
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        std::fs::write(&path, "{}\n").unwrap();
        // What is opened for reading can be neither written nor cut.
        let mut slot = Some(File::open(&path).unwrap());
        assert_eq!(append(&mut slot, &path, &batch).unwrap_err().code, "NDJSON-001");
        assert!(slot.is_none());
        append(&mut slot, &path, &batch).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n{\"n\":1}\n");
    }
}
