//! A destination's parameters: how they are written, and the ones that are the host's own.
//!
//! Over HTTP a parameter is `{ "name": …, "value[x]": … }` with one type that fits it; in the configuration it is
//! a key with a TOML value. Both become a [`Given`], which remembers where it was written.

use serde_json::{Map, Value, json};

use crate::config::SecretReference;
use crate::issue::{Issue, IssueCode};

/// The type of a parameter, by the FHIR type that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Unsigned,
    Boolean,
    /// A plugin's name with a version range: parts `plugin`, `version`, `isolation`.
    Plugin,
}

/// A parameter that the host itself understands.
pub(super) struct HostParameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// Every parameter of the host's own. What a plugin declares in its manifest comes on top.
pub(super) const HOST_PARAMETERS: [HostParameter; 20] = [
    of("viewDefinition", Kind::Text),
    of("batchSize", Kind::Unsigned),
    of("sendIntervalMs", Kind::Unsigned),
    of("writeMode", Kind::Text),
    of("tableName", Kind::Text),
    of("tablePath", Kind::Text),
    of("skipInitialExport", Kind::Boolean),
    of("initialExportChunkCount", Kind::Unsigned),
    of("autoEvolve", Kind::Boolean),
    of("onLeave", Kind::Text),
    of("partialDates", Kind::Text),
    of("maxBatchBytes", Kind::Unsigned),
    of("maxConsecutiveRefusals", Kind::Unsigned),
    of("callTimeoutMs", Kind::Unsigned),
    of("writer", Kind::Plugin),
    of("admin", Kind::Plugin),
    of("merge", Kind::Plugin),
    of("credentials", Kind::Plugin),
    of("stager", Kind::Plugin),
    of("mapper", Kind::Plugin),
];

const fn of(name: &'static str, kind: Kind) -> HostParameter {
    HostParameter { name, kind }
}

/// The host's parameter of a name.
pub(super) fn host_parameter(name: &str) -> Option<&'static HostParameter> {
    HOST_PARAMETERS.iter().find(|parameter| parameter.name == name)
}

/// A parameter as it was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) name: String,
    pub(super) value: Value,
    /// Where it was written: `AidboxTopicDestination.parameter[2].value` or `destination[0].batchSize`.
    pub(super) place: String,
    /// Whether the value is a reference to a secret by name.
    pub(super) is_secret_name: bool,
}

const SECRET_REFERENCE: &str = "http://health-samurai.io/fhir/secret-reference";
const ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Reads the `parameter` list of a FHIR destination.
pub(super) fn read_all(resource: &Value, issues: &mut Vec<Issue>) -> Vec<Given> {
    let root = "AidboxTopicDestination.parameter";
    let list = match resource.get("parameter") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        None | Some(Value::Array(_)) => {
            issues.push(Issue::new(IssueCode::Required, root, "`parameter` is required"));
            return Vec::new();
        }
        Some(_) => {
            issues.push(Issue::new(
                IssueCode::Structure,
                root,
                "`parameter` must be a list",
            ));
            return Vec::new();
        }
    };
    let mut all: Vec<Given> = Vec::new();
    for (index, written) in list.iter().enumerate() {
        let place = format!("{root}[{index}]");
        match read(written, &place) {
            Ok(given) if all.iter().any(|other| other.name == given.name) => {
                let text = format!("`{}` is given twice; keep one", given.name);
                issues.push(Issue::new(IssueCode::Value, place, text));
            }
            Ok(given) => all.push(given),
            Err(issue) => issues.push(issue),
        }
    }
    all
}

fn read(written: &Value, place: &str) -> Result<Given, Issue> {
    let refuse = |code, text: String| Err(Issue::new(code, place, text));
    let Some(name) = written.get("name").and_then(Value::as_str) else {
        return refuse(IssueCode::Required, "a parameter has a `name`".to_owned());
    };
    if let Some(parts) = written.get("part") {
        return read_parts(name, parts, place);
    }
    let values: Vec<(&String, &Value)> = written
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with("value"))
        .collect();
    let given = |value: Value, secret| Given {
        name: name.to_owned(),
        value,
        place: format!("{place}.value"),
        is_secret_name: secret,
    };
    match values.as_slice() {
        [(key, value)] => fit(name, key, value)
            .map(|value| given(value, false))
            .or_else(|text| refuse(IssueCode::Value, text)),
        [] => match secret_name(written) {
            Some(secret) => Ok(given(secret.into(), true)),
            None => refuse(IssueCode::Required, format!("`{name}` has no value[x]")),
        },
        _ => refuse(
            IssueCode::Structure,
            format!("`{name}` has several values; keep one"),
        ),
    }
}

/// Checks that `value[x]` has a type that the parameter takes. What is no parameter of the host's own may have any
/// primitive type here; its plugin's schema says more.
fn fit(name: &str, key: &str, value: &Value) -> Result<Value, String> {
    let type_name = key.trim_start_matches("value");
    let is_text =
        matches!(type_name, "String" | "Uri" | "Url" | "Canonical" | "Code" | "Id") && value.is_string();
    let is_unsigned = matches!(type_name, "UnsignedInt" | "PositiveInt" | "Integer") && value.is_u64();
    let is_boolean = type_name == "Boolean" && value.is_boolean();
    let (fits, wanted) = match host_parameter(name).map(|parameter| parameter.kind) {
        Some(Kind::Text) => (type_name == "String" && is_text, "valueString with a string"),
        Some(Kind::Unsigned) => (is_unsigned, "valueUnsignedInt with a number of 0 or more"),
        Some(Kind::Boolean) => (is_boolean, "valueBoolean with true or false"),
        Some(Kind::Plugin) => (
            type_name == "String" && is_text,
            "valueString with a plugin's name, or parts",
        ),
        None => (
            is_text || is_unsigned || is_boolean || value.is_number(),
            "a value[x] of a primitive type",
        ),
    };
    if fits {
        Ok(value.clone())
    } else {
        Err(format!("`{name}` takes {wanted}; `{key}` does not fit"))
    }
}

/// `part` with `plugin`, `version`, `isolation`, as one object.
fn read_parts(name: &str, parts: &Value, place: &str) -> Result<Given, Issue> {
    let is_plugin = host_parameter(name).is_some_and(|parameter| parameter.kind == Kind::Plugin);
    let Some(parts) = parts.as_array().filter(|_| is_plugin) else {
        let text = format!("`{name}` has no parts; give a value[x]");
        return Err(Issue::new(IssueCode::Structure, place, text));
    };
    let pair = |part: &Value| {
        Some((
            part["name"].as_str()?.to_owned(),
            part["valueString"].as_str()?.into(),
        ))
    };
    match parts.iter().map(pair).collect::<Option<Map<String, Value>>>() {
        Some(value) => {
            let (name, place) = (name.to_owned(), format!("{place}.part"));
            Ok(Given {
                name,
                value: Value::Object(value),
                place,
                is_secret_name: false,
            })
        }
        None => {
            let text = format!("every part of `{name}` has a `name` and a valueString");
            Err(Issue::new(IssueCode::Structure, place, text))
        }
    }
}

/// The name in a secret reference: `_value[x]` with the extension that says so.
fn secret_name(written: &Value) -> Option<String> {
    let (_, shadow) = written
        .as_object()?
        .iter()
        .find(|(key, _)| key.starts_with("_value"))?;
    let reference = shadow["extension"]
        .as_array()?
        .iter()
        .find(|extension| extension["url"] == SECRET_REFERENCE)?;
    reference["valueString"].as_str().map(str::to_owned)
}

/// A declared destination's keys, each a parameter, but for the resource's own.
pub(super) fn declared(table: &Map<String, Value>, place: &str) -> Vec<Given> {
    let is_parameter = |name: &str| !matches!(name, "id" | "topic" | "kind");
    table
        .iter()
        .filter(|(name, _)| is_parameter(name))
        .map(|(name, value)| Given {
            name: name.clone(),
            value: value.clone(),
            place: format!("{place}.{name}"),
            is_secret_name: false,
        })
        .collect()
}

/// Checks the TOML value of one of the host's own parameters.
pub(super) fn fit_declared(given: &Given) -> Result<(), Issue> {
    let Some(parameter) = host_parameter(&given.name) else {
        return Ok(());
    };
    let (fits, wanted) = match parameter.kind {
        Kind::Text => (given.value.is_string(), "a string"),
        Kind::Unsigned => (given.value.is_u64(), "a number of 0 or more"),
        Kind::Boolean => (given.value.is_boolean(), "true or false"),
        Kind::Plugin => (
            given.value.is_string() || given.value.is_object(),
            "{ plugin = \"…\", version = \"…\" }",
        ),
    };
    if fits {
        return Ok(());
    }
    Err(Issue::new(
        IssueCode::Value,
        given.place.clone(),
        format!("`{}` takes {wanted}", given.name),
    ))
}

/// The FHIR form of a declared parameter; a reference to a secret is masked.
pub(super) fn to_fhir(name: &str, value: &Value) -> Value {
    match value {
        Value::Bool(_) => json!({ "name": name, "valueBoolean": value }),
        Value::Number(number) if number.is_u64() => json!({ "name": name, "valueUnsignedInt": value }),
        Value::Number(_) => json!({ "name": name, "valueDecimal": value }),
        Value::Object(parts) if parts.contains_key("plugin") => {
            let parts: Vec<Value> = parts
                .iter()
                .map(|(name, value)| json!({ "name": name, "valueString": value }))
                .collect();
            json!({ "name": name, "part": parts })
        }
        Value::Object(_) => json!({ "name": name, "_valueString": { "extension": [
            { "url": ABSENT_REASON, "valueCode": "masked" } ] } }),
        other => {
            json!({ "name": name, "valueString": other.as_str().map_or_else(|| other.to_string(), str::to_owned) })
        }
    }
}

/// The JSON by which an instance's configuration refers to a secret.
pub(super) fn secret_json(reference: &SecretReference) -> Value {
    match reference {
        SecretReference::Env(name) => json!({ "env": name }),
        SecretReference::File(path) => json!({ "file": path }),
    }
}
