//! `lakefeed check`

use std::process::ExitCode;

use lakefeed_plugin_api::Verdict;
use serde_json::json;

use super::Failure;
use super::output::Output;
use crate::config::Config;
use crate::wiring;

/// Checks what can be checked without the store, and without a network unless `connects`; exits with 1 when anything is
/// wrong.
pub(super) async fn check(config: Config, connects: bool, output: &mut Output) -> Result<ExitCode, Failure> {
    let report = wiring::check(config, connects).await?;
    let document = json!({
        "ok": faults(&report) == 0,
        "topics": report.topics,
        "views": report.views,
        "destinations": report.destinations,
        "plugins": report.plugins,
        "refused_plugins": report.refused_plugins,
        "issues": report.issues,
        "connections": report.connections,
    });
    output.found(&document, || text(&report))?;
    Ok(if faults(&report) == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn text(report: &wiring::CheckReport) -> String {
    let mut lines = vec![format!(
        "{}, {}, {}; plugins: {}",
        count(report.topics, "topic"),
        count(report.views, "view"),
        count(report.destinations, "destination"),
        if report.plugins.is_empty() {
            "none".to_owned()
        } else {
            report.plugins.join(", ")
        }
    )];
    lines.extend(
        report
            .refused_plugins
            .iter()
            .map(|refusal| format!("plugin refused: {refusal}")),
    );
    lines.extend(report.issues.iter().map(ToString::to_string));
    lines.extend(report.connections.iter().flat_map(answers));
    lines.push(match faults(report) {
        0 => "all is well".to_owned(),
        1 => "1 thing is wrong".to_owned(),
        count => format!("{count} things are wrong"),
    });
    lines.join("\n")
}

fn faults(report: &wiring::CheckReport) -> usize {
    let answers = report.connections.iter().flat_map(|connection| &connection.items);
    let failed = answers.filter(|item| item.verdict == Verdict::Failed).count();
    report.issues.len() + report.refused_plugins.len() + failed
}

/// One line for each question that a destination's plugins were asked.
fn answers(connection: &wiring::Connection) -> impl Iterator<Item = String> {
    connection.items.iter().map(|item| {
        let verdict = match item.verdict {
            Verdict::Passed => "ok",
            Verdict::Failed => "missing",
            Verdict::Warning => "warning",
            Verdict::Skipped => "unknown",
        };
        let mut line = format!(
            "destination `{}`: {verdict}: {}",
            connection.destination, item.name
        );
        for part in [&item.message, &item.hint]
            .into_iter()
            .filter(|part| !part.is_empty())
        {
            line = format!("{line}; {part}");
        }
        if item.code.is_empty() {
            line
        } else {
            format!("{line} [{}]", item.code)
        }
    })
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
