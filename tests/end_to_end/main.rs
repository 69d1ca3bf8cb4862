//! The promises that span the whole program, each module one of them. Every test runs the built program as a user does.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests lie outside of tests"
)]

mod aidbox;
mod bad_input;
mod bad_plugin;
mod bad_rows;
mod config;
mod databricks;
mod documented;
mod fsync;
mod hostile;
mod lifecycle;
mod live;
mod load;
mod other_engine;
mod plugins_cli;
mod postgres;
mod postgres_operated;
mod restart;
mod schema_drift;
mod second_host;
mod senders;
mod small_disk;
mod sql_views;
mod store;
mod views_tool;
