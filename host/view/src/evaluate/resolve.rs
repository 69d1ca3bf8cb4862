//! References, followed to the resources that they name.
//!
//! Before a criterion is evaluated, what its references name is read onto its tape, one hop after the other. So
//! everything that is not at hand is asked for together, and evaluating is the same work with it as without.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use super::{Evaluator, fault};
use crate::cell::{Origin, TextRef};
use crate::criterion::Referenced;
use crate::error::RowError;
use crate::program::{Item, Program};
use crate::r4;
use crate::tape::{NodeType, Tape};
use crate::trie::{FieldId, TrieId};

/// How many different references of one change are followed. A list of more would be read whole with each change.
const MOST_REFERENCES: usize = 1_000;
/// The holder of a reference that does not depend on what holds it.
const ANYWHERE: u32 = u32::MAX;

/// Answers for the resource of a type and an id.
pub(crate) type Find<'f, 'a> = &'f dyn Fn(&str, &str) -> Referenced<'a>;

/// What a reference leads to.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Nothing,
    /// The root of a resource on the tape.
    At(u32),
    NotAtHand,
}

/// What the references on a tape lead to.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// By the node of the reference's text.
    outcomes: HashMap<u32, Outcome>,
    /// Whether something was wanted that is not at hand.
    is_incomplete: Cell<bool>,
}

impl Resolved {
    pub(crate) fn is_incomplete(&self) -> bool {
        self.is_incomplete.get()
    }
}

impl Evaluator<'_> {
    /// Replaces references by the resources that they name.
    pub(super) fn resolve(&mut self, base: usize) {
        let end = self.memory.stack.len();
        for position in base..end {
            let Item::Node(at) = self.memory.stack[position] else {
                continue;
            };
            match self.resolved_to(at) {
                Outcome::At(root) => self.push(Item::Node(root)),
                Outcome::Nothing => {}
                Outcome::NotAtHand => {
                    if let Some(resolved) = self.resolved {
                        resolved.is_incomplete.set(true);
                    }
                }
            }
        }
        self.drop_old(base, end);
    }

    fn resolved_to(&self, reference: u32) -> Outcome {
        let text = self.first_child(reference, self.program.resolution.reference);
        let outcomes = self.resolved.map(|resolved| &resolved.outcomes);
        text.zip(outcomes)
            .and_then(|(text, outcomes)| outcomes.get(&text))
            .copied()
            .unwrap_or(Outcome::Nothing)
    }
}

/// Reads what references name.
pub(crate) struct Follower<'f, 'a> {
    program: &'f Program,
    tape: &'f mut Tape,
    /// The texts of the tape; a resource that is found is one more.
    sources: &'f mut Vec<&'a str>,
    find: Find<'f, 'a>,
    /// What was followed, by its holder where that matters, and by its text.
    followed: HashMap<(u32, String), Outcome>,
    /// The resource that holds a contained one.
    holders: HashMap<u32, u32>,
}

impl<'f, 'a> Follower<'f, 'a> {
    pub(crate) fn new(
        program: &'f Program,
        tape: &'f mut Tape,
        sources: &'f mut Vec<&'a str>,
        find: Find<'f, 'a>,
    ) -> Self {
        Self {
            program,
            tape,
            sources,
            find,
            followed: HashMap::new(),
            holders: HashMap::new(),
        }
    }

    /// Follows all references on the tape, and those of what they lead to, as far as the program does.
    pub(crate) fn follow(mut self) -> Result<Resolved, RowError> {
        let mut resolved = Resolved::default();
        let mut seen = 0;
        for _ in 0..self.program.resolution.hops {
            let new = seen..self.tape.nodes.len();
            seen = new.end;
            for at in new {
                let node = self.tape.nodes[at];
                let is_reference = node.field == self.program.resolution.reference;
                if is_reference && matches!(node.kind, NodeType::Text(_)) {
                    let at = at as u32;
                    resolved.outcomes.insert(at, self.followed(at)?);
                }
            }
        }
        Ok(resolved)
    }

    /// What the reference of a text leads to, read once.
    fn followed(&mut self, at: u32) -> Result<Outcome, RowError> {
        let text = self.text(self.tape.nodes[at as usize].text).to_owned();
        let holder = match text.starts_with('#') {
            true => self.holder(at),
            false => ANYWHERE,
        };
        let reference = (holder, text);
        if let Some(outcome) = self.followed.get(&reference) {
            return Ok(*outcome);
        }
        if self.followed.len() == MOST_REFERENCES {
            return Err(fault(format!(
                "more than {MOST_REFERENCES} references to resolve"
            )));
        }
        let outcome = match reference.1.strip_prefix('#') {
            Some(id) => self.contained(holder, id)?,
            None => self.found(&reference.1)?,
        };
        self.followed.insert(reference, outcome);
        Ok(outcome)
    }

    /// What a relative reference leads to.
    fn found(&mut self, reference: &str) -> Result<Outcome, RowError> {
        let Some((resource_type, id)) = key_of(reference) else {
            return Ok(Outcome::Nothing);
        };
        let bytes = match (self.find)(resource_type, id) {
            Referenced::Resource(bytes) => bytes,
            Referenced::Nothing => return Ok(Outcome::Nothing),
            Referenced::NotAtHand => return Ok(Outcome::NotAtHand),
        };
        let source = self.sources.len() as u16;
        let place = (&self.program.trie, self.place(resource_type));
        let (text, root) = self.tape.read_part(bytes, 0..bytes.len(), source, place)?;
        self.sources.push(text);
        Ok(Outcome::At(root))
    }

    /// The contained resource of an id; without an id the holder itself.
    fn contained(&mut self, holder: u32, id: &str) -> Result<Outcome, RowError> {
        let resolution = &self.program.resolution;
        let found = match id {
            "" => Some(holder),
            _ => self
                .children(holder, resolution.contained)
                .into_iter()
                .find(|at| {
                    let ids = self.children(*at, resolution.id);
                    ids.into_iter().any(|own| self.node_text(own) == Some(id))
                }),
        };
        let Some(found) = found else {
            return Ok(Outcome::Nothing);
        };
        let types = self.children(found, resolution.resource_type);
        let resource_type = types.first().and_then(|at| self.node_text(*at));
        let place = self.place(resource_type.unwrap_or_default());
        let span = self.tape.nodes[found as usize].text;
        let Origin::Source(source) = span.origin else {
            return Ok(Outcome::Nothing);
        };
        let whole = self.sources[usize::from(source)];
        let place = (&self.program.trie, place);
        let (_, root) = self
            .tape
            .read_part(whole.as_bytes(), range(span), source, place)?;
        self.holders.insert(root, holder);
        Ok(Outcome::At(root))
    }

    /// What is read of a resource of a type.
    fn place(&self, resource_type: &str) -> TrieId {
        let resolution = &self.program.resolution;
        let own = resolution.roots.get(resource_type);
        own.copied().unwrap_or(resolution.any)
    }

    /// The resource that a node belongs to; for one within a contained resource the one that contains it.
    fn holder(&self, mut at: u32) -> u32 {
        while self.tape.nodes[at as usize].parent != at {
            at = self.tape.nodes[at as usize].parent;
        }
        self.holders.get(&at).copied().unwrap_or(at)
    }

    fn children(&self, at: u32, field: FieldId) -> Vec<u32> {
        let end = self.tape.nodes[at as usize].end;
        let mut found = Vec::new();
        let mut next = at + 1;
        while next < end {
            let child = &self.tape.nodes[next as usize];
            if child.field == field {
                found.push(next);
            }
            next = child.end;
        }
        found
    }

    fn node_text(&self, at: u32) -> Option<&str> {
        let node = &self.tape.nodes[at as usize];
        matches!(node.kind, NodeType::Text(_)).then(|| self.text(node.text))
    }

    fn text(&self, text: TextRef) -> &str {
        let whole = match text.origin {
            Origin::Source(number) => self.sources[usize::from(number)],
            _ => &self.tape.unescaped,
        };
        &whole[range(text)]
    }
}

fn range(text: TextRef) -> Range<usize> {
    let start = text.start as usize;
    start..start + text.length as usize
}

/// The type and the id in `Patient/1` or `Patient/1/_history/2`, whose version is not looked at. What is elsewhere, or
/// names its resource in another way, is not resolved.
fn key_of(reference: &str) -> Option<(&str, &str)> {
    let mut parts = reference.split('/');
    let (resource_type, id) = (parts.next()?, parts.next()?);
    let is_key = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => true,
        (Some("_history"), Some(version), None) => !version.is_empty(),
        _ => false,
    };
    let is_id = !id.is_empty() && !id.contains(['?', '#', '|', ':']);
    (is_key && is_id && r4::is_resource_type(resource_type)).then_some((resource_type, id))
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn a_relative_reference_names_a_resource_and_any_other_does_not() {
        assert_eq!(key_of("Patient/p-1"), Some(("Patient", "p-1")));
        assert_eq!(key_of("Patient/p-1/_history/2"), Some(("Patient", "p-1")));
        for nothing in [
            "",
            "Patient",
            "Patient/",
            "/Patient/1",
            "Nothing/1",
            "Patient/1/_history",
            "Patient/1/_history/",
            "Patient/1/x/2",
            "Patient?identifier=a|b",
            "urn:uuid:1",
            "https://a.example/fhir/Patient/1",
        ] {
            assert_eq!(key_of(nothing), None, "{nothing}");
        }
    }
}
