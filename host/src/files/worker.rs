//! A thread: takes tasks from the board until there are none.

use std::sync::Arc;

use lakefeed_view::View;

use super::board::{Board, Step, Task};
use super::flatten::Flatten;
use super::sink::Sink;
use super::{FilesError, Job, Progress};

/// Works until everything is done or something failed.
pub(super) fn work(board: &Board, view: &Arc<View>, job: &Job, report: &(dyn Fn(Progress) + Sync)) {
    // The others would wait for what this one has in hand.
    let _alarm = Alarm(board);
    if let Err(failure) = tasks(board, view, job, report) {
        board.fail(failure);
    }
}

fn tasks(
    board: &Board,
    view: &Arc<View>,
    job: &Job,
    report: &(dyn Fn(Progress) + Sync),
) -> Result<(), FilesError> {
    let mut flatten = Flatten::new(view, job)?;
    loop {
        match board.next() {
            Task::Read(mut input, memory) => {
                let piece = input.next(memory);
                board.was_read(input, piece);
            }
            Task::Flatten(number, piece) => board.was_flattened(number, flatten.piece(piece)?),
            Task::Write(sink, step) => report(write(board, sink, step)?),
            Task::Encode(mut encoding) => {
                encoding.run()?;
                board.was_encoded(encoding);
            }
            Task::End => return Ok(()),
        }
    }
}

fn write(board: &Board, mut sink: Box<Sink>, step: Step) -> Result<Progress, FilesError> {
    let is_rows = matches!(step, Step::Rows(_));
    let is_end = match step {
        Step::Rows(flattened) => sink.write(flattened)?,
        Step::Group(group) => {
            sink.write_group(group)?;
            false
        }
        Step::Close => {
            sink.close()?;
            false
        }
    };
    Ok(board.was_written(sink, is_rows, is_end))
}

/// Tells the others when its thread panics.
struct Alarm<'b>(&'b Board);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(FilesError::Thread);
        }
    }
}
