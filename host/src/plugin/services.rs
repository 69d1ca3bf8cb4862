//! What the host lends an instance: log, metrics, secrets, tokens, credentials, acks and a small state.
//!
//! Each function here is called by plugins, on any thread. None blocks, none prints, and a panic in one never crosses:
//! it is caught and answered with the harmless value.
#![expect(unsafe_code, reason = "functions that plugins call through pointers")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lakefeed_plugin_api::abi::{self, AbiBytes, AbiCompletion, AbiHost, AbiLogRecord, AbiStatus, AbiStr};
use lakefeed_plugin_api::{Category, CredentialRequest, PluginError, TokenRequest, wire};
use semver::Version;
use tokio::runtime::Handle;

use super::lend::{CredentialSource, answer_later};
use super::metrics::{MetricKind, PluginMetrics};
use super::secrets::SecretReference;
use super::state::{self, StateStore};
use super::token::TokenBroker;

/// The events of all plugins have this target: `tracing` needs to know targets when it is compiled.
const TARGET: &str = "lakefeed::plugin";
/// A message or its fields are cut here.
const MAX_LOG_BYTES: usize = 16 * 1024;
/// More is not kept under one key.
const MAX_STATE_BYTES: usize = 64 * 1024;

/// Told of every batch number up to which all is durable.
pub type AckListener = Arc<dyn Fn(u64) + Send + Sync>;

/// What an instance's services work with.
pub(super) struct Context {
    pub(super) plugin: String,
    pub(super) version: Version,
    pub(super) instance: String,
    pub(super) secrets: BTreeMap<String, SecretReference>,
    pub(super) metrics: Arc<PluginMetrics>,
    pub(super) state: Option<Arc<dyn StateStore>>,
    pub(super) tokens: Option<Arc<TokenBroker>>,
    pub(super) credentials: Option<Arc<dyn CredentialSource>>,
    /// Where answers that take time are worked out; none outside of a runtime.
    pub(super) runtime: Option<Handle>,
    pub(super) ack: Option<AckListener>,
}

impl fmt::Debug for Context {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Context({} {} {})", self.plugin, self.version, self.instance)
    }
}

/// One instance's host, at an address that does not move while the instance lives.
#[derive(Debug)]
pub(super) struct HostSide {
    host: Box<AbiHost>,
    /// Behind `host.ctx`.
    _context: Arc<Context>,
}

// SAFETY: the pointer inside leads to the context, which is shared between threads as it is.
unsafe impl Send for HostSide {}

impl HostSide {
    pub(super) fn new(context: Context) -> HostSide {
        let context = Arc::new(context);
        let host = Box::new(AbiHost {
            size: size_of::<AbiHost>() as u32,
            layout: abi::LAYOUT_INSTANCE,
            ctx: Arc::as_ptr(&context).cast_mut().cast(),
            get_service: Some(get_service),
            reserved: [0; 4],
        });
        HostSide {
            host,
            _context: context,
        }
    }

    /// What `create` is given.
    pub(super) fn as_ptr(&self) -> *const AbiHost {
        &raw const *self.host
    }
}

/// Runs a service; a panic in it becomes `otherwise`.
fn guarded<R>(otherwise: R, act: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(otherwise)
}

/// The context of the instance that calls.
///
/// # Safety
///
/// `ctx` is the one of a [`HostSide`] that is alive; plugins promise not to use it after `destroy` has completed.
unsafe fn context<'a>(ctx: *mut c_void) -> &'a Context {
    // SAFETY: the caller promises it.
    unsafe { &*ctx.cast::<Context>() }
}

/// As [`guarded`], and answers `otherwise` when it is called from within itself: a plugin that is linked into this
/// program shares the host's `tracing`, which would hand the host's own events back to the host for ever.
fn guarded_once<R>(otherwise: R, act: impl FnOnce() -> R) -> R {
    thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });
    if INSIDE.replace(true) {
        return otherwise;
    }
    let result = guarded(otherwise, act);
    INSIDE.set(false);
    result
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(MAX_LOG_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

unsafe extern "C" fn get_service(_ctx: *mut c_void, id: AbiStr) -> *const c_void {
    // SAFETY: the id is lent for the length of this call.
    match unsafe { id.bytes() } {
        id if id == abi::SERVICE_LOG.as_bytes() => (&raw const LOG).cast(),
        id if id == abi::SERVICE_METRICS.as_bytes() => (&raw const METRICS).cast(),
        id if id == abi::SERVICE_SECRETS.as_bytes() => (&raw const SECRETS).cast(),
        id if id == abi::SERVICE_TOKEN.as_bytes() => (&raw const TOKEN).cast(),
        id if id == abi::SERVICE_CREDENTIALS.as_bytes() => (&raw const CREDENTIALS).cast(),
        id if id == abi::SERVICE_ACK.as_bytes() => (&raw const ACK).cast(),
        id if id == abi::SERVICE_STATE.as_bytes() => (&raw const STATE).cast(),
        _ => std::ptr::null(),
    }
}

static LOG: abi::AbiHostLog = abi::AbiHostLog {
    size: size_of::<abi::AbiHostLog>() as u32,
    layout: abi::LAYOUT_HOST_LOG,
    log: Some(log),
    max_level: Some(max_level),
    reserved: [0; 2],
};
static METRICS: abi::AbiHostMetrics = abi::AbiHostMetrics {
    size: size_of::<abi::AbiHostMetrics>() as u32,
    layout: abi::LAYOUT_HOST_METRICS,
    define: Some(register_metric),
    record: Some(record_metric),
    reserved: [0; 2],
};
static SECRETS: abi::AbiHostSecrets = abi::AbiHostSecrets {
    size: size_of::<abi::AbiHostSecrets>() as u32,
    layout: abi::LAYOUT_HOST_SECRETS,
    get: Some(get_secret),
    reserved: [0; 2],
};
static TOKEN: abi::AbiHostToken = abi::AbiHostToken {
    size: size_of::<abi::AbiHostToken>() as u32,
    layout: abi::LAYOUT_HOST_TOKEN,
    token: Some(get_token),
    invalidate: Some(invalidate_token),
    reserved: [0; 2],
};
static CREDENTIALS: abi::AbiHostCredentials = abi::AbiHostCredentials {
    size: size_of::<abi::AbiHostCredentials>() as u32,
    layout: abi::LAYOUT_HOST_CREDENTIALS,
    vend: Some(get_credentials),
    reserved: [0; 2],
};
static ACK: abi::AbiHostAck = abi::AbiHostAck {
    size: size_of::<abi::AbiHostAck>() as u32,
    layout: abi::LAYOUT_HOST_ACK,
    ack: Some(ack),
    reserved: [0; 2],
};
static STATE: abi::AbiHostState = abi::AbiHostState {
    size: size_of::<abi::AbiHostState>() as u32,
    layout: abi::LAYOUT_HOST_STATE,
    get: Some(get_state),
    put: Some(put_state),
    reserved: [0; 2],
};

macro_rules! emit {
    ($level:ident, $context:expr, $origin:expr, $message:expr, $fields:expr) => {
        tracing::$level!(
            target: TARGET,
            plugin = $context.plugin,
            version = %$context.version,
            instance = $context.instance,
            origin = $origin,
            fields = $fields,
            "{}", $message
        )
    };
}

unsafe extern "C" fn log(ctx: *mut c_void, record: *const AbiLogRecord) {
    guarded_once((), || {
        // SAFETY: the plugin lends the record and its texts for the length of this call.
        let Ok(record) = (unsafe { wire::sized(record, "log record") }) else {
            return;
        };
        // SAFETY: as above, and its host is alive.
        let (context, origin, message, fields) = unsafe {
            (
                context(ctx),
                wire::text(record.target),
                cut(wire::text(record.message)),
                cut(wire::text(record.fields)),
            )
        };
        // No fields are no field.
        let fields = (fields != "{}").then_some(fields);
        match level_here(record.level, &context.plugin, &origin) {
            1 => emit!(error, context, origin, message, fields),
            2 => emit!(warn, context, origin, message, fields),
            3 => emit!(info, context, origin, message, fields),
            4 => emit!(debug, context, origin, message, fields),
            _ => emit!(trace, context, origin, message, fields),
        }
    });
}

/// The level of a plugin's event in the host's log: what a library inside a plugin finds worth a note (`info`) is
/// `debug` to an operator, who runs the plugin and not the library.
fn level_here(level: u32, plugin: &str, origin: &str) -> u32 {
    let crate_name = origin.split("::").next().unwrap_or_default();
    let is_own = crate_name.starts_with("lakefeed") || crate_name.contains(&plugin.replace('-', "_"));
    if level == 3 && !is_own { 4 } else { level }
}

unsafe extern "C" fn max_level(_ctx: *mut c_void) -> u32 {
    guarded_once(0, || {
        // Asked level by level, so that a filter on this target counts and not the most talkative of all targets.
        if tracing::enabled!(target: TARGET, tracing::Level::TRACE) {
            5
        } else if tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
            4
        } else if tracing::enabled!(target: TARGET, tracing::Level::INFO) {
            3
        } else if tracing::enabled!(target: TARGET, tracing::Level::WARN) {
            2
        } else {
            u32::from(tracing::enabled!(target: TARGET, tracing::Level::ERROR))
        }
    })
}

unsafe extern "C" fn register_metric(
    ctx: *mut c_void,
    kind: u32,
    name: AbiStr,
    help: AbiStr,
    labels: AbiStr,
) -> u64 {
    guarded(0, || {
        // SAFETY: the texts are lent for the length of this call, and the host is alive.
        let (context, name, help, labels) = unsafe {
            (
                context(ctx),
                wire::text(name),
                wire::text(help),
                wire::text(labels),
            )
        };
        let Some(kind) = MetricKind::from_number(kind) else {
            return 0;
        };
        let labels = if labels.is_empty() {
            Ok(BTreeMap::new())
        } else {
            serde_json::from_str(&labels)
        };
        labels.map_or(0, |labels| {
            context
                .metrics
                .register(&context.plugin, kind, &name, &help, labels)
        })
    })
}

unsafe extern "C" fn record_metric(ctx: *mut c_void, id: u64, value: f64) {
    // SAFETY: the host is alive.
    guarded((), || unsafe { context(ctx) }.metrics.record(id, value));
}

unsafe extern "C" fn get_secret(ctx: *mut c_void, name: AbiStr, out: *mut AbiBytes) -> u32 {
    guarded(abi::SECRET_UNREADABLE, || {
        // SAFETY: the name is lent for the length of this call, and the host is alive.
        let (context, name) = unsafe { (context(ctx), wire::text(name)) };
        let Some(reference) = context.secrets.get(&name) else {
            return abi::SECRET_UNKNOWN;
        };
        let Ok(secret) = reference.read() else {
            return abi::SECRET_UNREADABLE;
        };
        if out.is_null() {
            return abi::SECRET_UNREADABLE;
        }
        // SAFETY: the plugin gives a place for the answer.
        unsafe { out.write(owned(secret.into_bytes())) };
        abi::SECRET_FOUND
    })
}

/// Bytes that the plugin gives back through `release`.
fn owned(bytes: Vec<u8>) -> AbiBytes {
    let mut bytes = std::mem::ManuallyDrop::new(bytes);
    AbiBytes {
        ptr: bytes.as_mut_ptr(),
        len: bytes.len(),
        cap: bytes.capacity(),
        release: Some(release),
    }
}

unsafe extern "C" fn release(ptr: *mut u8, len: usize, cap: usize) {
    // SAFETY: the three came from a vector in `owned`, and the plugin calls this once.
    let mut bytes = unsafe { Vec::from_raw_parts(ptr, len, cap) };
    // What is freed may be a secret.
    bytes.fill(0);
    std::hint::black_box(&bytes);
}

unsafe extern "C" fn ack(ctx: *mut c_void, batch_number: u64) {
    guarded((), || {
        // SAFETY: the host is alive.
        if let Some(listener) = &unsafe { context(ctx) }.ack {
            listener(batch_number);
        }
    });
}

/// Tells the end of a service call.
pub(super) fn complete(completion: &AbiCompletion, outcome: Result<Option<&[u8]>, &PluginError>) {
    let tell = |status: &AbiStatus, result: *const c_void| complete_with(completion, status, result);
    match outcome {
        Ok(None) => tell(&AbiStatus::OK, std::ptr::null()),
        Ok(Some(bytes)) => {
            let bytes = AbiStr::from_bytes(bytes);
            tell(&AbiStatus::OK, (&raw const bytes).cast());
        }
        Err(error) => wire::with_status(error, |status| tell(status, std::ptr::null())),
    }
}

/// Tells the end of a service call with a result of the service's own kind.
pub(super) fn complete_with(completion: &AbiCompletion, status: &AbiStatus, result: *const c_void) {
    let Some(done) = completion.done else { return };
    // SAFETY: the plugin waits for exactly this one call; what is lent lives until it returns.
    unsafe { done(completion.ctx, &raw const *status, result) };
}

fn not_configured(service: &str) -> PluginError {
    PluginError::new(
        Category::ConfigInvalid,
        "HOST-001",
        format!("no source of {service} is configured"),
    )
    .hint("name a plugin that brings it, or use one that does without")
}

unsafe extern "C" fn get_token(ctx: *mut c_void, request: AbiStr, completion: AbiCompletion) {
    guarded((), || {
        // SAFETY: the host is alive, and the request is lent for the length of this call.
        let (context, request) = unsafe {
            (
                context(ctx),
                wire::document::<TokenRequest>(request, "token request"),
            )
        };
        match (&context.tokens, &context.runtime, request) {
            (_, _, Err(error)) => complete(&completion, Err(&error)),
            (Some(tokens), Some(runtime), Ok(request)) => {
                let tokens = Arc::clone(tokens);
                answer_later(runtime, completion, async move { tokens.token(&request).await });
            }
            _ => complete(&completion, Err(&not_configured("tokens"))),
        }
    });
}

unsafe extern "C" fn invalidate_token(ctx: *mut c_void, request: AbiStr) {
    guarded((), || {
        // SAFETY: the host is alive, and the request is lent for the length of this call.
        let (context, request) = unsafe {
            (
                context(ctx),
                wire::document::<TokenRequest>(request, "token request"),
            )
        };
        if let (Some(tokens), Ok(request)) = (&context.tokens, request) {
            tokens.invalidate(&request);
        }
    });
}

unsafe extern "C" fn get_credentials(ctx: *mut c_void, request: AbiStr, completion: AbiCompletion) {
    guarded((), || {
        // SAFETY: the host is alive, and the request is lent for the length of this call.
        let (context, request) = unsafe {
            (
                context(ctx),
                wire::document::<CredentialRequest>(request, "credential request"),
            )
        };
        match (&context.credentials, &context.runtime, request) {
            (_, _, Err(error)) => complete(&completion, Err(&error)),
            (Some(source), Some(runtime), Ok(request)) => {
                answer_later(runtime, completion, Arc::clone(source).credentials(request));
            }
            _ => complete(&completion, Err(&not_configured("credentials"))),
        }
    });
}

fn store_of(ctx: *mut c_void) -> Result<Arc<dyn StateStore>, PluginError> {
    // SAFETY: the host is alive.
    unsafe { context(ctx) }
        .state
        .clone()
        .ok_or_else(|| not_configured("state"))
}

unsafe extern "C" fn get_state(ctx: *mut c_void, key: AbiStr, completion: AbiCompletion) {
    guarded((), || match store_of(ctx) {
        Err(error) => complete(&completion, Err(&error)),
        Ok(store) => {
            // SAFETY: the key is lent for the length of this call.
            let key = unsafe { wire::text(key) };
            state::in_background(completion, move || store.get(&key));
        }
    });
}

unsafe extern "C" fn put_state(ctx: *mut c_void, key: AbiStr, value: AbiStr, completion: AbiCompletion) {
    guarded((), || match store_of(ctx) {
        Err(error) => complete(&completion, Err(&error)),
        Ok(_) if value.len > MAX_STATE_BYTES => {
            let message = format!(
                "state of {} bytes is more than the {MAX_STATE_BYTES} kept under a key",
                value.len
            );
            complete(
                &completion,
                Err(&PluginError::new(Category::ConfigInvalid, "HOST-002", message)),
            );
        }
        Ok(store) => {
            // SAFETY: key and value are lent for the length of this call.
            let (key, value) = unsafe { (wire::text(key), value.bytes().to_vec()) };
            state::in_background(completion, move || store.put(&key, &value).map(|()| None));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(ack: Option<AckListener>) -> HostSide {
        HostSide::new(Context {
            plugin: "p".into(),
            version: Version::new(1, 0, 0),
            instance: "d".into(),
            secrets: BTreeMap::from([("known".to_owned(), SecretReference::Env("PATH".to_owned()))]),
            metrics: Arc::default(),
            state: None,
            tokens: None,
            credentials: None,
            runtime: None,
            ack,
        })
    }

    #[test]
    fn a_panic_in_a_host_callback_does_not_cross() {
        let host = host(Some(Arc::new(|_| panic!("on purpose"))));
        // SAFETY: the host is alive.
        unsafe { ack(host.host.ctx, 1) };
    }

    #[test]
    fn only_the_instances_own_secrets_are_known() {
        let host = host(None);
        let mut out = AbiBytes::EMPTY;
        // SAFETY: the host is alive, the names are static and there is a place for the answer.
        unsafe {
            assert_eq!(
                get_secret(host.host.ctx, AbiStr::new("other"), &raw mut out),
                abi::SECRET_UNKNOWN
            );
            assert_eq!(
                get_secret(host.host.ctx, AbiStr::new("known"), &raw mut out),
                abi::SECRET_FOUND
            );
            assert!(out.len > 0);
            out.release.unwrap()(out.ptr, out.len, out.cap);
        }
    }

    #[test]
    fn every_service_of_the_contract_is_lent() {
        for id in abi::SERVICES {
            // SAFETY: the id is static.
            let service = unsafe { get_service(std::ptr::null_mut(), AbiStr::new(id)) };
            assert!(!service.is_null(), "{id}");
        }
        // SAFETY: as above.
        assert!(unsafe { get_service(std::ptr::null_mut(), AbiStr::new("lakefeed.host.log/9")) }.is_null());
    }

    #[test]
    fn a_broken_log_record_is_dropped() {
        let host = host(None);
        // SAFETY: the host is alive, and null is a record that cannot be read.
        unsafe { log(host.host.ctx, std::ptr::null()) };
    }
}
