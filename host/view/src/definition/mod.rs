//! A ViewDefinition as its author wrote it: shape checked, expressions still text.
//!
//! Reading keeps the place of every part, so that whoever compiles it can say where an error stands.
//! `resourceType`, `name` and `status` may be absent here; a caller that stores definitions decides whether it minds.

mod hint;
mod read;
mod reader;

use crate::error::ViewErrors;

/// A ViewDefinition whose shape is right. [`crate::View::compile`] checks what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewDefinition {
    /// `resourceType`, where written; when written it is `ViewDefinition`.
    pub resource_type: Option<String>,
    /// `id`, where the definition came from a FHIR server.
    pub id: Option<String>,
    /// The canonical `url`.
    pub url: Option<String>,
    /// The name that destinations use; letters, digits and `_`.
    pub name: Option<String>,
    /// `status`, unchecked.
    pub status: Option<String>,
    /// The FHIR type whose resources give rows, such as `Patient`.
    pub resource: String,
    /// Constants, in document order.
    pub constants: Vec<Constant>,
    /// Conditions, all of which a resource must meet.
    pub wheres: Vec<Expression>,
    /// The selects of the top level, at least one.
    pub selects: Vec<Select>,
}

/// FHIRPath text and its place in the definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// The text.
    pub text: String,
    /// Where it stands, such as `ViewDefinition.where[0].path`.
    pub location: String,
}

/// A named value that expressions refer to as `%name`.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// Its name, without `%`.
    pub name: String,
    /// The FHIR type, from the key: `valuePositiveInt` gives `positiveInt`.
    pub fhir_type: String,
    /// The value as text; numbers keep their digits.
    pub text: String,
    /// Where it stands.
    pub location: String,
}

/// How a select turns its context into many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Iteration {
    /// A row for each item; none where there is none.
    ForEach(Expression),
    /// A row for each item; one row of nulls where there is none.
    ForEachOrNull(Expression),
    /// A row for each item of the paths at every depth, parents first.
    Repeat(Vec<Expression>),
}

/// One select: columns, nested selects and unions over one context.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// Where it stands.
    pub location: String,
    /// `forEach`, `forEachOrNull` or `repeat`.
    pub iteration: Option<Iteration>,
    /// Its own columns.
    pub columns: Vec<Column>,
    /// Nested selects.
    pub selects: Vec<Select>,
    /// Branches of `unionAll`.
    pub unions: Vec<Select>,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, unique in the view.
    pub name: String,
    /// What fills it.
    pub path: Expression,
    /// Its declared FHIR type, without the StructureDefinition prefix.
    pub fhir_type: Option<String>,
    /// Whether it holds a list.
    pub collection: bool,
    /// What it is for.
    pub description: Option<String>,
    /// Its tags, in document order.
    pub tags: Vec<Tag>,
    /// Where it stands.
    pub location: String,
}

/// A name and a value on a column, such as `ansi/type` and its SQL type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl ViewDefinition {
    /// Reads a definition from JSON.
    ///
    /// # Errors
    /// Everything that is wrong with its shape, each with its place.
    pub fn parse(json: &[u8]) -> Result<Self, ViewErrors> {
        read::parse(json)
    }

    /// Reads a definition that was parsed already.
    ///
    /// # Errors
    /// As [`ViewDefinition::parse`].
    pub fn from_value(value: &serde_json::Value) -> Result<Self, ViewErrors> {
        read::from_value(value)
    }
}
