//! The plugin as its host calls it, over real folders. A module a promise.

mod concurrency;
mod exactly_once;
mod files;
mod harness;
mod judges;
mod killed;
mod schema;
mod suite;
mod trouble;
