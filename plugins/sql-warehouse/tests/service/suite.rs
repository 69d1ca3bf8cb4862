//! The suite that every plugin runs.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use lakefeed_plugin_api::{BatchMeta, Deadline, PluginError, TableRef, WriteAck, Writer, WriterProfile};
use lakefeed_plugin_sql_warehouse::SqlWarehouse;
use lakefeed_plugin_testkit::run_writer_suite;

use crate::server::{Service, described, rows};

/// The plugin on the table of its parameters, whatever the suite calls its own.
struct OwnTable(SqlWarehouse);

impl Writer for OwnTable {
    async fn open(&self, _: &TableRef, schema: SchemaRef, id: u32) -> Result<WriterProfile, PluginError> {
        self.0.open(&TableRef::default(), schema, id).await
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        self.0.write(batch, meta).await
    }

    async fn evolve(&self, schema: SchemaRef, id: u32) -> Result<(), PluginError> {
        self.0.evolve(schema, id).await
    }

    async fn close(&self, deadline: Deadline) -> Result<(), PluginError> {
        self.0.close(deadline).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_keeps_every_promise_of_the_contract() {
    let service =
        Service::start(
            |_, sql| match sql.starts_with("INSERT INTO `aidbox_export`.`fhir`.`patients` (") {
                true => rows(
                    &["num_affected_rows", "num_inserted_rows"],
                    serde_json::json!([["1", "1"]]),
                ),
                false => described(&[("id", "string")]),
            },
        )
        .await;
    run_writer_suite(|_| OwnTable(service.warehouse())).await;
}
