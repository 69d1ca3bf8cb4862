//! The suite that every writer passes.

use std::path::Path;

use crate::harness::*;
use lakefeed_plugin_api::Plugin;
use lakefeed_plugin_delta::Delta;
use lakefeed_plugin_testkit::run_writer_suite;
use serde_json::json;

async fn run(folder: &Path) {
    let mut tables = 0;
    run_writer_suite(|host| {
        tables += 1;
        Delta::create(config(&folder.join(tables.to_string()), json!({})), host).unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite_of_writers() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path()).await;
}

#[tokio::test]
async fn it_passes_the_suite_of_writers_on_a_single_thread() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path()).await;
}
