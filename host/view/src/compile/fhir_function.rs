//! Functions that FHIR and SQL-on-FHIR add to FHIRPath: extensions, keys and boundaries.

use super::function::{Call, where_step};
use super::shape::{Alternative, Basic, Known, Shape};
use super::types::extend;
use super::{Compiled, Compiler, Failed};
use crate::boundary::Bound;
use crate::error::Code;
use crate::fhirpath::NodeKind;
use crate::program::{Comparison, Expr, Step, TextKind};
use crate::r4;

impl Compiler {
    pub(super) fn extension(&mut self, start: (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 1, 1, "extension('http://…')")?;
        self.check_address(call)?;
        let (url, url_shape) = self.node(&call.arguments[0], call.scope)?;
        if !url_shape.may(Basic::is_text) {
            let problem = format!("the address of the extension is {}", url_shape.described());
            return Err(self.fail(
                Code::BadArguments,
                call.arguments[0].at,
                problem,
                "write it as text",
            ));
        }
        let (expr, shape) = self.element(start, "extension", call.at)?;
        let scope = call.scope.each(shape.clone());
        let (own, _) = self.element((Expr::This, scope.this.clone()), "url", call.at)?;
        let same = Expr::Compare(Comparison::Equal, Box::new([own, url]));
        Ok((extend(expr, where_step(same)), shape))
    }

    /// A bare word as the address of an extension is not a path that was misspelt.
    fn check_address(&mut self, call: &Call<'_>) -> Result<(), Failed> {
        match &call.arguments[0].kind {
            NodeKind::Member { target: None, name } if !self.has_element(&call.scope.this, name) => {
                let problem = format!("`{name}` where the address of an extension belongs");
                let remedy = "write the whole address in quotes: `extension('http://…')`";
                Err(self.fail(Code::BadArguments, call.arguments[0].at, problem, remedy))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn resource_key(&mut self, start: (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 0, 0, "getResourceKey()")?;
        let (expr, shape) = start;
        let resources = |one: &Alternative| match one.known {
            Known::Fhir(info) => info.is_resource() || info.is_open(),
            Known::Any => true,
            Known::System(_) => false,
        };
        if !shape.alternatives.iter().all(resources) {
            let problem = format!("`getResourceKey()` of {}", shape.described());
            let remedy = "call it on the resource itself: `%resource.getResourceKey()`";
            return Err(self.fail(Code::BadOperands, call.at, problem, remedy));
        }
        let (id, _) = self.element((Expr::This, shape), "id", call.at)?;
        let field = only_child(&id).unwrap_or_default();
        Ok((
            extend(expr, Step::ResourceKey(field)),
            Shape::system(Basic::String),
        ))
    }

    pub(super) fn reference_key(&mut self, start: (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 0, 1, "getReferenceKey(Patient)")?;
        let wanted = match call.arguments.first() {
            Some(node) => Some(self.type_argument(node)?.info),
            None => None,
        };
        if let Some(info) = wanted.filter(|info| !info.is_resource()) {
            let problem = format!("`{}` is no resource type", info.name());
            return Err(self.fail(
                Code::BadArguments,
                call.arguments[0].at,
                problem,
                "name a resource type",
            ));
        }
        let (expr, shape) = start;
        let references = |one: &Alternative| match one.known {
            Known::Fhir(info) => info.is_a("Reference"),
            known => known == Known::Any,
        };
        if !shape.is_empty() && !shape.alternatives.iter().any(references) {
            let problem = format!("`getReferenceKey()` of {}", shape.described());
            let remedy = "call it on a reference, such as `subject.getReferenceKey(Patient)`";
            return Err(self.fail(Code::BadOperands, call.at, problem, remedy));
        }
        let (own, _) = self.element((Expr::This, shape), "reference", call.at)?;
        let reference = only_child(&own).unwrap_or_default();
        let wanted = wanted.map(|info| info.name().to_owned());
        Ok((
            extend(expr, Step::ReferenceKey { reference, wanted }),
            Shape::system(Basic::String),
        ))
    }

    pub(super) fn boundary(
        &mut self,
        (expr, shape): (Expr, Shape),
        bound: Bound,
        call: &Call<'_>,
    ) -> Compiled {
        self.arity(call, 0, 1, &format!("{}() or {0}(precision)", call.name))?;
        let precision = match call.arguments.first() {
            Some(node) => Some(self.node(node, call.scope)?.0),
            None => None,
        };
        let (mut start, mut end) = (0, 0);
        let mut results = Shape::default();
        for alternative in &shape.alternatives {
            let period = matches!(alternative.known, Known::Fhir(info) if info.name() == "Period");
            let basic = match (period, alternative.known.basic()) {
                (true, _) => Basic::DateTime,
                (false, Basic::Integer) => Basic::Decimal,
                (false, Basic::Complex | Basic::Boolean) => continue,
                (false, basic) => basic,
            };
            if let (true, Some(place)) = (period, alternative.place) {
                let mut edge = |key| {
                    let field = self
                        .program
                        .fields
                        .intern(key, r4::type_named("dateTime"))
                        .unwrap_or_default();
                    self.trie.child(place, key, field, TextKind::DateTime);
                    field
                };
                (start, end) = (edge("start"), edge("end"));
            }
            results = results.and(Shape::system(basic));
        }
        if results.is_empty() && !shape.is_empty() {
            let problem = format!("`{}()` of {}", call.name, shape.described());
            return Err(self.fail(
                Code::BadOperands,
                call.at,
                problem,
                "call it on a number, a date, a time or a Period",
            ));
        }
        Ok((
            extend(
                expr,
                Step::Boundary {
                    bound,
                    start,
                    end,
                    precision,
                },
            ),
            results,
        ))
    }
}

/// The field of a path that is one element of the context and nothing more.
pub(super) fn only_child(expr: &Expr) -> Option<crate::trie::FieldId> {
    match expr {
        Expr::Path(start, steps) if matches!(**start, Expr::This) => match steps[..] {
            [Step::Child(field)] => Some(field),
            _ => None,
        },
        _ => None,
    }
}
