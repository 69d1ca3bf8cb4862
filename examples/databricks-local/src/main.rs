//! The product document's Databricks-side setup and its usage example, in both write modes, against Databricks on loopback.
//!
//!     cargo run --release -p databricks-local
//!     cargo run --release -p databricks-local -- --keep
//!
//! It builds lakefeed, its plugins and the emulator (`tests/databricks-emulator`), starts them, and prints each request
//! as the command that a reader could type, with its answer. Every answer is checked; one that is not what it should be
//! ends the walk. With `--keep` everything goes on running afterwards, until Ctrl-C. `LAKEFEED_EMULATOR` names an emulator
//! that was built before; then nothing is built.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what a walkthrough does"
)]

use std::error::Error;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

mod answer;
mod environment;
mod layout;
mod process;
mod programs;
mod request;
mod set_up;
mod stage;
mod usage;
mod walk;

use programs::Programs;
use stage::{Stage, shown};
use walk::Walk;

type Failure = Box<dyn Error>;

/// The modes, each with a table of its own.
const MODES: [(&str, &str); 2] = [("managed-zerobus", "patients"), ("managed-sql", "patients_sql")];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let keeps = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [argument] if argument == "--keep" => true,
        _ => {
            eprintln!("usage: databricks-local [--keep]");
            return ExitCode::FAILURE;
        }
    };
    match tell(keeps).await {
        Ok(true) => ExitCode::SUCCESS,
        // As a shell counts a program that a Ctrl-C ended.
        Ok(false) => ExitCode::from(130),
        Err(failure) => {
            eprintln!("\nthe walkthrough failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The whole of it. Answers false if it was interrupted before its end; nothing is left running either way.
async fn tell(keeps: bool) -> Result<bool, Failure> {
    let mut interrupted = std::pin::pin!(interrupted()?);
    let programs = tokio::select! {
        programs = Programs::ready() => programs?,
        () = &mut interrupted => return Ok(false),
    };
    let mut stage = Stage::empty(programs)?;
    let told = tokio::select! {
        biased;
        () = &mut interrupted => None,
        told = walk(&mut stage) => Some(told),
    };
    let ended = match told {
        Some(Ok(walk)) if keeps => {
            let invited = invite(&stage, &walk);
            if invited.is_ok() {
                interrupted.await;
                println!();
            }
            invited.map(|()| true)
        }
        Some(Ok(_)) => Ok(true),
        Some(Err(failure)) => Err(because(failure, &mut stage)),
        None => Ok(false),
    };
    let stopped = stage.stop().await;
    match ended {
        Err(failure) => Err(failure),
        Ok(is_whole) => {
            stopped?;
            stage.clear()?;
            Ok(is_whole)
        }
    }
}

/// From an empty workspace to the end of the second destination.
async fn walk(stage: &mut Stage) -> Result<Walk, Failure> {
    let begun = Instant::now();
    let mut walk = Walk::new()?;
    let told = stage.start_emulator().await?;
    set_up::set_up(&mut walk, stage, told).await?;
    for (index, (mode, table)) in MODES.into_iter().enumerate() {
        walk.part(&format!("Usage example: {mode}"));
        if index > 0 {
            walk.remark(
                "The same from the beginning, in the other write mode: an empty lakefeed, an empty table.",
            );
            stage.stop_lakefeed().await?;
            set_up::another_table(&mut walk, table).await?;
        }
        start(&mut walk, stage, mode).await?;
        usage::walk_through(&mut walk).await?;
    }
    walk.part("That was all");
    walk.remark(&format!(
        "The setup and both write modes: every answer was as expected. It took {:.0} s.",
        begun.elapsed().as_secs_f64()
    ));
    Ok(walk)
}

async fn start(walk: &mut Walk, stage: &mut Stage, mode: &str) -> Result<(), Failure> {
    walk.step("Start lakefeed");
    walk.remark(&format!(
        "lakefeed run, in {}, where lakefeed.toml is:",
        shown(&stage.path(mode))
    ));
    let (address, configuration) = stage.start_lakefeed(mode, &walk.environment).await?;
    walk.quote(&configuration);
    println!();
    walk.export("AIDBOX_URL", address)?;
    walk.export("WRITE_MODE", mode)
}

/// What a reader can do now.
fn invite(stage: &Stage, walk: &Walk) -> Result<(), Failure> {
    let script = stage.path("environment");
    write_secret(&script, &walk.environment.script())?;
    println!("\nEverything is still running:\n");
    println!(
        "    lakefeed      {}   a page that shows each destination",
        walk.environment.get("AIDBOX_URL")?
    );
    println!("    the emulator  {}", walk.environment.get("DATABRICKS_HOST")?);
    println!("    its tables    {}", shown(&stage.buckets()));
    println!("\nIn another shell\n");
    println!("    source {}\n", script.display());
    println!(
        "sets all variables, the secrets too, so that every command above can be typed there. Begin with step 3 of the"
    );
    println!("usage example: the last destination is deleted. Ctrl-C ends it all.");
    Ok(())
}

/// Writes a file that only its owner can read.
fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    Ok(options.open(path)?.write_all(text.as_bytes())?)
}

/// A failure, with where to look further; a program that has ended is the better reason.
fn because(failure: Failure, stage: &mut Stage) -> Failure {
    let failure = match stage.are_alive() {
        Ok(()) => failure,
        Err(ended) => format!("{failure}\n{ended}").into(),
    };
    format!(
        "{failure}\n\nTables, stores and logs are in {}",
        shown(&stage.path(""))
    )
    .into()
}

/// Resolves at a Ctrl-C, when the terminal is closed, or at a request to end.
fn interrupted() -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
