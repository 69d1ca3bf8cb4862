//! A compiled view: what a caller can ask of it before any row, and where rows begin.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::compile;
use crate::definition::{Tag, ViewDefinition};
use crate::error::{ViewError, ViewErrors};
use crate::explain::Explanation;
use crate::output::{self, ColumnType, OutputType};
use crate::program::Program;
use crate::rows::{RowBuilder, RowOptions};

/// A ViewDefinition, compiled: checked as a whole, paths resolved, constants folded.
///
/// It is immutable and cheap to share (`Arc<View>`); any number of [`RowBuilder`]s may use one at a time.
#[derive(Debug)]
pub struct View {
    pub(crate) name: Option<String>,
    pub(crate) resource: String,
    pub(crate) columns: Vec<ColumnInfo>,
    pub(crate) program: Program,
}

/// What is known of a column once the view is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name, unique in the view.
    pub name: String,
    /// Its FHIR type: the declared one, or what the path gives; `string` where neither is known.
    pub fhir_type: String,
    /// Whether it holds a list.
    pub collection: bool,
    /// What it is for, where the author said.
    pub description: Option<String>,
    /// Its tags, in document order.
    pub tags: Vec<Tag>,
    /// Where it stands in the definition.
    pub location: String,
}

/// What a compilation allows.
#[derive(Debug, Clone)]
pub struct CompileOptions {
    /// The longest expression, in bytes.
    pub max_expression: usize,
    /// The most columns.
    pub max_columns: usize,
    /// Whether columns take fast steps where they can. Without them every column is evaluated as an expression, which
    /// gives the same; only a comparison of the two has a use for that.
    pub fast_steps: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            max_expression: 16 * 1024,
            max_columns: 4096,
            fast_steps: true,
        }
    }
}

impl View {
    /// Compiles a definition.
    ///
    /// # Errors
    /// Everything that is wrong with it, in document order, each with its place and a remedy.
    pub fn compile(definition: &ViewDefinition, options: &CompileOptions) -> Result<Self, ViewErrors> {
        compile::compile_view(definition, options)
    }

    /// The view's name, where its definition has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The type of the resources that give rows.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The columns in output order: own columns, then nested selects, then unions.
    #[must_use]
    pub fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    /// What the view reads and computes, how and of which types, for its author to read.
    #[must_use]
    pub fn explain(&self) -> Explanation<'_> {
        Explanation { view: self }
    }

    /// The standard's own types: dates, times and decimals as text, instants as timestamps.
    #[must_use]
    pub fn default_types(&self) -> Vec<ColumnType> {
        self.types(OutputType::standard)
    }

    /// The types for printing: every value as the resource has it.
    #[must_use]
    pub fn text_types(&self) -> Vec<ColumnType> {
        self.types(OutputType::textual)
    }

    /// The schema of the rows in these types, known before any row.
    ///
    /// # Errors
    /// The types do not fit the columns.
    pub fn schema(&self, types: &[ColumnType]) -> Result<SchemaRef, ViewError> {
        output::schema(&self.columns, types, false)
    }

    /// Begins a batch of rows in these types.
    ///
    /// # Errors
    /// The types do not fit the columns, or the view has an `is_deleted` column where one is asked for.
    pub fn rows(
        self: &Arc<Self>,
        types: &[ColumnType],
        options: RowOptions,
    ) -> Result<RowBuilder, ViewError> {
        RowBuilder::new(Arc::clone(self), types, options)
    }

    fn types(&self, choose: fn(&str) -> OutputType) -> Vec<ColumnType> {
        let of = |column: &ColumnInfo| ColumnType {
            output: choose(&column.fhir_type),
            list: column.collection,
        };
        self.columns.iter().map(of).collect()
    }
}
