//! The cells of one column, or of one member of a nested one.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, MapArray,
    NullBufferBuilder, StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use crate::types::{Column, SqlType, entries_field, fields, item_field};

/// Builders by type. A cell is one call: [`null`](Self::null), or what the type's own builder takes.
pub(crate) enum Cells {
    Boolean(BooleanBuilder),
    TinyInt(Int8Builder),
    SmallInt(Int16Builder),
    Int(Int32Builder),
    BigInt(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    /// With a zone or without.
    Timestamp(TimestampMicrosecondBuilder),
    String(StringBuilder),
    Binary(BinaryBuilder),
    Array(Box<ArrayCells>),
    Map(Box<MapCells>),
    Struct(Box<StructCells>),
}

/// Arrays: their items, and where each ends.
pub(crate) struct ArrayCells {
    item_type: SqlType,
    pub(crate) items: Cells,
    ends: Ends,
}

/// Maps: their keys and values, and where each ends.
pub(crate) struct MapCells {
    key_type: SqlType,
    value_type: SqlType,
    pub(crate) keys: Cells,
    pub(crate) values: Cells,
    ends: Ends,
}

/// Structs: a column for each member.
pub(crate) struct StructCells {
    pub(crate) members: Vec<Column>,
    pub(crate) cells: Vec<Cells>,
    valid: NullBufferBuilder,
}

/// Where lists end, and which are null.
struct Ends {
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Ends {
    fn new(capacity: usize) -> Self {
        Self {
            offsets: vec![0],
            valid: NullBufferBuilder::new(capacity),
        }
    }

    fn end(&mut self, items: usize, is_valid: bool) {
        self.offsets.push(i32::try_from(items).unwrap_or(i32::MAX));
        self.valid.append(is_valid);
    }
}

impl Cells {
    pub(crate) fn new(sql_type: &SqlType, capacity: usize) -> Self {
        match sql_type {
            SqlType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(capacity)),
            SqlType::TinyInt => Self::TinyInt(Int8Builder::with_capacity(capacity)),
            SqlType::SmallInt => Self::SmallInt(Int16Builder::with_capacity(capacity)),
            SqlType::Int => Self::Int(Int32Builder::with_capacity(capacity)),
            SqlType::BigInt => Self::BigInt(Int64Builder::with_capacity(capacity)),
            SqlType::Float => Self::Float(Float32Builder::with_capacity(capacity)),
            SqlType::Double => Self::Double(Float64Builder::with_capacity(capacity)),
            SqlType::Decimal(precision, scale) => Self::Decimal(
                Decimal128Builder::with_capacity(capacity).with_data_type(sql_type.arrow()),
                *precision,
                *scale,
            ),
            SqlType::Date => Self::Date(Date32Builder::with_capacity(capacity)),
            SqlType::Timestamp | SqlType::TimestampNtz => Self::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(capacity).with_data_type(sql_type.arrow()),
            ),
            SqlType::String => Self::String(StringBuilder::with_capacity(capacity, capacity * 16)),
            SqlType::Binary => Self::Binary(BinaryBuilder::with_capacity(capacity, capacity * 16)),
            nested => Self::nested(nested, capacity),
        }
    }

    fn nested(sql_type: &SqlType, capacity: usize) -> Self {
        match sql_type {
            SqlType::Array(item) => Self::Array(Box::new(ArrayCells {
                item_type: (**item).clone(),
                items: Self::new(item, capacity),
                ends: Ends::new(capacity),
            })),
            SqlType::Map(key, value) => Self::Map(Box::new(MapCells {
                key_type: (**key).clone(),
                value_type: (**value).clone(),
                keys: Self::new(key, capacity),
                values: Self::new(value, capacity),
                ends: Ends::new(capacity),
            })),
            SqlType::Struct(members) => Self::Struct(Box::new(StructCells {
                members: members.clone(),
                cells: members
                    .iter()
                    .map(|member| Self::new(&member.sql_type, capacity))
                    .collect(),
                valid: NullBufferBuilder::new(capacity),
            })),
            simple => Self::new(simple, capacity),
        }
    }

    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            Self::Boolean(cells) => cells.len(),
            Self::TinyInt(cells) => cells.len(),
            Self::SmallInt(cells) => cells.len(),
            Self::Int(cells) => cells.len(),
            Self::BigInt(cells) => cells.len(),
            Self::Float(cells) => cells.len(),
            Self::Double(cells) => cells.len(),
            Self::Decimal(cells, ..) => cells.len(),
            Self::Date(cells) => cells.len(),
            Self::Timestamp(cells) => cells.len(),
            Self::String(cells) => cells.len(),
            Self::Binary(cells) => cells.len(),
            Self::Array(cells) => cells.ends.offsets.len() - 1,
            Self::Map(cells) => cells.ends.offsets.len() - 1,
            Self::Struct(cells) => cells.valid.len(),
        }
    }

    /// A NULL.
    pub(crate) fn null(&mut self) {
        match self {
            Self::Boolean(cells) => cells.append_null(),
            Self::TinyInt(cells) => cells.append_null(),
            Self::SmallInt(cells) => cells.append_null(),
            Self::Int(cells) => cells.append_null(),
            Self::BigInt(cells) => cells.append_null(),
            Self::Float(cells) => cells.append_null(),
            Self::Double(cells) => cells.append_null(),
            Self::Decimal(cells, ..) => cells.append_null(),
            Self::Date(cells) => cells.append_null(),
            Self::Timestamp(cells) => cells.append_null(),
            Self::String(cells) => cells.append_null(),
            Self::Binary(cells) => cells.append_null(),
            Self::Array(cells) => cells.ends.end(cells.items.len(), false),
            Self::Map(cells) => cells.ends.end(cells.keys.len(), false),
            Self::Struct(cells) => {
                cells.cells.iter_mut().for_each(Self::null);
                cells.valid.append(false);
            }
        }
    }

    /// A whole number into a column of whole numbers; false if it is none, or the number does not fit.
    pub(crate) fn integer(&mut self, value: i64) -> bool {
        match self {
            Self::TinyInt(cells) => i8::try_from(value).map(|value| cells.append_value(value)).is_ok(),
            Self::SmallInt(cells) => i16::try_from(value)
                .map(|value| cells.append_value(value))
                .is_ok(),
            Self::Int(cells) => i32::try_from(value)
                .map(|value| cells.append_value(value))
                .is_ok(),
            Self::Date(cells) => i32::try_from(value)
                .map(|value| cells.append_value(value))
                .is_ok(),
            Self::BigInt(cells) => {
                cells.append_value(value);
                true
            }
            Self::Timestamp(cells) => {
                cells.append_value(value);
                true
            }
            _ => false,
        }
    }

    fn finish_entries(cells: MapCells) -> Result<ArrayRef, ArrowError> {
        let field = entries_field(&cells.key_type, &cells.value_type);
        let DataType::Struct(fields) = field.data_type().clone() else {
            return Err(ArrowError::SchemaError(
                "the entries of a map are no struct".to_owned(),
            ));
        };
        let entries = StructArray::try_new(fields, vec![cells.keys.finish()?, cells.values.finish()?], None)?;
        let Ends { offsets, mut valid } = cells.ends;
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(MapArray::try_new(
            field,
            offsets,
            entries,
            valid.finish(),
            false,
        )?))
    }

    /// The cells as an array.
    pub(crate) fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Boolean(mut cells) => Arc::new(cells.finish()),
            Self::TinyInt(mut cells) => Arc::new(cells.finish()),
            Self::SmallInt(mut cells) => Arc::new(cells.finish()),
            Self::Int(mut cells) => Arc::new(cells.finish()),
            Self::BigInt(mut cells) => Arc::new(cells.finish()),
            Self::Float(mut cells) => Arc::new(cells.finish()),
            Self::Double(mut cells) => Arc::new(cells.finish()),
            Self::Decimal(mut cells, ..) => Arc::new(cells.finish()),
            Self::Date(mut cells) => Arc::new(cells.finish()),
            Self::Timestamp(mut cells) => Arc::new(cells.finish()),
            Self::String(mut cells) => Arc::new(cells.finish()),
            Self::Binary(mut cells) => Arc::new(cells.finish()),
            Self::Array(cells) => {
                let ArrayCells {
                    item_type,
                    items,
                    ends,
                } = *cells;
                let Ends { offsets, mut valid } = ends;
                let offsets = OffsetBuffer::new(offsets.into());
                let field = item_field(&item_type);
                Arc::new(ListArray::try_new(
                    field,
                    offsets,
                    items.finish()?,
                    valid.finish(),
                )?)
            }
            Self::Map(cells) => Self::finish_entries(*cells)?,
            Self::Struct(cells) => {
                let StructCells {
                    members,
                    cells,
                    mut valid,
                } = *cells;
                let arrays = cells.into_iter().map(Self::finish).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new(fields(&members), arrays, valid.finish())?)
            }
        })
    }
}

impl ArrayCells {
    /// The items that were appended since the last end are an array.
    pub(crate) fn end(&mut self) {
        self.ends.end(self.items.len(), true);
    }
}

impl MapCells {
    /// The entries that were appended since the last end are a map.
    pub(crate) fn end(&mut self) {
        self.ends.end(self.keys.len(), true);
    }
}

impl StructCells {
    /// Every member has a cell more.
    pub(crate) fn end(&mut self) {
        self.valid.append(true);
    }
}
