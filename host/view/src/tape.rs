//! One pass over the JSON of a resource that keeps only what a program reads.
//!
//! The tape is a flat list of nodes in document order. Arrays leave no node of their own: their members stand one
//! after the other under the same field, as FHIRPath sees them. An object is followed by its wanted children; its
//! `end` is where they stop, so a reader skips it in one step. Text is a span of the resource's own bytes, unless it
//! held escapes.
//!
//! The resource was checked when it entered; what this scan does not look at it takes on trust. Whatever the
//! bytes are, it ends, and refuses what it cannot read.

use std::ops::Range;

use crate::cell::{Origin, TextRef};
use crate::error::{Code, RowError};
use crate::program::TextKind;
use crate::trie::{Edge, FieldId, Trie, TrieId};

/// How deep a resource may be nested along wanted fields.
const MAX_DEPTH: usize = 256;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeType {
    Object,
    Boolean(bool),
    Number,
    Text(TextKind),
    /// A `null` in an array of primitives, which holds the place of an extension.
    Null,
}

/// One wanted value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TapeNode {
    pub(crate) field: FieldId,
    pub(crate) kind: NodeType,
    /// Its text, or its JSON for an object.
    pub(crate) text: TextRef,
    /// Where the next node that is not below it stands.
    pub(crate) end: u32,
    pub(crate) parent: u32,
    /// Its place in its array.
    pub(crate) ordinal: u32,
}

/// The wanted values of one resource, or of the versions that a criterion compares.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) nodes: Vec<TapeNode>,
    /// Strings that held escapes.
    pub(crate) unescaped: String,
}

impl Tape {
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.unescaped.clear();
    }

    /// Reads a resource and answers where its root stands. `source` is its number among those on the tape.
    pub(crate) fn read(&mut self, json: &str, source: u16, trie: &Trie) -> Result<u32, RowError> {
        self.read_part(json, 0..json.len(), source, (trie, trie.root))
    }

    /// Reads the resource that is a part of a text, by another root of the trie than the first.
    pub(crate) fn read_part(
        &mut self,
        json: &str,
        part: Range<usize>,
        source: u16,
        (trie, place): (&Trie, TrieId),
    ) -> Result<u32, RowError> {
        if json.len() > u32::MAX as usize {
            return Err(RowError::new(Code::TooDeep, "a resource of more than 4 GiB"));
        }
        let mut scan = Scan {
            bytes: json.as_bytes().get(..part.end).unwrap_or_default(),
            json,
            at: part.start,
            source,
            trie,
            tape: self,
            depth: 0,
        };
        scan.blanks();
        if scan.peek() != Some(b'{') {
            return Err(scan.malformed());
        }
        let root = scan.tape.nodes.len() as u32;
        scan.object(
            Place {
                field: FieldId::MAX,
                parent: root,
                ordinal: 0,
            },
            place,
        )?;
        scan.blanks();
        if scan.at != scan.bytes.len() {
            return Err(scan.malformed());
        }
        Ok(root)
    }
}

/// Where a node will stand.
#[derive(Clone, Copy)]
struct Place {
    field: FieldId,
    parent: u32,
    ordinal: u32,
}

struct Scan<'a> {
    bytes: &'a [u8],
    json: &'a str,
    at: usize,
    source: u16,
    trie: &'a Trie,
    tape: &'a mut Tape,
    depth: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn malformed(&self) -> RowError {
        RowError::new(
            Code::MalformedResource,
            format!("not the JSON of a resource, at byte {}", self.at),
        )
    }

    fn expect(&mut self, byte: u8) -> Result<(), RowError> {
        if self.peek() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    fn descend(&mut self) -> Result<(), RowError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(RowError::new(
                Code::TooDeep,
                format!("nested deeper than {MAX_DEPTH}"),
            ));
        }
        Ok(())
    }

    fn push(&mut self, place: Place, kind: NodeType, text: TextRef) {
        let end = self.tape.nodes.len() as u32 + 1;
        let Place {
            field,
            parent,
            ordinal,
        } = place;
        self.tape.nodes.push(TapeNode {
            field,
            kind,
            text,
            end,
            parent,
            ordinal,
        });
    }

    fn span(&self, start: usize, end: usize) -> TextRef {
        TextRef {
            origin: Origin::Source(self.source),
            start: start as u32,
            length: (end - start) as u32,
        }
    }

    fn object(&mut self, place: Place, node: TrieId) -> Result<(), RowError> {
        self.descend()?;
        let start = self.at;
        let index = self.tape.nodes.len();
        self.push(place, NodeType::Object, self.span(start, start));
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            self.members(index as u32, node)?;
        }
        let (text, end) = (self.span(start, self.at), self.tape.nodes.len() as u32);
        let object = &mut self.tape.nodes[index];
        object.text = text;
        object.end = end;
        self.depth -= 1;
        Ok(())
    }

    fn members(&mut self, parent: u32, node: TrieId) -> Result<(), RowError> {
        let trie = self.trie;
        loop {
            self.blanks();
            let key = self.raw_string()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            match trie.edge(node, &self.bytes[key.0..key.1]) {
                Some(edge) => self.wanted(
                    edge,
                    Place {
                        field: edge.field,
                        parent,
                        ordinal: 0,
                    },
                )?,
                None => self.skip()?,
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.malformed()),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn wanted(&mut self, edge: &Edge, place: Place) -> Result<(), RowError> {
        match self.peek() {
            Some(b'[') => self.array(edge, place),
            Some(b'{') => self.object(place, edge.to),
            Some(b'"') => self.string(edge.kind, place),
            Some(b't' | b'f' | b'n') => self.word(place),
            Some(b'-' | b'0'..=b'9') => {
                let start = self.at;
                while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
                    self.at += 1;
                }
                self.push(place, NodeType::Number, self.span(start, self.at));
                Ok(())
            }
            _ => Err(self.malformed()),
        }
    }

    fn array(&mut self, edge: &Edge, place: Place) -> Result<(), RowError> {
        self.descend()?;
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        let mut ordinal = 0;
        loop {
            self.blanks();
            self.wanted(edge, Place { ordinal, ..place })?;
            ordinal += 1;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.malformed()),
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn word(&mut self, place: Place) -> Result<(), RowError> {
        let rest = &self.bytes[self.at..];
        let (length, kind) = if rest.starts_with(b"true") {
            (4, NodeType::Boolean(true))
        } else if rest.starts_with(b"false") {
            (5, NodeType::Boolean(false))
        } else if rest.starts_with(b"null") {
            (4, NodeType::Null)
        } else {
            return Err(self.malformed());
        };
        self.push(place, kind, self.span(self.at, self.at + length));
        self.at += length;
        Ok(())
    }

    fn string(&mut self, kind: TextKind, place: Place) -> Result<(), RowError> {
        let (start, end) = self.raw_string()?;
        let raw = &self.json[start..end];
        let text = if raw.contains('\\') {
            let made = self.tape.unescaped.len();
            unescape(raw, &mut self.tape.unescaped).ok_or_else(|| self.malformed())?;
            let length = self.tape.unescaped.len() - made;
            TextRef {
                origin: Origin::Unescaped,
                start: made as u32,
                length: length as u32,
            }
        } else {
            self.span(start, end)
        };
        self.push(place, NodeType::Text(kind), text);
        Ok(())
    }

    /// The bytes between two quotes, escapes left as they are.
    fn raw_string(&mut self) -> Result<(usize, usize), RowError> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(self.malformed()),
            }
        }
        self.at += 1;
        Ok((start, self.at - 1))
    }

    /// Passes over a value that nobody wants.
    fn skip(&mut self) -> Result<(), RowError> {
        match self.peek() {
            Some(b'"') => self.raw_string().map(|_| ()),
            Some(b'{' | b'[') => self.skip_brackets(),
            Some(_) => {
                while !matches!(
                    self.peek(),
                    None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
                ) {
                    self.at += 1;
                }
                Ok(())
            }
            None => Err(self.malformed()),
        }
    }

    fn skip_brackets(&mut self) -> Result<(), RowError> {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.raw_string()?;
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open -= 1,
                Some(_) => {}
                None => return Err(self.malformed()),
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
    }
}

/// Appends a JSON string's text; none where an escape is no escape.
fn unescape(raw: &str, out: &mut String) -> Option<()> {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        let mut used = at + 2;
        match escape {
            b'n' => out.push('\n'),
            b't' => out.push('\t'),
            b'r' => out.push('\r'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'"' | b'\\' | b'/' => out.push(char::from(escape)),
            b'u' => {
                let (character, length) = code_point(&rest[used..])?;
                out.push(character);
                used += length;
            }
            _ => return None,
        }
        rest = &rest[used..];
    }
    out.push_str(rest);
    Some(())
}

/// The character of `NNNN`, or of `NNNN\uNNNN` where the first is half a pair, and how long that is.
fn code_point(digits: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u32::from_str_radix(digits.get(at..at + 4)?, 16).ok();
    let first = unit(0)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 4));
    }
    let second = unit(6).filter(|_| digits.get(4..6) == Some("\\u"))?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)?, 10))
}
