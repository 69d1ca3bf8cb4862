//! Resources in, one `RecordBatch` out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::builder::ColumnBuilder;
use crate::error::{RowError, ViewError};
use crate::evaluate::{Flattener, Source};
use crate::output::{self, ColumnType, OutputType};
use crate::view::View;

/// What the store knows of a resource version that its JSON does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceMeta {
    /// When this version was written, in microseconds since 1970 (`getAidboxTs()`).
    pub ts: i64,
    /// When the resource was created, in microseconds since 1970 (`getAidboxCts()`).
    pub cts: i64,
    /// `created`, `updated`, `deleted` or `recreated` (`getAidboxStatus()`).
    pub status: String,
    /// The number of the change (`getAidboxTxid()`).
    pub txid: i64,
    /// Whether this version is the deletion; then every `forEach` is evaluated as `forEachOrNull`, so that a
    /// deleted resource keeps its marker row.
    pub deleted: bool,
}

/// What becomes of a date or dateTime without its day (`1970`, `1970-06`) in a typed column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PartialDates {
    /// The start of its period; counted in [`RowBuilder::partial_dates`].
    #[default]
    Start,
    /// Null; counted as well.
    Null,
    /// The resource is refused.
    Refuse,
}

/// How rows are built.
#[derive(Debug, Clone)]
pub struct RowOptions {
    /// What becomes of partial dates.
    pub partial_dates: PartialDates,
    /// Whether a last column `is_deleted` (Int32, 0 or 1) is added from [`ResourceMeta::deleted`].
    pub is_deleted: bool,
    /// The most rows that one resource may give.
    pub max_rows_per_resource: usize,
}

impl Default for RowOptions {
    fn default() -> Self {
        Self {
            partial_dates: PartialDates::Start,
            is_deleted: false,
            max_rows_per_resource: 1_000_000,
        }
    }
}

/// Collects the rows of many resources into one `RecordBatch`.
///
/// All-or-nothing per resource: a refused one leaves the builder exactly as it was. Memory is reused from
/// resource to resource.
#[derive(Debug)]
pub struct RowBuilder {
    view: Arc<View>,
    types: Vec<ColumnType>,
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    is_deleted: Option<ColumnBuilder>,
    options: RowOptions,
    flattener: Flattener,
    rows: usize,
    partial_dates: u64,
}

impl RowBuilder {
    pub(crate) fn new(view: Arc<View>, types: &[ColumnType], options: RowOptions) -> Result<Self, ViewError> {
        let schema = output::schema(&view.columns, types, options.is_deleted)?;
        let deleted = ColumnType {
            output: OutputType::Int32,
            list: false,
        };
        Ok(Self {
            columns: types
                .iter()
                .map(|column_type| ColumnBuilder::new(*column_type))
                .collect(),
            is_deleted: options.is_deleted.then(|| ColumnBuilder::new(deleted)),
            flattener: Flattener::default(),
            types: types.to_vec(),
            rows: 0,
            partial_dates: 0,
            view,
            schema,
            options,
        })
    }

    /// The schema of the batch, `is_deleted` included where asked for.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Appends the rows of one resource and answers how many they were.
    ///
    /// `resource` is JSON that was checked when it entered. A resource of another type, or one that the view's
    /// `where` excludes, gives 0 rows.
    ///
    /// # Errors
    /// The resource is refused, and the builder is as before. [`RowError::is_batch_full`] says that it is not the
    /// resource's fault: finish, and append it again.
    pub fn append(&mut self, resource: &[u8], meta: &ResourceMeta) -> Result<usize, RowError> {
        let source = Source {
            view: &self.view,
            types: &self.types,
            options: &self.options,
            meta,
        };
        let flat = self.flattener.flatten(source, resource)?;
        for (index, column) in self.columns.iter().enumerate() {
            let refuse = |error: RowError| error.at_column(&self.view.columns[index].name);
            column.check_room(&flat, index).map_err(refuse)?;
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.append(&flat, index);
        }
        if let Some(column) = &mut self.is_deleted {
            column.append_flag(meta.deleted, flat.rows());
        }
        self.rows += flat.rows();
        self.partial_dates += flat.partial_dates();
        Ok(flat.rows())
    }

    /// How many rows are held.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes the rows hold, for splitting batches.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.columns
            .iter()
            .chain(&self.is_deleted)
            .map(ColumnBuilder::bytes)
            .sum()
    }

    /// How many partial dates were filled up or made null since the builder was made.
    #[must_use]
    pub fn partial_dates(&self) -> u64 {
        self.partial_dates
    }

    /// Ends the batch and begins an empty one.
    ///
    /// # Errors
    /// Arrow refuses the columns, which would be a mistake of this crate.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let columns = self
            .columns
            .iter_mut()
            .chain(&mut self.is_deleted)
            .map(ColumnBuilder::finish);
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())
    }
}
