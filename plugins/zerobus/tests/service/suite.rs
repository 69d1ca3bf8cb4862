//! The suite that every plugin runs.

use lakefeed_plugin_testkit::run_writer_suite;
use serde_json::json;

use crate::server::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_keeps_every_promise_of_the_contract() {
    for in_flight in [1, 4] {
        let service = Service::start([]).await;
        // A cancelled write may have arrived; each writer has tokens of its own to lose.
        run_writer_suite(|_| service.zerobus(json!({"maxInFlight": in_flight}))).await;
    }
}
