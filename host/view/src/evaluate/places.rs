//! Fast steps: the places of a context, and what columns make of them. What is fast is chosen in `compile::places`.

use std::ops::Range;

use super::compare::equal_texts;
use super::{Evaluator, fault};
use crate::cell::{Origin, TextRef};
use crate::error::RowError;
use crate::program::{Condition, Hop, Item, Place, TextKind, Value};
use crate::tape::{EdgeId, NodeType, Tape, TapeNode};

/// The places of the contexts at hand, the innermost last.
#[derive(Debug, Default)]
pub(crate) struct Found {
    nodes: Vec<u32>,
    /// For each place where its nodes begin and end.
    ranges: Vec<(u32, u32)>,
}

/// Where the places of one context begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    ranges: usize,
    nodes: usize,
}

impl Found {
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.ranges.clear();
    }

    /// The nodes of a place.
    pub(crate) fn nodes(&self, frame: Frame, place: usize) -> &[u32] {
        let (start, end) = self.ranges[frame.ranges + place];
        &self.nodes[start as usize..end as usize]
    }

    fn push(&mut self, start: usize) {
        self.ranges.push((start as u32, self.nodes.len() as u32));
    }
}

/// What places are found in.
#[derive(Clone, Copy)]
struct Reader<'a> {
    tape: &'a Tape,
    sources: &'a [&'a str],
    literals: &'a str,
}

impl<'a> Evaluator<'a> {
    fn reader(&self) -> Reader<'a> {
        Reader {
            tape: self.tape,
            sources: self.sources,
            literals: &self.program.literals,
        }
    }

    /// Finds the places of a context; none where the context is such that only the interpreter knows its children.
    pub(super) fn enter(&mut self, places: &[Place], context: Item) -> Option<Frame> {
        let Item::Node(at) = context else { return None };
        if self.node(at).kind != NodeType::Object && self.program.fields.have_shadows() {
            return None;
        }
        let reader = self.reader();
        let found = &mut self.memory.found;
        let frame = Frame {
            ranges: found.ranges.len(),
            nodes: found.nodes.len(),
        };
        found.nodes.push(at);
        found.push(frame.nodes);
        for place in places {
            let start = found.nodes.len();
            let (from, to) = found.ranges[frame.ranges + place.from];
            match (to - from, &*place.hop.edges, &*place.hop.conditions) {
                (0, ..) => {}
                // One node and one edge without conditions: so most places are.
                (1, [edge], []) => {
                    reader.follow(found.nodes[from as usize], *edge, place.first, &mut found.nodes)
                }
                _ => reader.find(from..to, place, &mut found.nodes),
            }
            found.push(start);
        }
        Some(frame)
    }

    /// Forgets the places of a context and of all those within it.
    pub(super) fn leave(&mut self, frame: Option<Frame>) {
        if let Some(frame) = frame {
            self.memory.found.ranges.truncate(frame.ranges);
            self.memory.found.nodes.truncate(frame.nodes);
        }
    }

    /// Pushes what a column that takes fast steps gives.
    pub(super) fn give(&mut self, value: &Value, frame: Frame) -> Result<(), RowError> {
        let memory = &mut *self.memory;
        match value {
            Value::Nodes(place) => {
                let nodes = memory.found.nodes(frame, *place);
                memory.stack.extend(nodes.iter().map(|at| Item::Node(*at)));
            }
            Value::Exists(place, wanted) => {
                let exists = !memory.found.nodes(frame, *place).is_empty();
                memory.stack.push(Item::Boolean(exists == *wanted));
            }
            Value::Count(place) => {
                let count = memory.found.nodes(frame, *place).len();
                memory.stack.push(Item::Integer(count as i64));
            }
            Value::Join(place, separator) => {
                let joined = self.joined(frame, *place, *separator)?;
                self.memory.stack.extend(joined);
            }
            Value::Keys {
                place,
                reference,
                wanted,
            } => {
                for number in 0..memory.found.nodes(frame, *place).len() {
                    let at = self.memory.found.nodes(frame, *place)[number];
                    let key = self.key(at, *reference, wanted.as_deref());
                    self.memory.stack.extend(key);
                }
            }
            Value::General => {}
        }
        Ok(())
    }

    fn key(&self, at: u32, reference: EdgeId, wanted: Option<&str>) -> Option<Item> {
        let is_text = |child: &u32| matches!(self.node(*child).kind, NodeType::Text(_));
        let child = self.tape.children(at, reference).find(is_text)?;
        self.key_in(self.node(child).text, wanted)
    }

    /// The text of all nodes of a place, with a separator between them; none where there is no text.
    fn joined(
        &mut self,
        frame: Frame,
        place: usize,
        separator: Option<TextRef>,
    ) -> Result<Option<Item>, RowError> {
        let reader = self.reader();
        let (nodes, made) = (self.memory.found.nodes(frame, place), &mut self.memory.made);
        let node = |at: u32| &reader.tape.nodes[at as usize];
        if let [only] = *nodes
            && node(only).kind != NodeType::Object
        {
            return Ok(Some(Item::Text(TextKind::String, node(only).text)));
        }
        let separator = separator.map_or("", |separator| reader.literal(separator));
        let start = made.len();
        for (number, at) in nodes.iter().enumerate() {
            if node(*at).kind == NodeType::Object {
                return Err(fault("an object where text belongs"));
            }
            if number > 0 {
                made.push_str(separator);
            }
            made.push_str(reader.text(*at));
        }
        let text = TextRef {
            origin: Origin::Made,
            start: start as u32,
            length: (made.len() - start) as u32,
        };
        Ok((!nodes.is_empty()).then_some(Item::Text(TextKind::String, text)))
    }
}

impl<'a> Reader<'a> {
    fn text(self, at: u32) -> &'a str {
        self.tape.text(self.tape.nodes[at as usize].text, self.sources)
    }

    fn literal(self, text: TextRef) -> &'a str {
        &self.literals[text.start as usize..(text.start + text.length) as usize]
    }

    /// Finds the children of a node, or the first of them.
    #[inline(always)]
    fn follow(self, at: u32, edge: EdgeId, first: bool, nodes: &mut Vec<u32>) {
        for child in self.tape.children(at, edge) {
            if self.tape.nodes[child as usize].kind != NodeType::Null {
                nodes.push(child);
                if first {
                    return;
                }
            }
        }
    }

    /// Finds the nodes of a place, given where those are that it begins at.
    #[inline(never)]
    fn find(self, from: Range<u32>, place: &Place, nodes: &mut Vec<u32>) {
        let start = nodes.len();
        for position in from {
            self.hop(nodes[position as usize], place, nodes);
            if place.first && nodes.len() > start {
                break;
            }
        }
    }

    /// Finds the children of a node that a place has.
    fn hop(self, at: u32, place: &Place, nodes: &mut Vec<u32>) {
        let start = nodes.len();
        for edge in &place.hop.edges {
            for child in self.tape.children(at, *edge) {
                if self.meets(child, &place.hop.conditions) {
                    nodes.push(child);
                    if place.first {
                        break;
                    }
                }
            }
        }
        if place.hop.edges.len() > 1 {
            nodes[start..].sort_unstable();
            if place.first {
                nodes.truncate(start + 1);
            }
        }
    }

    fn meets(self, at: u32, conditions: &[Condition]) -> bool {
        self.tape.nodes[at as usize].kind != NodeType::Null
            && conditions.iter().all(|condition| match condition {
                Condition::Is(edge, text) => self.is_text(at, *edge, self.literal(*text)),
                Condition::Exists(hops) => self.leads_on(at, hops),
            })
    }

    /// Whether the child of an edge is one, and equals a text.
    fn is_text(self, at: u32, edge: EdgeId, text: &str) -> bool {
        if let Some(only) = self.tape.only_child(at, edge) {
            return self.equals(only, text);
        }
        // Of several that are null but for one, that one counts.
        let node = |child: u32| &self.tape.nodes[child as usize];
        let children = self.tape.children(at, edge).map(node);
        let mut valued = children.filter(|child| child.kind != NodeType::Null);
        valued.next().is_some_and(|first| self.equals(first, text)) && valued.next().is_none()
    }

    fn equals(self, node: &TapeNode, text: &str) -> bool {
        match node.kind {
            NodeType::Text(TextKind::String) if node.text.length as usize != text.len() => false,
            NodeType::Text(kind) => {
                let own = self.tape.text(node.text, self.sources);
                equal_texts((kind, own), (TextKind::String, text)) == Some(true)
            }
            _ => false,
        }
    }

    /// Whether some node is at the end of the hops.
    fn leads_on(self, at: u32, hops: &[Hop]) -> bool {
        let Some((hop, rest)) = hops.split_first() else {
            return true;
        };
        let leads_on = |child| self.meets(child, &hop.conditions) && self.leads_on(child, rest);
        let mut edges = hop.edges.iter();
        edges.any(|edge| self.tape.children(at, *edge).any(leads_on))
    }
}
