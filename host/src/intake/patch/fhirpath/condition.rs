//! What a `where(…)` asks of an element.

use std::borrow::Cow;

use lakefeed_view::place::{Condition, Operand};
use serde_json::Value;

use super::super::{measure, numbers};
use super::Fault;
use super::locate::Walk;

impl<'a> Walk<'a, '_> {
    /// Whether a condition is true of a node; none when that is unknown.
    pub(super) fn truth(&mut self, condition: &'a Condition, node: usize) -> Result<Option<bool>, Fault> {
        self.work.look(1)?;
        // What is walked by for the answer is not kept.
        let kept = self.nodes.len();
        let truth = self.answer(condition, node)?;
        self.nodes.truncate(kept);
        Ok(truth)
    }

    fn answer(&mut self, condition: &'a Condition, node: usize) -> Result<Option<bool>, Fault> {
        Ok(match condition {
            Condition::Both(both) => match self.truth(&both[0], node)? {
                Some(false) => Some(false),
                left => match (left, self.truth(&both[1], node)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Condition::Either(either) => match self.truth(&either[0], node)? {
                Some(true) => Some(true),
                left => match (left, self.truth(&either[1], node)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Condition::Not(inner) => self.truth(inner, node)?.map(|truth| !truth),
            Condition::Exists(path) => Some(!self.follow(vec![node], &path.steps)?.is_empty()),
            Condition::Same(left, right) => {
                let (left, right) = (self.values(left, node)?, self.values(right, node)?);
                self.is_same(&left, &right)?
            }
            Condition::Holds(operand) => match self.values(operand, node)?.as_slice() {
                [] => None,
                [only] => Some(only.as_bool().unwrap_or(true)),
                _ => return Err(Fault::Several),
            },
        })
    }

    /// Nothing is the same as nothing known; several are the same as several, in their order.
    fn is_same(&mut self, left: &[Cow<'_, Value>], right: &[Cow<'_, Value>]) -> Result<Option<bool>, Fault> {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        for (left, right) in left.iter().zip(right) {
            self.work.pass(cost(left, right))?;
            if !numbers::is_same(left, right) {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    fn values(&mut self, operand: &'a Operand, node: usize) -> Result<Vec<Cow<'a, Value>>, Fault> {
        Ok(match operand {
            Operand::Path(path) => {
                let selected = self.follow(vec![node], &path.steps)?;
                let values = selected.iter().filter_map(|node| self.nodes[*node].value);
                values.map(Cow::Borrowed).collect()
            }
            Operand::Boolean(truth) => vec![Cow::Owned(Value::Bool(*truth))],
            Operand::Text(text) => {
                self.work.pass(text.len())?;
                vec![Cow::Owned(Value::String(text.clone()))]
            }
            Operand::Number(digits) => {
                self.work.pass(digits.len())?;
                vec![Cow::Owned(numbers::of(digits))]
            }
        })
    }
}

/// About how many bytes are looked at when two values are compared.
fn cost(left: &Value, right: &Value) -> usize {
    match (left, right) {
        (Value::String(left), Value::String(right)) => left.len() + right.len(),
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => measure(left).0,
        _ => 0,
    }
}
