//! Paths that lead to places: the part of FHIRPath that can say which element of a resource is to be changed.
//!
//! An expression gives values, and many values lie nowhere: a joined text, a sum. A [`Path`] is an expression whose
//! every step only chooses among elements, so that whoever walks it through a resource knows where each lies. It is
//! read by the same parser as every other expression; what it does not have is refused by name. The walking is left
//! to the caller, who may hold the resource in any form.
//!
//! ```
//! use lakefeed_view::place::{Path, Step};
//!
//! let path = Path::parse("Patient.name.where(use = 'official').given[0]")?;
//! assert!(matches!(path.steps.last(), Some(Step::At(0))));
//! assert!(Path::parse("name.given.join(' ')").is_err());
//! # Ok::<(), lakefeed_view::place::PathError>(())
//! ```

use crate::fhirpath::{self, Literal, Node, NodeKind, Operator, SyntaxError, TypeOperator};
use crate::json::shown_key;
use crate::r4::{self, TypeInfo};

/// A path from a resource, or inside a condition from the element that is asked about.
#[derive(Debug, Clone)]
pub struct Path {
    /// The steps, in order; none for the start itself.
    pub steps: Vec<Step>,
}

/// One step of a path: from the elements chosen so far to others.
#[derive(Debug, Clone)]
pub enum Step {
    /// `name`: the elements of this name below each. At the start of a path it may also be the resource's type.
    Member(String),
    /// `[n]`: the one at this position.
    At(usize),
    /// `first()`
    First,
    /// `last()`
    Last,
    /// `single()`: the only one; that there are several is an error.
    Single,
    /// `ofType(T)` and `as`: those of this type.
    OfType(&'static TypeInfo),
    /// `extension('url')`: the extensions of this url.
    Extension(String),
    /// `where(…)`: those for which the condition is true.
    Where(Condition),
}

/// What is asked of one element, in FHIRPath's logic of three values.
#[derive(Debug, Clone)]
pub enum Condition {
    /// `and`
    Both(Box<[Condition; 2]>),
    /// `or`
    Either(Box<[Condition; 2]>),
    /// `not()`
    Not(Box<Condition>),
    /// `exists()`
    Exists(Path),
    /// `=`
    Same(Operand, Operand),
    /// An operand alone: itself if it is a boolean, true if it is any other single value.
    Holds(Operand),
}

/// One side of a comparison.
#[derive(Debug, Clone)]
pub enum Operand {
    /// What a path gives.
    Path(Path),
    /// `true`, `false`
    Boolean(bool),
    /// A text, or a date as its text.
    Text(String),
    /// The digits of a number, with its sign.
    Number(String),
}

/// Why a text is no path that leads to places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}, {problem}; {remedy}")]
pub struct PathError {
    /// The character at fault, counted from 1.
    pub at: usize,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

/// What a path may consist of.
const STEPS: &str = "a path has names of elements, `[n]`, `first()`, `last()`, `single()`, `where(…)`, `ofType(…)` \
                     and `extension(…)`";
/// What a condition may consist of.
const CONDITIONS: &str =
    "a condition has paths, literals, `=`, `!=`, `and`, `or`, `exists()`, `empty()` and `not()`";
/// A message stays readable whatever the text is.
const MAX_MESSAGE: usize = 160;

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// The text is no FHIRPath, or has a part that chooses no elements.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let node = fhirpath::parse(text)?;
        Self::of(&node, Start::Resource)
    }

    /// The path as a list's owner and the list's name; none for one that ends in anything but a name.
    #[must_use]
    pub fn into_list(mut self) -> Option<(Self, String)> {
        match self.steps.pop() {
            Some(Step::Member(name)) => Some((self, name)),
            _ => None,
        }
    }

    fn of(node: &Node, start: Start) -> Result<Self, PathError> {
        let mut steps = Vec::new();
        collect(node, start, &mut steps)?;
        Ok(Self { steps })
    }
}

/// Where a path begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Resource,
    Element,
}

fn collect(node: &Node, start: Start, steps: &mut Vec<Step>) -> Result<(), PathError> {
    match &node.kind {
        NodeKind::This => {}
        NodeKind::Variable(name)
            if start == Start::Resource && matches!(name.as_str(), "resource" | "context") => {}
        NodeKind::Member { target, name } => {
            collect_target(target.as_deref(), start, steps)?;
            steps.push(Step::Member(name.clone()));
        }
        NodeKind::At { target, index } => {
            collect(target, start, steps)?;
            steps.push(Step::At(position(index)?));
        }
        NodeKind::Type {
            operator: TypeOperator::As,
            operand,
            name,
        } => {
            collect(operand, start, steps)?;
            steps.push(Step::OfType(type_of(name, node.at)?));
        }
        NodeKind::Call {
            target,
            name,
            arguments,
        } => {
            collect_target(target.as_deref(), start, steps)?;
            steps.push(step(name, arguments, node.at)?);
        }
        other => return Err(refused(node.at, &described(other), STEPS)),
    }
    Ok(())
}

fn collect_target(target: Option<&Node>, start: Start, steps: &mut Vec<Step>) -> Result<(), PathError> {
    target.map_or(Ok(()), |target| collect(target, start, steps))
}

fn step(name: &str, arguments: &[Node], at: usize) -> Result<Step, PathError> {
    Ok(match (name, arguments) {
        ("first", []) => Step::First,
        ("last", []) => Step::Last,
        ("single", []) => Step::Single,
        ("where", [condition]) => Step::Where(Condition::of(condition)?),
        ("ofType" | "as", [named]) => Step::OfType(type_of(&type_name(named)?, named.at)?),
        ("extension", [url]) => match &url.kind {
            NodeKind::Literal(Literal::String(url)) => Step::Extension(url.clone()),
            _ => return Err(refused(url.at, "the url is no text", "write it between quotes")),
        },
        ("first" | "last" | "single" | "where" | "ofType" | "as" | "extension", _) => {
            let problem = format!("`{name}()` has {} arguments", arguments.len());
            return Err(refused(at, &problem, STEPS));
        }
        _ => {
            let problem = format!("`{}()` is not supported", shown_key(name.as_bytes()));
            return Err(refused(at, &problem, STEPS));
        }
    })
}

fn position(index: &Node) -> Result<usize, PathError> {
    let position = match &index.kind {
        NodeKind::Literal(Literal::Integer(position)) => usize::try_from(*position).ok(),
        _ => None,
    };
    position.ok_or_else(|| {
        refused(
            index.at,
            "a position is no whole number",
            "count from 0, as in `[0]`",
        )
    })
}

/// `Quantity`, `FHIR.Quantity`
fn type_name(node: &Node) -> Result<String, PathError> {
    match &node.kind {
        NodeKind::Member { target: None, name } => Ok(name.clone()),
        NodeKind::Member {
            target: Some(target),
            name,
        } => match &target.kind {
            NodeKind::Member {
                target: None,
                name: namespace,
            } => Ok(format!("{namespace}.{name}")),
            _ => Err(no_type(node.at)),
        },
        _ => Err(no_type(node.at)),
    }
}

fn type_of(name: &str, at: usize) -> Result<&'static TypeInfo, PathError> {
    let name = name.strip_prefix("FHIR.").unwrap_or(name);
    r4::type_named(name).ok_or_else(|| no_type(at))
}

fn no_type(at: usize) -> PathError {
    refused(at, "this is no type of FHIR R4", "write one, such as `Quantity`")
}

impl Condition {
    fn of(node: &Node) -> Result<Self, PathError> {
        match &node.kind {
            NodeKind::Binary {
                operator,
                left,
                right,
            } => Self::of_operator(*operator, left, right, node.at),
            NodeKind::Call {
                target,
                name,
                arguments,
            } if is_question(name) => Self::of_question(target.as_deref(), name, arguments, node.at),
            _ => Ok(Self::Holds(Operand::of(node)?)),
        }
    }

    fn of_operator(operator: Operator, left: &Node, right: &Node, at: usize) -> Result<Self, PathError> {
        match operator {
            Operator::And => Ok(Self::Both(Box::new([Self::of(left)?, Self::of(right)?]))),
            Operator::Or => Ok(Self::Either(Box::new([Self::of(left)?, Self::of(right)?]))),
            Operator::Equal => Ok(Self::Same(Operand::of(left)?, Operand::of(right)?)),
            Operator::NotEqual => {
                let same = Self::Same(Operand::of(left)?, Operand::of(right)?);
                Ok(Self::Not(Box::new(same)))
            }
            other => {
                let problem = format!("`{}` is not supported", other.text());
                Err(refused(at, &problem, CONDITIONS))
            }
        }
    }

    fn of_question(
        target: Option<&Node>,
        name: &str,
        arguments: &[Node],
        at: usize,
    ) -> Result<Self, PathError> {
        if name == "not" && arguments.is_empty() {
            return match target {
                Some(target) => Ok(Self::Not(Box::new(Self::of(target)?))),
                None => Ok(Self::Not(Box::new(Self::Holds(Operand::Path(Path {
                    steps: Vec::new(),
                }))))),
            };
        }
        let mut steps = Vec::new();
        collect_target(target, Start::Element, &mut steps)?;
        match (name, arguments) {
            (_, []) => {}
            ("exists", [condition]) => steps.push(Step::Where(Self::of(condition)?)),
            _ => {
                let problem = format!("`{name}()` has {} arguments", arguments.len());
                return Err(refused(at, &problem, CONDITIONS));
            }
        }
        let exists = Self::Exists(Path { steps });
        match name {
            "empty" => Ok(Self::Not(Box::new(exists))),
            _ => Ok(exists),
        }
    }
}

fn is_question(name: &str) -> bool {
    matches!(name, "not" | "exists" | "empty")
}

impl Operand {
    fn of(node: &Node) -> Result<Self, PathError> {
        match &node.kind {
            NodeKind::Literal(literal) => Self::of_literal(literal, "", node.at),
            NodeKind::Negative(operand) => match &operand.kind {
                NodeKind::Literal(literal @ (Literal::Integer(_) | Literal::Decimal(_))) => {
                    Self::of_literal(literal, "-", node.at)
                }
                _ => Err(refused(node.at, "`-` is not supported", CONDITIONS)),
            },
            kind @ (NodeKind::Binary { .. } | NodeKind::Variable(_) | NodeKind::Empty) => {
                Err(refused(node.at, &described(kind), CONDITIONS))
            }
            _ => Ok(Self::Path(Path::of(node, Start::Element)?)),
        }
    }

    fn of_literal(literal: &Literal, sign: &str, at: usize) -> Result<Self, PathError> {
        match literal {
            Literal::Boolean(truth) => Ok(Self::Boolean(*truth)),
            Literal::String(text) | Literal::Date(text) => Ok(Self::Text(text.clone())),
            Literal::Integer(number) => Ok(Self::Number(format!("{sign}{number}"))),
            Literal::Decimal(digits) => Ok(Self::Number(format!("{sign}{digits}"))),
            // Moments of two zones may be the same, which their texts do not show.
            Literal::DateTime(_) | Literal::Time(_) | Literal::Quantity | Literal::Duration => Err(refused(
                at,
                "a literal with a time or a unit is not supported",
                "compare with a text, a date, a number or a boolean",
            )),
        }
    }
}

fn described(kind: &NodeKind) -> String {
    match kind {
        NodeKind::Literal(_) | NodeKind::Empty | NodeKind::Negative(_) => {
            "a value stands where an element belongs".to_owned()
        }
        NodeKind::Index => "`$index` is not supported".to_owned(),
        NodeKind::Total => "`$total` is not supported".to_owned(),
        NodeKind::Variable(name) => format!("`%{}` is not supported", shown_key(name.as_bytes())),
        NodeKind::Binary { operator, .. } => format!("`{}` is not supported", operator.text()),
        NodeKind::Type { .. } => "`is` is not supported".to_owned(),
        NodeKind::This | NodeKind::Member { .. } | NodeKind::Call { .. } | NodeKind::At { .. } => {
            "this is not supported".to_owned()
        }
    }
}

fn refused(at: usize, problem: &str, remedy: &str) -> PathError {
    PathError {
        at,
        problem: problem.to_owned(),
        remedy: remedy.to_owned(),
    }
}

impl From<SyntaxError> for PathError {
    fn from(error: SyntaxError) -> Self {
        // The text may have named something very long.
        let problem = match error.problem.chars().count() > MAX_MESSAGE {
            true => "something does not belong there".to_owned(),
            false => error.problem,
        };
        Self {
            at: error.at,
            problem,
            remedy: error.remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &Path) -> String {
        let text = |step: &Step| match step {
            Step::Member(name) => format!(".{name}"),
            Step::At(position) => format!("[{position}]"),
            Step::First => "^".to_owned(),
            Step::Last => "$".to_owned(),
            Step::Single => "!".to_owned(),
            Step::OfType(info) => format!(":{}", info.name()),
            Step::Extension(url) => format!("@{url}"),
            Step::Where(asked) => format!("?({})", condition(asked)),
        };
        path.steps.iter().map(text).collect()
    }

    fn condition(asked: &Condition) -> String {
        match asked {
            Condition::Both(both) => format!("({} & {})", condition(&both[0]), condition(&both[1])),
            Condition::Either(either) => format!("({} | {})", condition(&either[0]), condition(&either[1])),
            Condition::Not(inner) => format!("not {}", condition(inner)),
            Condition::Exists(inner) => format!("some {}", path(inner)),
            Condition::Same(left, right) => format!("{} = {}", operand(left), operand(right)),
            Condition::Holds(alone) => operand(alone),
        }
    }

    fn operand(side: &Operand) -> String {
        match side {
            Operand::Path(inner) => path(inner),
            Operand::Boolean(truth) => truth.to_string(),
            Operand::Text(text) => format!("'{text}'"),
            Operand::Number(digits) => digits.clone(),
        }
    }

    fn check(text: &str, expected: &str) {
        let found = match Path::parse(text) {
            Ok(read) => path(&read),
            Err(error) => format!("{}: {}", error.at, error.problem),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_path_is_a_list_of_steps() {
        check("Patient.name[0].given", ".Patient.name[0].given");
        check("%resource.name.first().given.last()", ".name^.given$");
        check("$this", "");
        check("name.single().extension('urn:x').value", ".name!@urn:x.value");
        check("value.ofType(FHIR.Quantity).unit", ".value:Quantity.unit");
        check(
            "(Observation.value as Quantity).unit",
            ".Observation.value:Quantity.unit",
        );
        check("value.as(string)", ".value:string");
        check("extension('u')", "@u");
        check("`div`.where(true)", ".div?(true)");
    }

    #[test]
    fn a_condition_has_three_operators_and_three_questions() {
        check("a.where(b = 'x')", ".a?(.b = 'x')");
        check("a.where(b != 1.50 and c)", ".a?((not .b = 1.50 & .c))");
        check("a.where(b = -1 or c.exists())", ".a?((.b = -1 | some .c))");
        check(
            "a.where(b.exists(c = true).not())",
            ".a?(not some .b?(.c = true))",
        );
        check("a.where(b.empty())", ".a?(not some .b)");
        check("a.where($this = 'x')", ".a?( = 'x')");
        check("a.where(b.start = @2020-01-01)", ".a?(.b.start = '2020-01-01')");
    }

    #[test]
    fn what_chooses_no_elements_is_refused_by_name() {
        check("a.select(b)", "3: `select()` is not supported");
        check("a.resolve().b", "3: `resolve()` is not supported");
        check("a | b", "3: `|` is not supported");
        check("a + 1", "3: `+` is not supported");
        check("'a'", "1: a value stands where an element belongs");
        check("a[b]", "3: a position is no whole number");
        check("a[-1]", "3: a position is no whole number");
        check("a.where()", "3: `where()` has 0 arguments");
        check("a.first(1)", "3: `first()` has 1 arguments");
        check("a.empty()", "3: `empty()` is not supported");
        check("a.extension(b)", "13: the url is no text");
        check("a.ofType(Quantty)", "10: this is no type of FHIR R4");
        check("a.ofType(System.String)", "17: this is no type of FHIR R4");
        check("a is Quantity", "3: `is` is not supported");
        check("a.where(b > 1)", "11: `>` is not supported");
        check("a.where(%resource.b = 1)", "9: `%resource` is not supported");
        check("a.where(b.count() = 1)", "11: `count()` is not supported");
        check(
            "a.where(b = @2020-01-01T10:00:00Z)",
            "13: a literal with a time or a unit is not supported",
        );
        check("a.where(b = 1 + 1)", "15: `+` is not supported");
        check("%other.a", "1: `%other` is not supported");
        check("a.where(b =", "12: the expression ends where a value belongs");
        check("", "1: the expression is empty");
    }

    #[test]
    fn a_message_does_not_grow_with_the_text() {
        let long = "x".repeat(100_000);
        for text in [format!("a {long}"), format!("a.{long}()"), format!("%{long}")] {
            let error = Path::parse(&text).unwrap_err();
            assert!(error.to_string().len() < 500, "{}", error.at);
        }
    }
}
