//! A query through DataFusion, over the Delta tables that it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use deltalake::datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use deltalake::datafusion::common::TableReference;
use deltalake::datafusion::dataframe::DataFrame;
use deltalake::datafusion::datasource::MemTable;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::datafusion::sql::parser::{DFParserBuilder, Statement};
use deltalake::datafusion::sql::sqlparser::ast::Statement as Parsed;
use deltalake::datafusion::sql::sqlparser::dialect::GenericDialect;

use super::like_spark::like_spark;
use super::translate::translated;
use super::{Session, functions, information_schema, reach_fresh};
use crate::catalog::Privilege;
use crate::sql::error::SqlError;
use crate::sql::rewrite::{Spellings, rewrite, spell};
use crate::types::{Column, of_arrow};
use crate::workspace::Workspace;

/// What a query answers.
pub(super) struct Answered {
    pub(super) columns: Vec<Column>,
    /// The engine's own types, among them the one of NULL.
    pub(super) types: Vec<DataType>,
    pub(super) batches: Vec<RecordBatch>,
}

/// Runs a query.
pub(super) async fn query(workspace: &Workspace, session: &Session, sql: &str) -> Result<Answered, SqlError> {
    let planned = plan(workspace, session, sql).await?;
    let columns = columns_of(&planned);
    let fields = planned.schema().fields().iter();
    let types = fields.map(|field| field.data_type().clone()).collect();
    let batches = planned.collect().await.map_err(|error| translated(sql, &error))?;
    Ok(Answered {
        columns,
        types,
        batches,
    })
}

/// The columns that a query would answer.
pub(super) async fn columns(
    workspace: &Workspace,
    session: &Session,
    sql: &str,
) -> Result<Vec<Column>, SqlError> {
    Ok(columns_of(&plan(workspace, session, sql).await?))
}

fn columns_of(planned: &DataFrame) -> Vec<Column> {
    planned
        .schema()
        .fields()
        .iter()
        .map(|field| Column {
            nullable: field.is_nullable(),
            ..Column::new(field.name(), of_arrow(field.data_type()))
        })
        .collect()
}

async fn plan(workspace: &Workspace, session: &Session, sql: &str) -> Result<DataFrame, SqlError> {
    let context = context(session);
    functions::register(&context);
    let wrong = |error: DataFusionError| translated(sql, &error);
    // The names are read first: how the columns are spelled is known only with the tables.
    let first = parsed(sql, &rewrite(sql, &Spellings::new())?)?;
    let named = context.state().resolve_table_references(&first).map_err(wrong)?;
    let mut spellings = Spellings::new();
    let mut schemas = Schemas::default();
    for reference in named {
        let (names, provider) = provider(workspace, session, &context, &reference).await?;
        names.iter().for_each(|name| spell(&mut spellings, name));
        schemas
            .add(&context, session, &reference, provider)
            .map_err(wrong)?;
    }
    let mut statement = parsed(sql, &rewrite(sql, &spellings)?)?;
    like_spark(&mut statement);
    let planned = context
        .state()
        .statement_to_plan(statement)
        .await
        .map_err(wrong)?;
    context.execute_logical_plan(planned).await.map_err(wrong)
}

fn context(session: &Session) -> SessionContext {
    let schema = session.schema.as_deref().unwrap_or("default").to_lowercase();
    let config = SessionConfig::new()
        .with_default_catalog_and_schema(session.catalog(), schema)
        .with_information_schema(false)
        .with_target_partitions(2)
        // `1.5` is a DECIMAL, and NULL comes before everything else, as in Spark.
        .set_bool("datafusion.sql_parser.parse_float_as_decimal", true)
        .set_str("datafusion.sql_parser.default_null_ordering", "nulls_min");
    SessionContext::new_with_config(config)
}

fn parsed(original: &str, sql: &str) -> Result<Statement, SqlError> {
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| translated(original, &error))?;
    match (statements.pop_front(), statements.pop_front()) {
        (Some(statement), None) if is_query(&statement) => Ok(statement),
        _ => Err(SqlError::syntax(original, original.len(), "")),
    }
}

/// Whether a statement only reads.
fn is_query(statement: &Statement) -> bool {
    matches!(statement, Statement::Statement(parsed) if matches!(**parsed, Parsed::Query(_)))
}

/// The parts of a reference in lower case, with what the session adds.
fn parts(session: &Session, reference: &TableReference) -> [String; 3] {
    let catalog = reference
        .catalog()
        .map_or_else(|| session.catalog(), str::to_lowercase);
    let default = || session.schema.as_deref().unwrap_or("default").to_lowercase();
    let schema = reference.schema().map_or_else(default, str::to_lowercase);
    [catalog, schema, reference.table().to_lowercase()]
}

/// A table that may be read, and how its columns are spelled.
async fn provider(
    workspace: &Workspace,
    session: &Session,
    context: &SessionContext,
    reference: &TableReference,
) -> Result<(Vec<String>, Arc<dyn TableProvider>), SqlError> {
    let [catalog, schema, table] = parts(session, reference);
    if schema == information_schema::SCHEMA {
        let batch = workspace
            .read(|state| {
                let is_known = state.catalogs.contains_key(&catalog);
                is_known.then(|| information_schema::table(state, &session.caller, &catalog, &table))
            })
            .flatten()
            .ok_or_else(|| SqlError::no_table(&format!("{catalog}.{schema}.{table}")))?
            .map_err(|error| SqlError::internal(&error))?;
        let memory = MemTable::try_new(batch.schema(), vec![vec![batch]])
            .map_err(|error| SqlError::internal(&error))?;
        return Ok((Vec::new(), Arc::new(memory)));
    }
    let name = vec![catalog, schema, table];
    let entry = reach_fresh(workspace, session, &name, &[Privilege::Select]).await?;
    let names = entry.columns.iter().map(|column| column.name.clone()).collect();
    let table = workspace.table(&entry).await?;
    let mut table = table.lock().await;
    let provider = table.provider(&context.state()).await?;
    Ok((names, provider))
}

/// The catalogs and schemas of a query's tables.
#[derive(Default)]
struct Schemas {
    catalogs: BTreeMap<String, Arc<MemoryCatalogProvider>>,
    schemas: BTreeMap<String, Arc<MemorySchemaProvider>>,
}

impl Schemas {
    fn add(
        &mut self,
        context: &SessionContext,
        session: &Session,
        reference: &TableReference,
        provider: Arc<dyn TableProvider>,
    ) -> Result<(), DataFusionError> {
        let [catalog, schema, table] = parts(session, reference);
        let in_catalog = self.catalogs.entry(catalog.clone()).or_insert_with(|| {
            let made = Arc::new(MemoryCatalogProvider::new());
            context.register_catalog(&catalog, Arc::clone(&made) as Arc<dyn CatalogProvider>);
            made
        });
        let full_name = format!("{catalog}.{schema}");
        if !self.schemas.contains_key(&full_name) {
            let made = Arc::new(MemorySchemaProvider::new());
            in_catalog.register_schema(&schema, Arc::clone(&made) as Arc<dyn SchemaProvider>)?;
            self.schemas.insert(full_name.clone(), made);
        }
        if let Some(in_schema) = self.schemas.get(&full_name)
            && !in_schema.table_exist(&table)
        {
            in_schema.register_table(table, provider)?;
        }
        Ok(())
    }
}
