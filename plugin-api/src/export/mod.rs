//! How a plugin's traits become tables of C functions. Used by [`crate::lakefeed_plugin!`]; nothing here is for authors.

mod call;
mod completion;
mod descriptor;
mod host;
mod instance;
mod logging;
mod panic;
mod runtime;
mod tables;

pub use self::descriptor::{descriptor, layout};
pub use self::tables::Exported;

#[cfg(test)]
mod tests;
