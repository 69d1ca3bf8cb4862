//! What was staged, moved into the target by one MERGE.

use lakefeed_databricks_client::TableName;
use lakefeed_databricks_client::literal::identifier;
use lakefeed_plugin_api::{Merge, MergeMode, MergeSpec, MergeStats, PluginError, StagedSet};

use crate::{SqlError, SqlWarehouse};

impl Merge for SqlWarehouse {
    async fn merge(&self, staged: &StagedSet, spec: &MergeSpec) -> Result<MergeStats, PluginError> {
        if spec.mode != MergeMode::InsertOnly {
            return Err(SqlError::Unsupported {
                what: "a merge that updates",
            }
            .into());
        }
        if !matches!(staged.format.as_str(), "delta" | "parquet") {
            return Err(SqlError::Unsupported {
                what: "the format of the staged folders",
            }
            .into());
        }
        if spec.key.is_empty() || spec.columns.is_empty() {
            return Err(SqlError::Contract {
                what: "a merge without a key or without columns",
            }
            .into());
        }
        if staged.locations.is_empty() {
            return Ok(MergeStats::default());
        }
        let name = self.name_of(&spec.target)?;
        let answer = self
            .run("merging what was staged", &merge_sql(&name, staged, spec))
            .await?;
        let inserted = answer.number("num_inserted_rows").unwrap_or_default();
        Ok(MergeStats {
            inserted,
            matched: staged.rows.saturating_sub(inserted),
            remote_id: answer.statement_id,
        })
    }
}

/// The columns are named: `INSERT *` fails as soon as the target has a column more (W 4.9).
fn merge_sql(name: &TableName, staged: &StagedSet, spec: &MergeSpec) -> String {
    let columns: Vec<String> = spec.columns.iter().map(|column| identifier(column)).collect();
    let columns = columns.join(", ");
    let folders: Vec<String> = staged
        .locations
        .iter()
        .map(|location| format!("SELECT {columns} FROM {}.{}", staged.format, identifier(location)))
        .collect();
    let keys: Vec<String> = spec
        .key
        .iter()
        .map(|key| format!("t.{0} = s.{0}", identifier(key)))
        .collect();
    let values: Vec<String> = spec
        .columns
        .iter()
        .map(|column| format!("s.{}", identifier(column)))
        .collect();
    format!(
        "MERGE INTO {} t USING ({}) s ON {} WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({})",
        name.quoted(),
        folders.join(" UNION ALL "),
        keys.join(" AND "),
        values.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::TableRef;

    use super::*;

    #[test]
    fn a_merge_names_its_columns_and_reads_exactly_the_set() {
        let staged = StagedSet {
            format: "delta".into(),
            locations: vec!["s3://b/chunk-0/1".into(), "s3://b/chunk-1/3".into()],
            rows: 2,
            bytes: 10,
        };
        let spec = MergeSpec {
            target: TableRef::named("c.s.t"),
            mode: MergeMode::InsertOnly,
            key: vec!["id".into()],
            columns: vec!["id".into(), "gender".into()],
            idempotency_key: "k".into(),
        };
        assert_eq!(
            merge_sql(&TableName::parse("c.s.t").unwrap(), &staged, &spec),
            "MERGE INTO `c`.`s`.`t` t USING (SELECT `id`, `gender` FROM delta.`s3://b/chunk-0/1` UNION ALL SELECT `id`, \
             `gender` FROM delta.`s3://b/chunk-1/3`) s ON t.`id` = s.`id` WHEN NOT MATCHED THEN INSERT (`id`, `gender`) \
             VALUES (s.`id`, s.`gender`)"
        );
    }
}
