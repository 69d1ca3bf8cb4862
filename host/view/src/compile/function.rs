//! Functions on collections. Those that FHIR adds are in `fhir_function`, those on text and numbers in `text_function`.

use super::fhir_function::only_child;
use super::shape::{Basic, Known, Shape};
use super::types::extend;
use super::{Compiled, Compiler, Failed, Mode, Scope, function_names};
use crate::boundary::Bound;
use crate::error::Code;
use crate::fhirpath::{Node, NodeKind};
use crate::program::{Comparison, Expr, Item, MetaField, Step, TextKind};

/// A call while it is compiled.
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a [Node],
    pub(super) scope: &'a Scope,
    pub(super) at: usize,
}

impl Compiler {
    pub(super) fn call(
        &mut self,
        target: Option<&Node>,
        name: &str,
        arguments: &[Node],
        scope: &Scope,
        at: usize,
    ) -> Compiled {
        let call = Call {
            name,
            arguments,
            scope,
            at,
        };
        match name {
            "ofType" | "as" | "is" => self.type_call(target, &call),
            "getAidboxTs" => self.meta(MetaField::Ts, Basic::DateTime, &call),
            "getAidboxCts" => self.meta(MetaField::Cts, Basic::DateTime, &call),
            "getAidboxStatus" => self.meta(MetaField::Status, Basic::String, &call),
            "getAidboxTxid" => self.meta(MetaField::Txid, Basic::Integer, &call),
            "iif" => self.iif(target, &call),
            "resolve" if self.mode == Mode::Criterion => self.resolve(target, &call),
            "now" if self.mode == Mode::Criterion => self.meta(MetaField::Ts, Basic::DateTime, &call),
            "today" if self.mode == Mode::Criterion => self.meta(MetaField::Today, Basic::Date, &call),
            "timeOfDay" if self.mode == Mode::Criterion => {
                self.meta(MetaField::TimeOfDay, Basic::Time, &call)
            }
            _ if !function_names::is_known(name) => {
                let (_, shape) = self.target(target, scope)?;
                Err(self.unknown_function(name, &shape, at))
            }
            _ => {
                let start = self.target(target, scope)?;
                self.step_call(start, &call)
            }
        }
    }

    fn unknown_function(&mut self, name: &str, on: &Shape, at: usize) -> Failed {
        if self.has_element(on, name) {
            let problem = format!("`{name}` is an element, not a function");
            return self.fail(Code::UnknownFunction, at, problem, "leave the brackets out");
        }
        let problem = format!("the function `{name}()` is not supported");
        let remedy = function_names::instead_of(name, self.mode);
        self.fail(Code::UnknownFunction, at, problem, remedy)
    }

    /// Checks how many arguments there are; `form` is how the call is written.
    pub(super) fn arity(
        &mut self,
        call: &Call<'_>,
        least: usize,
        most: usize,
        form: &str,
    ) -> Result<(), Failed> {
        if (least..=most).contains(&call.arguments.len()) {
            return Ok(());
        }
        let problem = match call.arguments.len() {
            0 => format!("`{}()` without an argument", call.name),
            1 => format!("`{}()` with an argument", call.name),
            count => format!("`{}()` with {count} arguments", call.name),
        };
        Err(self.fail(
            Code::BadArguments,
            call.at,
            problem,
            format!("write it as `{form}`"),
        ))
    }

    fn type_call(&mut self, target: Option<&Node>, call: &Call<'_>) -> Compiled {
        self.arity(call, 1, 1, &format!("{}(Quantity)", call.name))?;
        let wanted = self.type_argument(&call.arguments[0])?;
        if call.name == "is" {
            let start = self.target(target, call.scope)?;
            return self.is_type(start, wanted, call.at);
        }
        self.of_type_call(target, wanted, call.scope, call.at)
    }

    fn meta(&mut self, field: MetaField, basic: Basic, call: &Call<'_>) -> Compiled {
        self.arity(call, 0, 0, &format!("{}()", call.name))?;
        Ok((Expr::Meta(field), Shape::system(basic)))
    }

    fn iif(&mut self, target: Option<&Node>, call: &Call<'_>) -> Compiled {
        self.arity(call, 2, 3, "iif(condition, then, otherwise)")?;
        let mut scope = call.scope.clone();
        let start = match target {
            Some(node) => Some(self.node(node, call.scope)?),
            None => None,
        };
        if let Some((_, shape)) = &start {
            scope = call.scope.each(shape.clone());
        }
        let (condition, _) = self.node(&call.arguments[0], &scope)?;
        let (then, then_shape) = self.node(&call.arguments[1], &scope)?;
        let (otherwise, other_shape) = match call.arguments.get(2) {
            Some(node) => self.node(node, &scope)?,
            None => (Expr::Empty, Shape::default()),
        };
        let choice = Expr::If(Box::new([condition, then, otherwise]));
        let shape = then_shape.and(other_shape);
        match start {
            // On a path, the choice is made for the one item that the path gives.
            Some((expr, _)) => Ok((extend(extend(expr, Step::Single), Step::Select(choice)), shape)),
            None => Ok((self.fold(choice), shape)),
        }
    }

    fn step_call(&mut self, start: (Expr, Shape), call: &Call<'_>) -> Compiled {
        match call.name {
            "where" | "select" | "all" | "repeat" => self.each_call(start, call),
            "exists" => self.exists(start, call),
            "extension" => self.extension(start, call),
            "getResourceKey" => self.resource_key(start, call),
            "getReferenceKey" => self.reference_key(start, call),
            "lowBoundary" => self.boundary(start, Bound::Low, call),
            "highBoundary" => self.boundary(start, Bound::High, call),
            "skip" | "take" => self.skip_or_take(start, call),
            "trace" => self.trace(start, call),
            "union" | "combine" | "intersect" | "exclude" | "subsetOf" | "supersetOf" => {
                self.set_call(start, call)
            }
            _ => match simple_step(call.name) {
                Some((step, result)) => {
                    self.arity(call, 0, 0, &format!("{}()", call.name))?;
                    self.simple(start, step, result, call)
                }
                None => self.text_call(start, call),
            },
        }
    }

    fn simple(
        &mut self,
        (expr, shape): (Expr, Shape),
        step: Step,
        result: Option<Basic>,
        call: &Call<'_>,
    ) -> Compiled {
        if call.name == "not" && !shape.may(|basic| basic == Basic::Boolean) {
            let problem = format!("`not()` of {}", shape.described());
            return Err(self.fail(
                Code::BadOperands,
                call.at,
                problem,
                "use `.exists().not()` or `.empty()`",
            ));
        }
        let shape = result.map_or(shape, Shape::system);
        Ok((extend(expr, step), shape))
    }

    fn each_call(&mut self, (expr, shape): (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 1, 1, &format!("{}(expression)", call.name))?;
        if call.name == "repeat" {
            let scope = call.scope.each(shape);
            let (body, shape) = self.repeated(&call.arguments[0], &scope)?;
            if shape
                .alternatives
                .iter()
                .any(|one| matches!(one.known, Known::System(_)))
            {
                let problem = "`repeat()` of a computed value";
                let remedy = "repeat a path that goes down, such as `repeat(item)`";
                return Err(self.fail(Code::BadArguments, call.arguments[0].at, problem, remedy));
            }
            return Ok((extend(expr, Step::Repeat(body)), shape));
        }
        let scope = call.scope.each(shape.clone());
        let (body, body_shape) = self.node(&call.arguments[0], &scope)?;
        match call.name {
            "select" => Ok((extend(expr, Step::Select(body)), body_shape)),
            "all" => {
                self.check_condition(&body_shape, &call.arguments[0])?;
                Ok((extend(expr, Step::All(body)), Shape::system(Basic::Boolean)))
            }
            _ => {
                self.check_condition(&body_shape, &call.arguments[0])?;
                Ok((extend(expr, where_step(body)), shape))
            }
        }
    }

    /// `trace()` gives what it is called on: what passes through is patient data, which no log may hold.
    fn trace(&mut self, start: (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 1, 2, "trace('name')")?;
        self.node(&call.arguments[0], call.scope)?;
        if let Some(projection) = call.arguments.get(1) {
            self.node(projection, &call.scope.each(start.1.clone()))?;
        }
        Ok(start)
    }

    fn check_condition(&mut self, shape: &Shape, node: &Node) -> Result<(), Failed> {
        if shape.may(|basic| basic == Basic::Boolean) {
            return Ok(());
        }
        let problem = format!("the condition gives {}, not a boolean", shape.described());
        Err(self.fail(
            Code::NotBoolean,
            node.at,
            problem,
            "compare it with something, or add `.exists()`",
        ))
    }

    fn exists(&mut self, (expr, shape): (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 0, 1, "exists() or exists(condition)")?;
        let mut expr = expr;
        if let Some(condition) = call.arguments.first() {
            let scope = call.scope.each(shape);
            let (body, body_shape) = self.node(condition, &scope)?;
            self.check_condition(&body_shape, condition)?;
            expr = extend(expr, where_step(body));
        }
        Ok((extend(expr, Step::Exists), Shape::system(Basic::Boolean)))
    }

    fn skip_or_take(&mut self, (expr, shape): (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 1, 1, &format!("{}(2)", call.name))?;
        let (number, number_shape) = self.node(&call.arguments[0], call.scope)?;
        if !number_shape.may(|basic| basic == Basic::Integer) {
            let problem = format!("`{}()` with {}", call.name, number_shape.described());
            return Err(self.fail(
                Code::BadArguments,
                call.arguments[0].at,
                problem,
                "write an integer",
            ));
        }
        let step = if call.name == "skip" {
            Step::Skip(number)
        } else {
            Step::Take(number)
        };
        Ok((extend(expr, step), shape))
    }

    fn set_call(&mut self, (expr, shape): (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 1, 1, &format!("{}(other)", call.name))?;
        let (other, other_shape) = self.node(&call.arguments[0], call.scope)?;
        let operands = Box::new([expr, other]);
        let missing = |keep, operands: Box<[Expr; 2]>| extend(Expr::Filter { keep, operands }, Step::Empty);
        Ok(match call.name {
            "union" => (
                Expr::Union {
                    distinct: true,
                    operands,
                },
                shape.and(other_shape),
            ),
            "combine" => (
                Expr::Union {
                    distinct: false,
                    operands,
                },
                shape.and(other_shape),
            ),
            "intersect" => (
                extend(Expr::Filter { keep: true, operands }, Step::Distinct),
                shape,
            ),
            "exclude" => (
                Expr::Filter {
                    keep: false,
                    operands,
                },
                shape,
            ),
            "subsetOf" => (missing(false, operands), Shape::system(Basic::Boolean)),
            _ => {
                let [own, other] = *operands;
                (
                    missing(false, Box::new([other, own])),
                    Shape::system(Basic::Boolean),
                )
            }
        })
    }
}

/// Steps without arguments, and what they give where that is no longer the items themselves.
fn simple_step(name: &str) -> Option<(Step, Option<Basic>)> {
    let truths = |any, wanted| (Step::Truths { any, wanted }, Some(Basic::Boolean));
    Some(match name {
        "first" => (Step::First, None),
        "last" => (Step::Last, None),
        "tail" => (Step::Tail, None),
        "single" => (Step::Single, None),
        "distinct" => (Step::Distinct, None),
        "getValue" => (
            Step::Where(Expr::Path(Box::new(Expr::This), vec![Step::HasValue])),
            None,
        ),
        "isDistinct" => (Step::IsDistinct, Some(Basic::Boolean)),
        "empty" => (Step::Empty, Some(Basic::Boolean)),
        "count" => (Step::Count, Some(Basic::Integer)),
        "not" => (Step::Not, Some(Basic::Boolean)),
        "hasValue" => (Step::HasValue, Some(Basic::Boolean)),
        "allTrue" => truths(false, true),
        "anyTrue" => truths(true, true),
        "allFalse" => truths(false, false),
        "anyFalse" => truths(true, false),
        _ => return None,
    })
}

/// The filter of a condition; the form that most views use gets a step of its own.
pub(super) fn where_step(body: Expr) -> Step {
    if let Expr::Compare(Comparison::Equal, operands) = &body
        && let [own, Expr::Literal(Item::Text(TextKind::String, text))] = &**operands
        && let Some(field) = only_child(own)
    {
        return Step::WhereField(field, *text);
    }
    Step::Where(body)
}

/// Whether a node is a literal text, and which.
pub(super) fn literal_text(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Literal(crate::fhirpath::Literal::String(text)) => Some(text),
        _ => None,
    }
}
