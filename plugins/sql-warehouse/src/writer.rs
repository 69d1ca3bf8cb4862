//! Batches as INSERT statements: one each, or as many one after the other as the service's limit asks for.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use lakefeed_databricks_client::TableName;
use lakefeed_databricks_client::statement::MAX_STATEMENT;
use lakefeed_plugin_api::{
    BatchMeta, Deadline, Ordering, PluginError, TableAdmin, TableRef, WriteAck, Writer, WriterProfile,
};

use crate::insert::{Inserts, statements};
use crate::{STATEMENT_WITHIN, SqlError, SqlWarehouse};

/// So much sooner than its deadline a write ends, so that its own answer reaches the host.
const MARGIN: Duration = Duration::from_secs(2);

/// What was opened.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The table, as SQL names it.
    table: String,
}

impl Writer for SqlWarehouse {
    async fn open(&self, table: &TableRef, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
        let name = self.name_of(table)?;
        if !self.describe(table).await?.exists {
            return Err(SqlError::NoTable {
                table: name.to_string(),
            }
            .into());
        }
        *self.session.write().await = Some(Session { table: name.quoted() });
        Ok(WriterProfile {
            max_in_flight: 1,
            preferred_rows: 5_000,
            preferred_bytes: 4 << 20,
            // In memory, where rows take less than their text does; a statement that gets too long is cut here.
            max_bytes: MAX_STATEMENT as u64,
            ordering: Ordering::PerKey,
            ..WriterProfile::default()
        })
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        let session = self.session.read().await.clone();
        let session = session.ok_or(SqlError::Contract {
            what: "a batch came before the writer was opened",
        })?;
        let rows = batch.num_rows();
        let inserts = build(session.table, batch, meta.change_starts.clone()).await?;
        let mut ack = WriteAck::durable(meta, rows);
        ack.rows = 0;
        let mut settled = 0;
        for insert in &inserts.statements {
            let limit = meta
                .deadline
                .remaining()
                .map_or(STATEMENT_WITHIN, |left| left.saturating_sub(MARGIN));
            match self.run_within("inserting rows", &insert.sql, limit).await {
                Ok(answer) => {
                    settled = insert.changes.end;
                    ack.rows += insert.rows as u64;
                    ack.bytes += insert.sql.len() as u64;
                    ack.remote_id = answer.statement_id;
                }
                Err(error) if settled == 0 => return Err(error.into()),
                Err(error) => {
                    // What is written already is told; the host offers the rest again and hears of the failure then.
                    tracing::info!(
                        code = PluginError::from(error).code,
                        "a later part of the batch failed"
                    );
                    ack.durable_prefix = settled as u64;
                    ack.refused = inserts.refused;
                    ack.refused.retain(|refusal| refusal.change < ack.durable_prefix);
                    return Ok(ack);
                }
            }
        }
        Ok(ack.refused(inserts.refused))
    }

    async fn evolve(&self, _: SchemaRef, _: u32) -> Result<(), PluginError> {
        Ok(()) // Every statement names its columns.
    }

    async fn close(&self, _: Deadline) -> Result<(), PluginError> {
        *self.session.write().await = None; // All that was told is in the table already.
        Ok(())
    }
}

impl SqlWarehouse {
    /// The table that is meant: the one that is named, or the destination's own.
    pub(crate) fn name_of(&self, table: &TableRef) -> Result<TableName, SqlError> {
        if table.name.is_empty() {
            return Ok(self.checked.table.clone());
        }
        Ok(TableName::parse(&table.name)?)
    }
}

/// Renders text where it holds up nobody who waits for the network.
async fn build(table: String, batch: RecordBatch, starts: Vec<u64>) -> Result<Inserts, SqlError> {
    let work = move || statements(&table, &batch, &starts, MAX_STATEMENT);
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(SqlError::Contract {
            what: "rendering a batch did not end",
        }))
}
