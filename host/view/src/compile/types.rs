//! `ofType`, `is` and `as`.

use super::shape::{Alternative, Basic, Known, Shape};
use super::{Compiled, Compiler, Failed, Scope};
use crate::error::Code;
use crate::fhirpath::{Literal, Node, NodeKind};
use crate::program::{Expr, Step, TextKind, TypeTest};
use crate::r4::{self, TypeInfo};

impl Compiler {
    /// The type that an argument names: `Quantity`, `FHIR.Quantity`, `System.String`, or as text.
    pub(super) fn type_argument(&mut self, node: &Node) -> Result<&'static TypeInfo, Failed> {
        match type_text(node) {
            Some(name) => self.type_info(&name, node.at),
            None => Err(self.fail(
                Code::BadArguments,
                node.at,
                "not a type",
                "name a FHIR type, such as `Quantity`",
            )),
        }
    }

    pub(super) fn type_info(&mut self, written: &str, at: usize) -> Result<&'static TypeInfo, Failed> {
        let name = match written.strip_prefix("System.") {
            Some(system) => system_name(system),
            None => written.strip_prefix("FHIR.").unwrap_or(written),
        };
        if let Some(info) = r4::type_named(name) {
            return Ok(info);
        }
        let near = r4::nearest_type(name);
        let remedy = near.map_or_else(
            || "name a type of FHIR R4".to_owned(),
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
        info: &'static TypeInfo,
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
                return self.choice_of_type(start, name, info, (*name_at, at));
            }
        }
        let start = self.target(target, scope)?;
        self.of_type(start, info, at)
    }

    /// Keeps the items of a type.
    fn of_type(&mut self, (expr, shape): (Expr, Shape), info: &'static TypeInfo, at: usize) -> Compiled {
        if shape.is_empty() {
            return Ok((expr, shape));
        }
        let kept: Vec<Alternative> = shape
            .alternatives
            .iter()
            .filter_map(|one| narrowed(*one, info))
            .collect();
        if kept.is_empty() {
            return Err(self.impossible(&shape.names(), info, at));
        }
        // What a reference says of the resource that it names is what its author meant, not what there is.
        let certain = kept == shape.alternatives && !kept.iter().any(Alternative::is_resolved);
        let kept = Shape {
            alternatives: kept.into_iter().map(|one| self.placed(one)).collect(),
        };
        if certain {
            return Ok((expr, kept));
        }
        let test = self.type_test(&shape, info);
        Ok((extend(expr, Step::OfType(test)), kept))
    }

    /// Whether the one item is of a type.
    pub(super) fn is_type(
        &mut self,
        (expr, shape): (Expr, Shape),
        info: &'static TypeInfo,
        at: usize,
    ) -> Compiled {
        let possible = shape.is_empty()
            || shape
                .alternatives
                .iter()
                .any(|one| narrowed(*one, info).is_some());
        if !possible {
            return Err(self.impossible(&shape.names(), info, at));
        }
        let test = self.type_test(&shape, info);
        Ok((extend(expr, Step::Is(test)), Shape::system(Basic::Boolean)))
    }

    fn type_test(&mut self, shape: &Shape, info: &'static TypeInfo) -> TypeTest {
        for alternative in &shape.alternatives {
            let open = matches!(alternative.known, Known::Fhir(own) if own.is_open())
                || alternative.known == Known::Any;
            if let (true, Some(place)) = (open, alternative.place) {
                self.trie
                    .child(place, "resourceType", self.resource_type, TextKind::String);
            }
        }
        TypeTest {
            info,
            resource_type: self.resource_type,
        }
    }

    pub(super) fn impossible(&mut self, names: &[&str], info: &TypeInfo, at: usize) -> Failed {
        let problem = format!("the value is never a `{}`", info.name());
        let remedy = format!("it is one of {}", crate::suggest::list(names.iter().copied()));
        self.fail(Code::ImpossibleType, at, problem, remedy)
    }
}

/// What is left of an alternative once it is known to be of a type.
fn narrowed(alternative: Alternative, info: &'static TypeInfo) -> Option<Alternative> {
    match alternative.known {
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

fn system_name(name: &str) -> &str {
    match name {
        "Boolean" => "boolean",
        "String" => "string",
        "Integer" => "integer",
        "Decimal" => "decimal",
        "Date" => "date",
        "DateTime" => "dateTime",
        "Time" => "time",
        other => other,
    }
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
