//! Equality, order and membership.

use std::cmp::Ordering;

use super::{Evaluator, Scalar, Scope, fault};
use crate::decimal::Decimal;
use crate::error::RowError;
use crate::program::{Comparison, Expr, Item, TextKind};
use crate::temporal::{Date, DateTime, Time};

impl Evaluator<'_> {
    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        operands: &[Expr; 2],
        scope: Scope,
    ) -> Result<(), RowError> {
        let base = self.memory.stack.len();
        self.eval(&operands[0], scope)?;
        let middle = self.memory.stack.len();
        self.eval(&operands[1], scope)?;
        let answer = match comparison {
            Comparison::Equal => self.equal_collections(base, middle),
            Comparison::NotEqual => self.equal_collections(base, middle).map(|equal| !equal),
            Comparison::Equivalent => Some(self.equivalent_collections(base, middle)),
            Comparison::NotEquivalent => Some(!self.equivalent_collections(base, middle)),
            ordered => self.ordered(ordered, base, middle)?,
        };
        self.memory.stack.truncate(base);
        self.memory.stack.extend(answer.map(Item::Boolean));
        Ok(())
    }

    fn equal_collections(&self, base: usize, middle: usize) -> Option<bool> {
        let (left, right) = (&self.memory.stack[base..middle], &self.memory.stack[middle..]);
        if left.is_empty() || right.is_empty() {
            return None;
        }
        if left.len() != right.len() {
            return Some(false);
        }
        let mut answer = Some(true);
        for (one, two) in left.iter().zip(right) {
            match self.equal(*one, *two) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => answer = None,
            }
        }
        answer
    }

    fn equivalent_collections(&self, base: usize, middle: usize) -> bool {
        let (left, right) = (&self.memory.stack[base..middle], &self.memory.stack[middle..]);
        if left.len() != right.len() {
            return false;
        }
        let mut open: Vec<Item> = right.to_vec();
        left.iter().all(
            |one| match open.iter().position(|two| self.equivalent(*one, *two)) {
                Some(at) => {
                    open.swap_remove(at);
                    true
                }
                None => false,
            },
        )
    }

    /// Whether two items are equal; nothing where their precision does not tell.
    pub(super) fn equal(&self, one: Item, two: Item) -> Option<bool> {
        match (self.scalar(one), self.scalar(two)) {
            (Scalar::Nothing, _) | (_, Scalar::Nothing) => None,
            (Scalar::Boolean(one), Scalar::Boolean(two)) => Some(one == two),
            (Scalar::Object(one), Scalar::Object(two)) => Some(same_json(one, two)),
            (Scalar::Text(one_kind, one), Scalar::Text(two_kind, two)) => {
                equal_texts((one_kind, one), (two_kind, two))
            }
            (one, two) => match numbers(one, two) {
                Some(order) => Some(order.is_eq()),
                None => Some(false),
            },
        }
    }

    /// Whether two items mean the same: letter case, blanks and missing digits aside.
    fn equivalent(&self, one: Item, two: Item) -> bool {
        match (self.scalar(one), self.scalar(two)) {
            (Scalar::Text(TextKind::String, one), Scalar::Text(TextKind::String, two)) => {
                let plain = |text: &str| {
                    text.split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ")
                        .to_lowercase()
                };
                plain(one) == plain(two)
            }
            (
                one @ (Scalar::Integer(_) | Scalar::Number(_)),
                two @ (Scalar::Integer(_) | Scalar::Number(_)),
            ) => match (decimal(one), decimal(two)) {
                (Some(one), Some(two)) => {
                    let places = one.trimmed().scale().min(two.trimmed().scale());
                    super::number::rounded(one, places) == super::number::rounded(two, places)
                }
                _ => false,
            },
            _ => self.equal(one, two) == Some(true),
        }
    }

    fn ordered(&self, comparison: Comparison, base: usize, middle: usize) -> Result<Option<bool>, RowError> {
        let (left, right) = (&self.memory.stack[base..middle], &self.memory.stack[middle..]);
        let ([one], [two]) = (left, right) else {
            if left.is_empty() || right.is_empty() {
                return Ok(None);
            }
            return Err(fault("several values on one side of a comparison"));
        };
        let order = match (self.scalar(*one), self.scalar(*two)) {
            (Scalar::Nothing, _) | (_, Scalar::Nothing) => None,
            (Scalar::Text(TextKind::String, one), Scalar::Text(TextKind::String, two)) => Some(one.cmp(two)),
            (Scalar::Text(one_kind, one), Scalar::Text(two_kind, two)) => {
                let order = moments((one_kind, one), (two_kind, two));
                order.ok_or_else(|| fault("a comparison of a date or time with something else"))?
            }
            (one, two) => {
                let order = numbers(one, two);
                Some(order.ok_or_else(|| fault("a comparison of values of different kinds"))?)
            }
        };
        Ok(order.map(|order| match comparison {
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            _ => order.is_ge(),
        }))
    }

    pub(super) fn union(
        &mut self,
        distinct: bool,
        operands: &[Expr; 2],
        scope: Scope,
    ) -> Result<(), RowError> {
        let base = self.memory.stack.len();
        self.eval(&operands[0], scope)?;
        self.eval(&operands[1], scope)?;
        if distinct {
            self.distinct(base);
        }
        self.check_room()
    }

    pub(super) fn distinct(&mut self, base: usize) {
        let mut kept = base;
        for position in base..self.memory.stack.len() {
            let item = self.memory.stack[position];
            if !self.memory.stack[base..kept]
                .iter()
                .any(|known| self.equal(*known, item) == Some(true))
            {
                self.memory.stack[kept] = item;
                kept += 1;
            }
        }
        self.memory.stack.truncate(kept);
    }

    pub(super) fn filter(&mut self, keep: bool, operands: &[Expr; 2], scope: Scope) -> Result<(), RowError> {
        let base = self.memory.stack.len();
        self.eval(&operands[0], scope)?;
        let middle = self.memory.stack.len();
        self.eval(&operands[1], scope)?;
        let mut kept = base;
        for position in base..middle {
            let item = self.memory.stack[position];
            let found = self.memory.stack[middle..]
                .iter()
                .any(|other| self.equal(item, *other) == Some(true));
            if found == keep {
                self.memory.stack[kept] = item;
                kept += 1;
            }
        }
        self.memory.stack.truncate(kept);
        Ok(())
    }

    pub(super) fn membership(&mut self, operands: &[Expr; 2], scope: Scope) -> Result<(), RowError> {
        let Some(member) = self.single(&operands[0], scope)? else {
            return Ok(());
        };
        let base = self.memory.stack.len();
        self.eval(&operands[1], scope)?;
        let found = self.memory.stack[base..]
            .iter()
            .any(|item| self.equal(member, *item) == Some(true));
        self.answer(base, Item::Boolean(found));
        Ok(())
    }
}

/// The number that a scalar is.
pub(super) fn decimal(scalar: Scalar<'_>) -> Option<Decimal> {
    match scalar {
        Scalar::Integer(number) => Decimal::new(number.into(), 0).ok(),
        Scalar::Number(digits) => Decimal::parse(digits).ok(),
        _ => None,
    }
}

/// Whether two texts are equal, of which one may be a date or time; nothing where their precision does not tell.
pub(super) fn equal_texts(one: (TextKind, &str), two: (TextKind, &str)) -> Option<bool> {
    if one.0 == TextKind::String && two.0 == TextKind::String {
        return Some(one.1 == two.1);
    }
    match moments(one, two) {
        Some(order) => order.map(Ordering::is_eq),
        None => Some(one.1 == two.1),
    }
}

fn numbers(one: Scalar<'_>, two: Scalar<'_>) -> Option<Ordering> {
    if let (Scalar::Integer(one), Scalar::Integer(two)) = (one, two) {
        return Some(one.cmp(&two));
    }
    Some(decimal(one)?.cmp(&decimal(two)?))
}

/// The order of two texts of which one is a date or time; the outer `None` where one of them is none.
fn moments(one: (TextKind, &str), two: (TextKind, &str)) -> Option<Option<Ordering>> {
    if one.0 == TextKind::Time || two.0 == TextKind::Time {
        return Some(time(one.1)?.compare(time(two.1)?));
    }
    Some(moment(one.1)?.compare(moment(two.1)?))
}

/// A date or dateTime, of a resource or a literal.
pub(super) fn moment(text: &str) -> Option<DateTime> {
    let date = |text| Date::parse(text).map(DateTime::from);
    date(text)
        .or_else(|_| DateTime::parse(text))
        .or_else(|_| DateTime::parse_literal(text))
        .ok()
}

/// A time of day, of a resource or a literal.
pub(super) fn time(text: &str) -> Option<Time> {
    Time::parse(text).or_else(|_| Time::parse_literal(text)).ok()
}

/// Whether two objects hold the same, whatever the order of their members.
fn same_json(one: &str, two: &str) -> bool {
    if one == two {
        return true;
    }
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    matches!((read(one), read(two)), (Some(one), Some(two)) if one == two)
}
