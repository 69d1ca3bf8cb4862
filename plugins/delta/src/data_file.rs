//! Rows as Parquet files of a bounded size.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use lakefeed_plugin_api::{BatchMeta, Refusal};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::DeltaError;
use crate::schema::Shape;
use crate::stats::FileStats;

/// After so many rows the size of the file is looked at.
const STEP: usize = 4096;

/// How many rows a row group holds at most.
const ROW_GROUP: usize = 256 * 1024;

/// A file that is encoded and not yet written.
pub(crate) struct EncodedFile {
    pub(crate) bytes: Bytes,
    pub(crate) stats: FileStats,
}

/// The rows of a batch, cut into files. One file is in memory at a time.
pub(crate) struct Encoder {
    rows: RecordBatch,
    next: usize,
    file_bytes: usize,
    indexed: usize,
}

impl Encoder {
    /// Lays the batch in the table's shape. `file_bytes` bounds a file, `indexed` says how many columns get statistics.
    pub(crate) fn new(
        batch: &RecordBatch,
        shape: &Shape,
        file_bytes: usize,
        indexed: usize,
    ) -> Result<Self, DeltaError> {
        let rows = lay_out(batch, shape).map_err(DeltaError::internal("laying out the rows"))?;
        Ok(Self {
            rows,
            next: 0,
            file_bytes,
            indexed,
        })
    }

    /// Whether every row is in a file.
    pub(crate) fn is_done(&self) -> bool {
        self.next == self.rows.num_rows()
    }

    /// The next file; none once every row is in one.
    pub(crate) fn next_file(&mut self) -> Result<Option<EncodedFile>, DeltaError> {
        if self.is_done() {
            return Ok(None);
        }
        self.encode()
            .map(Some)
            .map_err(DeltaError::internal("encoding a data file"))
    }

    fn encode(&mut self) -> Result<EncodedFile, parquet::errors::ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_created_by(concat!("lakefeed-plugin-delta ", env!("CARGO_PKG_VERSION")).into())
            .build();
        // The Arrow schema is left out: the table's schema is the log's.
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), self.rows.schema(), options)?;
        let mut stats = FileStats::default();
        while self.next < self.rows.num_rows()
            && writer.bytes_written() + writer.in_progress_size() < self.file_bytes
        {
            let slice = self
                .rows
                .slice(self.next, STEP.min(self.rows.num_rows() - self.next));
            writer.write(&slice)?;
            stats.add(&slice, self.indexed);
            self.next += slice.num_rows();
        }
        Ok(EncodedFile {
            bytes: writer.into_inner()?.into(),
            stats,
        })
    }
}

/// The batch's columns under the table's names and in the table's order and types.
fn lay_out(batch: &RecordBatch, shape: &Shape) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(shape.columns.len());
    let mut arrays = Vec::with_capacity(shape.columns.len());
    for (place, column) in &shape.columns {
        let array = batch.column(*place);
        let array = match column.column_type.map(|column_type| column_type.to_arrow()) {
            Some(wanted @ DataType::Int64) => cast(array, &wanted)?,
            _ => Arc::clone(array),
        };
        let array = with_element_name(array)?;
        fields.push(Field::new(
            &column.name,
            array.data_type().clone(),
            column.nullable,
        ));
        arrays.push(array);
    }
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
}

/// Parquet's own name for what a list holds.
fn with_element_name(array: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::List(item) = array.data_type() else {
        return Ok(array);
    };
    let element = Arc::new(Field::new("element", item.data_type().clone(), true));
    let list = array.as_list::<i32>();
    let (offsets, values, nulls) = (
        list.offsets().clone(),
        Arc::clone(list.values()),
        list.nulls().cloned(),
    );
    Ok(Arc::new(ListArray::try_new(element, offsets, values, nulls)?))
}

/// The changes that leave a column empty which the table demands.
pub(crate) fn empty_where_demanded(batch: &RecordBatch, shape: &Shape, meta: &BatchMeta) -> Vec<Refusal> {
    let mut refused: Vec<Refusal> = Vec::new();
    let demanded = shape.columns.iter().filter(|(_, column)| !column.nullable);
    for (place, column) in demanded {
        let array = batch.column(*place);
        let empty = (0..array.len()).filter(|row| array.null_count() > 0 && array.is_null(*row));
        for row in empty {
            let change = meta.change_of_row(row as u64);
            if refused.iter().rev().any(|earlier| earlier.change == change) {
                continue;
            }
            refused.push(Refusal {
                change,
                row: Some(row as u64),
                column: column.name.clone(),
                code: "DELTA-016".into(),
                message: "the column is empty, and the table demands it".into(),
            });
        }
    }
    refused.sort_by_key(|refusal| refusal.change);
    refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{DeltaSchema, batch_columns};
    use arrow::array::{Int32Array, StringArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn encode_all(batch: &RecordBatch, file_bytes: usize) -> Vec<EncodedFile> {
        let columns = batch_columns(batch.schema_ref()).unwrap();
        let shape = Shape::new(&DeltaSchema::new(&columns).columns(), &columns, false).unwrap();
        let mut encoder = Encoder::new(batch, &shape, file_bytes, 32).unwrap();
        std::iter::from_fn(|| encoder.next_file().unwrap()).collect()
    }

    #[test]
    fn files_end_near_their_bound_and_hold_every_row_once() {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..200_000));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..200_000u64).map(|n| format!("{:x}", n.wrapping_mul(n << 20))),
        ));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let files = encode_all(&batch, 512 * 1024);
        assert!(files.len() > 2);
        assert!(files.iter().all(|file| file.bytes.len() < 1024 * 1024));
        let mut next = 0;
        for file in files {
            let rows = file.stats.rows();
            for read in ParquetRecordBatchReaderBuilder::try_new(file.bytes)
                .unwrap()
                .build()
                .unwrap()
            {
                for value in read
                    .unwrap()
                    .column(0)
                    .as_primitive::<arrow::datatypes::Int32Type>()
                    .values()
                {
                    assert_eq!(*value, next);
                    next += 1;
                }
            }
            assert!(rows > 0);
        }
        assert_eq!(next, 200_000);
    }
}
