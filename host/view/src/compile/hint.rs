//! What to write instead of a path, a type or a comparison that can never work.

use super::shape::{Alternative, Basic, Known, Shape};
use super::{Mode, function_names};
use crate::r4::{self, Element, TypeInfo};
use crate::suggest;

/// Elements that every type has and that a list of suggestions can do without.
const HIDDEN: [&str; 7] = [
    "id",
    "extension",
    "modifierExtension",
    "implicitRules",
    "language",
    "text",
    "contained",
];

/// The remedy for a name that is no element of what stands before it.
pub(super) fn instead_of_element(shape: &Shape, name: &str, near: Option<&str>, mode: Mode) -> String {
    if let Some(near) = near {
        return format!("did you mean `{near}`");
    }
    if name == "null" {
        return "FHIRPath has no `null`; ask with `.exists()` or `.empty()`".to_owned();
    }
    if function_names::is_known(name) {
        return format!("`{name}` is a function: write `{name}()`");
    }
    if shape.names().len() > 1 && names_type(shape, name) {
        return format!("choose the type with `.ofType({name})`");
    }
    if let Some(resource) = only_resource(shape).filter(|_| r4::is_resource_type(name)) {
        return format!("paths begin at the elements of the {resource} itself");
    }
    if shape.alternatives.iter().any(is_reference) {
        return match mode {
            Mode::View => {
                "a reference holds no more than `reference`, `identifier` and `display`, and a view sees one \
                 resource; use `getReferenceKey()` and join in SQL"
            }
            Mode::Criterion => {
                "a reference holds no more than `reference`, `identifier` and `display`; go on with `.resolve()`"
            }
        }
        .to_owned();
    }
    let names = element_names(shape);
    if names.is_empty() {
        return "the value has no elements; end the path before it".to_owned();
    }
    format!("it has {}", suggest::list(names.into_iter()))
}

/// The remedy for operands of two kinds.
pub(super) fn instead_of_comparison(left: &Shape, right: &Shape) -> String {
    let shapes = [left, right];
    let any = |test: &dyn Fn(Known) -> bool| {
        shapes
            .iter()
            .any(|shape| shape.alternatives.iter().any(|one| test(one.known)))
    };
    let is_a = |name| any(&|known| matches!(known, Known::Fhir(info) if info.is_a(name)));
    let basic = |wanted: &dyn Fn(Basic) -> bool| any(&|known| wanted(known.basic()));
    let text = basic(&|one| one == Basic::String);
    if is_a("Quantity") {
        return "compare its number: add `.value`".to_owned();
    }
    if is_a("CodeableConcept") {
        return "compare one of its codes: `.coding.exists(code = '…')`".to_owned();
    }
    if is_a("Coding") {
        return "compare its code: add `.code`".to_owned();
    }
    if is_a("Reference") {
        return "compare the id that it names: add `.getReferenceKey()`".to_owned();
    }
    if let Some(shape) = shapes
        .into_iter()
        .find(|shape| shape.basic() == Some(Basic::Complex))
    {
        let names = element_names(shape);
        return format!(
            "compare one of its elements: {}",
            suggest::list(names.into_iter())
        );
    }
    if basic(&|one| matches!(one, Basic::Date | Basic::DateTime)) && basic(&Basic::is_number) {
        return "write a date as `@2024-01-31`".to_owned();
    }
    if text && basic(&|one| one == Basic::Boolean || one.is_number()) {
        return "compare values of one kind: text stands in quotes, a number or a boolean does not"
            .to_owned();
    }
    "compare values of one kind".to_owned()
}

/// The remedy for a column's type that FHIR does not have.
pub(super) fn instead_of_type(name: &str) -> String {
    let plain = name.split(['(', '<', ' ']).next().unwrap_or(name);
    let fhir = match plain.to_lowercase().as_str() {
        "varchar" | "nvarchar" | "char" | "text" | "str" => "string",
        "int" | "int32" | "smallint" | "tinyint" => "integer",
        "bigint" | "int64" | "long" => "integer64",
        "double" | "float" | "real" | "numeric" | "number" => "decimal",
        "bool" => "boolean",
        "timestamp" | "timestamptz" | "datetime" => "dateTime",
        _ => {
            return r4::nearest_type(name).map_or_else(
                || "leave it out: the path tells the type".to_owned(),
                |near| format!("did you mean `{near}`"),
            );
        }
    };
    format!(
        "the type of a column is one of FHIR's: `{fhir}`, or nothing; a type of SQL goes into the tag `ansi/type`"
    )
}

/// The elements worth naming of all types of a shape.
pub(super) fn element_names(shape: &Shape) -> Vec<&'static str> {
    let of = |one: &Alternative| -> &'static [Element] {
        match one.known {
            Known::Fhir(info) if !info.is_primitive() => info.elements(),
            _ => &[],
        }
    };
    let names = shape.alternatives.iter().flat_map(of).map(Element::name);
    names.filter(|name| !HIDDEN.contains(name)).collect()
}

fn names_type(shape: &Shape, name: &str) -> bool {
    let is = |info: &TypeInfo| info.name() == name;
    shape
        .alternatives
        .iter()
        .any(|one| matches!(one.known, Known::Fhir(info) if is(info)))
}

fn only_resource(shape: &Shape) -> Option<&'static str> {
    match shape.alternatives[..] {
        [
            Alternative {
                known: Known::Fhir(info),
                ..
            },
        ] if info.is_resource() => Some(info.name()),
        _ => None,
    }
}

fn is_reference(alternative: &Alternative) -> bool {
    matches!(alternative.known, Known::Fhir(info) if info.is_a("Reference"))
}
