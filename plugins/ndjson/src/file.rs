//! The file: opened after its last whole row, held against others, appended to.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Error, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use arrow::json::writer::{LineDelimited, WriterBuilder};
use lakefeed_plugin_api::arrow::record_batch::RecordBatch;
use lakefeed_plugin_api::{Category, PluginError};
use rustix::{fs::OFlags, io::Errno};

/// How much of the file's end is read at once in search of the last row.
const BLOCK: usize = 64 * 1024;

/// Opens the file, cut after its last whole row and held against other writers, and makes its name durable.
pub(crate) fn open_at_last_row(path: &Path) -> Result<File, PluginError> {
    // A file that was named by mistake must not be cut or grow rows.
    if !matches!(path.extension().and_then(OsStr::to_str), Some("ndjson" | "jsonl")) {
        let message = format!("`{}` is no name for a file of rows", path.display());
        return Err(PluginError::new(Category::ConfigInvalid, "NDJSON-005", message)
            .hint("choose a path that ends in .ndjson or .jsonl"));
    }
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let file = match options.open(path) {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => return Err(foreign(path)),
        opened => opened.map_err(|error| failed(path, &error))?,
    };
    if file.try_lock().is_err() {
        let message = format!("`{}` is held by another writer", path.display());
        return Err(
            PluginError::new(Category::RemoteUnavailable, "NDJSON-004", message)
                .hint("stop the other writer, or choose another path"),
        );
    }
    if !holds_rows(&file).map_err(|error| failed(path, &error))? {
        return Err(foreign(path));
    }
    let cut = end_of_last_row(&file).and_then(|end| file.set_len(end));
    cut.and_then(|()| file.sync_all())
        .and_then(|()| File::open(folder_of(path))?.sync_all())
        .map_err(|error| failed(path, &error))?;
    Ok(file)
}

/// Whether the file is empty, or begins as a row does.
fn holds_rows(file: &File) -> Result<bool, Error> {
    let mut first = [b'{'];
    Ok(file.metadata()?.is_file() && file.read_at(&mut first, 0).map(|_| first == *b"{")?)
}

/// Where the last whole row ends.
fn end_of_last_row(file: &File) -> Result<u64, Error> {
    let mut block = vec![0; BLOCK];
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = (end - 1) / BLOCK as u64 * BLOCK as u64;
        block.resize(usize::try_from(end - start).unwrap_or(BLOCK), 0);
        file.read_exact_at(&mut block, start)?;
        if let Some(newline) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Appends the rows, all or none, and returns when they are on disk. Says how many bytes they take.
pub(crate) fn append(slot: &mut Option<File>, path: &Path, batch: &RecordBatch) -> Result<u64, PluginError> {
    let mut lines = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(Vec::new());
    let encoded = lines.write(batch).map_err(Error::other);
    encoded.map_err(|error| failed(path, &error))?;
    let lines = lines.into_inner();
    // It goes back only when its end is known; otherwise it is closed here, and the next write opens it anew.
    let mut file = match slot.take() {
        Some(file) => file,
        None => open_at_last_row(path)?,
    };
    let end = file.metadata().map_err(|error| failed(path, &error))?.len();
    let written = file.write_all(&lines).and_then(|()| file.sync_data());
    // A half-written batch would be offered, and written, again.
    if written.is_ok() || file.set_len(end).is_ok() {
        *slot = Some(file);
    }
    written.map_err(|error| failed(path, &error))?;
    Ok(lines.len() as u64)
}

/// The file failed; this may pass.
pub(crate) fn failed(path: &Path, error: &Error) -> PluginError {
    let message = format!("`{}` cannot be written: {error}", path.display());
    PluginError::new(Category::RemoteUnavailable, "NDJSON-001", message)
        .hint("see that the folder exists, may be written by lakefeed, and has room")
}

/// There is something else at the path.
fn foreign(path: &Path) -> PluginError {
    let message = format!("`{}` is not a file of rows", path.display());
    PluginError::new(Category::ConfigInvalid, "NDJSON-003", message)
        .hint("choose another path: only a plain file that begins with `{` is appended to")
}

/// The folder that names the file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails with it")]

    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array};

    #[test]
    fn a_file_that_cannot_be_rolled_back_is_opened_anew_by_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.ndjson");
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        std::fs::write(&path, "{}\n").unwrap();
        // What is opened for reading can be neither written nor cut.
        let mut slot = Some(File::open(&path).unwrap());
        assert_eq!(append(&mut slot, &path, &batch).unwrap_err().code, "NDJSON-001");
        assert!(slot.is_none());
        append(&mut slot, &path, &batch).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n{\"n\":1}\n");
    }
}
