//! A target that does as it is told and keeps what it was given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, SchemaRef};
use async_trait::async_trait;
use lakefeed_plugin_api::{
    Applied, BatchMeta, Category, ColumnType, Durability, EvolutionPlan, MappedColumn, MappedSchema,
    PluginError, Refusal, ScalarType, TableColumn, TableRef, TableSchema, ViewSchema, Watermark, WriteAck,
    WriterProfile,
};

use super::super::collect::FlatChange;
use super::super::spec::DestinationSpec;
use super::super::target::{Target, Targets};
use super::chance::Chance;

/// What becomes of one write.
pub(crate) enum Fate {
    /// It is written.
    Durable,
    /// So many changes are written, then the target ends the batch.
    Prefix(u64),
    /// It fails with nothing written.
    Fails(PluginError),
    /// It is written, and the answer is lost.
    Lost(PluginError),
    /// It is written but for the changes named.
    Without(Vec<u64>),
    /// The call never returns.
    Hangs,
}

/// A row as the table has it: patient, version, whether deleted.
pub(crate) type Row = (String, u64, bool);

/// The table behind the target; outlives instances, workers and hosts.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    /// Which batch numbers were written, with how many rows.
    pub(crate) batches: Vec<(u64, usize)>,
    /// What was offered, in order: batch number, attempt, changes.
    pub(crate) offered: Vec<(u64, u32, usize)>,
    /// What becomes of the next writes; `Durable` when it is empty.
    pub(crate) script: VecDeque<Fate>,
    /// Patients whose rows the target refuses, naming them or not.
    pub(crate) bad: Vec<String>,
    pub(crate) names_bad: bool,
    /// The columns; none for a table that takes what comes.
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) profile: WriterProfile,
    /// How many more calls of `map` panic.
    pub(crate) map_panics: usize,
    pub(crate) opened: usize,
    pub(crate) evolved: usize,
    pub(crate) closed: usize,
    /// How long a write takes.
    pub(crate) write_takes: Duration,
    /// How long a close takes.
    pub(crate) close_takes: Duration,
    pub(crate) refreshed: usize,
    pub(crate) discarded: usize,
    /// The batch that the writer remembers: its number, its rows and what was answered.
    remembered: Option<(u64, Vec<Row>, WriteAck)>,
    /// What the loop must never do.
    pub(crate) violations: Vec<String>,
}

/// Makes targets over one table.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    table: Arc<Mutex<Table>>,
    chance: Arc<Mutex<Option<Chance>>>,
}

impl Scripted {
    pub(crate) fn with_chance(self, chance: Chance) -> Self {
        *self.chance.lock().unwrap() = Some(chance);
        self
    }

    /// No write fails any more but for what its rows are.
    pub(crate) fn stop_failing(&self) {
        *self.chance.lock().unwrap() = None;
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn script(&self, fates: impl IntoIterator<Item = Fate>) {
        self.table().script.extend(fates);
    }

    /// An empty table, as another generation finds it.
    pub(crate) fn forget(&self) {
        *self.table() = Table::default();
    }

    /// A fault of the seed's choice for the next write.
    fn drawn(&self, changes: usize) -> Option<Fate> {
        let drawn = self.chance.lock().unwrap();
        let chance = drawn.as_ref()?;
        if !chance.hits("write") {
            return None;
        }
        let failure = |category| PluginError::new(category, "T-001", "made up");
        Some(match chance.below(7) {
            0 => Fate::Fails(failure(Category::RemoteUnavailable)),
            1 => Fate::Lost(failure(Category::RemoteUnavailable).outcome_unknown()),
            2 => Fate::Lost(failure(Category::PluginPanic)),
            3 => Fate::Fails(failure(Category::PluginCrashed)),
            4 if changes > 1 => Fate::Fails(failure(Category::PayloadTooLarge)),
            5 => Fate::Prefix(1),
            _ => Fate::Hangs,
        })
    }
}

impl Targets for Scripted {
    fn target(&self, _: &DestinationSpec) -> Box<dyn Target> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Target for Scripted {
    async fn map(&mut self, view: &ViewSchema) -> Result<MappedSchema, PluginError> {
        if self.table().map_panics > 0 {
            self.table().map_panics -= 1;
            panic!("made up in map");
        }
        let map = |name: &str| MappedColumn {
            name: name.to_owned(),
            column_type: ColumnType::Scalar(match name {
                "is_deleted" => ScalarType::Int32,
                _ => ScalarType::Utf8,
            }),
            sql_type: "STRING".to_owned(),
        };
        Ok(MappedSchema {
            columns: view.columns.iter().map(|column| map(&column.name)).collect(),
        })
    }

    async fn plan(&mut self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError> {
        let has = |column: &&MappedColumn| !have.columns.iter().any(|had| had.name == column.name);
        let add = want.columns.iter().filter(has).cloned().collect();
        Ok(EvolutionPlan {
            table: have.table.clone(),
            add,
            blocked: Vec::new(),
        })
    }

    async fn describe(&mut self) -> Result<Option<TableSchema>, PluginError> {
        let column = |name: &String| TableColumn {
            name: name.clone(),
            sql_type: "STRING".into(),
            column_type: None,
            nullable: true,
        };
        Ok(self.table().columns.as_ref().map(|columns| TableSchema {
            table: TableRef::named("t"),
            exists: true,
            columns: columns.iter().map(column).collect(),
            ..TableSchema::default()
        }))
    }

    async fn apply(&mut self, plan: &EvolutionPlan) -> Result<Applied, PluginError> {
        let added: Vec<String> = plan.add.iter().map(|column| column.name.clone()).collect();
        if let Some(columns) = &mut self.table().columns {
            columns.extend(added.clone());
        }
        Ok(Applied {
            added,
            remote_id: String::new(),
        })
    }

    async fn create(&mut self, _: &MappedSchema) -> Result<Applied, PluginError> {
        Ok(Applied::default())
    }

    async fn open(&mut self, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
        let mut table = self.table();
        table.opened += 1;
        Ok(table.profile.clone())
    }

    async fn evolve(&mut self, _: SchemaRef, _: u32) -> Result<(), PluginError> {
        self.table().evolved += 1;
        Ok(())
    }

    async fn write(
        &mut self,
        rows: RecordBatch,
        meta: &BatchMeta,
        _: &[FlatChange],
    ) -> Result<WriteAck, PluginError> {
        let (fate, takes) = {
            let mut table = self.table();
            table
                .offered
                .push((meta.batch_number, meta.attempt, meta.changes()));
            (table.script.pop_front(), table.write_takes)
        };
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let fate = fate
            .or_else(|| self.drawn(meta.changes()))
            .unwrap_or(Fate::Durable);
        let everything = meta.changes() as u64;
        match fate {
            Fate::Durable => self.table().write(&rows, meta, everything, &[]),
            Fate::Prefix(changes) => self.table().write(&rows, meta, changes.min(everything), &[]),
            Fate::Without(refused) => self.table().write(&rows, meta, everything, &refused),
            // Whoever remembers a batch says so before it finds fault with it.
            Fate::Fails(error) if error.category == Category::PayloadTooLarge => {
                self.table().remembers(meta).ok_or(error)
            }
            Fate::Fails(error) => Err(error),
            Fate::Lost(error) => match self.table().write(&rows, meta, everything, &[]) {
                Ok(_) => Err(error),
                Err(refused) => Err(refused),
            },
            Fate::Hangs => {
                tokio::time::sleep(Duration::from_secs(1 << 30)).await;
                Err(PluginError::new(Category::Internal, "T-009", "woke up"))
            }
        }
    }

    async fn flush(&mut self) -> Result<Option<Watermark>, PluginError> {
        Ok(None)
    }

    async fn refresh_auth(&mut self) {
        self.table().refreshed += 1;
    }

    async fn discard(&mut self) {
        self.table().discarded += 1;
    }

    async fn close(&mut self) {
        let takes = self.table().close_takes;
        tokio::time::sleep(takes).await;
        self.table().closed += 1;
    }
}

impl Table {
    /// Writes the first `prefix` changes but for those refused, all or nothing where rows are bad.
    fn write(
        &mut self,
        rows: &RecordBatch,
        meta: &BatchMeta,
        prefix: u64,
        without: &[u64],
    ) -> Result<WriteAck, PluginError> {
        let offered: Vec<Row> = (0..rows.num_rows()).map(|row| read(rows, row)).collect();
        if let Some((number, before, ack)) = &self.remembered
            && meta.batch_number <= *number
        {
            if meta.batch_number < *number || *before != offered {
                self.violations
                    .push(format!("batch {} came again with other rows", meta.batch_number));
            }
            if self.profile.idempotent {
                return Ok(ack.clone());
            }
        }
        let all: Vec<(u64, Row)> = offered
            .iter()
            .cloned()
            .enumerate()
            .map(|(row, read)| (meta.change_of_row(row as u64), read))
            .collect();
        self.refuse_bad(&all)?;
        let taken: Vec<Row> = all
            .into_iter()
            .filter(|(change, _)| *change < prefix && !without.contains(change))
            .map(|(_, row)| row)
            .collect();
        self.batches.push((meta.batch_number, taken.len()));
        self.rows.extend(taken);
        let ack = WriteAck {
            durability: Durability::Durable,
            durable_prefix: prefix,
            refused: without.iter().map(|change| refusal(*change)).collect(),
            rows: 0,
            bytes: 0,
            remote_id: String::new(),
        };
        self.remembered = Some((meta.batch_number, offered, ack.clone()));
        Ok(ack)
    }

    /// What was answered to a batch before.
    fn remembers(&self, meta: &BatchMeta) -> Option<WriteAck> {
        let (number, _, ack) = self.remembered.as_ref()?;
        (self.profile.idempotent && *number == meta.batch_number).then(|| ack.clone())
    }

    fn refuse_bad(&self, rows: &[(u64, Row)]) -> Result<(), PluginError> {
        let bad = rows.iter().filter(|(_, row)| self.bad.contains(&row.0));
        let bad: Vec<Refusal> = bad.map(|(change, _)| refusal(*change)).collect();
        if bad.is_empty() {
            return Ok(());
        }
        let error =
            PluginError::new(Category::DataRejected, "T-BAD", "the target refuses rows").detail("quoted");
        Err(error.refused(if self.names_bad { bad } else { Vec::new() }))
    }
}

fn refusal(change: u64) -> Refusal {
    Refusal {
        change,
        row: None,
        column: "id".into(),
        code: "T-BAD".into(),
        message: "value `secret` is bad".into(),
    }
}

fn read(rows: &RecordBatch, row: usize) -> Row {
    let text = |name: &str| {
        let column = rows.column_by_name(name).unwrap().as_string::<i32>();
        if column.is_null(row) {
            String::new()
        } else {
            column.value(row).to_owned()
        }
    };
    // Where only the newest rows are kept none is a delete's.
    let deleted = rows
        .column_by_name("is_deleted")
        .is_some_and(|flags| flags.as_primitive::<Int32Type>().value(row) == 1);
    (text("id"), text("version").parse().unwrap(), deleted)
}
