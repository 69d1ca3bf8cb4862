//! Rows appended to a file, one JSON object a line: the smallest useful plugin, and the one to read first.
//!
//! It shows what every plugin does: parameters as a struct ([`Config`]), an instance made of them ([`Plugin`]), rows
//! taken and told durable ([`Writer`]), and a preflight ([`Check`]); `file` has the writing itself. Four promises deserve
//! a look:
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
//! | NDJSON-005 | the name is not that of a file of rows | end it in `.ndjson` or `.jsonl` |
//! | NDJSON-004 | another writer holds the file | stop that one, or choose another path |

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use lakefeed_plugin_api::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use lakefeed_plugin_api::{
    BatchMeta, Check, CheckLevel, CheckReport, Deadline, Host, Plugin, PluginError, PluginInfo, TableRef,
    WriteAck, Writer, WriterProfile, lakefeed_plugin,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::file::{append, failed, folder_of, open_at_last_row};

mod file;

/// The parameters. Their JSON Schema is made of this struct, comments included.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that rows are appended to; its name ends in `.ndjson` or `.jsonl`. It is made if it is missing; its folder must exist.
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

lakefeed_plugin! { Ndjson: [writer, check] }
