//! `lakefeed backup` and `lakefeed restore`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::output::Output;
use super::{Failure, existing_store};
use crate::config::Config;
use crate::log::{StoreInfo, StoreUrl, sqlite};

/// Copies the store to a file, also while a host runs on it.
pub(super) async fn backup(config: Config, to: PathBuf, output: &mut Output) -> Result<ExitCode, Failure> {
    let StoreUrl::Sqlite(store) = existing_store(&config)? else {
        return Err(format!(
            "the store is a PostgreSQL database, which its own tools copy: `pg_dump --format=custom --schema='lakefeed*' --schema=sof --file={} DATABASE`, \
             also while a host runs on it",
            to.display()
        )
        .into());
    };
    let info = sqlite::backup(&store, &to).await?;
    report(&info, &format!("backed up to {}", to.display()), output)
}

/// Puts a backup in the store's place.
pub(super) async fn restore(config: Config, from: PathBuf, output: &mut Output) -> Result<ExitCode, Failure> {
    let StoreUrl::Sqlite(store) = StoreUrl::parse(&config.store_url)? else {
        return Err(format!(
            "the store is a PostgreSQL database, which its own tools restore: `pg_restore --dbname=DATABASE {}` into a database \
             without a schema `lakefeed`; the next host notices and begins new generations",
            from.display()
        )
        .into());
    };
    let info = sqlite::restore(&from, &store).await?;
    report(&info, &format!("restored to {}", store.display()), output)
}

fn report(info: &StoreInfo, what: &str, output: &Output) -> Result<ExitCode, Failure> {
    output.found(&json!(info), || {
        format!(
            "{what}: {} resources in {} versions, {} destinations, schema version {}",
            info.resources, info.versions, info.destinations, info.schema
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
