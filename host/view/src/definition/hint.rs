//! What to write instead of a member that a definition does not have, or of a value of the wrong kind.

use serde_json::Value;

use crate::suggest;

/// Members of a select that were written beside it instead.
pub(super) const OF_SELECT: [&str; 6] = [
    "column",
    "columns",
    "forEach",
    "forEachOrNull",
    "repeat",
    "unionAll",
];

/// The remedy for a member `key` where only `known` ones belong.
pub(super) fn instead_of_member(key: &str, known: &[&str]) -> String {
    let is_select = known.contains(&"unionAll");
    let is_column = known.contains(&"collection");
    let plain = match key {
        "where" if is_select || is_column => {
            "write it beside the outermost `select`, or filter in the path: `name.where(use = 'official')`"
        }
        "path" | "name" | "type" | "collection" | "tag" if is_select => {
            "write it into an entry of `column` in this select"
        }
        "column" | "select" | "unionAll" | "forEach" | "forEachOrNull" | "repeat" if is_column => {
            "write it into the select around the column"
        }
        "constant" | "resource" if is_select || is_column => "write it beside the outermost `select`",
        "expression" | "expr" | "fhirpath" | "value" if is_column => "did you mean `path`",
        "alias" | "title" | "as" if is_column => "did you mean `name`",
        "union" | "unions" if is_select => "did you mean `unionAll`",
        _ => return nearest_or_all(key, known),
    };
    plain.to_owned()
}

fn nearest_or_all(key: &str, known: &[&str]) -> String {
    match suggest::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`"),
        None => format!(
            "remove it, or write one of {}",
            suggest::list(known.iter().copied())
        ),
    }
}

/// The remedy for a value of the wrong kind, at a place such as `ViewDefinition.where[0]`.
pub(super) fn instead_of_value(place: &str, wanted: &str, found: &Value) -> String {
    let quoted = matches!(found, Value::String(_));
    match wanted {
        "a list" => "put `[` and `]` around it".to_owned(),
        "an object" => format!("write it as {}", example(place)),
        "true or false" if quoted => "write it without quotes".to_owned(),
        "a FHIR integer" | "a FHIR decimal" | "a FHIR positiveInt" | "a FHIR unsignedInt"
        | "a FHIR boolean"
            if quoted =>
        {
            "write it without quotes".to_owned()
        }
        "a FHIRPath string" => "write the path in quotes, such as `\"name.family\"`".to_owned(),
        _ if matches!(found, Value::Number(_) | Value::Bool(_)) => "put it in quotes".to_owned(),
        _ => format!("write {wanted}"),
    }
}

/// How an object at a place looks.
fn example(place: &str) -> &'static str {
    let last = place.rsplit('.').next().unwrap_or(place);
    match last.split('[').next().unwrap_or(last) {
        "where" => r#"`{"path": "active = true"}`"#,
        "column" => r#"`{"name": "id", "path": "id"}`"#,
        "constant" => r#"`{"name": "use", "valueString": "official"}`"#,
        "tag" => r#"`{"name": "ansi/type", "value": "VARCHAR"}`"#,
        _ => r#"`{"column": [{"name": "id", "path": "id"}]}`"#,
    }
}
