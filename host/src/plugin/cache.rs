//! The private, content-addressed copies that libraries are loaded from.
//!
//! A library is read once, through the file that [`check`](super::check) opened: the bytes that are hashed are the
//! bytes that are written to `<state>/plugin-cache/<sha256>.so`, and that copy is what the loader opens. So nothing
//! can change between check and use, replacing an installed file never touches a running host, and two versions of
//! one plugin have two paths (the system's loader would answer the same path with the version it already has).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::StatVfsMountFlags;
use sha2::{Digest, Sha256};

use super::check::{CheckedLibrary, hex};
use super::error::{PluginRefusal, RefusalCode};

const FOLDER: &str = "plugin-cache";
const CHUNK_BYTES: usize = 1 << 18;

/// The plugin cache of one state folder.
#[derive(Debug, Clone)]
pub struct PluginCache {
    folder: PathBuf,
}

impl PluginCache {
    /// The cache in the state folder `state`; nothing is created until the first library comes.
    pub fn in_state_folder(state: &Path) -> PluginCache {
        PluginCache {
            folder: state.join(FOLDER),
        }
    }

    /// Copies a library into the cache while hashing it, and answers the path to load.
    ///
    /// Several hosts may share a cache: each writes to a file of its own and renames it into place.
    ///
    /// # Errors
    ///
    /// `PLUGIN-015` if the bytes are not those that the manifest promises, `PLUGIN-018` or `PLUGIN-019` if the cache
    /// cannot be used.
    pub fn admit(&self, library: &CheckedLibrary) -> Result<PathBuf, PluginRefusal> {
        self.prepare()?;
        let path = self
            .folder
            .join(format!("{}.{}", library.sha256, std::env::consts::DLL_EXTENSION));
        if self.holds(&path, &library.sha256) {
            return self.verify_source(library, &mut io::sink()).map(|()| path);
        }
        let draft = self.draft_path();
        let written = self.write_draft(library, &draft).and_then(|()| {
            fs::rename(&draft, &path).map_err(|error| self.failed("cannot rename into place", &error))
        });
        if written.is_err() {
            // The draft may never have been made; what matters is the error that is answered.
            drop(fs::remove_file(&draft));
        }
        written.map(|()| path)
    }

    /// Makes the folder, private to this user, and refuses one that is not, or that nothing can be loaded from.
    fn prepare(&self) -> Result<(), PluginRefusal> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| self.failed("cannot be created", &error))?;
        let metadata =
            fs::symlink_metadata(&self.folder).map_err(|error| self.failed("cannot be examined", &error))?;
        let mine = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || !mine || metadata.mode() & 0o077 != 0 {
            return Err(PluginRefusal::new(
                RefusalCode::CacheFailed,
                "the plugin cache is not private to the user that runs lakefeed",
                "remove it, or make that user its owner with mode 0700",
            )
            .at(&self.folder));
        }
        let mount = rustix::fs::statvfs(&self.folder)
            .map_err(|error| self.failed("cannot be examined", &error.into()))?;
        refuse_noexec(mount.f_flag).map_err(|refusal| refusal.at(&self.folder))
    }

    fn failed(&self, what: &str, error: &io::Error) -> PluginRefusal {
        PluginRefusal::new(
            RefusalCode::CacheFailed,
            format!("the plugin cache {what}: {error}"),
            "make the state folder writable for the user that runs lakefeed, and see that it has space",
        )
        .at(&self.folder)
    }

    /// Whether the cache already has these bytes; a damaged copy is replaced.
    fn holds(&self, path: &Path, sha256: &str) -> bool {
        File::open(path)
            .and_then(|mut file| copy_hashing(&mut file, &mut io::sink()))
            .is_ok_and(|found| found == sha256)
    }

    fn draft_path(&self) -> PathBuf {
        static DRAFTS: AtomicU64 = AtomicU64::new(0);
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        self.folder
            .join(format!(".draft-{}-{number}", std::process::id()))
    }

    fn write_draft(&self, library: &CheckedLibrary, draft: &Path) -> Result<(), PluginRefusal> {
        // A draft of this name is left over from a dead process that had this one's number.
        drop(fs::remove_file(draft));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o500)
            .open(draft)
            .map_err(|error| self.failed("cannot be written", &error))?;
        self.verify_source(library, &mut file)?;
        file.sync_all()
            .map_err(|error| self.failed("cannot be written", &error))
    }

    fn verify_source(&self, library: &CheckedLibrary, copy: &mut dyn Write) -> Result<(), PluginRefusal> {
        let found = copy_hashing(&mut &library.file, copy)
            .map_err(|error| self.failed("cannot be filled", &error))?;
        compare(library, &found)
    }
}

/// Reads a library and compares its bytes with the hash that they must have; copies nothing and runs nothing.
pub(super) fn verify(library: &CheckedLibrary) -> Result<(), PluginRefusal> {
    let found = copy_hashing(&mut &library.file, &mut io::sink()).map_err(|error| {
        let message = format!("the library cannot be read: {error}");
        PluginRefusal::new(RefusalCode::LibraryMissing, message, "install the plugin again").at(&library.path)
    })?;
    compare(library, &found)
}

fn compare(library: &CheckedLibrary, found: &str) -> Result<(), PluginRefusal> {
    if found == library.sha256 {
        return Ok(());
    }
    Err(PluginRefusal::new(
        RefusalCode::HashMismatch,
        format!("the library's SHA-256 is {found}, its manifest says {}", library.sha256),
        "install manifest and library of one release; from a checkout run `lakefeed plugins stage` after each build",
    )
    .at(&library.path))
}

fn refuse_noexec(flags: StatVfsMountFlags) -> Result<(), PluginRefusal> {
    if !flags.contains(StatVfsMountFlags::NOEXEC) {
        return Ok(());
    }
    Err(PluginRefusal::new(
        RefusalCode::CacheNoexec,
        "the plugin cache lies on a file system mounted noexec, so no library can be loaded from it",
        "move the state folder to a file system without noexec",
    ))
}

/// Copies everything from `source` to `copy` and answers the SHA-256 of it.
pub(super) fn copy_hashing(source: &mut dyn Read, copy: &mut dyn Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(length) => {
                hasher.update(&chunk[..length]);
                copy.write_all(&chunk[..length])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::plugin::check::sha256_hex;

    fn library(folder: &Path, bytes: &[u8], sha256: &str) -> CheckedLibrary {
        let path = folder.join("libx.so");
        fs::write(&path, bytes).unwrap();
        CheckedLibrary {
            file: File::open(&path).unwrap(),
            path,
            sha256: sha256.to_owned(),
        }
    }

    #[test]
    fn the_copy_is_private_named_by_its_hash_and_has_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PluginCache::in_state_folder(&dir.path().join("state"));
        let sha256 = sha256_hex(b"code");
        let path = cache.admit(&library(dir.path(), b"code", &sha256)).unwrap();
        assert_eq!(
            path,
            dir.path().join("state/plugin-cache").join(format!("{sha256}.so"))
        );
        assert_eq!(fs::read(&path).unwrap(), b"code");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o500);
        assert_eq!(
            fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn a_manifest_whose_hash_is_wrong_is_refused_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PluginCache::in_state_folder(dir.path());
        let refusal = cache
            .admit(&library(dir.path(), b"code", &sha256_hex(b"other")))
            .unwrap_err();
        assert_eq!(refusal.code, RefusalCode::HashMismatch);
        assert_eq!(fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 0);
    }

    #[test]
    fn a_replaced_library_is_refused_even_when_the_old_copy_is_cached() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PluginCache::in_state_folder(dir.path());
        let sha256 = sha256_hex(b"code");
        cache.admit(&library(dir.path(), b"code", &sha256)).unwrap();
        let refusal = cache.admit(&library(dir.path(), b"evil", &sha256)).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::HashMismatch);
    }

    #[test]
    fn a_damaged_copy_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PluginCache::in_state_folder(dir.path());
        let sha256 = sha256_hex(b"code");
        let path = cache.admit(&library(dir.path(), b"code", &sha256)).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"torn").unwrap();
        cache.admit(&library(dir.path(), b"code", &sha256)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"code");
    }

    #[test]
    fn a_cache_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let cache = PluginCache::in_state_folder(dir.path());
        let refusal = cache
            .admit(&library(dir.path(), b"code", &sha256_hex(b"code")))
            .unwrap_err();
        assert_eq!(refusal.code, RefusalCode::CacheFailed);
    }

    #[test]
    fn a_noexec_mount_gets_its_own_message() {
        let refusal = refuse_noexec(StatVfsMountFlags::NOEXEC | StatVfsMountFlags::NODEV).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::CacheNoexec);
        refuse_noexec(StatVfsMountFlags::NODEV).unwrap();
    }
}
