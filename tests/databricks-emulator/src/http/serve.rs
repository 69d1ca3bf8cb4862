//! Connections. A loop of its own, because a switch may close one without an answer.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::workspace::Workspace;

/// Serves until it is told to stop, then closes what is open.
pub(crate) async fn serve(listener: TcpListener, workspace: Arc<Workspace>, mut stop: watch::Receiver<bool>) {
    let router = super::router(Arc::clone(&workspace));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let (workspace, router) = (Arc::clone(&workspace), router.clone());
                    tokio::spawn(connection(stream, workspace, router, stop.clone()));
                }
            }
            _ = stop.changed() => return,
        }
    }
}

async fn connection(
    stream: TcpStream,
    workspace: Arc<Workspace>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (workspace, router) = (Arc::clone(&workspace), router.clone());
        super::answer(workspace, router, request.map(Body::new))
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
        }
        _ = stop.changed() => {
            serving.as_mut().graceful_shutdown();
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection ended");
            }
        }
    }
}
