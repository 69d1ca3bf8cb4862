//! One table: what its log says now, and commits to it.
//!
//! The log is read whole once, by the kernel that deltalake is built on; from then on each version is one small object,
//! read when it appears. A commit is the creation of the next version's object, which fails if somebody else made it
//! first: that, and reading the application's transaction before and after, is all that "exactly once" rests on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use delta_kernel::snapshot::{Snapshot, SnapshotRef};
use delta_kernel::{Engine, Error as KernelError};
use object_store::Error as StoreError;
use serde_json::{Value, json};

use crate::DeltaError;
use crate::durable_store::Prepared;
use crate::features;
use crate::log::{Metadata, Offsets, Protocol, commit_info, commit_path, offsets_of, parse, to_bytes};
use crate::schema::DeltaSchema;
use crate::storage::Storage;

/// Who has not looked for so long reads the log whole: entries may have been removed meanwhile, and a removal that was
/// broken off can leave a version without the next.
const STALE: Duration = Duration::from_secs(3600);

/// How many of the latest commits are looked through for a transaction's offsets.
const TAIL: u64 = 32;

/// A table whose log has been read.
pub(crate) struct Table {
    pub(crate) storage: Storage,
    pub(crate) version: u64,
    pub(crate) metadata: Metadata,
    pub(crate) protocol: Protocol,
    /// How many data files the table has.
    pub(crate) files: u64,
    /// The version of the latest checkpoint that is known here.
    pub(crate) checkpoint: Option<u64>,
    transactions: HashMap<String, Option<i64>>,
    refreshed: Instant,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// It is the version of that number, durably.
    Done(u64),
    /// Somebody else made that version.
    Taken,
}

/// Lines that become a version by being given its name.
#[derive(Debug)]
pub(crate) struct PreparedCommit {
    version: u64,
    bytes: Bytes,
    object: Prepared,
}

impl Table {
    /// Reads the log; none if there is no table yet.
    pub(crate) async fn open(storage: &Storage) -> Result<Option<Self>, DeltaError> {
        let exists = storage.log().is_delta_table_location().await;
        if !exists.map_err(DeltaError::storage("looking for the table's log"))? {
            return Ok(None);
        }
        let read = read_log(storage).await?;
        let table = Self {
            storage: storage.clone(),
            version: read.version,
            metadata: read.metadata,
            protocol: read.protocol,
            files: read.files,
            checkpoint: read.checkpoint,
            transactions: HashMap::new(),
            refreshed: Instant::now(),
        };
        Ok(Some(table))
    }

    /// Opens the table, making it with those columns if there is none. Of several that make it at once one wins, and
    /// the others open its table.
    pub(crate) async fn open_or_create(
        storage: &Storage,
        schema: DeltaSchema,
        comment: &str,
    ) -> Result<Self, DeltaError> {
        if let Some(table) = Self::open(storage).await? {
            return Ok(table);
        }
        let metadata =
            Metadata::new(schema, comment).map_err(DeltaError::internal("describing the table"))?;
        let info = commit_info(
            "CREATE TABLE",
            json!({"isManaged": "false", "partitionBy": "[]"}),
            json!({}),
        );
        let lines = [info, json!({"protocol": Protocol::simplest()}), metadata.line()];
        let made = storage.create_object(&commit_path(0), to_bytes(&lines)).await;
        // Also after an error: an answer that was lost is no table that was not made.
        match (Self::open(storage).await, made) {
            (Ok(Some(table)), made) => {
                let mine = made.is_ok() && table.metadata.id() == metadata.id();
                tracing::info!(version = table.version, mine, "the table was made");
                storage
                    .sync_log()
                    .await
                    .map_err(DeltaError::storage("making the table durable"))?;
                Ok(table)
            }
            (_, Err(error)) => Err(DeltaError::storage("making the table")(error)),
            (Err(error), Ok(())) => Err(error),
            (Ok(None), Ok(())) => Err(DeltaError::internal("making the table")("it is gone at once")),
        }
    }

    /// Refuses a table that demands more of writers than this one does.
    pub(crate) fn check_writable(&self) -> Result<(), DeltaError> {
        features::check(&self.protocol, &self.metadata)
    }

    /// Reads what was committed since.
    pub(crate) async fn refresh(&mut self) -> Result<(), DeltaError> {
        const DOING: &str = "reading the table's log";
        if self.refreshed.elapsed() > STALE {
            self.read_whole().await?;
        }
        self.refreshed = Instant::now();
        loop {
            let next = self.storage.read(&commit_path(self.version + 1)).await;
            if let Some(commit) = next.map_err(DeltaError::storage(DOING))? {
                self.take_in(&commit)?;
                continue;
            }
            // No next version is the end of the log, unless both are gone because the log was cleaned up meanwhile:
            // then the next version's name would be free in the middle of the table's past.
            let current = self.storage.exists(&commit_path(self.version)).await;
            if current.map_err(DeltaError::storage(DOING))? {
                return Ok(());
            }
            if !self.read_whole().await? {
                return Ok(());
            }
        }
    }

    /// Reads the log whole, and says whether there was anything new.
    async fn read_whole(&mut self) -> Result<bool, DeltaError> {
        let read = read_log(&self.storage).await?;
        self.refreshed = Instant::now();
        if read.version == self.version {
            return Ok(false);
        }
        (self.version, self.files, self.checkpoint) = (read.version, read.files, read.checkpoint);
        (self.metadata, self.protocol) = (read.metadata, read.protocol);
        self.transactions.clear();
        Ok(true)
    }

    /// The version of the latest transaction of that application; none if it never committed.
    pub(crate) async fn transaction(&mut self, application: &str) -> Result<Option<i64>, DeltaError> {
        if let Some(known) = self.transactions.get(application) {
            return Ok(*known);
        }
        let (name, version) = (application.to_owned(), self.version);
        let found = with_kernel(&self.storage, Some(version), move |snapshot, engine| {
            snapshot.get_app_id_version(&name, engine)
        });
        let found = found.await?;
        self.transactions.insert(application.to_owned(), found);
        Ok(found)
    }

    /// The offsets that the commit of that transaction tells; none if it tells none, or lies far back in the log.
    pub(crate) async fn offsets(
        &self,
        application: &str,
        number: i64,
    ) -> Result<Option<Offsets>, DeltaError> {
        let oldest = self.version.saturating_sub(TAIL - 1);
        for version in (oldest..=self.version).rev() {
            let commit = self.storage.read(&commit_path(version)).await;
            let commit = commit.map_err(DeltaError::storage("reading the table's log"))?;
            let Some(commit) = commit else { break };
            let lines = parse(&commit).map_err(|error| DeltaError::Log {
                version,
                source: error.into(),
            })?;
            if let Some(offsets) = offsets_of(&lines, application, number) {
                return Ok(offsets);
            }
        }
        Ok(None)
    }

    /// Readies the lines to be committed as the next version; none where nothing is gained by that, or it fails.
    pub(crate) async fn prepare(&self, lines: &[Value]) -> Option<PreparedCommit> {
        let (version, bytes) = (self.version + 1, to_bytes(lines));
        let prepared = self.storage.prepare(&commit_path(version), bytes.clone()).await;
        match prepared {
            Ok(object) => object.map(|object| PreparedCommit {
                version,
                bytes,
                object,
            }),
            Err(error) => {
                tracing::debug!(%error, "a commit was not prepared");
                None
            }
        }
    }

    /// Commits the lines as the next version, unless somebody else makes that version first.
    ///
    /// After an error the commit may be there all the same: read on before anything else.
    pub(crate) async fn commit(&mut self, lines: &[Value]) -> Result<Commit, StoreError> {
        let bytes = to_bytes(lines);
        let path = commit_path(self.version + 1);
        let created = self.storage.create_object(&path, bytes.clone()).await;
        self.created(created, &bytes)
    }

    /// As [`commit`](Self::commit), with lines that were readied for this version.
    pub(crate) async fn commit_prepared(&mut self, commit: PreparedCommit) -> Result<Commit, StoreError> {
        if commit.version != self.version + 1 {
            return Ok(Commit::Taken);
        }
        let created = commit.object.create().await;
        self.created(created, &commit.bytes)
    }

    fn created(&mut self, created: Result<(), StoreError>, commit: &[u8]) -> Result<Commit, StoreError> {
        match created {
            Ok(()) => {}
            Err(StoreError::AlreadyExists { .. }) => return Ok(Commit::Taken),
            Err(error) => return Err(error),
        }
        if let Err(error) = self.take_in(commit) {
            return Err(StoreError::Generic {
                store: "log",
                source: Box::new(error),
            });
        }
        Ok(Commit::Done(self.version))
    }

    fn take_in(&mut self, commit: &[u8]) -> Result<(), DeltaError> {
        let version = self.version + 1;
        let unreadable = |error: serde_json::Error| DeltaError::Log {
            version,
            source: error.into(),
        };
        let (mut added, mut removed) = (0, 0);
        for line in parse(commit).map_err(unreadable)? {
            added += u64::from(line.add.is_some());
            removed += u64::from(line.remove.is_some());
            if let Some(raw) = line.meta_data {
                self.metadata = Metadata::parse(raw).map_err(unreadable)?;
            }
            self.protocol = line.protocol.unwrap_or_else(|| self.protocol.clone());
            if let Some(txn) = line.txn {
                self.transactions.insert(txn.app_id, Some(txn.version));
            }
        }
        self.files = (self.files + added).saturating_sub(removed);
        self.version = version;
        Ok(())
    }
}

/// What reading the log whole gives.
struct Read {
    version: u64,
    metadata: Metadata,
    protocol: Protocol,
    files: u64,
    checkpoint: Option<u64>,
}

async fn read_log(storage: &Storage) -> Result<Read, DeltaError> {
    let (version, checkpoint, metadata, protocol, files) = with_kernel(storage, None, |snapshot, engine| {
        let configuration = snapshot.table_configuration();
        let metadata = serde_json::to_value(configuration.metadata())?;
        let protocol = serde_json::to_value(configuration.protocol())?;
        let files = count_files(&snapshot, engine)?;
        Ok((
            snapshot.version(),
            snapshot.log_segment().checkpoint_version,
            metadata,
            protocol,
            files,
        ))
    })
    .await?;
    let unreadable = |error: serde_json::Error| DeltaError::Log {
        version,
        source: error.into(),
    };
    let metadata = Metadata::parse(metadata).map_err(unreadable)?;
    let protocol = serde_json::from_value(protocol).map_err(unreadable)?;
    Ok(Read {
        version,
        metadata,
        protocol,
        files,
        checkpoint,
    })
}

fn count_files(snapshot: &SnapshotRef, engine: &dyn Engine) -> delta_kernel::DeltaResult<u64> {
    let scan = Arc::clone(snapshot).scan_builder().build()?;
    let mut files = 0;
    for batch in scan.scan_metadata(engine)? {
        let batch = batch?.scan_files;
        let named = batch.selection_vector();
        // What lies past the end of the selection is selected.
        let unnamed = batch.data().len().saturating_sub(named.len());
        files += (named.iter().filter(|selected| **selected).count() + unnamed) as u64;
    }
    Ok(files)
}

/// Runs blocking work on a snapshot of that version, or of the latest.
pub(crate) async fn with_kernel<T, W>(
    storage: &Storage,
    version: Option<u64>,
    work: W,
) -> Result<T, DeltaError>
where
    T: Send + 'static,
    W: FnOnce(SnapshotRef, &dyn Engine) -> delta_kernel::DeltaResult<T> + Send + 'static,
{
    let root = storage.log().root_url().clone();
    let engine = storage.log().engine(None);
    let task = tokio::task::spawn_blocking(move || {
        let mut builder = Snapshot::builder_for(root);
        if let Some(version) = version {
            builder = builder.at_version(version);
        }
        let snapshot = builder.build(engine.as_ref())?;
        work(snapshot, engine.as_ref())
    });
    match task.await {
        Ok(done) => done.map_err(|error| kernel_error(error, version)),
        Err(error) => Err(DeltaError::internal("reading the table's log")(error)),
    }
}

/// A store that does not answer is not a log that is broken, and a table that asks for too much is neither.
fn kernel_error(error: KernelError, version: Option<u64>) -> DeltaError {
    const DOING: &str = "reading the table's log";
    match error {
        KernelError::Backtraced { source, .. } => kernel_error(*source, version),
        KernelError::ObjectStore(source) => DeltaError::storage(DOING)(source),
        KernelError::IOError(source) => DeltaError::storage(DOING)(source),
        KernelError::Unsupported(what) => DeltaError::Feature { features: vec![what] },
        unanswered @ (KernelError::Reqwest(_)
        | KernelError::JoinFailure(_)
        | KernelError::Generic(_)
        | KernelError::GenericError { .. }
        | KernelError::FileNotFound(_)) => DeltaError::storage(DOING)(unanswered),
        broken => DeltaError::Log {
            version: version.unwrap_or_default(),
            source: broken.into(),
        },
    }
}
