//! `lakefeed import`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Failure;
use super::output::Output;
use crate::config::Config;
use crate::intake::ndjson::{self, BadLine, ImportOptions, ImportSummary, Progress};
use crate::log::LogError;
use crate::wiring::{self, StartError};

/// Stores the resources of NDJSON files (`.ndjson`, `.jsonl`, also with `.gz`), one resource a line.
///
/// A line that cannot be taken is reported by file and number and the rest is imported. The configured
/// destinations get what is imported when the host runs. No host may run on the store meanwhile.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// A folder of NDJSON files, or one file
    path: PathBuf,
}

impl Import {
    pub(super) async fn run(self, config: Config, output: &mut Output) -> Result<ExitCode, Failure> {
        let files = ndjson::files(&self.path)?;
        let total: u64 = files
            .iter()
            .filter_map(|file| file.metadata().ok())
            .map(|metadata| metadata.len())
            .sum();
        let stopped = wiring::Stopped::open(config).await.map_err(beside_a_host)?;
        let bar = bar(total, output.is_json());
        let report = |progress: Progress, _: Option<&BadLine>| {
            bar.set_position(progress.bytes);
            bar.set_message(format!(
                "{} resources, {} refused",
                progress.imported, progress.refused
            ));
        };
        let summary = stopped.import(files, ImportOptions::default(), report).await;
        bar.finish_and_clear();
        stopped.close().await;
        self.report(&summary?, output)
    }

    fn report(&self, summary: &ImportSummary, output: &Output) -> Result<ExitCode, Failure> {
        let Progress {
            imported,
            refused,
            files,
            ..
        } = summary.progress;
        // The reader counts lines within the one line that it is given.
        let problem = |bad: &BadLine| without_line(&bad.refusal.to_string());
        let bad_lines: Vec<_> = summary
            .bad_lines
            .iter()
            .map(|bad| json!({ "file": bad.file, "line": bad.line, "problem": problem(bad) }))
            .collect();
        let document =
            json!({ "imported": imported, "refused": refused, "files": files, "bad_lines": bad_lines });
        for bad in &summary.bad_lines {
            output.remark(format!("{}:{}: {}", bad.file.display(), bad.line, problem(bad)));
        }
        let unlisted = refused.saturating_sub(summary.bad_lines.len() as u64);
        if unlisted > 0 {
            output.remark(format!("{unlisted} more lines were refused"));
        }
        output.found(&document, || {
            format!("{imported} resources imported from {files} files, {refused} lines refused")
        })?;
        Ok(if refused == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn without_line(refusal: &str) -> String {
    refusal
        .replacen("line 1, column", "column", 1)
        .replacen("at line 1 column", "at column", 1)
}

/// Says what to do about a host that runs on the store.
fn beside_a_host(error: StartError) -> Failure {
    match error {
        StartError::Log(LogError::InUse { .. }) => format!(
            "{error}: an import needs the store for itself; stop the host first, and run it again after"
        )
        .into(),
        error => error.into(),
    }
}

fn bar(bytes: u64, is_hidden: bool) -> ProgressBar {
    if is_hidden {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    let template = "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Body;

    #[test]
    fn a_bad_line_has_one_number_and_it_is_the_files() {
        let refused = Body::parse(b"{\"resourceType\": \"Patient\",")
            .unwrap_err()
            .to_string();
        assert!(refused.contains("line 1"), "{refused}");
        assert!(!without_line(&refused).contains("line"), "{refused}");
        assert_eq!(
            without_line("`id`: cut off, at line 1 column 7"),
            "`id`: cut off, at column 7"
        );
    }
}
