//! A file that appears whole and durable, or not at all.
//!
//! Its bytes go to a hidden file beside it, which is synced and then given its name; the folder is synced last.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

/// How the names of temporary files end. They begin with a dot, which every reader of Delta tables passes over.
pub(crate) const TEMPORARY: &str = ".lakefeed-tmp";

/// A temporary file older than this belongs to nobody any more.
pub(crate) const ABANDONED: Duration = Duration::from_secs(3600);

/// A hidden file beside the one that it will become. Removed when dropped, unless it was published.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    target: PathBuf,
}

impl Temporary {
    pub(crate) fn beside(target: &Path, synced: &AtomicU64) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        make_folder(folder, synced)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}{TEMPORARY}", uuid::Uuid::new_v4().simple()));
        Ok(Self {
            path: folder.join(hidden),
            target: target.to_owned(),
        })
    }

    pub(crate) fn file(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(&self.path)
    }

    /// Syncs the bytes, gives them their name, and syncs the name.
    pub(crate) fn publish(self, file: File, create: bool, synced: &AtomicU64) -> io::Result<()> {
        sync(&file, synced)?;
        drop(file);
        self.name(create, synced)
    }

    /// Gives bytes that are synced already their name, and syncs the name.
    pub(crate) fn name(self, create: bool, synced: &AtomicU64) -> io::Result<()> {
        if create {
            name_once(&self.path, &self.target)?;
        } else {
            fs::rename(&self.path, &self.target)?;
        }
        match self.target.parent() {
            Some(folder) => sync_folder(folder, synced),
            None => Ok(()),
        }
    }

    /// As [`publish`](Self::publish) for a name that nobody asks for before this returns: it may be given first, so that
    /// bytes and name are synced side by side.
    pub(crate) fn publish_unknown(self, file: &File, synced: &AtomicU64) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        let Some(folder) = self.target.parent() else {
            return sync(file, synced);
        };
        thread::scope(|scope| {
            let name = scope.spawn(|| sync_folder(folder, synced));
            sync(file, synced)?;
            let gone = |_| Err(io::Error::other("syncing the folder was given up"));
            name.join().unwrap_or_else(gone)
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already after a rename; anything else that fails here is the sweep's.
        drop(fs::remove_file(&self.path));
    }
}

/// Gives the file its name, or fails if the name is taken.
fn name_once(temporary: &Path, target: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    let Err(error) = fs::hard_link(temporary, target) else {
        return Ok(());
    };
    // File systems without hard links, and those that forbid them.
    let no_links = [Errno::PERM, Errno::NOTSUP, Errno::NOSYS, Errno::MLINK].map(Errno::raw_os_error);
    if !error.raw_os_error().is_some_and(|code| no_links.contains(&code)) {
        return Err(error);
    }
    let (from, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
    Ok(rustix::fs::renameat_with(from, temporary, from, target, flags)?)
}

/// Makes the folder and those above it, and syncs the one above each that was made.
pub(crate) fn make_folder(folder: &Path, synced: &AtomicU64) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make_folder(above, synced)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    sync_folder(above.unwrap_or(Path::new(".")), synced)
}

/// Syncs the folders above that one, as far as that is allowed: somebody else may have made them and died before that.
pub(crate) fn sync_above(folder: &Path, synced: &AtomicU64) {
    for above in folder.ancestors().skip(1) {
        if let Err(error) = sync_folder(above, synced) {
            tracing::debug!(folder = %above.display(), %error, "a folder was not synced");
        }
    }
}

pub(crate) fn sync_folder(folder: &Path, synced: &AtomicU64) -> io::Result<()> {
    sync(&File::open(folder)?, synced)
}

pub(crate) fn sync(file: &File, synced: &AtomicU64) -> io::Result<()> {
    file.sync_all()?;
    synced.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

pub(crate) fn sweep_folder(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(TEMPORARY) && is_abandoned(&entry) {
            removed += u64::from(fs::remove_file(entry.path()).is_ok());
        }
    }
    Ok(removed)
}

fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| {
        SystemTime::now()
            .duration_since(time)
            .is_ok_and(|age| age > ABANDONED)
    })
}
