//! Tests of an instance over a plugin written with the SDK and linked into the test program: what becomes of calls that
//! panic, hang, block or are given up.
#![expect(unsafe_code, reason = "names the entry symbol that the macro exports")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lakefeed_plugin_api::abi::{AbiDescriptor, AbiHostInfo};
use lakefeed_plugin_api::{
    BatchMeta, Category, Deadline, Host, Plugin, PluginError, PluginInfo, Retry, Source, TableRef, WriteAck,
    Writer, WriterProfile, lakefeed_plugin,
};
use serde::Deserialize;
use serde_json::json;

use super::health::MAX_ABANDONED;
use super::instance::{Instance, InstanceContext};
use super::load::LoadedPlugin;
use super::manifest::Written;
use super::supervise::SupervisedInstance;
use super::thread::InstanceState;

/// Calls whose future was dropped before its end.
static CANCELLED: AtomicU64 = AtomicU64::new(0);

#[derive(Deserialize, schemars::JsonSchema)]
struct Config {
    /// What `write` does.
    write: String,
}

struct Actor {
    write: String,
    host: Host,
}

impl Plugin for Actor {
    type Config = Config;
    const INFO: PluginInfo = PluginInfo {
        name: "actor",
        version: "1.0.0",
        vendor: "tests",
        license: "Apache-2.0",
    };

    fn create(config: Config, host: Host) -> Result<Self, PluginError> {
        Ok(Actor {
            write: config.write,
            host,
        })
    }
}

/// Counts a write that ended without returning.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        CANCELLED.fetch_add(1, Ordering::SeqCst);
    }
}

impl Writer for Actor {
    async fn open(&self, _: &TableRef, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
        Ok(WriterProfile::default())
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        match self.write.as_str() {
            "panic" => panic!("on purpose"),
            "never" => {
                let _unfinished = Unfinished;
                std::future::pending::<()>().await;
            }
            "lie" => {
                let mut ack = WriteAck::durable(meta, batch.num_rows());
                ack.durable_prefix += 1;
                return Ok(ack);
            }
            "blame" => return Err(PluginError::new(Category::PluginContract, "A-1", "bad batch")),
            "ack" => self.host.ack(meta.batch_number),
            "state" => {
                let before = self.host.state("n").await?.map_or(0, |bytes| bytes.len());
                self.host.put_state("n", &vec![1; before + 1]).await?;
                return Ok(WriteAck::durable(meta, before));
            }
            _ => {}
        }
        Ok(WriteAck::durable(meta, batch.num_rows()))
    }

    async fn evolve(&self, _: SchemaRef, _: u32) -> Result<(), PluginError> {
        Ok(())
    }

    async fn close(&self, _: Deadline) -> Result<(), PluginError> {
        Ok(())
    }
}

lakefeed_plugin! { Actor: [writer] }

unsafe extern "C" {
    fn lakefeed_plugin_entry_v1(host: *const AbiHostInfo) -> *const AbiDescriptor;
}

fn actor() -> Arc<LoadedPlugin> {
    let text = "manifest_version = 1\nname = \"actor\"\nversion = \"1.0.0\"\nabi = \"1\"\nprovides = [\"lakefeed.writer/0\"]\n";
    let manifest = Written::parse(text)
        .unwrap()
        .check(std::path::Path::new("/"))
        .unwrap();
    Arc::new(super::load::linked(Arc::new(manifest), lakefeed_plugin_entry_v1).unwrap())
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true)]))
}

fn batch() -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int32Array::from(vec![1, 2, 3]))]).unwrap()
}

fn meta(deadline: Deadline) -> BatchMeta {
    BatchMeta {
        destination: "d".into(),
        generation: 1,
        batch_number: 7,
        attempt: 1,
        idempotency_key: "d-1-7".into(),
        first_offset: 1,
        last_offset: 3,
        source: Source::Live,
        schema_id: 1,
        change_starts: vec![0, 1, 2],
        deadline,
        traceparent: String::new(),
    }
}

async fn opened(plugin: &Arc<LoadedPlugin>, write: &str) -> Instance {
    opened_with(plugin, write, InstanceContext::new("d")).await
}

async fn opened_with(plugin: &Arc<LoadedPlugin>, write: &str, context: InstanceContext) -> Instance {
    let instance = Instance::create(plugin, &json!({ "write": write }), context)
        .await
        .unwrap();
    instance.open(&TableRef::named("t"), schema(), 1).await.unwrap();
    instance
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(50))
}

#[tokio::test]
async fn a_batch_is_written_and_acknowledged() {
    let instance = opened(&actor(), "well").await;
    let ack = instance.write(batch(), meta(Deadline::none())).await.unwrap();
    assert_eq!((ack.durable_prefix, ack.rows), (3, 3));
    instance.close(Deadline::none()).await.unwrap();
}

#[tokio::test]
async fn a_panic_becomes_an_outcome_and_the_instance_is_over() {
    let plugin = actor();
    let instance = opened(&plugin, "panic").await;
    let other = opened(&plugin, "well").await;
    let error = instance.write(batch(), meta(Deadline::none())).await.unwrap_err();
    assert_eq!(
        (error.category, error.retry),
        (Category::PluginPanic, Retry::RecreateInstance)
    );
    assert_eq!(instance.state(), InstanceState::Poisoned);
    let again = instance.write(batch(), meta(Deadline::none())).await.unwrap_err();
    assert_eq!(again.retry, Retry::RecreateInstance);
    let _ack = other.write(batch(), meta(Deadline::none())).await.unwrap();
    assert_eq!(plugin.health().panics, 1);
}

#[tokio::test]
async fn a_call_that_never_ends_times_out_and_is_cancelled_and_the_instance_lives() {
    let instance = opened(&actor(), "never").await;
    let before = CANCELLED.load(Ordering::SeqCst);
    let error = instance.write(batch(), meta(soon())).await.unwrap_err();
    assert_eq!(
        (error.category, error.retry, error.outcome_unknown),
        (Category::Deadline, Retry::Backoff, true)
    );
    while CANCELLED.load(Ordering::SeqCst) == before {
        tokio::task::yield_now().await;
    }
    assert_eq!(instance.state(), InstanceState::Ready);
    instance.close(Deadline::none()).await.unwrap();
}

#[tokio::test]
async fn dropping_a_pending_call_cancels_it() {
    let instance = opened(&actor(), "never").await;
    let before = CANCELLED.load(Ordering::SeqCst);
    let write = tokio::time::timeout(
        Duration::from_millis(50),
        instance.write(batch(), meta(Deadline::none())),
    );
    assert!(write.await.is_err());
    while CANCELLED.load(Ordering::SeqCst) == before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_function_that_does_not_return_stalls_its_own_instance_alone() {
    let plugin = actor();
    let stuck = opened(&plugin, "well").await;
    let other = opened(&plugin, "well").await;
    let (release, held) = std::sync::mpsc::channel::<()>();
    let blocking = stuck.call(soon(), super::answer::Lent::nothing, move |_, completion| {
        let _released = held.recv();
        super::services::complete(&completion, Ok(None));
        std::ptr::null_mut()
    });
    let error = blocking.await.unwrap_err();
    assert_eq!(
        (error.category, error.retry),
        (Category::Deadline, Retry::RecreateInstance)
    );
    assert_eq!(stuck.state(), InstanceState::Stuck);
    assert_eq!(plugin.health().abandoned, 1);
    let _ack = other.write(batch(), meta(Deadline::none())).await.unwrap();

    // Once it returns after all, it is destroyed like any other.
    drop(stuck);
    drop(release);
    while plugin.health().abandoned > 0 || plugin.health().instances > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(plugin.health().late, 1);
}

#[tokio::test]
async fn stuck_instances_are_capped() {
    let plugin = actor();
    let mut held = Vec::new();
    for _ in 0..MAX_ABANDONED {
        let instance = opened(&plugin, "well").await;
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        held.push(release);
        let call = instance.call(soon(), super::answer::Lent::nothing, move |_, completion| {
            let _released = blocked.recv();
            super::services::complete(&completion, Ok(None));
            std::ptr::null_mut()
        });
        call.await.unwrap_err();
    }
    let error = Instance::create(&plugin, &json!({"write": "well"}), InstanceContext::new("d"))
        .await
        .unwrap_err();
    assert_eq!(error.code, "PLUGIN-040");
}

#[tokio::test]
async fn an_ack_for_more_than_the_batch_quarantines_the_library() {
    let plugin = actor();
    let instance = opened(&plugin, "lie").await;
    let error = instance.write(batch(), meta(Deadline::none())).await.unwrap_err();
    assert_eq!(
        (error.category, error.retry),
        (Category::PluginContract, Retry::Quarantine)
    );
    assert!(plugin.health().quarantined.is_some());
    let refused = Instance::create(&plugin, &json!({"write": "well"}), InstanceContext::new("d")).await;
    assert_eq!(refused.unwrap_err().code, "PLUGIN-039");
}

#[tokio::test]
async fn a_contract_error_that_a_plugin_answers_ends_its_instance_and_no_other() {
    let plugin = actor();
    let (blaming, sound) = (opened(&plugin, "blame").await, opened(&plugin, "well").await);
    let error = blaming.write(batch(), meta(Deadline::none())).await.unwrap_err();
    assert_eq!(
        (error.category, error.code.as_str()),
        (Category::PluginContract, "A-1")
    );
    assert_eq!(blaming.state(), InstanceState::Poisoned);
    assert_eq!(plugin.health().quarantined, None);
    let ack = sound.write(batch(), meta(Deadline::none())).await.unwrap();
    assert_eq!(ack.durable_prefix, 3);
}

#[tokio::test]
async fn parameters_that_the_plugin_cannot_read_are_a_configuration_error() {
    let plugin = actor();
    let error = Instance::create(&plugin, &json!({}), InstanceContext::new("d"))
        .await
        .unwrap_err();
    assert_eq!(error.category, Category::ConfigInvalid);
    while plugin.health().instances > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_supervised_instance_is_made_again_after_a_panic() {
    let supervised = SupervisedInstance::new(actor(), json!({"write": "panic"}), InstanceContext::new("d"));
    let first = supervised.ready().await.unwrap();
    assert_eq!(supervised.ready().await.unwrap().id(), first.id());
    first.open(&TableRef::named("t"), schema(), 1).await.unwrap();
    first.write(batch(), meta(Deadline::none())).await.unwrap_err();
    let second = supervised.ready().await.unwrap();
    assert_ne!(second.id(), first.id());
    assert_eq!(supervised.restarts().await, 1);
}

#[tokio::test]
async fn acks_reach_the_listener_and_one_that_panics_harms_nobody() {
    let heard = Arc::new(AtomicU64::new(0));
    let listener = heard.clone();
    let context = InstanceContext {
        ack: Some(Arc::new(move |number| {
            listener.store(number, Ordering::SeqCst);
            panic!("on purpose");
        })),
        ..InstanceContext::new("d")
    };
    let instance = opened_with(&actor(), "ack", context).await;
    let _ack = instance.write(batch(), meta(Deadline::none())).await.unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 7);
}

#[tokio::test]
async fn state_survives_the_instance() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = actor();
    for expected in 0..3 {
        let context = InstanceContext {
            state: Some(Arc::new(super::state::FolderState::new(folder.path().join("d")))),
            ..InstanceContext::new("d")
        };
        let instance = opened_with(&plugin, "state", context).await;
        let ack = instance.write(batch(), meta(Deadline::none())).await.unwrap();
        assert_eq!(ack.rows, expected);
    }
}
