//! `GET /openapi.json`: every route with what it takes and every status that it answers, in OpenAPI 3.1.
//!
//! The routes stand in `operations`; here they are written out. Resources are described no further than that they
//! are JSON objects of their type: what a type's elements are is FHIR's to say.

use axum::http::StatusCode;
use axum::response::Response;
use lakefeed_view::r4;
use serde_json::{Map, Value, json};

use crate::intake::OWN_TYPES;

use super::ask::Ask;
use super::{App, respond};

mod operations;

use operations::{ANYWHERE, Gives, OPERATIONS, Operation, Takes, WRITES};

/// The types with paths of their own in the document.
const APART: &str = "AidboxTopicDestination";

/// The document.
pub(super) fn openapi(app: &App, ask: &Ask) -> Response {
    respond::typed(
        StatusCode::OK,
        "application/json",
        document(&ask.base, app.sql_tables.is_some()).to_string(),
    )
}

fn document(base: &str, has_sql_views: bool) -> Value {
    let mut paths = Map::new();
    for operation in served(has_sql_views) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "lakefeed",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Stores FHIR changes and keeps lakehouse tables in step with them.",
        },
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": schemas(), "parameters": parameters()},
    })
}

/// What a host answers: one without views for SQL users does not show or take them away.
fn served(has_sql_views: bool) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(move |operation| {
        let is_about_sql_views = operation.path.ends_with("$materialize") && operation.method != "post";
        has_sql_views || !is_about_sql_views
    })
}

/// The method and path of each operation.
#[cfg(test)]
pub(super) fn documented() -> impl Iterator<Item = (&'static str, &'static str)> {
    OPERATIONS
        .iter()
        .map(|operation| (operation.method, operation.path))
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "responses": responses(operation),
    });
    let mut parameters: Vec<Value> = path_parameters(operation.path);
    parameters.extend(operation.query.iter().map(|(name, schema, text)| {
        json!({
            "name": name, "in": "query", "description": text,
            "schema": {"$ref": format!("#/components/schemas/{schema}")},
        })
    }));
    parameters.extend(operation.headers.iter().map(|(name, text)| {
        json!({"name": name, "in": "header", "description": text, "schema": {"type": "string"}})
    }));
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = body(operation) {
        described["requestBody"] = body;
    }
    described
}

/// A method and the words of its path: `get_fhir_type_id`.
fn operation_id(operation: &Operation) -> String {
    let words = operation
        .path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    std::iter::once(operation.method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

fn path_parameters(path: &str) -> Vec<Value> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}))
        .collect()
}

fn body(operation: &Operation) -> Option<Value> {
    let (media_types, schema): (&[&str], &str) = match operation.takes {
        Takes::Nothing => return None,
        Takes::Resource => (&["application/fhir+json", "application/json"], "Resource"),
        Takes::Destination => (&["application/fhir+json", "application/json"], "Destination"),
        Takes::Bundle => (&["application/fhir+json", "application/json"], "Bundle"),
        Takes::Parameters => (&["application/fhir+json", "application/json"], "Parameters"),
        Takes::Patch => return Some(patch_body()),
        Takes::Form => (&["application/x-www-form-urlencoded"], "Form"),
        Takes::Load => return Some(load_body()),
        Takes::Medplum => (&["application/fhir+json"], "Object"),
        Takes::Token => (
            &["application/x-www-form-urlencoded", "application/json"],
            "TokenRequest",
        ),
    };
    Some(json!({"required": true, "content": content(media_types, schema)}))
}

fn patch_body() -> Value {
    json!({"required": true, "content": {
        "application/json-patch+json": {"schema": reference("JsonPatch")},
        "application/merge-patch+json": {"schema": reference("Object")},
        "application/fhir+json": {"schema": reference("Parameters")},
    }})
}

fn load_body() -> Value {
    json!({"required": true, "content": {
        "application/json": {"schema": reference("Object")},
        "application/fhir+ndjson": {"schema": {"type": "string"}},
    }})
}

fn content(media_types: &[&str], schema: &str) -> Value {
    let entry = |media_type: &&str| ((*media_type).to_owned(), json!({"schema": reference(schema)}));
    Value::Object(media_types.iter().map(entry).collect())
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    for (status, gives) in operation.answers {
        responses.insert(status.to_string(), response(*gives));
    }
    let writes = match operation.takes {
        Takes::Nothing if operation.method == "get" && !operation.path.ends_with("$run") => &[][..],
        _ => WRITES,
    };
    for status in ANYWHERE.iter().chain(writes) {
        responses
            .entry(status.to_string())
            .or_insert_with(|| response(Gives::Outcome));
    }
    Value::Object(responses)
}

fn response(gives: Gives) -> Value {
    let (description, content) = match gives {
        Gives::Nothing => return json!({"description": "no content"}),
        Gives::Resource => ("a resource", fhir("Resource")),
        Gives::Bundle => ("a Bundle", fhir("Bundle")),
        Gives::Parameters => ("a Parameters resource", fhir("Parameters")),
        Gives::Outcome => (
            "an OperationOutcome that says what is wrong",
            fhir("OperationOutcome"),
        ),
        Gives::Json => (
            "JSON",
            content(&["application/json", "application/health+json"], "Object"),
        ),
        Gives::Token => ("a token", content(&["application/json"], "Token")),
        Gives::NoToken => ("what is wrong, as OAuth says it", no_token()),
        Gives::Rows => ("rows, or a Binary that holds them", rows()),
        Gives::Text(media_type) => ("a text", json!({(media_type): {"schema": {"type": "string"}}})),
    };
    json!({"description": description, "content": content})
}

fn fhir(schema: &str) -> Value {
    content(&["application/fhir+json", "application/json"], schema)
}

/// A request that does not get so far as to be read is refused as everywhere.
fn no_token() -> Value {
    json!({
        "application/json": {"schema": reference("TokenError")},
        "application/fhir+json": {"schema": reference("OperationOutcome")},
    })
}

fn rows() -> Value {
    json!({
        "application/fhir+json": {"schema": reference("Resource")},
        "application/json": {"schema": {}},
        "application/ndjson": {"schema": {"type": "string"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/fhir+ndjson": {"schema": {"type": "string"}},
        "application/vnd.apache.parquet": {"schema": {"type": "string"}},
        "text/csv": {"schema": {"type": "string"}},
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn typed(name: &str) -> Value {
    json!({
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"const": name}},
    })
}

fn schemas() -> Value {
    let outcome = json!({
        "type": "object",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"const": "OperationOutcome"},
            "issue": {"type": "array", "minItems": 1, "items": {
                "type": "object",
                "required": ["severity", "code"],
                "properties": {
                    "severity": {"enum": ["fatal", "error", "warning", "information"]},
                    "code": {"type": "string"},
                    "diagnostics": {"type": "string"},
                    "expression": {"type": "array", "items": {"type": "string"}},
                },
            }},
        },
    });
    let [request, token, error] = token_schemas();
    json!({
        "Object": {"type": "object"},
        "Resource": {
            "type": "object",
            "required": ["resourceType"],
            "properties": {"resourceType": {"type": "string"}},
        },
        "Bundle": typed("Bundle"),
        "Destination": typed(APART),
        "Parameters": typed("Parameters"),
        "OperationOutcome": outcome,
        "JsonPatch": {"type": "array", "items": {
            "type": "object",
            "required": ["op", "path"],
            "properties": {
                "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
                "path": {"type": "string"},
            },
        }},
        "Form": {"type": "object", "additionalProperties": {"type": "string"}},
        "TokenRequest": request,
        "Token": token,
        "TokenError": error,
        "Text": {"type": "string"},
        "Count": {"type": "integer", "minimum": 0},
        "Flag": {"type": "boolean"},
    })
}

/// A request for a token, its answer, and its refusal.
fn token_schemas() -> [Value; 3] {
    [
        json!({
            "type": "object",
            "required": ["grant_type"],
            "properties": {
                "grant_type": {"const": "client_credentials"},
                "client_id": {"type": "string"},
                "client_secret": {"type": "string"},
            },
        }),
        json!({
            "type": "object",
            "required": ["token_type", "access_token", "expires_in"],
            "properties": {
                "token_type": {"const": "Bearer"},
                "access_token": {"type": "string"},
                "expires_in": {"type": "integer"},
            },
        }),
        json!({
            "type": "object",
            "required": ["error"],
            "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
        }),
    ]
}

fn parameters() -> Value {
    let types: Vec<&str> = r4::resource_types()
        .map(|info| info.name())
        .chain(OWN_TYPES)
        .filter(|name| *name != APART)
        .collect();
    let path =
        |name: &str, schema: Value| json!({"name": name, "in": "path", "required": true, "schema": schema});
    json!({
        "type": path("type", json!({"type": "string", "enum": types})),
        "id": path("id", json!({"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"})),
        "version": path("version", json!({"type": "string", "pattern": "^[0-9]{1,18}$"})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
        let document = document("http://h", true);
        let text = document.to_string();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap_or_default();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let mut names: Vec<String> = OPERATIONS.iter().map(operation_id).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
