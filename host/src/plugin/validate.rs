//! Holding a value against a [`Schema`](super::schema::Schema).

use serde_json::{Map, Value};

use super::manifest::closest;
use super::schema::{MAX_DEPTH, Problem, SECRET, problem, resolve, strings, type_test};

/// Everything about `value` that does not fit the schema `root`.
pub(super) fn validate(root: &Value, value: &Value) -> Vec<Problem> {
    let mut check = Check {
        root,
        problems: Vec::new(),
    };
    check.value(root, value, "", 0);
    check.problems
}

/// Whether a number keeps a limit.
type Test = fn(f64, f64) -> bool;

/// One validation: the document that `$ref` looks into, and what was found so far.
struct Check<'a> {
    root: &'a Value,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, path: &str, depth: usize) {
        let object = match schema {
            Value::Bool(false) => return self.report(path, "is not allowed"),
            Value::Object(object) => object,
            _ => return,
        };
        if depth > MAX_DEPTH {
            return self.report(path, "is nested too deeply");
        }
        if object.get(SECRET) == Some(&Value::Bool(true)) {
            return self.secret(value, path);
        }
        if let Some(target) = object
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| resolve(self.root, name))
        {
            self.value(target, value, path, depth + 1);
        }
        if !self.kind(object, value, path) {
            return;
        }
        self.choices(object, value, path, depth);
        match value {
            Value::Object(members) => self.members(object, members, path, depth),
            Value::Array(items) => self.items(object, items, path, depth),
            Value::String(text) => self.text(object, text, path),
            Value::Number(number) => self.number(object, number.as_f64().unwrap_or(f64::NAN), path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn report(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(problem(path, message));
    }

    /// A secret is a reference, so that it stands in no configuration, resource or listing.
    fn secret(&mut self, value: &Value, path: &str) {
        let reference = value
            .as_object()
            .filter(|object| object.len() == 1)
            .and_then(|object| object.iter().next());
        let good = reference.is_some_and(|(key, name)| {
            matches!(key.as_str(), "env" | "file") && name.as_str().is_some_and(|name| !name.is_empty())
        });
        if !good {
            self.report(
                path,
                "is a secret: write { \"env\": \"NAME\" } or { \"file\": \"PATH\" }, never the value",
            );
        }
    }

    /// Type, enum and const; `false` if nothing further is worth saying.
    fn kind(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) -> bool {
        if let Some(names) = schema.get("type").and_then(strings)
            && !names
                .iter()
                .any(|name| type_test(name).is_some_and(|test| test(value)))
        {
            self.report(path, format!("must be of type {}", names.join(" or ")));
            return false;
        }
        if let Some(Value::Array(allowed)) = schema.get("enum")
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            self.report(path, format!("must be one of {}", allowed.join(", ")));
            return false;
        }
        if let Some(only) = schema.get("const")
            && only != value
        {
            self.report(path, format!("must be {only}"));
            return false;
        }
        true
    }

    fn choices(&mut self, schema: &Map<String, Value>, value: &Value, path: &str, depth: usize) {
        for all in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.value(all, value, path, depth + 1);
        }
        for (key, exactly_one) in [("anyOf", false), ("oneOf", true)] {
            let Some(choices) = schema.get(key).and_then(Value::as_array) else {
                continue;
            };
            let mut attempts: Vec<Vec<Problem>> = choices
                .iter()
                .map(|choice| self.attempt(choice, value, path, depth))
                .collect();
            let fitting = attempts.iter().filter(|problems| problems.is_empty()).count();
            match (fitting, exactly_one) {
                (0, _) if attempts.len() == 1 => self.problems.append(&mut attempts[0]),
                (0, _) => self.report(path, choice_message(choices)),
                (2.., true) => self.report(path, "fits more than one of the forms it may take"),
                _ => {}
            }
        }
    }

    fn attempt(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Vec<Problem> {
        let mut check = Check {
            root: self.root,
            problems: Vec::new(),
        };
        check.value(schema, value, path, depth + 1);
        check.problems
    }

    fn members(
        &mut self,
        schema: &Map<String, Value>,
        members: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) {
        for name in schema.get("required").and_then(strings).unwrap_or_default() {
            if !members.contains_key(name) {
                self.report(&format!("{path}/{name}"), "is required");
            }
        }
        let none = Map::new();
        let known = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        for (name, value) in members {
            let place = format!("{path}/{name}");
            match (known.get(name), schema.get("additionalProperties")) {
                (Some(schema), _) => self.value(schema, value, &place, depth + 1),
                (None, Some(Value::Bool(false))) => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    let hint = closest(name, &names)
                        .map(|near| format!(", did you mean `{near}`?"))
                        .unwrap_or_default();
                    self.report(&place, format!("is unknown{hint}"));
                }
                (None, Some(schema)) => self.value(schema, value, &place, depth + 1),
                (None, None) => {}
            }
        }
    }

    fn items(&mut self, schema: &Map<String, Value>, items: &[Value], path: &str, depth: usize) {
        self.length(schema, ("minItems", "maxItems"), items.len(), "items", path);
        if let Some(each) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.value(each, item, &format!("{path}/{index}"), depth + 1);
            }
        }
    }

    fn text(&mut self, schema: &Map<String, Value>, text: &str, path: &str) {
        self.length(
            schema,
            ("minLength", "maxLength"),
            text.chars().count(),
            "characters",
            path,
        );
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
        {
            self.report(path, format!("must match {pattern}"));
        }
    }

    fn length(
        &mut self,
        schema: &Map<String, Value>,
        keys: (&str, &str),
        length: usize,
        unit: &str,
        path: &str,
    ) {
        let limit = |key: &str| {
            schema
                .get(key)
                .and_then(Value::as_u64)
                .and_then(|limit| usize::try_from(limit).ok())
        };
        if let Some(least) = limit(keys.0).filter(|least| length < *least) {
            self.report(path, format!("must have at least {least} {unit}"));
        }
        if let Some(most) = limit(keys.1).filter(|most| length > *most) {
            self.report(path, format!("must have at most {most} {unit}"));
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, number: f64, path: &str) {
        let tests: [(&str, Test, &str); 4] = [
            ("minimum", |number, limit| number >= limit, "at least"),
            ("maximum", |number, limit| number <= limit, "at most"),
            ("exclusiveMinimum", |number, limit| number > limit, "more than"),
            ("exclusiveMaximum", |number, limit| number < limit, "less than"),
        ];
        for (key, test, words) in tests {
            if let Some(limit) = schema.get(key)
                && !limit.as_f64().is_some_and(|limit| test(number, limit))
            {
                self.report(path, format!("must be {words} {limit}"));
            }
        }
    }
}

/// Names the choices if each is one word, as `schemars` writes an enum with documented variants.
fn choice_message(choices: &[Value]) -> String {
    let words: Option<Vec<String>> = choices
        .iter()
        .map(|choice| choice.get("const").map(Value::to_string))
        .collect();
    match words {
        Some(words) => format!("must be one of {}", words.join(", ")),
        None => "has none of the forms it may take".to_owned(),
    }
}
