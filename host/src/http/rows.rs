//! Rows of a view, as text or Parquet, within a bound.

use std::io;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use axum::http::StatusCode;
use lakefeed_view::{ResourceMeta, RowBuilder, RowError, RowOptions, View, ViewError, print};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::outcome::Outcome;

/// Rows that are held before they are encoded.
const BATCH: usize = 8192;

/// How rows are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A JSON array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// Lines with commas.
    Csv,
    /// Parquet.
    Parquet,
}

impl Format {
    /// Reads a format's short name or one of its media types.
    pub(super) fn of(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "json" | "application/json" => Some(Self::Json),
            "ndjson" | "application/x-ndjson" | "application/ndjson" | "application/fhir+ndjson" => {
                Some(Self::Ndjson)
            }
            "csv" | "text/csv" => Some(Self::Csv),
            "parquet" | "application/vnd.apache.parquet" | "application/parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// The media type that is answered.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Why rows cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowsError {
    /// A resource was refused by the view.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The view has no rows of these types.
    #[error(transparent)]
    View(#[from] ViewError),
    /// They are more than an answer holds.
    #[error("the rows are more than {0} bytes, which an answer holds; ask for fewer with `_limit`")]
    TooMany(usize),
    /// Arrow or Parquet failed.
    #[error("the rows could not be encoded")]
    Encode,
}

impl From<io::Error> for RowsError {
    fn from(_: io::Error) -> Self {
        Self::Encode
    }
}

impl From<ParquetError> for RowsError {
    fn from(_: ParquetError) -> Self {
        Self::Encode
    }
}

impl From<arrow::error::ArrowError> for RowsError {
    fn from(_: arrow::error::ArrowError) -> Self {
        Self::Encode
    }
}

impl From<RowsError> for Outcome {
    fn from(error: RowsError) -> Self {
        let (status, code) = match &error {
            RowsError::TooMany(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-costly"),
            RowsError::Row(_) | RowsError::View(_) => (StatusCode::UNPROCESSABLE_ENTITY, "processing"),
            RowsError::Encode => {
                tracing::error!("rows could not be encoded");
                return Self::internal();
            }
        };
        Self::new(status, code, error.to_string())
    }
}

/// Takes resources, makes rows, encodes them.
pub(super) struct Rows {
    builder: RowBuilder,
    encoder: Encoder,
    /// Rows that may still come; none for any number.
    left: Option<usize>,
    max_bytes: usize,
}

impl Rows {
    /// Rows of a view in a format. Text has every value as the resource has it, Parquet the standard's types.
    pub(super) fn new(
        view: &Arc<View>,
        format: Format,
        limit: Option<usize>,
        has_header: bool,
        max_bytes: usize,
    ) -> Result<Self, RowsError> {
        let types = match format {
            Format::Parquet => view.default_types(),
            _ => view.text_types(),
        };
        let builder = view.rows(&types, RowOptions::default())?;
        Ok(Self {
            encoder: Encoder::new(format, builder.schema(), has_header)?,
            builder,
            left: limit,
            max_bytes,
        })
    }

    /// Whether the limit is met.
    pub(super) fn is_full(&self) -> bool {
        self.left.is_some_and(|left| left <= self.builder.rows())
    }

    /// Adds a resource's rows.
    pub(super) fn append(&mut self, resource: &[u8], meta: &ResourceMeta) -> Result<(), RowsError> {
        if self.is_full() {
            return Ok(());
        }
        match self.builder.append(resource, meta) {
            Err(error) if error.is_batch_full() => {
                self.flush()?;
                self.builder.append(resource, meta)?;
            }
            appended => drop(appended?),
        }
        if self.builder.rows() >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    /// All rows, encoded.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, RowsError> {
        self.flush()?;
        self.encoder.finish()
    }

    fn flush(&mut self) -> Result<(), RowsError> {
        let mut batch = self.builder.finish()?;
        if let Some(left) = &mut self.left {
            batch = batch.slice(0, batch.num_rows().min(*left));
            *left -= batch.num_rows();
        }
        self.encoder.encode(&batch)?;
        match self.encoder.len() > self.max_bytes {
            true => Err(RowsError::TooMany(self.max_bytes)),
            false => Ok(()),
        }
    }
}

enum Encoder {
    Json { text: Vec<u8>, is_first: bool },
    Ndjson(Vec<u8>),
    Csv(Vec<u8>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl Encoder {
    fn new(format: Format, schema: SchemaRef, has_header: bool) -> Result<Self, RowsError> {
        Ok(match format {
            Format::Json => Self::Json {
                text: b"[".to_vec(),
                is_first: true,
            },
            Format::Ndjson => Self::Ndjson(Vec::new()),
            Format::Csv => {
                let mut text = Vec::new();
                if has_header {
                    print::csv_header(&schema, &mut text)?;
                }
                Self::Csv(text)
            }
            Format::Parquet => Self::Parquet(Box::new(ArrowWriter::try_new(Vec::new(), schema, None)?)),
        })
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<(), RowsError> {
        match self {
            Self::Json { text, is_first } => print::json_members(batch, is_first, text)?,
            Self::Ndjson(text) => print::ndjson(batch, text)?,
            Self::Csv(text) => print::csv(batch, text)?,
            Self::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Self::Json { text, .. } | Self::Ndjson(text) | Self::Csv(text) => text.len(),
            Self::Parquet(writer) => writer.bytes_written() + writer.memory_size(),
        }
    }

    fn finish(self) -> Result<Vec<u8>, RowsError> {
        match self {
            Self::Json { mut text, .. } => {
                text.extend_from_slice(b"]");
                Ok(text)
            }
            Self::Ndjson(text) | Self::Csv(text) => Ok(text),
            Self::Parquet(writer) => Ok(writer.into_inner()?),
        }
    }
}
