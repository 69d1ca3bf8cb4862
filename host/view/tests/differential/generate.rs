//! Views, resources and texts that come of throws of dice.

use std::sync::Arc;

use lakefeed_view::{ColumnType, CompileOptions, OutputType, View, ViewDefinition};
use serde_json::{Map, Value, json};

/// Where choices come from.
pub(crate) enum Dice {
    /// Numbers that look random and are the same in every run; not from zero.
    Seed(u64),
    /// Bytes, one after the other; always the first choice once there are no more.
    Bytes(std::vec::IntoIter<u8>),
}

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        match self {
            Self::Seed(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                (*state >> 11) as usize % limit
            }
            Self::Bytes(bytes) => usize::from(bytes.next().unwrap_or(0)) % limit,
        }
    }

    pub(crate) fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }

    pub(crate) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const OF_PATIENT: &[&str] = &[
    "id",
    "getResourceKey()",
    "active",
    "gender",
    "birthDate",
    "birthDate.extension('http://a.example/x').value.ofType(string)",
    "meta.lastUpdated",
    "meta.profile.first()",
    "name.family",
    "name.family.first()",
    "name.first().family",
    "name.given",
    "name.given.first()",
    "name.given.join(' ')",
    "name.given.join()",
    "name.given.count()",
    "name.where(use = 'official').first().family",
    "name.where(use = 'official').given.join(', ')",
    "name.where(use = 'official' and family = 'Ä').exists()",
    "name.where(family.exists()).use",
    "name.where(given.first() = 'a').family",
    "name.where(use = 'usual').where(period.exists()).period.start",
    "name.period.start.first()",
    "telecom.exists()",
    "telecom.where(rank > 1).value.first()",
    "telecom.where(system = 'phone').empty()",
    "telecom.where(system = 'phone').first().value",
    "identifier.where(type.coding.where(code = 'MR').exists()).first().value",
    "extension('http://a.example/x').value.ofType(string).first()",
    "extension('http://a.example/y').extension('z').value.ofType(Coding).code.first()",
    "extension.value.ofType(decimal)",
    "managingOrganization.getReferenceKey(Organization)",
    "managingOrganization.reference",
    "generalPractitioner.first().getReferenceKey(Practitioner)",
    "generalPractitioner.getReferenceKey()",
    "deceased.ofType(boolean)",
    "deceased.ofType(dateTime)",
    "deceased.exists()",
    "multipleBirth.ofType(integer)",
    "contact.name.family.first()",
    "contact.telecom.where(system = 'phone').value.join('|')",
    "maritalStatus.coding.first().code",
    "gender = 'female'",
    "%rowIndex",
    "'fixed'",
    "name.given.exists() and active",
];
const OF_NAME: &[&str] = &[
    "family",
    "use",
    "$this.family",
    "given",
    "given.first()",
    "given.join('-')",
    "given.count()",
    "given.extension('http://a.example/x').value.ofType(string).first()",
    "period.start",
    "period.exists()",
    "%resource.id",
    "%resource.name.given.first()",
    "%rowIndex",
];
const OF_TELECOM: &[&str] = &[
    "system",
    "value",
    "rank",
    "period.start",
    "%rowIndex",
    "value.exists()",
    "rank + 1",
];
const OF_CONTACT: &[&str] = &[
    "name.family",
    "name.given.first()",
    "relationship.coding.code.first()",
    "telecom.value.join(' ')",
    "organization.getReferenceKey(Organization)",
];
const OF_TEXT: &[&str] = &["$this", "%rowIndex", "$this.length()", "$this.exists()"];

/// What may be iterated over below a patient, and what its items have.
const ITERATIONS: &[(&str, &[&str])] = &[
    ("name", OF_NAME),
    ("name.where(use = 'official').first()", OF_NAME),
    ("name.where(period.exists())", OF_NAME),
    ("contact.name", OF_NAME),
    ("telecom", OF_TELECOM),
    ("telecom.skip(1)", OF_TELECOM),
    ("contact.telecom", OF_TELECOM),
    ("contact", OF_CONTACT),
    ("name.given", OF_TEXT),
    ("meta.profile", OF_TEXT),
];

fn columns(dice: &mut Dice, paths: &[&str], number: &mut usize) -> Value {
    let column = |number: usize, dice: &mut Dice| json!({"name": format!("c{number}"), "path": dice.pick(paths), "collection": dice.one_in(3)});
    let count = 1 + dice.below(5);
    *number += count;
    (*number - count..*number)
        .map(|number| column(number, dice))
        .collect()
}

pub(crate) fn random_view(dice: &mut Dice) -> Value {
    let mut number = 0;
    let mut selects = vec![json!({"column": columns(dice, OF_PATIENT, &mut number)})];
    for _ in 0..dice.below(3) {
        let (path, paths) = ITERATIONS[dice.below(ITERATIONS.len())];
        let iteration = dice.pick(&["forEach", "forEachOrNull"]);
        let mut select = json!({iteration: path, "column": columns(dice, paths, &mut number)});
        if path == "contact" && dice.one_in(2) {
            let inner = json!({"forEachOrNull": "telecom", "column": columns(dice, OF_TELECOM, &mut number)});
            select["select"] = json!([inner]);
        }
        selects.push(select);
    }
    let mut view = json!({"resource": "Patient", "select": selects});
    if dice.one_in(4) {
        view["where"] = json!([{"path": dice.pick(&["active", "name.exists()", "gender = 'female'"])}]);
    }
    view
}

/// A view that compiles, with fast steps and without, and the types of its columns.
pub(crate) fn compiled(view: &Value, dice: &mut Dice) -> Option<([Arc<View>; 2], Vec<ColumnType>)> {
    let definition = ViewDefinition::parse(view.to_string().as_bytes()).unwrap();
    let compile = |fast_steps| {
        let options = CompileOptions {
            fast_steps,
            ..CompileOptions::default()
        };
        View::compile(&definition, &options).ok().map(Arc::new)
    };
    let views = [compile(true)?, compile(false)?];
    let mut types = views[0].default_types();
    let choices = [
        OutputType::Utf8,
        OutputType::Date32,
        OutputType::TimestampMicros,
        OutputType::Float64,
        OutputType::Int64,
    ];
    for column in &mut types {
        if dice.one_in(10) {
            column.output = choices[dice.below(choices.len())];
        }
    }
    Some((views, types))
}

const TEXTS: &[&str] = &[
    "a",
    "official",
    "usual",
    "Ä",
    "phone",
    "MR",
    "z",
    "http://a.example/x",
    "http://a.example/y",
    "Organization/o1",
    "Practitioner/d/_history/2",
    "2020-02-29",
    "2020-02",
    "2024-03-05T10:20:30.123+01:00",
    "with \"quotes\" and \\ and {brackets]",
    "line\nand № and 😀",
    "",
];

/// A value under a key: mostly what FHIR has there.
fn random_value(dice: &mut Dice, key: &str, depth: usize) -> Value {
    if dice.one_in(40) {
        return dice_of_anything(dice, depth);
    }
    let mut object = |keys: &[&str]| random_object(dice, keys, depth + 1);
    match key {
        "name" => object(&["use", "family", "given", "_given", "period"]),
        "telecom" => object(&["system", "value", "rank", "period"]),
        "contact" => object(&["name", "telecom", "relationship", "organization"]),
        "identifier" => object(&["type", "value"]),
        "type" | "relationship" | "maritalStatus" => object(&["coding"]),
        "coding" | "valueCoding" => object(&["code", "display"]),
        "period" => object(&["start"]),
        "meta" => object(&["lastUpdated", "profile"]),
        "_given" | "_birthDate" => object(&["extension"]),
        "extension" => object(&["url", "extension", "valueString", "valueCoding", "valueDecimal"]),
        "managingOrganization" | "generalPractitioner" | "organization" => object(&["reference"]),
        "active" | "deceasedBoolean" => Value::Bool(dice.one_in(2)),
        "rank" | "multipleBirthInteger" => json!(dice.below(4)),
        "valueDecimal" => json!(dice.below(1000) as f64 / 8.0),
        _ => json!(dice.pick(TEXTS)),
    }
}

fn dice_of_anything(dice: &mut Dice, depth: usize) -> Value {
    match dice.below(6) {
        0 => Value::Null,
        1 => json!(-1.5e3),
        2 => json!(true),
        3 => json!([]),
        4 if depth < 5 => random_object(dice, &["family", "unknown", "value"], depth + 1),
        _ => json!(dice.pick(TEXTS)),
    }
}

/// What FHIR has as a list.
const LISTS: &[&str] = &[
    "name",
    "given",
    "_given",
    "telecom",
    "contact",
    "identifier",
    "coding",
    "extension",
    "profile",
    "generalPractitioner",
    "relationship",
];

fn random_object(dice: &mut Dice, keys: &[&str], depth: usize) -> Value {
    let mut members = Map::new();
    if depth > 6 {
        return Value::Object(members);
    }
    for key in keys.iter().chain(&["unknown"]) {
        if dice.one_in(3) {
            continue;
        }
        let value = if LISTS.contains(key) != dice.one_in(30) {
            (0..dice.below(4))
                .map(|_| random_value(dice, key, depth))
                .collect()
        } else {
            random_value(dice, key, depth)
        };
        members.insert((*key).to_owned(), value);
    }
    Value::Object(members)
}

pub(crate) fn random_resource(dice: &mut Dice) -> Value {
    const KEYS: &[&str] = &[
        "id",
        "meta",
        "active",
        "name",
        "telecom",
        "gender",
        "birthDate",
        "_birthDate",
        "deceasedBoolean",
        "multipleBirthInteger",
        "identifier",
        "extension",
        "contact",
        "maritalStatus",
        "generalPractitioner",
        "managingOrganization",
    ];
    let mut resource = json!({"resourceType": if dice.one_in(30) { "Group" } else { "Patient" }});
    if let (Value::Object(all), Value::Object(members)) = (&mut resource, random_object(dice, KEYS, 0)) {
        all.extend(members);
    }
    resource
}

/// The same JSON with other blanks and other escapes.
pub(crate) fn rewritten(value: &Value, dice: &mut Dice, out: &mut String) {
    let blank = |dice: &mut Dice, out: &mut String| {
        if dice.one_in(8) {
            out.push_str(dice.pick(&[" ", "\n", "\t\r ", "                                        "]));
        }
    };
    blank(dice, out);
    match value {
        Value::String(text) => rewritten_text(text, dice, out),
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                rewritten(item, dice, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (number, (key, item)) in members.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                blank(dice, out);
                out.push_str(&format!("\"{key}\""));
                blank(dice, out);
                out.push(':');
                rewritten(item, dice, out);
            }
            blank(dice, out);
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
    blank(dice, out);
}

fn rewritten_text(text: &str, dice: &mut Dice, out: &mut String) {
    let escapes = dice.one_in(6);
    out.push('"');
    for sign in text.chars() {
        match sign {
            _ if escapes => {
                for unit in sign.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            '"' | '\\' => out.extend(['\\', sign]),
            '\n' => out.push_str("\\n"),
            sign => out.push(sign),
        }
    }
    out.push('"');
}
