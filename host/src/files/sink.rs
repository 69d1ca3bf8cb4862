//! Where the rows go, in their form and in their order.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ::parquet::arrow::arrow_writer::ArrowColumnChunk;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use lakefeed_view::{View, print};

use super::flatten::{Flattened, Output, schema};
use super::parquet::{ColumnJob, Columns, ParquetSink};
use super::{FilesError, Format, Job, OnError, Out, Progress, Refused, Summary};

/// The rows so far, and what became of the lines.
pub(super) struct Sink {
    form: Form,
    inputs: Vec<PathBuf>,
    /// How many lines of each file were counted.
    lines: Vec<u64>,
    report: Option<Report>,
    summary: Summary,
}

enum Form {
    Text(Out),
    Json { out: Out, is_first: bool },
    Arrow(Box<FileWriter<Out>>),
    ArrowStream(Box<StreamWriter<Out>>),
    Parquet(Box<ParquetSink>),
}

struct Report {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Sink {
    pub(super) fn open(view: &View, job: &Job) -> Result<Self, FilesError> {
        let report = match &job.on_error {
            OnError::Report(path) => Some(Report {
                path: path.clone(),
                file: BufWriter::new(create(path)?),
            }),
            OnError::Stop | OnError::Skip => None,
        };
        let mut out: Out = match &job.output {
            Some(path) => Box::new(BufWriter::with_capacity(1 << 20, create(path)?)),
            None => Box::new(BufWriter::with_capacity(1 << 20, io::stdout())),
        };
        let schema = schema(view, job.format)?;
        let form = match job.format {
            Format::Ndjson => Form::Text(out),
            Format::Csv => {
                print::csv_header(&schema, &mut out)?;
                Form::Text(out)
            }
            Format::Json => {
                out.write_all(b"[")?;
                Form::Json { out, is_first: true }
            }
            Format::Arrow => Form::Arrow(Box::new(FileWriter::try_new(out, &schema)?)),
            Format::ArrowStream => Form::ArrowStream(Box::new(StreamWriter::try_new(out, &schema)?)),
            Format::Parquet => Form::Parquet(Box::new(ParquetSink::new(out, schema))),
        };
        Ok(Self {
            form,
            lines: vec![0; job.inputs.len()],
            inputs: job.inputs.clone(),
            report,
            summary: Summary::default(),
        })
    }

    /// Writes what comes next, or keeps its columns to be encoded; answers whether this was the end.
    pub(super) fn write(&mut self, mut flattened: Flattened) -> Result<bool, FilesError> {
        self.count(&mut flattened)?;
        match (&mut self.form, flattened.output) {
            (Form::Text(out), Output::Text(text)) => out.write_all(&text)?,
            (Form::Json { out, is_first }, Output::Text(text)) => {
                let members = match *is_first {
                    true => text.strip_prefix(b",").unwrap_or(&text),
                    false => &text,
                };
                *is_first &= text.is_empty();
                out.write_all(members)?;
            }
            (Form::Arrow(writer), Output::Batches(batches)) => {
                batches.iter().try_for_each(|batch| writer.write(batch))?;
            }
            (Form::ArrowStream(writer), Output::Batches(batches)) => {
                batches.iter().try_for_each(|batch| writer.write(batch))?;
            }
            (Form::Parquet(sink), Output::Batches(batches)) => {
                batches.into_iter().try_for_each(|batch| sink.give(batch))?;
            }
            (Form::Text(_) | Form::Json { .. }, Output::Batches(_))
            | (Form::Arrow(_) | Form::ArrowStream(_) | Form::Parquet(_), Output::Text(_)) => {}
        }
        Ok(flattened.is_stopped)
    }

    fn count(&mut self, flattened: &mut Flattened) -> Result<(), FilesError> {
        let Self { summary, lines, .. } = self;
        let lines = &mut lines[flattened.file];
        for (line, problem) in flattened.refused.drain(..) {
            let refused = Refused {
                file: self.inputs[flattened.file].clone(),
                line: *lines + line + 1,
                problem,
            };
            summary.progress.refused += 1;
            if let Some(report) = &mut self.report {
                report.line(&refused)?;
            }
            if summary.refused.len() < Summary::LISTED {
                summary.refused.push(refused);
            }
        }
        *lines += flattened.lines;
        if flattened.is_stopped {
            summary.stopped = summary.refused.pop();
        }
        summary.progress.resources += flattened.resources;
        summary.progress.rows += flattened.rows;
        Ok(())
    }

    /// Writes the next row group of a Parquet file.
    pub(super) fn write_group(&mut self, group: Vec<ArrowColumnChunk>) -> Result<(), FilesError> {
        match &mut self.form {
            Form::Parquet(sink) => Ok(sink.write_group(group)?),
            _ => Ok(()),
        }
    }

    /// No more rows come.
    pub(super) fn close(&mut self) -> Result<(), FilesError> {
        match &mut self.form {
            Form::Parquet(sink) => Ok(sink.close()?),
            _ => Ok(()),
        }
    }

    /// The columns that are encoded by themselves; none where rows are written as they are.
    pub(super) fn columns(&self) -> Columns {
        match &self.form {
            Form::Parquet(sink) => Columns::new(sink.schema()),
            _ => Columns::default(),
        }
    }

    /// What is to be done for each of these columns.
    pub(super) fn take_jobs(&mut self) -> Vec<Vec<ColumnJob>> {
        match &mut self.form {
            Form::Parquet(sink) => sink.take_jobs(),
            _ => Vec::new(),
        }
    }

    pub(super) fn progress(&self, bytes: u64) -> Progress {
        Progress {
            bytes,
            ..self.summary.progress
        }
    }

    /// Ends the output.
    pub(super) fn finish(mut self, bytes: u64) -> Result<Summary, FilesError> {
        match self.form {
            Form::Text(mut out) => out.flush()?,
            Form::Json { mut out, .. } => out.write_all(b"]\n").and_then(|()| out.flush())?,
            Form::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?.flush()?;
            }
            Form::ArrowStream(mut writer) => {
                writer.finish()?;
                writer.into_inner()?.flush()?;
            }
            Form::Parquet(sink) => {
                if let Some(mut out) = sink.finish()? {
                    out.flush()?;
                }
            }
        }
        if let Some(report) = &mut self.report {
            report.end()?;
        }
        self.summary.progress.bytes = bytes;
        Ok(self.summary)
    }
}

impl Report {
    fn line(&mut self, refused: &Refused) -> Result<(), FilesError> {
        let written = serde_json::to_string(refused).map_err(io::Error::from);
        let written = written.and_then(|line| writeln!(self.file, "{line}"));
        self.wrap(written)
    }

    fn end(&mut self) -> Result<(), FilesError> {
        let flushed = self.file.flush();
        self.wrap(flushed)
    }

    fn wrap(&self, result: io::Result<()>) -> Result<(), FilesError> {
        result.map_err(|source| FilesError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

fn create(path: &Path) -> Result<File, FilesError> {
    File::create(path).map_err(|source| FilesError::Write {
        path: path.to_owned(),
        source,
    })
}
