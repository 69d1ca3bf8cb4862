//! Parameters to operations.

use lakefeed_view::place::Path;
use serde_json::{Map, Value};

use super::super::{MAX_OPERATIONS, PatchRefusal, numbers};
use super::{Fault, Given, List, Operation};

/// Takes the operations out of Parameters whose numbers are marked.
pub(in crate::intake::patch) fn read(parameters: Value) -> Result<Vec<Operation>, PatchRefusal> {
    let Value::Object(mut parameters) = parameters else {
        return Err(PatchRefusal::NotAnObject);
    };
    let list = match parameters.remove("parameter") {
        Some(Value::Array(list)) => list,
        None => Vec::new(),
        Some(_) => {
            let fault = Fault::Shape;
            return Err(PatchRefusal::FhirPath { index: 0, fault });
        }
    };
    if list.len() > MAX_OPERATIONS {
        return Err(PatchRefusal::TooMany);
    }
    let read =
        |(index, parameter)| operation(parameter).map_err(|fault| PatchRefusal::FhirPath { index, fault });
    list.into_iter().enumerate().map(read).collect()
}

fn operation(parameter: Value) -> Result<Operation, Fault> {
    let Value::Object(mut parameter) = parameter else {
        return Err(Fault::Shape);
    };
    if parameter.get("name").and_then(Value::as_str) != Some("operation") {
        return Err(Fault::Shape);
    }
    let mut parts = Parts::of(parameter.remove("part").ok_or(Fault::Shape)?)?;
    let kind = parts.text("type").map_err(|_| Fault::Type)?;
    let (operation, takes) = match kind.as_str() {
        "add" => (parts.add()?, "`path`, `name` and `value`"),
        "insert" => (parts.insert()?, "`path`, `index` and `value`"),
        "delete" => (Operation::Delete { path: parts.path()? }, "`path`"),
        "replace" => (parts.replace()?, "`path` and `value`"),
        "move" => (parts.reorder()?, "`path`, `source` and `destination`"),
        _ => return Err(Fault::Type),
    };
    match parts.0.is_empty() {
        true => Ok(operation),
        false => Err(Fault::Superfluous { takes }),
    }
}

/// The parts of an operation that were not taken yet. A name that stands twice is taken once, and so is left over.
struct Parts(Vec<(String, Map<String, Value>)>);

impl Parts {
    fn of(list: Value) -> Result<Self, Fault> {
        let Value::Array(list) = list else {
            return Err(Fault::Shape);
        };
        let named = |part| match part {
            Value::Object(part) => match part.get("name").and_then(numbers::text) {
                Some(name) => Ok((name.to_owned(), part)),
                None => Err(Fault::Shape),
            },
            _ => Err(Fault::Shape),
        };
        let parts: Result<Vec<_>, Fault> = list.into_iter().map(named).collect();
        Ok(Self(parts?))
    }

    fn add(&mut self) -> Result<Operation, Fault> {
        Ok(Operation::Add {
            path: self.path()?,
            name: self.text("name")?,
            value: self.value()?,
        })
    }

    fn insert(&mut self) -> Result<Operation, Fault> {
        Ok(Operation::Insert {
            list: self.list()?,
            index: self.position("index")?,
            value: self.value()?,
        })
    }

    fn replace(&mut self) -> Result<Operation, Fault> {
        Ok(Operation::Replace {
            path: self.path()?,
            value: self.value()?,
        })
    }

    fn reorder(&mut self) -> Result<Operation, Fault> {
        Ok(Operation::Move {
            list: self.list()?,
            source: self.position("source")?,
            destination: self.position("destination")?,
        })
    }

    fn path(&mut self) -> Result<Path, Fault> {
        Path::parse(&self.text("path")?).map_err(Fault::Path)
    }

    fn list(&mut self) -> Result<List, Fault> {
        let (owner, name) = self.path()?.into_list().ok_or(Fault::NoName)?;
        Ok(List { owner, name })
    }

    fn value(&mut self) -> Result<Given, Fault> {
        let form = "a value";
        let part = self.take("value").ok_or(Fault::Missing { part: "value", form })?;
        Given::read(part)
    }

    /// A part that is a text, as any of the types that are texts in JSON.
    fn text(&mut self, part: &'static str) -> Result<String, Fault> {
        let value = self.take(part).and_then(only_value);
        let text = value.as_ref().and_then(numbers::text);
        let text = text.filter(|text| !text.is_empty());
        let form = "a text";
        text.map(str::to_owned).ok_or(Fault::Missing { part, form })
    }

    fn position(&mut self, part: &'static str) -> Result<usize, Fault> {
        let value = self.take(part).and_then(only_value);
        let digits = value.as_ref().and_then(numbers::digits);
        let form = "a whole number from 0";
        let position = digits.and_then(|digits| digits.parse().ok());
        position.ok_or(Fault::Missing { part, form })
    }

    fn take(&mut self, name: &str) -> Option<Map<String, Value>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// The one value that a part has.
fn only_value(part: Map<String, Value>) -> Option<Value> {
    let mut values = part.into_iter().filter(|(key, _)| key.starts_with("value"));
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}
