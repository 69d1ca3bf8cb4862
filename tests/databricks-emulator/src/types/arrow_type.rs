//! Types to Arrow and back.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::{Column, SqlType};

impl SqlType {
    /// The Arrow type that a column of this type has in the table.
    pub(crate) fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::TimestampNtz => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::String => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Array(item) => DataType::List(item_field(item)),
            Self::Map(key, value) => DataType::Map(entries_field(key, value), false),
            Self::Struct(members) => DataType::Struct(fields(members)),
        }
    }
}

/// The field of an array's items, named as Delta's readers name it.
pub(crate) fn item_field(item: &SqlType) -> Arc<Field> {
    Arc::new(Field::new("element", item.arrow(), true))
}

/// The field of a map's entries.
pub(crate) fn entries_field(key: &SqlType, value: &SqlType) -> Arc<Field> {
    let entries = Fields::from(vec![
        Field::new("key", key.arrow(), false),
        Field::new("value", value.arrow(), true),
    ]);
    Arc::new(Field::new("key_value", DataType::Struct(entries), false))
}

/// The fields of a struct's members.
pub(crate) fn fields(members: &[Column]) -> Fields {
    members
        .iter()
        .map(|member| Field::new(&member.name, member.sql_type.arrow(), member.nullable))
        .collect()
}

/// The schema of batches of a table with those columns.
pub(crate) fn arrow_schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(fields(columns)))
}

/// The type that a query's column of that Arrow type is reported as.
pub(crate) fn of_arrow(data_type: &DataType) -> SqlType {
    match data_type {
        DataType::Boolean => SqlType::Boolean,
        DataType::Int8 | DataType::UInt8 => SqlType::TinyInt,
        DataType::Int16 | DataType::UInt16 => SqlType::SmallInt,
        DataType::Int32 | DataType::UInt32 => SqlType::Int,
        DataType::Int64 | DataType::UInt64 => SqlType::BigInt,
        DataType::Float16 | DataType::Float32 => SqlType::Float,
        DataType::Float64 => SqlType::Double,
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            SqlType::Decimal(*precision, *scale)
        }
        DataType::Date32 | DataType::Date64 => SqlType::Date,
        DataType::Timestamp(_, Some(_)) => SqlType::Timestamp,
        DataType::Timestamp(_, None) => SqlType::TimestampNtz,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            SqlType::Binary
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            SqlType::Array(Box::new(of_arrow(item.data_type())))
        }
        DataType::Map(entries, _) => of_entries(entries.data_type()),
        DataType::Struct(members) => SqlType::Struct(members.iter().map(|member| of_field(member)).collect()),
        DataType::Dictionary(_, values) => of_arrow(values),
        _ => SqlType::String,
    }
}

fn of_field(field: &Field) -> Column {
    Column {
        name: field.name().clone(),
        sql_type: of_arrow(field.data_type()),
        nullable: field.is_nullable(),
        comment: None,
    }
}

fn of_entries(entries: &DataType) -> SqlType {
    match entries {
        DataType::Struct(members) if members.len() == 2 => SqlType::Map(
            Box::new(of_arrow(members[0].data_type())),
            Box::new(of_arrow(members[1].data_type())),
        ),
        _ => SqlType::String,
    }
}
