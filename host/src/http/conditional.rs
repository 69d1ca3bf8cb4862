//! Conditional create, update, patch and delete: requests that say by criteria which resource they mean.
//!
//! What is found decides what is written, and the write depends on its still being found
//! ([`Finding`](crate::log::Finding)): of two clients that create by the same criteria one creates and the other is
//! answered what the first one made. Definitions are few and bear no tokens; requests about them take turns instead.

use std::sync::Arc;

use axum::http::header::HeaderName;
use axum::http::{Method, StatusCode};
use axum::response::Response;

use crate::change::{Body, Version};
use crate::intake;
use crate::intake::criteria::{Criteria, Way};
use crate::log::{Finding, Place, Precondition, Refused, Search, Write, WriteError, Written};

use super::ask::{Ask, parse_query};
use super::destination::{self, DESTINATION};
use super::outcome::Outcome;
use super::search::is_about_the_answer;
use super::{App, interact, patch, respond, whole, write};

/// How often a write is decided because others change what it was decided by. Each time one of them gets through.
pub(super) const ATTEMPTS: usize = 64;
/// The most resources that one request deletes.
const MAX_DELETED: usize = 1000;
/// Resources read at a time where all of a type are looked at.
const PAGE: usize = 500;
/// Says that a conditional delete means all that it finds.
const REMOVE: HeaderName = HeaderName::from_static("x-conditional-delete");
/// The criteria of a conditional create.
const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");

/// What criteria find.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// The living resources, by id; no more than were asked for.
    pub(super) versions: Vec<Version>,
    /// What a write depends on that is decided by this; none where nothing can come between.
    pub(super) finding: Option<Arc<Finding>>,
}

impl Matches {
    /// The one resource that is meant, if there is any; 412 when there are several.
    pub(super) fn one(&self) -> Result<Option<&Version>, Outcome> {
        match self.versions.as_slice() {
            [] => Ok(None),
            [version] => Ok(Some(version)),
            _ => Err(Outcome::new(
                StatusCode::PRECONDITION_FAILED,
                "multiple-matches",
                "the criteria find more than one resource; nothing was written",
            )),
        }
    }
}

/// Finds at most `most` resources, which should be one more than the caller can use.
pub(super) async fn find(app: &App, criteria: &Criteria, most: usize) -> Result<Matches, Outcome> {
    match criteria.way() {
        Way::Lookup(lookup) => {
            let versions = app.log.look_up(&lookup, most).await?;
            let ids = versions.iter().map(|version| version.key.id().to_owned());
            // What was cut off is not all that a write could depend on; nothing is written then.
            let finding = (versions.len() < most).then(|| Finding {
                ids: ids.collect(),
                lookup,
            });
            let finding = finding.map(Arc::new);
            Ok(Matches { versions, finding })
        }
        Way::Ids(ids) => scan(app, criteria, Some(ids), most).await,
        Way::All => scan(app, criteria, None, most).await,
    }
}

async fn scan(
    app: &App,
    criteria: &Criteria,
    ids: Option<Vec<String>>,
    most: usize,
) -> Result<Matches, Outcome> {
    let mut search = Search {
        resource_type: criteria.resource_type().to_owned(),
        ids,
        count: PAGE,
        ..Search::default()
    };
    let mut versions = Vec::new();
    loop {
        let page = app.log.search(&search).await?;
        let is_last = page.len() < PAGE;
        search.after = page.last().map(Place::of);
        versions.extend(page.into_iter().filter(|version| criteria.matches(version)));
        if is_last || versions.len() >= most {
            versions.truncate(most);
            return Ok(Matches {
                versions,
                finding: None,
            });
        }
    }
}

/// The criteria that a query holds for a write; none when it only shapes the answer.
pub(super) fn criteria(resource_type: &str, query: &[(String, String)]) -> Result<Option<Criteria>, Outcome> {
    let asked = query
        .iter()
        .filter(|(name, _)| !is_about_the_answer(name) && name != "_no-content");
    let asked: Vec<(String, String)> = asked.cloned().collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let criteria = Criteria::parse(resource_type, &asked)?;
    if matches!(criteria.way(), Way::All) && !intake::is_own_type(resource_type) {
        let text = "on a write `identifier` takes one value, without commas";
        return Err(Outcome::bad_request("not-supported", text));
    }
    Ok(Some(criteria))
}

/// The criteria of a create: those of `If-None-Exist`, or of the query.
pub(super) fn of_create(ask: &Ask, resource_type: &str) -> Result<Option<Criteria>, Outcome> {
    if ask.method != Method::POST {
        return Ok(None);
    }
    let Some(stated) = ask.headers.get(&IF_NONE_EXIST) else {
        return criteria(resource_type, &ask.query);
    };
    let none = || {
        let text = "`If-None-Exist` holds no criteria, such as `identifier=system|value`";
        Outcome::bad_request("value", text)
    };
    let text = stated.to_str().map_err(|_| none())?;
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let criteria = criteria(resource_type, &parse_query(query.as_bytes()))?;
    criteria.ok_or_else(none).map(Some)
}

/// The living resource that a create's criteria find, in place of which nothing is created.
pub(super) async fn existing(app: &App, ask: &Ask, resource_type: &str) -> Result<Option<Version>, Outcome> {
    match of_create(ask, resource_type)? {
        Some(criteria) => Ok(find(app, &criteria, 2).await?.one()?.cloned()),
        None => Ok(None),
    }
}

/// What a conditional create comes to.
pub(super) enum Create {
    /// It creates.
    Write(Write),
    /// There is one already, which is answered.
    Exists(Version),
}

/// Decides a conditional create of a type that carries no meaning here.
pub(super) async fn decide_create(app: &App, criteria: &Criteria, body: Body) -> Result<Create, Outcome> {
    let matches = find(app, criteria, 2).await?;
    if let Some(version) = matches.one()? {
        return Ok(Create::Exists(version.clone()));
    }
    let mut write = app.intake.create(body)?;
    write.finding = matches.finding;
    Ok(Create::Write(write))
}

/// Decides a conditional update of a type that carries no meaning here: of the one that is found, whatever id the
/// body has, or a create under the body's id.
pub(super) async fn decide_update(
    app: &App,
    criteria: &Criteria,
    body: Body,
    precondition: Precondition,
) -> Result<Write, Outcome> {
    let matches = find(app, criteria, 2).await?;
    let mut write = match matches.one()? {
        Some(version) => app.intake.update(version.key.id(), body, Precondition::Exists)?,
        None => app.intake.create(body)?,
    };
    if precondition != Precondition::None {
        write.precondition = precondition;
    }
    write.finding = matches.finding;
    Ok(write)
}

/// Decides a conditional delete of a type that carries no meaning here: of the one that is found, or of `all` that
/// are. No writes mean that there is nothing to delete.
pub(super) async fn decide_delete(
    app: &App,
    criteria: &Criteria,
    precondition: Precondition,
    all: bool,
) -> Result<Vec<Write>, Outcome> {
    let most = if all { MAX_DELETED + 1 } else { 2 };
    let matches = find(app, criteria, most).await?;
    if !all {
        matches.one()?;
    }
    if matches.versions.len() > MAX_DELETED {
        let text =
            format!("the criteria find more than {MAX_DELETED} resources, which is too many for one request");
        return Err(Outcome::new(StatusCode::PRECONDITION_FAILED, "too-costly", text));
    }
    let keys = matches.versions.iter().map(|version| version.key.clone());
    let mut writes: Vec<Write> = keys.map(|key| app.intake.delete(key, precondition)).collect();
    // Each write sees what those before it did: only the first one still finds all.
    if let Some(first) = writes.first_mut() {
        first.finding = matches.finding;
    }
    Ok(writes)
}

/// What a write that may have to be decided anew came to; none when others changed what it was decided by.
pub(super) fn settled<T>(answer: Result<T, WriteError>) -> Result<Option<T>, Outcome> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(WriteError::Refused {
            refused: Refused::FoundOther,
            ..
        }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// 409: others were always faster.
pub(super) fn contended() -> Outcome {
    let text = "others keep changing what this request is about; nothing was written, send it again";
    Outcome::new(StatusCode::CONFLICT, "conflict", text)
}

/// A create by criteria of a type that carries no meaning here.
pub(super) async fn create(
    app: &App,
    ask: &Ask,
    criteria: &Criteria,
    body: Body,
) -> Result<Response, Outcome> {
    for attempt in 0..ATTEMPTS {
        let write = match decide_create(app, criteria, body.clone()).await? {
            Create::Write(write) => write,
            Create::Exists(version) => return Ok(respond::resource(StatusCode::OK, &version)),
        };
        let key = write.key.clone();
        match app.write(write).await {
            Ok(Written::Version { version, .. }) => return Ok(respond::created(ask, &version)),
            Ok(_) => return Err(Outcome::internal()),
            Err(error) if is_overtaken(&error, Precondition::None, attempt) => {}
            Err(error) => return Err(write::refused_create(error, &key)),
        }
    }
    Err(contended())
}

/// Whether a write was refused only because others changed what it was decided by.
///
/// An id that was taken meanwhile may be that of the very resource that the criteria mean, which the next look tells;
/// one that is still taken then is another's.
fn is_overtaken(error: &WriteError, asked: Precondition, attempt: usize) -> bool {
    let WriteError::Refused { refused, .. } = error else {
        return false;
    };
    match refused {
        Refused::FoundOther => true,
        Refused::Absent => asked == Precondition::None,
        Refused::Exists(_) => asked == Precondition::None && attempt == 0,
        Refused::OtherVersion(_) | Refused::Crowded => false,
    }
}

/// A write to a type's address: a create, or an update, patch or delete by criteria.
pub(super) async fn on_type(app: &Arc<App>, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    if !takes_turn(ask, resource_type)? {
        return on_type_now(app, ask, resource_type).await;
    }
    let (app, ask, name) = (Arc::clone(app), ask.clone(), resource_type.to_owned());
    whole(async move {
        let _turn = app.conditional_turn.lock().await;
        on_type_now(&app, &ask, &name).await
    })
    .await
}

/// Whether a request is about definitions that are found otherwise than by id.
fn takes_turn(ask: &Ask, resource_type: &str) -> Result<bool, Outcome> {
    if !intake::is_own_type(resource_type) {
        return Ok(false);
    }
    let criteria = match ask.method {
        Method::POST => of_create(ask, resource_type)?,
        _ => criteria(resource_type, &ask.query)?,
    };
    Ok(criteria.is_some_and(|criteria| criteria.only_ids().is_none()))
}

async fn on_type_now(app: &Arc<App>, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    if ask.method == Method::POST {
        return interact::create(app, ask, resource_type).await;
    }
    if resource_type == DESTINATION && ask.method != Method::DELETE {
        return Err(Outcome::method_not_allowed(destination::METHODS));
    }
    const ALLOWED: &str = "GET, POST, PUT, PATCH, DELETE";
    if !matches!(ask.method, Method::PUT | Method::PATCH | Method::DELETE) {
        return Err(Outcome::method_not_allowed(ALLOWED));
    }
    let none = || {
        let text = "without criteria all resources of the type would be meant; say which, as `?identifier=system|value`";
        let outcome = Outcome::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", text);
        outcome.allowing(ALLOWED)
    };
    let criteria = criteria(resource_type, &ask.query)?.ok_or_else(none)?;
    match ask.method {
        Method::PUT => update(app, ask, &criteria).await,
        Method::PATCH => patch::found(app, ask, &criteria).await,
        _ => delete(app, ask, &criteria).await,
    }
}

async fn update(app: &Arc<App>, ask: &Ask, criteria: &Criteria) -> Result<Response, Outcome> {
    let resource_type = criteria.resource_type();
    if intake::is_own_type(resource_type) {
        return match find(app, criteria, 2).await?.one()? {
            Some(version) => interact::update(app, ask, resource_type, version.key.id()).await,
            None => interact::create(app, ask, resource_type).await,
        };
    }
    let body = write::checked(app, ask, resource_type).await?;
    let precondition = write::precondition(ask)?;
    for attempt in 0..ATTEMPTS {
        let write = decide_update(app, criteria, body.clone(), precondition).await?;
        let key = write.key.clone();
        match app.write(write).await {
            Ok(Written::Version { version, interaction }) => {
                return Ok(write::updated(ask, &version, interaction));
            }
            Ok(_) => return Err(Outcome::internal()),
            Err(error) if is_overtaken(&error, precondition, attempt) => {}
            Err(error) if precondition == Precondition::None => {
                return Err(write::refused_create(error, &key));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended())
}

async fn delete(app: &Arc<App>, ask: &Ask, criteria: &Criteria) -> Result<Response, Outcome> {
    let resource_type = criteria.resource_type();
    if intake::is_own_type(resource_type) {
        return match find(app, criteria, 2).await?.one()? {
            Some(version) => interact::delete(app, ask, resource_type, version.key.id()).await,
            None => Ok(respond::empty(StatusCode::NO_CONTENT)),
        };
    }
    let all = ask.header(&REMOVE) == Some("remove-all");
    let precondition = write::precondition(ask)?;
    for _ in 0..ATTEMPTS {
        let writes = decide_delete(app, criteria, precondition, all).await?;
        if writes.is_empty() {
            return Ok(respond::empty(StatusCode::NO_CONTENT));
        }
        if let Some(written) = settled(app.log.write(writes).await)? {
            return Ok(deleted(ask, &written));
        }
    }
    Err(contended())
}

/// The answer to a conditional delete: as to any delete of one, and how many it were of several.
fn deleted(ask: &Ask, written: &[Written]) -> Response {
    match written {
        [one] => write::deleted(ask, one),
        _ if ask.is_set("_no-content") => respond::empty(StatusCode::NO_CONTENT),
        several => {
            let is_deleted = |written: &&Written| matches!(written, Written::Version { .. });
            let count = several.iter().filter(is_deleted).count();
            respond::information(StatusCode::OK, &format!("{count} resources were deleted"))
        }
    }
}
