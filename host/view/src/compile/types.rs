//! `ofType`, `is` and `as`.

use super::shape::{Alternative, Basic, Known, Shape};
use super::{Compiled, Compiler, Failed, Scope};
use crate::error::Code;
use crate::fhirpath::{Literal, Node, NodeKind};
use crate::program::{Expr, Step, TextKind, TypeTest};
use crate::r4::{self, TypeInfo};

/// A type as an expression names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) info: &'static TypeInfo,
    /// Whether it is FHIRPath's own, such as `System.String`, which literals and computed values have, but no element.
    pub(super) system: bool,
}

impl Compiler {
    /// The type that an argument names: `Quantity`, `FHIR.Quantity`, `System.String`, or as text.
    pub(super) fn type_argument(&mut self, node: &Node) -> Result<Named, Failed> {
        match type_text(node) {
            Some(name) => self.type_info(&name, node.at),
            None => Err(self.fail(
                Code::BadArguments,
                node.at,
                "something else where the name of a type belongs",
                "name a FHIR type, such as `Quantity`",
            )),
        }
    }

    pub(super) fn type_info(&mut self, written: &str, at: usize) -> Result<Named, Failed> {
        let (space, name) = match written.split_once('.') {
            Some((space @ ("System" | "FHIR"), name)) => (space, name),
            _ => ("", written),
        };
        if let Some(info) = r4::type_named(name).filter(|_| space != "System") {
            return Ok(Named { info, system: false });
        }
        let system = system_name(name).filter(|_| space != "FHIR");
        if let Some(info) = system.and_then(r4::type_named) {
            return Ok(Named { info, system: true });
        }
        let near = r4::nearest_type(name);
        let remedy = near.map_or_else(
            || "name a type of FHIR R4, such as `Quantity` or `Patient`".to_owned(),
            |near| format!("did you mean `{near}`"),
        );
        Err(self.fail(
            Code::UnknownType,
            at,
            format!("`{written}` is no FHIR R4 type"),
            remedy,
        ))
    }

    /// A path that ends in `ofType`: a choice element is asked for that type alone.
    pub(super) fn of_type_call(
        &mut self,
        target: Option<&Node>,
        wanted: Named,
        scope: &Scope,
        at: usize,
    ) -> Compiled {
        if let Some(Node {
            kind: NodeKind::Member { target: inner, name },
            at: name_at,
            ..
        }) = target
        {
            let start = match inner {
                Some(inner) => self.node(inner, scope)?,
                None => (Expr::This, scope.this.clone()),
            };
            if self.has_choice(&start.1, name) {
                return self.choice_of_type(start, name, wanted, (*name_at, at));
            }
        }
        let start = self.target(target, scope)?;
        self.of_type(start, wanted, at)
    }

    /// Keeps the items of a type.
    fn of_type(&mut self, (expr, shape): (Expr, Shape), wanted: Named, at: usize) -> Compiled {
        if shape.is_empty() {
            return Ok((expr, shape));
        }
        let kept: Vec<Alternative> = shape
            .alternatives
            .iter()
            .filter_map(|one| narrowed(*one, wanted))
            .collect();
        if kept.is_empty() {
            return Err(self.impossible(&shape.names(), wanted, at));
        }
        // What a reference says of the resource that it names is what its author meant, not what there is.
        let certain = kept == shape.alternatives && !kept.iter().any(Alternative::is_resolved);
        let kept = Shape {
            alternatives: kept.into_iter().map(|one| self.placed(one)).collect(),
        };
        if certain {
            return Ok((expr, kept));
        }
        let test = self.type_test(&shape, wanted);
        Ok((extend(expr, Step::OfType(test)), kept))
    }

    /// Whether the one item is of a type.
    pub(super) fn is_type(&mut self, (expr, shape): (Expr, Shape), wanted: Named, at: usize) -> Compiled {
        // A computed value may be asked for any type: the answer is no, rather than a mistake.
        let possible = shape.is_empty()
            || shape
                .alternatives
                .iter()
                .any(|one| matches!(one.known, Known::System(_)) || narrowed(*one, wanted).is_some());
        if !possible {
            return Err(self.impossible(&shape.names(), wanted, at));
        }
        let test = self.type_test(&shape, wanted);
        Ok((extend(expr, Step::Is(test)), Shape::system(Basic::Boolean)))
    }

    fn type_test(&mut self, shape: &Shape, wanted: Named) -> TypeTest {
        for alternative in &shape.alternatives {
            let open = matches!(alternative.known, Known::Fhir(own) if own.is_open())
                || alternative.known == Known::Any;
            if let (true, Some(place)) = (open, alternative.place) {
                self.trie
                    .child(place, "resourceType", self.resource_type, TextKind::String);
            }
        }
        TypeTest {
            info: wanted.info,
            system: wanted.system,
            resource_type: self.resource_type,
        }
    }

    pub(super) fn impossible(&mut self, names: &[&str], wanted: Named, at: usize) -> Failed {
        let name = wanted.info.name();
        if wanted.system && names.contains(&name) {
            let problem = format!(
                "no element is of a type of FHIRPath's own, such as `System.{}`",
                capital(name)
            );
            return self.fail(
                Code::ImpossibleType,
                at,
                problem,
                format!("write FHIR's type: `{name}`"),
            );
        }
        let problem = format!("the value is never of the type `{name}`");
        let remedy = match names {
            [only] => format!("it is always of the type `{only}`"),
            _ => format!("it is one of {}", crate::suggest::list(names.iter().copied())),
        };
        self.fail(Code::ImpossibleType, at, problem, remedy)
    }
}

/// What is left of an alternative once it is known to be of a type.
fn narrowed(alternative: Alternative, wanted: Named) -> Option<Alternative> {
    let info = wanted.info;
    match alternative.known {
        Known::System(basic) if wanted.system => (basic.fhir_type() == info.name()).then_some(alternative),
        Known::Any if wanted.system => Some(alternative),
        _ if wanted.system => None,
        Known::Any => Some(Alternative {
            known: Known::Fhir(info),
            ..alternative
        }),
        Known::Fhir(own) if own.is_open() && info.is_resource() => Some(Alternative {
            known: Known::Fhir(info),
            ..alternative
        }),
        known => known.is_a(info).then_some(alternative),
    }
}

/// The path with one more step.
pub(super) fn extend(expr: Expr, step: Step) -> Expr {
    match expr {
        Expr::Path(start, mut steps) => {
            steps.push(step);
            Expr::Path(start, steps)
        }
        start => Expr::Path(Box::new(start), vec![step]),
    }
}

/// FHIR's name of a type of FHIRPath's own.
fn system_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "Boolean" => "boolean",
        "String" => "string",
        "Integer" => "integer",
        "Decimal" => "decimal",
        "Date" => "date",
        "DateTime" => "dateTime",
        "Time" => "time",
        "Quantity" => "Quantity",
        _ => return None,
    })
}

fn capital(name: &str) -> String {
    let (first, rest) = name.split_at(name.len().min(1));
    format!("{}{rest}", first.to_uppercase())
}

fn type_text(node: &Node) -> Option<String> {
    match &node.kind {
        NodeKind::Member { target: None, name } => Some(name.clone()),
        NodeKind::Member {
            target: Some(target),
            name,
        } => Some(format!("{}.{name}", type_text(target)?)),
        NodeKind::Literal(Literal::String(text)) => Some(text.clone()),
        _ => None,
    }
}
