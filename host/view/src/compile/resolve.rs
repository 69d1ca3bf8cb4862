//! `resolve()`: from a reference to the resource that it names.
//!
//! Only a criterion has it. A view sees one resource, so that its rows depend on nothing else.

use super::function::Call;
use super::shape::{Alternative, Known, Shape};
use super::types::extend;
use super::{Compiled, Compiler, Failed};
use crate::error::Code;
use crate::fhirpath::Node;
use crate::program::{Step, TextKind};
use crate::r4::{self, TypeInfo};
use crate::trie::TrieId;

/// How many references in a row are followed: each is one more read while a change is written.
const MOST_HOPS: usize = 3;

impl Compiler {
    pub(super) fn resolve(&mut self, target: Option<&Node>, call: &Call<'_>) -> Compiled {
        self.arity(call, 0, 0, "resolve()")?;
        let (expr, shape) = self.target(target, call.scope)?;
        if shape.is_empty() {
            return Ok((expr, shape));
        }
        if self.lenient {
            let remedy = format!("write the steps out, {MOST_HOPS} at most");
            return Err(self.fail(Code::Unsupported, call.at, "`resolve()` within `repeat`", remedy));
        }
        let references = self.references(&shape, call.at)?;
        let mut resources = Shape::default();
        for reference in &references {
            self.read_contained(reference);
            resources = resources.and(self.resources(reference));
        }
        // The text of each reference is read as if a path had named it.
        self.element(
            (
                crate::program::Expr::This,
                Shape {
                    alternatives: references,
                },
            ),
            "reference",
            call.at,
        )?;
        Ok((extend(expr, Step::Resolve), resources))
    }

    /// The references among what `resolve()` is called on; what is none gives nothing.
    fn references(&mut self, shape: &Shape, at: usize) -> Result<Vec<Alternative>, Failed> {
        let is_reference = |one: &&Alternative| match one.known {
            Known::Fhir(info) => info.is_a("Reference"),
            Known::Any => one.place.is_some(),
            Known::System(_) => false,
        };
        let references: Vec<Alternative> = shape.alternatives.iter().filter(is_reference).copied().collect();
        if references.is_empty() {
            let problem = format!("`resolve()` of {}", shape.described());
            let remedy = "call it on a reference, such as `subject.resolve()`";
            return Err(self.fail(Code::BadOperands, at, problem, remedy));
        }
        let hops = references.iter().map(|one| one.hops + 1).max().unwrap_or(1);
        if hops > MOST_HOPS {
            let problem = format!("`resolve()` behind {MOST_HOPS} others");
            let remedy = format!("follow at most {MOST_HOPS} references in a row");
            return Err(self.fail(Code::TooLarge, at, problem, remedy));
        }
        let known = &mut self.program.resolution.hops;
        *known = hops.max(*known);
        Ok(references)
    }

    /// What a reference may be resolved to: a resource of each type that it may point at.
    fn resources(&mut self, reference: &Alternative) -> Shape {
        let hops = reference.hops + 1;
        let of = |known, place| Alternative {
            known,
            place,
            targets: &[],
            hops,
        };
        let infos: Option<Vec<&'static TypeInfo>> = reference
            .targets
            .iter()
            .map(|target| r4::type_named(target).filter(|info| info.is_resource()))
            .collect();
        let alternatives = match infos.filter(|infos| !infos.is_empty()) {
            Some(infos) => infos
                .into_iter()
                .map(|info| of(Known::Fhir(info), Some(self.resolved_root(info))))
                .collect(),
            // Any: nothing is known of it until `ofType` says what is meant.
            None => r4::type_named("Resource")
                .map(|info| of(Known::Fhir(info), None))
                .into_iter()
                .collect(),
        };
        self.other_root();
        Shape { alternatives }
    }

    /// The alternative, with the place of its type if it is a resolved resource that was untyped until now.
    pub(super) fn placed(&mut self, alternative: Alternative) -> Alternative {
        match alternative.known {
            Known::Fhir(info) if alternative.is_untyped() && info.is_resource() => Alternative {
                place: Some(self.resolved_root(info)),
                ..alternative
            },
            _ => alternative,
        }
    }

    /// Where resources of a type are read from, once they are resolved.
    fn resolved_root(&mut self, info: &'static TypeInfo) -> TrieId {
        if let Some(root) = self.program.resolution.roots.get(info.name()) {
            return *root;
        }
        let root = self.new_root();
        self.program.resolution.roots.insert(info.name(), root);
        root
    }

    /// Where those are read from of which the program names no element.
    fn other_root(&mut self) {
        // The first root is that of the resource itself, so zero says that there is none yet.
        if self.program.resolution.any == 0 {
            self.program.resolution.any = self.new_root();
        }
    }

    fn new_root(&mut self) -> TrieId {
        let root = self.trie.add_root();
        self.trie
            .child(root, "resourceType", self.resource_type, TextKind::String);
        root
    }

    /// Lets the resource that holds a reference be searched for the contained one that it may mean.
    fn read_contained(&mut self, reference: &Alternative) {
        let Some(place) = reference.place else { return };
        let holder = self.trie.top(place);
        let fields = &mut self.program.fields;
        let resolution = &mut self.program.resolution;
        let mut edge = |place, key, kind| {
            let field = fields.intern(key, r4::type_named(kind)).unwrap_or_default();
            (self.trie.child(place, key, field, TextKind::String), field)
        };
        let (contained, field) = edge(holder, "contained", "Resource");
        resolution.contained = field;
        resolution.id = edge(contained, "id", "id").1;
        resolution.resource_type = self.resource_type;
        self.trie
            .child(contained, "resourceType", self.resource_type, TextKind::String);
        resolution.reference = fields
            .intern("reference", r4::type_named("string"))
            .unwrap_or_default();
    }
}
