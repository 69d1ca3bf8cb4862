//! Constants, literals and variables.

use super::shape::{Basic, Known, Shape};
use super::{Compiled, Compiler, Failed, Mode, Scope};
use crate::cell::{Origin, TextRef};
use crate::definition::Constant;
use crate::error::Code;
use crate::fhirpath::Literal;
use crate::program::{Expr, Item, Root, TextKind};
use crate::r4;
use crate::suggest;
use crate::temporal::{Date, DateTime, Time};

/// Terminologies that FHIRPath names.
const TERMINOLOGIES: [(&str, &str); 3] = [
    ("ucum", "http://unitsofmeasure.org"),
    ("sct", "http://snomed.info/sct"),
    ("loinc", "http://loinc.org"),
];

impl Compiler {
    pub(super) fn constants(&mut self, constants: &[Constant]) {
        for constant in constants {
            match self.constant(constant) {
                Some(value) => {
                    self.constants.insert(constant.name.clone(), value);
                }
                None => {
                    let problem = format!(
                        "the constant `{}` is not a FHIR {}",
                        constant.name, constant.fhir_type
                    );
                    let remedy = match constant.fhir_type.as_str() {
                        "date" => "write it as `2024-01-31`",
                        "dateTime" | "instant" => "write it as `2024-01-31T10:30:00Z`",
                        "time" => "write it as `10:30:00`",
                        _ => "write a whole number of at most 64 bits",
                    };
                    self.report(Code::BadConstant, &constant.location, problem, remedy);
                    // Known all the same, so that its uses are no further errors.
                    self.constants
                        .insert(constant.name.clone(), (Item::Boolean(false), Known::Any));
                }
            }
        }
    }

    fn constant(&mut self, constant: &Constant) -> Option<(Item, Known)> {
        let text = constant.text.as_str();
        let info = r4::type_named(&constant.fhir_type);
        let basic = info.map_or(Basic::Integer, Basic::of_info);
        let item = match basic {
            Basic::Boolean => Item::Boolean(text == "true"),
            Basic::Integer => Item::Integer(text.parse().ok()?),
            Basic::Decimal => self.text_item(TextKind::Decimal, text),
            Basic::Date => {
                Date::parse(text).ok()?;
                self.text_item(TextKind::Date, text)
            }
            Basic::DateTime => {
                DateTime::parse(text).ok()?;
                self.text_item(TextKind::DateTime, text)
            }
            Basic::Time => {
                Time::parse(text).ok()?;
                self.text_item(TextKind::Time, text)
            }
            _ => self.text_item(TextKind::String, text),
        };
        Some((item, Known::System(basic)))
    }

    /// Keeps a text among the program's literals.
    pub(super) fn keep(&mut self, text: &str) -> TextRef {
        let start = self.program.literals.len() as u32;
        self.program.literals.push_str(text);
        TextRef {
            origin: Origin::Literal,
            start,
            length: text.len() as u32,
        }
    }

    pub(super) fn text_item(&mut self, kind: TextKind, text: &str) -> Item {
        Item::Text(kind, self.keep(text))
    }

    pub(super) fn literal(&mut self, literal: &Literal, at: usize) -> Compiled {
        let wrong = |error: crate::temporal::TemporalError| error.to_string();
        let (kind, basic, text, checked) = match literal {
            Literal::Boolean(flag) => {
                return Ok((Expr::Literal(Item::Boolean(*flag)), Shape::system(Basic::Boolean)));
            }
            Literal::Integer(number) => {
                return Ok((
                    Expr::Literal(Item::Integer(*number)),
                    Shape::system(Basic::Integer),
                ));
            }
            Literal::Quantity => {
                let remedy = "compare the number alone, such as `value.ofType(Quantity).value > 5`";
                return Err(self.unsupported(at, "a number with a unit", remedy));
            }
            Literal::Duration => {
                let remedy = "compare dates with each other, or with a fixed one such as `@2024-01-31`";
                return Err(self.unsupported(at, "computing with dates and durations", remedy));
            }
            Literal::String(text) => (TextKind::String, Basic::String, text, Ok(())),
            Literal::Decimal(text) => (TextKind::Decimal, Basic::Decimal, text, Ok(())),
            Literal::Date(text) => (
                TextKind::Date,
                Basic::Date,
                text,
                Date::parse(text).map(|_| ()).map_err(wrong),
            ),
            Literal::DateTime(text) => (
                TextKind::DateTime,
                Basic::DateTime,
                text,
                DateTime::parse_literal(text).map(|_| ()).map_err(wrong),
            ),
            Literal::Time(text) => (
                TextKind::Time,
                Basic::Time,
                text,
                Time::parse_literal(text).map(|_| ()).map_err(wrong),
            ),
        };
        if let Err(problem) = checked {
            return Err(self.fail(
                Code::Syntax,
                at,
                problem,
                "write it as `@2024-01-31` or `@2024-01-31T10:30:00Z`",
            ));
        }
        let item = self.text_item(kind, text);
        Ok((Expr::Literal(item), Shape::system(basic)))
    }

    fn unsupported(&mut self, at: usize, what: &str, remedy: &str) -> Failed {
        self.fail(Code::Unsupported, at, format!("{what} is not supported"), remedy)
    }

    pub(super) fn variable(&mut self, name: &str, scope: &Scope, at: usize) -> Compiled {
        if let Some((item, known)) = self.constants.get(name) {
            let shape = match known {
                Known::System(basic) => Shape::system(*basic),
                _ => Shape::any(None),
            };
            return Ok((Expr::Literal(*item), shape));
        }
        let root = |root| Ok((Expr::Root(root), self.root.clone()));
        match (name, self.mode) {
            ("resource" | "rootResource", _) => return root(Root::Context),
            ("context", _) => return Ok((Expr::Context, scope.context.clone())),
            ("current", Mode::Criterion) => return root(Root::Current),
            ("previous", Mode::Criterion) => return root(Root::Previous),
            ("rowIndex", Mode::View) => return Ok((Expr::RowIndex, Shape::system(Basic::Integer))),
            _ => {}
        }
        if let Some((_, url)) = TERMINOLOGIES.iter().find(|(known, _)| *known == name) {
            let item = self.text_item(TextKind::String, url);
            return Ok((Expr::Literal(item), Shape::system(Basic::String)));
        }
        let published = [("vs-", "ValueSet"), ("ext-", "StructureDefinition")];
        for (prefix, kind) in published {
            if let Some(rest) = name.strip_prefix(prefix) {
                let item = self.text_item(TextKind::String, &format!("http://hl7.org/fhir/{kind}/{rest}"));
                return Ok((Expr::Literal(item), Shape::system(Basic::String)));
            }
        }
        Err(self.unknown_variable(name, at))
    }

    fn unknown_variable(&mut self, name: &str, at: usize) -> Failed {
        let own: &[&str] = match self.mode {
            Mode::View => &["resource", "context", "rowIndex"],
            Mode::Criterion => &["current", "previous", "resource", "context"],
        };
        let known = self
            .constants
            .keys()
            .map(String::as_str)
            .chain(own.iter().copied());
        let remedy = match suggest::nearest(name, known) {
            Some(near) => format!("did you mean `%{near}`"),
            None if matches!(name, "current" | "previous") => {
                "a view sees one version of a resource; the criterion of a trigger compares two".to_owned()
            }
            None if self.mode == Mode::View => format!("declare `{name}` under `constant`"),
            None => "a criterion knows `%current`, `%previous` and `%resource`".to_owned(),
        };
        self.fail(
            Code::UnknownVariable,
            at,
            format!("`%{name}` is not defined"),
            remedy,
        )
    }
}
