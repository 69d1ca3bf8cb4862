//! What is in work, and what is to be done next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ::parquet::arrow::arrow_writer::ArrowColumnChunk;

use super::flatten::Flattened;
use super::input::{Input, Piece};
use super::parquet::{Columns, Encoding};
use super::sink::Sink;
use super::{FilesError, Progress, Summary};

/// Something for a thread to do, with all that it takes. What comes of it is brought back to the board.
pub(super) enum Task {
    /// The next piece of the input, into the memory of an old one.
    Read(Input, Vec<u8>),
    Flatten(u64, Piece),
    Write(Box<Sink>, Step),
    Encode(Encoding),
    /// There is nothing more to do.
    End,
}

/// What is written next.
pub(super) enum Step {
    Rows(Flattened),
    Group(Vec<ArrowColumnChunk>),
    /// No more rows come.
    Close,
}

/// What all threads share.
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// None while a thread has it.
    input: Option<Input>,
    bytes_read: Arc<AtomicU64>,
    is_read: bool,
    /// Pieces are numbered as they are read. So many were, and so many are written.
    read: u64,
    written: u64,
    /// How many of them may be in work.
    window: u64,
    pieces: VecDeque<(u64, Piece)>,
    flattened: BTreeMap<u64, Flattened>,
    memories: Vec<Vec<u8>>,
    /// None while a thread has it.
    sink: Option<Box<Sink>>,
    columns: Columns,
    is_closed: bool,
    /// Why the input ended early; what was read is still written.
    unreadable: Option<FilesError>,
    failure: Option<FilesError>,
}

impl Board {
    pub(super) fn new(input: Input, sink: Sink, threads: usize) -> Self {
        let state = State {
            bytes_read: input.bytes_read(),
            input: Some(input),
            is_read: false,
            read: 0,
            written: 0,
            window: 2 * threads as u64 + 1,
            pieces: VecDeque::new(),
            flattened: BTreeMap::new(),
            memories: Vec::new(),
            columns: sink.columns(),
            sink: Some(Box::new(sink)),
            is_closed: false,
            unreadable: None,
            failure: None,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task; waits until there is one.
    pub(super) fn next(&self) -> Task {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.next() {
                return task;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Takes back the input with what was read of it; none at its end.
    pub(super) fn was_read(&self, input: Input, piece: Result<Option<Piece>, FilesError>) {
        self.change(|state| {
            state.input = Some(input);
            match piece {
                Ok(Some(piece)) if !state.is_read => {
                    state.pieces.push_back((state.read, piece));
                    state.read += 1;
                }
                Ok(_) => state.is_read = true,
                Err(error) => {
                    state.is_read = true;
                    state.unreadable = Some(error);
                }
            }
        });
    }

    /// Takes a flattened piece, to be written when it is its turn.
    pub(super) fn was_flattened(&self, number: u64, mut flattened: Flattened) {
        self.change(|state| {
            state.memories.push(std::mem::take(&mut flattened.memory));
            // Behind the end nothing is wanted.
            if number < state.read {
                state.flattened.insert(number, flattened);
            }
        });
    }

    /// Takes back the sink, and answers how far everything is. `is_rows` says that a piece was written, `is_end` that
    /// nothing more is to be.
    pub(super) fn was_written(&self, mut sink: Box<Sink>, is_rows: bool, is_end: bool) -> Progress {
        let mut progress = Progress::default();
        self.change(|state| {
            state.columns.add(sink.take_jobs());
            state.written += u64::from(is_rows);
            progress = sink.progress(state.bytes_read.load(Ordering::Relaxed));
            state.sink = Some(sink);
            if is_end {
                state.is_read = true;
                state.read = state.written;
                state.pieces.clear();
                state.flattened.clear();
            }
        });
        progress
    }

    /// Takes back a column.
    pub(super) fn was_encoded(&self, encoding: Encoding) {
        self.change(|state| state.columns.bring_back(encoding));
    }

    /// Ends it for all threads; the first failure counts.
    pub(super) fn fail(&self, failure: FilesError) {
        self.change(|state| {
            state.failure.get_or_insert(failure);
        });
    }

    /// What came of it, when all threads have ended.
    pub(super) fn end(self) -> Result<Summary, FilesError> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = state.failure {
            return Err(failure);
        }
        let sink = state.sink.ok_or(FilesError::Thread)?;
        let summary = sink.finish(state.bytes_read.load(Ordering::Relaxed))?;
        state.unreadable.map_or(Ok(summary), Err)
    }
}

impl State {
    /// What is nearest to being done comes first, so that little is held.
    fn next(&mut self) -> Option<Task> {
        if self.failure.is_some() {
            return Some(Task::End);
        }
        if let Some(encoding) = self.columns.take() {
            return Some(Task::Encode(encoding));
        }
        if let Some(sink) = self.sink.take() {
            match self.step() {
                Some(step) => return Some(Task::Write(sink, step)),
                None => self.sink = Some(sink),
            }
        }
        if let Some((number, piece)) = self.pieces.pop_front() {
            return Some(Task::Flatten(number, piece));
        }
        if !self.is_read
            && self.read - self.written < self.window
            && let Some(input) = self.input.take()
        {
            return Some(Task::Read(input, self.memories.pop().unwrap_or_default()));
        }
        let is_done = self.is_closed && self.sink.is_some() && self.columns.are_done();
        is_done.then_some(Task::End)
    }

    fn step(&mut self) -> Option<Step> {
        if let Some(group) = self.columns.take_group() {
            return Some(Step::Group(group));
        }
        if (self.columns.backlog() as u64) < self.window
            && let Some(flattened) = self.flattened.remove(&self.written)
        {
            return Some(Step::Rows(flattened));
        }
        if self.is_read && self.written == self.read && !self.is_closed {
            self.is_closed = true;
            return Some(Step::Close);
        }
        None
    }
}
