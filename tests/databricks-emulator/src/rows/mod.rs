//! Rows on their way into a table: typed builders that both readers, of JSON and of SQL literals, fill.
//!
//! Nothing here knows where a value came from. A builder takes what its type can hold and refuses the rest, so that
//! neither reader can slip a value through that the other would refuse.

mod cells;
mod decimal;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

pub(crate) use cells::Cells;
pub(crate) use decimal::parse_decimal;

use crate::types::{Column, arrow_schema};

/// Rows that are being built, column by column.
pub(crate) struct Rows {
    schema: SchemaRef,
    pub(crate) cells: Vec<Cells>,
    count: usize,
}

impl Rows {
    /// No rows yet, of a table with those columns.
    pub(crate) fn new(columns: &[Column], capacity: usize) -> Self {
        Self {
            schema: arrow_schema(columns),
            cells: columns
                .iter()
                .map(|column| Cells::new(&column.sql_type, capacity))
                .collect(),
            count: 0,
        }
    }

    /// One row more has a cell in every column.
    pub(crate) fn end_row(&mut self) {
        self.count += 1;
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The rows as one batch.
    pub(crate) fn finish(self) -> Result<RecordBatch, ArrowError> {
        let arrays: Vec<ArrayRef> = self
            .cells
            .into_iter()
            .map(Cells::finish)
            .collect::<Result<_, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }
}
