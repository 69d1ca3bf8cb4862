//! `GET /fhir/metadata`: what this server can do.

use axum::http::StatusCode;
use axum::response::Response;
use lakefeed_view::r4;
use serde_json::{Value, json};

use crate::intake::OWN_TYPES;

use super::ask::Ask;
use super::{App, respond};

/// The CapabilityStatement.
pub(super) fn metadata(app: &App, ask: &Ask) -> Response {
    let own = OWN_TYPES.into_iter().map(resource);
    let standard = r4::resource_types().map(|info| resource(info.name()));
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": app.started.to_string(),
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/json"],
        "software": {"name": "lakefeed", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "lakefeed", "url": format!("{}/fhir", ask.base)},
        "rest": [{
            "mode": "server",
            "resource": own.chain(standard).collect::<Vec<Value>>(),
        }],
    });
    respond::fhir_json(StatusCode::OK, &statement)
}

fn resource(name: &'static str) -> Value {
    let is_fixed = name == "AidboxTopicDestination";
    let interactions = [
        "create",
        "read",
        "vread",
        "update",
        "delete",
        "history-instance",
        "search-type",
    ];
    let interactions: Vec<Value> = interactions
        .iter()
        .filter(|code| !(is_fixed && **code == "update"))
        .map(|code| json!({"code": code}))
        .collect();
    let mut resource = json!({
        "type": name,
        "interaction": interactions,
        "versioning": "versioned-update",
        "readHistory": true,
        "updateCreate": !is_fixed,
        "conditionalCreate": true,
        "conditionalRead": "full-support",
        "conditionalUpdate": false,
        "conditionalDelete": "not-supported",
        "searchParam": search_parameters(name),
    });
    let operations = operations(name);
    if !operations.is_empty() {
        resource["operation"] = Value::Array(operations);
    }
    resource
}

fn search_parameters(name: &str) -> Vec<Value> {
    let own: &[(&str, &str)] = match name {
        "AidboxSubscriptionTopic" => &[("url", "uri"), ("status", "token")],
        "AidboxTopicDestination" => &[("topic", "token"), ("kind", "token")],
        "ViewDefinition" => &[
            ("url", "uri"),
            ("name", "string"),
            ("resource", "token"),
            ("status", "token"),
        ],
        _ => &[],
    };
    [("_id", "token")]
        .iter()
        .chain(own)
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect()
}

fn operations(name: &str) -> Vec<Value> {
    const BASE: &str = "http://health-samurai.io/fhir/core/OperationDefinition";
    let names: &[&str] = match name {
        "AidboxTopicDestination" => &["status", "pause", "resume", "dead-letters"],
        "ViewDefinition" => &["materialize", "run"],
        _ => &[],
    };
    names
        .iter()
        .map(|operation| json!({"name": operation, "definition": format!("{BASE}/{name}-{operation}")}))
        .collect()
}
