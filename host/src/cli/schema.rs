//! `lakefeed schema`

use std::process::ExitCode;

use super::Failure;
use super::output::Output;

/// Prints the JSON Schema of the configuration file.
pub(super) fn schema(output: &Output) -> Result<ExitCode, Failure> {
    let schema = crate::config::schema();
    output.found(&schema, || {
        serde_json::to_string_pretty(&schema).unwrap_or_default()
    })?;
    Ok(ExitCode::SUCCESS)
}
