//! CREATE, ALTER TABLE … ADD COLUMNS, DROP.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Session, reach, reach_fresh, write};
use crate::catalog::{NewTable, Privilege, SchemaEntry, TableEntry};
use crate::sql::error::SqlError;
use crate::sql::output::Output;
use crate::sql::parse::{CreateSchema, CreateTable, Name};
use crate::types::Column;
use crate::workspace::Workspace;

pub(super) async fn create_schema(
    workspace: &Workspace,
    session: &Session,
    schema: CreateSchema,
) -> Result<Output, SqlError> {
    let full_name = session.schema_name(&schema.name)?;
    let (catalog, name) = full_name
        .split_once('.')
        .ok_or_else(|| SqlError::no_schema(&full_name))?;
    let exists = workspace.read(|state| state.schemas.contains_key(&full_name));
    if exists && schema.if_not_exists {
        return Ok(Output::nothing());
    }
    let entry = SchemaEntry {
        name: name.to_owned(),
        catalog: catalog.to_owned(),
        storage_root: schema.storage_root,
        comment: schema.comment,
        ..SchemaEntry::default()
    };
    let now = workspace.clock.now_ms();
    workspace.change(|state| state.make_schema(&session.caller, entry, now))?;
    Ok(Output::nothing())
}

/// Refuses columns that collide, also by case alone, and names that Delta refuses.
pub(super) fn check_columns(columns: &[Column]) -> Result<(), SqlError> {
    let mut names = BTreeSet::new();
    for column in columns {
        if !names.insert(column.name.to_lowercase()) {
            return Err(SqlError::new(
                "DELTA_DUPLICATE_COLUMNS_FOUND",
                "42711",
                format!(
                    "Found duplicate column(s) in the table definition: {}.",
                    column.name
                ),
            ));
        }
        if column
            .name
            .contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='])
        {
            return Err(SqlError::new(
                "DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES",
                "42K05",
                format!(
                    "Found invalid character(s) among ' ,;{{}}()\\n\\t=' in the column names of your schema. Invalid \
                     column names: {}. Please use other characters and try again.",
                    column.name
                ),
            ));
        }
    }
    Ok(())
}

pub(super) async fn create_table(
    workspace: &Arc<Workspace>,
    session: &Session,
    table: CreateTable,
    sql: &str,
) -> Result<Output, SqlError> {
    check_columns(&table.columns)?;
    let full_name = session.table_name(&table.name);
    let parts: Vec<&str> = full_name.split('.').collect();
    let [catalog, schema, name] = parts.as_slice() else {
        return Err(SqlError::no_table(&full_name));
    };
    let rows = match table.query {
        Some(start) => Some(write::queried(workspace, session, &sql[start..]).await?),
        None => None,
    };
    let columns = match &rows {
        Some(answered) => answered.columns.clone(),
        None => table.columns,
    };
    let new = NewTable {
        catalog: (*catalog).to_owned(),
        schema: (*schema).to_owned(),
        name: (*name).to_owned(),
        columns,
        partitions: table.partitions,
        location: table.location,
        comment: table.comment,
        properties: table.properties,
    };
    let made = make(workspace, session, new, table.if_not_exists).await?;
    let Some((answered, entry)) = rows.zip(made) else {
        return Ok(Output::nothing());
    };
    let places: Vec<usize> = (0..entry.columns.len()).collect();
    let count = write::append(workspace, &entry, &places, answered).await?;
    let mut output = Output::counts(&[("num_affected_rows", count), ("num_inserted_rows", count)]);
    output.rows.clear();
    Ok(output)
}

/// Makes the files, then the entry; none if there is such a table and that is no error.
async fn make(
    workspace: &Workspace,
    session: &Session,
    mut new: NewTable,
    if_not_exists: bool,
) -> Result<Option<TableEntry>, SqlError> {
    let _defining = workspace.defining.lock().await;
    let now = workspace.clock.now_ms();
    let full_name = format!("{}.{}.{}", new.catalog, new.schema, new.name);
    if if_not_exists && workspace.table_entry(&full_name).is_some() {
        return Ok(None);
    }
    let planned = workspace.read(|state| state.plan_table(&session.caller, &new, now))?;
    match workspace.storage.columns_at(&planned.storage_location).await? {
        Some(columns) => adopt(&mut new, columns, &planned)?,
        None if new.columns.is_empty() && new.location.is_some() => {
            return Err(SqlError::new(
                "DELTA_CREATE_EXTERNAL_TABLE_WITHOUT_SCHEMA",
                "42601",
                format!(
                    "You are trying to create an external table `{}` from `{}` using Delta, but the schema is not \
                     specified when the input path is empty.",
                    new.name, planned.storage_location
                ),
            ));
        }
        None if new.columns.is_empty() => return Err(SqlError::unsupported("tables without columns")),
        None => {
            let location = &planned.storage_location;
            workspace
                .storage
                .create(location, &new.columns, &new.partitions)
                .await?;
        }
    }
    let entry = TableEntry {
        columns: new.columns,
        ..planned
    };
    workspace.change(|state| {
        state.tables.insert(entry.full_name(), entry.clone());
        Ok(())
    })?;
    Ok(Some(entry))
}

/// Takes up the columns of a table that lies there already, unless others are asked for.
fn adopt(new: &mut NewTable, columns: Vec<Column>, planned: &TableEntry) -> Result<(), SqlError> {
    let same =
        |a: &Column, b: &Column| a.name == b.name && a.sql_type == b.sql_type && a.nullable == b.nullable;
    let is_same = columns.len() == new.columns.len()
        && columns
            .iter()
            .zip(&new.columns)
            .all(|(there, asked)| same(there, asked));
    if !new.columns.is_empty() && !is_same {
        return Err(SqlError::new(
            "DELTA_CREATE_TABLE_SCHEME_MISMATCH",
            "42KD7",
            format!(
                "The specified schema does not match the existing schema at {}.",
                planned.storage_location
            ),
        ));
    }
    new.columns = columns;
    Ok(())
}

pub(super) async fn add_columns(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    columns: Vec<Column>,
) -> Result<Output, SqlError> {
    let _defining = workspace.defining.lock().await;
    let entry = reach_fresh(workspace, session, name, &[Privilege::Modify]).await?;
    let mut names: BTreeSet<String> = entry
        .columns
        .iter()
        .map(|column| column.name.to_lowercase())
        .collect();
    for column in &columns {
        if !names.insert(column.name.to_lowercase()) {
            return Err(SqlError::new(
                "FIELD_ALREADY_EXISTS",
                "42710",
                format!(
                    "Cannot add column, because `{}` already exists in the table.",
                    column.name
                ),
            ));
        }
        if !column.nullable {
            return Err(SqlError::new(
                "DELTA_ADDING_COLUMN_WITH_NOT_NULL",
                "0A000",
                format!(
                    "NOT NULL is not supported when adding the column {}.",
                    column.name
                ),
            ));
        }
    }
    check_columns(&columns)?;
    let table = workspace.table(&entry).await?;
    {
        let mut table = table.lock().await;
        table.refresh().await?;
        table.add_columns(&columns).await?;
    }
    let now = workspace.clock.now_ms();
    workspace.change(|state| {
        if let Some(known) = state.tables.get_mut(&entry.full_name()) {
            known.columns_before = std::mem::take(&mut known.columns);
            known.columns = known.columns_before.clone();
            known.columns.extend(columns);
            known.columns_changed_at = now;
            known.updated_at = now;
        }
        Ok(())
    })?;
    Ok(Output::nothing())
}

pub(super) async fn drop_table(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    if_exists: bool,
) -> Result<Output, SqlError> {
    match reach(workspace, session, name, &[]) {
        Ok(entry) => workspace.drop_table(&session.caller, &entry.full_name()).await?,
        Err(error) if if_exists && error.class == "TABLE_OR_VIEW_NOT_FOUND" => {}
        Err(error) => return Err(error),
    }
    Ok(Output::nothing())
}

pub(super) async fn drop_schema(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    if_exists: bool,
    cascade: bool,
) -> Result<Output, SqlError> {
    let full_name = session.schema_name(name)?;
    let exists = workspace.read(|state| state.schemas.contains_key(&full_name));
    if !exists && if_exists {
        return Ok(Output::nothing());
    }
    workspace
        .drop_schema(&session.caller, &full_name, cascade)
        .await?;
    Ok(Output::nothing())
}
