//! Patches: read the resource, apply, write it if it is still the same version.
//!
//! Without `If-Match` the patch means the resource as it is: when another write comes between, it is applied anew.
//! A patch that changes nothing makes no version.

use std::sync::Arc;

use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::change::{ResourceKey, Version};
use crate::intake;
use crate::intake::criteria::Criteria;
use crate::intake::patch::{PatchKind, Patched};
use crate::log::{Finding, Precondition, Refused, WriteError, Written};

use super::ask::Ask;
use super::conditional::{self, ATTEMPTS};
use super::destination::{self, DESTINATION};
use super::outcome::Outcome;
use super::{App, FHIR_JSON, interact, read, respond, write};

/// `PATCH /fhir/T/id`
pub(super) async fn patch(
    app: &Arc<App>,
    ask: &Ask,
    resource_type: &str,
    id: &str,
) -> Result<Response, Outcome> {
    if resource_type == DESTINATION {
        return Err(Outcome::method_not_allowed(destination::METHODS));
    }
    answer(app, ask, &Target::Key(read::key(resource_type, id)?)).await
}

/// `PATCH /fhir/T?…`: the one resource that the criteria find; 404 when there is none.
pub(super) async fn found(app: &Arc<App>, ask: &Ask, criteria: &Criteria) -> Result<Response, Outcome> {
    answer(app, ask, &Target::Criteria(criteria)).await
}

/// Bytes of texts that patches are worked on at once, in KiB. The trees made of them are many times as large.
const WORKED_ON_KIB: u32 = 32 * 1024;
static WORKED_ON: Semaphore = Semaphore::const_new(WORKED_ON_KIB as usize);

/// What is patched.
enum Target<'a> {
    Key(ResourceKey),
    Criteria(&'a Criteria),
}

impl Target<'_> {
    async fn current(&self, app: &App) -> Result<(Version, Option<Arc<Finding>>), Outcome> {
        match self {
            Self::Key(key) => Ok((read::living(app, key).await?, None)),
            Self::Criteria(criteria) => {
                let matches = conditional::find(app, criteria, 2).await?;
                let none = || Outcome::not_found("the criteria find no resource");
                let version = matches.one()?.cloned().ok_or_else(none)?;
                Ok((version, matches.finding))
            }
        }
    }
}

async fn answer(app: &Arc<App>, ask: &Ask, target: &Target<'_>) -> Result<Response, Outcome> {
    let media_type = ask.media_type().unwrap_or_default();
    let kind = PatchKind::of(&media_type, &ask.body).ok_or_else(Outcome::unsupported_patch)?;
    let precondition = write::precondition(ask)?;
    for _ in 0..ATTEMPTS {
        let (version, finding) = target.current(app).await?;
        check_precondition(precondition, &version)?;
        let answer = match intake::is_own_type(version.key.resource_type()) {
            true => put_definition(app, ask, kind, &version).await?,
            false => put(app, ask, kind, &version, finding).await?,
        };
        if let Some(response) = answer {
            return Ok(response);
        }
    }
    Err(conditional::contended())
}

/// Writes what a patch makes of a version; none when the resource is another meanwhile.
async fn put(
    app: &App,
    ask: &Ask,
    kind: PatchKind,
    version: &Version,
    finding: Option<Arc<Finding>>,
) -> Result<Option<Response>, Outcome> {
    let Some(text) = patched(ask, kind, version).await? else {
        return Ok(Some(respond::written(ask, StatusCode::OK, version)));
    };
    let key = &version.key;
    let body = write::check(app, &text, key.resource_type()).await?;
    let unchanged = Precondition::VersionIs(version.sequence);
    let mut write = app.intake.update(key.id(), body, unchanged)?;
    write.finding = finding;
    match app.write(write).await {
        Ok(Written::Version { version, .. }) => Ok(Some(respond::written(ask, StatusCode::OK, &version))),
        Ok(_) => Err(Outcome::internal()),
        Err(WriteError::Refused {
            refused: Refused::OtherVersion(_) | Refused::Absent | Refused::FoundOther,
            ..
        }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same for a definition: it goes through the checks of its type as an update of this version.
async fn put_definition(
    app: &Arc<App>,
    ask: &Ask,
    kind: PatchKind,
    version: &Version,
) -> Result<Option<Response>, Outcome> {
    let Some(body) = patched(ask, kind, version).await? else {
        return Ok(Some(respond::written(ask, StatusCode::OK, version)));
    };
    let mut update = Ask { body, ..ask.clone() };
    let tag = HeaderValue::from_str(&format!("W/\"{}\"", version.sequence));
    let tag = tag.map_err(|_| Outcome::internal())?;
    update.headers.insert(IF_MATCH, tag);
    update
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    let key = &version.key;
    match interact::update(app, &update, key.resource_type(), key.id()).await {
        Err(outcome) if outcome.status() == StatusCode::PRECONDITION_FAILED => Ok(None),
        answer => answer.map(Some),
    }
}

/// The text that the patch makes of a version; none when it changes nothing.
async fn patched(ask: &Ask, kind: PatchKind, version: &Version) -> Result<Option<Bytes>, Outcome> {
    let (text, version) = (ask.body.clone(), version.clone());
    let kib = (text.len() + 2 * version.resource.len()) / 1024 + 64;
    let share = u32::try_from(kib).unwrap_or(WORKED_ON_KIB).min(WORKED_ON_KIB);
    let share = WORKED_ON
        .acquire_many(share)
        .await
        .map_err(|_| Outcome::internal())?;
    // Even a small patch may touch much. The share goes with the work, which goes on when the client has left.
    let work = move || {
        let _share = share;
        kind.read(&text)?.apply(&version)
    };
    let applied = tokio::task::spawn_blocking(work).await;
    match applied.map_err(|_| Outcome::internal())?? {
        Patched::Same => Ok(None),
        Patched::Text(text) => Ok(Some(text.into())),
    }
}

fn check_precondition(precondition: Precondition, version: &Version) -> Result<(), Outcome> {
    let refused = match precondition {
        Precondition::VersionIs(wanted) if wanted != version.sequence => {
            Refused::OtherVersion(version.sequence)
        }
        Precondition::Absent => Refused::Exists(version.sequence),
        _ => return Ok(()),
    };
    Err(WriteError::Refused { index: 0, refused }.into())
}
