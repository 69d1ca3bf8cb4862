//! A piece of the input, flattened.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use lakefeed_view::{ColumnType, ResourceMeta, RowBuilder, RowOptions, View, json, print};
use memchr::memchr;

use super::input::Piece;
use super::{Check, FilesError, Format, Job, MAX_LINE, OnError};
use crate::change::{Body, Timestamp};

/// So many bytes of rows make a batch, even in the middle of a piece.
const BATCH_BYTES: usize = 8 << 20;

/// The rows of a piece.
#[derive(Debug, Default)]
pub(super) struct Flattened {
    /// The number of the file.
    pub(super) file: usize,
    /// How many lines the piece has.
    pub(super) lines: u64,
    pub(super) resources: u64,
    pub(super) rows: u64,
    pub(super) output: Output,
    /// The lines that were refused, by their number in the piece, from 0, and why.
    pub(super) refused: Vec<(u64, String)>,
    /// Whether the last of them is the end.
    pub(super) is_stopped: bool,
    /// The memory of the piece, to be used again.
    pub(super) memory: Vec<u8>,
}

/// Rows, as they are written.
#[derive(Debug)]
pub(super) enum Output {
    Batches(Vec<RecordBatch>),
    Text(Vec<u8>),
}

impl Default for Output {
    fn default() -> Self {
        Self::Text(Vec::new())
    }
}

/// The types that rows have in a form: texts print as the resource has them.
pub(super) fn types(view: &View, format: Format) -> Vec<ColumnType> {
    match format {
        Format::Ndjson | Format::Csv | Format::Json => view.text_types(),
        Format::Parquet | Format::Arrow | Format::ArrowStream => view.default_types(),
    }
}

/// The schema that rows have in a form.
pub(super) fn schema(view: &View, format: Format) -> Result<SchemaRef, FilesError> {
    view.schema(&types(view, format))
        .map_err(|error| FilesError::View(error.to_string()))
}

/// What a thread flattens with.
pub(super) struct Flatten<'j> {
    job: &'j Job,
    rows: RowBuilder,
}

impl<'j> Flatten<'j> {
    pub(super) fn new(view: &Arc<View>, job: &'j Job) -> Result<Self, FilesError> {
        let rows = view.rows(&types(view, job.format), RowOptions::default());
        Ok(Self {
            job,
            rows: rows.map_err(|error| FilesError::View(error.to_string()))?,
        })
    }

    /// Flattens a piece.
    pub(super) fn piece(&mut self, piece: Piece) -> Result<Flattened, FilesError> {
        let mut flattened = Flattened {
            file: piece.file,
            output: match self.job.format {
                Format::Ndjson | Format::Csv | Format::Json => Output::Text(Vec::new()),
                Format::Parquet | Format::Arrow | Format::ArrowStream => Output::Batches(Vec::new()),
            },
            ..Flattened::default()
        };
        if piece.is_too_long {
            let problem = format!("the line is longer than {} MiB", MAX_LINE >> 20);
            self.refuse(&mut flattened, problem);
            flattened.lines = 1;
        }
        let mut rest = piece.text();
        while !rest.is_empty() && !flattened.is_stopped {
            let (line, after) = match memchr(b'\n', rest) {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &[][..]),
            };
            rest = after;
            self.line(line.trim_ascii(), &mut flattened)?;
            flattened.lines += 1;
        }
        self.finish(&mut flattened)?;
        flattened.memory = piece.into_memory();
        Ok(flattened)
    }

    fn line(&mut self, line: &[u8], flattened: &mut Flattened) -> Result<(), FilesError> {
        if line.is_empty() {
            return Ok(());
        }
        match self.append(line, flattened)? {
            Ok(rows) => {
                flattened.resources += 1;
                flattened.rows += rows as u64;
            }
            Err(problem) => self.refuse(flattened, problem),
        }
        if self.rows.bytes() >= BATCH_BYTES {
            self.finish(flattened)?;
        }
        Ok(())
    }

    fn refuse(&self, flattened: &mut Flattened, problem: String) {
        flattened.refused.push((flattened.lines, problem));
        flattened.is_stopped = self.job.on_error == OnError::Stop;
    }

    /// Appends the rows of a resource and answers how many they are, or why it is refused.
    fn append(
        &mut self,
        text: &[u8],
        flattened: &mut Flattened,
    ) -> Result<Result<usize, String>, FilesError> {
        if self.job.check == Check::Whole
            && let Err(error) = json::check_resource(text, json::Limits::default())
        {
            return Ok(Err(error.to_string()));
        }
        let meta = match self.job.needs_meta {
            false => ResourceMeta::default(),
            true => match meta(text) {
                Ok(meta) => meta,
                Err(problem) => return Ok(Err(problem)),
            },
        };
        let appended = match self.rows.append(text, &meta) {
            Err(error) if error.is_batch_full() => {
                self.finish(flattened)?;
                self.rows.append(text, &meta)
            }
            appended => appended,
        };
        Ok(appended.map_err(|error| error.to_string()))
    }

    /// Makes of the rows what is written.
    fn finish(&mut self, flattened: &mut Flattened) -> Result<(), FilesError> {
        if self.rows.rows() == 0 {
            return Ok(());
        }
        let batch = self.rows.finish()?;
        match &mut flattened.output {
            Output::Batches(batches) => batches.push(batch),
            Output::Text(text) => match self.job.format {
                Format::Csv => print::csv(&batch, text)?,
                // The first comma of all is taken off again.
                Format::Json => print::json_members(&batch, &mut false, text)?,
                _ => print::ndjson(&batch, text)?,
            },
        }
        Ok(())
    }
}

/// What a resource says itself of its version, in the place of a store.
fn meta(text: &[u8]) -> Result<ResourceMeta, String> {
    let body = Body::parse(text).map_err(|error| error.to_string())?;
    let time = body
        .last_updated()
        .and_then(Timestamp::parse)
        .unwrap_or_default()
        .0;
    let txid = body
        .version_id()
        .and_then(|version| version.parse().ok())
        .unwrap_or_default();
    Ok(ResourceMeta {
        ts: time,
        cts: time,
        txid,
        status: "created".to_owned(),
        deleted: false,
    })
}
