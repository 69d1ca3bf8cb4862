//! Where tables lie, and real Delta tables at those places.
//!
//! A location is a URL as Unity Catalog knows it (`s3://bucket/path`). With an S3 server (`s3.rs`) such a location is a
//! prefix of a bucket there, and what the server refuses is told in plain words (`refusal.rs`). Without one, and for the
//! other clouds always, a bucket is a folder under `buckets/` of the emulator's data; a `file` URL is the folder that it
//! names. Any reader of Delta tables can open what is at either place (`place.rs`).

mod lend;
mod open;
mod place;
mod refusal;
mod s3;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use url::Url;

pub(crate) use lend::Lent;
pub(crate) use open::{OpenTable, StorageError};
pub(crate) use place::Place;
pub(crate) use refusal::told;
pub use s3::S3OptionError;
pub(crate) use s3::Server;

use crate::catalog::{CredentialEntry, TableEntry, normal_location};
use crate::sync::lock;
use crate::types::Column;

/// All tables that were opened so far.
#[derive(Debug)]
pub(crate) struct Storage {
    data: PathBuf,
    durable: bool,
    server: Option<Server>,
    open: Mutex<std::collections::HashMap<String, Arc<tokio::sync::Mutex<OpenTable>>>>,
}

impl Storage {
    /// Tables on a server, if there is one, and under a folder. Where `durable`, a commit is on disk before it counts.
    pub(crate) fn new(data: &Path, durable: bool, server: Option<Server>) -> Self {
        Self {
            data: data.to_owned(),
            durable,
            server,
            open: Mutex::default(),
        }
    }

    /// The server of the locations `s3://…`, if they are not folders.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// What a location stands for; an error if its scheme is not one of object storage.
    pub(crate) fn place(&self, location: &str) -> Result<Place, StorageError> {
        let url = Url::parse(&normal_location(location)).map_err(|_| StorageError::Location)?;
        match &self.server {
            Some(server) if url.scheme() == "s3" => server.prefix(&url).map(Place::Bucket),
            _ => self.folder(&url).map(Place::Folder).ok_or(StorageError::Location),
        }
    }

    fn folder(&self, url: &Url) -> Option<PathBuf> {
        let path = percent_encoding::percent_decode_str(url.path())
            .decode_utf8()
            .ok()?;
        let path = path.trim_matches('/');
        if path.split('/').any(|part| part == "..") {
            return None;
        }
        match url.scheme() {
            "file" => url.to_file_path().ok(),
            "s3" | "gs" | "abfss" | "r2" => {
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
        let place = self.place(&entry.storage_location)?;
        if !place.has_table().await? {
            return Err(StorageError::Gone(entry.storage_location.clone()));
        }
        let table = OpenTable::open(&place, self.durable).await?;
        let table = Arc::new(tokio::sync::Mutex::new(table));
        let mut open = lock(&self.open);
        Ok(Arc::clone(open.entry(entry.table_id.clone()).or_insert(table)))
    }

    /// The columns of the table at a location; none if there is no table.
    pub(crate) async fn columns_at(&self, location: &str) -> Result<Option<Vec<Column>>, StorageError> {
        let place = self.place(location)?;
        if !place.has_table().await? {
            return Ok(None);
        }
        OpenTable::open(&place, false).await?.columns().map(Some)
    }

    /// Makes a table at a location.
    pub(crate) async fn create(
        &self,
        location: &str,
        columns: &[Column],
        partitions: &[String],
    ) -> Result<(), StorageError> {
        OpenTable::create(&self.place(location)?, columns, partitions, self.durable).await
    }

    /// Forgets a table that was dropped; with its files if it is managed.
    pub(crate) async fn forget(&self, entry: &TableEntry, remove_files: bool) -> Result<(), StorageError> {
        lock(&self.open).remove(&entry.table_id);
        if !remove_files {
            return Ok(());
        }
        let removed = match self.place(&entry.storage_location) {
            Ok(place) => place.remove().await,
            Err(error) => Err(error),
        };
        removed.map_err(|why| StorageError::Left {
            location: entry.storage_location.clone(),
            why: Box::new(why),
        })
    }

    /// Keys of the server for what lies below a location, from the role of a storage credential; none where there is no
    /// server that could take them.
    pub(crate) async fn lend(
        &self,
        location: &str,
        credential: Option<&CredentialEntry>,
        writes: bool,
    ) -> Result<Option<Lent>, StorageError> {
        match (&self.server, self.place(location)?) {
            (Some(server), Place::Bucket(prefix)) => {
                let credential = credential.ok_or_else(|| StorageError::NoRole(location.to_owned()))?;
                server.lend(credential, &prefix, writes).await.map(Some)
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::S3;

    #[test]
    fn a_bucket_is_a_folder_and_nothing_leads_out_of_it() {
        let storage = Storage::new(Path::new("/data"), true, None);
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
            let folder = match storage.place(location) {
                Ok(Place::Folder(folder)) => Some(folder),
                _ => None,
            };
            assert_eq!(folder, expected.map(PathBuf::from), "{location}");
        }
    }

    #[test]
    fn with_a_server_a_bucket_is_one_there_and_other_clouds_stay_folders() {
        let server = Server::new(&S3::new("http://localhost:5000", "id", "key"), "us-east-1").unwrap();
        let storage = Storage::new(Path::new("/data"), true, Some(server));
        for (location, expected) in [
            ("s3://b/a/c/", "b: a/c"),
            ("s3a://b/x%20y", "b: x y"),
            ("s3://b/x y", "b: x y"),
            ("s3://b/%2e%2e/etc", "b: etc"),
            ("gs://b/a", "/data/buckets/b/a"),
            ("file:///tmp/t", "/tmp/t"),
        ] {
            let found = match storage.place(location).unwrap() {
                Place::Bucket(prefix) => format!("{}: {}", prefix.bucket, prefix.path),
                Place::Folder(folder) => folder.display().to_string(),
            };
            assert_eq!(found, expected, "{location}");
        }
    }
}
