//! An expression of a program, written as FHIRPath again: elements by their keys in JSON, constants in place.

use std::fmt;

use crate::boundary::Bound;
use crate::cell::TextRef;
use crate::program::{
    Arithmetic, Comparison, Conversion, Expr, Item, Logic, MetaField, NumberFunction, Program, Root, Step,
    TextFunction, TextKind,
};
use crate::trie::FieldId;

/// What binds as tightly as a path does.
const TIGHTEST: u8 = 11;

/// An expression and the program that it belongs to.
pub(super) struct Written<'a> {
    pub(super) program: &'a Program,
    pub(super) expr: &'a Expr,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expr {
            Expr::Empty => formatter.write_str("{}"),
            Expr::Literal(item) => self.item(*item, formatter),
            Expr::This => formatter.write_str("$this"),
            Expr::Context => formatter.write_str("%context"),
            Expr::Root(Root::Context) => formatter.write_str("%resource"),
            Expr::Root(Root::Current) => formatter.write_str("%current"),
            Expr::Root(Root::Previous) => formatter.write_str("%previous"),
            Expr::RowIndex => formatter.write_str("%rowIndex"),
            Expr::Index => formatter.write_str("$index"),
            Expr::Meta(field) => formatter.write_str(meta(*field)),
            Expr::Path(start, steps) => self.path(start, steps, formatter),
            Expr::Logic(logic, operands) => self.binary(operands, logic_word(*logic), formatter),
            Expr::Compare(comparison, operands) => {
                self.binary(operands, comparison_sign(*comparison), formatter)
            }
            Expr::Arithmetic(kind, operands) => self.binary(operands, arithmetic_sign(*kind), formatter),
            Expr::Concatenate(operands) => self.binary(operands, "&", formatter),
            Expr::In(operands) => self.binary(operands, "in", formatter),
            Expr::Union {
                distinct: true,
                operands,
            } => self.binary(operands, "|", formatter),
            Expr::Union {
                distinct: false,
                operands,
            } => self.call("combine", operands, formatter),
            Expr::Filter { keep: true, operands } => self.call("intersect", operands, formatter),
            Expr::Filter {
                keep: false,
                operands,
            } => self.call("exclude", operands, formatter),
            Expr::Negative(operand) => write!(formatter, "-{}", self.operand(operand, TIGHTEST)),
            Expr::If(operands) => {
                let [condition, then, otherwise] = &**operands;
                let (condition, then) = (self.of(condition), self.of(then));
                match otherwise {
                    Expr::Empty => write!(formatter, "iif({condition}, {then})"),
                    otherwise => write!(formatter, "iif({condition}, {then}, {})", self.of(otherwise)),
                }
            }
        }
    }
}

impl<'a> Written<'a> {
    fn of(&self, expr: &'a Expr) -> Written<'a> {
        Written {
            program: self.program,
            expr,
        }
    }

    /// An expression as an operand: bracketed where it binds less tightly than its place demands.
    fn operand(&self, expr: &'a Expr, least: u8) -> String {
        let text = self.of(expr).to_string();
        if binding(expr) < least {
            format!("({text})")
        } else {
            text
        }
    }

    fn binary(&self, operands: &'a [Expr; 2], sign: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, right] = operands;
        let own = binding(self.expr);
        let (left, right) = (self.operand(left, own), self.operand(right, own + 1));
        write!(formatter, "{left} {sign} {right}")
    }

    fn call(&self, name: &str, operands: &'a [Expr; 2], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, right] = operands;
        write!(
            formatter,
            "{}.{name}({})",
            self.operand(left, TIGHTEST),
            self.of(right)
        )
    }

    fn item(&self, item: Item, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match item {
            Item::Boolean(flag) => write!(formatter, "{flag}"),
            Item::Integer(number) => write!(formatter, "{number}"),
            Item::Text(TextKind::String, text) => formatter.write_str(&self.quoted(text)),
            Item::Text(TextKind::Decimal, text) => formatter.write_str(self.literal(text)),
            Item::Text(TextKind::Time, text) => write!(formatter, "@T{}", self.literal(text)),
            Item::Text(_, text) => write!(formatter, "@{}", self.literal(text)),
            // A program holds no node: those are a resource's.
            Item::Node(_) => Ok(()),
        }
    }

    fn literal(&self, text: TextRef) -> &'a str {
        let range = text.start as usize..(text.start + text.length) as usize;
        self.program.literals.get(range).unwrap_or_default()
    }

    fn quoted(&self, text: TextRef) -> String {
        let text = self.literal(text).replace('\\', "\\\\").replace('\'', "\\'");
        format!(
            "'{}'",
            text.replace('\n', "\\n")
                .replace('\t', "\\t")
                .replace('\r', "\\r")
        )
    }

    fn path(&self, start: &'a Expr, steps: &'a [Step], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = match start {
            Expr::This => String::new(),
            start => self.operand(start, TIGHTEST),
        };
        for step in steps {
            if let Step::At(number) = step {
                text = format!(
                    "{}[{}]",
                    if text.is_empty() { "$this" } else { &text },
                    self.of(number)
                );
                continue;
            }
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&self.step(step));
        }
        formatter.write_str(&text)
    }

    fn field(&self, field: FieldId) -> &'a str {
        self.program.fields.name(field)
    }

    fn step(&self, step: &'a Step) -> String {
        let with = |name: &str, expr: &'a Expr| format!("{name}({})", self.of(expr));
        match step {
            Step::Child(field) => self.field(*field).to_owned(),
            Step::AnyChild(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| self.field(*field)).collect();
                format!("({})", names.join(" | "))
            }
            Step::WhereField(field, text) => {
                format!("where({} = {})", self.field(*field), self.quoted(*text))
            }
            Step::Skip(expr) => with("skip", expr),
            Step::Take(expr) => with("take", expr),
            Step::At(expr) => with("at", expr),
            Step::Where(expr) => with("where", expr),
            Step::Select(expr) => with("select", expr),
            Step::Repeat(expr) => with("repeat", expr),
            Step::All(expr) => with("all", expr),
            Step::Truths { any, wanted } => truths(*any, *wanted).to_owned(),
            Step::OfType(test) => format!("ofType({})", test.info.name()),
            Step::Is(test) => format!("is({})", test.info.name()),
            Step::ResourceKey(_) => "getResourceKey()".to_owned(),
            Step::ReferenceKey { wanted, .. } => {
                format!("getReferenceKey({})", wanted.as_deref().unwrap_or_default())
            }
            Step::Boundary { bound, precision, .. } => {
                let name = match bound {
                    Bound::Low => "lowBoundary",
                    Bound::High => "highBoundary",
                };
                format!("{name}({})", self.optional(precision.as_ref()))
            }
            Step::Join(separator) => format!("join({})", self.optional(separator.as_ref())),
            Step::Text(function, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(|one| self.of(one).to_string()).collect();
                format!("{}({})", text_function(*function), arguments.join(", "))
            }
            Step::Matches(pattern) => format!("matches('{}')", self.pattern(*pattern)),
            Step::ReplaceMatches(pattern, to) => {
                format!("replaceMatches('{}', {})", self.pattern(*pattern), self.of(to))
            }
            Step::Convert { to, test } => {
                format!("{}{}()", if *test { "convertsTo" } else { "to" }, conversion(*to))
            }
            Step::Number(function, precision) => {
                format!(
                    "{}({})",
                    number_function(*function),
                    self.optional(precision.as_ref())
                )
            }
            plain => format!("{}()", plain_step(plain)),
        }
    }

    fn optional(&self, expr: Option<&'a Expr>) -> String {
        expr.map(|expr| self.of(expr).to_string()).unwrap_or_default()
    }

    fn pattern(&self, pattern: usize) -> &'a str {
        self.program
            .patterns
            .get(pattern)
            .map_or("", |pattern| pattern.as_str())
    }
}

/// How tightly operators bind, from `implies` to `*`; what is none binds as tightly as can be.
fn binding(expr: &Expr) -> u8 {
    match expr {
        Expr::Logic(Logic::Implies, _) => 1,
        Expr::Logic(Logic::Or | Logic::Xor, _) => 2,
        Expr::Logic(Logic::And, _) => 3,
        Expr::In(_) => 4,
        Expr::Compare(comparison, _) => match comparison {
            Comparison::Equal | Comparison::NotEqual | Comparison::Equivalent | Comparison::NotEquivalent => {
                5
            }
            _ => 6,
        },
        Expr::Union { distinct: true, .. } => 7,
        Expr::Concatenate(_) | Expr::Arithmetic(Arithmetic::Add | Arithmetic::Subtract, _) => 8,
        Expr::Arithmetic(..) => 9,
        Expr::Negative(_) => 10,
        _ => TIGHTEST,
    }
}

/// The name of a step that has no arguments.
fn plain_step(step: &Step) -> &'static str {
    match step {
        Step::First => "first",
        Step::Last => "last",
        Step::Tail => "tail",
        Step::Single => "single",
        Step::Exists => "exists",
        Step::Empty => "empty",
        Step::Count => "count",
        Step::Not => "not",
        Step::Distinct => "distinct",
        Step::IsDistinct => "isDistinct",
        Step::HasValue => "hasValue",
        Step::Resolve => "resolve",
        _ => "",
    }
}

fn truths(any: bool, wanted: bool) -> &'static str {
    match (any, wanted) {
        (false, true) => "allTrue()",
        (true, true) => "anyTrue()",
        (false, false) => "allFalse()",
        (true, false) => "anyFalse()",
    }
}

fn meta(field: MetaField) -> &'static str {
    match field {
        MetaField::Ts => "getAidboxTs()",
        MetaField::Cts => "getAidboxCts()",
        MetaField::Status => "getAidboxStatus()",
        MetaField::Txid => "getAidboxTxid()",
        MetaField::Today => "today()",
        MetaField::TimeOfDay => "timeOfDay()",
    }
}

fn logic_word(logic: Logic) -> &'static str {
    match logic {
        Logic::And => "and",
        Logic::Or => "or",
        Logic::Xor => "xor",
        Logic::Implies => "implies",
    }
}

fn comparison_sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "!=",
        Comparison::Equivalent => "~",
        Comparison::NotEquivalent => "!~",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn arithmetic_sign(kind: Arithmetic) -> &'static str {
    match kind {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::Div => "div",
        Arithmetic::Mod => "mod",
    }
}

fn text_function(function: TextFunction) -> &'static str {
    match function {
        TextFunction::StartsWith => "startsWith",
        TextFunction::EndsWith => "endsWith",
        TextFunction::Contains => "contains",
        TextFunction::Replace => "replace",
        TextFunction::Substring => "substring",
        TextFunction::Length => "length",
        TextFunction::Upper => "upper",
        TextFunction::Lower => "lower",
        TextFunction::Trim => "trim",
        TextFunction::Chars => "toChars",
        TextFunction::Split => "split",
        TextFunction::IndexOf => "indexOf",
    }
}

fn conversion(to: Conversion) -> &'static str {
    match to {
        Conversion::String => "String",
        Conversion::Integer => "Integer",
        Conversion::Decimal => "Decimal",
        Conversion::Boolean => "Boolean",
        Conversion::Date => "Date",
        Conversion::DateTime => "DateTime",
        Conversion::Time => "Time",
    }
}

fn number_function(function: NumberFunction) -> &'static str {
    match function {
        NumberFunction::Abs => "abs",
        NumberFunction::Ceiling => "ceiling",
        NumberFunction::Floor => "floor",
        NumberFunction::Truncate => "truncate",
        NumberFunction::Round => "round",
    }
}
