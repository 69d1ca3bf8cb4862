//! A query, answered in texts.

use super::{Session, query};
use crate::sql::error::SqlError;
use crate::sql::output::Output;
use crate::sql::text;
use crate::types::SqlType;
use crate::workspace::Workspace;

pub(super) async fn select(workspace: &Workspace, session: &Session, sql: &str) -> Result<Output, SqlError> {
    let answered = query::query(workspace, session, sql).await?;
    let types: Vec<SqlType> = answered
        .columns
        .iter()
        .map(|column| column.sql_type.clone())
        .collect();
    let mut rows = Vec::new();
    for batch in &answered.batches {
        rows.extend(text::rows(batch, &types).map_err(|error| SqlError::internal(&error))?);
    }
    Ok(Output {
        columns: answered
            .columns
            .into_iter()
            .map(|column| (column.name, column.sql_type))
            .collect(),
        rows,
        truncated: false,
    })
}
