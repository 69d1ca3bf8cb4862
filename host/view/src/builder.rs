//! Cells into Arrow arrays. Nothing here can refuse a value: what does not fit was refused when the cell was made.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, Date32Builder, Float64Builder,
    Int32Builder, Int64Builder, ListArray, PrimitiveBuilder, StringBuilder, TimestampMicrosecondBuilder,
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
    ///
    /// `most` is what the cells of no column exceed.
    pub(crate) fn check_room(&self, flat: &Flat<'_>, column: usize, most: usize) -> Result<(), RowError> {
        let room = (i32::MAX as usize).saturating_sub(self.bytes);
        // Mostly there is room for far more than the cells could take, and nobody need count.
        if most <= room {
            return Ok(());
        }
        let added: usize = flat.cells(column).map(|cell| size(flat, cell)).sum();
        if added > room {
            return Err(RowError::new(
                Code::BatchFull,
                "the column would pass 2 GiB in one batch",
            ));
        }
        Ok(())
    }

    /// Appends the cells of one resource, for which there is room.
    pub(crate) fn append(&mut self, flat: &Flat<'_>, column: usize) {
        let cells = flat.cells(column);
        let Some(ends) = &mut self.ends else {
            self.bytes += self.values.extend(flat, cells);
            return;
        };
        for cell in cells {
            let mut end = ends.last().copied().unwrap_or(0);
            if let Cell::List { start, length } = cell {
                let items = flat.list(start, length).iter().copied();
                self.bytes += self.values.extend(flat, items);
                end += length.cast_signed();
            }
            self.bytes += 4;
            ends.push(end);
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

    /// Appends cells and answers about how many bytes they take.
    fn extend(&mut self, flat: &Flat<'_>, cells: impl Iterator<Item = Cell>) -> usize {
        match self {
            Self::Utf8(builder) => {
                let mut bytes = 0;
                for cell in cells {
                    bytes += 4;
                    match cell {
                        Cell::Text(text) => {
                            bytes += text.length as usize;
                            builder.append_value(flat.text(text));
                        }
                        _ => builder.append_null(),
                    }
                }
                bytes
            }
            Self::Binary(builder) => {
                let mut bytes = 0;
                for cell in cells {
                    bytes += 4;
                    match cell {
                        Cell::Bytes { start, length } => {
                            bytes += length as usize;
                            builder.append_value(flat.bytes(start, length));
                        }
                        _ => builder.append_null(),
                    }
                }
                bytes
            }
            Self::Boolean(builder) => each(1, cells, |cell| {
                builder.append_option(match cell {
                    Cell::Boolean(flag) => Some(flag),
                    _ => None,
                });
            }),
            Self::Float64(builder) => each(8, cells, |cell| {
                builder.append_option(match cell {
                    Cell::Float(number) => Some(number),
                    _ => None,
                });
            }),
            Self::Date32(builder) => each(4, cells, |cell| builder.append_option(narrow(cell))),
            Self::Int32(builder) => each(4, cells, |cell| builder.append_option(narrow(cell))),
            Self::Int64(builder) => each(8, cells, |cell| builder.append_option(wide(cell))),
            Self::Timestamp(builder) => each(8, cells, |cell| builder.append_option(wide(cell))),
        }
    }

    /// Ends the array and begins one for which there is as much room as this one took, up to a bound: the next batch is
    /// mostly like this one.
    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Utf8(builder) => {
                let array = builder.finish();
                *builder = StringBuilder::with_capacity(room(array.len()), room(array.value_data().len()));
                Arc::new(array)
            }
            Self::Binary(builder) => {
                let array = builder.finish();
                *builder = BinaryBuilder::with_capacity(room(array.len()), room(array.value_data().len()));
                Arc::new(array)
            }
            Self::Boolean(builder) => {
                let array = builder.finish();
                *builder = BooleanBuilder::with_capacity(room(array.len()));
                Arc::new(array)
            }
            Self::Timestamp(builder) => {
                let array = builder.finish();
                let fresh = TimestampMicrosecondBuilder::with_capacity(room(array.len()));
                *builder = fresh.with_data_type(array.data_type().clone());
                Arc::new(array)
            }
            Self::Date32(builder) => finish(builder),
            Self::Int32(builder) => finish(builder),
            Self::Int64(builder) => finish(builder),
            Self::Float64(builder) => finish(builder),
        }
    }
}

fn finish<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>) -> ArrayRef {
    let array = builder.finish();
    *builder = PrimitiveBuilder::with_capacity(room(array.len()));
    Arc::new(array)
}

/// How much room is made at once, of what was taken before.
fn room(taken: usize) -> usize {
    taken.min(1 << 20)
}

/// Appends cells of one size and answers how many bytes they take.
fn each(size: usize, cells: impl Iterator<Item = Cell>, mut append: impl FnMut(Cell)) -> usize {
    let mut bytes = 0;
    for cell in cells {
        append(cell);
        bytes += size;
    }
    bytes
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

/// The most bytes that a cell takes in its column.
fn size(flat: &Flat<'_>, cell: Cell) -> usize {
    match cell {
        Cell::Null | Cell::Boolean(_) | Cell::Integer(_) | Cell::Float(_) => 8,
        Cell::Text(text) => text.length as usize + 4,
        Cell::Bytes { length, .. } => length as usize + 4,
        Cell::List { start, length } => {
            let items = flat.list(start, length).iter();
            4 + items.map(|item| size(flat, *item)).sum::<usize>()
        }
    }
}
