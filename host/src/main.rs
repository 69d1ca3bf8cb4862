//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

// Requests are taken on one thread and freed on another, all day long, at which the system's allocator spends a sixth of
// the host's time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    lakefeed::cli::run(lakefeed::cli::Cli::parse())
}
