//! The types of columns, and their names on each surface.
//!
//! One type has four spellings: SQL (`BIGINT`), Unity Catalog's enum (`LONG`), Delta's schema (`"long"`) and Arrow. All are
//! derived from [`SqlType`], so they cannot part.

mod arrow_type;
mod delta;
mod parse;

use serde::{Deserialize, Serialize};

pub(crate) use arrow_type::{arrow_schema, entries_field, fields, item_field, of_arrow};
pub(crate) use delta::{delta_schema, of_delta_schema, type_json};
pub(crate) use parse::parse_type;

/// The type of a column or of a member of one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum SqlType {
    /// TRUE, FALSE.
    Boolean,
    /// 8 bits.
    TinyInt,
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Int,
    /// 64 bits.
    BigInt,
    /// 32 bits, binary fraction.
    Float,
    /// 64 bits, binary fraction.
    Double,
    /// Precision and scale.
    Decimal(u8, i8),
    /// Days.
    Date,
    /// Microseconds, UTC.
    Timestamp,
    /// Microseconds, no zone.
    TimestampNtz,
    /// Text.
    String,
    /// Bytes.
    Binary,
    /// Values of one type.
    Array(Box<SqlType>),
    /// Keys and values.
    Map(Box<SqlType>, Box<SqlType>),
    /// Named members.
    Struct(Vec<Column>),
}

/// A column of a table or a member of a struct.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Column {
    /// As it was written.
    pub(crate) name: String,
    /// Its type.
    pub(crate) sql_type: SqlType,
    /// Whether it may be NULL.
    pub(crate) nullable: bool,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

impl Column {
    /// A nullable column.
    pub(crate) fn new(name: &str, sql_type: SqlType) -> Self {
        Self {
            name: name.to_owned(),
            sql_type,
            nullable: true,
            comment: None,
        }
    }
}

impl SqlType {
    /// As SQL writes it, in capitals: `BIGINT`, `ARRAY<INT>`.
    pub(crate) fn sql(&self) -> String {
        match self {
            Self::Boolean => "BOOLEAN".to_owned(),
            Self::TinyInt => "TINYINT".to_owned(),
            Self::SmallInt => "SMALLINT".to_owned(),
            Self::Int => "INT".to_owned(),
            Self::BigInt => "BIGINT".to_owned(),
            Self::Float => "FLOAT".to_owned(),
            Self::Double => "DOUBLE".to_owned(),
            Self::Decimal(precision, scale) => format!("DECIMAL({precision},{scale})"),
            Self::Date => "DATE".to_owned(),
            Self::Timestamp => "TIMESTAMP".to_owned(),
            Self::TimestampNtz => "TIMESTAMP_NTZ".to_owned(),
            Self::String => "STRING".to_owned(),
            Self::Binary => "BINARY".to_owned(),
            Self::Array(item) => format!("ARRAY<{}>", item.sql()),
            Self::Map(key, value) => format!("MAP<{}, {}>", key.sql(), value.sql()),
            Self::Struct(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|member| format!("{}: {}", member.name, member.sql_type.sql()))
                    .collect();
                format!("STRUCT<{}>", members.join(", "))
            }
        }
    }

    /// As Unity Catalog's `type_text` and DESCRIBE write it: `bigint`, `array<int>`.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Array(item) => format!("array<{}>", item.text()),
            Self::Map(key, value) => format!("map<{},{}>", key.text(), value.text()),
            Self::Struct(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|member| format!("{}:{}", member.name, member.sql_type.text()))
                    .collect();
                format!("struct<{}>", members.join(","))
            }
            simple => simple.sql().to_lowercase(),
        }
    }

    /// The name in Unity Catalog's and the statement API's enum: `LONG`.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::TinyInt => "BYTE",
            Self::SmallInt => "SHORT",
            Self::Int => "INT",
            Self::BigInt => "LONG",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Decimal(..) => "DECIMAL",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampNtz => "TIMESTAMP_NTZ",
            Self::String => "STRING",
            Self::Binary => "BINARY",
            Self::Array(_) => "ARRAY",
            Self::Map(..) => "MAP",
            Self::Struct(_) => "STRUCT",
        }
    }
}
