//! Tables and columns, as the plugins and the host speak of them.
//!
//! A view's columns ([`ViewSchema`]) become columns of a target ([`MappedSchema`]) by a [`crate::SchemaMapper`]; what
//! the table has ([`TableSchema`]) and what it should have are compared into an [`EvolutionPlan`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

/// Which table is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct TableRef {
    /// The name in its catalog, with dots (`catalog.schema.table`); empty for a table that has only a place.
    pub name: String,
    /// Where the table's files lie, as a path or URL; empty for a table that its catalog places.
    pub location: String,
}

impl TableRef {
    /// A table known by its name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            location: String::new(),
        }
    }

    /// A table known by its place.
    #[must_use]
    pub fn at(location: impl Into<String>) -> Self {
        Self {
            name: String::new(),
            location: location.into(),
        }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.name.is_empty() {
            &self.location
        } else {
            &self.name
        })
    }
}

/// One value's type, from the closed set that the view engine builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarType {
    /// Text.
    Utf8,
    /// Days since 1970-01-01.
    Date32,
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampMicrosUtc,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// A double.
    Float64,
    /// True or false.
    Boolean,
    /// Bytes.
    Binary,
}

impl ScalarType {
    /// Every scalar type.
    pub const ALL: [Self; 8] = [
        Self::Utf8,
        Self::Date32,
        Self::TimestampMicrosUtc,
        Self::Int32,
        Self::Int64,
        Self::Float64,
        Self::Boolean,
        Self::Binary,
    ];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Date32 => "date32",
            Self::TimestampMicrosUtc => "timestamp-us-utc",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Boolean => "boolean",
            Self::Binary => "binary",
        }
    }

    /// The Arrow type.
    #[must_use]
    pub fn to_arrow(self) -> DataType {
        match self {
            Self::Utf8 => DataType::Utf8,
            Self::Date32 => DataType::Date32,
            // The offset form: readers without a time zone database understand it, and refuse "UTC".
            Self::TimestampMicrosUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Binary => DataType::Binary,
        }
    }

    fn from_arrow(data_type: &DataType) -> Option<Self> {
        if let DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) = data_type {
            return matches!(zone.as_ref(), "+00:00" | "UTC" | "Z").then_some(Self::TimestampMicrosUtc);
        }
        Self::ALL
            .into_iter()
            .find(|scalar| scalar.to_arrow() == *data_type)
    }
}

/// A column's type: one value a row, or a list of values. In JSON `utf8`, `list<utf8>` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ColumnType {
    /// One value, or null.
    Scalar(ScalarType),
    /// A list of values, or null. Its items are nullable, and the item field is named `item`.
    List(ScalarType),
}

impl ColumnType {
    /// The Arrow type.
    #[must_use]
    pub fn to_arrow(self) -> DataType {
        match self {
            Self::Scalar(scalar) => scalar.to_arrow(),
            Self::List(scalar) => DataType::List(Arc::new(Field::new("item", scalar.to_arrow(), true))),
        }
    }

    /// The column type of an Arrow type; none if it is outside the closed set.
    #[must_use]
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::List(item) => ScalarType::from_arrow(item.data_type()).map(Self::List),
            scalar => ScalarType::from_arrow(scalar).map(Self::Scalar),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => f.write_str(scalar.name()),
            Self::List(scalar) => write!(f, "list<{}>", scalar.name()),
        }
    }
}

impl From<ColumnType> for String {
    fn from(column_type: ColumnType) -> Self {
        column_type.to_string()
    }
}

/// The text names no column type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a column type; one of utf8, date32, timestamp-us-utc, int32, int64, float64, boolean, binary, or list<…> of these"
)]
pub struct UnknownColumnType(pub String);

impl FromStr for ColumnType {
    type Err = UnknownColumnType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let list = text.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>'));
        let name = list.unwrap_or(text);
        let scalar = ScalarType::ALL.into_iter().find(|scalar| scalar.name() == name);
        let scalar = scalar.ok_or_else(|| UnknownColumnType(text.to_owned()))?;
        Ok(if list.is_some() {
            Self::List(scalar)
        } else {
            Self::Scalar(scalar)
        })
    }
}

impl TryFrom<String> for ColumnType {
    type Error = UnknownColumnType;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// One column as a view defines it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ViewColumn {
    /// The column's name.
    pub name: String,
    /// The FHIR type of its values (`dateTime`, `decimal`, …); empty where it is not known.
    pub fhir_type: String,
    /// Whether a row holds a list of values.
    pub collection: bool,
    /// The tags on the column; `ansi/type` asks for an SQL type.
    pub tags: BTreeMap<String, String>,
}

/// The columns of a view, in their order, those that the host adds (`is_deleted`, …) included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ViewSchema {
    /// The view's name.
    pub view: String,
    /// Its columns.
    pub columns: Vec<ViewColumn>,
}

/// One column as the target wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedColumn {
    /// The column's name, as in the view.
    pub name: String,
    /// What the view engine builds for it.
    pub column_type: ColumnType,
    /// Its type in the target's SQL.
    pub sql_type: String,
}

/// The columns as the target wants them: one for each of the view's, same names, same order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedSchema {
    /// The columns.
    pub columns: Vec<MappedColumn>,
}

impl MappedSchema {
    /// The schema of the batches that follow. Every column is nullable.
    #[must_use]
    pub fn to_arrow(&self) -> SchemaRef {
        let field = |column: &MappedColumn| Field::new(&column.name, column.column_type.to_arrow(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

/// One column as the table has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableColumn {
    /// The column's name.
    pub name: String,
    /// Its type as the target writes it.
    pub sql_type: String,
    /// The same type in the closed set, where it is in it.
    #[serde(default)]
    pub column_type: Option<ColumnType>,
    /// Whether it may be empty.
    #[serde(default = "yes")]
    pub nullable: bool,
}

fn yes() -> bool {
    true
}

/// What a table has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableSchema {
    /// The table.
    pub table: TableRef,
    /// Whether it exists; if not, `columns` is empty.
    pub exists: bool,
    /// Its columns, in order.
    pub columns: Vec<TableColumn>,
    /// What the target says of it besides (format, owner, version), for reports.
    pub properties: BTreeMap<String, String>,
}

/// Why a difference is not closed by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BlockedKind {
    /// The table has a column that must be filled and the view does not have.
    Drop,
    /// A column seems to have another name.
    Rename,
    /// A column would need a narrower, or simply another, type.
    Narrow,
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A difference that only an operator may close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// What kind of difference.
    pub kind: BlockedKind,
    /// The column.
    pub column: String,
    /// What differs, in words for the operator.
    pub reason: String,
    /// The statement to run by hand; empty if there is none.
    #[serde(default)]
    pub ddl: String,
}

/// What must change in a table so that the batches fit. Only columns are ever added by the host; an empty plan means
/// that the table fits as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvolutionPlan {
    /// The table.
    pub table: TableRef,
    /// Columns to add, at the end, in this order.
    pub add: Vec<MappedColumn>,
    /// Differences that stop delivery until an operator has closed them.
    pub blocked: Vec<Blocked>,
}

impl EvolutionPlan {
    /// Whether the table fits as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.blocked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_type_survives_text_and_arrow() {
        for scalar in ScalarType::ALL {
            for column_type in [ColumnType::Scalar(scalar), ColumnType::List(scalar)] {
                assert_eq!(column_type.to_string().parse(), Ok(column_type));
                assert_eq!(ColumnType::from_arrow(&column_type.to_arrow()), Some(column_type));
            }
        }
    }

    #[test]
    fn an_unknown_column_type_is_refused_by_name() {
        let error = "list<utf9>".parse::<ColumnType>().unwrap_err();
        assert!(error.to_string().starts_with("`list<utf9>` is not a column type"));
        assert_eq!(ColumnType::from_arrow(&DataType::UInt8), None);
    }
}
