//! Expressions over the tape of a resource.
//!
//! All collections live on one stack of [`Item`]s: an expression pushes what it gives, a step replaces the collection on top.
//! Nothing is allocated per value; the stack and the memory for computed texts are kept from resource to resource.

mod compare;
mod flatten;
mod number;
mod places;
mod reference;
mod resolve;
mod step;
#[cfg(test)]
mod tests;
mod text;

use crate::cell::{Origin, TextRef};
use crate::error::{Code, RowError};
use crate::program::{Expr, Item, Logic, MetaField, Program, Root, TextKind};
use crate::rows::ResourceMeta;
use crate::tape::{NodeType, Tape, TapeNode};
use crate::temporal::micros_to_text;

use places::Found;

pub(crate) use flatten::{Flat, Flattener, Source};
pub(crate) use resolve::{Find, Follower, Resolved};

/// How many values an expression may hold at a time.
const MOST_ITEMS: usize = 1_000_000;
/// How many bytes the computed texts of one resource may take together.
const MOST_TEXT: usize = 64 << 20;

/// The root of a tape of several resources.
pub(crate) type Roots = [Option<u32>; 3];

/// What outlives one evaluation, so that memory is reused.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) stack: Vec<Item>,
    /// Texts that functions made.
    pub(crate) made: String,
    pub(crate) found: Found,
}

/// What an expression is evaluated on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) this: Option<Item>,
    pub(crate) context: Option<Item>,
    pub(crate) row_index: usize,
    pub(crate) index: usize,
}

impl Scope {
    pub(crate) fn on(item: Option<Item>, row_index: usize) -> Self {
        Self {
            this: item,
            context: item,
            row_index,
            index: 0,
        }
    }
}

/// A program at work on the tape of one resource, or of the versions that a criterion compares.
pub(crate) struct Evaluator<'a> {
    pub(crate) program: &'a Program,
    pub(crate) tape: &'a Tape,
    pub(crate) sources: &'a [&'a str],
    /// Where the context, the current and the previous version stand.
    pub(crate) roots: Roots,
    /// What references lead to; none where none are followed.
    pub(crate) resolved: Option<&'a Resolved>,
    pub(crate) meta: &'a ResourceMeta,
    pub(crate) memory: &'a mut Memory,
}

/// An item as a plain value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'a> {
    Boolean(bool),
    Integer(i64),
    /// A number, by its digits.
    Number(&'a str),
    Text(TextKind, &'a str),
    /// An object, by its JSON.
    Object(&'a str),
    /// A primitive without a value, of which only extensions exist.
    Nothing,
}

/// A computed constant.
pub(crate) enum Constant {
    Nothing,
    Item(Item),
    Text(TextKind, String),
}

/// Computes an expression that depends on no resource; none if that is impossible, or gives more than one item.
pub(crate) fn constant(program: &Program, expr: &Expr) -> Option<Constant> {
    let (tape, meta, mut memory) = (Tape::default(), ResourceMeta::default(), Memory::default());
    let mut evaluator = Evaluator {
        program,
        tape: &tape,
        sources: &[],
        roots: [None; 3],
        resolved: None,
        meta: &meta,
        memory: &mut memory,
    };
    evaluator.eval(expr, Scope::on(None, 0)).ok()?;
    match *evaluator.memory.stack {
        [] => Some(Constant::Nothing),
        [Item::Text(kind, text)] => Some(Constant::Text(kind, evaluator.text(text).to_owned())),
        [item] => Some(Constant::Item(item)),
        _ => None,
    }
}

pub(crate) fn fault(reason: impl Into<String>) -> RowError {
    RowError::new(Code::Evaluation, reason)
}

#[cold]
fn too_much(reason: std::fmt::Arguments<'_>) -> RowError {
    fault(reason.to_string())
}

impl Evaluator<'_> {
    pub(crate) fn eval(&mut self, expr: &Expr, scope: Scope) -> Result<(), RowError> {
        match expr {
            Expr::Empty => {}
            Expr::Literal(item) => self.push(*item),
            Expr::This => self.memory.stack.extend(scope.this),
            Expr::Context => self.memory.stack.extend(scope.context),
            Expr::Root(root) => {
                let at = match root {
                    Root::Context => self.roots[0],
                    Root::Current => self.roots[1],
                    Root::Previous => self.roots[2],
                };
                self.memory.stack.extend(at.map(Item::Node));
            }
            Expr::RowIndex => self.push(Item::Integer(scope.row_index as i64)),
            Expr::Index => self.push(Item::Integer(scope.index as i64)),
            Expr::Meta(field) => self.push_meta(*field)?,
            Expr::Path(start, steps) => {
                let base = self.memory.stack.len();
                self.eval(start, scope)?;
                for step in steps {
                    self.step(step, base, scope)?;
                }
            }
            Expr::Logic(logic, operands) => self.logic(*logic, operands, scope)?,
            Expr::Compare(comparison, operands) => self.compare(*comparison, operands, scope)?,
            Expr::Arithmetic(arithmetic, operands) => self.arithmetic(*arithmetic, operands, scope)?,
            Expr::Concatenate(operands) => self.concatenate(operands, scope)?,
            Expr::Union { distinct, operands } => self.union(*distinct, operands, scope)?,
            Expr::Filter { keep, operands } => self.filter(*keep, operands, scope)?,
            Expr::In(operands) => self.membership(operands, scope)?,
            Expr::Negative(operand) => self.negative(operand, scope)?,
            Expr::If(operands) => {
                let [condition, then, otherwise] = &**operands;
                let chosen = if self.truth(condition, scope)? == Some(true) {
                    then
                } else {
                    otherwise
                };
                self.eval(chosen, scope)?;
            }
        }
        Ok(())
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.memory.stack.push(item);
    }

    // Apart from `eval`, which is deep in itself and whose frame should stay small.
    #[inline(never)]
    fn push_meta(&mut self, field: MetaField) -> Result<(), RowError> {
        let meta = self.meta;
        let item = match field {
            MetaField::Ts => self.make(TextKind::DateTime, &micros_to_text(meta.ts))?,
            MetaField::Cts => self.make(TextKind::DateTime, &micros_to_text(meta.cts))?,
            MetaField::Status => self.make(TextKind::String, &meta.status)?,
            MetaField::Txid => Item::Integer(meta.txid),
            MetaField::Today => {
                let moment = micros_to_text(meta.ts);
                let (day, _) = moment.split_once('T').unwrap_or((moment.as_str(), ""));
                self.make(TextKind::Date, day)?
            }
            MetaField::TimeOfDay => {
                let moment = micros_to_text(meta.ts);
                let (_, time) = moment.split_once('T').unwrap_or(("", moment.as_str()));
                self.make(TextKind::Time, time.trim_end_matches('Z'))?
            }
        };
        self.push(item);
        Ok(())
    }

    /// Whether there is room for what an expression gives; short ones can double what they are given many times over.
    pub(crate) fn check_room(&self) -> Result<(), RowError> {
        if self.memory.stack.len() > MOST_ITEMS {
            return Err(too_much(format_args!(
                "an expression gives more than {MOST_ITEMS} values"
            )));
        }
        Ok(())
    }

    /// Keeps a computed text and answers the item for it.
    pub(crate) fn make(&mut self, kind: TextKind, text: &str) -> Result<Item, RowError> {
        let start = self.memory.made.len();
        self.check_text(text.len())?;
        self.memory.made.push_str(text);
        let text = TextRef {
            origin: Origin::Made,
            start: start as u32,
            length: text.len() as u32,
        };
        Ok(Item::Text(kind, text))
    }

    /// Whether there is room for a computed text of so many bytes.
    pub(crate) fn check_text(&self, length: usize) -> Result<(), RowError> {
        if self.memory.made.len().saturating_add(length) > MOST_TEXT {
            let mebibytes = MOST_TEXT >> 20;
            return Err(too_much(format_args!(
                "the computed texts are longer than {mebibytes} MiB"
            )));
        }
        Ok(())
    }

    pub(crate) fn node(&self, at: u32) -> &TapeNode {
        &self.tape.nodes[at as usize]
    }

    pub(crate) fn text(&self, text: TextRef) -> &str {
        let whole = match text.origin {
            Origin::Source(number) => self.sources[usize::from(number)],
            Origin::Unescaped => &self.tape.unescaped,
            Origin::Made => &self.memory.made,
            Origin::Literal => &self.program.literals,
        };
        &whole[text.start as usize..(text.start + text.length) as usize]
    }

    pub(crate) fn scalar(&self, item: Item) -> Scalar<'_> {
        match item {
            Item::Boolean(flag) => Scalar::Boolean(flag),
            Item::Integer(number) => Scalar::Integer(number),
            Item::Text(TextKind::Decimal, text) => Scalar::Number(self.text(text)),
            Item::Text(kind, text) => Scalar::Text(kind, self.text(text)),
            Item::Node(at) => {
                let node = self.node(at);
                match node.kind {
                    NodeType::Boolean(flag) => Scalar::Boolean(flag),
                    NodeType::Number => Scalar::Number(self.text(node.text)),
                    NodeType::Text(kind) => Scalar::Text(kind, self.text(node.text)),
                    NodeType::Null => Scalar::Nothing,
                    NodeType::Object if self.is_shadow(node) => Scalar::Nothing,
                    NodeType::Object => Scalar::Object(self.text(node.text)),
                }
            }
        }
    }

    /// Whether a node is what hangs on a primitive, rather than a value.
    pub(crate) fn is_shadow(&self, node: &TapeNode) -> bool {
        node.field != crate::trie::FieldId::MAX && self.program.fields.get(node.field).is_shadow
    }

    /// Evaluates a condition: true, false, or nothing. A single item that is not a boolean counts as true.
    pub(crate) fn truth(&mut self, expr: &Expr, scope: Scope) -> Result<Option<bool>, RowError> {
        let base = self.memory.stack.len();
        self.eval(expr, scope)?;
        let truth = match self.memory.stack[base..] {
            [] => None,
            [item] => Some(match self.scalar(item) {
                Scalar::Boolean(flag) => flag,
                _ => true,
            }),
            _ => return Err(fault("several values where one boolean belongs")),
        };
        self.memory.stack.truncate(base);
        Ok(truth)
    }

    /// Evaluates a condition that must be a boolean or empty.
    pub(crate) fn condition(&mut self, expr: &Expr, scope: Scope) -> Result<bool, RowError> {
        let base = self.memory.stack.len();
        self.eval(expr, scope)?;
        let truth = match self.memory.stack[base..] {
            [] => false,
            [item] => match self.scalar(item) {
                Scalar::Boolean(flag) => flag,
                Scalar::Nothing => false,
                _ => {
                    return Err(RowError::new(
                        Code::ConditionNotBoolean,
                        "the condition gives no boolean",
                    ));
                }
            },
            _ => {
                return Err(RowError::new(
                    Code::ConditionNotBoolean,
                    "the condition gives several values",
                ));
            }
        };
        self.memory.stack.truncate(base);
        Ok(truth)
    }

    /// Evaluates an expression that gives one item or none.
    pub(crate) fn single(&mut self, expr: &Expr, scope: Scope) -> Result<Option<Item>, RowError> {
        let base = self.memory.stack.len();
        self.eval(expr, scope)?;
        self.pop_single(base)
    }

    /// Takes the one item above `base`, if there is one.
    pub(crate) fn pop_single(&mut self, base: usize) -> Result<Option<Item>, RowError> {
        let item = match self.memory.stack[base..] {
            [] => None,
            [item] => Some(item),
            _ => return Err(fault("several values where one belongs")),
        };
        self.memory.stack.truncate(base);
        Ok(item)
    }

    fn logic(&mut self, logic: Logic, operands: &[Expr; 2], scope: Scope) -> Result<(), RowError> {
        let left = self.truth(&operands[0], scope)?;
        let settled = match (logic, left) {
            (Logic::And, Some(false)) => Some(false),
            (Logic::Or, Some(true)) | (Logic::Implies, Some(false)) => Some(true),
            _ => None,
        };
        let result = match settled {
            Some(_) => settled,
            None => {
                let right = self.truth(&operands[1], scope)?;
                three_valued(logic, left, right)
            }
        };
        self.memory.stack.extend(result.map(Item::Boolean));
        Ok(())
    }
}

/// Logic in which nothing is known of `None`.
fn three_valued(logic: Logic, left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (logic, left, right) {
        (Logic::And, Some(false), _) | (Logic::And, _, Some(false)) => Some(false),
        (Logic::And, Some(true), Some(true)) => Some(true),
        (Logic::Or, Some(true), _) | (Logic::Or, _, Some(true)) => Some(true),
        (Logic::Or, Some(false), Some(false)) => Some(false),
        (Logic::Xor, Some(left), Some(right)) => Some(left != right),
        (Logic::Implies, Some(false), _) | (Logic::Implies, _, Some(true)) => Some(true),
        (Logic::Implies, Some(true), right) => right,
        _ => None,
    }
}
