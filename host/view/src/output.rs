//! The Arrow types that columns come in, and the schema that they make.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{Code, ViewError};
use crate::view::ColumnInfo;

/// The key of a field's metadata that holds its FHIR type.
pub const FHIR_TYPE: &str = "fhir:type";

/// The name of the column that says whether the resource was deleted.
pub const IS_DELETED: &str = "is_deleted";

/// The Arrow types that a column can be built in. The set is closed, so that every plugin can know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputType {
    /// Text, as the resource has it.
    Utf8,
    /// Days since 1970-01-01.
    Date32,
    /// Microseconds since 1970-01-01T00:00Z, in UTC.
    TimestampMicros,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Double precision.
    Float64,
    /// True or false.
    Boolean,
    /// Bytes, decoded from base64.
    Binary,
}

/// The type of one output column: a value or a list of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ColumnType {
    /// The type of a value.
    pub output: OutputType,
    /// Whether the column holds a list of them; exactly for columns with `collection: true`.
    pub list: bool,
}

impl OutputType {
    /// The Arrow type of one value.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Utf8 => DataType::Utf8,
            Self::Date32 => DataType::Date32,
            Self::TimestampMicros => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Binary => DataType::Binary,
        }
    }

    /// The type that the standard gives to a FHIR type: dates and decimals stay text, so that nothing is lost.
    #[must_use]
    pub fn standard(fhir_type: &str) -> Self {
        match fhir_type {
            "boolean" => Self::Boolean,
            "integer" | "positiveInt" | "unsignedInt" => Self::Int32,
            "integer64" => Self::Int64,
            "instant" => Self::TimestampMicros,
            "base64Binary" => Self::Binary,
            _ => Self::Utf8,
        }
    }

    /// The type that prints as the resource has it: as [`OutputType::standard`], with instants and base64 left as text.
    #[must_use]
    pub fn textual(fhir_type: &str) -> Self {
        match Self::standard(fhir_type) {
            Self::TimestampMicros | Self::Binary => Self::Utf8,
            other => other,
        }
    }
}

impl ColumnType {
    /// The Arrow type of the column.
    #[must_use]
    pub fn data_type(self) -> DataType {
        if self.list {
            DataType::List(Self::item_field(self.output))
        } else {
            self.output.data_type()
        }
    }

    /// The field of a list's items.
    pub(crate) fn item_field(output: OutputType) -> Arc<Field> {
        Arc::new(Field::new("item", output.data_type(), true))
    }
}

/// The schema of a view's columns in the given types. Every field is nullable and carries its FHIR type as metadata.
pub(crate) fn schema(
    columns: &[ColumnInfo],
    types: &[ColumnType],
    is_deleted: bool,
) -> Result<SchemaRef, ViewError> {
    if columns.len() != types.len() {
        let problem = format!("{} output types for {} columns", types.len(), columns.len());
        return Err(types_error(
            "ViewDefinition.select".to_owned(),
            problem,
            "give one type for each column",
        ));
    }
    let mut fields = Vec::with_capacity(columns.len() + 1);
    for (column, column_type) in columns.iter().zip(types) {
        fields.push(field(column, *column_type)?);
    }
    if is_deleted {
        if let Some(column) = columns.iter().find(|column| column.name == IS_DELETED) {
            let problem = format!("the column `{IS_DELETED}` is added to every row");
            return Err(types_error(
                column.location.clone(),
                problem,
                "rename the view's own column",
            ));
        }
        fields.push(Field::new(IS_DELETED, DataType::Int32, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn field(column: &ColumnInfo, column_type: ColumnType) -> Result<Field, ViewError> {
    if column.collection != column_type.list {
        let problem = if column.collection {
            format!(
                "column `{}` is a collection, its output type is not a list",
                column.name
            )
        } else {
            format!(
                "column `{}` is no collection, its output type is a list",
                column.name
            )
        };
        let remedy = "use a list exactly where `collection` is true";
        return Err(types_error(column.location.clone(), problem, remedy));
    }
    let metadata = HashMap::from([(FHIR_TYPE.to_owned(), column.fhir_type.clone())]);
    Ok(Field::new(&column.name, column_type.data_type(), true).with_metadata(metadata))
}

fn types_error(location: String, problem: String, remedy: &str) -> ViewError {
    ViewError {
        code: Code::OutputTypes,
        location,
        column: None,
        problem,
        remedy: remedy.to_owned(),
    }
}
