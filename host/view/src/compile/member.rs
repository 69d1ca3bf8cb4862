//! Elements: what a name means below a type, and what to say when it means nothing.

use super::shape::{Alternative, Known, Shape, text_kind};
use super::types::{Named, extend};
use super::{Compiled, Compiler, Failed, Scope, hint};
use crate::error::Code;
use crate::fhirpath::Node;
use crate::program::{Expr, Step, TextKind};
use crate::r4::{Element, Lookup, TypeInfo};
use crate::trie::{FieldId, TrieId};

/// What the elements of that name turned out to be.
#[derive(Default)]
struct Found {
    fields: Vec<FieldId>,
    shape: Shape,
}

/// What a key leads to.
#[derive(Clone, Copy)]
struct Leads {
    info: Option<&'static TypeInfo>,
    targets: &'static [&'static str],
    hops: usize,
}

impl Leads {
    fn to(info: Option<&'static TypeInfo>, from: Alternative) -> Self {
        Self {
            info,
            targets: &[],
            hops: from.hops,
        }
    }
}

impl Compiler {
    pub(super) fn member(&mut self, target: Option<&Node>, name: &str, scope: &Scope, at: usize) -> Compiled {
        let Some(target) = target else {
            // A path may begin with the name of the type it is about.
            let names_type =
                |one: &Alternative| matches!(one.known, Known::Fhir(info) if info.name() == name);
            if scope.this.alternatives.iter().any(names_type) {
                return Ok((Expr::This, scope.this.clone()));
            }
            return self.element((Expr::This, scope.this.clone()), name, at);
        };
        let start = self.node(target, scope)?;
        self.element(start, name, at)
    }

    /// The path with one more element.
    pub(super) fn element(&mut self, (expr, shape): (Expr, Shape), name: &str, at: usize) -> Compiled {
        if shape.is_empty() {
            return Ok((Expr::Empty, shape));
        }
        if shape.alternatives.iter().any(Alternative::is_untyped) {
            let problem = format!("`{name}` of a reference that may point at a resource of any type");
            let remedy = "write `.ofType(Patient)`, or the type that is meant, before it";
            return Err(self.fail(Code::UnknownPath, at, problem, remedy));
        }
        let mut found = Found::default();
        for alternative in &shape.alternatives {
            self.find(*alternative, name, &mut found);
        }
        if found.fields.is_empty() {
            return self.unknown_element(&shape, name, at);
        }
        Ok((found.step(expr), found.shape))
    }

    fn find(&mut self, alternative: Alternative, name: &str, found: &mut Found) {
        let Some(place) = alternative.place else { return };
        match alternative.known {
            Known::System(_) => {}
            Known::Any => self.edge(place, name, Leads::to(None, alternative), found),
            Known::Fhir(info) => match element_of(info, name) {
                Some(element) => self.edges((alternative, place), info, element, None, found),
                None if name == "resourceType" && (info.is_resource() || info.is_open()) => {
                    let code = crate::r4::type_named("code");
                    self.edge(place, name, Leads::to(code, alternative), found);
                }
                None if info.is_open() => self.edge(place, name, Leads::to(None, alternative), found),
                None => {}
            },
        }
    }

    /// The edges of an element: one, or one for each type of a choice, or only those of a type that is asked for.
    fn edges(
        &mut self,
        (from, place): (Alternative, TrieId),
        owner: &'static TypeInfo,
        element: &'static Element,
        wanted: Option<&'static TypeInfo>,
        found: &mut Found,
    ) {
        let place = if owner.is_primitive() {
            match self.trie.shadow(place, &mut self.program.fields) {
                Some(shadow) => shadow,
                None => return,
            }
        } else {
            place
        };
        for element_type in element.types() {
            let info = element_type.type_info();
            if wanted.is_none_or(|wanted| info.is_a(wanted.name())) {
                let leads = Leads {
                    targets: element_type.targets(),
                    ..Leads::to(Some(info), from)
                };
                self.edge(place, element_type.json_key(), leads, found);
            }
        }
    }

    fn edge(&mut self, place: TrieId, key: &str, leads: Leads, found: &mut Found) {
        let info = leads.info;
        let Some(field) = self.program.fields.intern(key, info) else {
            return;
        };
        let kind = info.map_or(TextKind::String, text_kind);
        let node = self.trie.child(place, key, field, kind);
        if !found.fields.contains(&field) {
            found.fields.push(field);
        }
        let known = info.map_or(Known::Any, Known::Fhir);
        let alternative = Alternative {
            known,
            place: Some(node),
            targets: leads.targets,
            hops: leads.hops,
        };
        if !found.shape.alternatives.contains(&alternative) {
            found.shape.alternatives.push(alternative);
        }
    }

    /// Whether `name` is an element of some type of the shape.
    pub(super) fn has_element(&self, shape: &Shape, name: &str) -> bool {
        shape.alternatives.iter().any(|one| match one.known {
            Known::Fhir(info) => element_of(info, name).is_some(),
            _ => false,
        })
    }

    /// Whether `name` is a choice element of some type of the shape.
    pub(super) fn has_choice(&self, shape: &Shape, name: &str) -> bool {
        shape.alternatives.iter().any(|one| match one.known {
            Known::Fhir(info) => element_of(info, name).is_some_and(Element::is_choice),
            _ => false,
        })
    }

    /// `name.ofType(info)` where `name` is a choice element.
    pub(super) fn choice_of_type(
        &mut self,
        (expr, shape): (Expr, Shape),
        name: &str,
        wanted: Named,
        (_, at): (usize, usize),
    ) -> Compiled {
        let mut found = Found::default();
        let mut types = Vec::new();
        for alternative in &shape.alternatives {
            let (Known::Fhir(info), Some(place)) = (alternative.known, alternative.place) else {
                continue;
            };
            let Some(element) = element_of(info, name) else {
                continue;
            };
            types.extend(element.types().iter().map(|one| one.type_info().name()));
            if !wanted.system {
                self.edges(
                    (*alternative, place),
                    info,
                    element,
                    Some(wanted.info),
                    &mut found,
                );
            }
        }
        if found.fields.is_empty() {
            return Err(self.impossible(&types, wanted, at));
        }
        Ok((found.step(expr), found.shape))
    }

    fn unknown_element(&mut self, shape: &Shape, name: &str, at: usize) -> Compiled {
        for alternative in &shape.alternatives {
            let Known::Fhir(info) = alternative.known else {
                continue;
            };
            if let Lookup::ChoiceKey {
                element,
                element_type,
            } = info.lookup(name)
            {
                let problem = format!("`{name}` is how JSON spells it, FHIRPath does not know it");
                let remedy = format!(
                    "write `{}.ofType({})`",
                    element.name(),
                    element_type.type_info().name()
                );
                return Err(self.fail(Code::ChoiceSpelling, at, problem, remedy));
            }
        }
        let near = shape.alternatives.iter().find_map(|one| match one.known {
            Known::Fhir(info) => info.nearest_element(name),
            _ => None,
        });
        if self.lenient && near.is_none() {
            let place = self.trie.add_root();
            return Ok((Expr::Empty, Shape::any(Some(place))));
        }
        Err(self.no_such_element(shape, name, near, at))
    }

    fn no_such_element(&mut self, shape: &Shape, name: &str, near: Option<&str>, at: usize) -> Failed {
        let problem = format!("`{name}` is no element of {}", shape.described());
        let remedy = hint::instead_of_element(shape, name, near, self.mode);
        self.fail(Code::UnknownPath, at, problem, remedy)
    }
}

fn element_of(info: &'static TypeInfo, name: &str) -> Option<&'static Element> {
    match info.lookup(name) {
        Lookup::Element(element) => Some(element),
        _ => None,
    }
}

impl Found {
    fn step(&self, expr: Expr) -> Expr {
        match self.fields[..] {
            [only] => extend(expr, Step::Child(only)),
            _ => extend(expr, Step::AnyChild(self.fields.clone().into())),
        }
    }
}
