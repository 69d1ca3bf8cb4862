//! The lines of a file, plain or gzip, of bounded length.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

const BUFFER: usize = 256 * 1024;

/// One line.
pub(super) struct Line<'a> {
    /// Its number, from 1; empty lines count.
    pub(super) number: u64,
    /// Its text without the line's end; none when it is too long.
    pub(super) text: Option<&'a [u8]>,
    /// Bytes of the file read when it was.
    pub(super) bytes_read: u64,
}

/// Reads lines; empty ones are passed over.
pub(super) struct Lines {
    input: Box<dyn BufRead>,
    bytes_read: Rc<Cell<u64>>,
    max_bytes: usize,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    /// Lines of at most `max_bytes`. What begins as gzip does is decompressed, whatever its name, into no more than
    /// `max_expanded` bytes: more of them are an error.
    pub(super) fn new(file: impl Read + 'static, max_bytes: usize, max_expanded: u64) -> io::Result<Self> {
        let bytes_read = Rc::new(Cell::new(0));
        let counted = Counted {
            inner: file,
            count: bytes_read.clone(),
        };
        let mut raw = BufReader::with_capacity(BUFFER, counted);
        let is_gzip = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let input: Box<dyn BufRead> = match is_gzip {
            true => {
                let expanded = Bounded {
                    inner: MultiGzDecoder::new(raw),
                    left: max_expanded,
                };
                Box::new(BufReader::with_capacity(BUFFER, expanded))
            }
            false => Box::new(raw),
        };
        Ok(Self {
            input,
            bytes_read,
            max_bytes,
            number: 0,
            line: Vec::new(),
        })
    }

    /// Bytes read of the file so far, compressed ones if it is compressed.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.get()
    }

    /// The next line that is not empty.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let Some(is_whole) = self.read_line()? else {
                return Ok(None);
            };
            self.number += 1;
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            if !is_whole || !self.line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(Line {
                    number: self.number,
                    text: is_whole.then_some(self.line.as_slice()),
                    bytes_read: self.bytes_read.get(),
                }));
            }
        }
    }

    /// Reads up to the next end of line, keeping no more than the bound; whether all was kept, none at the end.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        // Two bytes more for the line's end, and one to see that it is too long.
        let bound = self.max_bytes as u64 + 3;
        let read = (&mut self.input).take(bound).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if read as u64 == bound {
            self.input.skip_until(b'\n')?;
            return Ok(Some(false));
        }
        // A byte more for the `\r` that is taken off.
        Ok(Some(self.line.len() <= self.max_bytes + 1))
    }
}

/// Fails where there is more than a bound allows: what a few bytes can be made to expand to has no other end.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it expands to more than may be imported at once; split it",
            )
        })?;
        Ok(read)
    }
}

struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(text: &[u8]) -> String {
        let mut lines = Lines::new(io::Cursor::new(text.to_vec()), 8, 1000).unwrap();
        let mut found = String::new();
        while let Some(line) = lines.next_line().unwrap() {
            let text = line.text.map_or("too long".into(), String::from_utf8_lossy);
            found.push_str(&format!("{}:{text} ", line.number));
        }
        found
    }

    #[test]
    fn lines_are_numbered_as_an_editor_does() {
        assert_eq!(lines(b"a\n\nb\r\n  \nc"), "1:a 3:b 5:c ");
        assert_eq!(lines(b""), "");
        assert_eq!(lines(b"\xef\xbb\xbfa\n"), "1:a ");
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
        assert_eq!(lines(b"12345678\n1234567890\nb\n"), "1:12345678 2:too long 3:b ");
    }

    #[test]
    fn a_gzip_file_of_several_members_is_read_whole() {
        let mut text = Vec::new();
        for part in ["a\nb\n", "c\n"] {
            let mut encoder = flate2::write::GzEncoder::new(&mut text, flate2::Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap();
        }
        assert_eq!(lines(&text), "1:a 2:b 3:c ");
    }

    #[test]
    fn a_gzip_file_that_expands_without_end_is_given_up() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b'0'; 1_000_000]).unwrap();
        let text = encoder.finish().unwrap();
        let mut lines = Lines::new(io::Cursor::new(text), 8, 999_999).unwrap();
        let error = lines.next_line().err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_gzip_file_that_ends_early_is_an_error_and_not_a_short_file() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"a\nb\n").unwrap();
        let mut text = encoder.finish().unwrap();
        text.truncate(text.len() - 6);
        let mut lines = Lines::new(io::Cursor::new(text), 8, 1000).unwrap();
        let mut results = std::iter::from_fn(|| lines.next_line().map(|line| line.map(|_| ())).transpose());
        assert!(results.any(|result| result.is_err()));
    }
}
