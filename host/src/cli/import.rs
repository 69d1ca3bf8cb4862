//! `lakefeed import`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::output::{Output, bar};
use crate::config::Config;
use crate::intake::OnInvalid;
use crate::intake::ndjson::{self, BadLine, ImportOptions, ImportSummary, InvalidLine, Progress};
use crate::log::LogError;
use crate::wiring::{self, StartError};

/// Stores the resources of NDJSON files (`.ndjson`, `.jsonl`, also with `.gz`), one resource a line.
///
/// A line that cannot be taken is reported by file and number and the rest is imported. So is a resource that is
/// not valid FHIR R4 (an unknown element, one that is missing, a value of another form), unless it is accepted. The configured
/// destinations get what is imported when the host runs. No host may run on the store meanwhile.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// A folder of NDJSON files, or one file
    path: PathBuf,
    /// Import also what is not valid FHIR R4, and report each such line with the places that are wrong
    #[arg(long)]
    accept_invalid: bool,
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
        let summary = stopped.import(files, self.options(), report).await;
        bar.finish_and_clear();
        stopped.close().await;
        self.report(&summary?, output)
    }

    fn options(&self) -> ImportOptions {
        ImportOptions {
            on_invalid: match self.accept_invalid {
                true => OnInvalid::Report,
                false => OnInvalid::Refuse,
            },
            ..ImportOptions::default().alone()
        }
    }

    fn report(&self, summary: &ImportSummary, output: &Output) -> Result<ExitCode, Failure> {
        let Progress {
            imported,
            invalid,
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
        let invalid_lines: Vec<_> = summary.invalid_lines.iter().map(invalid_line).collect();
        let document = json!({
            "imported": imported, "invalid": invalid, "refused": refused, "files": files,
            "bad_lines": bad_lines, "invalid_lines": invalid_lines,
        });
        remark_invalid(summary, output);
        for bad in &summary.bad_lines {
            output.remark(format!("{}:{}: {}", bad.file.display(), bad.line, problem(bad)));
        }
        let unlisted = refused.saturating_sub(summary.bad_lines.len() as u64);
        if unlisted > 0 {
            output.remark(format!("{unlisted} more lines were refused"));
        }
        output.found(&document, || {
            let invalid = match invalid {
                0 => String::new(),
                invalid => format!(" ({invalid} of them not valid FHIR R4)"),
            };
            format!("{imported} resources imported{invalid} from {files} files, {refused} lines refused")
        })?;
        Ok(if refused == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn invalid_line(invalid: &InvalidLine) -> Value {
    let problems: Vec<_> = invalid.issues.iter().map(ToString::to_string).collect();
    json!({ "file": invalid.file, "line": invalid.line, "problems": problems })
}

/// A line of text for each place that is wrong in what was imported all the same.
fn remark_invalid(summary: &ImportSummary, output: &Output) {
    for invalid in &summary.invalid_lines {
        for issue in &invalid.issues {
            output.remark(format!(
                "{}:{}: imported, but {issue}",
                invalid.file.display(),
                invalid.line
            ));
        }
    }
    let unlisted = summary
        .progress
        .invalid
        .saturating_sub(summary.invalid_lines.len() as u64);
    if unlisted > 0 {
        output.remark(format!(
            "{unlisted} more lines were imported that are not valid FHIR R4"
        ));
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
