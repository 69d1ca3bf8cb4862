//! The columns of a Delta table: how the log writes them, and how a batch fits them.

use std::collections::HashSet;

use arrow::datatypes::Schema;
use lakefeed_plugin_api::{ColumnType, ScalarType, TableColumn};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::DeltaError;

/// One field of the schema that the log holds. What this plugin does not know is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeltaField {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) data_type: Value,
    pub(crate) nullable: bool,
    #[serde(default)]
    pub(crate) metadata: Map<String, Value>,
}

/// The schema that the log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeltaSchema {
    #[serde(rename = "type", default = "struct_type")]
    kind: String,
    pub(crate) fields: Vec<DeltaField>,
}

fn struct_type() -> String {
    "struct".into()
}

impl DeltaSchema {
    /// A new table's schema: every column may be empty.
    pub(crate) fn new(columns: &[(String, ColumnType)]) -> Self {
        let fields = columns
            .iter()
            .map(|(name, column_type)| DeltaField::new(name, *column_type));
        Self {
            kind: struct_type(),
            fields: fields.collect(),
        }
    }

    /// The columns, as the contract speaks of them.
    pub(crate) fn columns(&self) -> Vec<TableColumn> {
        self.fields.iter().map(DeltaField::column).collect()
    }
}

impl DeltaField {
    pub(crate) fn new(name: &str, column_type: ColumnType) -> Self {
        Self {
            name: name.into(),
            data_type: delta_type(column_type),
            nullable: true,
            metadata: Map::new(),
        }
    }

    fn column(&self) -> TableColumn {
        TableColumn {
            name: self.name.clone(),
            sql_type: sql_of_delta(&self.data_type),
            column_type: column_type(&self.data_type),
            nullable: self.nullable,
        }
    }
}

/// Every scalar with its name in the log and in SQL.
const NAMES: [(ScalarType, &str, &str); 8] = [
    (ScalarType::Utf8, "string", "STRING"),
    (ScalarType::Date32, "date", "DATE"),
    (ScalarType::TimestampMicrosUtc, "timestamp", "TIMESTAMP"),
    (ScalarType::Int32, "integer", "INT"),
    (ScalarType::Int64, "long", "BIGINT"),
    (ScalarType::Float64, "double", "DOUBLE"),
    (ScalarType::Boolean, "boolean", "BOOLEAN"),
    (ScalarType::Binary, "binary", "BINARY"),
];

fn names(scalar: ScalarType) -> (&'static str, &'static str) {
    let found = NAMES.iter().find(|(candidate, ..)| *candidate == scalar);
    found.map_or(("string", "STRING"), |(_, delta, sql)| (delta, sql))
}

fn delta_type(column_type: ColumnType) -> Value {
    match column_type {
        ColumnType::Scalar(scalar) => names(scalar).0.into(),
        ColumnType::List(scalar) => {
            json!({"type": "array", "elementType": names(scalar).0, "containsNull": true})
        }
    }
}

/// The type in Spark's SQL.
pub(crate) fn sql_type(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Scalar(scalar) => names(scalar).1.into(),
        ColumnType::List(scalar) => format!("ARRAY<{}>", names(scalar).1),
    }
}

fn column_type(delta: &Value) -> Option<ColumnType> {
    let scalar = |name: &Value| {
        let found = NAMES.iter().find(|(_, delta, _)| name == delta);
        found.map(|(scalar, ..)| *scalar)
    };
    match delta {
        Value::Object(nested) if nested.get("type")? == "array" && nested.get("containsNull")? == true => {
            nested.get("elementType").and_then(scalar).map(ColumnType::List)
        }
        name => scalar(name).map(ColumnType::Scalar),
    }
}

fn sql_of_delta(delta: &Value) -> String {
    match (column_type(delta), delta) {
        (Some(column_type), _) => sql_type(column_type),
        (None, Value::String(name)) => name.to_uppercase(),
        (None, nested) => nested
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("unknown")
            .to_uppercase(),
    }
}

/// Delta's own rules for names, which hold for every table without column mapping.
pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), DeltaError> {
    let mut seen = HashSet::new();
    for name in names {
        let problem = if name.is_empty() {
            "a column needs a name"
        } else if name.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']) {
            "its name holds one of the characters ` ,;{}()=`, a tab or a line end, which Delta refuses"
        } else if !seen.insert(name.to_lowercase()) {
            "another column has the same name up to upper and lower case, which Delta takes for one"
        } else {
            continue;
        };
        return Err(DeltaError::ColumnName {
            column: name.into(),
            problem,
        });
    }
    Ok(())
}

/// The columns of a batch in the contract's closed set, names checked.
pub(crate) fn batch_columns(schema: &Schema) -> Result<Vec<(String, ColumnType)>, DeltaError> {
    check_names(schema.fields().iter().map(|field| field.name().as_str()))?;
    let column = |field: &arrow::datatypes::FieldRef| {
        let column_type = ColumnType::from_arrow(field.data_type());
        let column_type = column_type.ok_or_else(|| DeltaError::ColumnType {
            column: field.name().clone(),
            asked: field.data_type().to_string(),
        })?;
        Ok((field.name().clone(), column_type))
    };
    schema.fields().iter().map(column).collect()
}

/// Whether a value of the one type goes into a column of the other unchanged.
pub(crate) fn fits(have: Option<ColumnType>, want: ColumnType) -> bool {
    use ScalarType::{Int32, Int64};
    have == Some(want)
        || matches!(
            (have, want),
            (Some(ColumnType::Scalar(Int64)), ColumnType::Scalar(Int32))
        )
}

/// Delta compares names without regard to upper and lower case.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

/// How a batch lies in a table: for each column that both have, in the table's order, its place in the batch and what
/// the table says of it. Columns of the table alone are left out of the files; readers show them empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<(usize, TableColumn)>,
}

impl Shape {
    /// Fits the batch's columns into the table's, or names everything that is in the way.
    pub(crate) fn new(
        have: &[TableColumn],
        want: &[(String, ColumnType)],
        auto_evolve: bool,
    ) -> Result<Self, DeltaError> {
        let find = |name: &str| want.iter().position(|(wanted, _)| same_name(wanted, name));
        let lacks = |name: &str| !have.iter().any(|column| same_name(&column.name, name));
        let demanded = have
            .iter()
            .filter(|column| !column.nullable && find(&column.name).is_none());
        let demanded: Vec<String> = demanded.map(|column| column.name.clone()).collect();
        if !demanded.is_empty() {
            return Err(DeltaError::Demanded { columns: demanded });
        }
        let columns: Vec<(usize, TableColumn)> = have
            .iter()
            .filter_map(|column| Some((find(&column.name)?, column.clone())))
            .collect();
        let differences: Vec<String> = columns
            .iter()
            .filter_map(|(place, column)| difference(column, want[*place].1))
            .collect();
        if !differences.is_empty() {
            return Err(DeltaError::Incompatible { differences });
        }
        let missing: Vec<String> = want
            .iter()
            .filter(|(name, _)| lacks(name))
            .map(|(name, _)| name.clone())
            .collect();
        if !missing.is_empty() {
            return Err(DeltaError::MissingColumns {
                columns: missing,
                auto_evolve,
            });
        }
        Ok(Self { columns })
    }
}

/// In words, why a column of the table does not hold values of that type; none if it does.
pub(crate) fn difference(column: &TableColumn, want: ColumnType) -> Option<String> {
    let name = &column.name;
    (!fits(column.column_type, want)).then(|| {
        format!(
            "column `{name}` is {} in the table and {} in the view",
            column.sql_type,
            sql_type(want)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Vec<(String, ColumnType)> {
        let column = |part: &str| {
            let (name, column_type) = part.split_once(':').unwrap();
            (name.to_owned(), column_type.parse().unwrap())
        };
        text.split_whitespace().map(column).collect()
    }

    fn check_fit(have: &str, want: &str, expect: &str) {
        let have = DeltaSchema::new(&columns(have)).columns();
        let answer = match Shape::new(&have, &columns(want), false) {
            Ok(shape) => format!(
                "{:?}",
                shape.columns.iter().map(|(place, _)| place).collect::<Vec<_>>()
            ),
            Err(error) => error.to_string(),
        };
        assert_eq!(answer, expect);
    }

    #[test]
    fn a_batch_is_laid_in_the_tables_order_and_by_names_without_regard_to_case() {
        check_fit("id:utf8 n:int32", "n:int32 id:utf8", "[1, 0]");
        check_fit("ID:utf8 old:date32", "id:utf8", "[0]");
        check_fit("n:int64", "n:int32", "[0]");
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        check_fit(
            "id:utf8",
            "id:utf8 a:int32 b:date32",
            "the table lacks the columns `a`, `b`",
        );
        check_fit(
            "id:utf8",
            "id:int32",
            "column `id` is STRING in the table and INT in the view",
        );
        check_fit(
            "n:int32",
            "n:int64",
            "column `n` is INT in the table and BIGINT in the view",
        );
        let mut have = DeltaSchema::new(&columns("id:utf8 x:utf8")).columns();
        have[1].nullable = false;
        let error = Shape::new(&have, &columns("id:utf8"), true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the table demands the columns `x`, which the view lacks"
        );
    }

    #[test]
    fn every_type_survives_the_log() {
        for scalar in ScalarType::ALL {
            for wanted in [ColumnType::Scalar(scalar), ColumnType::List(scalar)] {
                assert_eq!(column_type(&delta_type(wanted)), Some(wanted));
            }
        }
        assert_eq!(column_type(&json!("timestamp_ntz")), None);
        assert_eq!(sql_of_delta(&json!("decimal(10,2)")), "DECIMAL(10,2)");
        assert_eq!(sql_of_delta(&json!({"type": "struct", "fields": []})), "STRUCT");
    }

    #[test]
    fn names_that_delta_refuses_are_refused_first() {
        for name in ["", "a b", "a,b", "a;b", "{", "}", "(", ")", "a\nb", "a\tb", "a=b"] {
            assert!(check_names([name].into_iter()).is_err(), "{name:?}");
        }
        assert!(check_names(["id", "ID"].into_iter()).is_err());
        assert!(check_names(["id", "päivä", "a.b", "a-b"].into_iter()).is_ok());
    }
}
