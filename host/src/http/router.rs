//! From a request to the function that answers it, with the guards around it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::config::ClientAccess;

use super::ask::{Ask, answer_type};
use super::auth::Tokens;
use super::batch::Dispatch;
use super::limits::BodyReader;
use super::outcome::Outcome;
use super::route::Route;
use super::{App, FHIR_JSON, Settings};
use super::{
    bundles, changes, conditional, dead_letters, destination, health, history, ingest, interact, load,
    materialize, metadata, metrics, openapi, page, patch, plugins, read, rights, run, search, token, view,
};

/// Answers requests. Cheap to clone; all clones share their bounds.
#[derive(Clone)]
pub(super) struct Router(Arc<Inner>);

struct Inner {
    app: Arc<App>,
    settings: Settings,
    bodies: BodyReader,
    requests: Semaphore,
    /// Apart from the requests: a load may take as long as its client likes.
    loads: Semaphore,
    tokens: Tokens,
}

impl Router {
    /// A router over an app.
    pub(super) fn new(app: Arc<App>, settings: &Settings, tokens: Tokens) -> Self {
        Self(Arc::new(Inner {
            app,
            bodies: BodyReader::new(&settings.limits),
            requests: Semaphore::new(settings.limits.max_requests),
            loads: Semaphore::new(settings.limits.max_loads),
            settings: settings.clone(),
            tokens,
        }))
    }

    /// Answers one request; a panic underneath becomes a 500.
    pub(super) async fn answer(&self, request: Request) -> Response {
        let started = Instant::now();
        let method = request.method().clone();
        let route = Route::of(request.uri().path());
        let media_type = answer_type(request.uri().query(), request.headers());
        let answered = AssertUnwindSafe(self.0.guarded(request, &route))
            .catch_unwind()
            .await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(outcome)) => outcome.into_response(),
            Err(_) => {
                tracing::error!(%method, "a request made the server panic");
                Outcome::internal().into_response()
            }
        };
        dress(&mut response, media_type);
        tracing::debug!(
            %method,
            resource_type = route.resource_type().unwrap_or_default(),
            status = response.status().as_u16(),
            elapsed_ms = started.elapsed().as_millis(),
            "answered"
        );
        response
    }
}

/// Gives a FHIR answer the media type that was asked for, and every answer the headers that keep browsers from
/// guessing and caches from keeping patient data.
fn dress(response: &mut Response, media_type: Option<&'static str>) {
    let headers = response.headers_mut();
    if let (Some(media_type), Some(stated)) = (media_type, headers.get_mut(CONTENT_TYPE))
        && stated == FHIR_JSON
    {
        *stated = HeaderValue::from_static(media_type);
    }
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(axum::http::header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-cache"));
}

impl Inner {
    async fn guarded(&self, request: Request, route: &Route) -> Result<Response, Outcome> {
        let (parts, body) = request.into_parts();
        self.bodies.check_head(&parts)?;
        let access = self.access_of(&parts, route)?;
        rights::check(route, &parts.method, access)?;
        if let Some(resource_type) = load::streamed_type(route, &parts.headers) {
            return self.load(parts, body, resource_type).await;
        }
        let most = match route {
            Route::Token => token::BODY_BYTES,
            _ => usize::MAX,
        };
        let body = self.bodies.read(&parts.headers, body, most).await?;
        let ask = Ask::new(
            parts.method,
            &parts.uri,
            parts.headers,
            body.bytes.clone(),
            self.settings.base_url.as_deref(),
            self.settings.tls.is_some(),
        )
        .of_client(access);
        let _permit = self.permit(route)?;
        match timeout(self.time_for(route, &ask.method), self.dispatch(route, &ask)).await {
            Ok(answer) => answer,
            Err(_) => Err(Outcome::unavailable(
                "the request took too long; whether it took effect is not known",
                5,
            )),
        }
    }

    /// What the sender of a request may do. Who is not asked for a name may do the least.
    fn access_of(&self, parts: &Parts, route: &Route) -> Result<ClientAccess, Outcome> {
        let access = &self.settings.access;
        if route.is_for_anybody() && access.has_clients() {
            return Ok(ClientAccess::Read);
        }
        access.check(&parts.headers, &parts.uri, &self.tokens)
    }

    /// A load whose lines are taken as they arrive, however many they are.
    async fn load(&self, parts: Parts, body: Body, resource_type: Option<&str>) -> Result<Response, Outcome> {
        if let Some(resource_type) = resource_type {
            known_type(resource_type)?;
        }
        let _permit = self.permit(&Route::Load(None))?;
        let (base, is_tls) = (self.settings.base_url.as_deref(), self.settings.tls.is_some());
        let ask = Ask::new(
            parts.method,
            &parts.uri,
            parts.headers,
            Bytes::new(),
            base,
            is_tls,
        );
        load::streamed(
            &self.app,
            &ask,
            resource_type,
            body,
            self.settings.limits.body_timeout,
        )
        .await
    }

    /// A share of what is worked on at once; the health check needs none.
    fn permit(&self, route: &Route) -> Result<Option<SemaphorePermit<'_>>, Outcome> {
        let (of, refusal) = match route {
            Route::Health => return Ok(None),
            Route::Load(_) => (&self.loads, Outcome::unavailable("too many loads at once", 5)),
            _ => (
                &self.requests,
                Outcome::unavailable("too many requests at once", 1),
            ),
        };
        of.try_acquire().map(Some).map_err(|_| refusal)
    }

    fn time_for(&self, route: &Route, method: &Method) -> Duration {
        let limits = &self.settings.limits;
        match route {
            Route::Type(name) if name == destination::DESTINATION && *method == Method::POST => {
                limits.bootstrap_timeout
            }
            Route::Load(_) => load::TIME,
            // One of its entries may make a destination.
            Route::Root => limits.bootstrap_timeout,
            _ => limits.request_timeout,
        }
    }

    /// What answers with much at hand is boxed: its size would be that of every request's future, which is moved about.
    async fn dispatch(&self, route: &Route, ask: &Ask) -> Result<Response, Outcome> {
        // An entry of a Bundle has not been looked at before.
        rights::check(route, &ask.method, ask.access)?;
        if let Some(resource_type) = route.resource_type() {
            known_type(resource_type)?;
        }
        if !matches!(
            route,
            Route::TypeOperation(..) | Route::InstanceOperation(..) | Route::Token
        ) {
            refuse_other_formats(ask)?;
        }
        let app = &self.app;
        match route {
            Route::Health => only_get(ask, health::health(app).await),
            Route::Page => only_get(ask, page::answer(app).await?),
            Route::Metrics => only_get(ask, metrics::metrics(app).await?),
            Route::Plugins => only_get(ask, plugins::plugins(app).await?),
            Route::OpenApi => only_get(ask, openapi::openapi(app, ask)),
            Route::Token => token::answer(&self.settings.access, &self.tokens, ask),
            Route::Metadata => only_get(ask, metadata::metadata(app, ask)?),
            Route::Root => {
                let max_entries = self.settings.limits.max_bundle_entries;
                bundles::answer(app, self, ask, max_entries).boxed().await
            }
            Route::Ingest(name, below) => {
                let (feed, most) = (
                    self.settings.feeds.get(name),
                    self.settings.limits.max_bundle_entries,
                );
                ingest::answer(app, ask, feed, below, most).await
            }
            Route::Load(name) => load::load(app, ask, name.as_deref()).await,
            Route::Import(is_v2) => load::import(app, ask, *is_v2).await,
            Route::ImportStatus(id) => load::status(app, ask, id).await,
            Route::Type(name) => on_type(app, ask, name).boxed().await,
            Route::TypeSearch(name) => search::by_post(app, ask, name).await,
            Route::Instance(name, id) => on_instance(app, ask, name, id).await,
            Route::History(..) | Route::TypeHistory(_) | Route::SystemHistory | Route::Version(..) => {
                on_history(app, ask, route).await
            }
            Route::TypeOperation(name, operation) => {
                on_operation(app, ask, name, None, operation).boxed().await
            }
            Route::InstanceOperation(name, id, operation) => {
                on_operation(app, ask, name, Some(id), operation).boxed().await
            }
            Route::OtherDialect => Err(Outcome::not_found(
                "only the FHIR dialect is served here: put `/fhir` before the path",
            )),
            _ => Err(Outcome::not_found("there is nothing at this path")),
        }
    }
}

impl Dispatch for Inner {
    fn answer<'a>(&'a self, route: &'a Route, ask: &'a Ask) -> BoxFuture<'a, Result<Response, Outcome>> {
        self.dispatch(route, ask).boxed()
    }
}

async fn on_type(app: &Arc<App>, ask: &Ask, resource_type: &str) -> Result<Response, Outcome> {
    match ask.method {
        Method::GET | Method::HEAD => search::by_get(app, ask, resource_type).await,
        _ => conditional::on_type(app, ask, resource_type).await,
    }
}

async fn on_history(app: &Arc<App>, ask: &Ask, route: &Route) -> Result<Response, Outcome> {
    let is_read = matches!(ask.method, Method::GET | Method::HEAD);
    match route {
        Route::SystemHistory => Err(history::of_system()),
        _ if !is_read => Err(Outcome::method_not_allowed("GET")),
        Route::History(name, id) => history::history(app, ask, name, id).await,
        Route::TypeHistory(name) => history::of_type(app, ask, name).await,
        Route::Version(name, id, version) => read::vread(app, ask, name, id, version).await,
        _ => Err(Outcome::not_found("there is nothing at this path")),
    }
}

async fn on_instance(app: &Arc<App>, ask: &Ask, resource_type: &str, id: &str) -> Result<Response, Outcome> {
    match ask.method {
        Method::GET | Method::HEAD => read::read(app, ask, resource_type, id).await,
        Method::PUT => interact::update(app, ask, resource_type, id).await,
        Method::PATCH => patch::patch(app, ask, resource_type, id).await,
        Method::DELETE => interact::delete(app, ask, resource_type, id).await,
        _ if resource_type == destination::DESTINATION => {
            Err(Outcome::method_not_allowed(destination::METHODS))
        }
        _ => Err(Outcome::method_not_allowed("GET, PUT, PATCH, DELETE")),
    }
}

async fn on_operation(
    app: &Arc<App>,
    ask: &Ask,
    resource_type: &str,
    id: Option<&str>,
    operation: &str,
) -> Result<Response, Outcome> {
    match (resource_type, operation, id) {
        (destination::DESTINATION, "status", Some(id)) => destination::status(app, ask, id).await,
        (destination::DESTINATION, "pause", Some(id)) => destination::pause(app, ask, id).await,
        (destination::DESTINATION, "resume", Some(id)) => destination::resume(app, ask, id).await,
        (destination::DESTINATION, "dead-letters", Some(id)) => {
            dead_letters::dead_letters(app, ask, id).await
        }
        (view::VIEW, "materialize", id) => materialize::materialize(app, ask, id).await,
        (view::VIEW, "run", id) => run::run(app, ask, id).await,
        (_, "changes", None) => changes::changes(app, ask, resource_type).await,
        _ => Err(Outcome::not_found("there is no such operation here")),
    }
}

fn only_get(ask: &Ask, answer: Response<Body>) -> Result<Response, Outcome> {
    match ask.method {
        Method::GET | Method::HEAD => Ok(answer),
        _ => Err(Outcome::method_not_allowed("GET")),
    }
}

/// 404 for a type that does not exist; in a path it is the address that is wrong, not the content.
fn known_type(resource_type: &str) -> Result<(), Outcome> {
    crate::intake::known_type(resource_type).map_err(|refusal| Outcome::not_found(refusal.to_string()))
}

fn refuse_other_formats(ask: &Ask) -> Result<(), Outcome> {
    let format = ask.parameter("_format").map(|format| format!("_format={format}"));
    match answer_type(format.as_deref(), &ask.headers) {
        Some(_) => Ok(()),
        None => Err(Outcome::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-supported",
            "only JSON is answered: ask for `application/fhir+json`",
        )),
    }
}
