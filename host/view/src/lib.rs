//! SQL-on-FHIR ViewDefinitions: compiled once, evaluated into Arrow.

mod base64;
pub mod boundary;
mod builder;
mod cell;
mod compile;
mod criterion;
pub mod decimal;
mod definition;
mod error;
mod evaluate;
pub mod json;
mod output;
pub mod print;
mod program;
pub mod r4;
mod rows;
mod suggest;
pub mod temporal;
mod view;

pub use criterion::Criterion;
pub use definition::{Column, Constant, Expression, Iteration, Select, Tag, ViewDefinition};
pub use error::{Code, RowError, ViewError, ViewErrors};
pub use output::{ColumnType, FHIR_TYPE, IS_DELETED, OutputType};
pub use rows::{PartialDates, ResourceMeta, RowBuilder, RowOptions};
pub use view::{ColumnInfo, CompileOptions, View};
