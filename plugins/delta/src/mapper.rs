//! Which column of a view gets which type in a Delta table, and what must change in a table that exists.

use lakefeed_plugin_api::{
    Blocked, BlockedKind, ColumnType, EvolutionPlan, MappedColumn, MappedSchema, PluginError, ScalarType,
    SchemaMapper, TableColumn, TableSchema, ViewColumn, ViewSchema,
};

use crate::DeltaError;
use crate::schema::{check_names, difference, same_name, sql_type};

/// The mapper. It has no parameters and no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeltaTypes;

impl SchemaMapper for DeltaTypes {
    fn map(&self, view: &ViewSchema) -> Result<MappedSchema, PluginError> {
        check_names(view.columns.iter().map(|column| column.name.as_str()))?;
        let columns: Result<Vec<_>, DeltaError> = view.columns.iter().map(map_column).collect();
        Ok(MappedSchema { columns: columns? })
    }

    fn plan(&self, have: &TableSchema, want: &MappedSchema) -> Result<EvolutionPlan, PluginError> {
        let mut plan = EvolutionPlan {
            table: have.table.clone(),
            ..EvolutionPlan::default()
        };
        let table = sql_name(have);
        for column in &want.columns {
            match have
                .columns
                .iter()
                .find(|existing| same_name(&existing.name, &column.name))
            {
                Some(existing) => plan.blocked.extend(narrowed(existing, column, &table)),
                None => match renamed(have, want, column, &table) {
                    Some(blocked) => plan.blocked.push(blocked),
                    None => plan.add.push(column.clone()),
                },
            }
        }
        plan.blocked.extend(
            have.columns
                .iter()
                .filter_map(|column| demanded(column, want, &table)),
        );
        Ok(plan)
    }
}

fn map_column(column: &ViewColumn) -> Result<MappedColumn, DeltaError> {
    let refuse = |asked: &str| DeltaError::ColumnType {
        column: column.name.clone(),
        asked: asked.into(),
    };
    let column_type = match column.tags.get("ansi/type") {
        Some(asked) => of_ansi(asked, column.collection).ok_or_else(|| refuse(asked))?,
        None if column.name == "is_deleted" => ColumnType::Scalar(ScalarType::Int32),
        None => {
            let scalar = of_fhir(&column.fhir_type).ok_or_else(|| refuse(&column.fhir_type))?;
            shaped(scalar, column.collection)
        }
    };
    Ok(MappedColumn {
        name: column.name.clone(),
        column_type,
        sql_type: sql_type(column_type),
    })
}

fn shaped(scalar: ScalarType, collection: bool) -> ColumnType {
    if collection {
        ColumnType::List(scalar)
    } else {
        ColumnType::Scalar(scalar)
    }
}

/// The type of a FHIR primitive, also under its name in FHIRPath's own model (`System.String`).
fn of_fhir(fhir_type: &str) -> Option<ScalarType> {
    let name = fhir_type.rsplit(['.', '/']).next().unwrap_or(fhir_type);
    Some(match name {
        "" | "id" | "string" | "code" | "uri" | "url" | "canonical" | "oid" | "uuid" | "markdown"
        | "time" | "xhtml" | "String" | "Time" => ScalarType::Utf8,
        "date" | "Date" => ScalarType::Date32,
        "dateTime" | "instant" | "DateTime" => ScalarType::TimestampMicrosUtc,
        "integer" | "positiveInt" | "unsignedInt" | "Integer" => ScalarType::Int32,
        "integer64" | "Long" => ScalarType::Int64,
        "decimal" | "Decimal" => ScalarType::Float64,
        "boolean" | "Boolean" => ScalarType::Boolean,
        "base64Binary" => ScalarType::Binary,
        _ => return None,
    })
}

/// The type that an `ansi/type` tag asks for. A length is dropped (Delta's strings have none); an exact decimal is not
/// in the set, and silently making it a double would not be what was asked.
fn of_ansi(asked: &str, collection: bool) -> Option<ColumnType> {
    let asked = asked.trim().to_uppercase();
    if let Some(item) = asked
        .strip_prefix("ARRAY<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return scalar_of_ansi(item).map(ColumnType::List);
    }
    scalar_of_ansi(&asked).map(|scalar| shaped(scalar, collection))
}

fn scalar_of_ansi(asked: &str) -> Option<ScalarType> {
    let name = asked.split('(').next().unwrap_or(asked).trim();
    Some(match name {
        "STRING"
        | "TEXT"
        | "VARCHAR"
        | "CHAR"
        | "CHARACTER"
        | "CHARACTER VARYING"
        | "CLOB"
        | "CHARACTER LARGE OBJECT" => ScalarType::Utf8,
        "DATE" => ScalarType::Date32,
        "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE" => ScalarType::TimestampMicrosUtc,
        "INT" | "INTEGER" | "SMALLINT" => ScalarType::Int32,
        "BIGINT" => ScalarType::Int64,
        "DOUBLE" | "DOUBLE PRECISION" | "FLOAT" | "REAL" => ScalarType::Float64,
        "BOOLEAN" => ScalarType::Boolean,
        "BINARY" | "VARBINARY" | "BINARY VARYING" | "BLOB" | "BINARY LARGE OBJECT" => ScalarType::Binary,
        _ => return None,
    })
}

fn narrowed(existing: &TableColumn, wanted: &MappedColumn, table: &str) -> Option<Blocked> {
    let reason = difference(existing, wanted.column_type)?;
    let widens = existing.sql_type == "INT" && matches!(wanted.sql_type.as_str(), "BIGINT" | "DOUBLE");
    let alter = || {
        format!(
            "ALTER TABLE {table} ALTER COLUMN {} TYPE {}",
            quoted(&existing.name),
            wanted.sql_type
        )
    };
    let ddl = if widens { alter() } else { String::new() };
    Some(Blocked {
        kind: BlockedKind::Narrow,
        column: existing.name.clone(),
        reason,
        ddl,
    })
}

/// A column that would be added although the table has one whose name differs by its spelling alone (`birth_date` and
/// `birthDate`), and which the view no longer fills: adding it would split one column's values over two.
fn renamed(have: &TableSchema, want: &MappedSchema, column: &MappedColumn, table: &str) -> Option<Blocked> {
    let spelled = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    let is_left = |existing: &&TableColumn| {
        !want
            .columns
            .iter()
            .any(|kept| same_name(&kept.name, &existing.name))
    };
    let old = have
        .columns
        .iter()
        .filter(is_left)
        .find(|old| spelled(&old.name) == spelled(&column.name))?;
    let (from, to) = (quoted(&old.name), quoted(&column.name));
    Some(Blocked {
        kind: BlockedKind::Rename,
        column: column.name.clone(),
        reason: format!("the table calls it {from}; name it so in the view, or rename it in the table"),
        ddl: format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}"),
    })
}

fn demanded(column: &TableColumn, want: &MappedSchema, table: &str) -> Option<Blocked> {
    if column.nullable
        || want
            .columns
            .iter()
            .any(|kept| same_name(&kept.name, &column.name))
    {
        return None;
    }
    let name = quoted(&column.name);
    Some(Blocked {
        kind: BlockedKind::Drop,
        column: column.name.clone(),
        reason: format!("the table demands {name}, and the view no longer has it"),
        ddl: format!("ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL"),
    })
}

fn sql_name(have: &TableSchema) -> String {
    match have.table.name.as_str() {
        "" => format!("delta.{}", quoted(&have.table.location)),
        name => name.to_owned(),
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakefeed_plugin_api::TableRef;

    fn view_column(name: &str, fhir_type: &str, collection: bool, tag: &str) -> ViewColumn {
        let tags = (!tag.is_empty()).then(|| ("ansi/type".to_owned(), tag.to_owned()));
        ViewColumn {
            name: name.into(),
            fhir_type: fhir_type.into(),
            collection,
            tags: tags.into_iter().collect(),
        }
    }

    fn check_map(fhir_type: &str, collection: bool, tag: &str, expect: &str) {
        let columns = vec![view_column("c", fhir_type, collection, tag)];
        let answer = match DeltaTypes.map(&ViewSchema {
            view: "v".into(),
            columns,
        }) {
            Ok(mapped) => format!("{} {}", mapped.columns[0].column_type, mapped.columns[0].sql_type),
            Err(error) => error.code,
        };
        assert_eq!(answer, expect, "{fhir_type} {tag}");
    }

    #[test]
    fn fhir_types_become_delta_types() {
        check_map("id", false, "", "utf8 STRING");
        check_map("time", false, "", "utf8 STRING");
        check_map("date", false, "", "date32 DATE");
        check_map("instant", false, "", "timestamp-us-utc TIMESTAMP");
        check_map("positiveInt", false, "", "int32 INT");
        check_map("integer64", false, "", "int64 BIGINT");
        check_map("decimal", false, "", "float64 DOUBLE");
        check_map("base64Binary", false, "", "binary BINARY");
        check_map("http://hl7.org/fhirpath/System.String", false, "", "utf8 STRING");
        check_map("string", true, "", "list<utf8> ARRAY<STRING>");
        check_map("", false, "", "utf8 STRING");
        check_map("HumanName", false, "", "DELTA-003");
    }

    #[test]
    fn a_tag_wins_within_the_closed_set() {
        check_map("date", false, "VARCHAR(10)", "utf8 STRING");
        check_map("integer", false, "bigint", "int64 BIGINT");
        check_map("string", true, "CHARACTER VARYING", "list<utf8> ARRAY<STRING>");
        check_map("string", true, "array<int>", "list<int32> ARRAY<INT>");
        check_map("decimal", false, "DECIMAL(10,2)", "DELTA-003");
    }

    #[test]
    fn the_deletion_marker_is_an_int_whatever_the_view_says() {
        let columns = vec![view_column("is_deleted", "", false, "")];
        let mapped = DeltaTypes
            .map(&ViewSchema {
                view: "v".into(),
                columns,
            })
            .unwrap();
        assert_eq!(mapped.columns[0].sql_type, "INT");
    }

    fn check_plan(have: &str, want: &str, expect: &[&str]) {
        let table_column = |part: &str| {
            let (name, column_type) = part.split_once(':').unwrap();
            let (column_type, nullable) = column_type
                .strip_suffix('!')
                .map_or((column_type, true), |rest| (rest, false));
            let column_type: ColumnType = column_type.parse().unwrap();
            TableColumn {
                name: name.into(),
                sql_type: sql_type(column_type),
                column_type: Some(column_type),
                nullable,
            }
        };
        let mapped = |part: &str| {
            let column = table_column(part);
            let column_type = column.column_type.unwrap();
            MappedColumn {
                name: column.name,
                column_type,
                sql_type: column.sql_type,
            }
        };
        let have = TableSchema {
            table: TableRef::at("/t"),
            exists: true,
            columns: have.split_whitespace().map(table_column).collect(),
            ..TableSchema::default()
        };
        let want = MappedSchema {
            columns: want.split_whitespace().map(mapped).collect(),
        };
        let plan = DeltaTypes.plan(&have, &want).unwrap();
        let adds = plan
            .add
            .iter()
            .map(|column| format!("add {} {}", column.name, column.sql_type));
        let blocked = plan
            .blocked
            .iter()
            .map(|b| format!("{:?} {} [{}]", b.kind, b.column, b.ddl));
        assert_eq!(adds.chain(blocked).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn only_new_columns_are_added_and_the_rest_is_left_to_an_operator() {
        check_plan("id:utf8 gone:utf8", "ID:utf8", &[]);
        check_plan("id:utf8", "id:utf8 n:int32", &["add n INT"]);
        check_plan(
            "n:int32",
            "n:int64",
            &["Narrow n [ALTER TABLE delta.`/t` ALTER COLUMN `n` TYPE BIGINT]"],
        );
        check_plan("n:utf8", "n:int32", &["Narrow n []"]);
        check_plan(
            "birthDate:date32",
            "birth_date:date32",
            &["Rename birth_date [ALTER TABLE delta.`/t` RENAME COLUMN `birthDate` TO `birth_date`]"],
        );
        check_plan(
            "x:utf8!",
            "",
            &["Drop x [ALTER TABLE delta.`/t` ALTER COLUMN `x` DROP NOT NULL]"],
        );
    }
}
