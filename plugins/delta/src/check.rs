//! The preflight: is the place there, may we write to it, can the table be appended to?

use std::path::Path as FsPath;

use lakefeed_plugin_api::{Check, CheckLevel, CheckReport, PluginError};
use object_store::path::Path;

use crate::config::Place;
use crate::maintenance::MANY_FILES;
use crate::storage::Storage;
use crate::table::Table;
use crate::{Delta, DeltaError};

const REACH: &str = "the place of the table can be reached";
const APPEND: &str = "the table can be appended to";
const RIGHTS: &str = "files can be written there";
const PROBE: &str = "a file is created once and can be removed";
const FILES: &str = "the table has few enough data files";

impl Check for Delta {
    async fn check(&self, level: CheckLevel) -> CheckReport {
        let mut report = CheckReport::default();
        report.passed("the parameters are complete");
        if level >= CheckLevel::Connect {
            self.check_table(&mut report).await;
        }
        if level >= CheckLevel::Permissions && self.store.is_none() {
            check_rights(&self.checked.place, &mut report);
        }
        if level >= CheckLevel::WriteProbe && report.is_good() {
            self.probe(&mut report).await;
        }
        report
    }
}

impl Delta {
    async fn check_table(&self, report: &mut CheckReport) {
        let found = match self.existing_storage() {
            Ok(Some(storage)) => Table::open(&storage).await.map_err(PluginError::from),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match found {
            Ok(Some(table)) => check_found(&table, report),
            Ok(None) => report.passed("there is no table yet: the first batch makes it"),
            Err(error) => fail(report, REACH, error),
        }
    }

    /// Writes an object that no reader of the table looks at, and removes it.
    async fn probe(&self, report: &mut CheckReport) {
        let storage = match self.existing_storage() {
            Ok(Some(storage)) => storage,
            Ok(None) => return report.passed("the folder is missing: the first batch makes it"),
            Err(error) => return fail(report, PROBE, error),
        };
        match write_and_remove(&storage).await {
            Ok(()) => report.passed(PROBE),
            Err(error) => fail(report, PROBE, error),
        }
    }
}

async fn write_and_remove(storage: &Storage) -> Result<(), DeltaError> {
    let path = Path::from(format!(".lakefeed-probe-{}", uuid::Uuid::new_v4().simple()));
    let tried = storage.create_twice(&path).await;
    let removed = storage.remove(&path).await;
    tried?;
    removed.map_err(DeltaError::storage("removing a file"))
}

fn check_found(table: &Table, report: &mut CheckReport) {
    report.passed(REACH);
    match table.check_writable() {
        Ok(()) => report.passed(APPEND),
        Err(error) => fail(report, APPEND, error),
    }
    if table.files < MANY_FILES {
        return report.passed(FILES);
    }
    let message = format!(
        "the table has {} data files, and readers open each of them",
        table.files
    );
    report.warning(FILES, "DELTA-040", message, "compact the table (OPTIMIZE)");
}

/// Asks the system, for a folder; a bucket's rights show in the probe.
fn check_rights(place: &Place, report: &mut CheckReport) {
    use rustix::fs::{Access, access};
    let Place::Folder(folder) = place else { return };
    // A folder that is missing is made in the nearest one above that is there.
    let existing = folder
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(FsPath::new("."));
    match access(existing, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => report.passed(RIGHTS),
        Err(error) => fail(
            report,
            RIGHTS,
            DeltaError::storage("asking for the right")(std::io::Error::from(error)),
        ),
    }
}

fn fail(report: &mut CheckReport, name: &str, error: impl Into<PluginError>) {
    let error = error.into();
    report.failed(name, &error.code, error.message, &error.hint);
}
