//! What the switches do to a request before it reaches its handler, and to the answer afterwards.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use super::ApiError;
use crate::faults::{Fault, Setting, Surface};
use crate::records;
use crate::workspace::Workspace;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped, as a switch says")]
pub(crate) struct Dropped;

/// Answers a request, as far as the switches let it.
pub(crate) async fn answer(
    workspace: Arc<Workspace>,
    router: Router,
    request: Request,
) -> Result<Response, Dropped> {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let surface = Surface::of_path(&path);
    let answered = faulted(&workspace, router, request, surface, &path).await;
    if surface != Surface::Emulator {
        workspace.requests.add(records::Request {
            method,
            path,
            status: answered.as_ref().map_or(0, |response| response.status().as_u16()),
        });
    }
    answered.map(|response| with_headers(&workspace, response))
}

async fn faulted(
    workspace: &Workspace,
    router: Router,
    request: Request,
    surface: Surface,
    path: &str,
) -> Result<Response, Dropped> {
    if workspace.faults.take(Fault::DropBefore, surface, path).is_some() {
        return Err(Dropped);
    }
    if let Some(response) = refused(workspace, surface, path) {
        // What was sent is read, so that the client is not cut off while it writes.
        drop(axum::body::to_bytes(request.into_body(), super::BODY_LIMIT).await);
        return Ok(response);
    }
    let Ok(response) = router.oneshot(request).await;
    if let Some(setting) = workspace.faults.take(Fault::Slow, surface, path) {
        tokio::time::sleep(Duration::from_millis(setting.milliseconds.unwrap_or(1000))).await;
    }
    if workspace.faults.take(Fault::DropAfter, surface, path).is_some() {
        return Err(Dropped);
    }
    if workspace.faults.take(Fault::Truncated, surface, path).is_some() {
        return Ok(truncated(response).await);
    }
    Ok(response)
}

/// The answer of a switch that refuses, if one is on.
fn refused(workspace: &Workspace, surface: Surface, path: &str) -> Option<Response> {
    let faults = &workspace.faults;
    if faults.take(Fault::Unauthorized, surface, path).is_some() {
        return Some(unauthorized(surface));
    }
    if let Some(setting) = faults.take(Fault::Forbidden, surface, path) {
        let message = setting.message.as_deref().unwrap_or("Access is denied.");
        return Some(ApiError::denied(message).into_response());
    }
    if let Some(setting) = faults.take(Fault::Throttled, surface, path) {
        let error = ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "REQUEST_LIMIT_EXCEEDED",
            setting.message.as_deref().unwrap_or("Too many requests."),
        );
        return Some(with_retry_after(
            error.into_response(),
            setting.retry_after.or(Some(1)),
        ));
    }
    if let Some(setting) = faults.take(Fault::ServerError, surface, path) {
        return Some(server_error(&setting));
    }
    if let Some(setting) = faults.take(Fault::Html, surface, path) {
        let status = setting
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        let page =
            "<!doctype html><html><head><title>Error</title></head><body><h1>Bad gateway</h1></body></html>";
        let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        return Some((status.unwrap_or(StatusCode::BAD_GATEWAY), kind, page).into_response());
    }
    if surface == Surface::Zerobus && faults.take(Fault::WrongWorkspace, surface, path).is_some() {
        return Some(StatusCode::BAD_REQUEST.into_response());
    }
    None
}

fn unauthorized(surface: Surface) -> Response {
    match surface {
        Surface::Zerobus => ApiError::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "Authorization token is expired.",
        )
        .into_response(),
        Surface::Token => crate::oauth::invalid_client(),
        _ => ApiError::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "Credential was not sent or was of an unsupported type for this API.",
        )
        .into_response(),
    }
}

fn server_error(setting: &Setting) -> Response {
    let status = setting
        .status
        .and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let code = match status.as_u16() {
        503 => "TEMPORARILY_UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        501 => "NOT_IMPLEMENTED",
        _ => "INTERNAL_ERROR",
    };
    let message = setting
        .message
        .as_deref()
        .unwrap_or("The service cannot answer now.");
    with_retry_after(
        ApiError::new(status, code, message).into_response(),
        setting.retry_after,
    )
}

fn with_retry_after(mut response: Response, seconds: Option<u64>) -> Response {
    if let Some(seconds) = seconds {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The same answer, of which the second half never comes.
async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    // An empty answer cannot break off, so it is said to be longer.
    let promised = whole.len().max(2);
    let half = whole.slice(..whole.len() / 2);
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
    let chunks: Vec<Result<Bytes, Dropped>> = vec![Ok(half), Err(Dropped)];
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    for chunk in chunks {
        drop(sender.try_send(chunk));
    }
    Response::from_parts(parts, Body::new(Chunks { receiver }))
}

/// A body of chunks that are known already.
struct Chunks {
    receiver: tokio::sync::mpsc::Receiver<Result<Bytes, Dropped>>,
}

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Dropped>>> {
        let polled = self.receiver.poll_recv(context);
        polled.map(|chunk| chunk.map(|chunk| chunk.map(hyper::body::Frame::data)))
    }
}

/// The headers that every answer has.
fn with_headers(workspace: &Workspace, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let id = uuid::Uuid::new_v4().to_string();
    let organisation = workspace.options.workspace_id.to_string();
    for (name, value) in [("x-request-id", id), ("x-databricks-org-id", organisation)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers.insert(header::SERVER, HeaderValue::from_static("databricks"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}
