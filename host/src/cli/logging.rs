//! The host's log: lines on standard error, text or JSON.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Starts logging at the configured level; `LAKEFEED_LOG` overrides it.
pub(super) fn start(config: &Config) {
    let filter = std::env::var("LAKEFEED_LOG").unwrap_or_else(|_| config.log_level.clone());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // A second start, as in a test, keeps the first.
    drop(match config.log_format {
        LogFormat::Text => builder
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init(),
        LogFormat::Json => builder.json().try_init(),
    });
}
