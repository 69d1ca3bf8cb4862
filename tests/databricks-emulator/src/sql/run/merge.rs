//! MERGE … WHEN NOT MATCHED THEN INSERT: the rows of the source that no row of the target matches.

use super::{Session, query, reach_fresh, write};
use crate::catalog::{Privilege, TableEntry};
use crate::sql::error::SqlError;
use crate::sql::output::Output;
use crate::sql::parse::Merge;
use crate::workspace::Workspace;

pub(super) async fn merge(
    workspace: &Workspace,
    session: &Session,
    merge: Merge,
) -> Result<Output, SqlError> {
    let needed = [Privilege::Modify, Privilege::Select];
    let entry = reach_fresh(workspace, session, &merge.target, &needed).await?;
    let source = format!("{} AS {}", merge.source, source_alias(&merge));
    let insert = match &merge.insert {
        Some(insert) => insert.clone(),
        None => every_column(workspace, session, &entry, &merge, &source).await?,
    };
    let mut places = Vec::new();
    let mut values = Vec::new();
    for (name, value) in &insert {
        let place = entry
            .columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| unresolved(name, &entry))?;
        places.push(place);
        values.push(format!("{value} AS `__{}`", places.len()));
    }
    let target = format!("{} AS {}", entry_name(&entry), target_alias(&merge));
    let filter = match &merge.only_if {
        Some(only_if) => format!(" WHERE {only_if}"),
        None => String::new(),
    };
    let sql = format!(
        "SELECT {} FROM {source} LEFT ANTI JOIN {target} ON {}{filter}",
        values.join(", "),
        merge.condition
    );
    let queried = write::queried(workspace, session, &sql).await;
    let answered = queried.map_err(|error| as_merge(error, &entry))?;
    let count = write::append(workspace, &entry, &places, answered).await?;
    Ok(Output::counts(&[
        ("num_affected_rows", count),
        ("num_updated_rows", 0),
        ("num_deleted_rows", 0),
        ("num_inserted_rows", count),
    ]))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn entry_name(entry: &TableEntry) -> String {
    [&entry.catalog, &entry.schema, &entry.name]
        .map(|part| quoted(part))
        .join(".")
}

fn source_alias(merge: &Merge) -> String {
    if let Some(alias) = &merge.source_alias {
        return quoted(alias);
    }
    if merge.source.starts_with('(') {
        return "`__source`".to_owned();
    }
    let last = merge.source.rsplit('.').next().unwrap_or(&merge.source);
    quoted(last.trim_matches('`'))
}

fn target_alias(merge: &Merge) -> String {
    let last = merge.target.last().cloned().unwrap_or_default();
    quoted(&merge.target_alias.clone().unwrap_or(last))
}

/// `INSERT *` takes every column of the target from the source, which must have it; what the source has more is left.
async fn every_column(
    workspace: &Workspace,
    session: &Session,
    entry: &TableEntry,
    merge: &Merge,
    source: &str,
) -> Result<Vec<(String, String)>, SqlError> {
    let found = query::columns(workspace, session, &format!("SELECT * FROM {source}")).await?;
    let alias = source_alias(merge);
    entry
        .columns
        .iter()
        .map(|column| {
            let is_there = found
                .iter()
                .any(|other| other.name.eq_ignore_ascii_case(&column.name));
            if is_there {
                Ok((column.name.clone(), format!("{alias}.{}", quoted(&column.name))))
            } else {
                Err(unresolved(&column.name, entry))
            }
        })
        .collect()
}

fn unresolved(name: &str, entry: &TableEntry) -> SqlError {
    let columns: Vec<&str> = entry.columns.iter().map(|column| column.name.as_str()).collect();
    SqlError::new(
        "DELTA_MERGE_UNRESOLVED_EXPRESSION",
        "42601",
        format!(
            "Cannot resolve {name} in INSERT clause given columns {}.",
            columns.join(", ")
        ),
    )
}

/// What a query does not resolve has a class of its own in a MERGE.
fn as_merge(error: SqlError, entry: &TableEntry) -> SqlError {
    if error.class.starts_with("UNRESOLVED_COLUMN") {
        let name = error.text().split('`').nth(1).unwrap_or_default().to_owned();
        return unresolved(&name, entry);
    }
    error
}
