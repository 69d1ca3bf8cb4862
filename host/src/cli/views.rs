//! `lakefeed views compile` and `lakefeed views run`: the engine as a tool of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use lakefeed_view::{ColumnInfo, CompileOptions, View, ViewDefinition};
use serde_json::{Value, json};

use super::Failure;
use super::output::{Output, table};

mod run;

use run::Run;

/// Views, without a store and without a host.
#[derive(Debug, Subcommand)]
pub(super) enum Views {
    /// Check a ViewDefinition and show its columns
    Compile {
        /// The definition, a JSON file; `-` reads standard input
        view: PathBuf,
        /// Show what the view reads of a resource and how each column is computed
        ///
        /// A column is `fast` that takes what it finds at its place in the resource, and `general` if an expression has
        /// to be evaluated.
        #[arg(long)]
        explain: bool,
    },
    /// Flatten NDJSON with a ViewDefinition and print the rows
    Run(Box<Run>),
}

impl Views {
    pub(super) fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Compile { view, explain } => compile(&view, explain, output),
            Self::Run(run) => run.run(output),
        }
    }
}

fn compile(path: &Path, explain: bool, output: &Output) -> Result<ExitCode, Failure> {
    let view = read_view(&read(path)?)?;
    let mut document = described(&view);
    if explain {
        document["explanation"] = view.explain().to_string().into();
    }
    // An explanation names the columns and their types, too.
    output.found(&document, || {
        if explain {
            view.explain().to_string()
        } else {
            columns(&view)
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn described(view: &View) -> Value {
    let columns: Vec<_> = view
        .columns()
        .iter()
        .map(|column| json!({ "name": column.name, "type": column.fhir_type, "collection": column.collection }))
        .collect();
    json!({ "name": view.name(), "resource": view.resource(), "columns": columns })
}

fn columns(view: &View) -> String {
    let row = |column: &ColumnInfo| {
        let kind = if column.collection {
            format!("{} (list)", column.fhir_type)
        } else {
            column.fhir_type.clone()
        };
        vec![column.name.clone(), kind]
    };
    table(
        &["column", "type"],
        &view.columns().iter().map(row).collect::<Vec<_>>(),
    )
}

fn read_view(text: &[u8]) -> Result<View, Failure> {
    let definition = ViewDefinition::parse(text)?;
    Ok(View::compile(&definition, &CompileOptions::default())?)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        return Ok(std::io::read_to_string(std::io::stdin())?.into_bytes());
    }
    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()).into())
}
