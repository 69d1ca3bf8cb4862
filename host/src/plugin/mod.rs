//! Find, check, load and adapt plugins.
//!
//! A plugin is a folder with a manifest and a shared library. What happens to it, in order:
//!
//! - [`manifest`], [`schema`], `validate`: what its `plugin.toml` says; reading it runs no foreign code.
//! - [`discover`], `elf`: which plugins lie in the plugin directories, and why some of them cannot be used.
//! - [`check`]: path, owner, permissions and pins, all before the library is opened by the loader.
//! - [`cache`]: the bytes are hashed while they are copied to the private folder they are loaded from.
//! - [`load`], `layout`: the library is opened, and what it says of itself is compared with the manifest and the contract.
//! - [`registry`]: all of the above for every plugin of a host, and which plugin a destination means.
//! - [`instance`], `calls`: one instance as async methods, each of which resolves whatever the plugin does;
//!   [`supervise`] makes it again when it is over.
//!
//! Beneath an instance: `thread` is the one thread that calls the plugin, `completion` and `answer` bring back the end of
//! each call, [`services`] is what the plugin may ask of the host ([`secrets`], [`state`], [`metrics`], [`token`]; what
//! takes time is answered by [`lend`]), and [`health`] counts and quarantines.
//!
//! Beside that road: [`mod@stage`] lays what cargo built where the executable finds it, and [`error`] is the closed list
//! of refusals, each with a code, a page and a remedy. Nothing else of the host is used here.

mod answer;
pub mod cache;
mod calls;
pub mod check;
mod completion;
pub mod discover;
#[cfg(not(target_os = "macos"))]
mod elf;
pub mod error;
pub mod health;
pub mod instance;
mod layout;
pub mod lend;
#[cfg(test)]
mod linked;
pub mod load;
#[cfg(test)]
mod loading;
pub mod manifest;
pub mod metrics;
pub mod registry;
pub mod schema;
pub mod secrets;
pub mod services;
pub mod stage;
pub mod state;
pub mod supervise;
mod thread;
pub mod token;
mod validate;

pub use cache::PluginCache;
pub use check::{Pin, Policy, TrustLevel};
pub use discover::{Candidate, Discovery, Origin, PluginDirectory};
pub use error::{PluginRefusal, RefusalCode};
pub use health::HealthReport;
pub use instance::{Instance, InstanceContext};
pub use lend::{CredentialFuture, CredentialSource};
pub use load::LoadedPlugin;
pub use manifest::Manifest;
pub use metrics::PluginMetrics;
pub use registry::{
    Claim, InspectedPlugin, ListedPlugin, PluginChoice, PluginList, PluginRegistry, PluginSettings, inspect,
    list,
};
pub use schema::{Marker, Problem, Schema};
pub use secrets::SecretReference;
pub use services::AckListener;
pub use stage::{StageReport, StageRequest, StagedPlugin, executable_folder, stage};
pub use state::{FolderState, StateStore};
pub use supervise::SupervisedInstance;
pub use thread::InstanceState;
pub use token::{TokenBroker, TokenSettings};
