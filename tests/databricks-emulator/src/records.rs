//! What was asked of the emulator: a log of requests and a few counters, for tests to look at. No secret is in either.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::sync::lock;

/// How many requests are remembered.
const REMEMBERED: usize = 20_000;

/// One request that was answered, or whose connection was closed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The HTTP status; 0 if the connection was closed without an answer.
    pub status: u16,
}

/// The latest requests, the oldest first.
#[derive(Debug, Default)]
pub struct RequestLog {
    requests: Mutex<VecDeque<Request>>,
}

impl RequestLog {
    pub(crate) fn add(&self, request: Request) {
        let mut requests = lock(&self.requests);
        if requests.len() == REMEMBERED {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    /// All that are remembered.
    pub fn all(&self) -> Vec<Request> {
        lock(&self.requests).iter().cloned().collect()
    }

    /// Forgets them.
    pub fn clear(&self) {
        lock(&self.requests).clear();
    }
}

/// How often something happened, by its name.
///
/// | name | counts |
/// |---|---|
/// | `mints` | plain tokens |
/// | `mints:c.s.t` | Zerobus tokens of that table |
/// | `mints-refused` | token requests that were refused |
/// | `statements:KIND` | statements by their first word |
/// | `zerobus-requests`, `zerobus-rows` | requests that were taken, and their rows |
/// | `sql-rows` | rows of INSERT statements |
/// | `null-rows`, `null-bytes` | what the null sink threw away |
#[derive(Debug, Default)]
pub struct Counters {
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Counters {
    pub(crate) fn add(&self, name: &str, by: usize) {
        let by = u64::try_from(by).unwrap_or(u64::MAX);
        let mut counts = lock(&self.counts);
        match counts.get_mut(name) {
            Some(count) => *count += by,
            None => {
                counts.insert(name.to_owned(), by);
            }
        }
    }

    /// One of them.
    pub fn get(&self, name: &str) -> u64 {
        lock(&self.counts).get(name).copied().unwrap_or(0)
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    /// Sets all to nothing.
    pub fn clear(&self) {
        lock(&self.counts).clear();
    }
}
