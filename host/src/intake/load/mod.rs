//! `$load` and `$import`: NDJSON that comes with a request, or from a place that the request names.
//!
//! A load is answered when all of it is durable. An import ([`Job`]) is answered at once and goes on behind: one at a
//! time, in the order in which they were asked for. How far it is is kept in the store, and a host that starts goes on
//! where it was noted last; the lines between that and the host's end are then imported again, which makes a further
//! version of each and never another resource.
//!
//! The log is the history, so a load that is not to record changes still makes versions; but no topic is asked about
//! them, now or later, so no destination gets them until it exports the current state.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use crate::change::Timestamp;
use crate::intake::ndjson::{self, BadLine, ImportError, ImportOptions, ImportSummary, Input};
use crate::intake::{self, Intake, OnInvalid};
use crate::log::{Log, LogError};

mod job;
#[cfg(test)]
mod tests;

pub use job::{Job, JobInput, JobStatus, ListedLine, on_invalid};

/// The space of the store where imports are kept.
const SPACE: &str = "import";
/// The most imports that are kept; the oldest that ended is forgotten first.
const KEPT: usize = 1000;
/// How often the state of an import under way is noted.
const NOTE_EVERY: Duration = Duration::from_secs(2);
/// How long an import waits when the store or its source cannot be reached.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a source may send nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a load or an import is not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadRefusal {
    /// INTAKE-060. The body is neither NDJSON nor the JSON that says where it is.
    #[error(
        "send NDJSON as `application/fhir+ndjson`, or JSON: `source` for $load, `id` and `inputs` for $import [INTAKE-060]"
    )]
    Form,
    /// INTAKE-061. There is nothing to import, or too much at once.
    #[error("`inputs` is a list of 1 to {most}, each with a `url` [INTAKE-061]")]
    Inputs {
        /// The most.
        most: usize,
    },
    /// INTAKE-062. The id has not the form of one.
    #[error("`id` is 1 to 64 letters, digits, `-` and `.` [INTAKE-062]")]
    Id,
    /// INTAKE-063. It is compressed in a way that is not read here.
    #[error("`contentEncoding` is `gzip` or `plain` [INTAKE-063]")]
    Encoding,
    /// INTAKE-064. There is no such way with invalid resources.
    #[error("`invalid` is `refuse` or `report` [INTAKE-064]")]
    Invalid,
    /// INTAKE-065. The place may not be read.
    #[error("input {index}: {reason} [INTAKE-065]")]
    Place {
        /// Which, from 0.
        index: usize,
        /// Why, and what to do.
        reason: String,
    },
    /// INTAKE-066. The type does not exist.
    #[error("input {index}: there is no such resource type [INTAKE-066]")]
    UnknownType {
        /// Which, from 0.
        index: usize,
    },
    /// INTAKE-067. The load asks for what is not done here.
    #[error("`{0}` is not supported [INTAKE-067]")]
    Unsupported(&'static str),
}

/// Why an import was not begun.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// It is not one.
    #[error(transparent)]
    Refused(#[from] LoadRefusal),
    /// There is one of this id.
    #[error("there is an import of this id already; give each its own")]
    Exists,
    /// Too many wait.
    #[error("too many imports wait; come back when some are done")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A place that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readable {
    /// A file of this machine.
    File(PathBuf),
    /// `http` or `https`.
    Url(String),
}

/// Whether a place may be read; if not, why and what to do.
pub type Allow = Arc<dyn Fn(&str) -> Result<Readable, String> + Send + Sync>;

/// How a load differs from others.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Whether topics are asked which of them want the changes.
    pub records_changes: bool,
    /// What becomes of resources that are not valid FHIR R4.
    pub on_invalid: OnInvalid,
}

/// Loads and imports. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Loads(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    intake: Intake,
    allow: Allow,
    client: reqwest::Client,
    max_bytes: u64,
    /// One import at a time.
    turn: Semaphore,
    /// The imports that wait or are under way, by id.
    live: Mutex<BTreeMap<String, Job>>,
    /// Held while an id is given to an import.
    submitting: tokio::sync::Mutex<()>,
}

impl Loads {
    /// Loads into a store. What is compressed may expand to `max_bytes` an input.
    pub fn new(log: Arc<dyn Log>, intake: Intake, allow: Allow, max_bytes: u64) -> Self {
        // Without a client of ours the default one follows redirects, to wherever they lead.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .no_proxy()
            .build();
        Self(Arc::new(Inner {
            log,
            intake,
            allow,
            client: client.unwrap_or_default(),
            max_bytes,
            turn: Semaphore::new(1),
            live: Mutex::default(),
            submitting: tokio::sync::Mutex::default(),
        }))
    }

    /// Loads what an input gives, to its end.
    pub async fn load(&self, input: Input, options: LoadOptions) -> Result<ImportSummary, ImportError> {
        let inner = &self.0;
        ndjson::import_inputs(
            &*inner.log,
            &inner.intake_for(options),
            vec![input],
            inner.options(options),
            |_, _| {},
        )
        .await
    }

    /// Opens a place that a request names.
    pub fn open(&self, place: &str, resource_type: Option<&str>) -> Result<Input, LoadRefusal> {
        let refused = |reason| LoadRefusal::Place { index: 0, reason };
        let readable = (self.0.allow)(place).map_err(refused)?;
        Ok(self.0.input(place, readable, resource_type, 0))
    }

    /// Takes an import, which begins when those before it are done. Its state is durable when this returns.
    pub async fn submit(&self, job: Job) -> Result<Job, SubmitError> {
        self.0.check(&job)?;
        let _one = self.0.submitting.lock().await;
        let kept = self.0.kept().await?;
        if kept.iter().any(|other| other.id == job.id) {
            return Err(SubmitError::Exists);
        }
        if kept.len() >= KEPT {
            let oldest = kept
                .iter()
                .filter(|job| job.is_over())
                .min_by_key(|job| job.ended.clone());
            let oldest = oldest.ok_or(SubmitError::Full)?;
            self.0.log.drop_kept(SPACE, &oldest.id).await?;
        }
        self.0.note(&job).await?;
        self.begin(job.clone());
        Ok(job)
    }

    /// Goes on with the imports that were not over when the last host ended.
    pub async fn resume(&self) -> Result<(), LogError> {
        let mut open: Vec<Job> = self
            .0
            .kept()
            .await?
            .into_iter()
            .filter(|job| !job.is_over())
            .collect();
        open.sort_by(|one, other| one.asked.cmp(&other.asked));
        for job in open {
            tracing::info!(import = %job.id, "going on with an import");
            self.begin(job);
        }
        Ok(())
    }

    /// How far an import is; none if there is none of this id.
    pub async fn status(&self, id: &str) -> Result<Option<Job>, LogError> {
        if let Some(job) = self.0.live().get(id) {
            return Ok(Some(job.clone()));
        }
        let kept = self.0.log.kept(SPACE, id).await?;
        Ok(kept.and_then(|value| serde_json::from_slice(&value).ok()))
    }

    fn begin(&self, job: Job) {
        let inner = Arc::clone(&self.0);
        inner.live().insert(job.id.clone(), job.clone());
        tokio::spawn(async move {
            let id = job.id.clone();
            inner.run(job).await;
            inner.live().remove(&id);
        });
    }
}

impl Inner {
    fn live(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Job>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, job: &Job) -> Result<(), LoadRefusal> {
        for (index, input) in job.inputs.iter().enumerate() {
            let is_known = |name: &String| intake::is_known_type(name);
            if !input.resource_type.as_ref().is_none_or(is_known) {
                return Err(LoadRefusal::UnknownType { index });
            }
            (self.allow)(&input.url).map_err(|reason| LoadRefusal::Place { index, reason })?;
        }
        Ok(())
    }

    async fn kept(&self) -> Result<Vec<Job>, LogError> {
        let all = self.log.all_kept(SPACE).await?;
        let read = |(_, value): &(String, Vec<u8>)| serde_json::from_slice(value).ok();
        Ok(all.iter().filter_map(read).collect())
    }

    async fn note(&self, job: &Job) -> Result<(), LogError> {
        let value = serde_json::to_vec(job).unwrap_or_default();
        self.log.put_kept(SPACE, &job.id, &value).await
    }

    /// Does an import to its end, or until the store is closed.
    async fn run(&self, mut job: Job) {
        let Ok(_turn) = self.turn.acquire().await else {
            return;
        };
        job.status = JobStatus::InProgress;
        let mut retries = job.retries;
        while let Some(at) = job.next() {
            match self.import(&mut job, at).await {
                Ok(()) => retries = job.retries,
                Err(ImportError::Log(LogError::Closed)) => return,
                Err(ImportError::Log(error)) if error.is_retryable() => {
                    tracing::warn!(import = %job.id, error = %error, "an import waits for the store");
                    sleep(PAUSE).await;
                }
                Err(error) if retries > 0 => {
                    retries -= 1;
                    tracing::warn!(import = %job.id, error = %error, "an import begins an input again");
                    sleep(PAUSE).await;
                }
                Err(error) => {
                    job.inputs[at].problem = Some(error.to_string());
                    retries = job.retries;
                }
            }
        }
        job.end(Timestamp::now());
        while let Err(error) = self.note(&job).await {
            if matches!(error, LogError::Closed) {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Imports what is left of one input, and takes note of how far it is every now and then.
    async fn import(&self, job: &mut Job, at: usize) -> Result<(), ImportError> {
        let input = &job.inputs[at];
        let readable = (self.allow)(&input.url).map_err(|reason| ImportError::Read {
            path: PathBuf::from(&input.url),
            source: io::Error::other(reason),
        })?;
        let opened = self.input(&input.url, readable, input.resource_type.as_deref(), input.lines);
        let options = LoadOptions {
            records_changes: job.records_changes,
            on_invalid: match job.takes_invalid {
                true => OnInvalid::Report,
                false => OnInvalid::Refuse,
            },
        };
        let before = job.clone();
        let (sender, mut noted) = mpsc::unbounded_channel();
        let intake = self.intake_for(options);
        let report = move |summary: &ImportSummary, bad_line: Option<&BadLine>| {
            if bad_line.is_none() {
                // Whoever listens does so to the end.
                sender.send(summary.clone()).ok();
            }
        };
        let options = self.options(options);
        let importing = ndjson::import_inputs(&*self.log, &intake, vec![opened], options, report);
        let noting = async {
            let mut last = tokio::time::Instant::now();
            let mut newest = before.clone();
            while let Some(summary) = noted.recv().await {
                newest = before.clone();
                newest.inputs[at].add(&summary);
                self.live().insert(newest.id.clone(), newest.clone());
                if last.elapsed() >= NOTE_EVERY {
                    last = tokio::time::Instant::now();
                    // What is not noted is imported again after a crash, no more.
                    self.note(&newest).await.ok();
                }
            }
            newest
        };
        let (imported, newest) = tokio::join!(importing, noting);
        *job = newest;
        job.inputs[at].is_done = imported.is_ok();
        self.note(job).await?;
        imported.map(drop)
    }

    fn intake_for(&self, options: LoadOptions) -> Intake {
        match options.records_changes {
            true => self.intake.clone(),
            false => self.intake.unasked(),
        }
    }

    fn options(&self, options: LoadOptions) -> ImportOptions {
        ImportOptions {
            listed_bad_lines: job::LISTED_LINES,
            on_invalid: options.on_invalid,
            needs_id: true,
            max_expanded_bytes: self.max_bytes,
            ..ImportOptions::default()
        }
    }

    fn input(&self, name: &str, place: Readable, resource_type: Option<&str>, skip_lines: u64) -> Input {
        let mut input = match place {
            Readable::File(path) => Input::file(&path),
            Readable::Url(url) => {
                let (sender, receiver) = mpsc::channel(8);
                tokio::spawn(fetch(self.client.clone(), url, sender));
                Input::arriving(name, receiver)
            }
        };
        input.name = PathBuf::from(name);
        input.resource_type = resource_type.map(ToOwned::to_owned);
        input.skip_lines = skip_lines;
        input
    }
}

/// Sends what a stream brings to an input, until either ends or nothing comes for too long.
pub async fn forward<E>(
    mut stream: impl Stream<Item = Result<Bytes, E>> + Unpin,
    sender: mpsc::Sender<io::Result<Bytes>>,
    patience: Duration,
) {
    loop {
        let next = match timeout(patience, stream.next()).await {
            Ok(Some(Ok(bytes))) => Ok(bytes),
            Ok(Some(Err(_))) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it ended before its time",
            )),
            Ok(None) => return,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "nothing came for too long",
            )),
        };
        let is_last = next.is_err();
        if sender.send(next).await.is_err() || is_last {
            return;
        }
    }
}

async fn fetch(client: reqwest::Client, url: String, sender: mpsc::Sender<io::Result<Bytes>>) {
    let answered = timeout(PATIENCE, client.get(url).send()).await;
    let problem = match answered {
        Ok(Ok(response)) if response.status().is_success() => {
            forward(response.bytes_stream(), sender, PATIENCE).await;
            return;
        }
        Ok(Ok(response)) => format!("the server answers {}", response.status().as_u16()),
        Ok(Err(_)) => "the server cannot be reached".to_owned(),
        Err(_) => "the server does not answer".to_owned(),
    };
    // Nobody listens any more: the import was given up.
    sender.send(Err(io::Error::other(problem))).await.ok();
}
