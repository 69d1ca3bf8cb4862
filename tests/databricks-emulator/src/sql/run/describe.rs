//! DESCRIBE and SHOW.

use chrono::DateTime;

use super::{Session, reach, reach_fresh};
use crate::catalog::{Kind, Securable, TableEntry, TableType};
use crate::sql::error::SqlError;
use crate::sql::output::Output;
use crate::sql::parse::{Describe, Name};
use crate::types::SqlType;
use crate::workspace::Workspace;

type Row = Vec<Option<String>>;

fn row(cells: [&str; 3]) -> Row {
    cells.iter().map(|cell| Some((*cell).to_owned())).collect()
}

fn moment(milliseconds: i64) -> String {
    DateTime::from_timestamp_millis(milliseconds)
        .map(|moment| moment.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        .unwrap_or_default()
}

pub(super) async fn describe(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    what: Describe,
) -> Result<Output, SqlError> {
    let entry = reach_fresh(workspace, session, name, &[]).await?;
    if !workspace.read(|state| state.may_see(&session.caller, &entry.securable())) {
        return Err(SqlError::insufficient(&format!(
            "User does not have SELECT on {}.",
            entry.securable().words()
        )));
    }
    if what == Describe::Detail {
        return detail(workspace, &entry).await;
    }
    let mut rows: Vec<Row> = entry
        .columns
        .iter()
        .map(|column| {
            vec![
                Some(column.name.clone()),
                Some(column.sql_type.text()),
                column.comment.clone(),
            ]
        })
        .collect();
    if what == Describe::Extended {
        extend(&mut rows, &entry);
    }
    Ok(Output::texts(&["col_name", "data_type", "comment"], rows))
}

fn kind(entry: &TableEntry) -> &'static str {
    match entry.table_type {
        TableType::Managed => "MANAGED",
        TableType::External => "EXTERNAL",
    }
}

fn extend(rows: &mut Vec<Row>, entry: &TableEntry) {
    rows.push(row(["", "", ""]));
    rows.push(row(["# Detailed Table Information", "", ""]));
    for (name, value) in [
        ("Catalog", entry.catalog.as_str()),
        ("Database", &entry.schema),
        ("Table", &entry.name),
        ("Created Time", &moment(entry.created_at)),
        ("Type", kind(entry)),
        ("Location", &entry.storage_location),
        ("Provider", "delta"),
        ("Owner", &entry.owner),
    ] {
        rows.push(row([name, value, ""]));
    }
}

async fn detail(workspace: &Workspace, entry: &TableEntry) -> Result<Output, SqlError> {
    let table = workspace.table(entry).await?;
    let files = {
        let mut table = table.lock().await;
        table.refresh().await?;
        table.size().1
    };
    let partitions = serde_json::to_string(&entry.partitions).unwrap_or_default();
    let properties = serde_json::to_string(&entry.properties).unwrap_or_default();
    let array = SqlType::Array(Box::new(SqlType::String));
    let map = SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::String));
    let cells: [(&str, SqlType, Option<String>); 14] = [
        ("format", SqlType::String, Some("delta".to_owned())),
        ("id", SqlType::String, Some(entry.table_id.clone())),
        ("name", SqlType::String, Some(entry.full_name())),
        ("description", SqlType::String, entry.comment.clone()),
        ("location", SqlType::String, Some(entry.storage_location.clone())),
        ("createdAt", SqlType::Timestamp, Some(moment(entry.created_at))),
        ("lastModified", SqlType::Timestamp, Some(moment(entry.updated_at))),
        ("partitionColumns", array.clone(), Some(partitions)),
        ("clusteringColumns", array.clone(), Some("[]".to_owned())),
        ("numFiles", SqlType::BigInt, Some(files.to_string())),
        ("properties", map, Some(properties)),
        ("minReaderVersion", SqlType::Int, Some("1".to_owned())),
        ("minWriterVersion", SqlType::Int, Some("2".to_owned())),
        (
            "tableFeatures",
            array,
            Some(r#"["appendOnly","invariants"]"#.to_owned()),
        ),
    ];
    let mut output = Output::default();
    let mut only = Vec::new();
    for (name, sql_type, value) in cells {
        output.columns.push((name.to_owned(), sql_type));
        only.push(value);
    }
    output.rows.push(only);
    Ok(output)
}

pub(super) fn catalogs(workspace: &Workspace, session: &Session) -> Output {
    let rows = workspace.read(|state| {
        state
            .catalogs
            .keys()
            .filter(|name| state.may_see(&session.caller, &Securable::new(Kind::Catalog, name)))
            .map(|name| vec![Some(name.clone())])
            .collect()
    });
    Output::texts(&["catalog"], rows)
}

pub(super) fn schemas(
    workspace: &Workspace,
    session: &Session,
    catalog: Option<String>,
) -> Result<Output, SqlError> {
    let catalog = catalog.map_or_else(|| session.catalog(), |name| name.to_lowercase());
    workspace.read(|state| {
        if !state.catalogs.contains_key(&catalog) {
            return Err(SqlError::no_catalog(&catalog));
        }
        let mut rows: Vec<Row> = state
            .schemas
            .iter()
            .filter(|(_, entry)| entry.catalog == catalog)
            .filter(|(name, _)| state.may_see(&session.caller, &Securable::new(Kind::Schema, name)))
            .map(|(_, entry)| vec![Some(entry.name.clone())])
            .collect();
        rows.push(vec![Some("information_schema".to_owned())]);
        rows.sort();
        Ok(Output::texts(&["databaseName"], rows))
    })
}

pub(super) fn tables(
    workspace: &Workspace,
    session: &Session,
    schema: Option<Name>,
) -> Result<Output, SqlError> {
    let default = vec![session.schema.clone().unwrap_or_else(|| "default".to_owned())];
    let schema = session.schema_name(&schema.unwrap_or(default))?;
    workspace.read(|state| {
        let securable = Securable::new(Kind::Schema, &schema);
        if !state.has(&securable) || !state.may_see(&session.caller, &securable) {
            return Err(SqlError::no_schema(&schema));
        }
        let inside = format!("{schema}.");
        let rows = state
            .tables
            .iter()
            .filter(|(name, _)| name.starts_with(&inside))
            .filter(|(_, entry)| state.may_see(&session.caller, &entry.securable()))
            .map(|(_, entry)| row([entry.schema.as_str(), &entry.name, "false"]))
            .collect();
        let mut output = Output::texts(&["database", "tableName", "isTemporary"], rows);
        if let Some((_, sql_type)) = output.columns.last_mut() {
            *sql_type = SqlType::Boolean;
        }
        Ok(output)
    })
}

pub(super) fn columns(workspace: &Workspace, session: &Session, name: &Name) -> Result<Output, SqlError> {
    let entry = reach(workspace, session, name, &[])?;
    let rows = entry
        .columns
        .iter()
        .map(|column| vec![Some(column.name.clone())])
        .collect();
    Ok(Output::texts(&["col_name"], rows))
}
