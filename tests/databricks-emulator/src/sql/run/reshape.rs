//! ALTER TABLE … RENAME COLUMN, DROP COLUMN, SET TBLPROPERTIES: what happens to a table under who writes to it.
//!
//! As in Delta a column is renamed or dropped only where the property `delta.columnMapping.mode` is `name`. The files
//! know nothing of mapped columns: the rows are written anew with the columns that the table has from then on.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::write::placed;
use super::{Session, query, reach, reach_fresh};
use crate::catalog::{Privilege, TableEntry};
use crate::sql::error::SqlError;
use crate::sql::output::Output;
use crate::sql::parse::Name;
use crate::types::{Column, arrow_schema};
use crate::workspace::Workspace;

/// The property by which columns have names of their own.
const MAPPING: &str = "delta.columnMapping.mode";

pub(super) fn set_properties(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    properties: BTreeMap<String, String>,
) -> Result<Output, SqlError> {
    let entry = reach(workspace, session, name, &[Privilege::Modify])?;
    workspace.change(|state| {
        if let Some(known) = state.tables.get_mut(&entry.full_name()) {
            known.properties.extend(properties);
        }
        Ok(())
    })?;
    Ok(Output::nothing())
}

pub(super) async fn rename_column(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    from: &str,
    to: &str,
) -> Result<Output, SqlError> {
    let refusal = ("DELTA_UNSUPPORTED_RENAME_COLUMN", "0AKDE", "rename");
    let reshaping = Reshaping::begin(workspace, session, name, refusal).await?;
    let place = reshaping.place(from)?;
    let mut columns = reshaping.entry.columns.clone();
    let is_taken = |(at, column): (usize, &Column)| at != place && column.name.eq_ignore_ascii_case(to);
    if columns.iter().enumerate().any(is_taken) {
        return Err(SqlError::new(
            "FIELD_ALREADY_EXISTS",
            "42710",
            format!("Cannot rename column, because `{to}` already exists in the table."),
        ));
    }
    to.clone_into(&mut columns[place].name);
    super::define::check_columns(&columns)?;
    let kept = (0..columns.len()).collect();
    reshaping.finish(kept, columns).await
}

pub(super) async fn drop_columns(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    dropped: &[String],
    if_exists: bool,
) -> Result<Output, SqlError> {
    let refusal = ("DELTA_UNSUPPORTED_DROP_COLUMN", "0AKDC", "drop");
    let reshaping = Reshaping::begin(workspace, session, name, refusal).await?;
    let mut places = Vec::new();
    for column in dropped {
        match reshaping.place(column) {
            Ok(place) => places.push(place),
            Err(_) if if_exists => {}
            Err(error) => return Err(error),
        }
    }
    let all = &reshaping.entry.columns;
    let kept: Vec<usize> = (0..all.len()).filter(|place| !places.contains(place)).collect();
    if kept.is_empty() {
        return Err(SqlError::unsupported("a table without columns"));
    }
    if kept.len() == all.len() {
        return Ok(Output::nothing());
    }
    let columns = kept.iter().map(|place| all[*place].clone()).collect();
    reshaping.finish(kept, columns).await
}

/// A table that gets other columns. Nobody else defines anything meanwhile.
struct Reshaping<'a> {
    workspace: &'a Workspace,
    session: &'a Session,
    entry: TableEntry,
    _defining: tokio::sync::MutexGuard<'a, ()>,
}

impl<'a> Reshaping<'a> {
    async fn begin(
        workspace: &'a Workspace,
        session: &'a Session,
        name: &Name,
        (class, sql_state, what): (&str, &str, &str),
    ) -> Result<Self, SqlError> {
        let defining = workspace.defining.lock().await;
        let entry = reach_fresh(workspace, session, name, &[Privilege::Modify]).await?;
        let is_mapped = entry
            .properties
            .get(MAPPING)
            .is_some_and(|mode| mode.eq_ignore_ascii_case("name"));
        if !is_mapped {
            return Err(SqlError::new(
                class,
                sql_state,
                format!(
                    "Column {what} is not supported for your Delta table. Please upgrade your Delta table to reader version \
                     2 and writer version 5 and change the column mapping mode to 'name' mapping: ALTER TABLE {} SET \
                     TBLPROPERTIES ('{MAPPING}' = 'name').",
                    entry.full_name()
                ),
            ));
        }
        // Rows that were taken under the old columns belong to the table as it was.
        workspace.flush().await?;
        Ok(Self {
            workspace,
            session,
            entry,
            _defining: defining,
        })
    }

    fn place(&self, name: &str) -> Result<usize, SqlError> {
        let columns = &self.entry.columns;
        columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| SqlError::unresolved(name, columns.iter().map(|column| column.name.as_str())))
    }

    /// Writes the rows of the columns that are kept under the new columns.
    async fn finish(self, kept: Vec<usize>, columns: Vec<Column>) -> Result<Output, SqlError> {
        let old = &self.entry;
        let names: Vec<String> = kept
            .iter()
            .map(|place| format!("`{}`", old.columns[*place].name))
            .collect();
        let full_name = old.full_name().replace('.', "`.`");
        let sql = format!("SELECT {} FROM `{full_name}`", names.join(", "));
        let mut administrator = self.session.clone();
        crate::catalog::ADMINISTRATOR.clone_into(&mut administrator.caller.principal);
        let answered = query::query(self.workspace, &administrator, &sql).await?;
        let new = TableEntry {
            columns,
            ..old.clone()
        };
        let places: Vec<usize> = (0..new.columns.len()).collect();
        let mut batches = answered
            .batches
            .iter()
            .map(|batch| placed(&new, &places, batch))
            .collect::<Result<Vec<_>, _>>()?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(arrow_schema(&new.columns)));
        }
        let table = self.workspace.table(old).await?;
        table.lock().await.replace(batches).await?;
        let now = self.workspace.clock.now_ms();
        self.workspace.change(|state| {
            if let Some(known) = state.tables.get_mut(&old.full_name()) {
                known.columns_before = std::mem::replace(&mut known.columns, new.columns);
                known.columns_changed_at = now;
                known.updated_at = now;
            }
            Ok(())
        })?;
        Ok(Output::nothing())
    }
}
