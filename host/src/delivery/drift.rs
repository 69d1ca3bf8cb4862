//! Brings a table up to what a view needs: describe, plan, add columns.
//!
//! Only columns are ever added, and only where the destination allows it. Everything else (a column that must go,
//! a type that must change) ends as an error that names the columns and says what to run by hand.

use arrow::datatypes::SchemaRef;
use lakefeed_plugin_api::{
    BlockedKind, Category, EvolutionPlan, MappedSchema, PluginError, Retry, WriterProfile,
};

use super::target::Target;

/// What a writer is opened with.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) mapped: MappedSchema,
    pub(crate) schema: SchemaRef,
    pub(crate) schema_id: u32,
}

/// Makes the table fit and opens the writer on it.
pub(crate) async fn open(
    target: &mut dyn Target,
    shape: &Shape,
    may_add: bool,
) -> Result<WriterProfile, PluginError> {
    let exists = fit(target, &shape.mapped, may_add).await?;
    let refused = match target.open(shape.schema.clone(), shape.schema_id).await {
        Err(error) if error.retry == Retry::EvolveThenRetry && !exists => error,
        answer => return answer,
    };
    // The writer cannot make the table; the companion that administers tables may.
    tracing::info!(
        code = refused.code,
        "the writer does not make the table, it is created beside it"
    );
    target.create(&shape.mapped).await?;
    target.open(shape.schema.clone(), shape.schema_id).await
}

/// Makes the table fit and gives the open writer the new shape.
pub(crate) async fn evolve(target: &mut dyn Target, shape: &Shape, may_add: bool) -> Result<(), PluginError> {
    fit(target, &shape.mapped, may_add).await?;
    target.evolve(shape.schema.clone(), shape.schema_id).await
}

/// Adds the columns that the table lacks. Answers whether the table is there as far as is known; without table
/// administration nothing is known and the writer's own word counts.
pub(crate) async fn fit(
    target: &mut dyn Target,
    want: &MappedSchema,
    may_add: bool,
) -> Result<bool, PluginError> {
    let Some(have) = target.describe().await? else {
        return Ok(true);
    };
    if !have.exists {
        return Ok(false);
    }
    let plan = target.plan(&have, want).await?;
    refuse_blocked(&plan)?;
    if plan.add.is_empty() {
        return Ok(true);
    }
    if !may_add {
        return Err(missing_columns(&plan));
    }
    let applied = target.apply(&plan).await?;
    tracing::info!(table = %plan.table, columns = ?applied.added, "added columns to the table");
    Ok(true)
}

fn refuse_blocked(plan: &EvolutionPlan) -> Result<(), PluginError> {
    if plan.blocked.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = plan
        .blocked
        .iter()
        .map(|blocked| {
            format!(
                "column `{}` {}: {}",
                blocked.column,
                verb(blocked.kind),
                blocked.reason
            )
        })
        .collect();
    let statements: Vec<&str> = plan
        .blocked
        .iter()
        .map(|blocked| blocked.ddl.as_str())
        .filter(|ddl| !ddl.is_empty())
        .collect();
    let hint = match statements.is_empty() {
        true => "change the table or the view by hand, then `$resume` the destination".to_owned(),
        false => format!(
            "run by hand: {}; then `$resume` the destination",
            statements.join("; ")
        ),
    };
    let message = format!(
        "table `{}` does not fit the view: {}",
        plan.table,
        reasons.join("; ")
    );
    Err(PluginError::new(Category::SchemaIncompatible, "DELIVERY-003", message).hint(hint))
}

fn verb(kind: BlockedKind) -> &'static str {
    match kind {
        BlockedKind::Drop => "would have to be dropped",
        BlockedKind::Rename => "would have to be renamed",
        BlockedKind::Narrow => "would need another type",
        _ => "differs",
    }
}

fn missing_columns(plan: &EvolutionPlan) -> PluginError {
    let columns: Vec<String> = plan
        .add
        .iter()
        .map(|column| format!("`{}` {}", column.name, column.sql_type))
        .collect();
    let message = format!("table `{}` lacks the columns {}", plan.table, columns.join(", "));
    PluginError::new(Category::SchemaIncompatible, "DELIVERY-002", message)
        .hint("add them by hand, or set `autoEvolve = true`; then `$resume` the destination")
}
