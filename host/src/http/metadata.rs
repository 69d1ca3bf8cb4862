//! `GET /fhir/metadata`: what this server can do.

use axum::http::StatusCode;
use axum::response::Response;
use lakefeed_view::r4;
use serde_json::{Value, json};

use crate::intake::OWN_TYPES;
use crate::intake::criteria;

use super::ask::Ask;
use super::destination::DESTINATION;
use super::outcome::Outcome;
use super::{App, respond};

/// What every type has.
const INTERACTIONS: [&str; 9] = [
    "create",
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "search-type",
];

/// The CapabilityStatement. `mode` may ask for the whole or for the normative part, which are the same here.
pub(super) fn metadata(app: &App, ask: &Ask) -> Result<Response, Outcome> {
    if !matches!(ask.parameter("mode"), None | Some("full" | "normative")) {
        let text = "`mode` takes `full` or `normative`; there is no terminology here";
        return Err(Outcome::bad_request("not-supported", text));
    }
    let own = OWN_TYPES.into_iter().map(resource);
    let standard = r4::resource_types().map(|info| resource(info.name()));
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": app.started.to_string(),
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/json"],
        "patchFormat": [
            "application/json-patch+json",
            "application/merge-patch+json",
            // FHIRPath patches.
            "application/fhir+json",
        ],
        "software": {"name": "lakefeed", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "lakefeed", "url": format!("{}/fhir", ask.base)},
        "rest": [{
            "mode": "server",
            "interaction": [{"code": "transaction"}, {"code": "batch"}],
            "resource": own.chain(standard).collect::<Vec<Value>>(),
        }],
    });
    Ok(respond::fhir_json(StatusCode::OK, &statement))
}

fn resource(name: &'static str) -> Value {
    let is_fixed = name == DESTINATION;
    let interactions: Vec<Value> = INTERACTIONS
        .iter()
        .filter(|code| !(is_fixed && matches!(**code, "update" | "patch")))
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
        "conditionalUpdate": !is_fixed,
        "conditionalDelete": "single",
        "searchParam": search_parameters(name),
    });
    resource["operation"] = operations(name).into();
    resource
}

fn search_parameters(name: &str) -> Vec<Value> {
    criteria::parameters(name)
        .chain([("_lastUpdated", "date")])
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect()
}

/// The operations of a type; each type has `$changes`.
fn operations(name: &str) -> Vec<Value> {
    const BASE: &str = "http://health-samurai.io/fhir/core/OperationDefinition";
    let names: &[&str] = match name {
        "AidboxTopicDestination" => &["status", "pause", "resume", "dead-letters"],
        "ViewDefinition" => &["materialize", "run"],
        _ => &[],
    };
    let own = names
        .iter()
        .map(|operation| json!({"name": operation, "definition": format!("{BASE}/{name}-{operation}")}));
    let changes = json!({"name": "changes", "definition": format!("{BASE}/Resource-changes")});
    own.chain([changes]).collect()
}
