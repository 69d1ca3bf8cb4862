//! Functions on texts, and conversions.

use super::compare::{decimal, moment, time};
use super::{Evaluator, Scalar, Scope, fault};
use crate::error::RowError;
use crate::program::{Conversion, Expr, Item, TextFunction, TextKind};
use crate::temporal::Date;

impl Evaluator<'_> {
    /// The text of the one item above `base`, taken off the stack; none if there is no item.
    fn pop_text(&mut self, base: usize) -> Result<Option<String>, RowError> {
        let Some(item) = self.pop_single(base)? else {
            return Ok(None);
        };
        match self.scalar(item) {
            Scalar::Text(_, text) => Ok(Some(text.to_owned())),
            Scalar::Nothing => Ok(None),
            _ => Err(fault("a function of texts met something else")),
        }
    }

    fn argument(&mut self, expr: Option<&Expr>, scope: Scope) -> Result<Option<String>, RowError> {
        let Some(expr) = expr else { return Ok(None) };
        let base = self.memory.stack.len();
        self.eval(expr, scope)?;
        self.pop_text(base)
    }

    pub(super) fn concatenate(&mut self, operands: &[Expr; 2], scope: Scope) -> Result<(), RowError> {
        let mut text = String::new();
        for operand in operands {
            if let Some(item) = self.single(operand, scope)? {
                text.push_str(&self.plain(item)?);
            }
        }
        let item = self.make(TextKind::String, &text)?;
        self.push(item);
        Ok(())
    }

    /// The text of a primitive; empty for a primitive without a value.
    fn plain(&self, item: Item) -> Result<String, RowError> {
        match self.scalar(item) {
            Scalar::Boolean(flag) => Ok(flag.to_string()),
            Scalar::Integer(number) => Ok(number.to_string()),
            Scalar::Number(text) | Scalar::Text(_, text) => Ok(text.to_owned()),
            Scalar::Nothing => Ok(String::new()),
            Scalar::Object(_) => Err(fault("an object where text belongs")),
        }
    }

    pub(super) fn join(
        &mut self,
        base: usize,
        separator: Option<&Expr>,
        scope: Scope,
    ) -> Result<(), RowError> {
        let separator = self.argument(separator, scope)?.unwrap_or_default();
        let mut joined: Option<String> = None;
        for position in base..self.memory.stack.len() {
            let item = self.memory.stack[position];
            if matches!(self.scalar(item), Scalar::Nothing) {
                continue;
            }
            let text = self.plain(item)?;
            match &mut joined {
                Some(joined) => {
                    joined.push_str(&separator);
                    joined.push_str(&text);
                }
                None => joined = Some(text),
            }
        }
        self.memory.stack.truncate(base);
        if let Some(joined) = joined {
            let item = self.make(TextKind::String, &joined)?;
            self.push(item);
        }
        Ok(())
    }

    pub(super) fn text_function(
        &mut self,
        base: usize,
        function: TextFunction,
        arguments: &[Expr],
        scope: Scope,
    ) -> Result<(), RowError> {
        if function == TextFunction::Substring {
            return self.substring(base, arguments, scope);
        }
        let first = self.argument(arguments.first(), scope)?;
        let second = self.argument(arguments.get(1), scope)?;
        let Some(text) = self.pop_text(base)? else {
            return Ok(());
        };
        let item = match (function, first.as_deref(), second.as_deref()) {
            (TextFunction::Length, ..) => Item::Integer(text.chars().count() as i64),
            (TextFunction::Upper, ..) => self.make(TextKind::String, &text.to_uppercase())?,
            (TextFunction::Lower, ..) => self.make(TextKind::String, &text.to_lowercase())?,
            (TextFunction::Trim, ..) => self.make(TextKind::String, text.trim())?,
            (TextFunction::StartsWith, Some(first), _) => Item::Boolean(text.starts_with(first)),
            (TextFunction::EndsWith, Some(first), _) => Item::Boolean(text.ends_with(first)),
            (TextFunction::Contains, Some(first), _) => Item::Boolean(text.contains(first)),
            (TextFunction::IndexOf, Some(first), _) => {
                let at = text
                    .find(first)
                    .map_or(-1, |at| text[..at].chars().count() as i64);
                Item::Integer(at)
            }
            (TextFunction::Replace, Some(first), Some(second)) => {
                let grown = text.matches(first).count().saturating_mul(second.len());
                self.check_text(grown)?;
                self.make(TextKind::String, &text.replace(first, second))?
            }
            (TextFunction::Chars, ..) => {
                for character in text.chars() {
                    let item = self.make(TextKind::String, character.encode_utf8(&mut [0; 4]))?;
                    self.push(item);
                }
                return self.check_room();
            }
            (TextFunction::Split, Some(first), _) => {
                for part in text.split(first) {
                    let item = self.make(TextKind::String, part)?;
                    self.push(item);
                }
                return self.check_room();
            }
            _ => return Ok(()),
        };
        self.push(item);
        Ok(())
    }

    fn substring(&mut self, base: usize, arguments: &[Expr], scope: Scope) -> Result<(), RowError> {
        let mut numbers = [None, Some(i64::MAX)];
        for (number, argument) in numbers.iter_mut().zip(arguments) {
            *number = self.number(argument, scope)?;
        }
        let Some(text) = self.pop_text(base)? else {
            return Ok(());
        };
        let [Some(start), Some(length)] = numbers else {
            return Ok(());
        };
        let Ok(start) = usize::try_from(start) else {
            return Ok(());
        };
        if start >= text.chars().count() {
            return Ok(());
        }
        let length = usize::try_from(length).unwrap_or(0);
        let part: String = text.chars().skip(start).take(length).collect();
        let item = self.make(TextKind::String, &part)?;
        self.push(item);
        Ok(())
    }

    pub(super) fn matches(&mut self, base: usize, pattern: usize) -> Result<(), RowError> {
        let Some(text) = self.pop_text(base)? else {
            return Ok(());
        };
        let matched = self.program.patterns[pattern].is_match(&text);
        self.push(Item::Boolean(matched));
        Ok(())
    }

    pub(super) fn replace_matches(
        &mut self,
        base: usize,
        pattern: usize,
        to: &Expr,
        scope: Scope,
    ) -> Result<(), RowError> {
        let to = self.argument(Some(to), scope)?;
        let (Some(text), Some(to)) = (self.pop_text(base)?, to) else {
            return Ok(());
        };
        let pattern = &self.program.patterns[pattern];
        // Each `$` may stand for all that was matched.
        let grown = pattern.find_iter(&text).count().saturating_mul(to.len());
        let repeated = to.matches('$').count().saturating_mul(text.len());
        self.check_text(grown.saturating_add(repeated))?;
        let replaced = pattern.replace_all(&text, to.as_str()).into_owned();
        let item = self.make(TextKind::String, &replaced)?;
        self.push(item);
        Ok(())
    }

    pub(super) fn convert(&mut self, base: usize, to: Conversion, test: bool) -> Result<(), RowError> {
        let Some(item) = self.pop_single(base)? else {
            return Ok(());
        };
        let converted = self.converted(item, to);
        match (test, converted) {
            (true, converted) => self.push(Item::Boolean(converted.is_some())),
            (false, Some(Converted::Item(item))) => self.push(item),
            (false, Some(Converted::Text(kind, text))) => {
                let item = self.make(kind, &text)?;
                self.push(item);
            }
            (false, None) => {}
        }
        Ok(())
    }

    fn converted(&self, item: Item, to: Conversion) -> Option<Converted> {
        let plain = self.plain(item).ok()?;
        let text = plain.trim();
        match to {
            Conversion::String => Some(Converted::Text(TextKind::String, plain)),
            Conversion::Integer => {
                let number = match self.scalar(item) {
                    Scalar::Boolean(flag) => Some(i64::from(flag)),
                    _ => text.strip_prefix('+').unwrap_or(text).parse().ok(),
                };
                number.map(|number| Converted::Item(Item::Integer(number)))
            }
            Conversion::Decimal => {
                let number = match self.scalar(item) {
                    Scalar::Boolean(flag) => Some(if flag { "1.0".to_owned() } else { "0.0".to_owned() }),
                    _ => decimal(Scalar::Number(text.strip_prefix('+').unwrap_or(text)))
                        .map(|number| number.to_string()),
                };
                number.map(|number| Converted::Text(TextKind::Decimal, number))
            }
            Conversion::Boolean => match text.to_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(Converted::Item(Item::Boolean(true))),
                "false" | "f" | "no" | "n" | "0" | "0.0" => Some(Converted::Item(Item::Boolean(false))),
                _ => None,
            },
            Conversion::Date => {
                let date = text.get(..10).filter(|_| text.contains('T')).unwrap_or(text);
                Date::parse(date)
                    .ok()
                    .map(|_| Converted::Text(TextKind::Date, date.to_owned()))
            }
            Conversion::DateTime => {
                moment(text).map(|_| Converted::Text(TextKind::DateTime, text.to_owned()))
            }
            Conversion::Time => time(text).map(|_| Converted::Text(TextKind::Time, text.to_owned())),
        }
    }
}

enum Converted {
    Item(Item),
    Text(TextKind, String),
}
