//! Where lines come from: a file, or bytes that arrive while they are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Opens what is read; called on the thread that reads.
type Open = Box<dyn FnOnce() -> io::Result<Box<dyn Read>> + Send>;

/// One source of lines.
pub struct Input {
    /// What it is called where a line is reported.
    pub name: PathBuf,
    /// The type of all its resources, if it has one; a line may leave it out then.
    pub resource_type: Option<String>,
    /// So many lines were imported before and are passed over.
    pub skip_lines: u64,
    pub(super) open: Open,
}

impl Input {
    /// A file, plain or gzip.
    pub fn file(path: &Path) -> Self {
        let opened = path.to_owned();
        Self::new(path, move || Ok(Box::new(File::open(&opened)?)))
    }

    /// Anything that can be read.
    pub fn new(
        name: impl Into<PathBuf>,
        open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            resource_type: None,
            skip_lines: 0,
            open: Box::new(open),
        }
    }

    /// Bytes that arrive through a channel; an error in it ends the import. A closed channel is the end.
    pub fn arriving(name: &str, receiver: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        let reader = Arriving {
            receiver,
            chunk: Bytes::new(),
        };
        Self::new(name, move || Ok(Box::new(reader)))
    }
}

/// Reads what a channel brings; blocks while nothing does.
struct Arriving {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk?,
                None => return Ok(0),
            }
        }
        let read = self.chunk.len().min(buffer.len());
        let part = self.chunk.split_to(read);
        buffer[..read].copy_from_slice(&part);
        Ok(read)
    }
}
