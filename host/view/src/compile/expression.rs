//! The nodes of an expression, one by one.

use super::shape::{Basic, Shape};
use super::types::extend;
use super::{Compiled, Compiler, Scope};
use crate::error::Code;
use crate::fhirpath::{Node, NodeKind, TypeOperator};
use crate::program::{Expr, Step};

impl Compiler {
    pub(super) fn node(&mut self, node: &Node, scope: &Scope) -> Compiled {
        match &node.kind {
            NodeKind::Empty => Ok((Expr::Empty, Shape::default())),
            NodeKind::Literal(literal) => self.literal(literal, node.at),
            NodeKind::This => Ok((Expr::This, scope.this.clone())),
            NodeKind::Index if scope.looped => Ok((Expr::Index, Shape::system(Basic::Integer))),
            NodeKind::Index => {
                let remedy = "use it within `where`, `select` or `all`; rows are numbered by `%rowIndex`";
                Err(self.fail(Code::Unsupported, node.at, "`$index` outside of a loop", remedy))
            }
            NodeKind::Total => {
                let remedy = "use `count()`, or aggregate in SQL";
                Err(self.fail(
                    Code::Unsupported,
                    node.at,
                    "`$total` needs `aggregate`, which is not evaluated",
                    remedy,
                ))
            }
            NodeKind::Variable(name) => self.variable(name, scope, node.at),
            NodeKind::Member { target, name } => self.member(target.as_deref(), name, scope, node.at),
            NodeKind::Call {
                target,
                name,
                arguments,
            } => self.call(target.as_deref(), name, arguments, scope, node.at),
            NodeKind::At { target, index } => self.at(target, index, scope),
            NodeKind::Negative(operand) => self.negative(operand, scope, node.at),
            NodeKind::Binary {
                operator,
                left,
                right,
            } => self.binary(*operator, left, right, scope, node.at),
            NodeKind::Type {
                operator,
                operand,
                name,
            } => {
                let wanted = self.type_info(name, node.at)?;
                match operator {
                    TypeOperator::As => self.of_type_call(Some(operand), wanted, scope, node.at),
                    TypeOperator::Is => {
                        let target = self.node(operand, scope)?;
                        self.is_type(target, wanted, node.at)
                    }
                }
            }
        }
    }

    /// What a function is called on: the path before the dot, or the context.
    pub(super) fn target(&mut self, target: Option<&Node>, scope: &Scope) -> Compiled {
        match target {
            Some(node) => self.node(node, scope),
            None => Ok((Expr::This, scope.this.clone())),
        }
    }

    fn at(&mut self, target: &Node, index: &Node, scope: &Scope) -> Compiled {
        let (expr, shape) = self.node(target, scope)?;
        if matches!(&index.kind, NodeKind::Member { target: None, name } if name == "x") {
            let remedy = "leave `[x]` out; the type is chosen behind it: `value.ofType(Quantity)`";
            return Err(self.fail(
                Code::Syntax,
                index.at,
                "`[x]` is how the standard writes a choice",
                remedy,
            ));
        }
        let (at, index_shape) = self.node(index, scope)?;
        if !index_shape.may(|basic| basic == Basic::Integer) {
            let problem = format!("the index is {}", index_shape.described());
            return Err(self.fail(
                Code::BadOperands,
                index.at,
                problem,
                "write an integer, the first item is `[0]`; or choose by a condition: `.where(use = 'official')`",
            ));
        }
        Ok((extend(expr, Step::At(at)), shape))
    }

    fn negative(&mut self, operand: &Node, scope: &Scope, at: usize) -> Compiled {
        let (expr, shape) = self.node(operand, scope)?;
        if !shape.may(Basic::is_number) {
            let problem = format!("`-` before {}", shape.described());
            return Err(self.fail(Code::BadOperands, at, problem, "negate a number"));
        }
        let folded = self.fold(Expr::Negative(Box::new(expr)));
        Ok((folded, shape))
    }
}
