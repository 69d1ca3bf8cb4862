//! `lakefeed check`

use std::process::ExitCode;

use serde_json::json;

use super::Failure;
use super::output::Output;
use crate::config::Config;
use crate::wiring;

/// Checks what can be checked without a network and without the store; exits with 1 when anything is wrong.
pub(super) async fn check(config: Config, output: &mut Output) -> Result<ExitCode, Failure> {
    let report = wiring::check(config).await?;
    let document = json!({
        "ok": report.issues.is_empty() && report.refused_plugins.is_empty(),
        "topics": report.topics,
        "views": report.views,
        "destinations": report.destinations,
        "plugins": report.plugins,
        "refused_plugins": report.refused_plugins,
        "issues": report.issues,
    });
    output.found(&document, || text(&report))?;
    let is_well = report.issues.is_empty() && report.refused_plugins.is_empty();
    Ok(if is_well {
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
    lines.push(match report.issues.len() + report.refused_plugins.len() {
        0 => "all is well".to_owned(),
        1 => "1 thing is wrong".to_owned(),
        count => format!("{count} things are wrong"),
    });
    lines.join("\n")
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
