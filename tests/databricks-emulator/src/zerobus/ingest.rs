//! What was taken and is not yet in its table.

use std::collections::HashMap;
use std::io::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use tokio::sync::Notify;

use super::wal::Segment;
use crate::sync::lock;

/// Rows that wait in memory at most, before they are materialised early.
const BYTES: usize = 128 * 1024 * 1024;

/// The logs of all tables.
#[derive(Debug)]
pub(crate) struct Ingest {
    folder: PathBuf,
    durable: bool,
    logs: Mutex<HashMap<String, Arc<Mutex<TableLog>>>>,
    /// Something was taken.
    pub(super) taken: Notify,
    /// Held while rows are moved, so that a flush waits for a move that is under way; in it, what could not be moved.
    pub(super) moving: tokio::sync::Mutex<Vec<Ready>>,
    stuck: AtomicBool,
}

/// One table's log.
#[derive(Debug, Default)]
pub(super) struct TableLog {
    segment: Option<Segment>,
    /// The number of the next entry, when no segment is open.
    next: i64,
    batches: Vec<RecordBatch>,
    bytes: usize,
    since: Option<Instant>,
}

/// Rows that are ready to be moved, and the files that can go afterwards.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) table_id: String,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) last: i64,
    pub(super) files: Vec<PathBuf>,
    /// Whether moving them failed before.
    pub(super) is_retried: bool,
}

impl Ingest {
    pub(crate) fn open(data: &Path, durable: bool) -> Result<Self, Error> {
        let folder = data.join("zerobus");
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            durable,
            logs: Mutex::default(),
            taken: Notify::new(),
            moving: tokio::sync::Mutex::default(),
            stuck: AtomicBool::new(false),
        })
    }

    /// The folder of a table's log.
    pub(super) fn folder(&self, table_id: &str) -> PathBuf {
        self.folder.join(table_id)
    }

    /// The tables that have a log on disk.
    pub(super) fn on_disk(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            found.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(found)
    }

    fn log(&self, table_id: &str) -> Arc<Mutex<TableLog>> {
        let mut logs = lock(&self.logs);
        Arc::clone(logs.entry(table_id.to_owned()).or_default())
    }

    /// The first number that is free, after what was found on disk.
    pub(super) fn begin_at(&self, table_id: &str, next: i64) {
        lock(&self.log(table_id)).next = next;
    }

    /// Takes rows: they are on disk when this returns.
    pub(super) fn take(&self, table_id: &str, body: &[u8], batch: RecordBatch) -> Result<(), Error> {
        let log = self.log(table_id);
        let mut log = lock(&log);
        if log.segment.is_none() {
            let segment = Segment::create(&self.folder(table_id), log.next, self.durable)?;
            log.segment = Some(segment);
        }
        if let Some(segment) = &mut log.segment {
            segment.append(body)?;
        }
        log.bytes += batch.get_array_memory_size();
        log.batches.push(batch);
        log.since.get_or_insert_with(Instant::now);
        self.taken.notify_one();
        Ok(())
    }

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.stuck.load(Ordering::Relaxed) || lock(&self.logs).values().any(|log| lock(log).since.is_some())
    }

    /// Whether something could not be moved.
    pub(super) fn are_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }

    /// Takes out what has waited that long, or is too much to wait.
    pub(super) fn ready(&self, delay: Duration) -> Vec<Ready> {
        let logs: Vec<(String, Arc<Mutex<TableLog>>)> = lock(&self.logs)
            .iter()
            .map(|(table_id, log)| (table_id.clone(), Arc::clone(log)))
            .collect();
        let mut ready = Vec::new();
        for (table_id, log) in logs {
            let mut log = lock(&log);
            let is_due = log
                .since
                .is_some_and(|since| since.elapsed() >= delay || log.bytes >= BYTES);
            let segment = if is_due { log.segment.take() } else { None };
            if let Some(segment) = segment {
                log.next = segment.next();
                log.since = None;
                log.bytes = 0;
                ready.push(Ready {
                    table_id,
                    batches: std::mem::take(&mut log.batches),
                    last: segment.next() - 1,
                    files: vec![segment.path().to_owned()],
                    is_retried: false,
                });
            }
        }
        ready
    }

    /// Drops what waits for a table that is no more.
    pub(crate) fn forget(&self, table_id: &str) {
        lock(&self.logs).remove(table_id);
        drop(std::fs::remove_dir_all(self.folder(table_id)));
    }
}
