//! The types of a destination whose plugins have no schema mapper: the standard's own, by FHIR type.

use lakefeed_plugin_api::{
    ColumnType, EvolutionPlan, MappedColumn, MappedSchema, ScalarType, TableSchema, ViewColumn, ViewSchema,
};

/// One column for each of the view's.
pub(crate) fn map(view: &ViewSchema) -> MappedSchema {
    MappedSchema {
        columns: view.columns.iter().map(column).collect(),
    }
}

/// Adds what is missing by name; types are the target's own business.
pub(crate) fn plan(have: &TableSchema, want: &MappedSchema) -> EvolutionPlan {
    let is_missing = |column: &&MappedColumn| {
        !have
            .columns
            .iter()
            .any(|had| had.name.eq_ignore_ascii_case(&column.name))
    };
    EvolutionPlan {
        table: have.table.clone(),
        add: want.columns.iter().filter(is_missing).cloned().collect(),
        blocked: Vec::new(),
    }
}

fn column(column: &ViewColumn) -> MappedColumn {
    let (scalar, sql) = types(&column.fhir_type);
    let (column_type, sql_type) = match column.collection {
        true => (ColumnType::List(scalar), format!("ARRAY<{sql}>")),
        false => (ColumnType::Scalar(scalar), sql.to_owned()),
    };
    MappedColumn {
        name: column.name.clone(),
        column_type,
        sql_type,
    }
}

fn types(fhir_type: &str) -> (ScalarType, &'static str) {
    match fhir_type {
        "boolean" => (ScalarType::Boolean, "BOOLEAN"),
        "integer" | "positiveInt" | "unsignedInt" => (ScalarType::Int32, "INT"),
        "integer64" => (ScalarType::Int64, "BIGINT"),
        "decimal" => (ScalarType::Float64, "DOUBLE"),
        "date" => (ScalarType::Date32, "DATE"),
        "dateTime" | "instant" => (ScalarType::TimestampMicrosUtc, "TIMESTAMP"),
        "base64Binary" => (ScalarType::Binary, "BINARY"),
        _ => (ScalarType::Utf8, "STRING"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fhir_type_has_its_column_type() {
        let check = |fhir_type: &str, collection: bool, expected: &str| {
            let view = ViewColumn {
                name: "c".into(),
                fhir_type: fhir_type.into(),
                collection,
                ..ViewColumn::default()
            };
            let mapped = column(&view);
            assert_eq!(
                format!("{} {}", mapped.column_type, mapped.sql_type),
                expected,
                "{fhir_type}"
            );
        };
        check("id", false, "utf8 STRING");
        check("date", false, "date32 DATE");
        check("instant", false, "timestamp-us-utc TIMESTAMP");
        check("decimal", false, "float64 DOUBLE");
        check("positiveInt", false, "int32 INT");
        check("code", true, "list<utf8> ARRAY<STRING>");
        check("base64Binary", false, "binary BINARY");
    }
}
