//! The value of an operation, and the JSON that it makes.

use lakefeed_view::r4::{self, Lookup, TypeInfo};
use serde_json::{Map, Value};

use super::super::numbers;
use super::{Fault, change, target};

/// A value as an operation gives it.
#[derive(Clone, Debug)]
pub(in crate::intake::patch) enum Given {
    /// `valueString`, `valueHumanName`, …
    Typed {
        /// The type that its key names.
        info: &'static TypeInfo,
        json: Json,
    },
    /// `resource`
    Resource(Value),
    /// `part`: an element that has no type of its own, such as a contact of a patient, member by member.
    Parts(Vec<(String, Given)>),
}

/// An element's JSON: its value, and of a primitive what stands beside it, in `_birthDate`. One of them at least is
/// there.
#[derive(Clone, Debug, Default)]
pub(in crate::intake::patch) struct Json {
    pub(super) value: Option<Value>,
    pub(super) beside: Option<Value>,
}

impl Given {
    /// Reads a part that is a value. How deep parts lie in each other is bounded by the depth of the patch's text.
    pub(super) fn read(part: Map<String, Value>) -> Result<Self, Fault> {
        let mut given = None;
        for (key, value) in part {
            // What describes the part is not the value's.
            if matches!(key.as_str(), "name" | "id" | "extension") {
                continue;
            }
            let one = Self::of_member(&key, value)?;
            given = Some(match given {
                None => one,
                Some(before) => joined(before, one).ok_or(Fault::Value)?,
            });
        }
        given.ok_or(Fault::Value)
    }

    fn of_member(key: &str, value: Value) -> Result<Self, Fault> {
        match (key, value) {
            ("part", Value::Array(parts)) if !parts.is_empty() => {
                let parts: Result<_, _> = parts.into_iter().map(named).collect();
                Ok(Self::Parts(parts?))
            }
            ("resource", resource @ Value::Object(_)) => Ok(Self::Resource(resource)),
            ("part" | "resource", _) | (_, Value::Null) => Err(Fault::Value),
            (key, value) => Self::typed(key, value).ok_or(Fault::Value),
        }
    }

    /// `valueString`, and `_valueString` beside it.
    fn typed(key: &str, value: Value) -> Option<Self> {
        let (key, is_beside) = match key.strip_prefix('_') {
            Some(key) => (key, true),
            None => (key, false),
        };
        let info = match r4::type_named("Parameters.parameter")?.lookup(key) {
            Lookup::ChoiceKey { element_type, .. } => element_type.type_info(),
            _ => return None,
        };
        let is_fit = match info.is_primitive() && !is_beside {
            true => !value.is_object() && !value.is_array(),
            false => value.is_object() && is_beside == info.is_primitive(),
        };
        let (value, beside) = match is_beside {
            true => (None, Some(value)),
            false => (Some(value), None),
        };
        is_fit.then_some(Self::Typed {
            info,
            json: Json { value, beside },
        })
    }

    /// The JSON of an element that is of a type, as far as the type is known.
    pub(super) fn json(&self, info: Option<&'static TypeInfo>) -> Result<Json, Fault> {
        let value = match self {
            Self::Typed { json, .. } => return Ok(json.clone()),
            Self::Resource(resource) => resource.clone(),
            Self::Parts(parts) => {
                let mut object = Map::new();
                for (name, given) in parts {
                    let target = target::of(info, name, given)?;
                    let json = given.json(target.info)?;
                    change::put(&mut object, &target, json)?;
                }
                Value::Object(object)
            }
        };
        Ok(Json {
            value: Some(value),
            beside: None,
        })
    }
}

fn named(part: Value) -> Result<(String, Given), Fault> {
    let Value::Object(part) = part else {
        return Err(Fault::Value);
    };
    let name = part.get("name").and_then(numbers::text).ok_or(Fault::Value)?;
    Ok((name.to_owned(), Given::read(part)?))
}

/// A primitive and what stands beside it.
fn joined(one: Given, other: Given) -> Option<Given> {
    let (
        Given::Typed { info, json: one },
        Given::Typed {
            info: same,
            json: other,
        },
    ) = (one, other)
    else {
        return None;
    };
    let (value, beside) = (one.value.xor(other.value)?, one.beside.xor(other.beside)?);
    (info == same).then_some(Given::Typed {
        info,
        json: Json {
            value: Some(value),
            beside: Some(beside),
        },
    })
}
