//! Running a statement.

mod define;
mod describe;
mod functions;
mod grant;
mod information_schema;
mod like_spark;
mod merge;
mod query;
mod reshape;
mod select;
mod translate;
mod write;

use std::sync::Arc;

use super::error::SqlError;
use super::output::Output;
use super::parse::{self, Name, Statement};
use crate::catalog::{Caller, Kind, Privilege, Securable, TableEntry};
use crate::workspace::Workspace;

/// Who runs a statement, and what names without a catalog or schema mean.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) caller: Caller,
    pub(super) catalog: Option<String>,
    pub(super) schema: Option<String>,
}

impl Session {
    fn catalog(&self) -> String {
        self.catalog.as_deref().unwrap_or("workspace").to_lowercase()
    }

    /// `c.s` of a name of one or two parts.
    fn schema_name(&self, name: &Name) -> Result<String, SqlError> {
        match name.as_slice() {
            [catalog, schema] => Ok(format!("{catalog}.{schema}").to_lowercase()),
            [schema] => Ok(format!("{}.{schema}", self.catalog()).to_lowercase()),
            _ => Err(SqlError::no_schema(&name.join("."))),
        }
    }

    /// `c.s.t` of a name of one to three parts.
    fn table_name(&self, name: &Name) -> String {
        let schema = || self.schema.as_deref().unwrap_or("default");
        match name.as_slice() {
            [table] => format!("{}.{}.{table}", self.catalog(), schema()),
            [schema, table] => format!("{}.{schema}.{table}", self.catalog()),
            parts => parts.join("."),
        }
        .to_lowercase()
    }
}

/// Runs one statement.
pub(super) async fn run(
    workspace: &Arc<Workspace>,
    session: &Session,
    sql: &str,
) -> Result<Output, SqlError> {
    match parse::parse(sql)? {
        Statement::CreateSchema(schema) => define::create_schema(workspace, session, schema).await,
        Statement::CreateTable(table) => define::create_table(workspace, session, table, sql).await,
        Statement::AddColumns { table, columns } => {
            define::add_columns(workspace, session, &table, columns).await
        }
        Statement::RenameColumn { table, from, to } => {
            reshape::rename_column(workspace, session, &table, &from, &to).await
        }
        Statement::DropColumns {
            table,
            columns,
            if_exists,
        } => reshape::drop_columns(workspace, session, &table, &columns, if_exists).await,
        Statement::SetProperties { table, properties } => {
            reshape::set_properties(workspace, session, &table, properties)
        }
        Statement::DropTable { table, if_exists } => {
            define::drop_table(workspace, session, &table, if_exists).await
        }
        Statement::DropSchema {
            schema,
            if_exists,
            cascade,
        } => define::drop_schema(workspace, session, &schema, if_exists, cascade).await,
        Statement::Insert(insert) => write::insert(workspace, session, insert, sql).await,
        Statement::Merge(merge) => merge::merge(workspace, session, merge).await,
        Statement::Describe { table, what } => describe::describe(workspace, session, &table, what).await,
        Statement::ShowCatalogs => Ok(describe::catalogs(workspace, session)),
        Statement::ShowSchemas { catalog } => describe::schemas(workspace, session, catalog),
        Statement::ShowTables { schema } => describe::tables(workspace, session, schema),
        Statement::ShowColumns { table } => describe::columns(workspace, session, &table),
        Statement::ShowGrants { principal, on } => grant::show(workspace, session, principal, &on),
        Statement::Grant {
            privileges,
            on,
            principal,
        } => grant::change(workspace, session, &on, &principal, &privileges, &[]),
        Statement::Revoke {
            privileges,
            on,
            principal,
        } => grant::change(workspace, session, &on, &principal, &[], &privileges),
        Statement::Query => select::select(workspace, session, sql).await,
    }
}

/// The entry of a table that the caller may reach and has those privileges on.
///
/// A table in a schema that the caller cannot see is not found; a missing right on one that is reached is told by name.
fn reach(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    privileges: &[Privilege],
) -> Result<TableEntry, SqlError> {
    let full_name = session.table_name(name);
    let caller = &session.caller;
    let parts: Vec<&str> = full_name.split('.').collect();
    let [catalog, schema, _] = parts.as_slice() else {
        return Err(SqlError::no_table(&full_name));
    };
    workspace.read(|state| {
        let in_catalog = Securable::new(Kind::Catalog, catalog);
        let in_schema = Securable::new(Kind::Schema, &format!("{catalog}.{schema}"));
        if !state.has(&in_catalog) || !state.has(&in_schema) {
            return Err(SqlError::no_table(&full_name));
        }
        state.require(caller, Privilege::UseCatalog, &in_catalog)?;
        if !state.may(caller, Privilege::UseSchema, &in_schema) {
            return Err(SqlError::no_table(&full_name));
        }
        let entry = state
            .tables
            .get(&full_name)
            .ok_or_else(|| SqlError::no_table(&full_name))?;
        for privilege in privileges {
            state.require(caller, *privilege, &entry.securable())?;
        }
        Ok(entry.clone())
    })
}

/// As [`reach`], with the columns of an external table as they are now.
async fn reach_fresh(
    workspace: &Workspace,
    session: &Session,
    name: &Name,
    privileges: &[Privilege],
) -> Result<TableEntry, SqlError> {
    reach(workspace, session, name, privileges)?;
    workspace.refresh_external(&session.table_name(name)).await;
    reach(workspace, session, name, privileges)
}
