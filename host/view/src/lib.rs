//! SQL-on-FHIR ViewDefinitions: compiled once, evaluated into Arrow.
//!
//! The main types, in the order in which they meet:
//!
//! - [`ViewDefinition`] is a definition as its author wrote it, read from JSON, its shape checked.
//! - [`View`] is that definition compiled: every path is known to exist in FHIR R4, every column has a type. What is
//!   wrong comes back as [`ViewErrors`], all of it, each with place, code and remedy.
//! - [`Explanation`] is what a compiled view says of itself: what it reads and computes, how and of which types.
//! - [`OutputType`] and [`ColumnType`] are the Arrow types that columns come in. A caller chooses one for each of
//!   [`View::columns`], or takes [`View::default_types`]; [`View::schema`] is then known before any row.
//! - [`RowBuilder`] takes resources and gives a `RecordBatch`. A resource that does not fit is refused with a
//!   [`RowError`] and leaves no trace.
//! - [`mod@print`] makes JSON, NDJSON and CSV of a batch.
//! - [`Criterion`] is a trigger's condition over a change, on the same engine. It may follow references; the resources
//!   that they name are the caller's to find ([`Referenced`]).
//!
//! Beside them stand the parts that others use too: [`r4`], which types and elements FHIR R4 has; [`json`], the strict
//! check of a resource on its way in; [`place`], the paths that say which element is to be changed; [`temporal`],
//! [`decimal`] and [`boundary`], FHIR's dates, times and numbers.
//!
//! Inside, an expression goes through `fhirpath` (text to tree), `compile` (tree to `program`, and the fields that it
//! reads to `trie`), `tape` (one pass over a resource that keeps those fields, and by the marks of `scan` skips all
//! others) and `evaluate` (the program over the tape); `column` makes a value fit its column and `builder` appends it.
//!
//! The crate does no I/O, reads no clock and starts no thread.
//!
//! ```
//! use std::sync::Arc;
//! use lakefeed_view::{CompileOptions, ResourceMeta, RowOptions, View, ViewDefinition, print};
//!
//! let definition = ViewDefinition::parse(
//!     br#"{"resource": "Patient", "select": [
//!         {"column": [{"name": "id", "path": "id"}, {"name": "born", "path": "birthDate"}]},
//!         {"forEach": "name", "column": [{"name": "given", "path": "given.join(' ')"}]}]}"#,
//! )?;
//! let view = Arc::new(View::compile(&definition, &CompileOptions::default())?);
//! assert_eq!(view.columns()[1].fhir_type, "date");
//!
//! let mut rows = view.rows(&view.text_types(), RowOptions::default())?;
//! let patient = br#"{"resourceType": "Patient", "id": "p", "birthDate": "1970-06", "name": [{"given": ["A", "B"]}]}"#;
//! assert_eq!(rows.append(patient, &ResourceMeta::default())?, 1);
//!
//! let mut text = Vec::new();
//! print::ndjson(&rows.finish()?, &mut text)?;
//! assert_eq!(text, br#"{"id":"p","born":"1970-06","given":"A B"}
//! "#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base64;
pub mod boundary;
mod builder;
mod cell;
mod column;
mod compile;
mod criterion;
pub mod decimal;
mod definition;
mod error;
mod evaluate;
mod explain;
mod fhirpath;
pub mod json;
mod output;
pub mod place;
pub mod print;
mod program;
pub mod r4;
mod rows;
mod scan;
mod suggest;
mod tape;
pub mod temporal;
#[cfg(test)]
mod testing;
mod trie;
mod view;

pub use criterion::{Criterion, Referenced, Verdict, Versions};
pub use definition::{Column, Constant, Expression, Iteration, Select, Tag, ViewDefinition};
pub use error::{Code, RowError, ViewError, ViewErrors};
pub use explain::Explanation;
pub use output::{ColumnType, FHIR_TYPE, IS_DELETED, OutputType};
pub use rows::{PartialDates, ResourceMeta, RowBuilder, RowOptions};
pub use view::{ColumnInfo, CompileOptions, View};
