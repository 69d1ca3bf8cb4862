//! What a command prints: text for people, one JSON document for programs.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Failure;

/// Where a command's findings go.
pub(super) struct Output {
    is_json: bool,
}

impl Output {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Whether `--json` was given.
    pub(super) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Prints the findings: the document, or the text that is made only when it is wanted.
    pub(super) fn found(&self, document: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let mut text = if self.is_json {
            serde_json::to_string_pretty(document)?
        } else {
            text()
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        quiet_pipe(
            io::stdout()
                .write_all(text.as_bytes())
                .and_then(|()| io::stdout().flush()),
        )?;
        Ok(())
    }

    /// Says on standard error why a command failed.
    pub(super) fn failure(&self, failure: &Failure) {
        let text = chain(failure);
        let text = if self.is_json {
            json!({ "error": text }).to_string()
        } else {
            format!("lakefeed: {text}")
        };
        // Nobody is left to tell when standard error is closed.
        drop(writeln!(io::stderr(), "{text}"));
    }

    /// A remark on standard error that is no part of the findings.
    pub(super) fn remark(&self, text: impl Display) {
        drop(writeln!(io::stderr(), "{text}"));
    }
}

/// A reader that has seen enough is no failure.
pub(super) fn quiet_pipe(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// An error with its causes, each said once.
fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Columns of text, as wide as their widest cell.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut header.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// A bar on standard error that shows how many of so many bytes were read.
pub(super) fn bar(bytes: u64, is_hidden: bool) -> ProgressBar {
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

    #[test]
    fn a_table_is_as_wide_as_its_widest_cells() {
        let rows = vec![
            vec!["delta".to_owned(), "1.0".to_owned()],
            vec!["é".to_owned(), String::new()],
        ];
        assert_eq!(
            table(&["name", "version"], &rows),
            "name   version\ndelta  1.0\né"
        );
    }
}
