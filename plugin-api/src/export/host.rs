//! The host's services, as the C tables lend them.
//!
//! The tables and their context are valid until the instance's `destroy` has completed. A gate keeps that: every call
//! passes through it, and `close` waits for calls that are inside and lets none in after.

use std::ffi::c_void;
use std::sync::{PoisonError, RwLock};

use lakefeed_plugin_abi as abi;
use lakefeed_plugin_abi::{AbiBytes, AbiCompletion, AbiDocument, AbiHost, AbiLogRecord, AbiStatus, AbiStr};
use tokio::sync::oneshot;

use crate::services::not_lent;
use crate::{
    Category, CredentialRequest, Credentials, LogEvent, LogLevel, MetricKind, PluginError, Secret,
    ServiceFuture, Services, Token, TokenRequest, wire,
};

/// The services of one instance.
pub(super) struct ForeignHost {
    tables: Tables,
    open: RwLock<bool>,
}

struct Tables {
    ctx: *mut c_void,
    log: *const abi::AbiHostLog,
    metrics: *const abi::AbiHostMetrics,
    secrets: *const abi::AbiHostSecrets,
    token: *const abi::AbiHostToken,
    credentials: *const abi::AbiHostCredentials,
    ack: *const abi::AbiHostAck,
    state: *const abi::AbiHostState,
}

// SAFETY: the contract lets services be called from any thread; the tables are read only through the gate.
unsafe impl Send for ForeignHost {}
// SAFETY: as above.
unsafe impl Sync for ForeignHost {}

impl ForeignHost {
    /// The services of this host.
    ///
    /// # Safety
    /// The pointer is null or as the contract says, and what it lends stays valid until [`ForeignHost::close`].
    pub(super) unsafe fn new(host: *const AbiHost) -> Result<Self, PluginError> {
        // SAFETY: the caller promises it.
        let host = unsafe { wire::sized(host, "host") }?;
        let get = host
            .get_service
            .ok_or_else(|| wire::broken("the host cannot be asked for services"))?;
        // SAFETY: the host's own function with the host's own context.
        let find = |id: &str| unsafe { get(host.ctx, AbiStr::new(id)) };
        let tables = Tables {
            ctx: host.ctx,
            log: find(abi::SERVICE_LOG).cast(),
            metrics: find(abi::SERVICE_METRICS).cast(),
            secrets: find(abi::SERVICE_SECRETS).cast(),
            token: find(abi::SERVICE_TOKEN).cast(),
            credentials: find(abi::SERVICE_CREDENTIALS).cast(),
            ack: find(abi::SERVICE_ACK).cast(),
            state: find(abi::SERVICE_STATE).cast(),
        };
        Ok(Self {
            tables,
            open: RwLock::new(true),
        })
    }

    /// Waits for calls that are under way, and lets none through from here on.
    pub(super) fn close(&self) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Calls a service through the gate; nothing if it is closed or the host does not lend it.
    fn with<T, R>(&self, table: *const T, call: impl FnOnce(&T, *mut c_void) -> R) -> Option<R> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if !*open || table.is_null() {
            return None;
        }
        // SAFETY: the gate is open, so the host keeps its tables valid; a service's table has the type of its id.
        let table = unsafe { wire::sized(table, "service table") }.ok()?;
        Some(call(table, self.tables.ctx))
    }

    /// Asks a service that answers by completion.
    fn ask<T, A, R>(
        &self,
        service: &'static str,
        table: *const T,
        start: impl FnOnce(&T, *mut c_void, AbiCompletion) -> Option<()>,
        read: fn(A) -> R,
    ) -> ServiceFuture<R>
    where
        A: Reply,
        R: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel::<Result<A, PluginError>>();
        let waiting = Box::into_raw(Box::new(sender));
        let completion = AbiCompletion {
            ctx: waiting.cast(),
            done: Some(replied::<A>),
        };
        let started = self
            .with(table, |table, ctx| start(table, ctx, completion))
            .flatten();
        if started.is_none() {
            // SAFETY: nobody was given the completion, so the box is still ours alone.
            drop(unsafe { Box::from_raw(waiting) });
        }
        Box::pin(async move {
            if started.is_none() {
                return Err(not_lent(service));
            }
            let reply = receiver
                .await
                .map_err(|_| wire::broken("the host dropped a question"))?;
            reply.map(read)
        })
    }
}

/// What a service's completion brings.
trait Reply: Sized + Send + 'static {
    /// Copies the result.
    ///
    /// # Safety
    /// The pointer is what the service promises as its result.
    unsafe fn copy(result: *const c_void) -> Result<Self, PluginError>;
}

/// A service's JSON document.
struct Document<T>(T);

impl<T: serde::de::DeserializeOwned + Send + 'static> Reply for Document<T> {
    unsafe fn copy(result: *const c_void) -> Result<Self, PluginError> {
        // SAFETY: the caller promises that the result is a document.
        let document = unsafe { wire::sized(result.cast::<AbiDocument>(), "host's answer") }?;
        // SAFETY: as above, so its text is readable.
        unsafe { wire::document(document.json, "host's answer") }.map(Self)
    }
}

impl Reply for () {
    unsafe fn copy(_: *const c_void) -> Result<Self, PluginError> {
        Ok(())
    }
}

impl Reply for Option<Vec<u8>> {
    unsafe fn copy(result: *const c_void) -> Result<Self, PluginError> {
        if result.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller promises that the result is borrowed bytes.
        Ok(Some(unsafe { (*result.cast::<AbiStr>()).bytes() }.to_vec()))
    }
}

unsafe extern "C" fn replied<A: Reply>(ctx: *mut c_void, status: *const AbiStatus, result: *const c_void) {
    // SAFETY: `ctx` is the box made in `ask`, and the host completes exactly once.
    let sender = unsafe { Box::from_raw(ctx.cast::<oneshot::Sender<Result<A, PluginError>>>()) };
    let reply = super::panic::caught(|| {
        // SAFETY: the host lends status and result until this function returns.
        unsafe {
            let status = wire::sized(status, "status")?;
            if status.is_ok() {
                A::copy(result)
            } else {
                Err(wire::error_of(status))
            }
        }
    });
    // The receiver is gone if the plugin no longer waits.
    drop(sender.send(reply.and_then(|reply| reply)));
}

impl Services for ForeignHost {
    fn log(&self, event: LogEvent) {
        self.with(self.tables.log, |table, ctx| {
            let fields = serde_json::Value::Object(event.fields).to_string();
            let record = AbiLogRecord {
                size: size_of::<AbiLogRecord>() as u32,
                level: event.level as u32,
                target: AbiStr::new(&event.target),
                message: AbiStr::new(&event.message),
                fields: AbiStr::new(&fields),
                traceparent: AbiStr::new(&event.traceparent),
            };
            // SAFETY: the record is lent for the length of the call, through the open gate.
            table.log.map(|log| unsafe { log(ctx, &raw const record) })
        });
    }

    fn max_level(&self) -> Option<LogLevel> {
        let level = self.with(self.tables.log, |table, ctx| {
            // SAFETY: called through the open gate with the host's own context.
            table.max_level.map(|level| unsafe { level(ctx) })
        });
        match level.flatten() {
            None | Some(0) => None,
            Some(1) => Some(LogLevel::Error),
            Some(2) => Some(LogLevel::Warn),
            Some(3) => Some(LogLevel::Info),
            Some(4) => Some(LogLevel::Debug),
            Some(_) => Some(LogLevel::Trace),
        }
    }

    fn register_metric(&self, kind: MetricKind, name: &str, help: &str, labels: &[(&str, &str)]) -> u64 {
        let labels: serde_json::Map<_, _> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let labels = serde_json::Value::Object(labels).to_string();
        let (name, help, labels) = (AbiStr::new(name), AbiStr::new(help), AbiStr::new(&labels));
        let id = self.with(self.tables.metrics, |table, ctx| {
            // SAFETY: the texts are lent for the length of the call, through the open gate.
            table
                .define
                .map(|define| unsafe { define(ctx, kind as u32, name, help, labels) })
        });
        id.flatten().unwrap_or(0)
    }

    fn record_metric(&self, id: u64, value: f64) {
        self.with(self.tables.metrics, |table, ctx| {
            // SAFETY: called through the open gate with the host's own context.
            table.record.map(|record| unsafe { record(ctx, id, value) })
        });
    }

    fn secret(&self, name: &str) -> Result<Secret, PluginError> {
        let mut bytes = AbiBytes::EMPTY;
        let answer = self.with(self.tables.secrets, |table, ctx| {
            // SAFETY: name and place are lent for the length of the call, through the open gate.
            table
                .get
                .map(|get| unsafe { get(ctx, AbiStr::new(name), &raw mut bytes) })
        });
        match answer.flatten() {
            // SAFETY: the host has written the bytes, as its answer says, and they are ours.
            Some(abi::SECRET_FOUND) => Ok(Secret::new(unsafe { take_text(bytes) })),
            Some(abi::SECRET_UNKNOWN) => Err(secret_error(name, "is not set")),
            Some(_) => Err(secret_error(name, "cannot be read")),
            None => Err(not_lent(abi::SERVICE_SECRETS)),
        }
    }

    fn token(&self, request: &TokenRequest) -> ServiceFuture<Token> {
        let request = to_json(request);
        self.ask::<_, Document<Token>, _>(
            abi::SERVICE_TOKEN,
            self.tables.token,
            |table, ctx, done| {
                // SAFETY: the request is lent for the length of the call, through the open gate.
                table
                    .token
                    .map(|token| unsafe { token(ctx, AbiStr::new(&request), done) })
            },
            |document| document.0,
        )
    }

    fn invalidate_token(&self, request: &TokenRequest) {
        let request = to_json(request);
        self.with(self.tables.token, |table, ctx| {
            // SAFETY: the request is lent for the length of the call, through the open gate.
            table
                .invalidate
                .map(|invalidate| unsafe { invalidate(ctx, AbiStr::new(&request)) })
        });
    }

    fn credentials(&self, request: &CredentialRequest) -> ServiceFuture<Credentials> {
        let request = to_json(request);
        self.ask::<_, Document<Credentials>, _>(
            abi::SERVICE_CREDENTIALS,
            self.tables.credentials,
            |table, ctx, done| {
                // SAFETY: the request is lent for the length of the call, through the open gate.
                table
                    .vend
                    .map(|vend| unsafe { vend(ctx, AbiStr::new(&request), done) })
            },
            |document| document.0,
        )
    }

    fn ack(&self, batch_number: u64) {
        self.with(self.tables.ack, |table, ctx| {
            // SAFETY: called through the open gate with the host's own context.
            table.ack.map(|ack| unsafe { ack(ctx, batch_number) })
        });
    }

    fn state_get(&self, key: &str) -> ServiceFuture<Option<Vec<u8>>> {
        self.ask::<_, Option<Vec<u8>>, _>(
            abi::SERVICE_STATE,
            self.tables.state,
            // SAFETY: the key is lent for the length of the call, through the open gate.
            |table, ctx, done| table.get.map(|get| unsafe { get(ctx, AbiStr::new(key), done) }),
            |value| value,
        )
    }

    fn state_put(&self, key: &str, value: &[u8]) -> ServiceFuture<()> {
        let value = AbiStr::from_bytes(value);
        self.ask::<_, (), _>(
            abi::SERVICE_STATE,
            self.tables.state,
            |table, ctx, done| {
                // SAFETY: key and value are lent for the length of the call, through the open gate.
                table
                    .put
                    .map(|put| unsafe { put(ctx, AbiStr::new(key), value, done) })
            },
            |()| (),
        )
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    // Structs of texts; writing them cannot fail, and an empty request is refused by the host.
    serde_json::to_string(value).unwrap_or_default()
}

/// # Safety
/// The bytes are readable and ours to release.
unsafe fn take_text(bytes: AbiBytes) -> String {
    let borrowed = AbiStr {
        ptr: bytes.ptr.cast_const(),
        len: bytes.len,
    };
    // SAFETY: the caller promises the range.
    let text = unsafe { wire::text(borrowed) };
    if let Some(release) = bytes.release {
        // SAFETY: the maker's own function with its own three numbers, once.
        unsafe { release(bytes.ptr, bytes.len, bytes.cap) };
    }
    text
}

fn secret_error(name: &str, what: &str) -> PluginError {
    PluginError::new(
        Category::ConfigInvalid,
        "ABI-007",
        format!("the secret `{name}` {what}"),
    )
    .hint("give it as { env = \"…\" } or { file = \"…\" }")
}
