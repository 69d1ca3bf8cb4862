//! Find, check, load and adapt plugins.
//!
//! A plugin is a folder with a manifest and a shared library. What happens to it, in order:
//!
//! - [`manifest`], [`schema`]: what its `plugin.toml` says; reading it runs no foreign code.
//! - [`discover`]: which plugins lie in the plugin directories, and why some of them cannot be used.
//! - [`check`]: path, owner, permissions and pins, all before the library is opened by the loader.
//! - [`cache`]: the bytes are hashed while they are copied to the private folder they are loaded from.
//!
//! Beside that road: [`stage`] lays what cargo built where the executable finds it, and [`error`] is the closed list
//! of refusals, each with a code, a page and a remedy. Nothing else of the host is used here.

pub mod cache;
pub mod check;
pub mod discover;
pub mod error;
pub mod manifest;
pub mod schema;
pub mod stage;

pub use cache::PluginCache;
pub use check::{Pin, Policy, TrustLevel};
pub use discover::{Candidate, Discovery, Origin, PluginDirectory};
pub use error::{PluginRefusal, RefusalCode};
pub use manifest::Manifest;
pub use schema::{Marker, Problem, Schema};
pub use stage::{StageReport, StageRequest};
