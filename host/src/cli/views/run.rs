//! `lakefeed views run`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{read, read_view};
use crate::cli::Failure;
use crate::cli::output::{Output, bar};
use crate::files::{self, Check, Format, Job, OnError, Progress, Summary};

/// Flattens resources, one a line, and prints the rows: every column in order, what is empty as null, an empty
/// collection as `[]`.
///
/// Rows come in the order of the lines, and are the same on any number of threads. Resources of other types give none.
#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// The definition, a JSON file; `-` reads standard input
    view: PathBuf,
    /// Where `--on-error report` names the lines that were refused: NDJSON of file, line and problem
    #[arg(value_name = "REFUSED")]
    refused: Option<PathBuf>,
    /// The resources, NDJSON, plain, gzip or zstd; `-` reads standard input; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    input: Vec<PathBuf>,
    /// The form of the rows
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Where the rows go, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What becomes of a line that the view refuses
    #[arg(long, value_enum, default_value_t = OnErrorKind::Stop)]
    on_error: OnErrorKind,
    /// On how many threads [default: one a core]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<std::num::NonZeroUsize>,
    /// Check the whole of each line, as a store does, and not only what the view reads of it
    ///
    /// Without it a line must be UTF-8, its quotes and brackets must pair up, and what the view reads must be as JSON has
    /// it.
    #[arg(long)]
    check: bool,
}

/// What becomes of a line that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnErrorKind {
    /// End, with the rows of the lines before it and exit code 1
    Stop,
    /// Go on without it, and count it
    Skip,
    /// Go on without it, and name it in the file REFUSED
    Report,
}

impl Run {
    pub(super) fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let standard_input = Path::new("-");
        if self
            .input
            .iter()
            .chain([&self.view])
            .filter(|path| *path == standard_input)
            .count()
            > 1
        {
            return Err("standard input can be read once; name a file for all but one `-`".into());
        }
        let text = read(&self.view)?;
        let view = Arc::new(read_view(&text)?);
        let job = self.job(&text)?;
        let bar = bar(length(&job.inputs), output.is_json());
        let report = |progress: Progress| {
            bar.set_position(progress.bytes);
            bar.set_message(format!(
                "{} rows, {} lines refused",
                progress.rows, progress.refused
            ));
        };
        let result = files::run(&view, &job, &report);
        bar.finish_and_clear();
        match result {
            Err(error) if error.is_broken_pipe() => Ok(ExitCode::SUCCESS),
            result => said(result?, &job, output),
        }
    }

    fn job(self, view: &[u8]) -> Result<Job, Failure> {
        let on_error = match (self.on_error, self.refused) {
            (OnErrorKind::Stop, None) => OnError::Stop,
            (OnErrorKind::Skip, None) => OnError::Skip,
            (OnErrorKind::Report, Some(path)) => OnError::Report(path),
            (OnErrorKind::Report, None) => {
                return Err(
                    "`--on-error report` needs a file to write to, as in `--on-error report refused.ndjson`"
                        .into(),
                );
            }
            (_, Some(path)) => {
                let problem = format!(
                    "{} is for `--on-error report` alone; name the resources with `--input`",
                    path.display()
                );
                return Err(problem.into());
            }
        };
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Job {
            inputs: self.input,
            output: self.output,
            format: self.format,
            on_error,
            threads: self.threads.map_or_else(cores, usize::from),
            check: if self.check { Check::Whole } else { Check::Read },
            // Only the engine's own functions ask for what a store knows of a version.
            needs_meta: view
                .windows(b"getAidbox".len())
                .any(|window| window == b"getAidbox"),
        })
    }
}

/// How many bytes the files have, as far as that is known.
fn length(files: &[PathBuf]) -> u64 {
    let length = |file: &PathBuf| file.metadata().map_or(0, |metadata| metadata.len());
    files.iter().map(length).sum()
}

fn said(summary: Summary, job: &Job, output: &Output) -> Result<ExitCode, Failure> {
    let Progress {
        resources,
        rows,
        refused,
        ..
    } = summary.progress;
    if let Some(stopped) = summary.stopped {
        return Err(stopped.to_string().into());
    }
    for refused in &summary.refused {
        output.remark(refused);
    }
    let unlisted = refused.saturating_sub(summary.refused.len() as u64);
    if unlisted > 0 {
        output.remark(format!("{unlisted} more lines were refused"));
    }
    // What goes to standard output is rows and nothing else.
    if job.output.is_some() {
        let document = json!({ "resources": resources, "rows": rows, "refused": refused });
        output.found(&document, || {
            format!("{rows} rows of {resources} resources, {refused} lines refused")
        })?;
    }
    Ok(ExitCode::SUCCESS)
}
