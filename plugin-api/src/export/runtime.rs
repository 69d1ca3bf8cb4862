//! The library's own tokio runtime, shared by its instances.
//!
//! A library linked from Rust has its own copy of tokio's thread-locals, so its futures cannot be polled by the host's
//! runtime; and a busy plugin then slows down itself alone.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(super) use tokio::runtime::Handle;
use tokio::runtime::{Builder, Runtime};

use crate::{Category, PluginError};

static WORKERS: AtomicU32 = AtomicU32::new(2);
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// How many worker threads the runtime gets, if it has not begun.
pub(super) fn set_workers(workers: u32) {
    WORKERS.store(workers.clamp(1, 64), Ordering::Relaxed);
}

/// The runtime, begun on first use.
pub(super) fn handle() -> Result<Handle, PluginError> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = runtime.as_ref() {
        return Ok(runtime.handle().clone());
    }
    let workers = WORKERS.load(Ordering::Relaxed) as usize;
    let built = Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("lakefeed-plugin")
        .enable_all()
        .build();
    let built = built.map_err(|error| {
        PluginError::new(
            Category::Internal,
            "ABI-005",
            format!("the plugin's threads cannot be started: {error}"),
        )
        .hint("raise the limit on threads")
    })?;
    let handle = built.handle().clone();
    *runtime = Some(built);
    Ok(handle)
}

/// Stops the runtime; what still runs after the deadline is left behind.
pub(super) fn stop(deadline: Duration) {
    let runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(deadline);
    }
}
