//! The listener: connections in, requests to the router, and an end that loses none.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Tokens;
use super::patience::Patience;
use super::router::Router;
use super::{App, HttpError, Limits, Settings};

/// Answers requests on a listener until `shutdown` is cancelled; then takes no new ones, finishes those under
/// way within [`Limits::drain_timeout`], and returns.
///
/// Without clients in the settings the listener must be on loopback.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    settings: Settings,
    shutdown: CancellationToken,
) -> Result<(), HttpError> {
    let address = listener
        .local_addr()
        .map_err(|source| HttpError::Listener { source })?;
    if !settings.access.permits(address) {
        return Err(HttpError::Open { address });
    }
    let limits = settings.limits.clone();
    let server = Arc::new(Server {
        connections: Arc::new(Semaphore::new(limits.max_connections)),
        router: Router::new(app, &settings, Tokens::new()?),
        settings,
        shutdown: shutdown.clone(),
        tasks: TaskTracker::new(),
    });
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => server.clone().accepted(accepted).await,
        }
    }
    drop(listener);
    server.tasks.close();
    if timeout(limits.drain_timeout, server.tasks.wait()).await.is_err() {
        tracing::warn!(
            connections = server.tasks.len(),
            "stopped before all requests were answered"
        );
    }
    Ok(())
}

struct Server {
    connections: Arc<Semaphore>,
    router: Router,
    settings: Settings,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    async fn accepted(self: Arc<Self>, accepted: io::Result<(TcpStream, std::net::SocketAddr)>) {
        match accepted {
            Ok((stream, _)) => {
                let server = self.clone();
                let permit = self.connections.clone().try_acquire_owned().ok();
                self.tasks.spawn(server.connection(stream, permit));
            }
            Err(error) => {
                // Out of file descriptors, most likely: they come back when connections end.
                tracing::warn!(error = %error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, permit: Option<OwnedSemaphorePermit>) {
        let Some(_permit) = permit else {
            self.turn_away(stream).await;
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "TCP_NODELAY could not be set");
        }
        let limits = &self.settings.limits;
        match &self.settings.tls {
            None => self.converse(Patience::new(stream, limits.write_timeout)).await,
            Some(tls) => {
                let shaken = timeout(limits.header_timeout, tls.acceptor().accept(stream)).await;
                match shaken {
                    Ok(Ok(stream)) => self.converse(Patience::new(stream, limits.write_timeout)).await,
                    _ => tracing::debug!("a TLS handshake failed"),
                }
            }
        }
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let router = self.router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let router = router.clone();
            async move { Ok::<_, Infallible>(router.answer(request.map(Body::new)).await) }
        });
        let connection = builder(&self.settings.limits).serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = %error, "a connection ended early");
        }
    }

    /// Tells one connection too many to come back, without reading what it says. Over TLS it is just closed.
    async fn turn_away(&self, mut stream: TcpStream) {
        const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
            Content-Type: application/fhir+json\r\nContent-Length: 140\r\n\r\n\
            {\"resourceType\":\"OperationOutcome\",\"id\":\"throttled\",\"issue\":[{\"severity\":\"fatal\",\
            \"code\":\"throttled\",\"diagnostics\":\"too many connections\"}]}\n";
        if self.settings.tls.is_some() {
            return;
        }
        let written = timeout(Duration::from_secs(1), stream.write_all(ANSWER)).await;
        tracing::debug!(
            written = matches!(written, Ok(Ok(()))),
            "turned a connection away"
        );
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(100)
        // Heads up to twice the limit are read, so that they are answered with the reason.
        .max_buf_size(limits.max_header_bytes.saturating_mul(2).max(8192));
    builder
}
