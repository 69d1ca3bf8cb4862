//! One Delta table that is open: append, add columns, read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::kernel::Transaction;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::kernel::{StructField, StructType};
use deltalake::operations::create::CreateBuilder;
use deltalake::operations::write::SchemaMode;
use deltalake::protocol::SaveMode;
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use thiserror::Error;
use url::Url;

use crate::types::{Column, delta_schema, of_delta_schema};

/// A table's files or log could not be read or written.
#[derive(Debug, Error)]
pub(crate) enum StorageError {
    /// The location is not one that stands for a folder.
    #[error("the location names no folder")]
    Location,
    /// The table has a type that the emulator does not know.
    #[error("the table has a column of a type that is not known here")]
    Schema,
    /// Delta's own failure.
    #[error("the table: {0}")]
    Delta(#[from] DeltaTableError),
    /// Files beside Delta's.
    #[error("the files of the table: {0}")]
    Files(#[from] std::io::Error),
}

/// A table and what its log said when it was last looked at.
#[derive(Debug)]
pub(crate) struct OpenTable {
    table: DeltaTable,
    folder: PathBuf,
    durable: bool,
}

fn url_of(folder: &Path) -> Result<Url, StorageError> {
    Url::from_directory_path(folder).map_err(|()| StorageError::Location)
}

impl OpenTable {
    pub(crate) async fn open(folder: &Path, durable: bool) -> Result<Self, StorageError> {
        let table = DeltaTableBuilder::from_url(url_of(folder)?)?.load().await?;
        Ok(Self {
            table,
            folder: folder.to_owned(),
            durable,
        })
    }

    pub(crate) async fn create(
        folder: &Path,
        columns: &[Column],
        partitions: &[String],
        durable: bool,
    ) -> Result<(), StorageError> {
        std::fs::create_dir_all(folder)?;
        let schema: StructType =
            serde_json::from_value(delta_schema(columns)).map_err(|_| StorageError::Schema)?;
        let fields: Vec<StructField> = schema.fields().cloned().collect();
        let table = CreateBuilder::new()
            .with_location(url_of(folder)?.as_str())
            .with_columns(fields)
            .with_partition_columns(partitions.iter().cloned())
            .with_save_mode(SaveMode::ErrorIfExists)
            .await?;
        let made = Self {
            table,
            folder: folder.to_owned(),
            durable,
        };
        made.sync()
    }

    /// Reads what was committed since, also by others.
    pub(crate) async fn refresh(&mut self) -> Result<(), StorageError> {
        Ok(self.table.update_state().await?)
    }

    /// What the columns are by the log.
    pub(crate) fn columns(&self) -> Result<Vec<Column>, StorageError> {
        let schema = self.table.snapshot()?.schema();
        let schema = serde_json::to_value(schema.as_ref()).map_err(|_| StorageError::Schema)?;
        of_delta_schema(&schema).ok_or(StorageError::Schema)
    }

    /// How many versions, files and bytes there are.
    pub(crate) fn size(&self) -> (i64, usize) {
        let version = self
            .table
            .version()
            .and_then(|version| i64::try_from(version).ok());
        let files = self.table.get_file_uris().map(Iterator::count);
        (version.unwrap_or(-1), files.unwrap_or(0))
    }

    /// Appends batches as one commit. `marker` names the writer's own number of this append, so that it can ask later
    /// whether it happened.
    pub(crate) async fn append(
        &mut self,
        batches: Vec<RecordBatch>,
        marker: Option<(&str, i64)>,
    ) -> Result<(), StorageError> {
        let mut properties = CommitProperties::default();
        if let Some((application, version)) = marker {
            let transaction = Transaction::new(application, version);
            properties = properties.with_application_transaction(transaction);
        }
        let mut writer = RecordBatchWriter::for_table(&self.table)?.with_commit_properties(properties);
        for batch in batches {
            writer.write(batch).await?;
        }
        writer.flush_and_commit(&mut self.table).await?;
        self.sync()
    }

    /// The latest number that a writer's append was marked with.
    pub(crate) async fn marker(&self, application: &str) -> Result<Option<i64>, StorageError> {
        let log = self.table.log_store();
        let snapshot = self.table.snapshot()?;
        Ok(snapshot.transaction_version(log.as_ref(), application).await?)
    }

    /// Adds columns after the existing ones.
    pub(crate) async fn add_columns(&mut self, columns: &[Column]) -> Result<(), StorageError> {
        let schema: StructType =
            serde_json::from_value(delta_schema(columns)).map_err(|_| StorageError::Schema)?;
        let fields: Vec<StructField> = schema.fields().cloned().collect();
        self.table = self.table.clone().add_columns().with_fields(fields).await?;
        self.sync()
    }

    /// Puts other rows with other columns in the place of all that is there, as one commit.
    pub(crate) async fn replace(&mut self, batches: Vec<RecordBatch>) -> Result<(), StorageError> {
        let write = self.table.clone().write(batches);
        self.table = write
            .with_save_mode(SaveMode::Overwrite)
            .with_schema_mode(SchemaMode::Overwrite)
            .await?;
        self.sync()
    }

    /// The table as it is now, for a query.
    pub(crate) async fn provider(
        &mut self,
        session: &dyn Session,
    ) -> Result<Arc<dyn TableProvider>, StorageError> {
        self.refresh().await?;
        self.table.update_datafusion_session(session)?;
        let provider = self.table.table_provider().await;
        provider.map_err(|error| StorageError::Delta(DeltaTableError::generic(error.to_string())))
    }

    /// The local object store does not sync what it writes.
    fn sync(&self) -> Result<(), StorageError> {
        if self.durable {
            sync_recent(&self.folder)?;
        }
        Ok(())
    }
}

/// Syncs the newest data file and log entry, and the folders.
fn sync_recent(folder: &Path) -> std::io::Result<()> {
    for folder in [folder.to_owned(), folder.join("_delta_log")] {
        let mut newest: Option<(std::time::SystemTime, PathBuf)> = None;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let facts = entry.metadata()?;
            if facts.is_file() {
                let modified = facts.modified()?;
                if newest.as_ref().is_none_or(|(time, _)| modified > *time) {
                    newest = Some((modified, entry.path()));
                }
            }
        }
        if let Some((_, path)) = newest {
            std::fs::File::open(path)?.sync_all()?;
        }
        std::fs::File::open(&folder)?.sync_all()?;
    }
    Ok(())
}

/// The columns of the table at a folder; none if there is no table.
pub(crate) async fn schema_at(folder: &Path) -> Result<Option<Vec<Column>>, StorageError> {
    if !folder.join("_delta_log").is_dir() {
        return Ok(None);
    }
    OpenTable::open(folder, false).await?.columns().map(Some)
}
