//! Members of a JSON object, each read with its place, mistakes collected.

use serde_json::{Map, Value};

use super::{Expression, hint};
use crate::error::{Code, ViewError};
use crate::suggest;

/// Elements that any part of a FHIR resource may have.
const BASE: &[&str] = &["id", "extension", "modifierExtension"];
/// Elements of a ViewDefinition.
const ROOT: &[&str] = &[
    "resourceType",
    "id",
    "meta",
    "implicitRules",
    "language",
    "text",
    "contained",
    "extension",
    "modifierExtension",
    "url",
    "identifier",
    "version",
    "versionAlgorithmString",
    "versionAlgorithmCoding",
    "name",
    "title",
    "status",
    "experimental",
    "date",
    "publisher",
    "contact",
    "description",
    "useContext",
    "jurisdiction",
    "purpose",
    "copyright",
    "copyrightLabel",
    "resource",
    "fhirVersion",
    "profile",
    "constant",
    "select",
    "where",
];
pub(super) struct Reader {
    pub(super) errors: Vec<ViewError>,
}

impl Reader {
    pub(super) fn report(
        &mut self,
        code: Code,
        location: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.errors.push(ViewError {
            code,
            location: location.into(),
            column: None,
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// A list under `key`; each entry read with its own place. Absent means empty.
    pub(super) fn list<T>(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
        mut read: impl FnMut(&mut Self, &Value, &str) -> Option<T>,
    ) -> Vec<T> {
        match object.get(key) {
            None => Vec::new(),
            Some(Value::Array(entries)) => {
                let read = |(index, entry)| read(self, entry, &format!("{at}.{key}[{index}]"));
                entries.iter().enumerate().filter_map(read).collect()
            }
            Some(other) => {
                self.wrong_kind(&format!("{at}.{key}"), "a list", other);
                Vec::new()
            }
        }
    }

    pub(super) fn object<'a>(&mut self, value: &'a Value, at: &str) -> Option<&'a Map<String, Value>> {
        if value.as_object().is_none() {
            self.wrong_kind(at, "an object", value);
        }
        value.as_object()
    }

    pub(super) fn expression(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Option<Expression> {
        let location = format!("{at}.{key}");
        match object.get(key)? {
            Value::String(text) => Some(Expression {
                text: text.clone(),
                location,
            }),
            other => {
                self.wrong_kind(&location, "a FHIRPath string", other);
                None
            }
        }
    }

    pub(super) fn text(&mut self, object: &Map<String, Value>, at: &str, key: &str) -> Option<String> {
        match object.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.wrong_kind(&format!("{at}.{key}"), "a string", other);
                None
            }
        }
    }

    pub(super) fn required_text(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
        remedy: &str,
    ) -> Option<String> {
        if object.get(key).is_none_or(|value| value.as_str() == Some("")) {
            let problem = if object.contains_key(key) {
                format!("`{key}` is empty")
            } else {
                format!("`{key}` is absent")
            };
            self.report(Code::Missing, at, problem, remedy);
            return None;
        }
        self.text(object, at, key)
    }

    pub(super) fn flag(&mut self, object: &Map<String, Value>, at: &str, key: &str) -> bool {
        match object.get(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.wrong_kind(&format!("{at}.{key}"), "true or false", other);
                false
            }
        }
    }

    pub(super) fn name(&mut self, object: &Map<String, Value>, at: &str, required: bool) -> Option<String> {
        if !required && !object.contains_key("name") {
            return None;
        }
        let name = self.required_text(object, at, "name", "give it one, such as `\"name\": \"family\"`")?;
        let mut characters = name.chars();
        let starts = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
        if !starts || !characters.all(|next| next.is_ascii_alphanumeric() || next == '_') {
            let problem = format!("`{name}` is no name that SQL takes unquoted");
            let remedy = "use letters, digits and `_`, and start with a letter";
            self.report(Code::BadName, format!("{at}.name"), problem, remedy);
        }
        Some(name)
    }

    pub(super) fn known(&mut self, object: &Map<String, Value>, at: &str, known: &[&str]) {
        for key in object.keys() {
            if !known.contains(&key.as_str()) && !is_base(key) {
                self.unknown(at, key, known);
            }
        }
    }

    /// At the top a definition may carry whatever its server adds; only what looks like a misspelling is refused.
    pub(super) fn known_root(&mut self, object: &Map<String, Value>) {
        for key in object.keys() {
            if hint::OF_SELECT.contains(&key.as_str()) {
                let problem = format!("`{key}` belongs to a select");
                let remedy = "write it into an entry of `select`";
                self.report(
                    Code::UnknownElement,
                    format!("ViewDefinition.{key}"),
                    problem,
                    remedy,
                );
            } else if !ROOT.contains(&key.as_str()) && suggest::nearest(key, ROOT.iter().copied()).is_some() {
                self.unknown("ViewDefinition", key, ROOT);
            }
        }
    }

    pub(super) fn unknown(&mut self, at: &str, key: &str, known: &[&str]) {
        let remedy = hint::instead_of_member(key, known);
        self.report(
            Code::UnknownElement,
            format!("{at}.{key}"),
            format!("there is no element `{key}` here"),
            remedy,
        );
    }

    pub(super) fn wrong_kind(&mut self, at: &str, wanted: &str, found: &Value) {
        let problem = format!("{} where {wanted} belongs", kind(found));
        self.report(
            Code::WrongKind,
            at,
            problem,
            hint::instead_of_value(at, wanted, found),
        );
    }
}

pub(super) fn is_base(key: &str) -> bool {
    BASE.contains(&key) || key.starts_with('_')
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
