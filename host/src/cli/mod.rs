//! The commands of the `lakefeed` binary, a file a command.
//!
//! Each command prints what it found to standard output, as text or with `--json` as one JSON document, and what
//! went wrong to standard error. The exit code is 0 when all is well, 1 when it is not, 2 for a wrong call.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config};
use crate::log::StoreUrl;

mod backup;
mod check;
mod import;
mod logging;
mod output;
mod plugins;
mod run;
mod schema;
mod status;
mod views;

use output::Output;

/// Keeps lakehouse tables in step with FHIR data.
///
/// A FHIR client writes a resource; lakefeed stores the change, flattens it with a SQL-on-FHIR ViewDefinition and
/// appends the rows to a Delta table.
#[derive(Debug, Parser)]
#[command(name = "lakefeed", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file [default: ./lakefeed.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host: take changes over HTTP and deliver them, until SIGTERM or Ctrl-C
    Run,
    /// Check the configuration, its topics, views and destinations, and the plugins; needs no network
    Check {
        /// Ask the destinations' plugins too: sign in and look at grants, ids and places, changing nothing
        #[arg(long)]
        connect: bool,
    },
    /// Show how far each destination is, from the store; works beside a running host
    Status {
        /// Only this destination
        id: Option<String>,
    },
    /// Store resources from NDJSON files, as changes for the configured destinations
    Import(import::Import),
    /// Compile and run ViewDefinitions
    #[command(subcommand)]
    Views(views::Views),
    /// List, inspect and stage plugins
    #[command(subcommand)]
    Plugins(plugins::Plugins),
    /// Copy the store to a file, while the host runs or not
    Backup {
        /// The file to make; must not exist
        to: PathBuf,
    },
    /// Put a backup in the store's place; the store's file must not exist
    Restore {
        /// The backup
        from: PathBuf,
    },
    /// Print the JSON Schema of the configuration file
    Schema,
}

/// Runs the command that the arguments name.
pub fn run(cli: Cli) -> ExitCode {
    let mut output = Output::new(cli.common.json);
    match dispatch(cli, &mut output) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed, for people. `main` is the one place where error types may be erased.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn dispatch(cli: Cli, output: &mut Output) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Run => {
            let config = cli.common.load()?;
            logging::start(&config);
            block_on(run::run(config))
        }
        Command::Check { connect } => {
            let config = cli.common.load()?;
            block_on(check::check(config, connect, output))
        }
        Command::Status { id } => {
            let config = cli.common.load()?;
            block_on(status::status(config, id, output))
        }
        Command::Import(import) => {
            let config = cli.common.load()?;
            logging::start(&config);
            block_on(import.run(config, output))
        }
        Command::Views(views) => views.run(output),
        Command::Plugins(plugins) => plugins.run(&cli.common, output),
        Command::Backup { to } => {
            let config = cli.common.load()?;
            block_on(backup::backup(config, to, output))
        }
        Command::Restore { from } => {
            let config = cli.common.load()?;
            block_on(backup::restore(config, from, output))
        }
        Command::Schema => schema::schema(output),
    }
}

impl Common {
    fn path(&self) -> PathBuf {
        self.config
            .clone()
            .unwrap_or_else(|| PathBuf::from("lakefeed.toml"))
    }

    fn load(&self) -> Result<Config, Failure> {
        Ok(config::load(&self.path())?)
    }

    /// The configuration, or the one of an empty file where no file is named and none is there.
    fn load_or_default(&self) -> Result<Config, Failure> {
        if self.config.is_none() && !self.path().exists() {
            return Ok(Config::without_file(&std::env::current_dir()?)?);
        }
        self.load()
    }
}

/// The store; its file, where it is one, must be there.
fn existing_store(config: &Config) -> Result<StoreUrl, Failure> {
    let store = StoreUrl::parse(&config.store_url)?;
    match &store {
        StoreUrl::Sqlite(path) if !path.exists() => Err(format!(
            "there is no store yet at {}; `lakefeed run` makes it",
            path.display()
        )
        .into()),
        _ => Ok(store),
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A library that hangs while it is loaded must not hold the program's end.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_not_there_yet_is_named_with_what_makes_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::without_file(folder.path()).unwrap();
        let refused = existing_store(&config).unwrap_err().to_string();
        assert!(
            refused.ends_with("lakefeed.db; `lakefeed run` makes it"),
            "{refused}"
        );
    }
}
