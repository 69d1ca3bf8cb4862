//! The target behind a view's table: each batch is one transaction that takes away what the table held of the batch's
//! resources and puts in the rows of their newest versions.
//!
//! A batch that is written twice leaves what it left the first time, so the loop's *at least once* is enough. A batch
//! that comes late, from a host that was stopped for a while, finds the number of a later one and is refused.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakefeed_plugin_api::{
    Applied, BatchMeta, Category, Durability, EvolutionPlan, MappedSchema, PluginError, Refusal, TableSchema,
    ViewSchema, Watermark, WriteAck, WriterProfile,
};

use super::columns::{self, Column};
use super::copy::{self, Rows};
use super::database::Database;
use super::error::SqlTableError;
use super::generation::Generation;
use crate::delivery::{DestinationSpec, FlatChange, Target, Targets};

/// Makes the targets of one generation of a view's table.
pub(super) struct SqlTargets {
    pub(super) database: Arc<Database>,
    pub(super) generation: Generation,
}

struct SqlTable {
    database: Arc<Database>,
    generation: Generation,
    columns: Vec<Column>,
}

impl Targets for SqlTargets {
    fn target(&self, _: &DestinationSpec) -> Box<dyn Target> {
        Box::new(SqlTable {
            database: Arc::clone(&self.database),
            generation: self.generation.clone(),
            columns: Vec::new(),
        })
    }
}

#[async_trait]
impl Target for SqlTable {
    async fn map(&mut self, view: &ViewSchema) -> Result<MappedSchema, PluginError> {
        self.columns = columns::of(view)?;
        Ok(columns::mapped(&self.columns))
    }

    async fn plan(&mut self, have: &TableSchema, _: &MappedSchema) -> Result<EvolutionPlan, PluginError> {
        // A table is made for one version of its view: there is never a column to add.
        Ok(EvolutionPlan {
            table: have.table.clone(),
            add: Vec::new(),
            blocked: Vec::new(),
        })
    }

    async fn describe(&mut self) -> Result<Option<TableSchema>, PluginError> {
        Ok(None)
    }

    async fn apply(&mut self, _: &EvolutionPlan) -> Result<Applied, PluginError> {
        Err(fixed())
    }

    async fn create(&mut self, _: &MappedSchema) -> Result<Applied, PluginError> {
        Err(fixed())
    }

    async fn open(&mut self, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
        if !self.database.has_table(&self.generation).await? {
            return Err(SqlTableError::Gone.into());
        }
        Ok(WriterProfile {
            idempotent: true,
            ..WriterProfile::default()
        })
    }

    async fn evolve(&mut self, _: SchemaRef, _: u32) -> Result<(), PluginError> {
        Err(fixed())
    }

    async fn write(
        &mut self,
        rows: RecordBatch,
        meta: &BatchMeta,
        changes: &[FlatChange],
    ) -> Result<WriteAck, PluginError> {
        let newest = newest(changes, meta, rows.num_rows());
        match self.replace(&rows, meta, &newest).await {
            Ok(()) => Ok(durable(changes.len(), rows.num_rows(), Vec::new())),
            // The loop cuts a refused batch until one change is left. Its rows cannot be had, and those of the
            // version before are not its own.
            Err(SqlTableError::Refused { state }) if changes.len() == 1 => {
                self.replace(&rows, meta, &without_rows(&newest)).await?;
                Ok(durable(1, 0, vec![refusal(&state)]))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn flush(&mut self) -> Result<Option<Watermark>, PluginError> {
        Ok(None)
    }

    async fn refresh_auth(&mut self) {}

    async fn discard(&mut self) {}

    async fn close(&mut self) {}
}

impl SqlTable {
    async fn replace(
        &self,
        rows: &RecordBatch,
        meta: &BatchMeta,
        newest: &[Rows<'_>],
    ) -> Result<(), SqlTableError> {
        let ids: Vec<&str> = newest.iter().map(|rows| rows.id).collect();
        let text = copy::text(&self.columns, rows, newest);
        let number = (meta.generation, meta.batch_number);
        self.database
            .replace(&self.generation, &self.columns, number, &ids, text)
            .await
    }
}

/// The resources of a batch, each once, with the rows of its newest version there.
fn newest<'a>(changes: &'a [FlatChange], meta: &BatchMeta, rows: usize) -> Vec<Rows<'a>> {
    let mut newest: Vec<Rows<'a>> = Vec::with_capacity(changes.len());
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(changes.len());
    for (index, flat) in changes.iter().enumerate() {
        let begins = |index: usize| match meta.change_starts.get(index) {
            Some(start) => usize::try_from(*start).unwrap_or(rows),
            None => rows,
        };
        let id = flat.change.version.key.id();
        let rows = Rows {
            id,
            rows: begins(index)..begins(index + 1),
        };
        match places.get(id) {
            Some(place) => newest[*place] = rows,
            None => {
                places.insert(id, newest.len());
                newest.push(rows);
            }
        }
    }
    newest
}

fn without_rows<'a>(newest: &[Rows<'a>]) -> Vec<Rows<'a>> {
    let empty = |rows: &Rows<'a>| Rows {
        id: rows.id,
        rows: 0..0,
    };
    newest.iter().map(empty).collect()
}

fn durable(changes: usize, rows: usize, refused: Vec<Refusal>) -> WriteAck {
    WriteAck {
        durability: Durability::Durable,
        durable_prefix: changes as u64,
        refused,
        rows: rows as u64,
        bytes: 0,
        remote_id: String::new(),
    }
}

fn refusal(state: &str) -> Refusal {
    Refusal {
        change: 0,
        row: None,
        column: String::new(),
        code: "SQL-007".to_owned(),
        message: format!("SQLSTATE {state}"),
    }
}

fn fixed() -> PluginError {
    PluginError::new(
        Category::Internal,
        "SQL-004",
        "the table of a view never changes its columns; a view of other columns has another table",
    )
}
