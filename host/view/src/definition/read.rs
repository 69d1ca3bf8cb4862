//! JSON to [`ViewDefinition`], collecting every mistake on the way.

use serde_json::{Map, Value};

use super::reader::{Reader, is_base, kind};
use super::{Column, Constant, Expression, Iteration, Select, Tag, ViewDefinition};
use crate::error::{Code, ViewError, ViewErrors};
use crate::r4;
use crate::suggest;

const SELECT: &[&str] = &[
    "column",
    "select",
    "forEach",
    "forEachOrNull",
    "repeat",
    "unionAll",
];
const COLUMN: &[&str] = &["path", "name", "description", "collection", "type", "tag"];
const WHERE: &[&str] = &["path", "description"];
const TAG: &[&str] = &["name", "value"];
/// The types that a constant may have.
const CONSTANT_TYPES: &[&str] = &[
    "base64Binary",
    "boolean",
    "canonical",
    "code",
    "date",
    "dateTime",
    "decimal",
    "id",
    "instant",
    "integer",
    "integer64",
    "markdown",
    "oid",
    "string",
    "positiveInt",
    "time",
    "unsignedInt",
    "uri",
    "url",
    "uuid",
];
/// How deep selects may be nested.
const MAX_DEPTH: usize = 64;

pub(super) fn parse(json: &[u8]) -> Result<ViewDefinition, ViewErrors> {
    match serde_json::from_slice::<Value>(json) {
        Ok(value) => from_value(&value),
        Err(error) => {
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            let reason = reason.replace("EOF while parsing", "the text ends within");
            let (line, column) = (error.line(), error.column());
            let problem = format!("not JSON at line {line}, column {column}: {reason}");
            let error = ViewError {
                code: Code::NotJson,
                location: "ViewDefinition".to_owned(),
                column: None,
                problem,
                remedy: "mend the JSON there".to_owned(),
            };
            Err(ViewErrors {
                view: None,
                errors: vec![error],
            })
        }
    }
}

pub(super) fn from_value(value: &Value) -> Result<ViewDefinition, ViewErrors> {
    let mut reader = Reader { errors: Vec::new() };
    let definition = reader.definition(value);
    match definition {
        Some(definition) if reader.errors.is_empty() => Ok(definition),
        _ => {
            let view = value.get("name").and_then(Value::as_str).map(str::to_owned);
            Err(ViewErrors {
                view,
                errors: reader.errors,
            })
        }
    }
}

impl Reader {
    fn definition(&mut self, value: &Value) -> Option<ViewDefinition> {
        let root = "ViewDefinition";
        let Some(object) = value.as_object() else {
            self.report(
                Code::NotJson,
                root,
                format!("{} where a ViewDefinition belongs", kind(value)),
                r#"write one object, such as `{"resource": "Patient", "select": […]}`"#,
            );
            return None;
        };
        self.known_root(object);
        let resource_type = self.text(object, root, "resourceType");
        if resource_type.as_deref().is_some_and(|written| written != root) {
            let place = "ViewDefinition.resourceType";
            self.report(
                Code::WrongKind,
                place,
                "not a ViewDefinition",
                "write `ViewDefinition` or leave it out",
            );
        }
        let resource = self.required_text(
            object,
            root,
            "resource",
            "say whose rows these are, such as `\"resource\": \"Patient\"`",
        );
        let name = self.name(object, root, false);
        let constants = self.list(object, root, "constant", Self::constant);
        self.unique_constants(&constants);
        let wheres = self.list(object, root, "where", Self::condition);
        let selects = self.list(object, root, "select", |reader, value, at| {
            reader.select(value, at, 0)
        });
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        if object.get("select").is_none_or(is_empty) {
            self.report(
                Code::Missing,
                root,
                "`select` is absent or empty",
                r#"add one, such as `"select": [{"column": [{"name": "id", "path": "id"}]}]`"#,
            );
        }
        Some(ViewDefinition {
            resource_type,
            id: self.text(object, root, "id"),
            url: self.text(object, root, "url"),
            name,
            status: self.text(object, root, "status"),
            resource: resource?,
            constants,
            wheres,
            selects,
        })
    }

    fn select(&mut self, value: &Value, at: &str, depth: usize) -> Option<Select> {
        let object = self.object(value, at)?;
        if depth >= MAX_DEPTH {
            self.report(
                Code::TooLarge,
                at,
                format!("selects nested deeper than {MAX_DEPTH}"),
                "flatten the view",
            );
            return None;
        }
        self.known(object, at, SELECT);
        let iteration = self.iteration(object, at);
        let columns = self.list(object, at, "column", Self::column);
        let nested = |reader: &mut Self, value: &Value, at: &str| reader.select(value, at, depth + 1);
        let selects = self.list(object, at, "select", nested);
        let unions = self.list(object, at, "unionAll", nested);
        Some(Select {
            location: at.to_owned(),
            iteration,
            columns,
            selects,
            unions,
        })
    }

    fn iteration(&mut self, object: &Map<String, Value>, at: &str) -> Option<Iteration> {
        let written: Vec<&str> = ["forEach", "forEachOrNull", "repeat"]
            .into_iter()
            .filter(|key| object.contains_key(*key))
            .collect();
        if written.len() > 1 {
            let problem = format!("`{}` together in one select", written.join("` and `"));
            self.report(
                Code::TwoIterations,
                at,
                problem,
                "keep one and nest a select for the other",
            );
        }
        match *written.first()? {
            "forEach" => self.expression(object, at, "forEach").map(Iteration::ForEach),
            "forEachOrNull" => self
                .expression(object, at, "forEachOrNull")
                .map(Iteration::ForEachOrNull),
            _ => {
                let paths = self.list(object, at, "repeat", Self::repeat_path);
                if object
                    .get("repeat")
                    .and_then(Value::as_array)
                    .is_some_and(Vec::is_empty)
                {
                    self.report(
                        Code::Missing,
                        format!("{at}.repeat"),
                        "`repeat` without a path",
                        "name at least one, such as `[\"item\"]`",
                    );
                }
                Some(Iteration::Repeat(paths))
            }
        }
    }

    fn repeat_path(&mut self, value: &Value, at: &str) -> Option<Expression> {
        match value.as_str() {
            Some(text) => Some(Expression {
                text: text.to_owned(),
                location: at.to_owned(),
            }),
            None => {
                self.wrong_kind(at, "a FHIRPath string", value);
                None
            }
        }
    }

    fn column(&mut self, value: &Value, at: &str) -> Option<Column> {
        let object = self.object(value, at)?;
        self.known(object, at, COLUMN);
        let name = self.name(object, at, true);
        let path = self.expression(object, at, "path");
        if !object.contains_key("path") {
            self.report(
                Code::Missing,
                at,
                "`path` is absent",
                "say where in the resource the value is, such as `\"path\": \"birthDate\"`",
            );
        }
        let fhir_type = self
            .text(object, at, "type")
            .map(|written| bare_type(&written).to_owned());
        let collection = self.flag(object, at, "collection");
        let tags = self.list(object, at, "tag", Self::tag);
        let description = self.text(object, at, "description");
        Some(Column {
            name: name?,
            path: path?,
            fhir_type,
            collection,
            description,
            tags,
            location: at.to_owned(),
        })
    }

    fn tag(&mut self, value: &Value, at: &str) -> Option<Tag> {
        let object = self.object(value, at)?;
        self.known(object, at, TAG);
        let name = self.required_text(object, at, "name", "name the tag, such as `ansi/type`");
        let value = self.required_text(object, at, "value", "write it, such as `\"value\": \"VARCHAR\"`");
        Some(Tag {
            name: name?,
            value: value?,
        })
    }

    fn condition(&mut self, value: &Value, at: &str) -> Option<Expression> {
        let object = self.object(value, at)?;
        self.known(object, at, WHERE);
        if !object.contains_key("path") {
            self.report(
                Code::Missing,
                at,
                "`path` is absent",
                "write the condition, such as `\"path\": \"active = true\"`",
            );
        }
        self.expression(object, at, "path")
    }

    fn constant(&mut self, value: &Value, at: &str) -> Option<Constant> {
        let object = self.object(value, at)?;
        let name = self.name(object, at, true);
        let values: Vec<(&String, &Value)> = object
            .iter()
            .filter(|(key, _)| key.starts_with("value"))
            .collect();
        let known = |key: &&String| *key != "name" && !key.starts_with("value") && !is_base(key);
        for key in object.keys().filter(known) {
            self.unknown(at, key, &["name", "valueString"]);
        }
        let [(key, value)] = values[..] else {
            let problem = if values.is_empty() {
                "a constant without a value"
            } else {
                "a constant with several values"
            };
            self.report(
                Code::BadConstant,
                at,
                problem,
                "write one, its name telling its type, such as `\"valueString\": \"official\"`",
            );
            return None;
        };
        self.constant_value(key, value, at).and_then(|(fhir_type, text)| {
            Some(Constant {
                name: name?,
                fhir_type,
                text,
                location: format!("{at}.{key}"),
            })
        })
    }

    fn constant_value(&mut self, key: &str, value: &Value, at: &str) -> Option<(String, String)> {
        let place = format!("{at}.{key}");
        let Some(fhir_type) = CONSTANT_TYPES
            .iter()
            .find(|name| key == format!("value{}", capital(name)))
        else {
            let types = CONSTANT_TYPES
                .iter()
                .map(|name| format!("value{}", capital(name)))
                .collect::<Vec<_>>();
            let near = suggest::nearest(key, types.iter().map(String::as_str));
            let has_parts = key
                .strip_prefix("value")
                .and_then(r4::type_named)
                .is_some_and(|info| !info.is_primitive());
            let remedy = match near {
                _ if has_parts => {
                    "a constant is one text, number, date or boolean; make one of each part that you need".to_owned()
                }
                Some(near) if key != "value" => format!("did you mean `{near}`"),
                _ => "let the name tell the type of the value: `valueString`, `valueInteger`, `valueDate` and so on"
                    .to_owned(),
            };
            self.report(
                Code::BadConstant,
                place,
                format!("`{key}` is no value of a constant"),
                remedy,
            );
            return None;
        };
        let text = match (*fhir_type, value) {
            ("boolean", Value::Bool(flag)) => Some(flag.to_string()),
            ("integer" | "positiveInt" | "unsignedInt", Value::Number(number))
                if number.is_i64() || number.is_u64() =>
            {
                Some(number.to_string())
            }
            ("integer64", Value::Number(number)) => Some(number.to_string()),
            ("decimal", Value::Number(number)) => Some(number.to_string()),
            ("boolean" | "integer" | "positiveInt" | "unsignedInt" | "decimal", _) => None,
            (_, Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        let Some(text) = text else {
            self.wrong_kind(&place, &format!("a FHIR {fhir_type}"), value);
            return None;
        };
        Some(((*fhir_type).to_owned(), text))
    }

    fn unique_constants(&mut self, constants: &[Constant]) {
        for (index, constant) in constants.iter().enumerate() {
            if constants[..index]
                .iter()
                .any(|earlier| earlier.name == constant.name)
            {
                let place = format!("ViewDefinition.constant[{index}].name");
                let problem = format!("a second constant `{}`", constant.name);
                self.report(Code::DuplicateName, place, problem, "rename one of them");
            }
        }
    }
}

/// A type as the definition names it, without the prefix of its canonical address.
fn bare_type(written: &str) -> &str {
    let bare = written
        .strip_prefix("http://hl7.org/fhir/StructureDefinition/")
        .unwrap_or(written);
    bare.strip_prefix("http://hl7.org/fhirpath/System.")
        .unwrap_or(bare)
}

fn capital(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(characters)
        .collect()
}
