//! Read and vread.

use axum::http::StatusCode;
use axum::http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use axum::response::Response;
use chrono::DateTime;

use crate::change::{ResourceKey, Sequence, Version, VersionStatus};

use super::ask::Ask;
use super::outcome::Outcome;
use super::{App, respond};

/// The newest version: 200, 304 when the client has it, 404 when there never was one, 410 after a delete.
pub(super) async fn read(app: &App, ask: &Ask, resource_type: &str, id: &str) -> Result<Response, Outcome> {
    let key = key(resource_type, id)?;
    let version = app.log.current(&key).await?;
    answer(ask, &key, version)
}

/// One version by its number.
pub(super) async fn vread(
    app: &App,
    ask: &Ask,
    resource_type: &str,
    id: &str,
    version: &str,
) -> Result<Response, Outcome> {
    let key = key(resource_type, id)?;
    let none = || Outcome::not_found(format!("{key} has no version {version}"));
    let sequence = version.parse().map_err(|_| none())?;
    let found = app.log.version(&key, Sequence(sequence)).await?;
    answer(ask, &key, Some(found.ok_or_else(none)?))
}

/// The key in a path that is read: an id that cannot exist is not found.
pub(super) fn key(resource_type: &str, id: &str) -> Result<ResourceKey, Outcome> {
    ResourceKey::new(resource_type, id)
        .map_err(|error| Outcome::not_found(format!("there is no such {resource_type}: {error}")))
}

/// A resource's newest version: 404 when there never was one, 410 after a delete.
pub(super) async fn living(app: &App, key: &ResourceKey) -> Result<Version, Outcome> {
    of_the_living(key, app.log.current(key).await?)
}

fn of_the_living(key: &ResourceKey, version: Option<Version>) -> Result<Version, Outcome> {
    match version {
        None => Err(not_found(key)),
        Some(version) if version.status == VersionStatus::Deleted => Err(Outcome::new(
            StatusCode::GONE,
            "deleted",
            format!("{key} was deleted"),
        )),
        Some(version) => Ok(version),
    }
}

fn answer(ask: &Ask, key: &ResourceKey, version: Option<Version>) -> Result<Response, Outcome> {
    let version = of_the_living(key, version)?;
    if is_known(ask, &version) {
        return Ok(respond::with_version(
            respond::empty(StatusCode::NOT_MODIFIED),
            &version,
        ));
    }
    Ok(respond::resource(StatusCode::OK, &version))
}

/// 404 for a resource.
pub(super) fn not_found(key: &ResourceKey) -> Outcome {
    Outcome::not_found(format!("there is no {key}"))
}

/// Whether the client says that it has this version; `If-None-Match` counts alone when it is there.
fn is_known(ask: &Ask, version: &Version) -> bool {
    if let Some(tags) = ask.header(&IF_NONE_MATCH) {
        let current = version.sequence.to_string();
        return tags
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == current);
    }
    ask.header(&IF_MODIFIED_SINCE)
        .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
        .is_some_and(|date| version.last_updated.0.div_euclid(1_000_000) <= date.timestamp())
}
