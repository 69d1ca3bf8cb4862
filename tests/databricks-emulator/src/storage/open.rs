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
use deltalake::{DeltaTable, DeltaTableError};
use thiserror::Error;

use super::place::Place;
use super::refusal::told;
use crate::types::{Column, delta_schema, of_delta_schema};

/// A table's files or log could not be read or written.
#[derive(Debug, Error)]
pub(crate) enum StorageError {
    /// The location is not one that stands for a folder or a bucket.
    #[error("the location names no folder and no bucket")]
    Location,
    /// The table has a type that the emulator does not know.
    #[error("the table has a column of a type that is not known here")]
    Schema,
    /// What the catalog knows of has no files.
    #[error(
        "there is no Delta table at {0} any more: start the emulator with the folder and the S3 server that the table was made \
         with, or drop the table"
    )]
    Gone(String),
    /// A table is dropped, but not what it was made of.
    #[error("the table is dropped, but its files at {location} stay until somebody removes them: {why}")]
    Left {
        /// Where they are.
        location: String,
        /// What kept them.
        why: Box<StorageError>,
    },
    /// Nobody says with which role a location is reached.
    #[error(
        "no external location covers {0}, so no storage credential says whose role its credentials are lent from: make an \
         external location around it"
    )]
    NoRole(String),
    /// The S3 server did not do it; the text says what to change.
    #[error("{0}")]
    Server(String),
    /// Delta's own failure.
    #[error("the table: {0}")]
    Delta(DeltaTableError),
    /// Files beside Delta's.
    #[error("the files of the table: {0}")]
    Files(#[from] std::io::Error),
}

impl From<DeltaTableError> for StorageError {
    fn from(error: DeltaTableError) -> Self {
        match told(&error.to_string()) {
            Some(refusal) => Self::Server(refusal),
            None => Self::Delta(error),
        }
    }
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        DeltaTableError::from(error).into()
    }
}

/// A table and what its log said when it was last looked at.
#[derive(Debug)]
pub(crate) struct OpenTable {
    table: DeltaTable,
    /// The folder that is synced after each commit; none where the place itself answers when it has it.
    synced: Option<PathBuf>,
}

fn synced(place: &Place, durable: bool) -> Option<PathBuf> {
    match place {
        Place::Folder(folder) if durable => Some(folder.clone()),
        _ => None,
    }
}

impl OpenTable {
    /// The table at a place where there is one.
    pub(crate) async fn open(place: &Place, durable: bool) -> Result<Self, StorageError> {
        let mut table = DeltaTable::new(place.log()?);
        table.load().await?;
        Ok(Self {
            table,
            synced: synced(place, durable),
        })
    }

    pub(crate) async fn create(
        place: &Place,
        columns: &[Column],
        partitions: &[String],
        durable: bool,
    ) -> Result<(), StorageError> {
        place.prepare()?;
        let schema: StructType =
            serde_json::from_value(delta_schema(columns)).map_err(|_| StorageError::Schema)?;
        let fields: Vec<StructField> = schema.fields().cloned().collect();
        let table = CreateBuilder::new()
            .with_log_store(place.log()?)
            .with_columns(fields)
            .with_partition_columns(partitions.iter().cloned())
            .with_save_mode(SaveMode::ErrorIfExists)
            .await?;
        let made = Self {
            table,
            synced: synced(place, durable),
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
        provider.map_err(|error| DeltaTableError::generic(error.to_string()).into())
    }

    /// The local object store does not sync what it writes.
    fn sync(&self) -> Result<(), StorageError> {
        match &self.synced {
            Some(folder) => Ok(sync_recent(folder)?),
            None => Ok(()),
        }
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
