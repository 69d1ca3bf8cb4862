//! What a request may cost, checked.

use std::time::Duration;

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// The longest body, in bytes.
    pub body_bytes: usize,
    /// The most entries of a Bundle.
    pub bundle_entries: usize,
    /// What compressed NDJSON may expand to, in bytes.
    pub import_bytes: u64,
    /// The longest head, in bytes.
    pub header_bytes: usize,
    /// From a request's head to its answer.
    pub request_timeout: Duration,
    /// For a request's head to arrive.
    pub header_timeout: Duration,
    /// Open connections.
    pub connections: usize,
    /// Requests that are worked on.
    pub requests: usize,
    /// `$load`s that are worked on.
    pub loads: usize,
}
