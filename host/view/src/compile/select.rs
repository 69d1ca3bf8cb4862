//! Selects, columns, unions and `repeat`.

use super::shape::{Alternative, Basic, Known, Shape};
use super::{Compiled, Compiler, Failed, Scope, hint};
use crate::definition::{Column, Expression, Iteration, Select, ViewDefinition};
use crate::error::Code;
use crate::fhirpath::{self, Node};
use crate::output::OutputType;
use crate::program::{ColumnPlan, Expr, IterationPlan, MetaField, SelectPlan, Value};
use crate::r4::{self, TypeInfo};
use crate::suggest;
use crate::view::{ColumnInfo, CompileOptions};

impl Compiler {
    pub(super) fn check_sizes(&mut self, definition: &ViewDefinition, options: &CompileOptions) {
        let mut expressions: Vec<&Expression> = definition.wheres.iter().collect();
        let mut pending: Vec<&Select> = definition.selects.iter().collect();
        while let Some(select) = pending.pop() {
            match &select.iteration {
                Some(Iteration::ForEach(path) | Iteration::ForEachOrNull(path)) => expressions.push(path),
                Some(Iteration::Repeat(paths)) => expressions.extend(paths),
                None => {}
            }
            expressions.extend(select.columns.iter().map(|column| &column.path));
            pending.extend(select.selects.iter().chain(&select.unions));
        }
        for expression in expressions
            .into_iter()
            .filter(|one| one.text.len() > options.max_expression)
        {
            let problem = format!("the expression is longer than {} bytes", options.max_expression);
            self.report(Code::TooLarge, &expression.location, problem, "split it");
        }
    }

    /// What holds of all columns together.
    pub(super) fn check_columns(&mut self, columns: &[ColumnInfo], options: &CompileOptions) {
        if columns.len() > options.max_columns {
            let problem = format!("more than {} columns", options.max_columns);
            self.report(
                Code::TooLarge,
                "ViewDefinition.select",
                problem,
                "make several views",
            );
        }
        let mut seen = std::collections::HashMap::new();
        for column in columns {
            if let Some(earlier) = seen.insert(column.name.as_str(), column.location.as_str()) {
                let problem = format!("a second column `{}`; the first is {earlier}", column.name);
                self.report(
                    Code::DuplicateName,
                    &format!("{}.name", column.location),
                    problem,
                    "rename one of them",
                );
            }
        }
    }

    pub(super) fn select(
        &mut self,
        select: &Select,
        scope: &Scope,
        columns: &mut Vec<ColumnInfo>,
    ) -> SelectPlan {
        let first = columns.len();
        let (iteration, inner) = self.iteration(select.iteration.as_ref(), scope);
        let own = select
            .columns
            .iter()
            .map(|column| self.column(column, &inner, columns))
            .collect();
        let mut selects = Vec::with_capacity(select.selects.len());
        for nested in &select.selects {
            selects.push(self.select(nested, &inner, columns));
        }
        let unions = self.unions(&select.unions, &inner, columns);
        if columns.len() == first && select.selects.is_empty() && select.unions.is_empty() {
            let remedy = "add `column`, `select` or `unionAll`";
            self.report(
                Code::Missing,
                &select.location,
                "a select without columns",
                remedy,
            );
        }
        SelectPlan {
            iteration,
            items: None,
            places: Vec::new(),
            columns: own,
            selects,
            unions,
            width: columns.len() - first,
        }
    }

    fn iteration(&mut self, iteration: Option<&Iteration>, scope: &Scope) -> (IterationPlan, Scope) {
        let compiled = match iteration {
            None => return (IterationPlan::None, scope.clone()),
            Some(Iteration::ForEach(path)) => self
                .expression(path, scope)
                .map(|(expr, shape)| (IterationPlan::ForEach(expr), shape)),
            Some(Iteration::ForEachOrNull(path)) => self
                .expression(path, scope)
                .map(|(expr, shape)| (IterationPlan::ForEachOrNull(expr), shape)),
            Some(Iteration::Repeat(paths)) => self.repeat(paths, scope),
        };
        compiled
            .map(|(plan, shape)| (plan, Scope::on(shape)))
            .unwrap_or_else(|Failed| {
                // The columns below are compiled all the same, for their own mistakes; any path is right there.
                let place = self.trie.add_root();
                (IterationPlan::None, Scope::on(Shape::any(Some(place))))
            })
    }

    /// Branches share the places of their columns: those of the first, with which the others must agree.
    fn unions(
        &mut self,
        branches: &[Select],
        scope: &Scope,
        columns: &mut Vec<ColumnInfo>,
    ) -> Vec<SelectPlan> {
        let first = columns.len();
        let mut plans = Vec::with_capacity(branches.len());
        for (number, branch) in branches.iter().enumerate() {
            if number == 0 {
                plans.push(self.select(branch, scope, columns));
                continue;
            }
            let mut own = columns[..first].to_vec();
            plans.push(self.select(branch, scope, &mut own));
            self.check_union(&branch.location, &columns[first..], &own[first..]);
        }
        plans
    }

    fn check_union(&mut self, location: &str, first: &[ColumnInfo], other: &[ColumnInfo]) {
        let names = |columns: &[ColumnInfo]| {
            columns
                .iter()
                .map(|column| column.name.clone())
                .collect::<Vec<_>>()
        };
        let (wanted, found) = (names(first), names(other));
        if wanted != found {
            let problem = format!(
                "the branch gives {}",
                suggest::list(found.iter().map(String::as_str))
            );
            let remedy = format!(
                "give every branch the columns of the first, in their order: {}",
                suggest::list(wanted.iter().map(String::as_str))
            );
            self.report(Code::UnionMismatch, location, problem, remedy);
            return;
        }
        for (one, two) in first.iter().zip(other) {
            if !same_kind(&one.fhir_type, &two.fhir_type) || one.collection != two.collection {
                let described = |column: &ColumnInfo| {
                    format!(
                        "{}`{}`",
                        if column.collection { "a collection of " } else { "" },
                        column.fhir_type
                    )
                };
                let problem = format!("the column `{}` is {} here", two.name, described(two));
                let remedy = format!("make it {}, as in the first branch", described(one));
                self.report(Code::UnionMismatch, &two.location, problem, remedy);
            }
        }
    }

    fn column(&mut self, column: &Column, scope: &Scope, columns: &mut Vec<ColumnInfo>) -> ColumnPlan {
        let compiled = self.expression(&column.path, scope);
        let declared = self.declared_type(column);
        let (expr, fhir_type) = match compiled {
            // One sequence numbers the changes of all resources, and grows past 32 bits.
            Ok((expr @ Expr::Meta(MetaField::Txid), _)) if column.fhir_type.is_none() => (expr, "integer64"),
            Ok((expr, shape)) => (expr, self.column_type(column, &shape, declared)),
            Err(Failed) => (Expr::Empty, declared.map_or("string", TypeInfo::name)),
        };
        columns.push(ColumnInfo {
            name: column.name.clone(),
            fhir_type: fhir_type.to_owned(),
            collection: column.collection,
            description: column.description.clone(),
            tags: column.tags.clone(),
            location: column.location.clone(),
        });
        ColumnPlan {
            expr,
            value: Value::General,
            index: columns.len() - 1,
        }
    }

    fn declared_type(&mut self, column: &Column) -> Option<&'static TypeInfo> {
        let name = column.fhir_type.as_deref()?;
        let location = format!("{}.type", column.location);
        match r4::type_named(system_type(name)) {
            Some(info) if info.is_primitive() => return Some(info),
            Some(_) => {
                let problem = format!("`{name}` is not a primitive type");
                let remedy = "name the type of one of its elements, and let the path end there";
                self.report(Code::NotPrimitive, &location, problem, remedy);
            }
            None if name == "integer64" => return r4::type_named("integer"),
            None => self.report(
                Code::UnknownType,
                &location,
                format!("`{name}` is no FHIR R4 type"),
                hint::instead_of_type(name),
            ),
        }
        None
    }

    /// The type of a column: as declared if that fits what the path gives, else what the path gives.
    fn column_type(
        &mut self,
        column: &Column,
        shape: &Shape,
        declared: Option<&'static TypeInfo>,
    ) -> &'static str {
        let name = declared.map_or("string", TypeInfo::name);
        if shape.is_empty() || shape.alternatives.iter().any(|one| one.known == Known::Any) {
            return name;
        }
        if shape
            .alternatives
            .iter()
            .any(|one| one.known.basic() == Basic::Complex)
        {
            self.not_primitive(column, shape);
            return name;
        }
        let Some(info) = declared else {
            return self.inferred(column, shape);
        };
        let wanted = Basic::of_info(info);
        if !shape
            .alternatives
            .iter()
            .any(|one| fits(one.known.basic(), wanted))
        {
            let problem = format!(
                "the type is `{}`, the path gives {}",
                info.name(),
                shape.described()
            );
            let remedy = format!(
                "drop the type, or write `{}`",
                shape.names().first().unwrap_or(&"string")
            );
            self.report(
                Code::TypeMismatch,
                &format!("{}.type", column.location),
                problem,
                remedy,
            );
        }
        if column.fhir_type.as_deref() == Some("integer64") {
            "integer64"
        } else {
            name
        }
    }

    fn inferred(&mut self, column: &Column, shape: &Shape) -> &'static str {
        let names = shape.names();
        match names[..] {
            [only] => only,
            _ if shape.basic().is_some() => shape.basic().map_or("string", Basic::fhir_type),
            _ => {
                let problem = format!("the path gives {}", shape.described());
                let remedy = format!(
                    "choose one with `.ofType({})`, or declare the column's `type`",
                    names[0]
                );
                self.report(Code::NotPrimitive, &column.path.location, problem, remedy);
                "string"
            }
        }
    }

    fn not_primitive(&mut self, column: &Column, shape: &Shape) {
        let names = shape.names();
        let remedy = match names[..] {
            [_] => format!(
                "a column holds one text, number, date or boolean; go on to an element of it: {}",
                suggest::list(hint::element_names(shape).into_iter())
            ),
            _ => format!(
                "a column holds one text, number, date or boolean; choose a type with `.ofType({})`, then go on to \
                 an element of it if it has any",
                names.first().unwrap_or(&"string")
            ),
        };
        let problem = format!("the path gives {}, which has parts", shape.described());
        self.report(Code::NotPrimitive, &column.path.location, problem, remedy);
    }

    /// The paths of a `repeat` and what they give at any depth.
    fn repeat(&mut self, paths: &[Expression], scope: &Scope) -> Result<(IterationPlan, Shape), Failed> {
        let mut nodes = Vec::with_capacity(paths.len());
        for path in paths {
            path.location.clone_into(&mut self.location);
            match fhirpath::parse(&path.text) {
                Ok(node) => nodes.push((path, node)),
                Err(error) => return Err(self.fail(Code::Syntax, error.at, error.problem, error.remedy)),
            }
        }
        let every = self.closure(&nodes.iter().map(|(_, node)| node).collect::<Vec<_>>(), scope);
        let mut results = Shape::default();
        let mut exprs = Vec::with_capacity(nodes.len());
        for (path, node) in &nodes {
            path.location.clone_into(&mut self.location);
            let (expr, shape) = self.leniently(|compiler| compiler.node(node, &Scope::on(every.clone())))?;
            results = results.and(shape);
            exprs.push(expr);
        }
        Ok((IterationPlan::Repeat(exprs), results))
    }

    /// The function `repeat(path)`.
    pub(super) fn repeated(&mut self, node: &Node, scope: &Scope) -> Compiled {
        let every = self.closure(&[node], scope);
        let inner = Scope {
            this: every,
            ..scope.clone()
        };
        self.leniently(|compiler| compiler.node(node, &inner))
    }

    fn leniently(&mut self, compile: impl FnOnce(&mut Self) -> Compiled) -> Compiled {
        let before = std::mem::replace(&mut self.lenient, true);
        let compiled = compile(self);
        self.lenient = before;
        compiled
    }

    /// Everything that the paths are evaluated on: the start, and what they give, at every depth. What is of one type
    /// becomes one place in the trie, so that a resource of any depth is projected.
    fn closure(&mut self, nodes: &[&Node], scope: &Scope) -> Shape {
        let mut every = scope.this.clone();
        loop {
            let mut found: Vec<Alternative> = Vec::new();
            for node in nodes {
                // A path need not exist on every level; mistakes count once all levels are known.
                let errors = self.errors.len();
                let inner = Scope {
                    this: every.clone(),
                    ..scope.clone()
                };
                if let Ok((_, shape)) = self.node(node, &inner) {
                    found.extend(shape.alternatives);
                }
                self.errors.truncate(errors);
            }
            let known = every.alternatives.len();
            for alternative in found {
                self.join_closure(&mut every, alternative);
            }
            if every.alternatives.len() == known {
                return every;
            }
        }
    }

    fn join_closure(&mut self, every: &mut Shape, alternative: Alternative) {
        match every
            .alternatives
            .iter()
            .find(|one| one.known == alternative.known)
        {
            Some(known) => {
                if let (Some(one), Some(two)) = (known.place, alternative.place) {
                    self.trie.merge(one, two);
                }
            }
            None => every.alternatives.push(alternative),
        }
    }
}

fn system_type(name: &str) -> &str {
    match name {
        "String" => "string",
        "Boolean" => "boolean",
        "Integer" => "integer",
        "Decimal" => "decimal",
        "Date" => "date",
        "DateTime" => "dateTime",
        "Time" => "time",
        other => other,
    }
}

/// Whether values that behave one way may fill a column declared another way. Everything may be text.
fn fits(given: Basic, wanted: Basic) -> bool {
    match wanted {
        Basic::Decimal => given.is_number(),
        Basic::Integer => given == Basic::Integer,
        Basic::Boolean => given == Basic::Boolean,
        Basic::Date | Basic::DateTime => matches!(given, Basic::Date | Basic::DateTime | Basic::String),
        Basic::Time => matches!(given, Basic::Time | Basic::String),
        _ => true,
    }
}

/// Whether two branches of a union may share a column.
fn same_kind(one: &str, two: &str) -> bool {
    let basic = |name: &str| r4::type_named(name).map_or(Basic::Integer, Basic::of_info);
    one == two || (basic(one) == basic(two) && OutputType::standard(one) == OutputType::standard(two))
}
