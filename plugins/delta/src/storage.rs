//! The place of a table as a store of objects: a durable folder, or a prefix in a bucket.
//!
//! Both look alike from here on: every name is relative to the table's own root, so that no reader of the log ever
//! sees the folder's real name and its spaces, percent signs and umlauts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, RetryConfig,
    WriteMultipart,
};
use url::Url;

use crate::DeltaError;
use crate::config::{Bucket, Place};
use crate::durable_store::{DurableStore, Prepared};

/// Objects larger than this go up in parts, so that one lost connection does not cost the whole.
const PART: usize = 16 * 1024 * 1024;

/// An object that is created only to see whether it can be created twice. It stays, empty, and no reader looks at it.
const EXCLUSIVE: &str = ".lakefeed-conditional-put";

/// A table's storage.
#[derive(Clone)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    folder: Option<DurableStore>,
    bucket: bool,
    log: LogStoreRef,
}

impl Storage {
    /// Opens the place, making a folder that is missing.
    pub(crate) fn create(place: &Place) -> Result<Self, DeltaError> {
        match place {
            Place::Folder(path) => {
                let folder =
                    DurableStore::create(path).map_err(DeltaError::storage("making the table's folder"))?;
                Self::new(Arc::new(folder.clone()), Some(folder))
            }
            Place::Bucket(bucket) => Ok(Self {
                bucket: true,
                ..Self::new(open_bucket(bucket)?, None)?
            }),
        }
    }

    /// Opens the place; none if the folder is missing.
    pub(crate) fn open(place: &Place) -> Result<Option<Self>, DeltaError> {
        match place {
            Place::Folder(path) if !path.exists() => Ok(None),
            Place::Folder(path) => {
                let folder =
                    DurableStore::open(path).map_err(DeltaError::storage("opening the table's folder"))?;
                Self::new(Arc::new(folder.clone()), Some(folder)).map(Some)
            }
            Place::Bucket(_) => Self::create(place).map(Some),
        }
    }

    /// A table in a store that somebody else made.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, folder: Option<DurableStore>) -> Result<Self, DeltaError> {
        // A name that no reader takes for a local file: "/" is the table's root, wherever that is.
        let root = Url::parse("lakefeed:///").map_err(DeltaError::internal("naming the table's root"))?;
        let log = default_logstore(
            Arc::clone(&store),
            Arc::clone(&store),
            &root,
            &StorageConfig::default(),
        );
        Ok(Self {
            store,
            folder,
            bucket: false,
            log,
        })
    }

    /// The log, for those who read it whole.
    pub(crate) fn log(&self) -> &LogStoreRef {
        &self.log
    }

    /// The object's bytes; none if there is no such object.
    pub(crate) async fn read(&self, path: &Path) -> Result<Option<Bytes>, Error> {
        match self.store.get(path).await {
            Ok(found) => found.bytes().await.map(Some),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is such an object.
    pub(crate) async fn exists(&self, path: &Path) -> Result<bool, Error> {
        match self.store.head(path).await {
            Ok(ObjectMeta { .. }) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes the object durably, unless its name is taken ([`Error::AlreadyExists`]).
    pub(crate) async fn create_object(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        self.store
            .put_opts(path, bytes.into(), PutMode::Create.into())
            .await
            .map(drop)
    }

    /// Makes sure, once per writer, that the place refuses to create what is there. A folder does.
    pub(crate) async fn check_exclusive(&self) -> Result<(), DeltaError> {
        if self.bucket {
            self.create_twice(&Path::from(EXCLUSIVE)).await
        } else {
            Ok(())
        }
    }

    /// Tries to create an object twice, which must fail. A server that ignores the condition would let two writers
    /// make the same version, and the first one's rows be lost without a word.
    pub(crate) async fn create_twice(&self, path: &Path) -> Result<(), DeltaError> {
        for _ in 0..2 {
            match self.create_object(path, Bytes::new()).await {
                Ok(()) => {}
                Err(Error::AlreadyExists { .. }) => return Ok(()),
                Err(error) => return Err(DeltaError::storage("writing a file")(error)),
            }
        }
        Err(DeltaError::NotExclusive)
    }

    /// Writes an object whose creation comes later and then costs less; none where that makes no difference.
    pub(crate) async fn prepare(&self, path: &Path, bytes: Bytes) -> Result<Option<Prepared>, Error> {
        match &self.folder {
            Some(folder) => folder.prepare(path, bytes).await.map(Some),
            None => Ok(None),
        }
    }

    /// Writes the object durably. Its name must be new, and unknown to others until this returns.
    pub(crate) async fn upload(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        if let Some(folder) = &self.folder {
            return folder.put_unknown(path, bytes).await;
        }
        if bytes.len() <= 2 * PART {
            return self.store.put(path, bytes.into()).await.map(drop);
        }
        let mut upload = WriteMultipart::new_with_chunk_size(self.store.put_multipart(path).await?, PART);
        upload.put(bytes);
        upload.finish().await.map(drop)
    }

    /// Removes the object.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), Error> {
        self.store.delete(path).await
    }

    /// Removes the object as far as that is possible; what stays is harmless.
    pub(crate) async fn forget(&self, path: &Path) {
        if let Err(error) = self.remove(path).await {
            tracing::debug!(%path, %error, "an unused file stays");
        }
    }

    /// Makes durable the names in the log, whoever wrote them.
    ///
    /// A commit that is merely seen may still be on its way to the disk: its writer may have died between the name and
    /// the sync. Whoever answers *durable* because of it syncs first.
    pub(crate) async fn sync_log(&self) -> Result<(), Error> {
        match &self.folder {
            Some(folder) => folder.sync_folder(&Path::from("_delta_log")).await,
            None => Ok(()),
        }
    }

    /// Removes what a crash left behind.
    pub(crate) async fn sweep(&self) {
        let Some(folder) = &self.folder else { return };
        match folder.sweep().await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "removed temporary files of an earlier run"),
            Err(error) => tracing::warn!(%error, "temporary files of an earlier run stay"),
        }
    }
}

fn open_bucket(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, DeltaError> {
    let mut builder = match (&bucket.key, &bucket.secret) {
        (Some(id), Some(secret)) => AmazonS3Builder::new()
            .with_access_key_id(id)
            .with_secret_access_key(secret),
        (Some(_), None) => {
            let problem = "is missing beside `awsAccessKeyId`".into();
            return Err(DeltaError::Parameter {
                name: "awsSecretAccessKey",
                problem,
            });
        }
        (None, _) => AmazonS3Builder::from_env(),
    };
    builder = builder
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retries())
        .with_client_options(client());
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_virtual_hosted_style_request(false)
            .with_allow_http(endpoint.scheme() == "http");
    }
    let store = builder
        .build()
        .map_err(DeltaError::storage("opening the bucket"))?;
    let prefix = Path::parse(&bucket.prefix).map_err(|error| DeltaError::Parameter {
        name: "tablePath",
        problem: error.to_string(),
    })?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// A few quick ones only: longer waits are the host's.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 3,
        retry_timeout: Duration::from_secs(20),
    }
}

fn client() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, PutMultipartOptions, PutOptions,
        PutPayload, PutResult, Result,
    };

    /// A server that does not know conditional puts.
    #[derive(Debug, Default)]
    struct Careless(InMemory);

    impl std::fmt::Display for Careless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Careless")
        }
    }

    #[async_trait]
    impl ObjectStore for Careless {
        async fn put_opts(&self, path: &Path, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
            self.0.put(path, payload).await
        }
        async fn put_multipart_opts(
            &self,
            path: &Path,
            opts: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(path, opts).await
        }
        async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(path, options).await
        }
        fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(paths)
        }
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn a_server_that_ignores_conditional_puts_is_refused_before_anything_is_written() {
        let bucket = |store: Arc<dyn ObjectStore>| Storage {
            bucket: true,
            ..Storage::new(store, None).unwrap()
        };
        let careless = bucket(Arc::new(Careless::default()));
        assert_eq!(careless.check_exclusive().await.unwrap_err().code(), "DELTA-017");
        let careful = bucket(Arc::new(InMemory::new()));
        careful.check_exclusive().await.unwrap();
        careful.check_exclusive().await.unwrap();
    }
}
