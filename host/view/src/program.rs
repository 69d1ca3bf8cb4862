//! The compiled form of a view.

/// What evaluation runs.
#[derive(Debug)]
pub(crate) struct Program;
