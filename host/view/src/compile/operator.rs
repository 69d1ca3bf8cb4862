//! Operators, the kinds of operands that they accept, and what can be computed before any resource.

use super::shape::{Basic, Shape};
use super::{Compiled, Compiler, Failed, Scope, hint};
use crate::error::Code;
use crate::evaluate;
use crate::fhirpath::{Node, Operator};
use crate::program::{Arithmetic, Comparison, Expr, Item, Logic};

impl Compiler {
    pub(super) fn binary(
        &mut self,
        operator: Operator,
        left: &Node,
        right: &Node,
        scope: &Scope,
        at: usize,
    ) -> Compiled {
        let left = self.node(left, scope);
        let right = self.node(right, scope);
        // Both sides are compiled before either failure counts, so that the mistakes of both are reported.
        let ((left, left_shape), (right, right_shape)) = (left?, right?);
        let operands = Box::new([left, right]);
        let shapes = (&left_shape, &right_shape);
        let boolean = Shape::system(Basic::Boolean);
        let (expr, shape) = match operator {
            Operator::And => (Expr::Logic(Logic::And, operands), boolean),
            Operator::Or => (Expr::Logic(Logic::Or, operands), boolean),
            Operator::Xor => (Expr::Logic(Logic::Xor, operands), boolean),
            Operator::Implies => (Expr::Logic(Logic::Implies, operands), boolean),
            Operator::Union => (
                Expr::Union {
                    distinct: true,
                    operands,
                },
                left_shape.and(right_shape),
            ),
            Operator::In => {
                self.check_comparable(operator, Comparison::Equal, shapes, at)?;
                (Expr::In(operands), boolean)
            }
            Operator::Contains => {
                self.check_comparable(operator, Comparison::Equal, shapes, at)?;
                let [whole, member] = *operands;
                (Expr::In(Box::new([member, whole])), boolean)
            }
            Operator::Concatenate => (Expr::Concatenate(operands), Shape::system(Basic::String)),
            _ => match comparison(operator) {
                Some(comparison) => {
                    self.check_comparable(operator, comparison, shapes, at)?;
                    (Expr::Compare(comparison, operands), boolean)
                }
                None => self.arithmetic(operator, operands, shapes, at)?,
            },
        };
        Ok((self.fold(expr), shape))
    }

    fn check_comparable(
        &mut self,
        operator: Operator,
        comparison: Comparison,
        (left, right): (&Shape, &Shape),
        at: usize,
    ) -> Result<(), Failed> {
        if left.is_empty() || right.is_empty() {
            return Ok(());
        }
        let ordered = !matches!(
            comparison,
            Comparison::Equal | Comparison::NotEqual | Comparison::Equivalent | Comparison::NotEquivalent
        );
        let fits = left.alternatives.iter().any(|one| {
            right
                .alternatives
                .iter()
                .any(|other| comparable(one.known.basic(), other.known.basic(), ordered))
        });
        if fits {
            return Ok(());
        }
        let problem = format!(
            "`{}` between {} and {}",
            operator.text(),
            left.described(),
            right.described()
        );
        let remedy = hint::instead_of_comparison(left, right);
        Err(self.fail(Code::BadOperands, at, problem, remedy))
    }

    fn arithmetic(
        &mut self,
        operator: Operator,
        operands: Box<[Expr; 2]>,
        (left, right): (&Shape, &Shape),
        at: usize,
    ) -> Compiled {
        let kind = match operator {
            Operator::Add => Arithmetic::Add,
            Operator::Subtract => Arithmetic::Subtract,
            Operator::Multiply => Arithmetic::Multiply,
            Operator::Divide => Arithmetic::Divide,
            Operator::Div => Arithmetic::Div,
            _ => Arithmetic::Mod,
        };
        let texts = left.may(|basic| basic == Basic::String) && right.may(|basic| basic == Basic::String);
        let numbers = left.may(Basic::is_number) && right.may(Basic::is_number);
        if !(numbers || texts && kind == Arithmetic::Add) {
            let problem = format!(
                "`{}` between {} and {}",
                operator.text(),
                left.described(),
                right.described()
            );
            let remedy = if matches!(left.basic(), Some(Basic::Date | Basic::DateTime | Basic::Time)) {
                "dates are compared, not computed with; write a date as `@2024-01-31`"
            } else if left.may(Basic::is_text) {
                "texts are joined by `&`"
            } else {
                "use it between numbers"
            };
            return Err(self.fail(Code::BadOperands, at, problem, remedy));
        }
        let whole = left.basic() == Some(Basic::Integer) && right.basic() == Some(Basic::Integer);
        let basic = match kind {
            Arithmetic::Add if !numbers => Basic::String,
            Arithmetic::Div => Basic::Integer,
            Arithmetic::Divide => Basic::Decimal,
            _ if whole => Basic::Integer,
            _ => Basic::Decimal,
        };
        Ok((Expr::Arithmetic(kind, operands), Shape::system(basic)))
    }

    /// Computes what depends on no resource. An expression that cannot be computed stays as it is.
    pub(super) fn fold(&mut self, expr: Expr) -> Expr {
        let operands: &[Expr] = match &expr {
            Expr::Logic(_, operands)
            | Expr::Compare(_, operands)
            | Expr::Arithmetic(_, operands)
            | Expr::Concatenate(operands)
            | Expr::In(operands) => &**operands,
            Expr::Negative(operand) => std::slice::from_ref(&**operand),
            Expr::If(operands) => &operands[..],
            _ => return expr,
        };
        if !operands
            .iter()
            .all(|operand| matches!(operand, Expr::Literal(_) | Expr::Empty))
        {
            return expr;
        }
        match evaluate::constant(&self.program, &expr) {
            Some(evaluate::Constant::Nothing) => Expr::Empty,
            Some(evaluate::Constant::Item(item)) => Expr::Literal(item),
            Some(evaluate::Constant::Text(kind, text)) => {
                let text = self.keep(&text);
                Expr::Literal(Item::Text(kind, text))
            }
            None => expr,
        }
    }
}

fn comparison(operator: Operator) -> Option<Comparison> {
    Some(match operator {
        Operator::Equal => Comparison::Equal,
        Operator::NotEqual => Comparison::NotEqual,
        Operator::Equivalent => Comparison::Equivalent,
        Operator::NotEquivalent => Comparison::NotEquivalent,
        Operator::Less => Comparison::Less,
        Operator::LessOrEqual => Comparison::LessOrEqual,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterOrEqual => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// Whether a comparison of two kinds can ever give an answer. Text is compared with dates by reading it as one.
fn comparable(left: Basic, right: Basic, ordered: bool) -> bool {
    if left == Basic::Any || right == Basic::Any {
        return !(ordered && (left == Basic::Complex || right == Basic::Complex));
    }
    match left {
        Basic::Boolean | Basic::Complex => !ordered && left == right,
        Basic::Integer | Basic::Decimal => right.is_number(),
        Basic::Time => matches!(right, Basic::Time | Basic::String),
        Basic::Date | Basic::DateTime => matches!(right, Basic::Date | Basic::DateTime | Basic::String),
        _ => right.is_text(),
    }
}
