//! Functions on texts and numbers, and conversions.

use regex::RegexBuilder;

use super::function::{Call, literal_text};
use super::shape::{Basic, Shape};
use super::types::extend;
use super::{Compiled, Compiler, Failed};
use crate::error::Code;
use crate::fhirpath::Node;
use crate::program::{Conversion, Expr, NumberFunction, Step, TextFunction};

/// How much memory a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;
/// The longest pattern.
const PATTERN_LENGTH: usize = 4096;

impl Compiler {
    pub(super) fn text_call(&mut self, start: (Expr, Shape), call: &Call<'_>) -> Compiled {
        if let Some((to, test)) = conversion(call.name) {
            self.arity(call, 0, 0, &format!("{}()", call.name))?;
            let basic = if test { Basic::Boolean } else { converted(to) };
            return Ok((extend(start.0, Step::Convert { to, test }), Shape::system(basic)));
        }
        match call.name {
            "matches" | "replaceMatches" => self.pattern_call(start, call),
            "join" => self.join(start, call),
            "abs" | "ceiling" | "floor" | "truncate" | "round" => self.number_call(start, call),
            _ => self.plain_text_call(start, call),
        }
    }

    fn plain_text_call(&mut self, (expr, shape): (Expr, Shape), call: &Call<'_>) -> Compiled {
        let (function, most, least, form, basic) = match call.name {
            "startsWith" => (
                TextFunction::StartsWith,
                1,
                1,
                "startsWith('text')",
                Basic::Boolean,
            ),
            "endsWith" => (TextFunction::EndsWith, 1, 1, "endsWith('text')", Basic::Boolean),
            "contains" => (TextFunction::Contains, 1, 1, "contains('text')", Basic::Boolean),
            "indexOf" => (TextFunction::IndexOf, 1, 1, "indexOf('text')", Basic::Integer),
            "replace" => (
                TextFunction::Replace,
                2,
                2,
                "replace('from', 'to')",
                Basic::String,
            ),
            "substring" => (
                TextFunction::Substring,
                2,
                1,
                "substring(start, length)",
                Basic::String,
            ),
            "length" => (TextFunction::Length, 0, 0, "length()", Basic::Integer),
            "upper" => (TextFunction::Upper, 0, 0, "upper()", Basic::String),
            "lower" => (TextFunction::Lower, 0, 0, "lower()", Basic::String),
            "trim" => (TextFunction::Trim, 0, 0, "trim()", Basic::String),
            "toChars" => (TextFunction::Chars, 0, 0, "toChars()", Basic::String),
            _ => (TextFunction::Split, 1, 1, "split(',')", Basic::String),
        };
        self.arity(call, least, most, form)?;
        self.needs_text(&shape, call)?;
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for node in call.arguments {
            arguments.push(self.text_argument(node, function, call)?);
        }
        Ok((
            extend(expr, Step::Text(function, arguments)),
            Shape::system(basic),
        ))
    }

    fn text_argument(
        &mut self,
        node: &Node,
        function: TextFunction,
        call: &Call<'_>,
    ) -> Result<Expr, Failed> {
        let (argument, shape) = self.node(node, call.scope)?;
        let number = function == TextFunction::Substring;
        let fits = if number {
            shape.may(|basic| basic == Basic::Integer)
        } else {
            shape.may(Basic::is_text)
        };
        if fits {
            return Ok(argument);
        }
        let wanted = if number { "an integer" } else { "text, in quotes" };
        let problem = format!("`{}()` with {}", call.name, shape.described());
        Err(self.fail(Code::BadArguments, node.at, problem, format!("write {wanted}")))
    }

    fn needs_text(&mut self, shape: &Shape, call: &Call<'_>) -> Result<(), Failed> {
        if shape.may(Basic::is_text) {
            return Ok(());
        }
        let problem = format!("`{}()` of {}", call.name, shape.described());
        Err(self.fail(
            Code::BadOperands,
            call.at,
            problem,
            "call it on text; `.toString()` makes text of a number, a date or a boolean",
        ))
    }

    fn join(&mut self, (expr, shape): (Expr, Shape), call: &Call<'_>) -> Compiled {
        self.arity(call, 0, 1, "join(', ')")?;
        self.needs_text(&shape, call)?;
        let separator = match call.arguments.first() {
            Some(node) => Some(self.text_argument(node, TextFunction::Split, call)?),
            None => None,
        };
        Ok((extend(expr, Step::Join(separator)), Shape::system(Basic::String)))
    }

    fn pattern_call(&mut self, (expr, shape): (Expr, Shape), call: &Call<'_>) -> Compiled {
        let replaces = call.name == "replaceMatches";
        let (count, form) = if replaces {
            (2, "replaceMatches('pattern', 'to')")
        } else {
            (1, "matches('pattern')")
        };
        self.arity(call, count, count, form)?;
        self.needs_text(&shape, call)?;
        let pattern = self.pattern(&call.arguments[0], call)?;
        if !replaces {
            return Ok((
                extend(expr, Step::Matches(pattern)),
                Shape::system(Basic::Boolean),
            ));
        }
        let replacement = self.text_argument(&call.arguments[1], TextFunction::Replace, call)?;
        Ok((
            extend(expr, Step::ReplaceMatches(pattern, replacement)),
            Shape::system(Basic::String),
        ))
    }

    /// Compiles a pattern once; its matching takes time linear in the text, whatever the pattern.
    fn pattern(&mut self, node: &Node, call: &Call<'_>) -> Result<usize, Failed> {
        let constant = match &node.kind {
            crate::fhirpath::NodeKind::Variable(name) => self.constant_text(name),
            _ => literal_text(node).map(str::to_owned),
        };
        let Some(pattern) = constant else {
            let problem = format!("the pattern of `{}()` is no literal", call.name);
            return Err(self.fail(
                Code::BadPattern,
                node.at,
                problem,
                "write the pattern as text, or as a constant",
            ));
        };
        let compiled = RegexBuilder::new(&pattern)
            .size_limit(PATTERN_BYTES)
            .dot_matches_new_line(true)
            .build();
        match compiled {
            Ok(regex) if pattern.len() <= PATTERN_LENGTH => {
                self.program.patterns.push(regex);
                Ok(self.program.patterns.len() - 1)
            }
            Err(regex::Error::Syntax(text)) => {
                // The last line says why; those before it draw the pattern.
                let last = text.lines().last().unwrap_or_default();
                let reason = last.strip_prefix("error: ").unwrap_or(last);
                let problem = format!("the pattern is no regular expression: {reason}");
                let remedy = "mend the pattern; there are no look-around and no back-references";
                Err(self.fail(Code::BadPattern, node.at, problem, remedy))
            }
            _ => Err(self.fail(
                Code::BadPattern,
                node.at,
                "the pattern is too large",
                "repeat less, or write less",
            )),
        }
    }

    fn constant_text(&self, name: &str) -> Option<String> {
        match self.constants.get(name)?.0 {
            crate::program::Item::Text(_, text) => {
                let range = text.start as usize..(text.start + text.length) as usize;
                self.program.literals.get(range).map(str::to_owned)
            }
            _ => None,
        }
    }

    fn number_call(&mut self, (expr, shape): (Expr, Shape), call: &Call<'_>) -> Compiled {
        let (function, most) = match call.name {
            "abs" => (NumberFunction::Abs, 0),
            "ceiling" => (NumberFunction::Ceiling, 0),
            "floor" => (NumberFunction::Floor, 0),
            "truncate" => (NumberFunction::Truncate, 0),
            _ => (NumberFunction::Round, 1),
        };
        self.arity(call, 0, most, &format!("{}()", call.name))?;
        if !shape.may(Basic::is_number) {
            let problem = format!("`{}()` of {}", call.name, shape.described());
            return Err(self.fail(Code::BadOperands, call.at, problem, "call it on a number"));
        }
        let precision = match call.arguments.first() {
            Some(node) => Some(self.node(node, call.scope)?.0),
            None => None,
        };
        let basic = match function {
            NumberFunction::Abs => shape.basic().unwrap_or(Basic::Decimal),
            NumberFunction::Round => Basic::Decimal,
            _ => Basic::Integer,
        };
        Ok((
            extend(expr, Step::Number(function, precision)),
            Shape::system(basic),
        ))
    }
}

fn conversion(name: &str) -> Option<(Conversion, bool)> {
    let (test, name) = match name.strip_prefix("convertsTo") {
        Some(name) => (true, name),
        None => (false, name.strip_prefix("to")?),
    };
    let to = match name {
        "String" => Conversion::String,
        "Integer" => Conversion::Integer,
        "Decimal" => Conversion::Decimal,
        "Boolean" => Conversion::Boolean,
        "Date" => Conversion::Date,
        "DateTime" => Conversion::DateTime,
        "Time" => Conversion::Time,
        _ => return None,
    };
    Some((to, test))
}

fn converted(to: Conversion) -> Basic {
    match to {
        Conversion::String => Basic::String,
        Conversion::Integer => Basic::Integer,
        Conversion::Decimal => Basic::Decimal,
        Conversion::Boolean => Basic::Boolean,
        Conversion::Date => Basic::Date,
        Conversion::DateTime => Basic::DateTime,
        Conversion::Time => Basic::Time,
    }
}
