//! Describing the table, adding columns to it, making it.

use std::collections::BTreeMap;

use lakefeed_plugin_api::{
    Applied, Category, CreateTable, EvolutionPlan, MappedColumn, PluginError, TableAdmin, TableRef,
    TableSchema,
};
use serde_json::{Value, json};

use crate::log::commit_info;
use crate::schema::{DeltaField, DeltaSchema, check_names, difference, same_name};
use crate::table::{Commit, Table};
use crate::{Delta, DeltaError};

/// How many versions other writers may take before the host is asked to wait.
const ATTEMPTS: u32 = 20;

impl TableAdmin for Delta {
    async fn describe(&self, table: &TableRef) -> Result<TableSchema, PluginError> {
        let table = match table {
            TableRef { name, location } if name.is_empty() && location.is_empty() => {
                TableRef::at(self.checked.place.to_string())
            }
            named => named.clone(),
        };
        let absent = TableSchema {
            table,
            ..TableSchema::default()
        };
        let Some(storage) = self.existing_storage()? else {
            return Ok(absent);
        };
        let Some(found) = Table::open(&storage).await? else {
            return Ok(absent);
        };
        Ok(TableSchema {
            exists: true,
            columns: found.metadata.schema.columns(),
            properties: properties(&found),
            ..absent
        })
    }

    async fn apply(&self, plan: &EvolutionPlan) -> Result<Applied, PluginError> {
        if !plan.blocked.is_empty() {
            let differences = plan
                .blocked
                .iter()
                .map(|blocked| blocked.reason.clone())
                .collect();
            return Err(DeltaError::Incompatible { differences }.into());
        }
        let storage = self.storage()?;
        let Some(mut table) = Table::open(&storage).await? else {
            return Err(DeltaError::storage("adding columns")("there is no table").into());
        };
        Ok(add_columns(&mut table, &plan.add).await?)
    }

    async fn create(&self, wanted: &CreateTable) -> Result<Applied, PluginError> {
        check_names(wanted.columns.iter().map(|column| column.name.as_str()))?;
        let columns: Vec<_> = wanted
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.column_type))
            .collect();
        let table =
            Table::open_or_create(&self.storage()?, DeltaSchema::new(&columns), &wanted.comment).await?;
        let missing = missing(&table, &wanted.columns)?;
        if !missing.is_empty() {
            let columns = missing.into_iter().map(|field| field.name).collect();
            return Err(DeltaError::MissingColumns {
                columns,
                auto_evolve: true,
            }
            .into());
        }
        Ok(Applied {
            added: Vec::new(),
            remote_id: table.version.to_string(),
        })
    }

    async fn drop_table(&self, _table: &TableRef) -> Result<(), PluginError> {
        let message = "this plugin makes no staging tables, and drops none";
        Err(PluginError::new(
            Category::TargetUnsupported,
            "DELTA-032",
            message,
        ))
    }
}

fn properties(table: &Table) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("format".into(), "delta".into()),
        ("version".into(), table.version.to_string()),
        ("id".into(), table.metadata.id().into()),
        ("files".into(), table.files.to_string()),
        (
            "minReaderVersion".into(),
            table.protocol.min_reader_version.to_string(),
        ),
        (
            "minWriterVersion".into(),
            table.protocol.min_writer_version.to_string(),
        ),
    ])
}

/// Those of the columns that the table lacks. One that it has with another type is an error.
fn missing(table: &Table, wanted: &[MappedColumn]) -> Result<Vec<DeltaField>, DeltaError> {
    let have = table.metadata.schema.columns();
    let (mut missing, mut differences) = (Vec::new(), Vec::new());
    for column in wanted {
        match have
            .iter()
            .find(|existing| same_name(&existing.name, &column.name))
        {
            Some(existing) => differences.extend(difference(existing, column.column_type)),
            None => missing.push(DeltaField::new(&column.name, column.column_type)),
        }
    }
    if differences.is_empty() {
        Ok(missing)
    } else {
        Err(DeltaError::Incompatible { differences })
    }
}

/// Commits the table's metadata with further columns; id and properties stay.
async fn add_columns(table: &mut Table, wanted: &[MappedColumn]) -> Result<Applied, DeltaError> {
    const DOING: &str = "adding columns";
    let mut failed = None;
    for _ in 0..ATTEMPTS {
        table.refresh().await?;
        table.check_writable()?;
        let missing = missing(table, wanted)?;
        if missing.is_empty() {
            let sync = table.storage.sync_log().await;
            sync.map_err(DeltaError::storage(DOING))?;
            return Ok(Applied {
                added: Vec::new(),
                remote_id: table.version.to_string(),
            });
        }
        if let Some(error) = failed.take() {
            return Err(DeltaError::storage(DOING)(error));
        }
        let names = table
            .metadata
            .schema
            .columns()
            .into_iter()
            .map(|column| column.name);
        let names: Vec<String> = names
            .chain(missing.iter().map(|field| field.name.clone()))
            .collect();
        check_names(names.iter().map(String::as_str))?;
        let lines = column_lines(table, &missing).map_err(DeltaError::internal(DOING))?;
        match table.commit(&lines).await {
            Ok(Commit::Done(version)) => {
                let added = missing.into_iter().map(|field| field.name).collect();
                return Ok(Applied {
                    added,
                    remote_id: version.to_string(),
                });
            }
            Ok(Commit::Taken) => {}
            // The answer may be lost and the columns there: the next round sees.
            Err(error) => failed = Some(error),
        }
    }
    Err(DeltaError::Contended { attempts: ATTEMPTS })
}

fn column_lines(table: &Table, missing: &[DeltaField]) -> Result<[Value; 2], serde_json::Error> {
    let columns = serde_json::to_string(
        &missing
            .iter()
            .map(|field| json!({"column": field}))
            .collect::<Vec<_>>(),
    )?;
    let info = commit_info("ADD COLUMNS", json!({"columns": columns}), json!({}));
    Ok([info, table.metadata.with_columns(missing)?.line()])
}
