//! The part of JSON Schema that plugins describe their parameters with.
//!
//! A schema is checked when its manifest is read: a keyword that is neither understood nor a mere annotation is
//! refused, so no constraint is ever skipped in silence (`validate` honours what is left). The part understood is what `schemars` derives for a
//! plain configuration struct, and what one writes by hand for a dozen parameters; `$ref` reaches `$defs` of the
//! same document only. Two markers of ours say what the host must know of a parameter: `x-lakefeed-secret` (only
//! a reference to a secret is accepted) and `x-lakefeed-access` (the value names something that `[access]` guards).

use serde::Serialize;
use serde_json::Value;

use super::validate::validate;

/// Marks a parameter that accepts only `{ "env": … }` or `{ "file": … }`.
pub(super) const SECRET: &str = "x-lakefeed-secret";
/// Marks a parameter whose value the host compares with `[access]`.
const ACCESS: &str = "x-lakefeed-access";
/// A schema that refers to itself this deeply would never end.
pub(super) const MAX_DEPTH: usize = 32;

const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "format",
    "readOnly",
];
const NUMBERS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];

/// A schema that this host understands whole.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Schema(Value);

/// Something wrong at a place: a parameter that does not fit, or a keyword that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A JSON pointer to the place; empty for the whole.
    pub path: String,
    /// What is wrong; it never repeats the value.
    pub message: String,
}

/// A parameter that the host must treat with care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Marker {
    /// The names of the properties that lead to it, outermost first.
    pub path: Vec<String>,
    /// Whether only a reference to a secret is accepted.
    pub secret: bool,
    /// What kind of access its value asks for, such as `local-path`, `url` or `databricks-host`.
    pub access: Option<String>,
}

impl Default for Schema {
    /// The schema of no parameters at all.
    fn default() -> Self {
        Schema(serde_json::json!({ "type": "object", "additionalProperties": false }))
    }
}

impl Schema {
    /// Takes a schema if every keyword in it is understood.
    ///
    /// # Errors
    ///
    /// The first keyword that is not, with its place.
    pub fn new(value: Value) -> Result<Schema, Problem> {
        understand(&value, "", &value)?;
        Ok(Schema(value))
    }

    /// The schema as JSON.
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    /// The names of the top-level properties, as ordered in the schema.
    pub fn properties(&self) -> Vec<&str> {
        self.0
            .get("properties")
            .and_then(Value::as_object)
            .map_or(Vec::new(), |all| all.keys().map(String::as_str).collect())
    }

    /// Everything about `value` that does not fit; empty if all is well.
    pub fn validate(&self, value: &Value) -> Vec<Problem> {
        validate(&self.0, value)
    }

    /// The parameters marked as secret or as asking for access.
    pub fn markers(&self) -> Vec<Marker> {
        let mut markers = Vec::new();
        collect_markers(&self.0, &self.0, &mut Vec::new(), &mut markers);
        markers
    }
}

pub(super) fn problem(path: &str, message: impl Into<String>) -> Problem {
    Problem {
        path: path.to_owned(),
        message: message.into(),
    }
}

/// Walks a schema and refuses what [`Check`] would not honour.
fn understand(schema: &Value, path: &str, root: &Value) -> Result<(), Problem> {
    let object = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(object) => object,
        _ => return Err(problem(path, "a schema is an object or a boolean")),
    };
    for (key, value) in object {
        let place = format!("{path}/{key}");
        match key.as_str() {
            "properties" | "$defs" => {
                let all = value
                    .as_object()
                    .ok_or_else(|| problem(&place, "expected an object of schemas"))?;
                for (name, schema) in all {
                    understand(schema, &format!("{place}/{name}"), root)?;
                }
            }
            "items" | "additionalProperties" => understand(value, &place, root)?,
            "anyOf" | "oneOf" | "allOf" => {
                let all = value
                    .as_array()
                    .ok_or_else(|| problem(&place, "expected a list of schemas"))?;
                for (index, schema) in all.iter().enumerate() {
                    understand(schema, &format!("{place}/{index}"), root)?;
                }
            }
            key => understand_leaf(key, value, &place, root)?,
        }
    }
    Ok(())
}

fn understand_leaf(key: &str, value: &Value, place: &str, root: &Value) -> Result<(), Problem> {
    let good = match key {
        "type" => strings(value).is_some_and(|names| names.iter().all(|name| type_test(name).is_some())),
        "enum" => value.is_array(),
        "const" => true,
        "required" => value.is_array() && strings(value).is_some(),
        "pattern" => value.as_str().is_some_and(|text| regex::Regex::new(text).is_ok()),
        "$ref" => value
            .as_str()
            .is_some_and(|reference| resolve(root, reference).is_some()),
        SECRET => value.is_boolean(),
        ACCESS => value.is_string(),
        key if NUMBERS.contains(&key) => value.is_number(),
        key if ANNOTATIONS.contains(&key) || key.starts_with("x-") => true,
        key => return Err(problem(place, format!("the keyword `{key}` is not understood"))),
    };
    if good {
        Ok(())
    } else {
        Err(problem(place, format!("the value of `{key}` is not understood")))
    }
}

/// One string, or a list of nothing but strings.
pub(super) fn strings(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(all) => all.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

pub(super) fn type_test(name: &str) -> Option<fn(&Value) -> bool> {
    Some(match name {
        "null" => Value::is_null,
        "boolean" => Value::is_boolean,
        "string" => Value::is_string,
        "number" => Value::is_number,
        "integer" => {
            |value| value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        "object" => Value::is_object,
        "array" => Value::is_array,
        _ => return None,
    })
}

fn collect_markers(root: &Value, schema: &Value, path: &mut Vec<String>, markers: &mut Vec<Marker>) {
    if path.len() > MAX_DEPTH {
        return;
    }
    let secret = schema.get(SECRET) == Some(&Value::Bool(true));
    let access = schema.get(ACCESS).and_then(Value::as_str).map(str::to_owned);
    if secret || access.is_some() {
        markers.push(Marker {
            path: path.clone(),
            secret,
            access,
        });
    }
    if let Some(target) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|name| resolve(root, name))
        && !path.is_empty()
    {
        collect_markers(root, target, path, markers);
    }
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        path.push(name.clone());
        collect_markers(root, property, path, markers);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The problems, one a line, as `path message`.
    fn check(schema: Value, value: Value) -> String {
        let problems = Schema::new(schema).unwrap().validate(&value);
        problems
            .iter()
            .map(|problem| format!("{} {}", problem.path, problem.message))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn each_keyword_refuses_what_breaks_it_and_names_the_place() {
        for (schema, value, expected) in [
            (json!({"type": "string"}), json!(1), " must be of type string"),
            (
                json!({"type": ["integer", "null"]}),
                json!(1.5),
                " must be of type integer or null",
            ),
            (
                json!({"enum": ["a", "b"]}),
                json!("c"),
                " must be one of \"a\", \"b\"",
            ),
            (json!({"const": 1}), json!(2), " must be 1"),
            (json!({"minimum": 2}), json!(1), " must be at least 2"),
            (json!({"exclusiveMaximum": 2}), json!(2), " must be less than 2"),
            (
                json!({"minLength": 2}),
                json!("é"),
                " must have at least 2 characters",
            ),
            (
                json!({"maxItems": 1}),
                json!([1, 2]),
                " must have at most 1 items",
            ),
            (json!({"pattern": "^a+$"}), json!("b"), " must match ^a+$"),
            (json!({"required": ["a"]}), json!({}), "/a is required"),
            (
                json!({"items": {"type": "null"}}),
                json!([null, 1]),
                "/1 must be of type null",
            ),
            (
                json!({"additionalProperties": {"type": "null"}}),
                json!({"x": 1}),
                "/x must be of type null",
            ),
            (
                json!({"oneOf": [{"const": "a"}, {"const": "b"}]}),
                json!("c"),
                " must be one of \"a\", \"b\"",
            ),
            (
                json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
                json!(1),
                " has none of the forms it may take",
            ),
            (
                json!({"allOf": [{"minimum": 3}]}),
                json!(1),
                " must be at least 3",
            ),
            (
                json!({"$ref": "#/$defs/n", "$defs": {"n": {"minimum": 3}}}),
                json!(1),
                " must be at least 3",
            ),
            (json!(false), json!(1), " is not allowed"),
        ] {
            assert_eq!(check(schema.clone(), value), expected, "{schema}");
        }
    }

    #[test]
    fn what_fits_gives_no_problem() {
        let schema = json!({
            "type": "object", "required": ["path"], "additionalProperties": false,
            "properties": {"path": {"type": "string"}, "size": {"type": ["integer", "null"], "minimum": 1, "format": "uint32"}}
        });
        assert_eq!(check(schema.clone(), json!({"path": "x", "size": 3})), "");
        assert_eq!(check(schema, json!({"path": "x", "size": null})), "");
    }

    #[test]
    fn an_unknown_parameter_gets_a_suggestion() {
        let schema = json!({"properties": {"targetFileSizeMb": {}}, "additionalProperties": false});
        assert_eq!(
            check(schema, json!({"targetFilesizeMB": 1})),
            "/targetFilesizeMB is unknown, did you mean `targetFileSizeMb`?"
        );
    }

    #[test]
    fn a_secret_is_accepted_only_as_a_reference_and_never_repeated() {
        let schema = json!({"properties": {"key": {"type": "string", "x-lakefeed-secret": true}}});
        for bad in [
            json!("hunter2"),
            json!({"env": ""}),
            json!({"value": "hunter2"}),
            json!({"env": "A", "file": "b"}),
        ] {
            let text = check(schema.clone(), json!({ "key": bad }));
            assert!(
                text.starts_with("/key is a secret") && !text.contains("hunter2"),
                "{text}"
            );
        }
        assert_eq!(check(schema.clone(), json!({"key": {"env": "A"}})), "");
        assert_eq!(check(schema, json!({"key": {"file": "/run/secrets/a"}})), "");
    }

    #[test]
    fn markers_tell_the_secrets_and_what_access_guards() {
        let schema = Schema::new(json!({"properties": {
            "folder": {"type": "string", "x-lakefeed-access": "local-path"},
            "store": {"properties": {"key": {"x-lakefeed-secret": true}}},
            "plain": {}
        }}));
        assert_eq!(
            schema.unwrap().markers(),
            [
                Marker {
                    path: vec!["folder".into()],
                    secret: false,
                    access: Some("local-path".into())
                },
                Marker {
                    path: vec!["store".into(), "key".into()],
                    secret: true,
                    access: None
                },
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        for (schema, place) in [
            (json!({"properties": {"a": {"not": {}}}}), "/properties/a/not"),
            (json!({"type": "text"}), "/type"),
            (json!({"pattern": "("}), "/pattern"),
            (json!({"$ref": "https://example.org/x"}), "/$ref"),
            (json!({"$ref": "#/$defs/none"}), "/$ref"),
            (json!({"items": 3}), "/items"),
        ] {
            assert_eq!(Schema::new(schema.clone()).unwrap_err().path, place, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#"});
        assert!(check(schema, json!(1)).contains("nested too deeply"));
    }
}
