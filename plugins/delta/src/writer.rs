//! Appends batches, each exactly once.
//!
//! A batch's commit carries an application transaction: the application is the destination in its generation, the
//! version is the batch's number; beside it the commit names the batch's first and last offset. Before a batch is
//! written, and after anything went wrong, the log is read on and that transaction looked up; the batch whose number it
//! has is in the table and is answered *durable* without being written. Between the look and the commit nobody can slip
//! in, since the commit is the creation of exactly the version that follows the last one that was looked at.
//!
//! Numbers only grow, and one is offered again only until the batch after it begins. A table that holds a later number,
//! or this number with other offsets, was therefore written by a store that knew more than the host's does now. What
//! the host calls batch 7 is then not what the table has of that number, and to answer *durable* would lose it: the
//! batch is refused, and the destination halts.
//!
//! Data files are durable before the commit that names them is attempted. Files of a batch whose commit failed are kept
//! in mind and named again by the next attempt; those of a process that died stay unused until a `VACUUM`.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use lakefeed_plugin_api::{
    BatchMeta, Category, ColumnType, Deadline, Ordering, PluginError, TableRef, WriteAck, Writer,
    WriterProfile,
};
use object_store::path::Path;
use serde_json::{Value, json};

use crate::data_file::{EncodedFile, Encoder, empty_where_demanded};
use crate::log::{Offsets, commit_info};
use crate::maintenance;
use crate::schema::{DeltaSchema, Shape, batch_columns};
use crate::table::{Commit, PreparedCommit, Table};
use crate::{Delta, DeltaError};

/// How many versions other writers may take before the host is asked to wait.
const ATTEMPTS: u32 = 50;

/// How many columns get statistics, unless the table says otherwise.
const INDEXED_COLUMNS: usize = 32;

/// An open table, and the batches' schema.
pub(crate) struct Session {
    table: Table,
    columns: Vec<(String, ColumnType)>,
    schema_id: u32,
    file_bytes: usize,
    auto_evolve: bool,
    /// The files of a batch that was not committed yet.
    pending: Option<Pending>,
}

/// Which batch it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BatchId {
    application: String,
    number: i64,
    offsets: Offsets,
}

/// Durable data files that no commit is known to name.
struct Pending {
    batch: BatchId,
    shape: Shape,
    files: Vec<DataFile>,
    /// Whether every row of the batch is in one of the files. A cancelled write leaves it false.
    whole: bool,
    /// Whether a commit may name them all the same.
    tried: bool,
    /// The commit that names them, readied while they were written.
    commit: Option<PreparedCommit>,
}

/// A durable data file.
struct DataFile {
    path: String,
    bytes: u64,
    rows: u64,
    stats: String,
}

/// Where a batch is.
struct Landed {
    version: Option<u64>,
    bytes: u64,
}

impl Writer for Delta {
    async fn open(
        &self,
        _table: &TableRef,
        schema: SchemaRef,
        schema_id: u32,
    ) -> Result<WriterProfile, PluginError> {
        let columns = batch_columns(&schema)?;
        let storage = self.storage()?;
        storage.check_exclusive().await?;
        storage.sweep().await;
        let table = Table::open_or_create(&storage, DeltaSchema::new(&columns), "").await?;
        maintenance::warn_of_many_files(&table, 0);
        let session = Session::new(table, columns, schema_id, self);
        session.shape()?;
        *self.session.lock().await = Some(session);
        Ok(WriterProfile {
            preferred_rows: 50_000,
            preferred_bytes: 32 << 20,
            ordering: Ordering::Total,
            idempotent: true,
            row_errors: true,
            ..WriterProfile::default()
        })
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        let mut session = self.session.lock().await;
        let session = session.as_mut().ok_or_else(not_open)?;
        if meta.schema_id != session.schema_id {
            return Err(out_of_order("the batch has a schema that was not announced"));
        }
        if batch.num_rows() == 0 {
            return Ok(WriteAck::durable(meta, 0));
        }
        let landed = session.append(&batch, meta).await?;
        let version = landed
            .version
            .map(|version| version.to_string())
            .unwrap_or_default();
        Ok(WriteAck::durable(meta, batch.num_rows())
            .bytes(landed.bytes)
            .remote_id(version))
    }

    async fn evolve(&self, schema: SchemaRef, schema_id: u32) -> Result<(), PluginError> {
        let columns = batch_columns(&schema)?;
        let mut session = self.session.lock().await;
        let session = session.as_mut().ok_or_else(not_open)?;
        session.table.refresh().await?;
        Shape::new(
            &session.table.metadata.schema.columns(),
            &columns,
            session.auto_evolve,
        )?;
        (session.columns, session.schema_id) = (columns, schema_id);
        Ok(())
    }

    async fn close(&self, _deadline: Deadline) -> Result<(), PluginError> {
        *self.session.lock().await = None;
        Ok(())
    }
}

impl Session {
    fn new(table: Table, columns: Vec<(String, ColumnType)>, schema_id: u32, delta: &Delta) -> Self {
        let (file_bytes, auto_evolve) = (delta.checked.file_bytes, delta.checked.auto_evolve);
        Self {
            table,
            columns,
            schema_id,
            file_bytes,
            auto_evolve,
            pending: None,
        }
    }

    /// How the batches lie in the table as it is now.
    fn shape(&self) -> Result<Shape, DeltaError> {
        self.table.check_writable()?;
        Shape::new(
            &self.table.metadata.schema.columns(),
            &self.columns,
            self.auto_evolve,
        )
    }

    /// Brings the batch into the table, unless it is there.
    async fn append(&mut self, batch: &RecordBatch, meta: &BatchMeta) -> Result<Landed, DeltaError> {
        let id = BatchId::new(meta)?;
        for _ in 0..ATTEMPTS {
            self.table.refresh().await?;
            if self.holds(&id).await? {
                return self.found_there().await;
            }
            let shape = self.shape()?;
            let refused = empty_where_demanded(batch, &shape, meta);
            if !refused.is_empty() {
                return Err(DeltaError::Empty { refused });
            }
            self.write_files(batch, shape, &id).await?;
            match self.commit(&id).await? {
                Some(landed) => return Ok(landed),
                None => tracing::debug!(
                    version = self.table.version + 1,
                    "another writer was first; reading on"
                ),
            }
        }
        Err(DeltaError::Contended { attempts: ATTEMPTS })
    }

    /// Whether the batch is in the table. One that cannot come any more is refused.
    async fn holds(&mut self, batch: &BatchId) -> Result<bool, DeltaError> {
        let Some(seen) = self.table.transaction(&batch.application).await? else {
            return Ok(false);
        };
        if seen < batch.number {
            return Ok(false);
        }
        let is_it = seen == batch.number && {
            let known = self.table.offsets(&batch.application, seen).await?;
            // Those of a commit that lies far back, or of an older version's, are not known.
            known.is_none_or(|known| known == batch.offsets)
        };
        match is_it {
            true => Ok(true),
            false => Err(DeltaError::SetBack {
                seen,
                number: batch.number,
            }),
        }
    }

    /// The batch is in the log already. It is durable once the log's folder is: whoever committed it may have died
    /// before that.
    async fn found_there(&mut self) -> Result<Landed, DeltaError> {
        let sync = self.table.storage.sync_log().await;
        sync.map_err(DeltaError::storage("making the table's log durable"))?;
        self.drop_pending().await;
        Ok(Landed {
            version: None,
            bytes: 0,
        })
    }

    /// Makes the batch's files durable, unless an earlier attempt did.
    async fn write_files(
        &mut self,
        batch: &RecordBatch,
        shape: Shape,
        id: &BatchId,
    ) -> Result<(), DeltaError> {
        let reusable = |pending: &Pending| pending.batch == *id && pending.whole && pending.shape == shape;
        if self.pending.as_ref().is_some_and(reusable) {
            return Ok(());
        }
        self.drop_pending().await;
        let encoder = Encoder::new(batch, &shape, self.file_bytes, self.indexed_columns())?;
        // Set aside before the first file, so that those of a failed attempt are not forgotten.
        self.pending = Some(Pending {
            batch: id.clone(),
            shape,
            files: Vec::new(),
            whole: false,
            tried: false,
            commit: None,
        });
        let encoded = self.encode_into_pending(encoder).await;
        if encoded.is_err() {
            self.drop_pending().await;
        }
        encoded
    }

    async fn encode_into_pending(&mut self, mut encoder: Encoder) -> Result<(), DeltaError> {
        loop {
            // Encoding keeps a core busy for as long as a second; the runtime's other tasks go on meanwhile.
            let task = tokio::task::spawn_blocking(move || {
                let file = encoder.next_file();
                (encoder, file)
            });
            let (returned, file) = task.await.map_err(DeltaError::internal("encoding a data file"))?;
            encoder = returned;
            let Some(file) = file? else { break };
            self.write_file(file, encoder.is_done()).await?;
        }
        if let Some(pending) = &mut self.pending {
            pending.whole = true;
        }
        Ok(())
    }

    /// Writes one of the pending files, and beside the last of them readies the commit that names them all.
    async fn write_file(&mut self, file: EncodedFile, is_last: bool) -> Result<(), DeltaError> {
        let Some(pending) = &mut self.pending else {
            return Err(DeltaError::internal("writing a data file")("its batch is gone"));
        };
        // A name that nobody else chooses. Kept in mind before it is there: what a failure leaves is removed.
        let path = format!("part-00000-{}-c000.snappy.parquet", uuid::Uuid::new_v4());
        pending.files.push(DataFile {
            path: path.clone(),
            bytes: file.bytes.len() as u64,
            rows: file.stats.rows(),
            stats: file.stats.to_json(),
        });
        let path = Path::from(path);
        let upload = self.table.storage.upload(&path, file.bytes);
        let lines = is_last.then(|| pending.lines());
        let prepare = async {
            match &lines {
                Some(lines) => self.table.prepare(lines).await,
                None => None,
            }
        };
        let (uploaded, commit) = futures::join!(upload, prepare);
        pending.commit = commit;
        uploaded.map_err(DeltaError::storage("writing a data file"))
    }

    fn indexed_columns(&self) -> usize {
        match self.table.metadata.property("delta.dataSkippingNumIndexedCols") {
            Some("-1") => usize::MAX,
            Some(text) => text.parse().unwrap_or(INDEXED_COLUMNS),
            None => INDEXED_COLUMNS,
        }
    }

    /// Commits the pending files; none if another writer took the version.
    async fn commit(&mut self, id: &BatchId) -> Result<Option<Landed>, DeltaError> {
        let Some(pending) = self.pending.as_mut() else {
            return Err(DeltaError::internal("committing the batch")("its files are gone"));
        };
        pending.tried = true;
        let (files, bytes) = (pending.files.len() as u64, pending.bytes());
        let committed = match pending.commit.take() {
            Some(commit) => self.table.commit_prepared(commit).await,
            None => self.table.commit(&pending.lines()).await,
        };
        match committed {
            Ok(Commit::Taken) => Ok(None),
            Ok(Commit::Done(version)) => {
                self.pending = None;
                maintenance::after_commit(&mut self.table, files).await;
                Ok(Some(Landed {
                    version: Some(version),
                    bytes,
                }))
            }
            Err(error) => {
                // The answer may be lost and the commit there.
                tracing::debug!(%error, "a commit failed; reading whether it is there");
                self.table.refresh().await?;
                if self.holds(id).await? {
                    return self.found_there().await.map(Some);
                }
                Err(DeltaError::storage("committing the batch")(error))
            }
        }
    }

    /// Removes files that no commit names. Those that a commit may name stay.
    async fn drop_pending(&mut self) {
        let Some(pending) = self.pending.take().filter(|pending| !pending.tried) else {
            return;
        };
        for file in &pending.files {
            self.table.storage.forget(&Path::from(file.path.as_str())).await;
        }
    }
}

impl BatchId {
    fn new(meta: &BatchMeta) -> Result<Self, DeltaError> {
        Ok(Self {
            application: format!("lakefeed/{}/{}", meta.destination, meta.generation),
            number: i64::try_from(meta.batch_number).map_err(DeltaError::internal("numbering the batch"))?,
            offsets: Offsets {
                first: meta.first_offset,
                last: meta.last_offset,
            },
        })
    }
}

impl Pending {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The commit: what was done, whose transaction it is, and the files.
    fn lines(&self) -> Vec<Value> {
        let now = Utc::now().timestamp_millis();
        let rows: u64 = self.files.iter().map(|file| file.rows).sum();
        let metrics = json!({
            "numFiles": self.files.len().to_string(),
            "numOutputRows": rows.to_string(),
            "numOutputBytes": self.bytes().to_string(),
        });
        // The time of the transaction is what a table that forgets old transactions goes by.
        let BatchId {
            application,
            number,
            offsets,
        } = &self.batch;
        let txn = json!({"txn": {"appId": application, "version": number, "lastUpdated": now}});
        let mut info = commit_info("WRITE", json!({"mode": "Append", "partitionBy": "[]"}), metrics);
        offsets.add_to(&mut info);
        let mut lines = vec![info, txn];
        lines.extend(self.files.iter().map(|file| {
            json!({"add": {
                "path": file.path, "partitionValues": {}, "size": file.bytes, "modificationTime": now,
                "dataChange": true, "stats": file.stats,
            }})
        }));
        lines
    }
}

fn not_open() -> PluginError {
    out_of_order("the writer is not open")
}

fn out_of_order(problem: &str) -> PluginError {
    PluginError::new(Category::PluginContract, "DELTA-031", problem)
}
