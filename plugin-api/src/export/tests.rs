//! The exporter, called as a host calls it: through the tables.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use lakefeed_plugin_abi::*;
use std::sync::Arc;

use crate::export::Exported;
use crate::wire::{self, ExportedArray, ExportedSchema};
use crate::*;

/// Does what its parameter says.
struct Probe {
    what: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Config {
    what: String,
}

/// How many futures of `hang` have been dropped.
static DROPPED: AtomicU32 = AtomicU32::new(0);

struct CountsDrop;

impl Drop for CountsDrop {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

impl Plugin for Probe {
    type Config = Config;
    const INFO: PluginInfo = PluginInfo {
        name: "probe",
        version: "1.0.0",
        vendor: "v",
        license: "MIT",
    };

    fn create(config: Config, _: Host) -> Result<Self, PluginError> {
        assert_ne!(config.what, "panic-in-create", "as told");
        Ok(Self { what: config.what })
    }
}

impl Writer for Probe {
    async fn open(&self, _: &TableRef, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
        Ok(WriterProfile::default())
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        match self.what.as_str() {
            "panic" => panic!("Jane Doe"),
            "hang" => {
                let _counts = CountsDrop;
                std::future::pending::<()>().await;
            }
            "sleep" => tokio::time::sleep(Duration::from_millis(1)).await,
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

/// What a completion told: an error, or the result read by the test.
type Told = Result<u64, PluginError>;

/// Counts every call of `done`, so that a second one is seen.
struct Ear(Sender<Told>);

unsafe extern "C" fn done(ctx: *mut c_void, status: *const AbiStatus, result: *const c_void) {
    // SAFETY: `ctx` is leaked by `listen`; status and result are lent for this call.
    unsafe {
        let ear = &*ctx.cast::<Ear>();
        let told = if (*status).is_ok() {
            Ok(result as u64)
        } else {
            Err(wire::error_of(&*status))
        };
        // A test that has seen enough listens no more.
        drop(ear.0.send(told));
    }
}

unsafe extern "C" fn done_ack(ctx: *mut c_void, status: *const AbiStatus, result: *const c_void) {
    // SAFETY: as above, and the result of `write` is an ack.
    unsafe {
        let prefix = if (*status).is_ok() {
            (*result.cast::<AbiWriteAck>()).durable_prefix
        } else {
            0
        };
        done(ctx, status, prefix as *const c_void);
    }
}

type Done = unsafe extern "C" fn(*mut c_void, *const AbiStatus, *const c_void);

fn listen(done: Done) -> (AbiCompletion, Receiver<Told>) {
    let (sender, receiver) = channel();
    let ear = Box::leak(Box::new(Ear(sender)));
    (
        AbiCompletion {
            ctx: ptr::from_mut(ear).cast(),
            done: Some(done),
        },
        receiver,
    )
}

fn heard(receiver: &Receiver<Told>) -> Told {
    receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("a completion")
}

unsafe extern "C" fn no_service(_: *mut c_void, _: AbiStr) -> *const c_void {
    ptr::null()
}

fn create(what: &str) -> Result<*mut AbiInstance, PluginError> {
    let host = Box::leak(Box::new(AbiHost {
        size: size_of::<AbiHost>() as u32,
        layout: LAYOUT_INSTANCE,
        ctx: ptr::null_mut(),
        get_service: Some(no_service),
        reserved: [0; 4],
    }));
    let config = format!("{{\"what\":\"{what}\"}}");
    let (completion, receiver) = listen(done);
    let create = Exported::<Probe>::INSTANCE.create.unwrap();
    // SAFETY: as a host would; the host struct is leaked.
    unsafe { create(AbiStr::new(&config), host, completion) };
    heard(&receiver).map(|pointer| pointer as *mut AbiInstance)
}

fn destroy(instance: *mut AbiInstance) -> Told {
    let (completion, receiver) = listen(done);
    // SAFETY: the instance came from `create`, and is not used again.
    unsafe { Exported::<Probe>::INSTANCE.destroy.unwrap()(instance, completion) };
    heard(&receiver)
}

fn rows() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    RecordBatch::try_from_iter_with_nullable([("n", numbers, true)]).unwrap()
}

fn open(instance: *mut AbiInstance) {
    let (completion, receiver) = listen(done);
    let mut schema = ExportedSchema::new(&rows().schema()).unwrap();
    // SAFETY: as a host would.
    unsafe {
        let open = Exported::<Probe>::WRITER.open.unwrap();
        let op = open(instance, AbiStr::new("{}"), schema.as_mut_ptr(), 1, completion);
        heard(&receiver).unwrap();
        Exported::<Probe>::INSTANCE.op_free.unwrap()(op);
    }
}

fn meta() -> BatchMeta {
    BatchMeta {
        destination: "d".into(),
        generation: 1,
        batch_number: 1,
        attempt: 1,
        idempotency_key: String::new(),
        first_offset: 1,
        last_offset: 2,
        source: Source::Live,
        schema_id: 1,
        change_starts: vec![0, 1],
        deadline: Deadline::none(),
        traceparent: String::new(),
    }
}

fn start_write(instance: *mut AbiInstance) -> (*mut AbiOp, Receiver<Told>) {
    let (completion, receiver) = listen(done_ack);
    let mut array = ExportedArray::new(rows());
    let write = Exported::<Probe>::WRITER.write.unwrap();
    // SAFETY: as a host would.
    let op = wire::with_meta(&meta(), |meta| unsafe {
        write(instance, array.as_mut_ptr(), meta, completion)
    });
    (op, receiver)
}

fn free(op: *mut AbiOp) {
    // SAFETY: the handle came from `write`, and is freed once.
    unsafe { Exported::<Probe>::INSTANCE.op_free.unwrap()(op) };
}

fn cancel(op: *mut AbiOp) {
    // SAFETY: the handle came from `write`, and is not freed yet.
    unsafe { Exported::<Probe>::INSTANCE.cancel.unwrap()(op) };
}

/// Nothing more is told: the sender is leaked, so an empty channel is all that can be seen.
fn silent(receiver: &Receiver<Told>) -> bool {
    receiver.try_recv().is_err()
}

#[test]
fn a_write_tells_its_ack_exactly_once() {
    let instance = create("write").unwrap();
    open(instance);
    let (op, receiver) = start_write(instance);
    assert_eq!(heard(&receiver), Ok(2));
    cancel(op);
    free(op);
    destroy(instance).unwrap();
    assert!(silent(&receiver));
}

#[test]
fn a_panic_is_told_and_poisons_its_instance_alone() {
    let (bad, good) = (create("panic").unwrap(), create("write").unwrap());
    open(bad);
    open(good);
    let (op, receiver) = start_write(bad);
    let error = heard(&receiver).unwrap_err();
    assert_eq!(
        (error.category, error.retry),
        (Category::PluginPanic, Retry::RecreateInstance)
    );
    assert_eq!(error.detail, "Jane Doe");
    assert!(!error.message.contains("Jane"), "{}", error.message);
    free(op);
    let (op, receiver) = start_write(bad);
    assert_eq!(heard(&receiver).unwrap_err().code, "ABI-003");
    free(op);
    let (op, receiver) = start_write(good);
    assert_eq!(heard(&receiver), Ok(2));
    free(op);
    destroy(bad).unwrap();
    destroy(good).unwrap();
}

#[test]
fn a_cancelled_write_drops_its_future_and_leaves_the_instance_usable() {
    let instance = create("hang").unwrap();
    open(instance);
    let (op, receiver) = start_write(instance);
    let before = DROPPED.load(Ordering::SeqCst);
    // Cancelling may come before the first poll; then nothing was there to be dropped.
    std::thread::sleep(Duration::from_millis(50));
    cancel(op);
    assert_eq!(heard(&receiver).unwrap_err().category, Category::Cancelled);
    assert!(DROPPED.load(Ordering::SeqCst) >= before);
    free(op);
    let (op, receiver) = start_write(instance);
    cancel(op);
    assert_eq!(heard(&receiver).unwrap_err().category, Category::Cancelled);
    free(op);
    destroy(instance).unwrap();
}

#[test]
fn destroying_an_instance_ends_its_calls_first() {
    let instance = create("hang").unwrap();
    open(instance);
    let writes: Vec<_> = (0..16).map(|_| start_write(instance)).collect();
    destroy(instance).unwrap();
    for (op, receiver) in writes {
        assert_eq!(
            receiver.try_recv().unwrap().unwrap_err().category,
            Category::Cancelled
        );
        assert!(silent(&receiver));
        free(op);
    }
}

#[test]
fn cancelling_at_any_moment_tells_exactly_once() {
    let instance = create("sleep").unwrap();
    open(instance);
    for round in 0..200_u64 {
        let (op, receiver) = start_write(instance);
        std::thread::sleep(Duration::from_micros(round * 10));
        cancel(op);
        free(op);
        let told = heard(&receiver);
        assert!(told.as_ref().is_ok_and(|prefix| *prefix == 2) || told.is_err_and(|e| e.code == "ABI-006"));
        assert!(silent(&receiver));
    }
    destroy(instance).unwrap();
}

#[test]
fn a_panic_in_create_and_bad_parameters_are_told() {
    assert_eq!(
        create("panic-in-create").unwrap_err().category,
        Category::PluginPanic
    );
    assert_eq!(create("\"").unwrap_err().code, "ABI-008");
}

#[test]
fn a_null_instance_or_an_unknown_schema_is_a_breach_of_the_contract() {
    let (op, receiver) = start_write(ptr::null_mut());
    assert!(op.is_null());
    assert_eq!(heard(&receiver).unwrap_err().category, Category::PluginContract);
    let instance = create("write").unwrap();
    let (op, receiver) = start_write(instance);
    assert!(op.is_null());
    assert_eq!(
        heard(&receiver).unwrap_err().message,
        "the batch has the unknown schema 1"
    );
    destroy(instance).unwrap();
}
