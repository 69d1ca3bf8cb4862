//! The small durable state that a plugin may keep for a destination.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};

use lakefeed_plugin_api::abi::AbiCompletion;
use lakefeed_plugin_api::{Category, PluginError};

use super::check::sha256_hex;
use super::services::complete;

/// Keeps a few small values for one instance.
///
/// Calls may block. A value that was put is durable when `put` returns, and `get` answers the value put last.
pub trait StateStore: Send + Sync {
    /// What was put under the key.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>>;

    /// Keeps a value under the key; an empty one removes it.
    ///
    /// # Errors
    ///
    /// If the value is not durable; the one before is then still there.
    fn put(&self, key: &str, value: &[u8]) -> io::Result<()>;
}

/// A store of one file a key, in a folder of its own.
#[derive(Debug)]
pub struct FolderState {
    folder: PathBuf,
}

impl FolderState {
    /// The store in `folder`, which is made when the first value comes.
    pub fn new(folder: PathBuf) -> FolderState {
        FolderState { folder }
    }

    /// Keys are the plugin's own words; their hash makes a safe file name of any of them.
    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(sha256_hex(key.as_bytes()))
    }
}

impl StateStore for FolderState {
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(key)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put(&self, key: &str, value: &[u8]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let path = self.path(key);
        if value.is_empty() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => return File::open(&self.folder)?.sync_all(),
            }
        }
        let draft = path.with_extension("draft");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(value)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        // The name is durable once its folder is.
        File::open(&self.folder)?.sync_all()
    }
}

type Task = Box<dyn FnOnce() + Send>;

/// Runs a store's call on the one thread that may block for it, and completes with its answer.
pub(super) fn in_background(
    completion: AbiCompletion,
    call: impl FnOnce() -> io::Result<Option<Vec<u8>>> + Send + 'static,
) {
    let task: Task = Box::new(move || {
        let failed = |error: &io::Error| {
            PluginError::new(
                Category::RemoteUnavailable,
                "HOST-003",
                format!("plugin state: {}", error.kind()),
            )
        };
        match call() {
            Ok(value) => complete(&completion, Ok(value.as_deref())),
            Err(error) => complete(&completion, Err(&failed(&error))),
        }
    });
    let sender = QUEUE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let refused = match sender {
        Some(sender) => sender.send(task).err().map(|error| error.0),
        None => Some(task),
    };
    // Without a thread the call blocks its caller, which is better than never to complete.
    if let Some(task) = refused {
        task();
    }
}

static QUEUE: LazyLock<Mutex<Option<Sender<Task>>>> = LazyLock::new(|| {
    let (sender, tasks) = channel::<Task>();
    let thread = std::thread::Builder::new()
        .name("plugin state".to_owned())
        .spawn(move || {
            for task in tasks {
                // A store that panics must not end the thread that all of them share.
                drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(task)));
            }
        });
    Mutex::new(thread.is_ok().then_some(sender))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_until_it_is_put_empty() {
        let folder = tempfile::tempdir().unwrap();
        let state = FolderState::new(folder.path().join("a/b"));
        assert_eq!(state.get("k").unwrap(), None);
        for value in [b"one".as_slice(), b"two"] {
            state.put("k", value).unwrap();
            assert_eq!(state.get("k").unwrap().as_deref(), Some(value));
        }
        assert_eq!(state.get("../k").unwrap(), None);
        state.put("k", b"").unwrap();
        state.put("k", b"").unwrap();
        assert_eq!(state.get("k").unwrap(), None);
    }
}
