//! Rows of one resource.

use crate::cell::{Cell, TextRef};
use crate::error::{Code, RowError};
use crate::output::ColumnType;
use crate::rows::{ResourceMeta, RowOptions};
use crate::view::View;

pub(crate) struct Source<'a> {
    pub(crate) view: &'a View,
    pub(crate) types: &'a [ColumnType],
    pub(crate) options: &'a RowOptions,
    pub(crate) meta: &'a ResourceMeta,
}

#[derive(Debug, Default)]
pub(crate) struct Flattener {}

impl Flattener {
    pub(crate) fn flatten<'a>(&'a mut self, source: Source<'a>, _resource: &'a [u8]) -> Result<Flat<'a>, RowError> {
        let _ = (source.view, source.types, source.options, source.meta);
        Err(RowError::new(Code::Evaluation, "not evaluated yet"))
    }
}

pub(crate) struct Flat<'a> {
    nothing: &'a [u8],
}

impl<'a> Flat<'a> {
    pub(crate) fn rows(&self) -> usize {
        0
    }
    pub(crate) fn partial_dates(&self) -> u64 {
        0
    }
    pub(crate) fn cells(&self, _column: usize) -> impl Iterator<Item = Cell> {
        std::iter::empty()
    }
    pub(crate) fn list(&self, _start: u32, _length: u32) -> &[Cell] {
        &[]
    }
    pub(crate) fn text(&self, _text: TextRef) -> &str {
        ""
    }
    pub(crate) fn bytes(&self, _start: u32, _length: u32) -> &'a [u8] {
        self.nothing
    }
}
