//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    lakefeed::cli::run(lakefeed::cli::Cli::parse())
}
