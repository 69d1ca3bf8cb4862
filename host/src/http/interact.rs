//! The writing interactions with one resource, whatever its type: this host's own types have checks of their own.

use std::sync::Arc;

use axum::response::Response;

use super::ask::Ask;
use super::destination::{self, DESTINATION};
use super::outcome::Outcome;
use super::topic::{self, TOPIC};
use super::view::{self, VIEW};
use super::{App, write};

/// `POST /fhir/T`
pub(super) async fn create(app: &Arc<App>, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    match resource_type {
        TOPIC => topic::create(app, ask).await,
        VIEW => view::create(app, ask).await,
        DESTINATION => destination::create(app, ask).await,
        _ => write::create(app, ask, resource_type).await,
    }
}

/// `PUT /fhir/T/id`
pub(super) async fn update(
    app: &Arc<App>,
    ask: &Ask,
    resource_type: &str,
    id: &str,
) -> Result<Response, Outcome> {
    match resource_type {
        TOPIC => topic::update(app, ask, id).await,
        VIEW => view::update(app, ask, id).await,
        DESTINATION => Err(Outcome::method_not_allowed(destination::METHODS)),
        _ => write::update(app, ask, resource_type, id).await,
    }
}

/// `DELETE /fhir/T/id`
pub(super) async fn delete(
    app: &Arc<App>,
    ask: &Ask,
    resource_type: &str,
    id: &str,
) -> Result<Response, Outcome> {
    match resource_type {
        TOPIC => topic::delete(app, ask, id).await,
        DESTINATION => destination::delete(app, ask, id).await,
        _ => write::delete(app, ask, resource_type, id).await,
    }
}
