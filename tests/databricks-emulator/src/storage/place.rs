//! Where the files of a table lie: in a folder of this machine, or below a prefix of a bucket.

use std::path::PathBuf;
use std::sync::Arc;

use deltalake::DeltaTableBuilder;
use deltalake::logstore::{LogStore, LogStoreRef, StorageConfig, default_logstore};
use futures::{StreamExt, TryStreamExt, future, stream};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore};
use url::Url;

use super::StorageError;

/// Where the files of a table lie.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// In a bucket of the S3 server.
    Bucket(Prefix),
}

/// What begins with a name in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    /// The bucket, from its root.
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) bucket: String,
    pub(super) path: Path,
    /// The same as `s3://BUCKET/PATH`.
    pub(super) url: Url,
}

impl Place {
    /// The log of the table there, whether there is one or not.
    ///
    /// In a bucket a commit creates the log's next entry on the condition that there is none: the server decides between
    /// two writers, and nothing else need lock.
    pub(super) fn log(&self) -> Result<LogStoreRef, StorageError> {
        match self {
            Self::Folder(folder) => {
                let url = Url::from_directory_path(folder).map_err(|()| StorageError::Location)?;
                Ok(DeltaTableBuilder::from_url(url)?.build_storage()?)
            }
            Self::Bucket(prefix) => Ok(default_logstore(
                Arc::new(PrefixStore::new(Arc::clone(&prefix.store), prefix.path.clone())),
                Arc::clone(&prefix.store),
                &prefix.url,
                &StorageConfig::default(),
            )),
        }
    }

    /// Makes the folder, where it is one.
    pub(super) fn prepare(&self) -> Result<(), StorageError> {
        match self {
            Self::Folder(folder) => Ok(std::fs::create_dir_all(folder)?),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Whether there is a table.
    pub(super) async fn has_table(&self) -> Result<bool, StorageError> {
        match self {
            Self::Folder(folder) => Ok(folder.join("_delta_log").is_dir()),
            Self::Bucket(_) => Ok(self.log()?.is_delta_table_location().await?),
        }
    }

    /// Removes everything that is there.
    pub(super) async fn remove(&self) -> Result<(), StorageError> {
        match self {
            Self::Folder(folder) => match tokio::fs::remove_dir_all(folder).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            },
            Self::Bucket(prefix) => prefix.remove().await,
        }
    }
}

impl Prefix {
    async fn remove(&self) -> Result<(), StorageError> {
        // All of the list before the first removal: not every server goes on with a list that shrinks.
        let found: Vec<ObjectMeta> = self.store.list(Some(&self.path)).try_collect().await?;
        let paths = stream::iter(found.into_iter().map(|object| Ok(object.location)));
        let removed = self.store.delete_stream(paths.boxed());
        removed.try_for_each(|_| future::ready(Ok(()))).await?;
        Ok(())
    }
}
