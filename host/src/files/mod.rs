//! Files of NDJSON in, rows out, by the view engine alone: without a store, on any number of threads.
//!
//! `board` holds what is in work and says what is to be done next; every thread takes a task from it, does it and
//! brings back what came of it: to read a piece of the input (`input`), to flatten one (`flatten`), to write what
//! was flattened in the order in which it was read (`sink`), to encode a column of a Parquet file (`parquet`). So
//! the rows, and the bytes of the file, are the same whatever the number of threads, and what is held does not grow
//! with the input.

mod board;
mod flatten;
mod input;
mod parquet;
mod sink;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::errors::ParquetError;
use arrow::error::ArrowError;
use lakefeed_view::View;

use board::Board;
use input::Input;
use sink::Sink;

/// The longest line that is read, in bytes. A longer one is refused.
pub const MAX_LINE: usize = 64 << 20;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Job {
    /// The files, in order; `-` is standard input. Plain, gzip or zstd, told apart by how they begin.
    pub inputs: Vec<PathBuf>,
    /// Where the rows go; standard output where there is none.
    pub output: Option<PathBuf>,
    /// The form of the rows.
    pub format: Format,
    /// What becomes of a line that is refused.
    pub on_error: OnError,
    /// On how many threads, the caller's among them; at least one.
    pub threads: usize,
    /// What is checked of a line.
    pub check: Check,
    /// Whether the resources say themselves what `getAidboxTs()` and its like ask of a store.
    pub needs_meta: bool,
}

/// The form of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An object a line
    Ndjson,
    /// A header line and a line a row
    Csv,
    /// One array of objects
    Json,
    /// A Parquet file, snappy
    Parquet,
    /// An Arrow IPC file (Feather 2)
    Arrow,
    /// A stream of Arrow IPC messages
    ArrowStream,
}

/// What becomes of a line that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The rows of the lines before it are written, and it is the end.
    Stop,
    /// It gives no rows.
    Skip,
    /// It gives no rows, and a file gets a line that says which it was and why.
    Report(PathBuf),
}

/// What is checked of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// That it is UTF-8, that its quotes and brackets pair up, and the grammar of what the view reads.
    Read,
    /// The grammar of all of it, and that no key stands twice.
    Whole,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files that were read, compressed ones where they are compressed.
    pub bytes: u64,
    /// Resources that were read, those without rows among them.
    pub resources: u64,
    /// Rows that were written.
    pub rows: u64,
    /// Lines that were refused.
    pub refused: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    /// How far it went.
    pub progress: Progress,
    /// The first lines that were refused, up to [`Summary::LISTED`].
    pub refused: Vec<Refused>,
    /// The refused line that was the end of it.
    pub stopped: Option<Refused>,
}

impl Summary {
    /// How many refused lines are listed.
    pub const LISTED: usize = 20;
}

/// A line that was refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The number of the line, from 1; empty lines count.
    pub line: u64,
    /// Why; never with a value.
    pub problem: String,
}

impl Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.problem)
    }
}

/// Why files could not be read or rows not be written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// An input cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be made or written.
    #[error("{path} cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The rows cannot be written, or whoever reads them has gone.
    #[error("the rows cannot be written: {0}")]
    Rows(#[from] io::Error),
    /// The output, or the report, would overwrite an input.
    #[error("{path} is read as well; name another file for what is written", path = path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// The rows of one resource do not fit a batch.
    #[error("{0}")]
    View(String),
    /// The rows cannot be encoded.
    #[error("the rows cannot be encoded: {0}")]
    Arrow(ArrowError),
    /// The rows cannot be encoded.
    #[error("the rows cannot be encoded: {0}")]
    Parquet(ParquetError),
    /// A thread ended before its time.
    #[error("a thread ended before its time; this is a fault of lakefeed")]
    Thread,
}

impl FilesError {
    /// Whether nobody reads the rows any more, as with `| head`.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Rows(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

// Where rows cannot be written, that is said, whichever form they have.

impl From<ArrowError> for FilesError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Rows(error),
            error => Self::Arrow(error),
        }
    }
}

impl From<ParquetError> for FilesError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(error) => match error.downcast() {
                Ok(error) => Self::Rows(*error),
                Err(error) => Self::Parquet(ParquetError::External(error)),
            },
            error => Self::Parquet(error),
        }
    }
}

/// Flattens the resources of files, one a line, and writes their rows. `report` hears how far it is, from any thread.
///
/// # Errors
/// A file cannot be read or written. A line that is refused is none: [`Summary`] tells of it.
pub fn run(view: &Arc<View>, job: &Job, report: &(dyn Fn(Progress) + Sync)) -> Result<Summary, FilesError> {
    let written = job.output.iter().chain(match &job.on_error {
        OnError::Report(path) => Some(path),
        _ => None,
    });
    for path in written {
        check_apart(path, &job.inputs)?;
    }
    let input = Input::open(job.inputs.clone())?;
    let sink = Sink::open(view, job)?;
    let board = Board::new(input, sink, job.threads.max(1));
    let work = || worker::work(&board, view, job, report);
    std::thread::scope(|scope| {
        for _ in 1..job.threads {
            scope.spawn(work);
        }
        work();
    });
    board.end()
}

/// Nobody means to overwrite what is being read.
fn check_apart(written: &Path, inputs: &[PathBuf]) -> Result<(), FilesError> {
    let Ok(written) = written.canonicalize() else {
        return Ok(());
    };
    let is_same = |input: &&PathBuf| input.canonicalize().is_ok_and(|input| input == written);
    match inputs.iter().find(is_same) {
        Some(path) if written.is_file() => Err(FilesError::SameFile { path: path.clone() }),
        _ => Ok(()),
    }
}

/// What rows are written to.
type Out = Box<dyn Write + Send>;
