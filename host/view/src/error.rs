//! Every error of this crate, with a stable code and a page for each.
//!
//! Two families. A [`ViewError`] says what is wrong with a definition or with a criterion, where it stands, and what to write
//! instead; a compilation reports all of them together as [`ViewErrors`]. A [`RowError`] says why one resource
//! gave no rows; it names the column, the row and the reason, never a value, because values are patient data.

use std::fmt;

/// A stable code. The text of a message may improve; its code keeps its meaning.
///
/// Codes below 100 are about definitions, those from 100 on about resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// `VIEW-001`: the definition is not a JSON object.
    ///
    /// Cause: a truncated file, a stray comma, or a JSON array where one ViewDefinition was expected.
    /// Remedy: mend the JSON at the line that the message names.
    NotJson,
    /// `VIEW-002`: something that a ViewDefinition needs is absent or empty.
    ///
    /// Cause: no `resource`, no `select`, a column without `name` or `path`.
    /// Remedy: add the element that the message names.
    Missing,
    /// `VIEW-003`: an element has a value of the wrong kind.
    ///
    /// Cause: a number where a FHIRPath string belongs, an object where a list belongs.
    /// Remedy: write the kind of value that the message asks for.
    WrongKind,
    /// `VIEW-004`: an element that a ViewDefinition does not have.
    ///
    /// Cause: mostly a misspelling, such as `foreach` for `forEach`.
    /// Remedy: the message names the nearest element that exists.
    UnknownElement,
    /// `VIEW-005`: a name that no SQL engine takes unquoted.
    ///
    /// Cause: names of views, columns and constants are letters, digits and `_`, and start with a letter.
    /// Remedy: rename it.
    BadName,
    /// `VIEW-006`: two columns, or two constants, of one name.
    ///
    /// Remedy: rename one of them; a name is unique in the whole view.
    DuplicateName,
    /// `VIEW-007`: branches of a `unionAll` that do not give the same columns.
    ///
    /// Remedy: give every branch the same names, in the same order, of the same types.
    UnionMismatch,
    /// `VIEW-008`: more than one of `forEach`, `forEachOrNull` and `repeat` in one select.
    ///
    /// Remedy: nest one select in the other.
    TwoIterations,
    /// `VIEW-009`: `resource` is no FHIR R4 resource type.
    ///
    /// Remedy: the message names the nearest type that exists.
    UnknownResource,
    /// `VIEW-010`: a constant without exactly one value of a known type.
    ///
    /// Remedy: write one `value[x]`, such as `valueString`.
    BadConstant,
    /// `VIEW-011`: a column's `type` is no FHIR R4 type.
    ///
    /// Remedy: write a FHIR primitive type, such as `string` or `dateTime`.
    UnknownType,
    /// `VIEW-012`: a column whose value is not a primitive.
    ///
    /// Cause: a path that ends at `name` or `code`, which are objects.
    /// Remedy: go on to an element of it; the message lists some.
    NotPrimitive,
    /// `VIEW-013`: a column's `type` differs from what its path gives.
    ///
    /// Remedy: drop the `type` (it is inferred), or write the one that the message names.
    TypeMismatch,
    /// `VIEW-020`: the expression is not FHIRPath.
    ///
    /// Remedy: mend it at the character that the message names.
    Syntax,
    /// `VIEW-021`: a path that can never match, because the type has no such element.
    ///
    /// Remedy: the message names the nearest element that exists.
    UnknownPath,
    /// `VIEW-022`: a choice element spelt as JSON spells it.
    ///
    /// Cause: `valueQuantity` or `effectiveDateTime`, which FHIRPath does not know.
    /// Remedy: `value.ofType(Quantity)`, `effective.ofType(dateTime)`.
    ChoiceSpelling,
    /// `VIEW-023`: a function that this engine does not have.
    ///
    /// Remedy: the message names a substitute where there is one.
    UnknownFunction,
    /// `VIEW-024`: a function called with the wrong number or kind of arguments.
    ///
    /// Remedy: the message shows the form that is understood.
    BadArguments,
    /// `VIEW-025`: a `%name` that is neither a constant of the view nor known to the engine.
    ///
    /// Remedy: declare it under `constant`.
    UnknownVariable,
    /// `VIEW-026`: a pattern that is no regular expression, or one that would need too much memory.
    ///
    /// Remedy: simplify it; look-around and back-references are not supported.
    BadPattern,
    /// `VIEW-027`: operands that the operator never accepts.
    ///
    /// Remedy: compare or combine values of one kind; the message names both.
    BadOperands,
    /// `VIEW-028`: a condition that is not a boolean.
    ///
    /// Remedy: write a comparison, or `.exists()`.
    NotBoolean,
    /// `VIEW-029`: an expression or a definition beyond the size that is accepted.
    ///
    /// Remedy: split the view.
    TooLarge,
    /// `VIEW-030`: `ofType`, `is` or `as` with a type that the value can never have.
    ///
    /// Remedy: the message lists the types that it can have.
    ImpossibleType,
    /// `VIEW-031`: syntax or a variable of FHIRPath that this engine does not evaluate.
    ///
    /// Remedy: the message says what to write instead.
    Unsupported,
    /// `VIEW-040`: output types that do not fit the view.
    ///
    /// Cause: a schema mapper answered with another number of types, or made a list of a plain column.
    /// Remedy: one type a column; a list exactly for a column with `collection: true`.
    OutputTypes,
    /// `VIEW-101`: the resource is not the JSON of a FHIR resource.
    ///
    /// Remedy: mend the resource at its source.
    MalformedResource,
    /// `VIEW-102`: several values in a column that holds one.
    ///
    /// Remedy: `collection: true`, `.first()`, `.join(', ')`, or a `forEach` over the repeating element.
    ManyValues,
    /// `VIEW-103`: a value that is not of the column's type.
    ///
    /// Cause: a date that is no date, text in a number, an object where a primitive belongs.
    /// Remedy: mend the resource, or choose another output type.
    WrongValue,
    /// `VIEW-104`: a number beyond the range of the column's type.
    ///
    /// Remedy: a wider output type, by the tag `ansi/type`.
    OutOfRange,
    /// `VIEW-105`: a partial date, where the destination refuses partial dates.
    ///
    /// Remedy: `partialDates = "start"` or `"null"`, or `.lowBoundary()` in the path.
    PartialDate,
    /// `VIEW-106`: a condition that came out as something other than true or false.
    ///
    /// Remedy: write a comparison, or `.exists()`.
    ConditionNotBoolean,
    /// `VIEW-107`: an operator or a function met operands that it does not accept.
    ///
    /// Remedy: the message names the operator; guard it with `where` or `iif`.
    Evaluation,
    /// `VIEW-108`: one resource gives more rows than is allowed.
    ///
    /// Cause: sibling `forEach` over long lists multiply.
    /// Remedy: make two views of them.
    TooManyRows,
    /// `VIEW-109`: the batch is full: a text column would pass 2 GiB.
    ///
    /// Remedy: finish the batch and append the resource to the next one.
    BatchFull,
    /// `VIEW-110`: the resource is nested deeper, or is larger, than is accepted.
    ///
    /// Remedy: mend the resource at its source.
    TooDeep,
}

impl Code {
    /// The code as it is printed, such as `VIEW-021`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "VIEW-001",
            Self::Missing => "VIEW-002",
            Self::WrongKind => "VIEW-003",
            Self::UnknownElement => "VIEW-004",
            Self::BadName => "VIEW-005",
            Self::DuplicateName => "VIEW-006",
            Self::UnionMismatch => "VIEW-007",
            Self::TwoIterations => "VIEW-008",
            Self::UnknownResource => "VIEW-009",
            Self::BadConstant => "VIEW-010",
            Self::UnknownType => "VIEW-011",
            Self::NotPrimitive => "VIEW-012",
            Self::TypeMismatch => "VIEW-013",
            Self::Syntax => "VIEW-020",
            Self::UnknownPath => "VIEW-021",
            Self::ChoiceSpelling => "VIEW-022",
            Self::UnknownFunction => "VIEW-023",
            Self::BadArguments => "VIEW-024",
            Self::UnknownVariable => "VIEW-025",
            Self::BadPattern => "VIEW-026",
            Self::BadOperands => "VIEW-027",
            Self::NotBoolean => "VIEW-028",
            Self::TooLarge => "VIEW-029",
            Self::ImpossibleType => "VIEW-030",
            Self::Unsupported => "VIEW-031",
            Self::OutputTypes => "VIEW-040",
            Self::MalformedResource => "VIEW-101",
            Self::ManyValues => "VIEW-102",
            Self::WrongValue => "VIEW-103",
            Self::OutOfRange => "VIEW-104",
            Self::PartialDate => "VIEW-105",
            Self::ConditionNotBoolean => "VIEW-106",
            Self::Evaluation => "VIEW-107",
            Self::TooManyRows => "VIEW-108",
            Self::BatchFull => "VIEW-109",
            Self::TooDeep => "VIEW-110",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One thing that is wrong with a definition or an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewError {
    /// The stable code.
    pub code: Code,
    /// Where in the definition, such as `ViewDefinition.select[1].column[0].path`.
    pub location: String,
    /// The character of the expression at fault, counted from 1; none where the error is not about an expression.
    pub column: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for ViewError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.location)?;
        if let Some(column) = self.column {
            write!(formatter, ", character {column}")?;
        }
        write!(formatter, ": {}; {} [{}]", self.problem, self.remedy, self.code)
    }
}

impl std::error::Error for ViewError {}

/// Everything that is wrong with one definition, in document order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewErrors {
    /// The view's name, where it has one.
    pub view: Option<String>,
    /// At least one error.
    pub errors: Vec<ViewError>,
}

impl fmt::Display for ViewErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            match &self.view {
                Some(view) => write!(formatter, "view `{view}`: {error}")?,
                None => write!(formatter, "view without a name: {error}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ViewErrors {}

/// Why one resource gave no rows.
///
/// The builder that answered with it holds exactly what it held before. The message never holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The stable code.
    pub code: Code,
    /// The column at fault, where one is.
    pub column: Option<String>,
    /// The row of this resource at fault, counted from 0, where one is.
    pub row: Option<usize>,
    /// What is wrong, without the value.
    pub reason: String,
}

impl RowError {
    pub(crate) fn new(code: Code, reason: impl Into<String>) -> Self {
        Self {
            code,
            column: None,
            row: None,
            reason: reason.into(),
        }
    }

    /// The same error, at a column, unless it already names one.
    pub(crate) fn at_column(mut self, column: &str) -> Self {
        self.column.get_or_insert_with(|| column.to_owned());
        self
    }

    /// The same error, at a row of the resource, unless it already names one.
    pub(crate) fn at_row(mut self, row: usize) -> Self {
        self.row.get_or_insert(row);
        self
    }

    /// Whether the resource itself is fine and the batch must be finished first ([`Code::BatchFull`]).
    #[must_use]
    pub fn is_batch_full(&self) -> bool {
        self.code == Code::BatchFull
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.column, self.row) {
            (Some(column), Some(row)) => write!(formatter, "column `{column}` of row {row}: ")?,
            (Some(column), None) => write!(formatter, "column `{column}`: ")?,
            (None, _) => {}
        }
        write!(formatter, "{} [{}]", self.reason, self.code)
    }
}

impl std::error::Error for RowError {}
