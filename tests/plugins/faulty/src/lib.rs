//! A writer that misbehaves as it is told, for the tests of the host.
//!
//! Rows that it calls durable are lines of JSON in `path`, so that a test can count them. `fault` says what happens in
//! `write`; with `times` it happens so often in the life of the process and then no more, counted per path, so that a
//! new instance goes on counting.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::json::LineDelimitedWriter;
use lakefeed_plugin_api::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use lakefeed_plugin_api::{
    BatchMeta, Category, Check, CheckLevel, CheckReport, Deadline, Host, Plugin, PluginError, PluginInfo,
    Refusal, TableRef, WriteAck, Writer, WriterProfile, lakefeed_plugin,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// `create` panics.
    PanicInCreate,
    /// `open` panics.
    PanicInOpen,
    /// `write` panics before it writes.
    Panic,
    /// `write` panics after the rows are in the file.
    PanicAfterWrite,
    /// `write` blocks its thread for a minute.
    Block,
    /// `write` never ends, and blocks nobody.
    Never,
    /// `write` fails for want of the target; nothing is written.
    Unavailable,
    /// `write` fails with an unknown outcome after the rows are in the file.
    Unknown,
    /// `write` is told to slow down, for 50 ms.
    Throttled,
    /// `write` is refused for an expired token.
    AuthExpired,
    /// `write` is refused for want of a right.
    AuthDenied,
    /// `write` finds another schema in the table, until `evolve` is called.
    SchemaMismatch,
    /// `write` takes at most `max_rows` rows at once.
    TooLarge,
    /// `write` refuses the changes that hold `refuse_value` in `refuse_column`, and writes the others.
    RefuseNamed,
    /// `write` refuses the whole batch if any row holds `refuse_value`, and does not say which.
    RefuseUnnamed,
    /// `write` makes the first half of the changes durable and says so.
    HalfPrefix,
    /// `write` tells of more changes than there are.
    TooMuchTold,
}

/// The parameters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The file that rows are appended to.
    #[schemars(extend("x-lakefeed-access" = "local-path"))]
    pub path: PathBuf,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Fault,
    /// How often; 0 for always.
    #[serde(default)]
    pub times: u32,
    /// How long each write takes before anything else, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// The column that is looked at.
    #[serde(default)]
    pub refuse_column: String,
    /// The text in it that is refused.
    #[serde(default)]
    pub refuse_value: String,
    /// How many rows are taken at once.
    #[serde(default)]
    pub max_rows: usize,
    /// How many writes may be under way together; 0 is read as 1.
    #[serde(default)]
    pub max_in_flight: u32,
}

/// One destination's file and its fault.
#[derive(Debug)]
pub struct Faulty {
    config: Config,
    evolved: Mutex<bool>,
}

/// How often each path's fault has happened.
static HAPPENED: Mutex<Option<HashMap<PathBuf, u32>>> = Mutex::new(None);

impl Plugin for Faulty {
    type Config = Config;

    const INFO: PluginInfo = PluginInfo {
        name: "faulty",
        version: env!("CARGO_PKG_VERSION"),
        vendor: "lakefeed",
        license: "Apache-2.0",
    };

    fn create(config: Config, _host: Host) -> Result<Self, PluginError> {
        let faulty = Self {
            config,
            evolved: Mutex::new(false),
        };
        if faulty.strikes(Fault::PanicInCreate) {
            deliberate_panic();
        }
        Ok(faulty)
    }
}

impl Writer for Faulty {
    async fn open(&self, _: &TableRef, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
        if self.strikes(Fault::PanicInOpen) {
            deliberate_panic();
        }
        let named = self.config.fault == Fault::RefuseNamed;
        let max_in_flight = self.config.max_in_flight.max(1);
        Ok(WriterProfile {
            max_in_flight,
            row_errors: named,
            ..WriterProfile::default()
        })
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        tracing::info!(
            rows = batch.num_rows(),
            attempt = meta.attempt,
            "a batch has come"
        );
        tokio::time::sleep(Duration::from_millis(self.config.delay_ms)).await;
        if let Some(refused) = self.refuse(&batch, meta)? {
            return self.write_others(&batch, meta, refused);
        }
        self.fail_before(&batch).await?;
        if self.strikes(Fault::HalfPrefix) && meta.changes() > 1 {
            let half = meta.changes() / 2;
            let rows = meta.change_starts[half] as usize;
            self.append(&batch.slice(0, rows))?;
            return Ok(WriteAck {
                durable_prefix: half as u64,
                ..WriteAck::durable(meta, rows)
            });
        }
        self.append(&batch)?;
        let mut ack = WriteAck::durable(meta, batch.num_rows());
        if self.strikes(Fault::PanicAfterWrite) {
            deliberate_panic();
        }
        if self.strikes(Fault::Unknown) {
            let error = PluginError::new(Category::RemoteUnavailable, "FAULTY-002", "the answer was lost");
            return Err(error.outcome_unknown());
        }
        if self.strikes(Fault::TooMuchTold) {
            ack.durable_prefix += 1;
        }
        Ok(ack)
    }

    async fn evolve(&self, _: SchemaRef, _: u32) -> Result<(), PluginError> {
        *self.evolved.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }

    async fn close(&self, _: Deadline) -> Result<(), PluginError> {
        Ok(())
    }
}

impl Check for Faulty {
    async fn check(&self, _: CheckLevel) -> CheckReport {
        let mut report = CheckReport::default();
        match self.config.fault {
            Fault::None => report.passed("nothing is wrong"),
            _ => report.failed("nothing is wrong", "FAULTY-001", "a fault is set", "set none"),
        }
        report
    }
}

impl Faulty {
    /// Whether this fault happens now. Counts it if so.
    fn strikes(&self, fault: Fault) -> bool {
        if self.config.fault != fault {
            return false;
        }
        let mut happened = HAPPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let count = happened
            .get_or_insert_default()
            .entry(self.config.path.clone())
            .or_default();
        *count += 1;
        self.config.times == 0 || *count <= self.config.times
    }

    /// The faults that strike before anything is written.
    async fn fail_before(&self, batch: &RecordBatch) -> Result<(), PluginError> {
        if self.strikes(Fault::Panic) {
            deliberate_panic();
        }
        if self.strikes(Fault::Block) {
            std::thread::sleep(Duration::from_secs(60));
        }
        if self.strikes(Fault::Never) {
            std::future::pending::<()>().await;
        }
        let evolved = *self.evolved.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = if self.strikes(Fault::Unavailable) {
            Category::RemoteUnavailable
        } else if self.strikes(Fault::Throttled) {
            Category::Throttled
        } else if self.strikes(Fault::AuthExpired) {
            Category::AuthExpired
        } else if self.strikes(Fault::AuthDenied) {
            Category::AuthDenied
        } else if !evolved && self.strikes(Fault::SchemaMismatch) {
            Category::SchemaMismatch
        } else if batch.num_rows() > self.config.max_rows && self.strikes(Fault::TooLarge) {
            Category::PayloadTooLarge
        } else {
            return Ok(());
        };
        let error = PluginError::new(failure, "FAULTY-001", "the fault that was set has struck");
        Err(if failure == Category::Throttled {
            error.after(Duration::from_millis(50))
        } else {
            error
        })
    }

    /// The changes to refuse one by one; an error if the whole batch is refused; nothing if all is well.
    fn refuse(&self, batch: &RecordBatch, meta: &BatchMeta) -> Result<Option<Vec<Refusal>>, PluginError> {
        let Some(column) = batch.column_by_name(&self.config.refuse_column) else {
            return Ok(None);
        };
        let Some(texts) = column.as_string_opt::<i32>() else {
            return Ok(None);
        };
        let bad = |row: &usize| texts.is_valid(*row) && texts.value(*row) == self.config.refuse_value;
        let refused = (0..batch.num_rows()).filter(bad).map(|row| Refusal {
            change: meta.change_of_row(row as u64),
            row: Some(row as u64),
            column: self.config.refuse_column.clone(),
            code: "FAULTY-003".to_owned(),
            message: format!("`{}` is refused", self.config.refuse_value),
        });
        let mut refused: Vec<Refusal> = refused.collect();
        refused.dedup_by_key(|refusal| refusal.change);
        match self.config.fault {
            Fault::RefuseNamed if !refused.is_empty() => Ok(Some(refused)),
            Fault::RefuseUnnamed if !refused.is_empty() => Err(PluginError::new(
                Category::DataRejected,
                "FAULTY-003",
                "a row of the batch is refused",
            )),
            _ => Ok(None),
        }
    }

    /// Writes the changes that are not refused.
    fn write_others(
        &self,
        batch: &RecordBatch,
        meta: &BatchMeta,
        refused: Vec<Refusal>,
    ) -> Result<WriteAck, PluginError> {
        let mut rows = 0;
        for row in 0..batch.num_rows() {
            let change = meta.change_of_row(row as u64);
            if refused.iter().all(|refusal| refusal.change != change) {
                self.append(&batch.slice(row, 1))?;
                rows += 1;
            }
        }
        Ok(WriteAck::durable(meta, rows).refused(refused))
    }

    fn append(&self, batch: &RecordBatch) -> Result<(), PluginError> {
        let mut lines = LineDelimitedWriter::new(Vec::new());
        let written = lines.write(batch).map_err(std::io::Error::other).and_then(|()| {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.config.path)?;
            file.write_all(&lines.into_inner())?;
            file.sync_all()
        });
        written.map_err(|error| {
            PluginError::new(
                Category::RemoteUnavailable,
                "FAULTY-004",
                format!("the file fails: {error}"),
            )
        })
    }
}

#[expect(clippy::panic, reason = "panicking is what it is for")]
fn deliberate_panic() {
    panic!("the faulty plugin panics as it was told");
}

lakefeed_plugin! { Faulty: [writer, check] }
