//! From a definition to a program: names become fields, types are inferred, mistakes are collected.

mod constant;
mod expression;
mod fhir_function;
mod function;
mod function_names;
mod hint;
mod member;
mod operator;
mod places;
mod resolve;
mod select;
mod shape;
#[cfg(test)]
mod tests;
mod text_function;
mod types;

use std::collections::HashMap;

use crate::definition::{Expression, ViewDefinition};
use crate::error::{Code, ViewError, ViewErrors};
use crate::fhirpath;
use crate::program::{Expr, Item, Program};
use crate::r4::{self, TypeInfo};
use crate::trie::{FieldId, TrieBuilder};
use crate::view::{CompileOptions, View};
use shape::{Basic, Known, Shape};

/// The compiler gave up on an expression; the error is already reported.
#[derive(Debug)]
struct Failed;

type Compiled = Result<(Expr, Shape), Failed>;

/// Which variables an expression may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    View,
    Criterion,
}

struct Compiler {
    program: Program,
    trie: TrieBuilder,
    constants: HashMap<String, (Item, Known)>,
    errors: Vec<ViewError>,
    /// Where the expression stands that is being compiled.
    location: String,
    mode: Mode,
    /// Whether a path that no type has is accepted as one that gives nothing: below `repeat`.
    lenient: bool,
    root: Shape,
    resource_type: FieldId,
}

/// What an expression is evaluated on.
#[derive(Debug, Clone)]
struct Scope {
    this: Shape,
    /// What the whole expression is evaluated on.
    context: Shape,
    /// Whether `$index` means something here.
    looped: bool,
}

impl Scope {
    fn on(this: Shape) -> Self {
        Self {
            context: this.clone(),
            this,
            looped: false,
        }
    }

    /// The scope of an argument that is evaluated for each item.
    fn each(&self, this: Shape) -> Self {
        Self {
            context: self.context.clone(),
            this,
            looped: true,
        }
    }
}

pub(crate) fn compile_view(
    definition: &ViewDefinition,
    options: &CompileOptions,
) -> Result<View, ViewErrors> {
    let fail = |errors| ViewErrors {
        view: definition.name.clone(),
        errors,
    };
    let info = resource_info(&definition.resource).map_err(|error| fail(vec![error]))?;
    let mut compiler = Compiler::new(info, Mode::View);
    compiler.constants(&definition.constants);
    compiler.check_sizes(definition, options);
    let root = Scope::on(compiler.root.clone());
    for condition in &definition.wheres {
        if let Ok(expr) = compiler.condition(condition, &root) {
            compiler.program.wheres.push(expr);
        }
    }
    let mut columns = Vec::new();
    for select in &definition.selects {
        let plan = compiler.select(select, &root, &mut columns);
        compiler.program.selects.push(plan);
    }
    compiler.check_columns(&columns, options);
    compiler.program.width = columns.len();
    let (mut program, errors) = compiler.finish();
    if !errors.is_empty() {
        return Err(fail(errors));
    }
    if options.fast_steps {
        places::choose(&mut program);
    }
    Ok(View {
        name: definition.name.clone(),
        resource: definition.resource.clone(),
        columns,
        program,
    })
}

/// Compiles a trigger criterion over resources of one type.
pub(crate) fn compile_criterion(text: &str, resource_type: &str) -> Result<(Program, Expr), Vec<ViewError>> {
    let info = resource_info(resource_type).map_err(|mut error| {
        "trigger.resource".clone_into(&mut error.location);
        vec![error]
    })?;
    let mut compiler = Compiler::new(info, Mode::Criterion);
    let scope = Scope::on(compiler.root.clone());
    let expression = Expression {
        text: text.to_owned(),
        location: "fhirPathCriteria".to_owned(),
    };
    let compiled = compiler.expression(&expression, &scope);
    let (program, errors) = compiler.finish();
    match compiled {
        Ok((expr, _)) if errors.is_empty() => Ok((program, expr)),
        _ => Err(errors),
    }
}

fn resource_info(name: &str) -> Result<&'static TypeInfo, ViewError> {
    if let Some(info) = r4::type_named(name).filter(|info| info.is_resource()) {
        return Ok(info);
    }
    let remedy = match r4::nearest_resource_type(name) {
        Some(near) => format!("did you mean `{near}`"),
        None => "name one of the resource types of FHIR R4, such as `Patient`".to_owned(),
    };
    Err(ViewError {
        code: Code::UnknownResource,
        location: "ViewDefinition.resource".to_owned(),
        column: None,
        problem: format!("`{name}` is no FHIR R4 resource type"),
        remedy,
    })
}

impl Compiler {
    fn new(info: &'static TypeInfo, mode: Mode) -> Self {
        let mut program = Program::default();
        let mut trie = TrieBuilder::default();
        let place = trie.add_root();
        // The first field is that of the type: every evaluation asks for it.
        let resource_type = program.fields.intern("resourceType", None).unwrap_or_default();
        trie.child(
            place,
            "resourceType",
            resource_type,
            crate::program::TextKind::String,
        );
        Self {
            program,
            trie,
            constants: HashMap::new(),
            errors: Vec::new(),
            location: String::new(),
            mode,
            lenient: false,
            root: Shape::fhir(info, place),
            resource_type,
        }
    }

    fn finish(mut self) -> (Program, Vec<ViewError>) {
        for root in self.program.resolution.roots.values_mut() {
            *root = self.trie.find(*root);
        }
        self.program.trie = self.trie.freeze();
        (self.program, self.errors)
    }

    /// Reports a mistake at a character of the expression at hand.
    fn fail(
        &mut self,
        code: Code,
        at: usize,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Failed {
        self.errors.push(ViewError {
            code,
            location: self.location.clone(),
            column: Some(at),
            problem: problem.into(),
            remedy: remedy.into(),
        });
        Failed
    }

    /// Reports a mistake of the definition rather than of an expression.
    fn report(&mut self, code: Code, location: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.errors.push(ViewError {
            code,
            location: location.to_owned(),
            column: None,
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// Compiles one expression of the definition.
    fn expression(&mut self, expression: &Expression, scope: &Scope) -> Compiled {
        expression.location.clone_into(&mut self.location);
        match fhirpath::parse(&expression.text) {
            Ok(node) => self.node(&node, scope),
            Err(error) => Err(self.fail(Code::Syntax, error.at, error.problem, error.remedy)),
        }
    }

    /// Compiles an expression that must be a boolean.
    fn condition(&mut self, expression: &Expression, scope: &Scope) -> Result<Expr, Failed> {
        let (expr, shape) = self.expression(expression, scope)?;
        if !shape.may(|basic| basic == Basic::Boolean) {
            let problem = format!("the condition gives {}, not a boolean", shape.described());
            return Err(self.fail(
                Code::NotBoolean,
                1,
                problem,
                "compare it with something, or add `.exists()`",
            ));
        }
        Ok(expr)
    }
}
