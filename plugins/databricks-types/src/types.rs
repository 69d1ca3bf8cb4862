//! The table of types: FHIR's, and those that an `ansi/type` tag asks for.

use lakefeed_plugin_api::{ColumnType, MappedColumn, ScalarType, ViewColumn};

use crate::TypesError;

/// The column that the host adds to say whether a version is a delete.
const MARKER: &str = "is_deleted";

/// What a column of a view becomes.
pub(crate) fn map(view: &str, column: &ViewColumn) -> Result<MappedColumn, TypesError> {
    let refuse = |asked: &str| TypesError::Type {
        view: view.to_owned(),
        column: column.name.clone(),
        asked: asked.to_owned(),
    };
    let column_type = match column.tags.get("ansi/type") {
        Some(asked) => of_tag(asked, column.collection).ok_or_else(|| refuse(asked))?,
        None if column.name == MARKER => ColumnType::Scalar(ScalarType::Int32),
        None => {
            let scalar = of_fhir(&column.fhir_type).ok_or_else(|| refuse(&column.fhir_type))?;
            shaped(scalar, column.collection)
        }
    };
    Ok(MappedColumn {
        name: column.name.clone(),
        column_type,
        sql_type: sql(column_type),
    })
}

fn shaped(scalar: ScalarType, is_collection: bool) -> ColumnType {
    if is_collection {
        ColumnType::List(scalar)
    } else {
        ColumnType::Scalar(scalar)
    }
}

/// A type as Databricks' SQL names it.
pub(crate) fn sql(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Scalar(scalar) => sql_scalar(scalar).to_owned(),
        ColumnType::List(scalar) => format!("ARRAY<{}>", sql_scalar(scalar)),
    }
}

fn sql_scalar(scalar: ScalarType) -> &'static str {
    match scalar {
        ScalarType::Utf8 => "STRING",
        ScalarType::Date32 => "DATE",
        ScalarType::TimestampMicrosUtc => "TIMESTAMP",
        ScalarType::Int32 => "INT",
        ScalarType::Int64 => "BIGINT",
        ScalarType::Float64 => "DOUBLE",
        ScalarType::Boolean => "BOOLEAN",
        ScalarType::Binary => "BINARY",
    }
}

/// The type of a FHIR primitive, also under its name in FHIRPath's own model (`System.String`). A type that is not known
/// is text.
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

/// The type that a tag asks for. A length is dropped, since strings here have none; an exact decimal is refused, since
/// a double in its place would not be what was asked for.
fn of_tag(asked: &str, is_collection: bool) -> Option<ColumnType> {
    let asked = asked.trim().to_uppercase();
    match asked
        .strip_prefix("ARRAY<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        Some(item) => of_ansi(item.trim()).map(ColumnType::List),
        None => of_ansi(&asked).map(|scalar| shaped(scalar, is_collection)),
    }
}

fn of_ansi(asked: &str) -> Option<ScalarType> {
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

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::PluginError;

    use super::*;

    fn check(name: &str, fhir_type: &str, is_collection: bool, tag: &str, expect: &str) {
        let tags = (!tag.is_empty()).then(|| ("ansi/type".to_owned(), tag.to_owned()));
        let column = ViewColumn {
            name: name.into(),
            fhir_type: fhir_type.into(),
            collection: is_collection,
            tags: tags.into_iter().collect(),
        };
        let answer = match map("v", &column) {
            Ok(mapped) => format!("{} {}", mapped.column_type, mapped.sql_type),
            Err(error) => PluginError::from(error).code,
        };
        assert_eq!(answer, expect, "{fhir_type} {tag}");
    }

    #[test]
    fn fhir_types_become_the_types_of_the_table() {
        for text in [
            "id",
            "string",
            "code",
            "uri",
            "url",
            "canonical",
            "oid",
            "uuid",
            "markdown",
            "time",
            "",
        ] {
            check("c", text, false, "", "utf8 STRING");
        }
        check("c", "date", false, "", "date32 DATE");
        check("c", "dateTime", false, "", "timestamp-us-utc TIMESTAMP");
        check("c", "instant", false, "", "timestamp-us-utc TIMESTAMP");
        for number in ["integer", "positiveInt", "unsignedInt"] {
            check("c", number, false, "", "int32 INT");
        }
        check("c", "integer64", false, "", "int64 BIGINT");
        check("c", "decimal", false, "", "float64 DOUBLE");
        check("c", "boolean", false, "", "boolean BOOLEAN");
        check("c", "base64Binary", false, "", "binary BINARY");
        check(
            "c",
            "http://hl7.org/fhirpath/System.String",
            false,
            "",
            "utf8 STRING",
        );
        check("c", "string", true, "", "list<utf8> ARRAY<STRING>");
        check("c", "HumanName", false, "", "TYPES-003");
        check("is_deleted", "", false, "", "int32 INT");
    }

    #[test]
    fn a_tag_wins_within_the_closed_set() {
        check("c", "date", false, "VARCHAR(10)", "utf8 STRING");
        check("c", "integer", false, "bigint", "int64 BIGINT");
        check(
            "c",
            "string",
            true,
            "CHARACTER VARYING",
            "list<utf8> ARRAY<STRING>",
        );
        check("c", "string", true, "array<int>", "list<int32> ARRAY<INT>");
        check("c", "decimal", false, "DECIMAL(10,2)", "TYPES-003");
    }
}
