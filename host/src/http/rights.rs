//! Which access a request needs: one function of what it asks for, and nothing else looks at it.

use axum::http::{Method, StatusCode};

use crate::config::ClientAccess;
use crate::intake;

use super::outcome::Outcome;
use super::route::Route;

/// Lets a request of somebody with this access pass, or says which access it needs.
pub(super) fn check(route: &Route, method: &Method, access: ClientAccess) -> Result<(), Outcome> {
    match needed(route, method) {
        Some(needed) => require(needed, access),
        None => Ok(()),
    }
}

/// The same for one access that is needed.
pub(super) fn require(needed: ClientAccess, access: ClientAccess) -> Result<(), Outcome> {
    if access >= needed {
        return Ok(());
    }
    let text = format!(
        "this client has `access = \"{}\"` and the request needs \"{}\": see `[http] clients`",
        access.as_str(),
        needed.as_str()
    );
    Err(Outcome::new(StatusCode::FORBIDDEN, "forbidden", text))
}

/// What a request needs; none where anybody may ask.
///
/// A Bundle needs what its entries need, which are looked at one by one, as requests of their own. What is not here needs
/// no more than a read does: it is answered that it is not.
fn needed(route: &Route, method: &Method) -> Option<ClientAccess> {
    Some(match route {
        Route::Health | Route::Token => return None,
        Route::Page
        | Route::Metrics
        | Route::Plugins
        | Route::OpenApi
        | Route::Metadata
        | Route::Root
        | Route::ImportStatus(_)
        | Route::TypeSearch(_)
        | Route::History(..)
        | Route::TypeHistory(_)
        | Route::SystemHistory
        | Route::Version(..)
        | Route::OtherDialect
        | Route::Nothing => ClientAccess::Read,
        Route::Ingest(..) | Route::Load(_) | Route::Import(_) => ClientAccess::Resources,
        Route::Type(_) | Route::Instance(..) if method.is_safe() => ClientAccess::Read,
        Route::Type(name) | Route::Instance(name, _) => to_write(name),
        Route::TypeOperation(_, operation) | Route::InstanceOperation(_, _, operation) => {
            to_operate(operation, method)
        }
    })
}

/// What a write of a resource needs: topics, views and destinations decide what becomes of all others.
pub(super) fn to_write(resource_type: &str) -> ClientAccess {
    match intake::is_own_type(resource_type) {
        true => ClientAccess::All,
        false => ClientAccess::Resources,
    }
}

/// An operation that is not known to read needs everything.
fn to_operate(operation: &str, method: &Method) -> ClientAccess {
    match operation {
        "run" | "status" | "dead-letters" | "changes" => ClientAccess::Read,
        "materialize" if method.is_safe() => ClientAccess::Read,
        _ => ClientAccess::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi;

    const NOBODY: Option<ClientAccess> = None;
    const READ: Option<ClientAccess> = Some(ClientAccess::Read);
    const RESOURCES: Option<ClientAccess> = Some(ClientAccess::Resources);
    const ALL: Option<ClientAccess> = Some(ClientAccess::All);

    /// Every route, with each method that it may be asked by.
    const ROUTES: &[(&str, &str, Option<ClientAccess>)] = &[
        ("get post", "/health", NOBODY),
        ("post get", "/auth/token", NOBODY),
        ("get post", "/", READ),
        ("get", "/metrics", READ),
        ("get", "/plugins", READ),
        ("get", "/openapi.json", READ),
        ("get", "/fhir/metadata", READ),
        ("post", "/fhir", READ),
        ("get head", "/fhir/Patient", READ),
        ("post put patch delete", "/fhir/Patient", RESOURCES),
        ("get head", "/fhir/ViewDefinition", READ),
        ("post put patch delete", "/fhir/ViewDefinition", ALL),
        ("post put patch delete", "/fhir/AidboxSubscriptionTopic", ALL),
        ("get", "/fhir/AidboxTopicDestination", READ),
        ("post", "/fhir/AidboxTopicDestination", ALL),
        ("post", "/fhir/Patient/_search", READ),
        ("get", "/fhir/Patient/_history", READ),
        ("get", "/fhir/_history", READ),
        ("get", "/fhir/Patient/$changes", READ),
        ("get head", "/fhir/Patient/x", READ),
        ("put patch delete post", "/fhir/Patient/x", RESOURCES),
        ("get", "/fhir/ViewDefinition/x", READ),
        ("put patch delete", "/fhir/ViewDefinition/x", ALL),
        ("put patch delete", "/fhir/AidboxSubscriptionTopic/x", ALL),
        ("get", "/fhir/AidboxTopicDestination/x", READ),
        ("delete", "/fhir/AidboxTopicDestination/x", ALL),
        ("get", "/fhir/Patient/x/_history", READ),
        ("get", "/fhir/Patient/x/_history/1", READ),
        ("post", "/fhir/$load", RESOURCES),
        ("post", "/fhir/Patient/$load", RESOURCES),
        ("post", "/fhir/$import", RESOURCES),
        ("post", "/v2/fhir/$import", RESOURCES),
        ("get", "/fhir/BulkImportStatus/x", READ),
        ("get", "/v2/$import/x", READ),
        ("get", "/fhir/AidboxTopicDestination/x/$status", READ),
        ("get", "/fhir/AidboxTopicDestination/x/$dead-letters", READ),
        ("post get", "/fhir/AidboxTopicDestination/x/$pause", ALL),
        ("post get", "/fhir/AidboxTopicDestination/x/$resume", ALL),
        ("post", "/fhir/ViewDefinition/$materialize", ALL),
        ("get", "/fhir/ViewDefinition/x/$materialize", READ),
        ("post delete", "/fhir/ViewDefinition/x/$materialize", ALL),
        ("get post", "/fhir/ViewDefinition/$run", READ),
        ("get post", "/fhir/ViewDefinition/x/$run", READ),
        ("get post", "/fhir/Patient/$not-there", ALL),
        ("get post", "/fhir/Patient/x/$not-there", ALL),
        ("post", "/ingest/bundle", RESOURCES),
        ("put post delete", "/ingest/hapi/Patient/x", RESOURCES),
        ("post", "/ingest/medplum", RESOURCES),
        ("get put", "/Patient/x", READ),
        ("get put", "/favicon.ico", READ),
    ];

    fn lines() -> impl Iterator<Item = (&'static str, &'static str, Option<ClientAccess>)> {
        let each = |(methods, path, needed): &(&'static str, &'static str, _)| {
            let (path, needed) = (*path, *needed);
            methods.split(' ').map(move |method| (method, path, needed))
        };
        ROUTES.iter().flat_map(each)
    }

    #[test]
    fn each_route_needs_what_the_table_says() {
        for (method, path, expect) in lines() {
            let asked = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            assert_eq!(needed(&Route::of(path), &asked), expect, "{method} {path}");
        }
    }

    #[test]
    fn the_table_has_every_route_of_the_document() {
        for (method, path) in openapi::documented() {
            let path = path
                .replace("{type}", "Patient")
                .replace("{id}", "x")
                .replace("{version}", "1");
            let is_there = lines().any(|line| (line.0, line.1) == (method, path.as_str()));
            assert!(is_there, "{method} {path}");
        }
    }

    #[test]
    fn who_may_do_more_may_do_less_and_who_may_not_is_told_what_it_takes() {
        let each = [ClientAccess::Read, ClientAccess::Resources, ClientAccess::All];
        for (place, access) in each.into_iter().enumerate() {
            for (other, needed) in each.into_iter().enumerate() {
                assert_eq!(require(needed, access).is_ok(), place >= other);
            }
        }
        let refused = check(&Route::Load(None), &Method::POST, ClientAccess::Read).unwrap_err();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let text = refused.to_json()["issue"][0]["diagnostics"].to_string();
        assert!(text.contains("needs \\\"resources\\\""), "{text}");
    }
}
