//! Tables described, extended, made and dropped by SQL.

use std::fmt::Write as _;

use lakefeed_databricks_client::{TableName, literal};
use lakefeed_plugin_api::{
    Applied, CreateTable, EvolutionPlan, MappedColumn, PluginError, TableAdmin, TableColumn, TableKind,
    TableRef, TableSchema,
};

use crate::{SqlError, SqlWarehouse, columns};

impl TableAdmin for SqlWarehouse {
    async fn describe(&self, table: &TableRef) -> Result<TableSchema, PluginError> {
        Ok(self.described(table).await?)
    }

    async fn apply(&self, plan: &EvolutionPlan) -> Result<Applied, PluginError> {
        if !plan.blocked.is_empty() {
            let columns = list(plan.blocked.iter().map(|blocked| blocked.column.as_str()));
            return Err(SqlError::Blocked { columns }.into());
        }
        let name = self.name_of(&plan.table)?;
        Ok(self.add_columns(&name, &plan.add).await?)
    }

    async fn create(&self, wanted: &CreateTable) -> Result<Applied, PluginError> {
        let name = self.name_of(&wanted.table)?;
        match self.run("creating the table", &create_sql(&name, wanted)).await {
            Ok(rows) => Ok(Applied {
                added: wanted.columns.iter().map(|column| column.name.clone()).collect(),
                remote_id: rows.statement_id,
            }),
            Err(error) if error.is_there_already() => {
                Ok(self.compare(&wanted.table, &wanted.columns).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn drop_table(&self, table: &TableRef) -> Result<(), PluginError> {
        let sql = format!("DROP TABLE IF EXISTS {}", self.name_of(table)?.quoted());
        match self.run("dropping the table", &sql).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl SqlWarehouse {
    /// Reads the columns from the catalog's own tables, which show only what may be seen: no rows means a table that
    /// is missing, or one without a grant (W 4.10).
    async fn described(&self, table: &TableRef) -> Result<TableSchema, SqlError> {
        let name = self.name_of(table)?;
        let answer = self.run("describing the table", &describe_sql(&name)).await?;
        let columns: Vec<TableColumn> = answer.rows.iter().filter_map(|row| column(row)).collect();
        Ok(TableSchema {
            table: TableRef::named(name.to_string()),
            exists: !columns.is_empty(),
            columns,
            ..TableSchema::default()
        })
    }

    /// Adds columns, one statement for all; where somebody was faster with one of them, each by itself.
    async fn add_columns(&self, name: &TableName, wanted: &[MappedColumn]) -> Result<Applied, SqlError> {
        let doing = "adding columns";
        if wanted.is_empty() {
            return Ok(Applied::default());
        }
        match self.run(doing, &add_sql(name, wanted)).await {
            Ok(rows) => {
                return Ok(Applied {
                    added: wanted.iter().map(|column| column.name.clone()).collect(),
                    remote_id: rows.statement_id,
                });
            }
            Err(error) if error.is_there_already() => {}
            Err(error) => return Err(error.into()),
        }
        let mut applied = Applied::default();
        for column in wanted {
            match self
                .run(doing, &add_sql(name, std::slice::from_ref(column)))
                .await
            {
                Ok(rows) => {
                    applied.added.push(column.name.clone());
                    applied.remote_id = rows.statement_id;
                }
                Err(error) if error.is_there_already() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(applied)
    }

    /// A table that is there already is as good as made if it has the columns.
    async fn compare(&self, table: &TableRef, wanted: &[MappedColumn]) -> Result<Applied, SqlError> {
        let have = self.described(table).await?;
        if !have.exists {
            let table = have.table.to_string();
            return Err(SqlError::Unseen { table });
        }
        let lacks = |column: &&MappedColumn| {
            !have
                .columns
                .iter()
                .any(|had| had.name.eq_ignore_ascii_case(&column.name))
        };
        let missing: Vec<&str> = wanted
            .iter()
            .filter(lacks)
            .map(|column| column.name.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(Applied::default());
        }
        Err(SqlError::OtherColumns {
            table: have.table.to_string(),
            columns: list(missing.into_iter()),
        })
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn describe_sql(name: &TableName) -> String {
    // Names are kept in lower case (W 4.10).
    format!(
        "SELECT column_name, full_data_type, is_nullable FROM {}.information_schema.columns WHERE table_schema = {} \
         AND table_name = {} ORDER BY ordinal_position",
        literal::identifier(&name.catalog),
        literal::text(&name.schema.to_lowercase()),
        literal::text(&name.table.to_lowercase()),
    )
}

fn column(row: &[Option<String>]) -> Option<TableColumn> {
    let text = |index: usize| row.get(index).cloned().flatten();
    let sql_type = text(1)?;
    Some(TableColumn {
        name: text(0)?,
        column_type: columns::of_sql(&sql_type),
        sql_type: sql_type.to_uppercase(),
        nullable: text(2).is_none_or(|answer| !answer.eq_ignore_ascii_case("NO")),
    })
}

fn definitions(wanted: &[MappedColumn]) -> String {
    let mut sql = String::new();
    for (index, column) in wanted.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        // Writing to a string cannot fail; a type's text is the mapper's, from its closed set.
        write!(
            sql,
            "{comma}{} {}",
            literal::identifier(&column.name),
            column.sql_type
        )
        .ok();
    }
    sql
}

fn add_sql(name: &TableName, wanted: &[MappedColumn]) -> String {
    format!(
        "ALTER TABLE {} ADD COLUMNS ({})",
        name.quoted(),
        definitions(wanted)
    )
}

fn create_sql(name: &TableName, wanted: &CreateTable) -> String {
    let mut sql = format!(
        "CREATE TABLE {} ({}) USING DELTA",
        name.quoted(),
        definitions(&wanted.columns)
    );
    if !wanted.comment.is_empty() {
        write!(sql, " COMMENT {}", literal::text(&wanted.comment)).ok();
    }
    if wanted.kind == TableKind::External {
        write!(sql, " LOCATION {}", literal::text(&wanted.table.location)).ok();
    }
    sql
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::{ColumnType, ScalarType};

    use super::*;

    fn mapped(name: &str, sql_type: &str) -> MappedColumn {
        MappedColumn {
            name: name.into(),
            column_type: ColumnType::Scalar(ScalarType::Utf8),
            sql_type: sql_type.into(),
        }
    }

    #[test]
    fn statements_quote_every_name() {
        let name = TableName::parse("Main.Fhir.Patients").unwrap();
        assert_eq!(
            describe_sql(&name),
            "SELECT column_name, full_data_type, is_nullable FROM `Main`.information_schema.columns WHERE \
             table_schema = 'fhir' AND table_name = 'patients' ORDER BY ordinal_position"
        );
        assert_eq!(
            add_sql(&name, &[mapped("a`b", "STRING"), mapped("n", "ARRAY<INT>")]),
            "ALTER TABLE `Main`.`Fhir`.`Patients` ADD COLUMNS (`a``b` STRING, `n` ARRAY<INT>)"
        );
        let table = CreateTable {
            table: TableRef {
                name: String::new(),
                location: "s3://b/it's".into(),
            },
            kind: TableKind::External,
            columns: vec![mapped("id", "STRING")],
            comment: String::new(),
        };
        assert_eq!(
            create_sql(&name, &table),
            "CREATE TABLE `Main`.`Fhir`.`Patients` (`id` STRING) USING DELTA LOCATION 's3://b/it\\'s'"
        );
    }

    #[test]
    fn a_row_of_the_catalog_becomes_a_column() {
        let row = |nullable: &str| vec![Some("ts".into()), Some("timestamp".into()), Some(nullable.into())];
        let read = column(&row("NO")).unwrap();
        assert_eq!((read.sql_type.as_str(), read.nullable), ("TIMESTAMP", false));
        assert!(read.column_type.is_some());
        assert!(column(&row("YES")).unwrap().nullable);
        assert!(column(&[None]).is_none());
    }
}
