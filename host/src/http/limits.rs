//! The bounds that keep one client from holding the server.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::outcome::Outcome;

/// Every bound of the listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most bytes of a request's body; a longer one is answered 413.
    pub max_body_bytes: usize,
    /// The most bytes of all bodies that are read or worked on at once; one more is answered 503.
    pub max_bodies_bytes: usize,
    /// The most entries of a Bundle; a longer one is answered 413.
    pub max_bundle_entries: usize,
    /// The most bytes of a request's head, and with it of its path; a longer one is answered 431.
    pub max_header_bytes: usize,
    /// How long a head may take to arrive, counted from the answer before it: a connection that is idle for
    /// longer is closed.
    pub header_timeout: Duration,
    /// How long a body may take to arrive; a slower one is answered 408.
    pub body_timeout: Duration,
    /// How long the server works on a request once it is read; then it is answered 503.
    pub request_timeout: Duration,
    /// The same for a destination's creation, which asks the target.
    pub bootstrap_timeout: Duration,
    /// How long a client may refuse to take what it is sent before its connection is closed.
    pub write_timeout: Duration,
    /// The most connections; one more is answered 503 and closed.
    pub max_connections: usize,
    /// The most requests worked on at once; one more is answered 503.
    pub max_requests: usize,
    /// The most loads that lines are read for at once; one more is answered 503.
    pub max_loads: usize,
    /// How long stopping waits for requests under way.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 16 * 1024 * 1024,
            max_bodies_bytes: 256 * 1024 * 1024,
            max_bundle_entries: 100_000,
            max_header_bytes: 32 * 1024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            bootstrap_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(30),
            max_connections: 1024,
            max_requests: 256,
            max_loads: 16,
            drain_timeout: Duration::from_secs(8),
        }
    }
}

/// Reads bodies within the bounds of size, time and the memory that all bodies together may take.
#[derive(Debug, Clone)]
pub(super) struct BodyReader {
    limits: Limits,
    /// One permit is a KiB.
    memory: Arc<Semaphore>,
}

/// A body that was read, and its share of the memory until it is dropped.
#[derive(Debug)]
pub(super) struct ReadBody {
    /// The body.
    pub(super) bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl BodyReader {
    /// A reader; all bodies read at a time share its memory.
    pub(super) fn new(limits: &Limits) -> Self {
        let kib = limits.max_bodies_bytes / 1024 + 1;
        Self {
            limits: limits.clone(),
            memory: Arc::new(Semaphore::new(kib.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Refuses a head that is too long. A much longer one does not get here: the connection answers it.
    pub(super) fn check_head(&self, head: &Parts) -> Result<(), Outcome> {
        let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
        let fields = head.headers.iter();
        // A line has `: ` and its end besides.
        let bytes = fields.fold(path, |bytes, (name, value)| {
            bytes + name.as_str().len() + value.len() + 4
        });
        if bytes <= self.limits.max_header_bytes {
            return Ok(());
        }
        Err(Outcome::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "too-long",
            format!("a request's head may have {} bytes", self.limits.max_header_bytes),
        ))
    }

    /// Reads a body whole, of `most` bytes where that is less than what any may have.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        most: usize,
    ) -> Result<ReadBody, Outcome> {
        let most = most.min(self.limits.max_body_bytes);
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > most as u64) {
            return Err(too_large(most));
        }
        match timeout(self.limits.body_timeout, self.collect(body, most)).await {
            Ok(read) => read,
            Err(_) => Err(Outcome::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the body took too long to arrive",
            )),
        }
    }

    async fn collect(&self, mut body: Body, most: usize) -> Result<ReadBody, Outcome> {
        let mut share = self.share(0)?;
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|_| Outcome::bad_request("structure", "the body ended before its time"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(too_large(most));
            }
            bytes.extend_from_slice(&data);
            let wanted = bytes.len() / 1024 + 1;
            share.merge(self.share(wanted.saturating_sub(share.num_permits()))?);
        }
        Ok(ReadBody {
            bytes: bytes.freeze(),
            _share: share,
        })
    }

    fn share(&self, kib: usize) -> Result<OwnedSemaphorePermit, Outcome> {
        let permits = u32::try_from(kib).unwrap_or(u32::MAX);
        self.memory
            .clone()
            .try_acquire_many_owned(permits)
            .map_err(|_| Outcome::unavailable("too many large requests at once", 2))
    }
}

fn too_large(most: usize) -> Outcome {
    Outcome::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-long",
        format!("a body may have {most} bytes"),
    )
}
