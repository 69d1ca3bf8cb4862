//! A table's write-ahead log: the bodies of requests, as they came, in the order in which they were taken.
//!
//! A segment is a file whose name has the number of its first entry. An entry is its length, a checksum and the body. An
//! entry that is cut short was never answered, so a reader stops there.

use std::fs::{File, OpenOptions};
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

/// A segment that is written to.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    /// The number of the next entry.
    next: i64,
    durable: bool,
}

/// An entry that was read back.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) body: Vec<u8>,
}

impl Segment {
    /// Begins a segment; its first entry will have that number.
    pub(super) fn create(folder: &Path, first: i64, durable: bool) -> Result<Self, Error> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{first:020}.wal"));
        let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        if durable {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self {
            path,
            file,
            next: first,
            durable,
        })
    }

    /// Appends a body, and says its number when it is on disk.
    pub(super) fn append(&mut self, body: &[u8]) -> Result<i64, Error> {
        let length = u32::try_from(body.len()).map_err(Error::other)?;
        let mut entry = Vec::with_capacity(body.len() + 8);
        entry.extend_from_slice(&length.to_le_bytes());
        entry.extend_from_slice(&checksum(body).to_le_bytes());
        entry.extend_from_slice(body);
        self.file.write_all(&entry)?;
        if self.durable {
            self.file.sync_data()?;
        }
        let number = self.next;
        self.next += 1;
        Ok(number)
    }

    /// The number that the next segment begins with.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The segments of a folder with their entries, in order.
pub(super) fn read_all(folder: &Path) -> Result<Vec<(PathBuf, Vec<Entry>)>, Error> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| read(&path).map(|entries| (path, entries)))
        .collect()
}

fn read(path: &Path) -> Result<Vec<Entry>, Error> {
    let name = path
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let mut number: i64 = name.parse().map_err(Error::other)?;
    let bytes = std::fs::read(path)?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, e, f, g, h] = *head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let Some(body) = after.get(..length) else { break };
        if checksum(body) != u32::from_le_bytes([e, f, g, h]) {
            break;
        }
        entries.push(Entry {
            number,
            body: body.to_vec(),
        });
        number += 1;
        rest = &after[length..];
    }
    Ok(entries)
}

/// FNV-1a over words: it has to notice a torn write, not an attacker.
fn checksum(body: &[u8]) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let words = body.chunks_exact(8);
    let rest = words.remainder();
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    for word in words {
        let mut whole = [0; 8];
        whole.copy_from_slice(word);
        hash = mix(hash, u64::from_le_bytes(whole));
    }
    for byte in rest {
        hash = mix(hash, u64::from(*byte));
    }
    u32::try_from((hash ^ (hash >> 32)) & 0xffff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_entry_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(folder.path(), 7, true).unwrap();
        assert_eq!(segment.append(b"[1]").unwrap(), 7);
        assert_eq!(segment.append(b"[22]").unwrap(), 8);
        let path = segment.path().to_owned();
        drop(segment);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let read = read_all(folder.path()).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(
            read[0].1,
            [Entry {
                number: 7,
                body: b"[1]".to_vec()
            }]
        );
    }

    #[test]
    fn a_changed_entry_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(folder.path(), 0, false).unwrap();
        segment.append(b"[{\"id\":\"a longer body\"}]").unwrap();
        let path = segment.path().to_owned();
        let mut whole = std::fs::read(&path).unwrap();
        whole[20] ^= 1;
        std::fs::write(&path, whole).unwrap();
        assert!(read_all(folder.path()).unwrap()[0].1.is_empty());
    }
}
