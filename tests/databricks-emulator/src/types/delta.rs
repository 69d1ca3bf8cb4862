//! Types to Delta's schema JSON and back. Unity Catalog's `type_json` is a field of the same form.

use serde_json::{Map, Value, json};

use super::{Column, SqlType, parse_type};

/// A table's schema as Delta's metadata has it.
pub(crate) fn delta_schema(columns: &[Column]) -> Value {
    let fields: Vec<Value> = columns.iter().map(field).collect();
    json!({"type": "struct", "fields": fields})
}

/// One column as Unity Catalog's `type_json` has it.
pub(crate) fn type_json(column: &Column) -> String {
    field(column).to_string()
}

fn field(column: &Column) -> Value {
    let mut metadata = Map::new();
    if let Some(comment) = &column.comment {
        metadata.insert("comment".to_owned(), Value::String(comment.clone()));
    }
    json!({
        "name": column.name,
        "type": type_value(&column.sql_type),
        "nullable": column.nullable,
        "metadata": metadata,
    })
}

fn type_value(sql_type: &SqlType) -> Value {
    match sql_type {
        SqlType::TinyInt => json!("byte"),
        SqlType::SmallInt => json!("short"),
        SqlType::Int => json!("integer"),
        SqlType::BigInt => json!("long"),
        SqlType::Array(item) => json!({
            "type": "array", "elementType": type_value(item), "containsNull": true,
        }),
        SqlType::Map(key, value) => json!({
            "type": "map", "keyType": type_value(key), "valueType": type_value(value), "valueContainsNull": true,
        }),
        SqlType::Struct(members) => delta_schema(members),
        simple => Value::String(simple.text()),
    }
}

/// The columns of a schema in Delta's form; none if a type is not one of ours.
pub(crate) fn of_delta_schema(schema: &Value) -> Option<Vec<Column>> {
    schema["fields"].as_array()?.iter().map(of_field).collect()
}

fn of_field(field: &Value) -> Option<Column> {
    Some(Column {
        name: field["name"].as_str()?.to_owned(),
        sql_type: of_type(&field["type"])?,
        nullable: field["nullable"].as_bool().unwrap_or(true),
        comment: field["metadata"]["comment"].as_str().map(str::to_owned),
    })
}

fn of_type(value: &Value) -> Option<SqlType> {
    if let Some(name) = value.as_str() {
        return match name {
            "byte" => Some(SqlType::TinyInt),
            "short" => Some(SqlType::SmallInt),
            "integer" => Some(SqlType::Int),
            "long" => Some(SqlType::BigInt),
            other => parse_type(other),
        };
    }
    match value["type"].as_str()? {
        "array" => Some(SqlType::Array(Box::new(of_type(&value["elementType"])?))),
        "map" => Some(SqlType::Map(
            Box::new(of_type(&value["keyType"])?),
            Box::new(of_type(&value["valueType"])?),
        )),
        "struct" => of_delta_schema(value).map(SqlType::Struct),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_survives_the_way_to_delta_and_back() {
        let texts = [
            "boolean",
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "float",
            "double",
            "decimal(10,2)",
            "date",
            "timestamp",
            "timestamp_ntz",
            "string",
            "binary",
            "array<int>",
            "map<string,bigint>",
            "struct<a:int,b:array<string>>",
        ];
        let columns: Vec<Column> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| Column::new(&format!("c{number}"), parse_type(text).unwrap()))
            .collect();
        assert_eq!(of_delta_schema(&delta_schema(&columns)), Some(columns.clone()));
        for (column, text) in columns.iter().zip(texts) {
            assert_eq!(column.sql_type.text(), text);
        }
    }

    #[test]
    fn the_type_json_is_deltas_field() {
        assert_eq!(
            type_json(&Column::new("id", SqlType::BigInt)),
            r#"{"name":"id","type":"long","nullable":true,"metadata":{}}"#
        );
    }
}
