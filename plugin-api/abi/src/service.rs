//! What the host lends an instance: one table of functions for each service.
//!
//! The first argument is always [`AbiHost::ctx`](crate::AbiHost::ctx). Functions may be called on any thread until the
//! instance's `destroy` has completed, except from inside an Arrow `release`. None of them blocks or unwinds.

use core::ffi::c_void;

use crate::{AbiBytes, AbiCompletion, AbiStr};

/// The id of [`AbiHostLog`].
pub const SERVICE_LOG: &str = "lakefeed.host.log/0";
/// The id of [`AbiHostMetrics`].
pub const SERVICE_METRICS: &str = "lakefeed.host.metrics/0";
/// The id of [`AbiHostSecrets`].
pub const SERVICE_SECRETS: &str = "lakefeed.host.secrets/0";
/// The id of [`AbiHostToken`].
pub const SERVICE_TOKEN: &str = "lakefeed.host.token/0";
/// The id of [`AbiHostCredentials`].
pub const SERVICE_CREDENTIALS: &str = "lakefeed.host.credentials/0";
/// The id of [`AbiHostAck`].
pub const SERVICE_ACK: &str = "lakefeed.host.ack/0";
/// The id of [`AbiHostState`].
pub const SERVICE_STATE: &str = "lakefeed.host.state/0";

/// The id of every service.
pub const SERVICES: [&str; 7] = [
    SERVICE_LOG,
    SERVICE_METRICS,
    SERVICE_SECRETS,
    SERVICE_TOKEN,
    SERVICE_CREDENTIALS,
    SERVICE_ACK,
    SERVICE_STATE,
];

/// The layout number of [`AbiHostLog`] and [`AbiLogRecord`]. 1: the first.
pub const LAYOUT_HOST_LOG: u32 = 1;
/// The layout number of [`AbiHostMetrics`]. 1: the first.
pub const LAYOUT_HOST_METRICS: u32 = 1;
/// The layout number of [`AbiHostSecrets`]. 1: the first.
pub const LAYOUT_HOST_SECRETS: u32 = 1;
/// The layout number of [`AbiHostToken`]. 1: the first.
pub const LAYOUT_HOST_TOKEN: u32 = 1;
/// The layout number of [`AbiHostCredentials`]. 1: the first.
pub const LAYOUT_HOST_CREDENTIALS: u32 = 1;
/// The layout number of [`AbiHostAck`]. 1: the first.
pub const LAYOUT_HOST_ACK: u32 = 1;
/// The layout number of [`AbiHostState`]. 1: the first.
pub const LAYOUT_HOST_STATE: u32 = 1;

/// One log event. Borrowed until `log` returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiLogRecord {
    /// `sizeof` this struct, as the plugin knows it.
    pub size: u32,
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace. An unknown level is read as trace.
    pub level: u32,
    /// The part of the plugin that speaks.
    pub target: AbiStr,
    /// What it says.
    pub message: AbiStr,
    /// A JSON object of fields; may be empty.
    pub fields: AbiStr,
    /// The W3C trace context; may be empty.
    pub traceparent: AbiStr,
}

/// Logging (`lakefeed.host.log/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHostLog {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_HOST_LOG`].
    pub layout: u32,
    /// Takes an event.
    pub log: Option<unsafe extern "C" fn(ctx: *mut c_void, record: *const AbiLogRecord)>,
    /// The least important level that is wanted now; 0 for none. Cheap, and may change at any time.
    pub max_level: Option<unsafe extern "C" fn(ctx: *mut c_void) -> u32>,
    /// Zero.
    pub reserved: [u64; 2],
}

/// Metrics (`lakefeed.host.metrics/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHostMetrics {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_HOST_METRICS`].
    pub layout: u32,
    /// Names a metric, once: kind 1 counter, 2 gauge, 3 histogram; `labels` is a JSON object of texts or empty. Returns
    /// its id, or 0 if the host will not keep it; recording to 0 does nothing.
    pub define: Option<
        unsafe extern "C" fn(ctx: *mut c_void, kind: u32, name: AbiStr, help: AbiStr, labels: AbiStr) -> u64,
    >,
    /// Adds to a counter, sets a gauge, observes a histogram.
    pub record: Option<unsafe extern "C" fn(ctx: *mut c_void, id: u64, value: f64)>,
    /// Zero.
    pub reserved: [u64; 2],
}

/// The answer of [`AbiHostSecrets::get`]: found.
pub const SECRET_FOUND: u32 = 0;
/// The answer of [`AbiHostSecrets::get`]: this instance has no such secret.
pub const SECRET_UNKNOWN: u32 = 1;
/// The answer of [`AbiHostSecrets::get`]: it is named, and cannot be read now.
pub const SECRET_UNREADABLE: u32 = 2;

/// Secrets (`lakefeed.host.secrets/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHostSecrets {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_HOST_SECRETS`].
    pub layout: u32,
    /// The secret that this instance's parameter `name` refers to. Writes `out` if, and only if, it answers
    /// [`SECRET_FOUND`]; the plugin then releases it. Unknown answers are failures.
    pub get: Option<unsafe extern "C" fn(ctx: *mut c_void, name: AbiStr, out: *mut AbiBytes) -> u32>,
    /// Zero.
    pub reserved: [u64; 2],
}

/// OAuth tokens (`lakefeed.host.token/0`), fetched once for all who ask and kept until shortly before they run out.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHostToken {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_HOST_TOKEN`].
    pub layout: u32,
    /// A token for a token-request document. The result is a token document.
    pub token: Option<unsafe extern "C" fn(ctx: *mut c_void, request: AbiStr, completion: AbiCompletion)>,
    /// Forgets the token of a request: the target has refused it.
    pub invalidate: Option<unsafe extern "C" fn(ctx: *mut c_void, request: AbiStr)>,
    /// Zero.
    pub reserved: [u64; 2],
}

/// Credentials for storage (`lakefeed.host.credentials/0`), from the destination's vendor or the configuration.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHostCredentials {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_HOST_CREDENTIALS`].
    pub layout: u32,
    /// Credentials for a credential-request document. The result is a credentials document.
    pub vend: Option<unsafe extern "C" fn(ctx: *mut c_void, request: AbiStr, completion: AbiCompletion)>,
    /// Zero.
    pub reserved: [u64; 2],
}

/// Late acks (`lakefeed.host.ack/0`), for writers that acknowledge by watermark.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHostAck {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_HOST_ACK`].
    pub layout: u32,
    /// Every batch up to this number, and including it, is durable. Lower numbers than before are ignored.
    pub ack: Option<unsafe extern "C" fn(ctx: *mut c_void, batch_number: u64)>,
    /// Zero.
    pub reserved: [u64; 2],
}

/// A small durable state for each destination (`lakefeed.host.state/0`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiHostState {
    /// `sizeof` this struct, as the host knows it.
    pub size: u32,
    /// The host's [`LAYOUT_HOST_STATE`].
    pub layout: u32,
    /// What was put under the key. The result is an [`AbiStr`] of bytes; null if there is nothing.
    pub get: Option<unsafe extern "C" fn(ctx: *mut c_void, key: AbiStr, completion: AbiCompletion)>,
    /// Keeps at most 64 KiB under the key, durable when it completes; empty removes. No result.
    pub put:
        Option<unsafe extern "C" fn(ctx: *mut c_void, key: AbiStr, value: AbiStr, completion: AbiCompletion)>,
    /// Zero.
    pub reserved: [u64; 2],
}
