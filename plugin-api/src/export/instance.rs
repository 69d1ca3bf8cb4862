//! One instance: the plugin's own type, its host, and whether it may still be called.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use lakefeed_plugin_abi::{AbiCompletion, AbiHost, AbiInstance, AbiStr};
use tokio::sync::watch;

use super::completion::{Owed, Raw};
use super::host::ForeignHost;
use super::logging::{self, Scope};
use super::panic::caught;
use super::runtime;
use crate::{Category, Host, Plugin, PluginError, Services, wire};

/// One instance. The host holds it as a counted pointer, and so does every call under way.
pub(super) struct Instance<P> {
    pub(super) plugin: P,
    pub(super) foreign: Arc<ForeignHost>,
    /// Schemas by their number. Only the latest two are kept: the one in force and the one it replaces.
    schemas: Mutex<Vec<(u32, SchemaRef)>>,
    poisoned: AtomicBool,
    /// Becomes true when the instance is destroyed. Each call under way holds a receiver.
    pub(super) closing: watch::Sender<bool>,
}

impl<P: Plugin> Instance<P> {
    /// The instance behind the host's pointer, if it may be called.
    ///
    /// # Safety
    /// The pointer is null, or came from [`create`] for the same plugin and has not been destroyed.
    pub(super) unsafe fn borrow(pointer: *mut AbiInstance) -> Result<Arc<Self>, PluginError> {
        if pointer.is_null() {
            return Err(wire::broken("the instance is null"));
        }
        let pointer = pointer.cast_const().cast::<Self>();
        // SAFETY: the pointer came from `Arc::into_raw`, and the host still holds its count.
        let instance = unsafe {
            Arc::increment_strong_count(pointer);
            Arc::from_raw(pointer)
        };
        if instance.poisoned.load(Ordering::Acquire) {
            let message = "the instance has panicked before and answers no more";
            return Err(PluginError::new(Category::PluginPanic, "ABI-003", message));
        }
        Ok(instance)
    }

    /// From here on the instance answers nothing.
    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// Where this instance's log events go.
    pub(super) fn scope(&self, traceparent: &str) -> Scope {
        Scope {
            services: Arc::clone(&self.foreign) as Arc<dyn Services>,
            traceparent: Arc::from(traceparent),
        }
    }

    /// Remembers what batches with this number look like.
    pub(super) fn keep_schema(&self, id: u32, schema: &SchemaRef) {
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        schemas.retain(|(known, _)| *known != id);
        schemas.push((id, Arc::clone(schema)));
        if schemas.len() > 2 {
            schemas.remove(0);
        }
    }

    /// What batches with this number look like.
    pub(super) fn schema(&self, id: u32) -> Result<SchemaRef, PluginError> {
        let schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let found = schemas.iter().find(|(known, _)| *known == id);
        found
            .map(|(_, schema)| Arc::clone(schema))
            .ok_or_else(|| wire::broken(format!("the batch has the unknown schema {id}")))
    }
}

/// Makes an instance (`create` of `lakefeed.instance/0`).
pub(super) unsafe extern "C" fn create<P: Plugin>(
    config: AbiStr,
    host: *const AbiHost,
    completion: AbiCompletion,
) {
    let owed = Owed::new(completion);
    // SAFETY: the host lends all three by the contract.
    let made = caught(|| unsafe { make::<P>(config, host) }).and_then(|made| made);
    owed.tell(made.map(|instance| Raw(Arc::into_raw(Arc::new(instance)).cast())));
}

/// # Safety
/// As the contract says of `create`.
unsafe fn make<P: Plugin>(config: AbiStr, host: *const AbiHost) -> Result<Instance<P>, PluginError> {
    // SAFETY: the caller promises that the host is valid until `destroy` has completed, when the gate closes.
    let foreign = Arc::new(unsafe { ForeignHost::new(host) }?);
    let services = Arc::clone(&foreign) as Arc<dyn Services>;
    logging::install(&services);
    runtime::handle()?;
    // SAFETY: the caller promises that the text is readable.
    let config = read_config::<P>(unsafe { config.bytes() })?;
    let scope = Scope {
        services: Arc::clone(&services),
        traceparent: Arc::from(""),
    };
    let plugin = logging::within(&scope, || caught(|| P::create(config, Host::new(services))));
    let plugin = plugin
        .and_then(|plugin| plugin)
        .inspect_err(|_| foreign.close())?;
    Ok(Instance {
        plugin,
        foreign,
        schemas: Mutex::new(Vec::new()),
        poisoned: AtomicBool::new(false),
        closing: watch::Sender::new(false),
    })
}

fn read_config<P: Plugin>(json: &[u8]) -> Result<P::Config, PluginError> {
    serde_json::from_slice(json).map_err(|error| {
        // Parameters may hold secrets, and serde's words may quote them: they are not shown.
        let message = format!(
            "the parameters of `{}` are not as its schema describes them",
            P::INFO.name
        );
        PluginError::new(Category::ConfigInvalid, "ABI-008", message)
            .hint("compare them with the plugin's parameters schema")
            .detail(error.to_string())
    })
}

/// Ends an instance (`destroy` of `lakefeed.instance/0`).
pub(super) unsafe extern "C" fn destroy<P: Plugin>(pointer: *mut AbiInstance, completion: AbiCompletion) {
    let owed = Owed::new(completion);
    if pointer.is_null() {
        return owed.tell::<()>(Err(wire::broken("the instance is null")));
    }
    // SAFETY: the pointer came from `create`, and the host gives its count back here, once.
    let instance = unsafe { Arc::from_raw(pointer.cast_const().cast::<Instance<P>>()) };
    instance.closing.send_replace(true);
    match runtime::handle() {
        Ok(runtime) => drop(runtime.spawn(async move {
            instance.closing.closed().await;
            owed.tell(end(instance));
        })),
        Err(error) => owed.tell::<()>(Err(error)),
    }
}

/// Drops the plugin, then closes the gate to its host.
fn end<P: Plugin>(instance: Arc<Instance<P>>) -> Result<(), PluginError> {
    let foreign = Arc::clone(&instance.foreign);
    let scope = instance.scope("");
    let dropped = logging::within(&scope, || caught(|| drop(instance)));
    foreign.close();
    dropped
}
