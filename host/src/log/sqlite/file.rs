//! The store's file: who may read it, who holds it, and that its name survives a loss of power.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::super::LogError;
use super::fault::Place;

/// Owner only: the store holds patient data.
const OWNER_ONLY: u32 = 0o600;

/// The right to be the one host of a store.
///
/// An operating system's lock on a file beside the store's, so it ends with the process however that ends.
/// It is not on the store's own file: closing any handle of that would let go of SQLite's locks.
#[derive(Debug)]
pub(super) struct HostLock(#[expect(dead_code, reason = "the lock lives as long as the handle")] File);

impl HostLock {
    /// Takes the lock, or answers [`LogError::InUse`] at once.
    pub(super) fn take(place: &Place) -> Result<Self, LogError> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(OWNER_ONLY)
            .open(beside(place.path(), "-lock"))
            .map_err(|error| place.io(&error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(lock)),
            Err(Errno::WOULDBLOCK) => Err(LogError::InUse { store: place.name() }),
            Err(errno) => Err(place.io(&errno.into())),
        }
    }
}

/// The path that all names of one store lead to, so that they share one lock.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, LogError> {
    let place = Place::new(path);
    if path.exists() {
        return path.canonicalize().map_err(|error| place.io(&error));
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(LogError::Url {
            reason: "names no file".to_owned(),
        });
    };
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    match folder.canonicalize() {
        Ok(folder) => Ok(folder.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LogError::Url {
            reason: format!(
                "names a file in {}, which is no folder; make it first",
                folder.display()
            ),
        }),
        Err(error) => Err(place.io(&error)),
    }
}

/// Makes the store's file when it is absent, and sees that its owner alone can read it.
///
/// The file is made here and not by SQLite, whose files begin with wider rights. An existing one is never
/// opened here, for the reason that [`HostLock`] gives.
pub(super) fn prepare(place: &Place) -> Result<(), LogError> {
    match fs::metadata(place.path()) {
        Ok(found) if !found.is_file() => Err(place.damaged("it is not a file")),
        Ok(found) if found.permissions().mode() & 0o200 == 0 => Err(place.read_only()),
        Ok(_) => tighten(place).map_err(|error| place.io(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            claim(place.path()).map_err(|error| place.io(&error))
        }
        Err(error) => Err(place.io(&error)),
    }
}

/// Makes an empty file for its owner alone; one that exists is an error. The name is durable when this returns.
pub(super) fn claim(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(OWNER_ONLY)
        .open(path)?;
    file.sync_all()?;
    sync_folder(path)
}

/// Makes a finished file durable and gives it its name, which then is durable too; a file of that name stays, and is
/// an error.
pub(super) fn publish(unnamed: &Path, path: &Path) -> io::Result<()> {
    File::open(unnamed)?.sync_all()?;
    // A link is never made over a file, as a rename would be.
    fs::hard_link(unnamed, path)?;
    fs::remove_file(unnamed)?;
    sync_folder(path)
}

/// A name beside a path: the path with something behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn tighten(place: &Place) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let path = beside(place.path(), suffix);
        match fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                fs::set_permissions(&path, Permissions::from_mode(OWNER_ONLY))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
