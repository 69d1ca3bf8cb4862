//! Why a worker's loop ends.

use lakefeed_plugin_api::{MAX_DETAIL, PluginError};

use crate::log::LogError;

/// What ends a worker's loop, and so what its supervisor does.
#[derive(Debug)]
pub(crate) enum Interrupt {
    /// It was asked to stop: done.
    Stopped,
    /// An operator must act: the destination is halted.
    Halt(Halt),
    /// The store failed: started again after a pause, unless the destination is somebody else's by now.
    Log(LogError),
    /// A mistake of the host's own: started again after a pause.
    Broken(String),
}

/// Why a destination halts; safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Halt {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl From<LogError> for Interrupt {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<arrow::error::ArrowError> for Interrupt {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Broken(format!("the rows do not make a batch: {error}"))
    }
}

impl Halt {
    /// Halts with what a plugin said, and how to go on.
    pub(crate) fn of(error: &PluginError) -> Self {
        let mut message = words(error);
        if !message.contains("$resume") {
            message.push_str("; then `$resume` the destination");
        }
        Self {
            code: error.code.clone(),
            message,
        }
    }
}

/// A plugin's error in words that may be shown: message and hint, size-capped, without its code.
pub(crate) fn words(error: &PluginError) -> String {
    let mut text = match error.hint.is_empty() {
        true => error.message.clone(),
        false => format!("{} ({})", error.message, error.hint),
    };
    let end = (0..=text.len().min(MAX_DETAIL / 8))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}
