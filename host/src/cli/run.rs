//! `lakefeed run`

use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::config::Config;
use crate::wiring::Host;

/// Runs the host until SIGTERM or Ctrl-C; then it stops within ten seconds.
pub(super) async fn run(config: Config) -> Result<ExitCode, Failure> {
    raise_open_files();
    dump_no_core();
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    let host = tokio::select! {
        host = Host::start(config) => host?,
        // Nothing is served yet, so nobody waits for an end in good order.
        () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    host.serve(shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps secrets and patient data out of core files.
fn dump_no_core() {
    let mut limit = getrlimit(Resource::Core);
    limit.current = Some(0);
    if let Err(error) = setrlimit(Resource::Core, limit) {
        tracing::warn!(error = %error, "core files could not be switched off");
    }
}

/// Lets the process open as many files as it may. Every connection is one, and the usual limit of 1024 was made for
/// programs that wait with `select`, which this one does not.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(error = %error, "the limit of open files could not be raised");
    }
}
