//! One pass over the JSON of a resource that keeps only what a program reads.
//!
//! The tape is a flat list of nodes in document order. Arrays leave no node of their own: their members stand one
//! after the other under the same field, as FHIRPath sees them. An object is followed by its wanted children; its
//! `end` is where they stop, so a reader skips it in one step. Text is a span of the resource's own bytes, unless it
//! held escapes.
//!
//! The pass enters what the trie of a program names and skips everything else by its marks ([`crate::scan`]), without
//! looking at it. So of any text whatever that becomes a tape this much is known: it is UTF-8; its quotes pair up, and
//! outside of strings as many brackets close as open, never more than are open; what was kept, and what was passed over
//! on the way to it, obeys the grammar of JSON. A wanted key that stands in its object twice is refused; but once an
//! object has given all that is wanted of it, the rest of it is skipped as well. A resource that was checked when it
//! entered obeys the grammar as a whole, and has no key twice.

mod walk;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::cell::{Origin, TextRef};
use crate::error::{Code, RowError};
use crate::program::TextKind;
use crate::scan::Marks;
use crate::trie::{FieldId, Trie, TrieId};
use walk::Walk;

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
    /// Where in `Tape::below` stands what is known of its children.
    below: u32,
}

/// The wanted values of one resource, or of the versions that a criterion compares.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) nodes: Vec<TapeNode>,
    /// For each object its node in the trie, then for each edge of that where the first child stands, or zero.
    below: Vec<u32>,
    /// Strings that held escapes.
    pub(crate) unescaped: String,
    marks: Marks,
}

/// What stands in `Tape::below` for all nodes that are no objects.
const NO_OBJECT: u32 = u32::MAX;

/// An edge of the trie: where to look first for children of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EdgeId {
    pub(crate) field: FieldId,
    /// The node of the trie that objects are expected to be at.
    pub(crate) place: u32,
    pub(crate) edge: u32,
}

impl Tape {
    /// A tape that is written without vector instructions, whatever the machine has.
    pub(crate) fn portable() -> Self {
        let mut tape = Self::default();
        tape.marks.is_portable = true;
        tape
    }

    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.below.clear();
        self.unescaped.clear();
    }

    /// Reads a resource and answers it as text, and where its root stands. `source` is its number among those on the
    /// tape.
    pub(crate) fn read<'t>(
        &mut self,
        json: &'t [u8],
        source: u16,
        trie: &Trie,
    ) -> Result<(&'t str, u32), RowError> {
        self.read_part(json, 0..json.len(), source, (trie, trie.root))
    }

    /// Reads the resource that is a part of a text, by another root of the trie than the first.
    pub(crate) fn read_part<'t>(
        &mut self,
        json: &'t [u8],
        part: Range<usize>,
        source: u16,
        (trie, place): (&Trie, TrieId),
    ) -> Result<(&'t str, u32), RowError> {
        if json.len() > u32::MAX as usize {
            return Err(RowError::new(Code::TooDeep, "a resource of more than 4 GiB"));
        }
        let bytes = json.get(part.clone()).unwrap_or_default();
        let malformed = || RowError::new(Code::MalformedResource, "the resource is not UTF-8");
        let (text, marks) = self.marks.read(bytes).ok_or_else(malformed)?;
        if self.below.is_empty() {
            self.below.push(NO_OBJECT);
        }
        let root = self.nodes.len() as u32;
        let kept = (&mut self.nodes, &mut self.below, &mut self.unescaped);
        Walk::new((text, part.start, source), (marks, trie), kept).resource(place)?;
        Ok((text, root))
    }

    /// The text of a node, given the texts that the tape was read from.
    pub(crate) fn text<'t>(&'t self, text: TextRef, sources: &[&'t str]) -> &'t str {
        let whole = match text.origin {
            Origin::Source(number) => sources[usize::from(number)],
            _ => &self.unescaped,
        };
        &whole[text.start as usize..(text.start + text.length) as usize]
    }

    /// The children of a node under a field, which stand one after the other.
    #[inline]
    pub(crate) fn children(&self, at: u32, edge: EdgeId) -> impl Iterator<Item = u32> {
        let node = &self.nodes[at as usize];
        let mut next = self.first_child(at, node, edge);
        std::iter::from_fn(move || {
            let child = self.nodes.get(next as usize).filter(|_| next < node.end)?;
            let found = next;
            next = child.end;
            (child.field == edge.field).then_some(found)
        })
    }

    /// The one child of a node under a field; none where there are several.
    #[inline]
    pub(crate) fn only_child(&self, at: u32, edge: EdgeId) -> Option<&TapeNode> {
        let node = &self.nodes[at as usize];
        let child = |at: u32| {
            let child = self.nodes.get(at as usize).filter(|_| at < node.end);
            child.filter(|child| child.field == edge.field)
        };
        let only = child(self.first_child(at, node, edge))?;
        child(only.end).is_none().then_some(only)
    }

    /// Where the first child of a field would stand; what stands there need not be one.
    fn first_child(&self, at: u32, node: &TapeNode, edge: EdgeId) -> u32 {
        let below = node.below as usize;
        if self.below[below] == edge.place {
            return match self.below[below + 1 + edge.edge as usize] {
                0 => node.end,
                first => first,
            };
        }
        let mut next = at + 1;
        while next < node.end && self.nodes[next as usize].field != edge.field {
            next = self.nodes[next as usize].end;
        }
        next
    }
}
