//! A folder on a local disk as an object store whose writes survive a loss of power.
//!
//! The store that `object_store` brings for local files returns once the kernel has the bytes. Here a write returns
//! once the disk has them: the bytes go to a hidden temporary file, which is synced; the file gets its name by a hard
//! link (which fails if the name is taken: the atomic step that a Delta commit rests on) or by a rename; then the
//! folder is synced, and so is every folder above it that had to be made. Reads, lists and deletions are the wrapped
//! store's, save that lists come sorted, which is what the reader of the log expects of a store.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::temporary::{TEMPORARY, Temporary, make_folder, sweep_folder, sync, sync_above, sync_folder};

/// The store. Cheap to clone; clones share the count of syncs.
#[derive(Clone, Debug)]
pub struct DurableStore {
    root: PathBuf,
    inner: Arc<LocalFileSystem>,
    synced: Arc<AtomicU64>,
}

impl DurableStore {
    /// Opens the folder, making it (and syncing those above it) if it is missing.
    pub fn create(root: &FsPath) -> io::Result<Self> {
        let synced = Arc::new(AtomicU64::new(0));
        make_folder(root, &synced)?;
        let store = Self::over(root, synced)?;
        sync_above(&store.root, &store.synced);
        Ok(store)
    }

    /// Opens a folder that exists.
    pub fn open(root: &FsPath) -> io::Result<Self> {
        Self::over(root, Arc::new(AtomicU64::new(0)))
    }

    fn over(root: &FsPath, synced: Arc<AtomicU64>) -> io::Result<Self> {
        let root = fs::canonicalize(root)?;
        let inner = Arc::new(LocalFileSystem::new_with_prefix(&root).map_err(io::Error::other)?);
        Ok(Self { root, inner, synced })
    }

    /// How many times a file or folder was synced through this store.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.synced.load(Ordering::Relaxed)
    }

    /// Syncs the folder of that name, so that the names in it are durable, whoever made them.
    pub async fn sync_folder(&self, folder: &Path) -> Result<()> {
        let (path, synced) = (self.root.join(folder.as_ref()), Arc::clone(&self.synced));
        blocking(move || sync_folder(&path, &synced)).await
    }

    /// Removes temporary files that a crash left behind, in the folder itself and in the log's.
    pub async fn sweep(&self) -> Result<u64> {
        let folders = [self.root.clone(), self.root.join("_delta_log")];
        blocking(move || folders.iter().map(|folder| sweep_folder(folder)).sum()).await
    }

    /// Writes a file under a name that nobody asks for before this returns. As durable as any other write, and sooner.
    pub async fn put_unknown(&self, location: &Path, bytes: Bytes) -> Result<()> {
        let target = self.inner.path_to_filesystem(location)?;
        let synced = Arc::clone(&self.synced);
        blocking(move || {
            let temporary = Temporary::beside(&target, &synced)?;
            let mut file = temporary.file()?;
            file.write_all(&bytes)?;
            temporary.publish_unknown(&file, &synced)
        })
        .await
    }

    /// Writes a file that has its name still to come, and syncs its bytes.
    pub async fn prepare(&self, location: &Path, bytes: Bytes) -> Result<Prepared> {
        let target = self.inner.path_to_filesystem(location)?;
        let (synced, location) = (Arc::clone(&self.synced), location.clone());
        blocking(move || {
            let temporary = Temporary::beside(&target, &synced)?;
            let mut file = temporary.file()?;
            file.write_all(&bytes)?;
            sync(&file, &synced)?;
            Ok(Prepared {
                temporary,
                location,
                synced,
            })
        })
        .await
    }

    async fn place(&self, location: &Path, payload: PutPayload, create: bool) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        let synced = Arc::clone(&self.synced);
        let put = blocking(move || {
            let temporary = Temporary::beside(&target, &synced)?;
            let mut file = temporary.file()?;
            payload.iter().try_for_each(|bytes| file.write_all(bytes))?;
            temporary.publish(file, create, &synced)
        });
        put.await.map_err(|error| name_conflict(error, location))?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }
}

/// A file whose bytes are durable and whose name is not given yet. It is removed when dropped.
#[derive(Debug)]
pub struct Prepared {
    temporary: Temporary,
    location: Path,
    synced: Arc<AtomicU64>,
}

impl Prepared {
    /// Gives it its name durably, unless the name is taken ([`Error::AlreadyExists`]).
    pub async fn create(self) -> Result<()> {
        let Self {
            temporary,
            location,
            synced,
        } = self;
        let named = blocking(move || temporary.name(true, &synced)).await;
        named.map_err(|error| name_conflict(error, &location))
    }
}

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableStore({})", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match opts.mode {
            PutMode::Create => self.place(location, payload, true).await,
            PutMode::Overwrite => self.place(location, payload, false).await,
            PutMode::Update(_) => Err(Error::NotImplemented {
                operation: "a conditional update".into(),
                implementer: self.to_string(),
            }),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let target = self.inner.path_to_filesystem(location)?;
        let synced = Arc::clone(&self.synced);
        let upload = blocking(move || {
            let temporary = Temporary::beside(&target, &synced)?;
            let file = Arc::new(temporary.file()?);
            Ok(Upload {
                temporary: Some(temporary),
                file,
                written: 0,
                synced,
            })
        });
        Ok(Box::new(upload.await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        sorted(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        sorted(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let bytes = self
            .inner
            .get_opts(from, GetOptions::default())
            .await?
            .bytes()
            .await?;
        let create = options.mode == CopyMode::Create;
        self.place(to, bytes.into(), create).await.map(drop)
    }
}

/// The entries by name, hidden ones left out.
fn sorted(entries: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    let collect = async move {
        let mut found: Vec<ObjectMeta> = entries.try_collect().await?;
        found.retain(|entry| !entry.location.as_ref().ends_with(TEMPORARY));
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok::<_, Error>(stream::iter(found.into_iter().map(Ok)))
    };
    stream::once(collect).try_flatten().boxed()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?.map_err(failed)
}

fn failed(error: io::Error) -> Error {
    Error::Generic {
        store: "DurableStore",
        source: Box::new(error),
    }
}

/// A taken name is an answer of its own, by which the log's writers agree on who was first.
fn name_conflict(error: Error, location: &Path) -> Error {
    match error {
        Error::Generic { source, .. } if is_taken(source.as_ref()) => Error::AlreadyExists {
            path: location.to_string(),
            source,
        },
        other => other,
    }
}

fn is_taken(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
}

/// A file that comes in parts, each written at its place.
#[derive(Debug)]
struct Upload {
    temporary: Option<Temporary>,
    file: Arc<File>,
    written: u64,
    synced: Arc<AtomicU64>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (file, mut offset) = (Arc::clone(&self.file), self.written);
        self.written += data.content_length() as u64;
        Box::pin(blocking(move || {
            for bytes in &data {
                file.write_all_at(bytes, offset)?;
                offset += bytes.len() as u64;
            }
            Ok(())
        }))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let temporary = self.temporary.take();
        let (file, synced) = (Arc::clone(&self.file), Arc::clone(&self.synced));
        blocking(move || {
            let temporary = temporary.ok_or_else(|| io::Error::other("the upload has ended"))?;
            temporary.publish(file.try_clone()?, false, &synced)
        })
        .await?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn abort(&mut self) -> Result<()> {
        self.temporary = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temporary::ABANDONED;
    use object_store::ObjectStoreExt;
    use std::time::SystemTime;

    fn store(folder: &FsPath) -> DurableStore {
        DurableStore::create(&folder.join("a b").join("100 % ü")).unwrap()
    }

    fn names(folder: &FsPath) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_write_syncs_the_file_and_every_folder_that_it_made() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let made = store.syncs();
        assert!(made >= 2, "the folders above the two that were made");
        store
            .put(&Path::from("_delta_log/0.json"), "x".into())
            .await
            .unwrap();
        assert_eq!(
            store.syncs() - made,
            3,
            "the folder above the log's, the file, the log's folder"
        );
        store
            .put(&Path::from("_delta_log/1.json"), "x".into())
            .await
            .unwrap();
        assert_eq!(store.syncs() - made, 5, "the file and its folder");
    }

    #[tokio::test]
    async fn of_many_creators_of_one_name_exactly_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let path = Path::from("_delta_log/7.json");
        let tries = (0..16).map(|n| {
            let (store, path) = (store.clone(), path.clone());
            async move {
                let put = store
                    .put_opts(&path, format!("{n}").into(), PutMode::Create.into())
                    .await;
                put.map(|_| n)
            }
        });
        let results = futures::future::join_all(tries).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert!(
            lost.iter()
                .all(|lost| matches!(lost, Err(Error::AlreadyExists { .. })))
        );
        let text = store.get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(text, won[0].as_ref().unwrap().to_string());
        assert_eq!(
            names(&store.root.join("_delta_log")),
            ["7.json"],
            "no temporary file stays"
        );
    }

    #[tokio::test]
    async fn a_file_in_parts_appears_whole_and_an_aborted_one_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let path = Path::from("x.parquet");
        let mut upload = store.put_multipart(&path).await.unwrap();
        let parts = [upload.put_part("ab".into()), upload.put_part("cd".into())];
        for part in parts.into_iter().rev() {
            part.await.unwrap();
        }
        assert!(store.head(&path).await.is_err());
        upload.complete().await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "abcd");

        let mut upload = store.put_multipart(&Path::from("y.parquet")).await.unwrap();
        upload.put_part("ab".into()).await.unwrap();
        upload.abort().await.unwrap();
        assert_eq!(names(&store.root), ["x.parquet"]);
    }

    #[tokio::test]
    async fn lists_are_sorted_and_leave_temporary_files_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        for name in ["b", "a", "c"] {
            store
                .put(&Path::from(format!("_delta_log/{name}")), "x".into())
                .await
                .unwrap();
        }
        fs::write(
            store.root.join("_delta_log").join(format!(".a.1{TEMPORARY}")),
            "x",
        )
        .unwrap();
        let listed: Vec<_> = store
            .list(Some(&Path::from("_delta_log")))
            .try_collect()
            .await
            .unwrap();
        let listed: Vec<_> = listed.iter().map(|entry| entry.location.to_string()).collect();
        assert_eq!(listed, ["_delta_log/a", "_delta_log/b", "_delta_log/c"]);
    }

    #[tokio::test]
    async fn a_sweep_removes_what_a_crash_left_and_nothing_that_is_young() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let (old, young) = (format!(".a.1{TEMPORARY}"), format!(".b.1{TEMPORARY}"));
        let file = File::create(store.root.join(&old)).unwrap();
        file.set_modified(SystemTime::now() - 2 * ABANDONED).unwrap();
        File::create(store.root.join(&young)).unwrap();
        assert_eq!(store.sweep().await.unwrap(), 1);
        assert_eq!(names(&store.root), [young]);
    }
}
