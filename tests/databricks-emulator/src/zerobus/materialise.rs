//! From the logs into the tables.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, new_null_array};

use super::ingest::Ready;
use super::{reader, wal};
use crate::catalog::TableEntry;
use crate::faults::Fault;
use crate::storage::StorageError;
use crate::types::{Column, arrow_schema};
use crate::workspace::Workspace;

/// How long rows are durable before they are queryable, where no switch says otherwise.
const DELAY: Duration = Duration::from_millis(300);

/// How the commits are marked in the table's log.
const APPLICATION: &str = "zerobus";

/// Moves rows until the workspace is gone.
pub(crate) async fn run(workspace: Arc<Workspace>) {
    loop {
        workspace.ingest.taken.notified().await;
        while workspace.ingest.is_waiting() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let delay = workspace.faults.delay(Fault::VisibilityDelay).unwrap_or(DELAY);
            if let Err(error) = move_ready(&workspace, delay).await {
                tracing::error!(%error, "rows that were taken could not be written to their table");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

/// Moves all that was taken so far.
pub(crate) async fn flush(workspace: &Workspace) -> Result<(), StorageError> {
    move_ready(workspace, Duration::ZERO).await
}

async fn move_ready(workspace: &Workspace, delay: Duration) -> Result<(), StorageError> {
    let mut moving = workspace.ingest.moving.lock().await;
    // What failed before comes first, so that the numbers in a table's log only grow.
    let mut all = std::mem::take(&mut *moving);
    all.extend(workspace.ingest.ready(delay));
    let mut failed = Ok(());
    for ready in all {
        let is_behind = moving.iter().any(|stuck| stuck.table_id == ready.table_id);
        let moved = if is_behind {
            Ok(())
        } else {
            move_one(workspace, &ready).await
        };
        if is_behind || moved.is_err() {
            moving.push(Ready {
                is_retried: !is_behind || ready.is_retried,
                ..ready
            });
        }
        failed = failed.and(moved);
    }
    workspace.ingest.are_stuck(!moving.is_empty());
    failed
}

async fn move_one(workspace: &Workspace, ready: &Ready) -> Result<(), StorageError> {
    let entry = workspace.read(|catalog| {
        let mut tables = catalog.tables.values();
        tables.find(|table| table.table_id == ready.table_id).cloned()
    });
    match entry {
        Some(entry) => commit(workspace, &entry, ready).await,
        None => {
            // The table was dropped under the rows.
            workspace.ingest.forget(&ready.table_id);
            Ok(())
        }
    }
}

async fn commit(workspace: &Workspace, entry: &TableEntry, ready: &Ready) -> Result<(), StorageError> {
    let table = workspace.table(entry).await?;
    let mut table = table.lock().await;
    let batches = ready
        .batches
        .iter()
        .filter(|batch| batch.num_rows() > 0)
        .map(|batch| widened(batch, &entry.columns))
        .collect::<Result<Vec<_>, _>>()?;
    // After an error the commit may be there all the same.
    let is_there = ready.is_retried && {
        table.refresh().await?;
        table
            .marker(APPLICATION)
            .await?
            .is_some_and(|moved| moved >= ready.last)
    };
    if !batches.is_empty() && !is_there {
        table.append(batches, Some((APPLICATION, ready.last))).await?;
    }
    for file in &ready.files {
        if let Err(error) = std::fs::remove_file(file) {
            tracing::warn!(%error, "a part of the log whose rows are in the table stays");
        }
    }
    Ok(())
}

/// A batch with the columns that the table has got since.
fn widened(batch: &RecordBatch, columns: &[Column]) -> Result<RecordBatch, StorageError> {
    let schema = arrow_schema(columns);
    let arrays = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(array) => Arc::clone(array),
            None => new_null_array(field.data_type(), batch.num_rows()),
        })
        .collect();
    RecordBatch::try_new(schema, arrays)
        .map_err(|error| StorageError::Delta(deltalake::DeltaTableError::generic(error.to_string())))
}

/// Moves what an earlier run had taken and not moved. What it had moved already is known by the table's own log.
pub(crate) async fn recover(workspace: &Workspace) -> Result<(), StorageError> {
    for table_id in workspace.ingest.on_disk()? {
        let entry = workspace.read(|catalog| {
            let mut tables = catalog.tables.values();
            tables.find(|table| table.table_id == table_id).cloned()
        });
        match entry {
            Some(entry) => recover_table(workspace, &entry).await?,
            None => workspace.ingest.forget(&table_id),
        }
    }
    Ok(())
}

async fn recover_table(workspace: &Workspace, entry: &TableEntry) -> Result<(), StorageError> {
    let segments = wal::read_all(&workspace.ingest.folder(&entry.table_id))?;
    let moved = {
        let table = workspace.table(entry).await?;
        let table = table.lock().await;
        table.marker(APPLICATION).await?.unwrap_or(-1)
    };
    let mut last = moved;
    let mut batches = Vec::new();
    let mut files = Vec::new();
    for (path, entries) in segments {
        files.push(path);
        for found in entries.into_iter().filter(|found| found.number > moved) {
            last = found.number;
            match reader::read_rows(&found.body, &entry.columns, true) {
                Ok(batch) => batches.push(batch),
                Err(error) => tracing::error!(
                    entry = found.number,
                    at = error.at,
                    "an entry of the log does not fit the table any more"
                ),
            }
        }
    }
    let ready = Ready {
        table_id: entry.table_id.clone(),
        batches,
        last,
        files,
        is_retried: false,
    };
    commit(workspace, entry, &ready).await?;
    workspace.ingest.begin_at(&entry.table_id, last + 1);
    Ok(())
}
