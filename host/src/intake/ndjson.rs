//! NDJSON files and folders of them, read in a stream and written in small transactions.
//!
//! A file may be of any length: what is held is a few batches being written, one being made and one line. A line that
//! cannot be taken is reported by its file and number and the rest is imported. A resource becomes an update of
//! its id, so that importing a file twice makes a second version and never a second resource.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use lakefeed_view::r4::check::Issue;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::mpsc;

use crate::change::ResourceKey;
use crate::log::{Log, LogError, Precondition, Write, WriteError};

use super::{Intake, OWN_TYPES, OnInvalid, Refusal};

mod input;
mod lines;

pub use input::Input;

use lines::{Line, Lines};

/// How many batches are written at once.
const AT_ONCE: usize = 8;

/// How an import is cut into transactions. A store may want smaller ones, and gets them.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// The most resources in a transaction.
    pub batch_resources: usize,
    /// A transaction is closed when its resources have this many bytes.
    pub batch_bytes: usize,
    /// The most bad lines that the summary lists, and the most invalid ones; all are counted.
    pub listed_bad_lines: usize,
    /// What becomes of resources that are not valid FHIR R4: with [`OnInvalid::Report`] they are imported and listed.
    pub on_invalid: OnInvalid,
    /// Whether a line without an id is refused; else its resource gets a new one.
    pub needs_id: bool,
    /// The most bytes that a compressed input may expand to.
    pub max_expanded_bytes: u64,
}

impl ImportOptions {
    /// The same for a store that nobody else writes to, who would wait for large transactions.
    #[must_use]
    pub fn alone(self) -> Self {
        Self {
            batch_resources: 1_000,
            batch_bytes: 2 * 1024 * 1024,
            ..self
        }
    }
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            batch_resources: 200,
            batch_bytes: 1024 * 1024,
            listed_bad_lines: 100,
            on_invalid: OnInvalid::Refuse,
            needs_id: false,
            max_expanded_bytes: u64::MAX,
        }
    }
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Resources that are stored.
    pub imported: u64,
    /// Those among them that are not valid FHIR R4.
    pub invalid: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// Bytes of the files that were read, as they are on disk.
    pub bytes: u64,
    /// Files that were finished.
    pub files: u64,
    /// Lines of the file under way that were read, empty ones included.
    pub lines: u64,
}

/// A line that was not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// Why; says nothing of what is in it.
    pub refusal: Refusal,
}

/// A line that was imported although its resource is not valid FHIR R4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLine {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// Where it is wrong; says nothing of what is in it.
    pub issues: Vec<Issue>,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// The counts.
    pub progress: Progress,
    /// How many resources of each type were stored.
    pub by_type: BTreeMap<String, u64>,
    /// The first of the refused lines.
    pub bad_lines: Vec<BadLine>,
    /// The first of the lines that were imported although invalid.
    pub invalid_lines: Vec<InvalidLine>,
}

/// Why an import stopped. What was imported before stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// INTAKE-008. A file or folder cannot be read.
    #[error("{path} cannot be read: {source} [INTAKE-008]", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// INTAKE-009. A folder holds no file whose name ends in `.ndjson`, `.jsonl` or one of them with `.gz`.
    #[error("{path} holds no file that ends in .ndjson, .jsonl, .ndjson.gz or .jsonl.gz [INTAKE-009]", path = path.display())]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
    /// The store failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The NDJSON files that a path names: itself, or those in the folder and its folders, by name.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let read = |source| ImportError::Read {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(read)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    collect(path, &mut found).map_err(read)?;
    found.sort();
    match found.is_empty() {
        true => Err(ImportError::NoFiles {
            path: path.to_owned(),
        }),
        false => Ok(found),
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        // A link to a folder above would never end, so links to folders are not followed.
        if entry.file_type()?.is_dir() {
            collect(&path, found)?;
        } else if is_ndjson(&path) && may_be_read(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// A regular file, or a link to one: the opening of a pipe would wait for a writer that never comes. What cannot
/// be looked at stays, so that the import says why.
fn may_be_read(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

fn is_ndjson(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    plain.ends_with(".ndjson") || plain.ends_with(".jsonl")
}

/// Imports files in order. `report` hears of the progress, and of bad lines, after each transaction.
///
/// Dropping the future stops the import after the transactions that are being written.
pub async fn import(
    log: &dyn Log,
    intake: &Intake,
    files: Vec<PathBuf>,
    options: ImportOptions,
    mut report: impl FnMut(Progress, Option<&BadLine>) + Send,
) -> Result<ImportSummary, ImportError> {
    let inputs = files.iter().map(|file| Input::file(file)).collect();
    let report = |summary: &ImportSummary, bad_line: Option<&BadLine>| report(summary.progress, bad_line);
    import_inputs(log, intake, inputs, options, report).await
}

/// As [`import`], from whatever can be read. `report` hears all that is known so far.
pub async fn import_inputs(
    log: &dyn Log,
    intake: &Intake,
    inputs: Vec<Input>,
    options: ImportOptions,
    mut report: impl FnMut(&ImportSummary, Option<&BadLine>) + Send,
) -> Result<ImportSummary, ImportError> {
    // One batch waits while some are written: reading and checking go on beside the commits.
    let (sender, mut receiver) = mpsc::channel(1);
    let reader = Reader {
        intake: intake.clone(),
        options: ImportOptions {
            batch_resources: options.batch_resources.min(log.versions_a_call()),
            ..options
        },
        sender,
        batch: Batch::default(),
    };
    let reading = tokio::task::spawn_blocking(move || reader.read_all(inputs));
    let mut summary = ImportSummary::default();
    let mut writing = Writing::new(log);
    let mut held = None;
    loop {
        held = writing.take(held);
        let (may_read, is_writing) = (held.is_none(), !writing.is_empty());
        let written = tokio::select! {
            batch = receiver.recv(), if may_read => match batch {
                Some(batch) => {
                    held = Some(batch);
                    continue;
                }
                None => break,
            },
            written = writing.next(), if is_writing => written,
        };
        match written {
            Ok(batch) => note(batch, &mut summary, options.listed_bad_lines, &mut report),
            Err(error) => return Err(writing.give_up(error).await),
        }
    }
    while !writing.is_empty() {
        match writing.next().await {
            Ok(batch) => note(batch, &mut summary, options.listed_bad_lines, &mut report),
            Err(error) => return Err(writing.give_up(error).await),
        }
    }
    match reading.await {
        Ok(read) => read.map(|()| summary),
        Err(_) => Err(ImportError::Log(LogError::Closed)),
    }
}

/// The batches that are being written, several at once: a store that has several writers is kept busy, and one that has
/// one writer puts them in one commit. They end in the order in which they were read.
struct Writing<'l> {
    log: &'l dyn Log,
    under_way: FuturesOrdered<BoxFuture<'l, Result<Batch, ImportError>>>,
    keys: HashSet<ResourceKey>,
}

impl<'l> Writing<'l> {
    fn new(log: &'l dyn Log) -> Self {
        Self {
            log,
            under_way: FuturesOrdered::new(),
            keys: HashSet::new(),
        }
    }

    /// Begins with a batch when there is room for it; else it is handed back.
    fn take(&mut self, batch: Option<Batch>) -> Option<Batch> {
        match batch {
            Some(batch) if self.under_way.len() < AT_ONCE && !self.touches(&batch) => {
                self.push(batch);
                None
            }
            other => other,
        }
    }

    fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether a batch has a resource that is being written: its versions would overtake each other.
    fn touches(&self, batch: &Batch) -> bool {
        batch.writes.iter().any(|write| self.keys.contains(&write.key))
    }

    fn push(&mut self, mut batch: Batch) {
        batch.keys = batch.writes.iter().map(|write| write.key.clone()).collect();
        self.keys.extend(batch.keys.iter().cloned());
        let log = self.log;
        self.under_way.push_back(Box::pin(async move {
            let writes = std::mem::take(&mut batch.writes);
            if !writes.is_empty() {
                log.write(writes).await.map_err(unwritten)?;
            }
            Ok(batch)
        }));
    }

    /// Waits for the first of them; an empty one if there is none.
    async fn next(&mut self) -> Result<Batch, ImportError> {
        let Some(written) = self.under_way.next().await else {
            return Ok(Batch::default());
        };
        let batch = written?;
        for key in &batch.keys {
            self.keys.remove(key);
        }
        Ok(batch)
    }

    /// Waits for the others when one failed: none of them may end behind what its caller writes next.
    async fn give_up(mut self, error: ImportError) -> ImportError {
        while self.under_way.next().await.is_some() {}
        error
    }
}

fn unwritten(error: WriteError) -> ImportError {
    ImportError::Log(match error {
        WriteError::Log(error) => error,
        // A write without a precondition is never refused.
        WriteError::Refused { refused, .. } => LogError::Unavailable {
            reason: refused.to_string(),
        },
    })
}

/// Takes note of a batch that was written.
fn note(
    batch: Batch,
    summary: &mut ImportSummary,
    listed: usize,
    report: &mut impl FnMut(&ImportSummary, Option<&BadLine>),
) {
    let progress = &mut summary.progress;
    for key in &batch.keys {
        match summary.by_type.get_mut(key.resource_type()) {
            Some(stored) => *stored += 1,
            None => drop(summary.by_type.insert(key.resource_type().to_owned(), 1)),
        }
    }
    progress.imported += batch.keys.len() as u64;
    progress.lines = batch.lines_read;
    progress.bytes = batch.bytes_read;
    progress.files = batch.files_read;
    progress.invalid += batch.invalid_lines.len() as u64;
    let room = listed.saturating_sub(summary.invalid_lines.len());
    summary
        .invalid_lines
        .extend(batch.invalid_lines.into_iter().take(room));
    for bad_line in batch.bad_lines {
        summary.progress.refused += 1;
        report(summary, Some(&bad_line));
        if summary.bad_lines.len() < listed {
            summary.bad_lines.push(bad_line);
        }
    }
    report(summary, None);
}

/// What is written together.
#[derive(Default)]
struct Batch {
    writes: Vec<Write>,
    /// Of the writes, once they are under way.
    keys: Vec<ResourceKey>,
    bad_lines: Vec<BadLine>,
    invalid_lines: Vec<InvalidLine>,
    resource_bytes: usize,
    /// Bytes and files read up to the end of this batch.
    bytes_read: u64,
    files_read: u64,
    /// Lines read of the file that it ends in.
    lines_read: u64,
}

/// Reads and checks lines on a thread of its own.
struct Reader {
    intake: Intake,
    options: ImportOptions,
    sender: mpsc::Sender<Batch>,
    batch: Batch,
}

/// The import was given up.
struct Stopped;

impl Reader {
    fn read_all(mut self, inputs: Vec<Input>) -> Result<(), ImportError> {
        let (max_bytes, max_expanded) = (self.intake.max_resource_bytes(), self.options.max_expanded_bytes);
        for input in inputs {
            let file = input.name;
            let read = |source| ImportError::Read {
                path: file.clone(),
                source,
            };
            let before = self.batch.bytes_read;
            let opened = (input.open)().map_err(read)?;
            let mut lines = Lines::new(opened, max_bytes, max_expanded).map_err(read)?;
            while let Some(line) = lines.next_line().map_err(read)? {
                if line.number <= input.skip_lines {
                    continue;
                }
                self.take(&file, input.resource_type.as_deref(), before, &line);
                if self.is_full() && self.send().is_err() {
                    return Ok(());
                }
            }
            self.batch.bytes_read = before + lines.bytes_read();
            self.batch.files_read += 1;
        }
        // Nobody listens any more: the import was given up, which is its caller's matter.
        drop::<Result<(), Stopped>>(self.send());
        Ok(())
    }

    fn take(&mut self, file: &Path, resource_type: Option<&str>, bytes_before: u64, line: &Line<'_>) {
        self.batch.bytes_read = bytes_before + line.bytes_read;
        self.batch.lines_read = line.number;
        match self.write(resource_type, line) {
            Ok((write, issues)) => {
                if !issues.is_empty() {
                    self.batch.invalid_lines.push(InvalidLine {
                        file: file.to_path_buf(),
                        line: line.number,
                        issues,
                    });
                }
                self.batch.resource_bytes += line.text.map_or(0, <[u8]>::len);
                self.batch.writes.push(write);
            }
            Err(refusal) => self.batch.bad_lines.push(BadLine {
                file: file.to_path_buf(),
                line: line.number,
                refusal,
            }),
        }
    }

    fn write(&self, resource_type: Option<&str>, line: &Line<'_>) -> Result<(Write, Vec<Issue>), Refusal> {
        let text = line.text.ok_or(Refusal::TooLarge {
            limit: self.intake.max_resource_bytes(),
        })?;
        let text = with_type(text, resource_type);
        let checked = self
            .intake
            .check_as(self.options.on_invalid, resource_type, &text)?;
        if self.options.needs_id && checked.body.id().is_none() {
            return Err(Refusal::NoId);
        }
        if OWN_TYPES.contains(&checked.body.resource_type()) {
            return Err(Refusal::Definition);
        }
        // A feed of the server that the file is from must not bring back what is older than the file.
        let source = checked.body.source();
        let mut write = self.intake.put(checked.body, None, Precondition::None)?;
        write.source = Some(source);
        Ok((write, checked.issues))
    }

    fn is_full(&self) -> bool {
        self.batch.writes.len() >= self.options.batch_resources
            || self.batch.resource_bytes >= self.options.batch_bytes
            || self.batch.bad_lines.len() >= self.options.batch_resources
    }

    fn send(&mut self) -> Result<(), Stopped> {
        let next = Batch {
            bytes_read: self.batch.bytes_read,
            files_read: self.batch.files_read,
            ..Batch::default()
        };
        let full = std::mem::replace(&mut self.batch, next);
        self.sender.blocking_send(full).map_err(|_| Stopped)
    }
}

/// A resource's text with its type, where the input says the type and the line leaves it out.
fn with_type<'t>(text: &'t [u8], resource_type: Option<&str>) -> Cow<'t, [u8]> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "resourceType")]
        resource_type: Option<IgnoredAny>,
    }
    let Some(resource_type) = resource_type else {
        return Cow::Borrowed(text);
    };
    let inside = text.trim_ascii_start().strip_prefix(b"{");
    let has_none = || serde_json::from_slice::<Typed>(text).is_ok_and(|typed| typed.resource_type.is_none());
    match inside {
        Some(inside) if has_none() => {
            let comma = if inside.trim_ascii_start().starts_with(b"}") {
                ""
            } else {
                ","
            };
            let mut typed = format!("{{\"resourceType\":\"{resource_type}\"{comma}").into_bytes();
            typed.extend_from_slice(inside);
            Cow::Owned(typed)
        }
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
