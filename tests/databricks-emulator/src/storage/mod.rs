//! Where tables lie, and real Delta tables at those places.
//!
//! A location is a URL as Unity Catalog knows it (`s3://bucket/path`). The emulator has no object storage: a bucket is a
//! folder under `buckets/` of its data, a `file` URL is the folder that it names. Each table is one folder that any reader
//! of Delta tables can open.

mod open;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub(crate) use open::{OpenTable, StorageError, schema_at};

use crate::catalog::TableEntry;
use crate::sync::lock;

/// All tables that were opened so far.
#[derive(Debug)]
pub(crate) struct Storage {
    data: PathBuf,
    durable: bool,
    open: Mutex<std::collections::HashMap<String, Arc<tokio::sync::Mutex<OpenTable>>>>,
}

impl Storage {
    /// Tables under a folder. Where `durable`, a commit is on disk before it counts.
    pub(crate) fn new(data: &Path, durable: bool) -> Self {
        Self {
            data: data.to_owned(),
            durable,
            open: Mutex::default(),
        }
    }

    /// The folder that a location stands for; none if its scheme is not one of object storage.
    pub(crate) fn folder(&self, location: &str) -> Option<PathBuf> {
        let url = url::Url::parse(location).ok()?;
        let path = percent_encoding::percent_decode_str(url.path())
            .decode_utf8()
            .ok()?;
        let path = path.trim_matches('/');
        if path.split('/').any(|part| part == "..") {
            return None;
        }
        match url.scheme() {
            "file" => url.to_file_path().ok(),
            "s3" | "s3a" | "gs" | "abfss" | "r2" => {
                let bucket = match url.username() {
                    "" => url.host_str()?.to_owned(),
                    container => format!("{container}@{}", url.host_str()?),
                };
                Some(self.data.join("buckets").join(bucket).join(path))
            }
            _ => None,
        }
    }

    /// The table of an entry, open. One handle for all who write, since each waits for the lock on it.
    pub(crate) async fn table(
        &self,
        entry: &TableEntry,
    ) -> Result<Arc<tokio::sync::Mutex<OpenTable>>, StorageError> {
        if let Some(table) = lock(&self.open).get(&entry.table_id) {
            return Ok(Arc::clone(table));
        }
        let folder = self
            .folder(&entry.storage_location)
            .ok_or(StorageError::Location)?;
        let table = OpenTable::open(&folder, self.durable).await?;
        let table = Arc::new(tokio::sync::Mutex::new(table));
        let mut open = lock(&self.open);
        Ok(Arc::clone(open.entry(entry.table_id.clone()).or_insert(table)))
    }

    /// Makes a table at a location.
    pub(crate) async fn create(
        &self,
        location: &str,
        columns: &[crate::types::Column],
        partitions: &[String],
    ) -> Result<(), StorageError> {
        let folder = self.folder(location).ok_or(StorageError::Location)?;
        OpenTable::create(&folder, columns, partitions, self.durable).await
    }

    /// Forgets a table that was dropped; with its files if it is managed.
    pub(crate) async fn forget(&self, entry: &TableEntry, remove_files: bool) -> Result<(), StorageError> {
        lock(&self.open).remove(&entry.table_id);
        if !remove_files {
            return Ok(());
        }
        let folder = self
            .folder(&entry.storage_location)
            .ok_or(StorageError::Location)?;
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StorageError::Files(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_folder_and_nothing_leads_out_of_it() {
        let storage = Storage::new(Path::new("/data"), true);
        for (location, expected) in [
            ("s3://b/a/c/", Some("/data/buckets/b/a/c")),
            ("gs://b/x%20y", Some("/data/buckets/b/x y")),
            (
                "abfss://box@account.example/p",
                Some("/data/buckets/box@account.example/p"),
            ),
            ("file:///tmp/t", Some("/tmp/t")),
            ("s3://b/%2e%2e/%2e%2e/etc", Some("/data/buckets/b/etc")),
            ("https://b/a", None),
            ("nonsense", None),
        ] {
            assert_eq!(
                storage.folder(location),
                expected.map(PathBuf::from),
                "{location}"
            );
        }
    }
}
