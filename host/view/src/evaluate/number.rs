//! Arithmetic, exact in decimals.

use super::compare::decimal;
use super::{Evaluator, Scalar, Scope, fault};
use crate::decimal::Decimal;
use crate::error::RowError;
use crate::program::{Arithmetic, Expr, Item, NumberFunction, TextKind};

impl Evaluator<'_> {
    pub(super) fn arithmetic(
        &mut self,
        kind: Arithmetic,
        operands: &[Expr; 2],
        scope: Scope,
    ) -> Result<(), RowError> {
        let (Some(left), Some(right)) = (
            self.single(&operands[0], scope)?,
            self.single(&operands[1], scope)?,
        ) else {
            return Ok(());
        };
        let result = match (self.scalar(left), self.scalar(right)) {
            (Scalar::Nothing, _) | (_, Scalar::Nothing) => return Ok(()),
            (Scalar::Text(_, left), Scalar::Text(_, right)) if kind == Arithmetic::Add => {
                let text = format!("{left}{right}");
                self.make(TextKind::String, &text)?
            }
            (Scalar::Integer(left), Scalar::Integer(right)) if kind != Arithmetic::Divide => {
                match whole(kind, left, right) {
                    Some(result) => Item::Integer(result),
                    None => return Ok(()),
                }
            }
            (left, right) => {
                let (Some(one), Some(two)) = (decimal(left), decimal(right)) else {
                    return Err(fault("arithmetic with something that is no number"));
                };
                match exact(kind, one, two) {
                    Some(result) => self.decimal_item(result, kind == Arithmetic::Div)?,
                    None => return Ok(()),
                }
            }
        };
        self.push(result);
        Ok(())
    }

    fn decimal_item(&mut self, number: Decimal, whole: bool) -> Result<Item, RowError> {
        match number.to_i64().filter(|_| whole) {
            Some(number) => Ok(Item::Integer(number)),
            None => self.make(TextKind::Decimal, &number.to_string()),
        }
    }

    pub(super) fn negative(&mut self, operand: &Expr, scope: Scope) -> Result<(), RowError> {
        let Some(item) = self.single(operand, scope)? else {
            return Ok(());
        };
        let result = match self.scalar(item) {
            Scalar::Integer(number) => number.checked_neg().map(Item::Integer),
            Scalar::Nothing => None,
            scalar => match decimal(scalar) {
                Some(number) => Some(self.decimal_item(number.negated(), false)?),
                None => return Err(fault("`-` before something that is no number")),
            },
        };
        self.memory.stack.extend(result);
        Ok(())
    }

    pub(super) fn number_function(
        &mut self,
        base: usize,
        function: NumberFunction,
        precision: Option<&Expr>,
        scope: Scope,
    ) -> Result<(), RowError> {
        let places = match precision {
            Some(precision) => self.number(precision, scope)?.unwrap_or(0),
            None => 0,
        };
        let places = u32::try_from(places).map_err(|_| fault("`round()` to a negative precision"))?;
        let Some(item) = self.pop_single(base)? else {
            return Ok(());
        };
        let scalar = self.scalar(item);
        if matches!(scalar, Scalar::Nothing) {
            return Ok(());
        }
        let number = decimal(scalar).ok_or_else(|| fault("a function of numbers met something else"))?;
        let whole = matches!(scalar, Scalar::Integer(_))
            || !matches!(function, NumberFunction::Abs | NumberFunction::Round);
        let result = match function {
            NumberFunction::Abs if number < Decimal::ZERO => Some(number.negated()),
            NumberFunction::Abs => Some(number),
            NumberFunction::Ceiling => number.ceil_to(0).ok(),
            NumberFunction::Floor => number.floor_to(0).ok(),
            NumberFunction::Truncate if number < Decimal::ZERO => number.ceil_to(0).ok(),
            NumberFunction::Truncate => number.floor_to(0).ok(),
            NumberFunction::Round => Some(rounded(number, places)),
        };
        if let Some(result) = result {
            let item = self.decimal_item(result, whole)?;
            self.push(item);
        }
        Ok(())
    }
}

/// The number with at most so many decimal places, half away from zero.
pub(super) fn rounded(number: Decimal, places: u32) -> Decimal {
    if number.scale() <= places {
        return number;
    }
    let sign = if number < Decimal::ZERO { -5 } else { 5 };
    let half = Decimal::new(sign, places + 1);
    let moved = half.and_then(|half| number.plus(half));
    let cut = moved.and_then(|moved| {
        if sign < 0 {
            moved.ceil_to(places)
        } else {
            moved.floor_to(places)
        }
    });
    cut.unwrap_or(number)
}

fn whole(kind: Arithmetic, left: i64, right: i64) -> Option<i64> {
    match kind {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide | Arithmetic::Div => left.checked_div(right),
        Arithmetic::Mod => left.checked_rem(right),
    }
}

fn exact(kind: Arithmetic, left: Decimal, right: Decimal) -> Option<Decimal> {
    let result = match kind {
        Arithmetic::Add => left.plus(right),
        Arithmetic::Subtract => left.minus(right),
        Arithmetic::Multiply => left.times(right),
        Arithmetic::Divide => left.divided_by(right),
        Arithmetic::Div => left.whole_divided_by(right),
        Arithmetic::Mod => left.remainder_by(right),
    };
    result.ok()
}
