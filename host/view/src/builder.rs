//! Cells into Arrow arrays. Nothing here can refuse a value: what does not fit was refused when the cell was made.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int32Builder, Int64Builder,
    ListArray, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};

use crate::cell::Cell;
use crate::error::{Code, RowError};
use crate::evaluate::Flat;
use crate::output::{ColumnType, OutputType};

/// One column under construction.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    values: Values,
    /// Where each list ends; none for a plain column.
    ends: Option<Vec<i32>>,
    output: OutputType,
    bytes: usize,
}

#[derive(Debug)]
enum Values {
    Utf8(StringBuilder),
    Date32(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Boolean(BooleanBuilder),
    Binary(BinaryBuilder),
}

impl ColumnBuilder {
    pub(crate) fn new(column_type: ColumnType) -> Self {
        Self {
            values: Values::new(column_type.output),
            ends: column_type.list.then(Vec::new),
            output: column_type.output,
            bytes: 0,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the cells of one resource still fit Arrow's 32-bit offsets.
    pub(crate) fn check_room(&self, flat: &Flat<'_>, column: usize) -> Result<(), RowError> {
        let added: usize = flat.cells(column).map(|cell| size(flat, cell)).sum();
        if self.bytes + added > i32::MAX as usize {
            return Err(RowError::new(
                Code::BatchFull,
                "the column would pass 2 GiB in one batch",
            ));
        }
        Ok(())
    }

    pub(crate) fn append(&mut self, flat: &Flat<'_>, column: usize) {
        for cell in flat.cells(column) {
            self.bytes += size(flat, cell);
            match (&mut self.ends, cell) {
                (None, cell) => self.values.push(flat, cell),
                (Some(ends), Cell::List { start, length }) => {
                    for item in flat.list(start, length) {
                        self.values.push(flat, *item);
                    }
                    ends.push(ends.last().copied().unwrap_or(0) + i32::try_from(length).unwrap_or(i32::MAX));
                }
                (Some(ends), _) => ends.push(ends.last().copied().unwrap_or(0)),
            }
        }
    }

    /// The `is_deleted` column: the same number for every row of a resource.
    pub(crate) fn append_flag(&mut self, flag: bool, rows: usize) {
        self.bytes += 4 * rows;
        if let Values::Int32(builder) = &mut self.values {
            builder.append_value_n(i32::from(flag), rows);
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        self.bytes = 0;
        let values = self.values.finish();
        let Some(ends) = &mut self.ends else { return values };
        let mut offsets = Vec::with_capacity(ends.len() + 1);
        offsets.push(0);
        offsets.append(ends);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Arc::new(ListArray::new(
            ColumnType::item_field(self.output),
            offsets,
            values,
            None,
        ))
    }
}

impl Values {
    fn new(output: OutputType) -> Self {
        match output {
            OutputType::Utf8 => Self::Utf8(StringBuilder::new()),
            OutputType::Date32 => Self::Date32(Date32Builder::new()),
            OutputType::TimestampMicros => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(output.data_type()))
            }
            OutputType::Int32 => Self::Int32(Int32Builder::new()),
            OutputType::Int64 => Self::Int64(Int64Builder::new()),
            OutputType::Float64 => Self::Float64(Float64Builder::new()),
            OutputType::Boolean => Self::Boolean(BooleanBuilder::new()),
            OutputType::Binary => Self::Binary(BinaryBuilder::new()),
        }
    }

    fn push(&mut self, flat: &Flat<'_>, cell: Cell) {
        match self {
            Self::Utf8(builder) => builder.append_option(match cell {
                Cell::Text(text) => Some(flat.text(text)),
                _ => None,
            }),
            Self::Binary(builder) => builder.append_option(match cell {
                Cell::Bytes { start, length } => Some(flat.bytes(start, length)),
                _ => None,
            }),
            Self::Boolean(builder) => builder.append_option(match cell {
                Cell::Boolean(flag) => Some(flag),
                _ => None,
            }),
            Self::Float64(builder) => builder.append_option(match cell {
                Cell::Float(number) => Some(number),
                _ => None,
            }),
            Self::Date32(builder) => builder.append_option(narrow(cell)),
            Self::Int32(builder) => builder.append_option(narrow(cell)),
            Self::Int64(builder) => builder.append_option(wide(cell)),
            Self::Timestamp(builder) => builder.append_option(wide(cell)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Utf8(builder) => Arc::new(builder.finish()),
            Self::Date32(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
        }
    }
}

fn wide(cell: Cell) -> Option<i64> {
    match cell {
        Cell::Integer(number) => Some(number),
        _ => None,
    }
}

fn narrow(cell: Cell) -> Option<i32> {
    wide(cell).and_then(|number| i32::try_from(number).ok())
}

/// About how many bytes a cell takes in its column.
fn size(flat: &Flat<'_>, cell: Cell) -> usize {
    match cell {
        Cell::Null | Cell::Boolean(_) => 1,
        Cell::Integer(_) | Cell::Float(_) => 8,
        Cell::Text(text) => text.length as usize + 4,
        Cell::Bytes { length, .. } => length as usize + 4,
        Cell::List { start, length } => {
            4 + flat
                .list(start, length)
                .iter()
                .map(|item| size(flat, *item))
                .sum::<usize>()
        }
    }
}
