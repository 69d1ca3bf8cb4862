//! A Parquet file whose columns are encoded by themselves, each in the order of its rows, by whichever thread is free.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use ::parquet::basic::Compression;
use ::parquet::errors::Result;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::ColumnPath;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, FieldRef, Float64Type, Int64Type, SchemaRef, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;

use super::Out;

/// A row group has about so many rows, or bytes in Arrow's format: enough for a reader, little enough to hold.
const GROUP_ROWS: usize = 120 << 10;
const GROUP_BYTES: usize = 32 << 20;

/// So many rows are looked at before the file begins, to see which columns repeat their values.
const SAMPLE_ROWS: usize = 4096;

/// What is to be done for a column, one after the other.
pub(super) enum ColumnJob {
    /// The column of a new row group begins.
    Open(Box<ArrowColumnWriter>),
    Array(ArrayRef),
    /// The column of the row group is complete.
    Close,
}

/// The file, and the row group that is being filled.
pub(super) struct ParquetSink {
    schema: SchemaRef,
    state: State,
    /// What is to be done for each column since it was last asked for.
    jobs: Vec<Vec<ColumnJob>>,
    groups: usize,
    /// What the open row group holds; nothing if none is open.
    rows: usize,
    bytes: usize,
}

enum State {
    /// Too few rows came to begin.
    Waiting(Option<Out>, Vec<RecordBatch>),
    Begun(Box<SerializedFileWriter<Out>>, ArrowRowGroupWriterFactory),
}

impl ParquetSink {
    pub(super) fn new(out: Out, schema: SchemaRef) -> Self {
        Self {
            jobs: schema.fields().iter().map(|_| Vec::new()).collect(),
            schema,
            state: State::Waiting(Some(out), Vec::new()),
            groups: 0,
            rows: 0,
            bytes: 0,
        }
    }

    /// Takes rows.
    pub(super) fn give(&mut self, batch: RecordBatch) -> Result<()> {
        match &mut self.state {
            State::Waiting(_, waiting) => {
                waiting.push(batch);
                match waiting.iter().map(RecordBatch::num_rows).sum::<usize>() < SAMPLE_ROWS {
                    true => Ok(()),
                    false => self.begin(),
                }
            }
            State::Begun(..) => self.add(&batch),
        }
    }

    fn begin(&mut self) -> Result<()> {
        let State::Waiting(out, waiting) = &mut self.state else {
            return Ok(());
        };
        let (Some(out), waiting) = (out.take(), std::mem::take(waiting)) else {
            return Ok(());
        };
        let properties = properties(&self.schema, &waiting);
        let writer = ArrowWriter::try_new(out, Arc::clone(&self.schema), Some(properties))?;
        let (writer, factory) = writer.into_serialized_writer()?;
        self.state = State::Begun(Box::new(writer), factory);
        waiting.iter().try_for_each(|batch| self.add(batch))
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let State::Begun(_, factory) = &mut self.state else {
            return Ok(());
        };
        if self.rows == 0 {
            let writers = factory.create_column_writers(self.groups)?;
            for (jobs, writer) in self.jobs.iter_mut().zip(writers) {
                jobs.push(ColumnJob::Open(Box::new(writer)));
            }
            self.groups += 1;
        }
        for (jobs, array) in self.jobs.iter_mut().zip(batch.columns()) {
            self.bytes += array.to_data().get_slice_memory_size()?;
            jobs.push(ColumnJob::Array(Arc::clone(array)));
        }
        self.rows += batch.num_rows();
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.close_group();
        }
        Ok(())
    }

    fn close_group(&mut self) {
        if self.rows > 0 {
            self.jobs.iter_mut().for_each(|jobs| jobs.push(ColumnJob::Close));
            (self.rows, self.bytes) = (0, 0);
        }
    }

    /// No more rows come.
    pub(super) fn close(&mut self) -> Result<()> {
        self.begin()?;
        self.close_group();
        Ok(())
    }

    /// What is to be done for each column.
    pub(super) fn take_jobs(&mut self) -> Vec<Vec<ColumnJob>> {
        self.jobs.iter_mut().map(std::mem::take).collect()
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Writes the next row group.
    pub(super) fn write_group(&mut self, group: Vec<ArrowColumnChunk>) -> Result<()> {
        let State::Begun(writer, _) = &mut self.state else {
            return Ok(());
        };
        let mut row_group = writer.next_row_group()?;
        for column in group {
            column.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        Ok(())
    }

    /// Ends the file, whose row groups are all written.
    pub(super) fn finish(self) -> Result<Option<Out>> {
        match self.state {
            State::Waiting(out, _) => Ok(out),
            State::Begun(writer, _) => writer.into_inner().map(Some),
        }
    }
}

/// A dictionary costs time and, where values do not repeat, saves nothing.
fn properties(schema: &SchemaRef, sample: &[RecordBatch]) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for (index, field) in schema.fields().iter().enumerate() {
        let arrays: Vec<_> = sample.iter().map(|batch| batch.column(index)).collect();
        if repeats_rarely(&arrays) {
            let path = ColumnPath::new(vec![field.name().clone()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    properties.build()
}

/// Whether all values of a column but one in a hundred are different.
fn repeats_rarely(arrays: &[&ArrayRef]) -> bool {
    let mut texts = HashSet::new();
    let mut numbers = HashSet::new();
    for array in arrays {
        match array.data_type() {
            DataType::Utf8 => texts.extend(array.as_string::<i32>().iter().flatten()),
            DataType::Date32 => {
                numbers.extend(array.as_primitive::<Date32Type>().iter().flatten().map(i64::from))
            }
            DataType::Int64 => numbers.extend(array.as_primitive::<Int64Type>().iter().flatten()),
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>().iter().flatten();
                numbers.extend(values.map(|value| value.to_bits().cast_signed()));
            }
            DataType::Timestamp(..) => {
                numbers.extend(array.as_primitive::<TimestampMicrosecondType>().iter().flatten());
            }
            _ => return false,
        }
    }
    let values: usize = arrays.iter().map(|array| array.len() - array.null_count()).sum();
    values > 0 && (texts.len() + numbers.len()) * 100 >= values * 99
}

/// The columns, and what is to be done for them.
#[derive(Default)]
pub(super) struct Columns {
    columns: Vec<Column>,
    /// The row groups that are not written yet, with those of their columns that are encoded.
    groups: VecDeque<Vec<Option<ArrowColumnChunk>>>,
    /// How many row groups were taken to be written.
    taken: usize,
}

struct Column {
    field: FieldRef,
    /// None while a thread has it, and between row groups.
    writer: Option<Box<ArrowColumnWriter>>,
    is_out: bool,
    jobs: VecDeque<ColumnJob>,
    /// The number of the row group that is being encoded.
    group: usize,
}

/// A column in the hands of a thread.
pub(super) struct Encoding {
    number: usize,
    field: FieldRef,
    writer: Option<Box<ArrowColumnWriter>>,
    jobs: VecDeque<ColumnJob>,
    closed: Vec<ArrowColumnChunk>,
}

impl Columns {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let column = |field: &FieldRef| Column {
            field: Arc::clone(field),
            writer: None,
            is_out: false,
            jobs: VecDeque::new(),
            group: 0,
        };
        Self {
            columns: schema.fields().iter().map(column).collect(),
            ..Self::default()
        }
    }

    /// Takes in what is to be done for each column.
    pub(super) fn add(&mut self, jobs: Vec<Vec<ColumnJob>>) {
        for (column, jobs) in self.columns.iter_mut().zip(jobs) {
            column.jobs.extend(jobs);
        }
    }

    /// The most jobs that wait for a column.
    pub(super) fn backlog(&self) -> usize {
        let jobs = self.columns.iter().map(|column| column.jobs.len());
        jobs.max().unwrap_or(0)
    }

    /// The column that most is to be done for.
    pub(super) fn take(&mut self) -> Option<Encoding> {
        let waiting = self.columns.iter_mut().enumerate();
        let free = waiting.filter(|(_, column)| !column.is_out && !column.jobs.is_empty());
        let (number, column) = free.max_by_key(|(_, column)| column.jobs.len())?;
        column.is_out = true;
        Some(Encoding {
            number,
            field: Arc::clone(&column.field),
            writer: column.writer.take(),
            jobs: std::mem::take(&mut column.jobs),
            closed: Vec::new(),
        })
    }

    /// Takes back a column.
    pub(super) fn bring_back(&mut self, encoding: Encoding) {
        let width = self.columns.len();
        let column = &mut self.columns[encoding.number];
        column.is_out = false;
        column.writer = encoding.writer;
        for chunk in encoding.closed {
            let at = column.group - self.taken;
            while self.groups.len() <= at {
                self.groups.push_back((0..width).map(|_| None).collect());
            }
            self.groups[at][encoding.number] = Some(chunk);
            column.group += 1;
        }
    }

    /// The next row group, once all its columns are encoded.
    pub(super) fn take_group(&mut self) -> Option<Vec<ArrowColumnChunk>> {
        self.groups
            .front()
            .filter(|group| group.iter().all(Option::is_some))?;
        self.taken += 1;
        Some(self.groups.pop_front()?.into_iter().flatten().collect())
    }

    /// Whether there is nothing to do and nothing in work.
    pub(super) fn are_done(&self) -> bool {
        self.groups.is_empty()
            && self
                .columns
                .iter()
                .all(|column| !column.is_out && column.jobs.is_empty())
    }
}

impl Encoding {
    /// Does what is to be done.
    pub(super) fn run(&mut self) -> Result<()> {
        for job in self.jobs.drain(..) {
            match (job, &mut self.writer) {
                (ColumnJob::Open(writer), place) => *place = Some(writer),
                (ColumnJob::Array(array), Some(writer)) => {
                    for leaf in compute_leaves(&self.field, &array)? {
                        writer.write(&leaf)?;
                    }
                }
                (ColumnJob::Close, place) => self
                    .closed
                    .extend(place.take().map(|writer| writer.close()).transpose()?),
                (ColumnJob::Array(_), None) => {}
            }
        }
        Ok(())
    }
}
