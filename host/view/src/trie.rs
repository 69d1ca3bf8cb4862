//! Which fields a program reads, as a trie over JSON keys.
//!
//! The scan of a resource walks this trie along with the JSON and skips every subtree that it does not name. Where
//! a view descends without end (`repeat`), an edge leads back up, so the frozen trie may have cycles. It may name more than is read, never less.

mod table;

use std::collections::{BTreeMap, HashMap};

use crate::program::TextKind;
use crate::r4::TypeInfo;
use table::KeyTable;

/// A JSON key that a program knows.
pub(crate) type FieldId = u16;
/// A node of the trie.
pub(crate) type TrieId = usize;

/// All keys of a program.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    fields: Vec<Field>,
    ids: HashMap<String, FieldId>,
    shadowed: bool,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Field {
    /// The type of the values, where it is the same wherever the program reads the key.
    pub(crate) info: Option<&'static TypeInfo>,
    /// The key with `_` before it, where the program reads what hangs on the primitive.
    pub(crate) shadow: Option<FieldId>,
    /// Whether the key itself begins with `_`.
    pub(crate) is_shadow: bool,
}

impl Fields {
    /// The id of a key, made on first use; none once there are more than 65,535.
    pub(crate) fn intern(&mut self, key: &str, info: Option<&'static TypeInfo>) -> Option<FieldId> {
        if let Some(id) = self.ids.get(key) {
            let field = &mut self.fields[usize::from(*id)];
            if field.info != info {
                field.info = None;
            }
            return Some(*id);
        }
        let id = FieldId::try_from(self.fields.len()).ok()?;
        self.fields.push(Field {
            info,
            shadow: None,
            is_shadow: key.starts_with('_'),
        });
        self.ids.insert(key.to_owned(), id);
        Some(id)
    }

    pub(crate) fn get(&self, id: FieldId) -> &Field {
        &self.fields[usize::from(id)]
    }

    /// The key of a field.
    pub(crate) fn name(&self, id: FieldId) -> &str {
        let named = self.ids.iter().find(|(_, known)| **known == id);
        named.map_or("", |(key, _)| key.as_str())
    }

    /// Whether what hangs on any primitive is read.
    pub(crate) fn have_shadows(&self) -> bool {
        self.shadowed
    }

    fn set_shadow(&mut self, id: FieldId, shadow: FieldId) {
        self.fields[usize::from(id)].shadow = Some(shadow);
        self.shadowed = true;
    }
}

/// The trie while a program is compiled.
#[derive(Debug, Default)]
pub(crate) struct TrieBuilder {
    nodes: Vec<Growing>,
}

#[derive(Debug, Default)]
struct Growing {
    /// The node that this one was merged into.
    merged: Option<TrieId>,
    edges: BTreeMap<String, (FieldId, TrieId, TextKind)>,
    /// The node and the key that it hangs on.
    origin: Option<(TrieId, String)>,
}

impl TrieBuilder {
    pub(crate) fn add_root(&mut self) -> TrieId {
        self.nodes.push(Growing::default());
        self.nodes.len() - 1
    }

    /// Where a node is now that others were merged.
    pub(crate) fn find(&self, mut at: TrieId) -> TrieId {
        while let Some(next) = self.nodes[at].merged {
            at = next;
        }
        at
    }

    /// The root that a node was made below.
    pub(crate) fn top(&self, mut at: TrieId) -> TrieId {
        while let Some((parent, _)) = &self.nodes[at].origin {
            at = *parent;
        }
        at
    }

    /// The node under `key`, made on first use.
    pub(crate) fn child(&mut self, at: TrieId, key: &str, field: FieldId, kind: TextKind) -> TrieId {
        let at = self.find(at);
        if let Some((_, node, known)) = self.nodes[at].edges.get_mut(key) {
            if *known != kind {
                *known = TextKind::String;
            }
            return *node;
        }
        let node = self.nodes.len();
        self.nodes.push(Growing {
            origin: Some((at, key.to_owned())),
            ..Growing::default()
        });
        self.nodes[at].edges.insert(key.to_owned(), (field, node, kind));
        node
    }

    /// The node of what hangs on a primitive: its `id` and its extensions, under the key with `_` before it.
    pub(crate) fn shadow(&mut self, at: TrieId, fields: &mut Fields) -> Option<TrieId> {
        let (parent, key) = self.nodes[self.find(at)].origin.clone()?;
        if key.starts_with('_') {
            return Some(at);
        }
        let shadow_key = format!("_{key}");
        let field = fields.intern(&key, fields.ids.get(&key).and_then(|id| fields.get(*id).info))?;
        let shadow = fields.intern(&shadow_key, None)?;
        fields.set_shadow(field, shadow);
        Some(self.child(parent, &shadow_key, shadow, TextKind::String))
    }

    /// Makes two nodes one, and all that lies below them.
    pub(crate) fn merge(&mut self, one: TrieId, two: TrieId) {
        let mut pending = vec![(one, two)];
        while let Some((one, two)) = pending.pop() {
            let (one, two) = (self.find(one), self.find(two));
            if one == two {
                continue;
            }
            self.nodes[two].merged = Some(one);
            for (key, (field, node, kind)) in std::mem::take(&mut self.nodes[two].edges) {
                match self.nodes[one].edges.get_mut(&key) {
                    Some((_, other, known)) => {
                        if *known != kind {
                            *known = TextKind::String;
                        }
                        pending.push((*other, node));
                    }
                    None => {
                        self.nodes[one].edges.insert(key, (field, node, kind));
                    }
                }
            }
        }
    }

    /// The trie as the scan uses it.
    pub(crate) fn freeze(&self) -> Trie {
        let node = |growing: &Growing| TrieNode {
            table: KeyTable::new(growing.edges.keys().map(String::as_str)),
            edges: growing
                .edges
                .values()
                .map(|(field, to, kind)| Edge {
                    field: *field,
                    to: self.find(*to),
                    kind: *kind,
                })
                .collect(),
        };
        Trie {
            root: self.find(0),
            nodes: self.nodes.iter().map(node).collect(),
        }
    }
}

/// The trie as the scan uses it.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    /// The resource.
    pub(crate) root: TrieId,
    nodes: Vec<TrieNode>,
}

/// The keys that are wanted of an object.
#[derive(Debug)]
pub(crate) struct TrieNode {
    table: KeyTable,
    pub(crate) edges: Box<[Edge]>,
}

/// A key that is wanted of an object.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) field: FieldId,
    pub(crate) to: TrieId,
    /// What texts under the key mean.
    pub(crate) kind: TextKind,
}

impl Trie {
    /// The keys that are wanted below a node, and where they lead.
    pub(crate) fn keys(&self, at: TrieId) -> impl Iterator<Item = (&str, TrieId)> {
        let node = &self.nodes[at];
        let keys = node
            .table
            .keys()
            .map(|key| std::str::from_utf8(key).unwrap_or_default());
        keys.zip(node.edges.iter().map(|edge| edge.to))
    }

    pub(crate) fn node(&self, at: TrieId) -> &TrieNode {
        &self.nodes[at]
    }
}

impl TrieNode {
    /// The number of the edge whose key stands in a text from `start` to `end`; the key is compared as it is written,
    /// escapes and all.
    #[inline]
    pub(crate) fn find(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
        self.table.find(text, start, end)
    }

    /// The number of the edge of a field.
    pub(crate) fn edge_of(&self, field: FieldId) -> Option<usize> {
        self.edges.iter().position(|edge| edge.field == field)
    }
}
