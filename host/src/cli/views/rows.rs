//! Resources in, rows out, in a stream: what is held is one batch.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use lakefeed_view::{ColumnType, ResourceMeta, RowBuilder, RowOptions, View, json, print};
use parquet::arrow::ArrowWriter;

use super::{Format, Run, read_view};
use crate::change::{Body, Timestamp};
use crate::cli::Failure;
use crate::cli::output::quiet_pipe;

/// A batch is printed when it has so many bytes of rows.
const BATCH_BYTES: usize = 8 << 20;

/// Prints the rows of `lakefeed views run`.
pub(super) fn print(run: &Run) -> Result<ExitCode, Failure> {
    if run.view == Path::new("-") && run.input == Path::new("-") {
        return Err("the view and `--input` cannot both be `-`; name a file for one of them".into());
    }
    let text = super::read(&run.view)?;
    let view = Arc::new(read_view(&text)?);
    // Only the engine's own functions ask for what a store knows of a version.
    let needs_meta = text
        .windows(b"getAidbox".len())
        .any(|window| window == b"getAidbox");
    let types = if run.format == Format::Parquet {
        view.default_types()
    } else {
        view.text_types()
    };
    let mut sink = Sink::open(run, &view, &types)?;
    let result = flatten(run, &view, &types, needs_meta, &mut sink);
    // Rows that came before a refused resource are good and are printed.
    let finished = sink.finish();
    match result.and(finished) {
        Err(failure) if is_broken_pipe(&*failure) => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

fn flatten(
    run: &Run,
    view: &Arc<View>,
    types: &[ColumnType],
    needs_meta: bool,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let mut input = open(&run.input)?;
    let mut rows = view.rows(types, RowOptions::default())?;
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let place = |problem: &dyn std::fmt::Display| format!("{}:{number}: {problem}", run.input.display());
        if let Err(failure) = append(text, needs_meta, &mut rows, sink) {
            sink.write(&rows.finish()?)?;
            return Err(place(&failure).into());
        }
        if rows.bytes() >= BATCH_BYTES {
            sink.write(&rows.finish()?)?;
        }
    }
    sink.write(&rows.finish()?)
}

fn append(text: &[u8], needs_meta: bool, rows: &mut RowBuilder, sink: &mut Sink) -> Result<(), Failure> {
    json::check_resource(text, json::Limits::default())?;
    let meta = if needs_meta {
        meta(text)?
    } else {
        ResourceMeta::default()
    };
    match rows.append(text, &meta) {
        Err(error) if error.is_batch_full() => {
            sink.write(&rows.finish()?)?;
            rows.append(text, &meta)?;
        }
        other => drop(other?),
    }
    Ok(())
}

/// What a resource says itself of its version, in the place of a store.
fn meta(text: &[u8]) -> Result<ResourceMeta, Failure> {
    let body = Body::parse(text)?;
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

fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::with_capacity(1 << 20, io::stdin())));
    }
    let file = File::open(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}

fn is_broken_pipe(failure: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    failure
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Where rows go, in their form.
enum Sink {
    Ndjson(Box<dyn Write + Send>),
    Csv(Box<dyn Write + Send>),
    Json {
        out: Box<dyn Write + Send>,
        is_first: bool,
    },
    Parquet(Box<ArrowWriter<Box<dyn Write + Send>>>),
}

impl Sink {
    fn open(run: &Run, view: &View, types: &[ColumnType]) -> Result<Self, Failure> {
        let mut out: Box<dyn Write + Send> = match &run.output {
            Some(path) => {
                let file = File::create(path)
                    .map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
                Box::new(BufWriter::with_capacity(1 << 20, file))
            }
            None => Box::new(BufWriter::with_capacity(1 << 20, io::stdout())),
        };
        let schema = view.schema(types)?;
        Ok(match run.format {
            Format::Ndjson => Self::Ndjson(out),
            Format::Csv => {
                print::csv_header(&schema, &mut out)?;
                Self::Csv(out)
            }
            Format::Json => {
                out.write_all(b"[")?;
                Self::Json { out, is_first: true }
            }
            Format::Parquet => Self::Parquet(Box::new(ArrowWriter::try_new(out, schema, None)?)),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        match self {
            Self::Ndjson(out) => print::ndjson(batch, out)?,
            Self::Csv(out) => print::csv(batch, out)?,
            Self::Json { out, is_first } => print::json_members(batch, is_first, out)?,
            Self::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Ndjson(mut out) | Self::Csv(mut out) => quiet_pipe(out.flush())?,
            Self::Json { mut out, .. } => quiet_pipe(out.write_all(b"]\n").and_then(|()| out.flush()))?,
            Self::Parquet(writer) => writer.into_inner()?.flush()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_is_taken_for_one_thing_only() {
        let run = Run {
            view: "-".into(),
            input: "-".into(),
            format: Format::Ndjson,
            output: None,
        };
        let refused = print(&run).unwrap_err().to_string();
        assert!(refused.contains("cannot both be `-`"), "{refused}");
    }
}
