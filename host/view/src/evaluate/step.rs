//! Steps: each replaces the collection on top of the stack by another.

use std::collections::HashSet;

use super::{Evaluator, Scalar, Scope, fault};
use crate::error::RowError;
use crate::program::{Expr, Item, Step, TextKind, TypeTest};
use crate::r4;
use crate::tape::{NodeType, TapeNode};
use crate::trie::FieldId;

impl Evaluator<'_> {
    /// Takes a step: the collection is what lies on the stack from `base` on.
    pub(super) fn step(&mut self, step: &Step, base: usize, scope: Scope) -> Result<(), RowError> {
        let count = self.memory.stack.len() - base;
        match step {
            Step::Child(field) => self.children(base, &[*field]),
            Step::AnyChild(fields) => self.children(base, fields),
            Step::First => self.memory.stack.truncate(base + count.min(1)),
            Step::Last => self.keep_from(base, count.saturating_sub(1)),
            Step::Tail => self.keep_from(base, 1),
            Step::Single if count > 1 => return Err(fault("`single()` of several values")),
            Step::Single => {}
            Step::Skip(number) => self.skip(base, number, scope)?,
            Step::Take(number) => self.take(base, number, scope)?,
            Step::At(number) => self.at(base, number, scope)?,
            Step::Where(condition) => self.keep_where(base, condition, scope)?,
            Step::WhereField(field, text) => self.keep_where_field(base, *field, *text),
            Step::Select(expr) => self.select(base, expr, scope)?,
            Step::Repeat(expr) => self.repeat_step(base, expr, scope)?,
            Step::All(condition) => self.all(base, condition, scope)?,
            Step::Exists => self.answer(base, Item::Boolean(count > 0)),
            Step::Empty => self.answer(base, Item::Boolean(count == 0)),
            Step::Count => self.answer(base, Item::Integer(count as i64)),
            Step::Not => self.not(base)?,
            Step::Distinct => self.distinct(base),
            Step::IsDistinct => self.is_distinct(base),
            Step::Truths { any, wanted } => self.truths(base, *any, *wanted)?,
            Step::OfType(test) => self.retain(base, |evaluator, item| evaluator.is_a(item, test)),
            Step::Is(test) => {
                if let Some(item) = self.pop_single(base)? {
                    let answer = self.is_a(item, test);
                    self.push(Item::Boolean(answer));
                }
            }
            Step::HasValue => self.has_value(base),
            Step::Resolve => self.resolve(base),
            Step::ResourceKey(field) => self.children(base, &[*field]),
            Step::ReferenceKey { reference, wanted } => {
                self.reference_keys(base, *reference, wanted.as_deref())
            }
            Step::Boundary {
                bound,
                start,
                end,
                precision,
            } => {
                self.boundary(base, (*bound, *start, *end), precision.as_ref(), scope)?;
            }
            Step::Join(separator) => self.join(base, separator.as_ref(), scope)?,
            Step::Text(function, arguments) => self.text_function(base, *function, arguments, scope)?,
            Step::Matches(pattern) => self.matches(base, *pattern)?,
            Step::ReplaceMatches(pattern, to) => self.replace_matches(base, *pattern, to, scope)?,
            Step::Convert { to, test } => self.convert(base, *to, *test)?,
            Step::Number(function, precision) => {
                self.number_function(base, *function, precision.as_ref(), scope)?
            }
        }
        Ok(())
    }

    fn skip(&mut self, base: usize, number: &Expr, scope: Scope) -> Result<(), RowError> {
        let skipped = self.number(number, scope)?.unwrap_or(0);
        self.keep_from(base, usize::try_from(skipped).unwrap_or(0));
        Ok(())
    }

    fn take(&mut self, base: usize, number: &Expr, scope: Scope) -> Result<(), RowError> {
        let count = self.memory.stack.len() - base;
        let taken = usize::try_from(self.number(number, scope)?.unwrap_or(0)).unwrap_or(0);
        self.memory.stack.truncate(base + count.min(taken));
        Ok(())
    }

    fn is_distinct(&mut self, base: usize) {
        let count = self.memory.stack.len() - base;
        self.distinct(base);
        let same = self.memory.stack.len() - base == count;
        self.answer(base, Item::Boolean(same));
    }

    fn has_value(&mut self, base: usize) {
        let valued = match self.memory.stack[base..] {
            [item] => !matches!(self.scalar(item), Scalar::Object(_) | Scalar::Nothing),
            _ => false,
        };
        self.answer(base, Item::Boolean(valued));
    }

    /// Replaces the collection by one item.
    pub(super) fn answer(&mut self, base: usize, item: Item) {
        self.memory.stack.truncate(base);
        self.push(item);
    }

    fn keep_from(&mut self, base: usize, skipped: usize) {
        let end = self.memory.stack.len().min(base.saturating_add(skipped));
        self.memory.stack.drain(base..end);
    }

    /// Removes the `count` items that were the collection, under what was pushed since.
    pub(super) fn drop_old(&mut self, base: usize, end: usize) {
        self.memory.stack.drain(base..end);
    }

    fn children(&mut self, base: usize, fields: &[FieldId]) {
        let end = self.memory.stack.len();
        for position in base..end {
            if let Item::Node(at) = self.memory.stack[position] {
                self.push_children(at, fields);
            }
        }
        self.drop_old(base, end);
    }

    fn push_children(&mut self, at: u32, fields: &[FieldId]) {
        let node = *self.node(at);
        let holder = match node.kind {
            NodeType::Object => Some(at),
            _ => self.shadow_of(&node),
        };
        let Some(holder) = holder else { return };
        if let [field] = *fields
            && let Some(shadow) = self.program.fields.get(field).shadow
        {
            return self.push_shadowed(holder, field, shadow);
        }
        let mut next = holder + 1;
        let end = self.node(holder).end;
        while next < end {
            let child = self.node(next);
            let (wanted, after) = (
                fields.contains(&child.field) && child.kind != NodeType::Null,
                child.end,
            );
            if wanted {
                self.push(Item::Node(next));
            }
            next = after;
        }
    }

    /// Children of a primitive field whose extensions are read: a value where there is one, else its extensions.
    fn push_shadowed(&mut self, holder: u32, field: FieldId, shadow: FieldId) {
        let mut ordinal = 0;
        loop {
            let value = self.child_at(holder, field, ordinal);
            let extensions = self.child_at(holder, shadow, ordinal);
            let present = |at: &u32| self.node(*at).kind != NodeType::Null;
            match (value, extensions) {
                (None, None) => return,
                (value, extensions) => {
                    let item = value
                        .filter(present)
                        .or(extensions.filter(present))
                        .map(Item::Node);
                    self.memory.stack.extend(item);
                }
            }
            ordinal += 1;
        }
    }

    /// The child of a field at a place of its array.
    fn child_at(&self, holder: u32, field: FieldId, ordinal: u32) -> Option<u32> {
        let mut next = holder + 1;
        while next < self.node(holder).end {
            let child = self.node(next);
            if child.field == field && child.ordinal == ordinal {
                return Some(next);
            }
            next = child.end;
        }
        None
    }

    /// What hangs on a primitive.
    fn shadow_of(&self, node: &TapeNode) -> Option<u32> {
        if node.field == FieldId::MAX {
            return None;
        }
        let shadow = self.program.fields.get(node.field).shadow?;
        self.child_at(node.parent, shadow, node.ordinal)
    }

    /// Keeps the items that pass a test.
    fn retain(&mut self, base: usize, test: impl Fn(&Self, Item) -> bool) {
        let mut kept = base;
        for position in base..self.memory.stack.len() {
            let item = self.memory.stack[position];
            if test(self, item) {
                self.memory.stack[kept] = item;
                kept += 1;
            }
        }
        self.memory.stack.truncate(kept);
    }

    fn at(&mut self, base: usize, number: &Expr, scope: Scope) -> Result<(), RowError> {
        let count = self.memory.stack.len() - base;
        let wanted = self
            .number(number, scope)?
            .and_then(|wanted| usize::try_from(wanted).ok());
        match wanted.filter(|wanted| *wanted < count) {
            Some(wanted) => {
                let item = self.memory.stack[base + wanted];
                self.answer(base, item);
            }
            None => self.memory.stack.truncate(base),
        }
        Ok(())
    }

    /// Evaluates an argument that is an integer.
    pub(super) fn number(&mut self, expr: &Expr, scope: Scope) -> Result<Option<i64>, RowError> {
        let Some(item) = self.single(expr, scope)? else {
            return Ok(None);
        };
        match self.scalar(item) {
            Scalar::Integer(number) => Ok(Some(number)),
            Scalar::Number(digits) => Ok(digits.parse().ok()),
            _ => Err(fault("something else where an integer belongs")),
        }
    }

    fn each(scope: Scope, item: Item, index: usize) -> Scope {
        Scope {
            this: Some(item),
            index,
            ..scope
        }
    }

    fn keep_where(&mut self, base: usize, condition: &Expr, scope: Scope) -> Result<(), RowError> {
        let mut kept = base;
        for position in base..self.memory.stack.len() {
            let item = self.memory.stack[position];
            if self.condition(condition, Self::each(scope, item, position - base))? {
                self.memory.stack[kept] = item;
                kept += 1;
            }
        }
        self.memory.stack.truncate(kept);
        Ok(())
    }

    fn keep_where_field(&mut self, base: usize, field: FieldId, text: crate::cell::TextRef) {
        self.retain(base, |evaluator, item| {
            let Item::Node(at) = item else { return false };
            let mut next = at + 1;
            let mut found = None;
            while next < evaluator.node(at).end {
                let child = evaluator.node(next);
                if child.field == field && child.kind != NodeType::Null {
                    // A collection of several never equals one text.
                    if found.is_some() {
                        return false;
                    }
                    found = Some(next);
                }
                next = child.end;
            }
            let literal = Item::Text(TextKind::String, text);
            found.is_some_and(|found| evaluator.equal(Item::Node(found), literal) == Some(true))
        });
    }

    fn select(&mut self, base: usize, expr: &Expr, scope: Scope) -> Result<(), RowError> {
        let end = self.memory.stack.len();
        for position in base..end {
            let item = self.memory.stack[position];
            self.eval(expr, Self::each(scope, item, position - base))?;
            self.check_room()?;
        }
        self.drop_old(base, end);
        Ok(())
    }

    /// The function `repeat()`: what the path gives at any depth, each node once.
    // Apart from `step`, whose frame should stay small.
    #[inline(never)]
    fn repeat_step(&mut self, base: usize, expr: &Expr, scope: Scope) -> Result<(), RowError> {
        let end = self.memory.stack.len();
        let mut seen = HashSet::new();
        let mut position = base;
        while position < self.memory.stack.len() {
            let item = self.memory.stack[position];
            let found = self.memory.stack.len();
            self.eval(expr, Self::each(scope, item, position - base))?;
            let mut kept = found;
            for new in found..self.memory.stack.len() {
                let item = self.memory.stack[new];
                // The compiler lets no path give anything but nodes.
                if let Item::Node(at) = item
                    && seen.insert(at)
                {
                    self.memory.stack[kept] = item;
                    kept += 1;
                }
            }
            self.memory.stack.truncate(kept);
            self.check_room()?;
            position += 1;
        }
        self.drop_old(base, end);
        Ok(())
    }

    /// The paths of a select's `repeat`, parents before their children.
    pub(super) fn descend(
        &mut self,
        paths: &[Expr],
        item: Item,
        scope: Scope,
        limit: usize,
    ) -> Result<(), RowError> {
        for path in paths {
            let base = self.memory.stack.len();
            self.eval(path, Scope::on(Some(item), scope.row_index))?;
            let found: Vec<Item> = self.memory.stack.drain(base..).collect();
            for child in found {
                self.push(child);
                if self.memory.stack.len() > limit {
                    return Err(RowError::new(
                        crate::error::Code::TooManyRows,
                        "`repeat` gives too many rows",
                    ));
                }
                // Only what lies deeper is descended into, so that every `repeat` ends.
                if let (Item::Node(parent), Item::Node(below)) = (item, child)
                    && below > parent
                {
                    self.descend(paths, child, scope, limit)?;
                }
            }
        }
        Ok(())
    }

    fn all(&mut self, base: usize, condition: &Expr, scope: Scope) -> Result<(), RowError> {
        let mut all = true;
        for position in base..self.memory.stack.len() {
            let item = self.memory.stack[position];
            if !self.condition(condition, Self::each(scope, item, position - base))? {
                all = false;
                break;
            }
        }
        self.answer(base, Item::Boolean(all));
        Ok(())
    }

    fn not(&mut self, base: usize) -> Result<(), RowError> {
        if let Some(item) = self.pop_single(base)? {
            let truth = match self.scalar(item) {
                Scalar::Boolean(flag) => flag,
                _ => true,
            };
            self.push(Item::Boolean(!truth));
        }
        Ok(())
    }

    fn truths(&mut self, base: usize, any: bool, wanted: bool) -> Result<(), RowError> {
        let mut answer = !any;
        for position in base..self.memory.stack.len() {
            let Scalar::Boolean(flag) = self.scalar(self.memory.stack[position]) else {
                return Err(fault("something else where booleans belong"));
            };
            if (flag == wanted) == any {
                answer = any;
            }
        }
        self.answer(base, Item::Boolean(answer));
        Ok(())
    }

    fn is_a(&self, item: Item, test: &TypeTest) -> bool {
        let name = test.info.name();
        let of_type = |own: &str| r4::type_named(own).is_some_and(|own| own.is_a(name));
        match item {
            Item::Boolean(_) => of_type("boolean"),
            Item::Integer(_) => of_type("integer"),
            Item::Text(TextKind::String, _) => of_type("string"),
            Item::Text(TextKind::Decimal, _) => of_type("decimal"),
            Item::Text(TextKind::Date, _) => of_type("date"),
            Item::Text(TextKind::DateTime, _) => of_type("dateTime"),
            Item::Text(TextKind::Time, _) => of_type("time"),
            Item::Node(_) if test.system => false,
            Item::Node(at) => {
                let node = self.node(at);
                let declared = self
                    .child_at(at, test.resource_type, 0)
                    .filter(|_| node.kind == NodeType::Object);
                if let Some(declared) = declared {
                    return of_type(self.text(self.node(declared).text));
                }
                let field = (node.field != FieldId::MAX).then(|| self.program.fields.get(node.field));
                match field.and_then(|field| field.info) {
                    Some(info) => info.is_a(name),
                    None => self.looks_like(item, test.info),
                }
            }
        }
    }

    /// Whether a node of which its key does not tell the type may be of one, by the kind of its JSON.
    fn looks_like(&self, item: Item, info: &r4::TypeInfo) -> bool {
        let is_number = matches!(
            info.name(),
            "integer" | "positiveInt" | "unsignedInt" | "integer64" | "decimal"
        );
        match self.scalar(item) {
            // A resource would have said what it is.
            Scalar::Object(_) => !info.is_primitive() && !info.is_resource() && !info.is_open(),
            Scalar::Boolean(_) => info.name() == "boolean",
            Scalar::Integer(_) | Scalar::Number(_) => is_number,
            Scalar::Text(..) => info.is_primitive() && !is_number && info.name() != "boolean",
            Scalar::Nothing => info.is_primitive(),
        }
    }
}
