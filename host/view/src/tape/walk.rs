//! The walk over a resource that writes the tape.

use std::ops::Range;

use super::{NodeType, TapeNode};
use crate::cell::{Origin, TextRef};
use crate::error::{Code, RowError};
use crate::json;
use crate::program::TextKind;
use crate::scan::Marked;
use crate::trie::{Edge, FieldId, Trie, TrieId};

/// How deep a resource may be nested along wanted fields.
const MAX_DEPTH: usize = 256;

/// Where a node will stand.
#[derive(Clone, Copy)]
struct Place {
    field: FieldId,
    parent: u32,
    ordinal: u32,
}

/// The walk, at a byte of the text.
pub(super) struct Walk<'a> {
    text: &'a str,
    /// Where the text begins in its source.
    begin: usize,
    at: usize,
    source: u16,
    marks: Marked<'a>,
    trie: &'a Trie,
    nodes: &'a mut Vec<TapeNode>,
    below: &'a mut Vec<u32>,
    unescaped: &'a mut String,
    depth: usize,
    fault: Fault,
}

/// The walk cannot go on; `Walk::fault` says why. It is nothing itself, so that every step answers in a register.
struct Halt;

type Walked = Result<(), Halt>;

/// Why a walk cannot go on.
enum Fault {
    /// The byte at hand is not what JSON has there.
    Malformed,
    TooDeep,
    /// A key stands for the second time in its object.
    Twice(Range<usize>),
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        (text, begin, source): (&'a str, usize, u16),
        (marks, trie): (Marked<'a>, &'a Trie),
        tape: (&'a mut Vec<TapeNode>, &'a mut Vec<u32>, &'a mut String),
    ) -> Self {
        let (nodes, below, unescaped) = tape;
        Self {
            text,
            begin,
            at: 0,
            source,
            marks,
            trie,
            nodes,
            below,
            unescaped,
            depth: 0,
            fault: Fault::Malformed,
        }
    }

    /// Reads the one object that the text is.
    pub(super) fn resource(mut self, place: TrieId) -> Result<(), RowError> {
        self.whole(place).map_err(|Halt| self.refusal())
    }

    #[cold]
    fn refusal(&self) -> RowError {
        let at = self.begin + self.at.min(self.text.len());
        let malformed = |reason| RowError::new(Code::MalformedResource, reason);
        match &self.fault {
            Fault::Malformed => malformed(format!("not the JSON of a resource, at byte {at}")),
            Fault::TooDeep => RowError::new(Code::TooDeep, format!("nested deeper than {MAX_DEPTH}")),
            // The key is one that the program names, so it may be shown.
            Fault::Twice(key) => {
                let (at, key) = (
                    self.begin + key.start - 1,
                    self.text.get(key.clone()).unwrap_or_default(),
                );
                malformed(format!("an object has the key `{key}` twice, at byte {at}"))
            }
        }
    }

    fn whole(&mut self, place: TrieId) -> Walked {
        if self.sign() != b'{' {
            return Err(Halt);
        }
        let parent = self.nodes.len() as u32;
        let root = Place {
            field: FieldId::MAX,
            parent,
            ordinal: 0,
        };
        self.object(root, place)?;
        self.sign();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(Halt)
        }
    }

    /// The byte at hand; zero, which stands nowhere in JSON, behind the end.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Passes over blanks and answers the sign behind them.
    fn sign(&mut self) -> u8 {
        let mut sign = self.peek();
        while sign <= b' ' && matches!(sign, b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
            sign = self.peek();
        }
        sign
    }

    fn descend(&mut self) -> Walked {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.fault = Fault::TooDeep;
            return Err(Halt);
        }
        Ok(())
    }

    fn push(&mut self, place: Place, kind: NodeType, text: TextRef) {
        let end = self.nodes.len() as u32 + 1;
        let Place {
            field,
            parent,
            ordinal,
        } = place;
        self.nodes.push(TapeNode {
            field,
            kind,
            text,
            end,
            parent,
            ordinal,
            below: 0,
        });
    }

    fn span(&self, start: usize, end: usize) -> TextRef {
        TextRef {
            origin: Origin::Source(self.source),
            start: (self.begin + start) as u32,
            length: (end - start) as u32,
        }
    }

    fn object(&mut self, place: Place, node: TrieId) -> Walked {
        self.descend()?;
        let (start, index) = (self.at, self.nodes.len());
        self.push(place, NodeType::Object, self.span(start, start));
        let edges = &self.trie.node(node).edges;
        if edges.is_empty() {
            self.skip_brackets()?;
        } else {
            let below = self.below.len();
            self.below.push(node as u32);
            self.below.resize(below + 1 + edges.len(), 0);
            self.nodes[index].below = below as u32;
            self.at += 1;
            if self.sign() == b'}' {
                self.at += 1;
            } else {
                self.members(index as u32, node, below + 1)?;
            }
        }
        let (text, end) = (self.span(start, self.at), self.nodes.len() as u32);
        let object = &mut self.nodes[index];
        object.text = text;
        object.end = end;
        self.depth -= 1;
        Ok(())
    }

    /// The members of an object, from the first key to behind the brace. `firsts` is where in `below` its children go.
    ///
    /// Once all that is wanted was read, nothing more of the object is looked at.
    fn members(&mut self, parent: u32, node: TrieId, firsts: usize) -> Walked {
        let trie_node = self.trie.node(node);
        let mut missing = trie_node.edges.len();
        loop {
            let (start, end, _) = self.quoted()?;
            if self.sign() != b':' {
                return Err(Halt);
            }
            self.at += 1;
            match trie_node.find(self.text.as_bytes(), start, end) {
                Some(number) => {
                    let first = &mut self.below[firsts + number];
                    if *first != 0 {
                        self.fault = Fault::Twice(start..end);
                        return Err(Halt);
                    }
                    *first = self.nodes.len() as u32;
                    let edge = &trie_node.edges[number];
                    let place = Place {
                        field: edge.field,
                        parent,
                        ordinal: 0,
                    };
                    self.wanted(edge, place)?;
                    missing -= 1;
                    if missing == 0 {
                        return self.skip_to_end(1, b'}');
                    }
                }
                None => self.skip()?,
            }
            match self.sign() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(Halt),
            }
        }
        self.at += 1;
        Ok(())
    }

    #[inline(always)]
    fn wanted(&mut self, edge: &Edge, place: Place) -> Walked {
        match self.sign() {
            // Most values are texts.
            b'"' => self.string(edge.kind, place),
            sign => self.other(sign, edge, place),
        }
    }

    fn other(&mut self, sign: u8, edge: &Edge, place: Place) -> Walked {
        match sign {
            b'{' => self.object(place, edge.to),
            b'[' => self.array(edge, place),
            b't' => self.word("true", NodeType::Boolean(true), place),
            b'f' => self.word("false", NodeType::Boolean(false), place),
            b'n' => self.word("null", NodeType::Null, place),
            _ => self.number(place),
        }
    }

    fn array(&mut self, edge: &Edge, place: Place) -> Walked {
        self.descend()?;
        self.at += 1;
        let mut ordinal = 0;
        if self.sign() != b']' {
            loop {
                self.wanted(edge, Place { ordinal, ..place })?;
                ordinal += 1;
                match self.sign() {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return Err(Halt),
                }
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn word(&mut self, word: &str, kind: NodeType, place: Place) -> Walked {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Halt);
        }
        self.push(place, kind, self.span(self.at, self.at + word.len()));
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self, place: Place) -> Walked {
        let start = self.at;
        self.eat(b"-");
        if !self.eat(b"0") {
            self.digits()?;
        }
        if self.eat(b".") {
            self.digits()?;
        }
        if self.eat(b"eE") {
            self.eat(b"+-");
            self.digits()?;
        }
        self.push(place, NodeType::Number, self.span(start, self.at));
        Ok(())
    }

    fn eat(&mut self, any_of: &[u8]) -> bool {
        let is_there = any_of.contains(&self.peek());
        self.at += usize::from(is_there);
        is_there
    }

    /// At least one digit.
    fn digits(&mut self) -> Walked {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start { Err(Halt) } else { Ok(()) }
    }

    #[inline(always)]
    fn string(&mut self, kind: TextKind, place: Place) -> Walked {
        let (start, end, is_plain) = self.quoted()?;
        let text = if is_plain {
            self.span(start, end)
        } else {
            self.unescape(start, end)?
        };
        self.push(place, NodeType::Text(kind), text);
        Ok(())
    }

    /// Keeps what a string with escapes means.
    #[cold]
    fn unescape(&mut self, start: usize, end: usize) -> Result<TextRef, Halt> {
        let raw = self.text.as_bytes().get(start..end).unwrap_or_default();
        let made = self.unescaped.len();
        let is_text =
            raw.iter().all(|byte| *byte >= b' ') && json::unescape_into(raw, self.unescaped).is_ok();
        if !is_text {
            self.at = start;
            return Err(Halt);
        }
        Ok(TextRef {
            origin: Origin::Unescaped,
            start: made as u32,
            length: (self.unescaped.len() - made) as u32,
        })
    }

    /// Passes over a string and answers where the text between its quotes is, and whether it is plain.
    #[inline(always)]
    fn quoted(&mut self) -> Result<(usize, usize, bool), Halt> {
        if self.sign() != b'"' {
            return Err(Halt);
        }
        let start = self.at + 1;
        match self.marks.string_end(start) {
            Some((end, is_plain)) => {
                self.at = end + 1;
                Ok((start, end, is_plain))
            }
            None => Err(self.cut()),
        }
    }

    /// Passes over a value that nobody wants.
    fn skip(&mut self) -> Walked {
        match self.sign() {
            b'"' => self.quoted().map(|_| ()),
            b'{' | b'[' => self.skip_brackets(),
            _ => {
                let start = self.at;
                let is_end = |byte| matches!(byte, 0..=b' ' | b'"' | b',' | b'[' | b']' | b'{' | b'}');
                while !is_end(self.peek()) {
                    self.at += 1;
                }
                if self.at == start { Err(Halt) } else { Ok(()) }
            }
        }
    }

    /// Passes over an object or an array; that it ends with the bracket it begins with is all that is looked at.
    fn skip_brackets(&mut self) -> Walked {
        // Two signs after `[` is `]`, and so it is with braces.
        let close = self.peek() + 2;
        self.skip_to_end(0, close)
    }

    /// Passes over everything until what is open, `depth` of it, has closed, which must be with a certain bracket.
    fn skip_to_end(&mut self, depth: u32, close: u8) -> Walked {
        let Some(end) = self.marks.closing(self.at, depth) else {
            return Err(self.cut());
        };
        self.at = end;
        if self.peek() != close {
            return Err(Halt);
        }
        self.at += 1;
        Ok(())
    }

    /// The refusal of a text that ends within a value.
    #[cold]
    fn cut(&mut self) -> Halt {
        self.at = self.text.len();
        Halt
    }
}
