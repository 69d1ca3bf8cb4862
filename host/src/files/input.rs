//! The files, cut into pieces of whole lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use memchr::{memchr, memrchr};

use super::{FilesError, MAX_LINE};

/// How much text a piece has, in bytes, unless one line is longer: it stays in the processor's cache, and there is
/// enough to do for a thread.
const PIECE: usize = 1 << 20;

/// A piece of a file: whole lines; the last may lack its end.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// The number of the file.
    pub(super) file: usize,
    /// The text, and behind it what an earlier one left.
    memory: Vec<u8>,
    length: usize,
    /// Whether this stands for one line that was too long to be read.
    pub(super) is_too_long: bool,
}

impl Piece {
    pub(super) fn text(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }

    /// The memory, for a later piece.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.memory
    }
}

/// The files that are still to be read.
pub(super) struct Input {
    paths: VecDeque<(usize, PathBuf)>,
    current: Option<Current>,
    bytes_read: Arc<AtomicU64>,
}

/// The file that is being read.
struct Current {
    number: usize,
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    /// What was read of the line that the next piece begins with.
    rest: Vec<u8>,
    is_at_start: bool,
}

impl Input {
    /// Opens the first file, so that a wrong name is told before anything is written; and looks at the others.
    pub(super) fn open(paths: Vec<PathBuf>) -> Result<Self, FilesError> {
        for path in paths.iter().filter(|path| *path != Path::new("-")) {
            let read = |source| FilesError::Read {
                path: path.clone(),
                source,
            };
            if path.metadata().map_err(read)?.is_dir() {
                return Err(read(io::ErrorKind::IsADirectory.into()));
            }
        }
        Ok(Self {
            paths: paths.into_iter().enumerate().collect(),
            current: None,
            bytes_read: Arc::default(),
        })
    }

    /// Counts the bytes that were read of the files.
    pub(super) fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// The next piece, in the memory of one that is done with; none at the end.
    pub(super) fn next(&mut self, mut memory: Vec<u8>) -> Result<Option<Piece>, FilesError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some((number, path)) = self.paths.pop_front() else {
                    return Ok(None);
                };
                self.current = Some(Current::open(number, path, Arc::clone(&self.bytes_read))?);
                continue;
            };
            let piece = current.next(memory).map_err(|source| FilesError::Read {
                path: current.path.clone(),
                source,
            })?;
            if piece.is_too_long || piece.length > 0 {
                return Ok(Some(piece));
            }
            memory = piece.into_memory();
            self.current = None;
        }
    }
}

impl Current {
    fn open(number: usize, path: PathBuf, bytes_read: Arc<AtomicU64>) -> Result<Self, FilesError> {
        let open = || -> io::Result<Box<dyn Read + Send>> {
            let raw: Box<dyn Read + Send> = match path == Path::new("-") {
                true => Box::new(io::stdin()),
                false => Box::new(File::open(&path)?),
            };
            let counted = Counted {
                inner: raw,
                count: bytes_read,
            };
            decompressed(BufReader::with_capacity(256 << 10, counted))
        };
        match open() {
            Ok(reader) => Ok(Self {
                number,
                reader,
                path,
                rest: Vec::new(),
                is_at_start: true,
            }),
            Err(source) => Err(FilesError::Read { path, source }),
        }
    }

    /// The next piece; without text at the end of the file.
    fn next(&mut self, mut memory: Vec<u8>) -> io::Result<Piece> {
        let mut length = self.rest.len();
        let mut wanted = PIECE.max(length + 1);
        grow(&mut memory, wanted);
        memory[..length].copy_from_slice(&self.rest);
        self.rest.clear();
        let mut searched = 0;
        let mut is_too_long = false;
        loop {
            let read = fill(&mut self.reader, &mut memory[length..wanted])?;
            let is_end = read < wanted - length;
            length += read;
            if std::mem::take(&mut self.is_at_start) && memory[..length].starts_with(b"\xef\xbb\xbf") {
                memory.copy_within(3..length, 0);
                length -= 3;
            }
            if is_end {
                break;
            }
            if let Some(end) = memrchr(b'\n', &memory[searched..length]) {
                let end = searched + end + 1;
                self.rest.extend_from_slice(&memory[end..length]);
                length = end;
                break;
            }
            if length > MAX_LINE {
                self.skip_line()?;
                is_too_long = true;
                (memory, length) = (Vec::new(), 0);
                break;
            }
            searched = length;
            wanted = (length * 2).clamp(PIECE, MAX_LINE + 1);
            grow(&mut memory, wanted);
        }
        Ok(Piece {
            file: self.number,
            memory,
            length,
            is_too_long,
        })
    }

    /// Reads on to the end of a line and keeps what follows.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            self.rest.clear();
            if (&mut self.reader)
                .take(PIECE as u64)
                .read_to_end(&mut self.rest)?
                == 0
            {
                return Ok(());
            }
            if let Some(end) = memchr(b'\n', &self.rest) {
                self.rest.drain(..=end);
                return Ok(());
            }
        }
    }
}

/// Makes a memory at least so long.
fn grow(memory: &mut Vec<u8>, length: usize) {
    if memory.len() < length {
        memory.resize(length, 0);
    }
}

/// Reads until a buffer is full or there is no more, and answers how many bytes it read.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What a text is when it is decompressed, if it begins as one that was compressed.
fn decompressed(mut raw: BufReader<Counted>) -> io::Result<Box<dyn Read + Send>> {
    let start = raw.fill_buf()?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(MultiGzDecoder::new(raw)));
    }
    if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(Box::new(zstd::Decoder::with_buffer(raw)?));
    }
    Ok(Box::new(raw))
}

struct Counted {
    inner: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pieces(files: &[&[u8]]) -> Vec<(usize, Vec<u8>, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let paths = files.iter().enumerate().map(|(number, bytes)| {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, bytes).unwrap();
            path
        });
        let mut input = Input::open(paths.collect()).unwrap();
        std::iter::from_fn(|| input.next(Vec::new()).unwrap())
            .map(|piece| (piece.file, piece.text().to_vec(), piece.is_too_long))
            .collect()
    }

    fn text(pieces: &[(usize, Vec<u8>, bool)]) -> Vec<u8> {
        pieces.iter().flat_map(|(_, text, _)| text.clone()).collect()
    }

    #[test]
    fn a_piece_ends_where_a_line_does_and_nothing_is_lost() {
        let line = |number: usize| format!("{number}{}\n", "x".repeat(number % 5000));
        let whole: Vec<u8> = (0..4000).flat_map(|number| line(number).into_bytes()).collect();
        let found = pieces(&[&whole, b"", b"a\nb"]);
        assert!(found.len() > 4, "{}", found.len());
        let last = found.len() - 1;
        for (file, text, _) in &found[..last] {
            assert!(*file == 0 && text.ends_with(b"\n") && text.len() <= PIECE);
        }
        assert_eq!(text(&found[..last]), whole);
        assert_eq!(found[last], (2, b"a\nb".to_vec(), false));
    }

    #[test]
    fn a_long_line_is_read_whole_and_one_without_end_is_not() {
        let mut whole = vec![b'a'; 3 * PIECE];
        whole.extend(b"\nb\n");
        assert_eq!(text(&pieces(&[&whole])), whole);
        let mut endless = b"a\n".to_vec();
        endless.resize(3 * MAX_LINE, b'b');
        endless.extend(b"\nc\n");
        assert_eq!(
            pieces(&[&endless]),
            [
                (0, b"a\n".to_vec(), false),
                (0, Vec::new(), true),
                (0, b"c\n".to_vec(), false)
            ]
        );
    }

    #[test]
    fn compressed_files_are_known_by_how_they_begin() {
        let mut gzip = Vec::new();
        let mut zstd = Vec::new();
        for part in ["a\nb\n", "c\n"] {
            let mut encoder = flate2::write::GzEncoder::new(&mut gzip, flate2::Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap();
            zstd.extend(zstd::encode_all(part.as_bytes(), 1).unwrap());
        }
        for bytes in [&gzip, &zstd] {
            assert_eq!(text(&pieces(&[bytes])), b"a\nb\nc\n");
        }
        assert_eq!(text(&pieces(&[b"\xef\xbb\xbfa\n"])), b"a\n");
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&gzip, &zstd] {
            let path = folder.path().join("cut");
            std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
            let mut input = Input::open(vec![path]).unwrap();
            let ended = std::iter::from_fn(|| input.next(Vec::new()).transpose()).find_map(Result::err);
            assert!(ended.unwrap().to_string().contains("cannot be read"));
        }
    }
}
